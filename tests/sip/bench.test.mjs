// SPDX-License-Identifier: GPL-2.0-or-later
// make bench: each of its gateways takes its load, on a machine that is slow, or lacks something, too. What
// it measures is not looked at here. Its part without Kamailio is in tests/build.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { freshFolder } from '../../bench/gateway.mjs';
import { INSTEAD } from '../../bench/instead.mjs';
import { findRate } from '../../bench/rate.mjs';
import { atLeast, BELOW_NOTHING, row } from '../../bench/stats.mjs';
import { ROOT, writeKeyRing } from '../lib/kamailio.mjs';
import { runFolder } from '../lib/stack.mjs';

/** A run of some parts; resolves with its rows, and what it has said. */
function bench(name, parts, { rate = 20, env } = {}) {
	const out = path.join(runFolder(`bench-${name}`), 'bench.json');
	const run = spawnSync('node', ['bench/run.mjs', `--only=${parts}`, '--rounds=1', '--calls=10', `--rate=${rate}`, `--out=${out}`],
		{ cwd: ROOT, encoding: 'utf8', env: { ...process.env, ...env } });
	assert.equal(run.status, 0, run.stdout + run.stderr);
	return { ...run, rows: JSON.parse(fs.readFileSync(out, 'utf8')) };
}

/** A PATH where this program is another one, a shell script in which REAL is the true one. */
function instead(name, script) {
	const dir = runFolder(`bench-${name}`);
	const real = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
	fs.writeFileSync(path.join(dir, name), `#!/bin/sh\n${script.replaceAll('REAL', real)}\n`, { mode: 0o755 });
	return { PATH: `${dir}:${process.env.PATH}` };
}

test('cfg/kamailio.cfg under load, plain and sealed', () => {
	const { stderr, rows } = bench('own', 'own');
	assert.match(stderr, /own configuration, round 1: plain \d+, sealed \d+ us/);
	assert.equal(rows.length, 2);
});

test('all that is compared takes its load, and the other process its part of it', () => {
	const { rows } = bench('cpu', 'cpu');
	for (const row of rows) assert.ok(typeof row.value === 'number' || row.why === BELOW_NOTHING, JSON.stringify(row));
	for (const { title, other } of Object.values(INSTEAD)) {
		const at = rows.findIndex((r) => r.name.includes(`: ${title} /`));
		assert.ok(at >= 0, title);
		if (other) assert.ok(rows[at + 1].name.startsWith(`... and of ${other} `) && rows[at + 1].value > 0, JSON.stringify(rows[at + 1]));
	}
});

test('what cannot be measured here says so, and the rest is measured', () => {
	const { rows, stdout } = bench('without', 'cpu', { env: instead('redis-server', 'exit 1') });
	for (const row of rows) {
		const lacks = /Redis/.test(row.name);
		assert.equal(row.value === null && row.why !== BELOW_NOTHING, lacks, JSON.stringify(row));
		if (lacks) assert.ok(stdout.includes(`${row.name}: not measured, ${row.why}`), stdout);
	}
	assert.equal(rows.filter((r) => /Redis/.test(r.name)).length, 4);
});

test('a cost that comes out below nothing is none, whatever it was to be', () => {
	for (const target of [null, 1, atLeast(3)]) {
		const { value, ok, why } = row('a difference', [-2, -1, 3], 'ratio', target);
		assert.deepEqual({ value, ok, why }, { value: null, ok: null, why: BELOW_NOTHING });
	}
	assert.equal(row('a difference', [-1, 1, 3], 'ratio', 1).ok, true);
	assert.equal(row('less memory', -5, 'bytes', 0).value, -5);
});

test('a slow machine gets as many calls a second as it bears', async () => {
	// SIPp's options are pairs, most of them: the one behind -r is the rate.
	const slow = instead('sipp', 'rate=0 last=\nfor a; do [ "$last" = -r ] && rate=$a; last=$a; done\n[ "$rate" -gt 30 ] && exit 1\nexec REAL "$@"');
	const dir = runFolder('bench-slow');
	const notes = [];
	const { PATH } = process.env;
	process.env.PATH = slow.PATH;
	try {
		const rate = await findRate(dir, { keyRing: writeKeyRing(path.join(dir, 'keyring')), rate: 200, note: (text) => notes.push(text) });
		assert.equal(rate, 25);
	} finally {
		process.env.PATH = PATH;
	}
	assert.deepEqual(notes.map((n) => n.replace(/:.*/, '')), [200, 100, 50].map((n) => `${n} calls a second are too many here`));
});

test('a part that fails is said to have, and does not take the others with it', () => {
	const { rows, stderr } = bench('failed', 'own,size', { env: instead('rtpengine', 'exit 1') });
	assert.match(stderr, /rtpengine/);
	assert.equal(rows.find((r) => r.name.startsWith('own:')).value, null);
	assert.ok(rows.length > 3 && rows.at(-1).value !== null);
});

test('the folder of a run is for its owner, those above it are for all', () => {
	const base = path.join(runFolder('bench-folder'), 'build');
	freshFolder(path.join(base, 'run/bench'));
	const mode = (dir) => fs.statSync(dir).mode & 0o777;
	assert.equal(mode(path.join(base, 'run/bench')), 0o700);
	assert.equal(mode(path.join(base, 'run')), 0o777 & ~process.umask());
});
