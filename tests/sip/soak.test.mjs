// SPDX-License-Identifier: GPL-2.0-or-later
// The short form of make soak: SIPp's load, no call fails, memory stays as it was.

import { test } from 'node:test';
import assert from 'node:assert/strict';

import { soak } from '../../bench/soak.mjs';
import { freshFolder } from '../../bench/gateway.mjs';
import { runFolder } from '../lib/stack.mjs';

test('2,000 calls, 200 of them resumed', async (t) => {
	const { rows } = await soak(freshFolder(runFolder('soak')), {
		calls: 2000, resumes: 200, rounds: 4, rate: 250, note: (text) => t.diagnostic(text),
	});
	/* The sanitizer keeps what is freed for a while, see tools/sanitize. */
	const looked = rows.filter((r) => !process.env.CALL_RESUME_SANITIZE || !/heap|private/.test(r.name));
	for (const r of looked) assert.notEqual(r.ok, false, `${r.name}: ${r.value} ${r.unit}, at most ${r.target}`);
});
