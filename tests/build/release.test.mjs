// SPDX-License-Identifier: GPL-2.0-or-later
// tools/release: what a command finds in the other root, and that nothing stays of it. The root is
// not one of debootstrap's (tools/test-releases has those), but a shell and little else.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { until } from '../lib/wait.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const root = process.getuid() === 0;
const skip = root ? false : 'only root can enter a root';

let tmp;
before(() => {
	tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'call_resume-'));
	if (!root) return;
	const bare = path.join(tmp, 'roots/sid.bare');
	for (const folder of ['proc', 'dev', 'tmp', 'etc', 'root', 'usr/bin', 'usr/local/share']) fs.mkdirSync(path.join(bare, folder), { recursive: true });
	fs.symlinkSync('usr/bin', path.join(bare, 'bin'));
	for (const program of ['sh', 'env', 'ls', 'cat', 'id', 'sleep', 'touch']) {
		const file = execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
		fs.copyFileSync(file, path.join(bare, 'usr/bin', program));
		for (const [library] of execFileSync('ldd', [file], { encoding: 'utf8' }).matchAll(/\/\S+(?= \()/g)) {
			fs.mkdirSync(path.join(bare, path.dirname(library)), { recursive: true });
			fs.copyFileSync(library, path.join(bare, library));
		}
	}
});
after(() => fs.rmSync(tmp, { recursive: true, force: true }));

const options = () => ({ cwd: ROOT, encoding: 'utf8', env: { ...process.env, CALL_RESUME_RELEASES: path.join(tmp, 'roots'), A_SECRET: 'x' } });
const release = (...args) => spawnSync('tools/release', args, options());
const mounted = () => fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(tmp));

test('says how it is used', () => {
	for (const args of [[], ['sid'], ['--bare', 'sid']]) {
		const { status, stderr } = release(...args);
		assert.equal(status, 2);
		assert.match(stderr, /^usage: tools\/release/);
	}
	for (const suite of ['../sid', 'sid/x', '', '-x']) assert.match(release(suite, 'true').stderr, /is no suite/);
});

test('its roots cannot be in the tree', { skip }, () => {
	const inside = path.join(ROOT, 'build/releases');
	const { status, stderr } = spawnSync('tools/release', ['sid', 'true'], { ...options(), env: { ...process.env, CALL_RESUME_RELEASES: inside } });
	fs.rmSync(inside, { recursive: true, force: true });
	assert.equal(status, 1);
	assert.match(stderr, /is in the tree/);
});

test('a command runs in a copy of the tree, as root, with nothing of the environment', { skip }, () => {
	const { status, stdout, stderr } = release('sid', 'sh', '-c', 'ls -a; id -u; env; ls /dev /dev/pts; cat /proc/1/comm; exit 7');
	assert.equal(status, 7, stderr);
	const words = stdout.split(/\s+/);
	for (const there of ['tools', 'modules', '.ci', '0', 'null', 'shm', 'ptmx', 'sh']) assert.ok(words.includes(there), `${there} in ${stdout}`);
	for (const not of ['.git', 'build', '.cache']) assert.ok(!words.includes(not), not);
	assert.doesNotMatch(stdout, /A_SECRET/);
	assert.deepEqual(mounted(), []);
});

test('what it leaves in its root is there the next time, but for the tree, and not with --bare', { skip }, () => {
	assert.equal(release('sid', 'sh', '-c', 'touch /kept here /tmp/here').status, 0);
	assert.match(release('sid', 'ls', '/', '.', '/tmp').stdout, /kept/);
	assert.doesNotMatch(release('sid', 'ls', '.', '/tmp').stdout, /here/);
	assert.doesNotMatch(release('--bare', 'sid', 'ls', '/').stdout, /kept/);
	assert.deepEqual(fs.readdirSync(path.join(tmp, 'roots')).sort(), ['sid', 'sid.bare', 'sid.lock']);
});

test('what it says while it makes a root is not in what the command says', { skip }, () => {
	const bin = path.join(tmp, 'bin');
	const empty = path.join(tmp, 'empty');
	fs.cpSync(path.join(tmp, 'roots/sid.bare'), empty, { recursive: true, verbatimSymlinks: true });
	for (const folder of ['etc/apt/sources.list.d', 'etc/apt/apt.conf.d', 'etc/dpkg/dpkg.cfg.d', 'usr/sbin']) fs.mkdirSync(path.join(empty, folder), { recursive: true });
	const script = (file, text) => fs.writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
	fs.mkdirSync(bin);
	script(path.join(bin, 'debootstrap'), `cp -a '${empty}' "$4"`);
	script(path.join(bin, 'apt-get'), 'echo http://127.0.0.1/ main Debian Debian');
	script(path.join(empty, 'usr/bin/apt-get'), 'exit 0');
	const { env } = options();
	const made = spawnSync('tools/release', ['fresh', 'id', '-u'], { ...options(), env: { ...env, PATH: `${bin}:${env.PATH}` } });
	assert.equal(made.stdout, '0\n', made.stderr);
	assert.match(made.stderr, /making a root of fresh/);
});

test('killed, it takes all its processes along, also those in the background', { skip }, async () => {
	const mark = `31${process.pid}`; // seconds: a sleep that is nobody else's
	const child = spawn('tools/release', ['--bare', 'sid', 'sh', '-c', `sleep ${mark} & sleep ${mark}`], { ...options(), stdio: 'ignore' });
	const sleeping = () => fs.readdirSync('/proc').filter((pid) => {
		try {
			return /^\d+$/.test(pid) && fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1') === `sleep\0${mark}\0`;
		} catch {
			return false;
		}
	}).length;
	await until('both to run', () => sleeping() === 2, { timeout_ms: 120_000 });
	child.kill('SIGTERM');
	const [status] = await once(child, 'exit');
	assert.equal(status, 143);
	await until('both to be gone', () => sleeping() === 0);
	assert.deepEqual(mounted(), []);
	assert.ok(!fs.readdirSync(path.join(tmp, 'roots')).some((name) => /^sid\.\w{6}$/.test(name)), 'nor their root');
});
