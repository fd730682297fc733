// SPDX-License-Identifier: GPL-2.0-or-later
// What a call costs at the processor.
//
// All instances are up at once and loaded in turn; every other round the order
// is reversed, and ratios are taken within a round, so that a machine that gets
// slower or faster meanwhile does so for all of them. The first configuration is
// there twice: what its two instances differ by is what this machine can tell
// apart at all.

import { ALLOCATOR, Gateway } from './gateway.mjs';
import { Load, PEER_IP, SUB, tries } from './load.mjs';
import { row } from './stats.mjs';
import { freePort } from '../tests/lib/ports.mjs';
import { sleep } from '../tests/lib/wait.mjs';

/* A transaction is taken away this long after it is over (wt_timer in
 * kamailio.cfg, and the timer's own grain). That is part of its cost. */
const SETTLE_MS = 700;

/* What is loaded in a round: [name, gateway, scenario]. */
export const LOADS = [
	['plain', 'plain', 'plain'],
	['idle', 'idle', 'plain'],
	['sealed', 'sealed', 'token'],
	['setup', 'sealed', 'setup'],
	['resume', 'sealed', 'resume'],
	['dialog', 'dialog', 'plain'],
	['again', 'plain-again', 'plain'],
];

/* The module must have done its work, or there is nothing to compare. */
export const DONE = {
	sealed: { tokens_accepted: 1, states_sealed: 1, dialogs_resumed: 0 },
	setup: { tokens_accepted: 1, states_sealed: 1, dialogs_resumed: 0 },
	resume: { tokens_accepted: 2, states_sealed: 1, dialogs_resumed: 1 },
};

/* The gateways: bench/kamailio.cfg with these defines. */
export const VARIANTS = {
	plain: {},
	idle: { LOAD_RESUME: true },
	sealed: { USE_RESUME: true },
	dialog: { USE_DIALOG: true },
	'plain-again': {},
};

async function startAll(gateways, dir, options) {
	for (const [name, defines] of Object.entries(VARIANTS)) gateways[name] = await Gateway.start(dir, name, { ...options, defines });
}

/* @return {us: microseconds for each call, again} */
async function measure(load, gateway, name, scenario, { calls, rate, token }) {
	const count = name in DONE;
	const before = count && await gateway.counters();
	const start = gateway.cpu_ns();
	const { again } = await load.run(scenario, gateway.address, { calls, rate, token });
	await sleep(SETTLE_MS);
	const used = gateway.cpu_ns() - start;
	if (count) {
		const after = await gateway.counters();
		for (const [k, each] of Object.entries(DONE[name])) {
			if (after[k] - before[k] < each * calls || (each === 0 && after[k] !== before[k])) {
				throw new Error(`${name}: ${k} went from ${before[k]} to ${after[k]} with ${calls} calls`);
			}
		}
	}
	return { us: used / calls / 1000, again };
}

/* Where an instance's memory happens to lie makes a few percent: it gets other
 * memory after so many rounds. */
const ROUNDS_A_SITTING = 5;

/** @return {rows} */
export async function cpu(dir, options) {
	const { rounds, note } = options;
	const all = [];
	let again = 0;
	while (all.length < rounds) {
		const count = Math.min(ROUNDS_A_SITTING, rounds - all.length);
		again += await sitting(dir, options, all.length, count, (us) => {
			all.push(us);
			note(`round ${all.length} of ${rounds}: ${LOADS.map(([n]) => `${n} ${us[n].toFixed(0)}`).join(', ')} us`);
		});
	}
	return { rows: rowsOf(all, again) };
}

/* Some rounds with one start of all instances. @return messages sent again */
async function sitting(dir, { calls, rate, keyRing, module, note }, first, count, done) {
	const peerPort = await freePort(PEER_IP);
	const load = new Load(dir, peerPort);
	const gateways = {};
	let again = 0;
	try {
		await startAll(gateways, dir, { next: `${PEER_IP}:${peerPort}`, keyRing, module });
		const token = await gateways.sealed.token(SUB);
		/* The first round fills caches and pools and does not count. */
		for (let r = -1; r < count; r++) {
			const us = {};
			for (const [name, gw, scenario] of (first + r) % 2 ? [...LOADS].reverse() : LOADS) {
				const m = await tries(note, () => measure(load, gateways[gw], name, scenario, { calls: r < 0 ? Math.min(calls, 400) : calls, rate, token }));
				us[name] = m.us;
				again += m.again;
			}
			if (r >= 0) done(us);
		}
	} finally {
		await Promise.all(Object.values(gateways).map((g) => g.stop()));
	}
	return again;
}

function rowsOf(rounds, again) {
	const ratio = (f) => rounds.map(f);
	/* Once at the start and once at the end of the round. */
	const plain = (u) => (u.plain + u.again) / 2;
	const each = (name, key) => row(`CPU of ${name} [${ALLOCATOR}]`, rounds.map((u) => u[key]), 'us');
	return [
		row(`CPU a call: null control, plain / plain [${ALLOCATOR}]`, ratio((u) => u.again / u.plain), 'ratio'),
		row(`CPU a call: module loaded and idle / not loaded [${ALLOCATOR}]`, ratio((u) => u.idle / plain(u)), 'ratio', 1.03),
		row(`CPU a call: token checked and state sealed / plain [${ALLOCATOR}]`, ratio((u) => u.sealed / plain(u)), 'ratio', 1.10),
		row(`CPU a call: dialog module in memory / plain [${ALLOCATOR}]`, ratio((u) => u.dialog / plain(u)), 'ratio'),
		/* A resume is what a call that is lost and resumed costs beyond one that
		 * is lost; a call that is lost never has a BYE. */
		row(`CPU of a resume and its BYE / a new call and its BYE [${ALLOCATOR}]`, ratio((u) => (u.resume - u.setup) / u.sealed), 'ratio', 1.3),
		row(`CPU of a resume and what its BYE costs more / a new call without BYE [${ALLOCATOR}]`,
			ratio((u) => (u.resume - u.sealed) / u.setup), 'ratio', 1.3),
		each('a call, plain', 'plain'),
		each('a call, token checked and state sealed', 'sealed'),
		each('a call without BYE, token checked and state sealed', 'setup'),
		each('a call, dialog module', 'dialog'),
		row(`CPU of a resume and its BYE [${ALLOCATOR}]`, ratio((u) => u.resume - u.setup), 'us'),
		row('messages that SIPp had to send again, all rounds', again, 'messages'),
	];
}
