// SPDX-License-Identifier: GPL-2.0-or-later
// What the core's operations cost by themselves: rows from bench/core.c.

import { execFileSync, spawnSync } from 'node:child_process';
import path from 'node:path';

import { ROOT } from '../tests/lib/kamailio.mjs';
import { atLeast, row } from './stats.mjs';

const RUNS = 5;

const WHOLE = ['cr_sealed_make', 'cr_sealed_open'];
/* What is compared with OpenSSL's primitives on the same bytes: [what, its cost, theirs, target]. */
const json = { 'a state sealed': 'cr_state_encode' };
const PAIRS = [
	['a token of ours, HS256', 'cr_token_verify', 'bare HS256 token'],
	['a token of an issuer, EdDSA', 'cr_token_accept, EdDSA of an issuer', 'bare EdDSA token'],
	['a token of an issuer, ES256', 'cr_token_accept, ES256 of an issuer', 'bare ES256 token'],
	['a client key derived', 'cr_client_key', 'bare client key'],
	['a state sealed', 'cr_sealed_make', 'bare state seal', 1.5],
	['a state opened, up to its JSON', 'a state opened up to its JSON', 'bare state open', 1.5],
	['a map sealed', 'cr_map_seal', 'bare map seal', 1.5],
	['a map opened', 'cr_map_open', 'bare map open', 1.5],
];
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
		...PAIRS.flatMap(([what, ours, bare, target]) => {
			const part = json[what];
			return [
				row(`${what}${part ? ', without its JSON' : ''} / OpenSSL's primitives on the same bytes`,
					each((r) => (r[ours] - (part ? r[part] : 0)) / r[bare]), 'ratio', target),
			];
		}),
		row('a state sealed: its JSON written and checked', each((r) => r.cr_state_encode), 'ns'),
		row('a state opened: its JSON read, by jansson, and checked', each((r) => r.cr_state_decode), 'ns'),
		row("core: forged states refused a second / resumes a second", each((r) => r["the core's work for a resume"] / r["the core's work for a forged state"]), 'ratio', atLeast(3)),
		row('a typical state as JSON', each((r) => r['state JSON']), 'bytes'),
		row('the same sealed, in a Call-State', each((r) => r['sealed state']), 'bytes'),
	];
	for (const [name, cost] of Object.entries(PARTS)) {
		rows.push(row(`share of seal and open: ${name}`, each((r) => cost(r) / whole(r)), 'ratio'));
	}
	for (const name of Object.keys(runs[0])) {
		if (/^(cr_|bare|the core|a state)/.test(name)) rows.push(row(name, each((r) => r[name]), 'ns'));
	}
	rows.push(...instructions());
	return { rows };
}

/* valgrind counts them, and has a processor of its own in mind: OpenSSL takes other code there than
 * on a newer one. What setting up costs is in both counts. */
function instructions() {
	const FEW = 200;
	const MANY = 1200;
	const count = (name, times) => {
		const { stderr, status } = spawnSync('valgrind', ['--tool=callgrind', '--callgrind-out-file=/dev/null',
			path.join(ROOT, 'build/bench/core'), '-n', String(times), name], { encoding: 'utf8' });
		if (status !== 0) throw new Error(`valgrind: ${stderr}`);
		return Number(/Collected : (\d+)/.exec(stderr)[1]);
	};
	try {
		execFileSync('valgrind', ['--version'], { stdio: 'ignore' });
	} catch {
		return [];
	}
	return ["the core's work for a sealed call", "the core's work for a resume", "the core's work for a forged state"]
		.map((name) => row(`instructions: ${name}`, (count(name, MANY) - count(name, FEW)) / (MANY - FEW), 'instructions'));
}
