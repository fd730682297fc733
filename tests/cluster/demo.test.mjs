// SPDX-License-Identifier: GPL-2.0-or-later
// make demo-cluster: what it tells, and that it says so when the call was lost.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { ROOT } from '../lib/kamailio.mjs';

let bin;
test.before(() => { bin = fs.mkdtempSync(path.join(os.tmpdir(), 'call_resume-')); });
test.after(() => fs.rmSync(bin, { recursive: true, force: true }));

const demo = (PATH = process.env.PATH) =>
	spawnSync('node', ['tools/demo-cluster.mjs'], { cwd: ROOT, encoding: 'utf8', timeout: 60_000, env: { ...process.env, PATH } });

test('a call that survives its gateway, told as a timeline', () => {
	const { status, stdout, stderr } = demo();
	assert.equal(status, 0, stdout + stderr);
	for (const told of ['node 1 is killed', 'bob hangs up, alice hears of it', 'The call survived its gateway']) assert.ok(stdout.includes(told), told);
	const back = Number(stdout.match(/audio was back (\d+) ms after the kill/)[1]);
	assert.ok(back < 5000, `${back} ms`);
});

test('one that does not: it says so and ends with 1', () => {
	const kamailio = execFileSync('sh', ['-c', 'PATH=$PATH:/usr/sbin command -v kamailio'], { encoding: 'utf8' }).trim();
	// Node 2 takes the Route of node 1 for somebody else's.
	fs.writeFileSync(path.join(bin, 'kamailio'), `#!/bin/sh
case "$*" in *kamailio-2.ctl*)
	for arg; do
		shift
		case $arg in NODE_HOSTS=*) arg=NODE_HOSTS=127.0.0.12 ;; esac
		set -- "$@" "$arg"
	done ;;
esac
exec ${kamailio} "$@"
`, { mode: 0o755 });
	const { status, stdout, stderr } = demo(`${bin}:${process.env.PATH}`);
	assert.equal(status, 1, stdout + stderr);
	assert.match(stderr, /The call did not survive/);
	assert.match(stdout, /node 1 is killed/);
});
