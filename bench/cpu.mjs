// SPDX-License-Identifier: GPL-2.0-or-later
// What a call costs at the processor: plain, with call_resume, and with what people would
// take instead.
//
// All instances are up at once and loaded in turn; every other round the order
// is reversed, and ratios are taken within a round, so that a machine that gets
// slower or faster meanwhile does so for all of them. The first configuration is
// there twice: what its two instances differ by is what this machine can tell
// apart at all.

import { ALLOCATOR, Gateway } from './gateway.mjs';
import { INSTEAD } from './instead.mjs';
import { Load, PEER_IP, SUB, tries } from './load.mjs';
import { missing, row } from './stats.mjs';
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
	...Object.keys(INSTEAD).map((name) => [name, name, 'plain']),
	['again', 'plain-again', 'plain'],
];

/* The module must have done its work, or there is nothing to compare. */
const DONE = {
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

/* An alternative that does not start here, or does not bear the load, is left out and said
 * to be; the others are what is measured. */
async function startAll(up, dir, options, loads, without) {
	const wanted = ([name]) => loads.some(([, where]) => where === name);
	for (const [name, defines] of Object.entries(VARIANTS).filter(wanted)) {
		const gateway = await Gateway.start(dir, name, { ...options, defines });
		up[name] = { gateway, stop: () => gateway.stop() };
	}
	for (const [name, { start }] of Object.entries(INSTEAD).filter(wanted)) {
		if (name in without) continue;
		await start(dir, name, options).then((one) => { up[name] = one; }, (e) => { without[name] = e.message; });
	}
}

async function snapshot({ gateway, beside, work }, count) {
	return {
		counters: count ? await gateway.counters() : {}, work: await work?.(), ns: gateway.cpu_ns(), beside: beside?.() ?? 0,
	};
}

/* @return {us: microseconds for each call, beside: those of another process, again} */
async function measure(load, one, name, scenario, { calls, rate, token }) {
	const count = name in DONE;
	const before = await snapshot(one, count);
	const { again } = await load.run(scenario, one.gateway.address, { calls, rate, token });
	await sleep(SETTLE_MS);
	const after = await snapshot(one, count);
	for (const [k, each] of Object.entries(DONE[name] ?? {})) {
		const [was, is] = [before.counters[k], after.counters[k]];
		if (is - was < each * calls || (each === 0 && is !== was)) throw new Error(`${name}: ${k} went from ${was} to ${is} with ${calls} calls`);
	}
	if (one.work && after.work - before.work < calls) throw new Error(`${name}: ${after.work - before.work} requests to the other process with ${calls} calls`);
	return { us: (after.ns - before.ns) / calls / 1000, beside: (after.beside - before.beside) / calls / 1000, again };
}

/* Where an instance's memory happens to lie makes a few percent: it gets other
 * memory after so many rounds. */
const ROUNDS_A_SITTING = 5;

/** @return {rows} */
export async function cpu(dir, options) {
	const { all, again, without } = await loaded(dir, options, LOADS);
	return { rows: rowsOf(all, again, without) };
}

/** @return {all: [what each of these loads took, of each round], again: messages sent again, without: {name: why it is not there}} */
export async function loaded(dir, options, loads) {
	const { rounds, note } = options;
	const all = [];
	const without = {};
	let again = 0;
	while (all.length < rounds) {
		const count = Math.min(ROUNDS_A_SITTING, rounds - all.length);
		again += await sitting(dir, options, loads, all.length, count, without, (us) => {
			all.push(us);
			note(`round ${all.length} of ${rounds}: ${loads.filter(([n]) => n in us).map(([n]) => `${n} ${us[n].toFixed(0)}`).join(', ')} us`);
		});
	}
	return { all, again, without };
}

/* Some rounds with one start of all instances. @return messages sent again */
async function sitting(dir, { calls, rate, keyRing, module, note }, loads, first, count, without, done) {
	const peerPort = await freePort(PEER_IP);
	const load = new Load(dir, peerPort);
	const up = {};
	let again = 0;
	try {
		await startAll(up, dir, { next: `${PEER_IP}:${peerPort}`, keyRing, module }, loads, without);
		const token = await up.sealed.gateway.token(SUB);
		/* The first round fills caches and pools and does not count. */
		for (let r = -1; r < count; r++) {
			const us = {};
			for (const [name, where, scenario] of (first + r) % 2 ? [...loads].reverse() : loads) {
				if (name in without) continue;
				try {
					const m = await tries(note, () => measure(load, up[where], name, scenario, { calls: r < 0 ? Math.min(calls, 400) : calls, rate, token }));
					us[name] = m.us;
					us[`${name} beside`] = m.beside;
					again += m.again;
				} catch (e) {
					if (!(name in INSTEAD)) throw e;
					without[name] = e.message;
				}
			}
			if (r >= 0) done(us);
		}
	} finally {
		await Promise.all(Object.values(up).map((one) => one.stop()));
	}
	return again;
}

/* Once at the start and once at the end of the round. */
export const plain = (u) => (u.plain + u.again) / 2;

export function rowsInstead(rounds, name, { title, other }, without) {
	const rows = [[`CPU a call: ${title} / plain [${ALLOCATOR}]`, name]];
	if (other) rows.push([`... and of ${other} beside it / plain`, `${name} beside`]);
	return rows.map(([what, key]) => (name in without
		? missing(what, 'ratio', without[name])
		: row(what, rounds.map((u) => u[key] / plain(u)), 'ratio')));
}

function rowsOf(rounds, again, without) {
	const ratio = (f) => rounds.map(f);
	const each = (name, key) => row(`CPU of ${name} [${ALLOCATOR}]`, rounds.map((u) => u[key]), 'us');
	return [
		row(`CPU a call: null control, plain / plain [${ALLOCATOR}]`, ratio((u) => u.again / u.plain), 'ratio'),
		row(`CPU a call: module loaded and idle / not loaded [${ALLOCATOR}]`, ratio((u) => u.idle / plain(u)), 'ratio', 1.03),
		row(`CPU a call: token checked and state sealed / plain [${ALLOCATOR}]`, ratio((u) => u.sealed / plain(u)), 'ratio', 1.20),
		row(`CPU a call: dialog module in memory / plain [${ALLOCATOR}]`, ratio((u) => u.dialog / plain(u)), 'ratio'),
		...Object.entries(INSTEAD).flatMap(([name, one]) => rowsInstead(rounds, name, one, without)),
		/* A resume is what a call that is lost and resumed costs beyond one that
		 * is lost; a call that is lost never has a BYE. */
		row(`CPU of a resume and its BYE / a new call and its BYE [${ALLOCATOR}]`, ratio((u) => (u.resume - u.setup) / u.sealed), 'ratio', 1.0),
		row(`CPU of a resume and what its BYE costs more / a new call without BYE [${ALLOCATOR}]`,
			ratio((u) => (u.resume - u.sealed) / u.setup), 'ratio', 1.0),
		each('a call, plain', 'plain'),
		each('a call, token checked and state sealed', 'sealed'),
		each('a call without BYE, token checked and state sealed', 'setup'),
		each('a call, dialog module', 'dialog'),
		row(`CPU of a resume and its BYE [${ALLOCATOR}]`, ratio((u) => u.resume - u.setup), 'us'),
		row('messages that SIPp had to send again, all rounds', again, 'messages'),
	];
}
