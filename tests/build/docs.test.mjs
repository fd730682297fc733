// SPDX-License-Identifier: GPL-2.0-or-later
// What the documentation shows is what is there.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const markdown = (folder = '') => fs.readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((e) => {
	const name = path.join(folder, e.name);
	if (e.isDirectory()) return ['node_modules', 'build'].includes(e.name) || e.name.startsWith('.') ? [] : markdown(name);
	return e.name.endsWith('.md') ? [name] : [];
});

test('the diff in the README is the one between the example pages', () => {
	const pages = ['plain-jssip.js', 'jssip.js'].map((f) => path.join('web/examples', f));
	const real = spawnSync('diff', ['-u', ...pages], { cwd: ROOT, encoding: 'utf8' }).stdout;
	const changes = (text) => text.split('\n').filter((l) => /^[-+](?![-+])./.test(l) && !/^[-+]\/\/ /.test(l));
	const shown = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8').match(/```diff\n([^]*?)```/)[1];
	assert.ok(changes(real).length > 4);
	assert.deepEqual(changes(shown), changes(real));
});

test('every link leads somewhere', () => {
	const anchor = (heading) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-');
	for (const file of markdown()) {
		const text = fs.readFileSync(path.join(ROOT, file), 'utf8').replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, (code) => code.replaceAll('](', ''));
		for (const [, to] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
			if (/^[a-z]+:/.test(to)) continue;
			const [name, part] = to.split('#');
			const target = name ? path.join(path.dirname(path.join(ROOT, file)), name) : path.join(ROOT, file);
			assert.ok(fs.existsSync(target), `${file}: ${to}`);
			if (!part || !target.endsWith('.md')) continue;
			const there = fs.readFileSync(target, 'utf8');
			const headings = [...there.matchAll(/^#+ (.*)$/gm)].map((m) => anchor(m[1]));
			assert.ok(headings.includes(part) || there.includes(`<a id="${part}">`), `${file}: ${to} names no heading`);
		}
	}
});

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
