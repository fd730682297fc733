// SPDX-License-Identifier: GPL-2.0-or-later
// What the core's operations cost by themselves: rows from bench/core.c.

import { execFileSync } from 'node:child_process';
import path from 'node:path';

import { ROOT } from '../tests/lib/kamailio.mjs';
import { row } from './stats.mjs';

const RUNS = 5;

const BARE = ['bare AES-256-GCM seal', 'bare AES-256-GCM open'];
const WHOLE = ['cr_sealed_make', 'cr_sealed_open'];
/* What those consist of, about. */
const PARTS = {
	'keys (2 cr_client_key)': (r) => 2 * r.cr_client_key,
	'signature (2 cr_hmac)': (r) => 2 * r.cr_hmac,
	'JSON written and checked (cr_state_encode)': (r) => r.cr_state_encode,
	'JSON read and checked (cr_state_decode)': (r) => r.cr_state_decode,
	'AES-256-GCM': (r) => r.cr_gcm_seal + r.cr_gcm_open,
	'base64url and header written (rest of cr_jwe_seal)': (r) => r.cr_jwe_seal - r.cr_gcm_seal,
	'base64url and header read (rest of cr_jwe_open)': (r) => r.cr_jwe_open - r.cr_gcm_open,
};

function runOnce() {
	const out = execFileSync(path.join(ROOT, 'build/bench/core'), ['30'], { encoding: 'utf8' });
	return Object.fromEntries(out.trim().split('\n').map((l) => l.split('\t')).map(([k, v]) => [k, Number(v)]));
}

const sum = (run, names) => names.reduce((s, n) => s + run[n], 0);

/** @return {rows} */
export async function core() {
	execFileSync('make', ['-s', '-C', path.join(ROOT, 'bench')], { stdio: ['ignore', 'inherit', 'inherit'] });
	const runs = Array.from({ length: RUNS }, runOnce);
	const each = (f) => runs.map(f);
	const whole = (r) => sum(r, WHOLE);
	const rows = [
		row('seal and open a state / bare AES-256-GCM of the same bytes', each((r) => whole(r) / sum(r, BARE)), 'ratio'),
		row('a typical state as JSON', each((r) => r['state JSON']), 'bytes'),
		row('the same sealed, in a Call-State', each((r) => r['sealed state']), 'bytes'),
	];
	for (const [name, cost] of Object.entries(PARTS)) {
		rows.push(row(`share of seal and open: ${name}`, each((r) => cost(r) / whole(r)), 'ratio'));
	}
	for (const name of Object.keys(runs[0])) {
		if (name.startsWith('cr_') || name.startsWith('bare')) rows.push(row(name, each((r) => r[name]), 'ns'));
	}
	return { rows };
}
