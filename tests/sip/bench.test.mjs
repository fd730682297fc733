// SPDX-License-Identifier: GPL-2.0-or-later
// make bench: its loads go through cfg/kamailio.cfg as that is. What it measures is not looked at here.
// Its part without Kamailio is in tests/build.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from '../lib/kamailio.mjs';
import { runFolder } from '../lib/stack.mjs';

test('cfg/kamailio.cfg under load, plain and sealed', () => {
	const out = path.join(runFolder('bench-own'), 'bench.json');
	const { status, stdout, stderr } = spawnSync('node', ['bench/run.mjs', '--only=own', '--rounds=1', '--calls=10', '--rate=20', `--out=${out}`], { cwd: ROOT, encoding: 'utf8' });
	assert.equal(status, 0, stdout + stderr);
	assert.match(stderr, /own configuration, round 1: plain \d+, sealed \d+ us/);
	assert.equal(JSON.parse(fs.readFileSync(out, 'utf8')).length, 2);
});
