// SPDX-License-Identifier: GPL-2.0-or-later
// What the documents claim to be shown by a test is shown by one that is there.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const sourceOf = (suite, file) => fs.readFileSync(
	path.join(ROOT, 'tests', suite, suite === 'unit' ? `${file}.c` : `${file}.test.mjs`), 'utf8').replaceAll('\\', '');

test('every test that docs/threat-model.md names is there', () => {
	const text = fs.readFileSync(path.join(ROOT, 'docs/threat-model.md'), 'utf8');
	const named = [...text.matchAll(/`(sip|unit|js|browser|model|build)\/([\w-]+): ([^`]*)`/g)];
	assert.ok(named.length > 50, `${named.length} tests are named`);
	const missing = named.filter(([, suite, file, words]) => words.trim() === '' || !sourceOf(suite, file).includes(words))
		.map(([all]) => all);
	assert.deepEqual(missing, []);
});
