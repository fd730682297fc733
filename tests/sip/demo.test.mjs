// SPDX-License-Identifier: GPL-2.0-or-later
// make demo: what it tells, and that it ends when the call did not survive.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { ROOT } from '../lib/kamailio.mjs';

let bin;
before(() => { bin = fs.mkdtempSync(path.join(os.tmpdir(), 'call_resume-')); });
after(() => fs.rmSync(bin, { recursive: true, force: true }));

const demo = (PATH = process.env.PATH) =>
	spawnSync('node', ['tools/demo.mjs'], { cwd: ROOT, encoding: 'utf8', timeout: 60_000, env: { ...process.env, PATH } });

test('a call that survives, told as a timeline', () => {
	const { status, stdout, stderr } = demo();
	assert.equal(status, 0, stdout + stderr);
	for (const told of ['the client key is the same again', 'bob hangs up, and the resumed alice gets his BYE', 'The call survived: audio was back']) {
		assert.ok(stdout.includes(told), told);
	}
	const times = Array.from(stdout.matchAll(/^ *(\d+) ms {2}/gm), (m) => Number(m[1])).slice(1); // what is told first is where the others count from
	assert.deepEqual(times, [...times].sort((a, b) => a - b), stdout);
	// By SIPp's own clock, in whatever form it writes it.
	const back = Number(stdout.match(/audio was back (\d+) ms after the resume/)[1]);
	assert.ok(back < 5000, `${back} ms`);
});

test('one that does not survive: it says so and ends', () => {
	const sipp = execFileSync('sh', ['-c', 'command -v sipp'], { encoding: 'utf8' }).trim();
	fs.writeFileSync(path.join(bin, 'sipp'), `#!/bin/sh\ncase "$*" in *resumed.xml*) exit 1 ;; esac\nexec ${sipp} "$@"\n`, { mode: 0o755 });
	const { status, stdout, stderr } = demo(`${bin}:${process.env.PATH}`);
	assert.equal(status, 1, stdout + stderr);
	assert.match(stderr, /The call did not survive: alice-2 ended/);
});
