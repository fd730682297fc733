// SPDX-License-Identifier: GPL-2.0-or-later
// What a call costs in instructions, counted by valgrind while Kamailio has a message in
// hand: the same each time, on a machine that has other things to do too. The kernel is not
// in it, and for SHA-256 valgrind's processor has no instruction of its own.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { Gateway } from './gateway.mjs';
import { LOADS, VARIANTS } from './cpu.mjs';
import { Load, PEER_IP, SUB } from './load.mjs';
import { row } from './stats.mjs';
import { freePort } from '../tests/lib/ports.mjs';

/* Kamailio is some thirty times slower there, and nobody says anything again: how often that
 * would be depends on the machine. */
const RATE = 12;
const CALLS = 100;

/* Whose code it is, by the file that it is in. */
const OWNERS = { call_resume: /call_resume/, libcrypto: /libcrypto/, libc: /libc\.so|ld-linux/ };
const ownerOf = (object) => Object.keys(OWNERS).find((name) => OWNERS[name].test(object)) ?? 'Kamailio';

/* The sum of a profile by owner. Names are written once, and numbers later on; the line behind
 * calls= is the cost of what is called, and counted there. */
function addProfile(sums, text) {
	const names = {};
	let owner = 'Kamailio';
	let skip = false;
	for (const line of text.split('\n')) {
		const [, called, id, name] = line.match(/^(c?)ob=\((\d+)\)(?: (.*))?$/) ?? [];
		if (id !== undefined) {
			names[id] ??= name;
			if (!called) owner = ownerOf(names[id]);
		} else if (line.startsWith('calls=')) {
			skip = true;
		} else if (/^[+\-*\d]/.test(line)) {
			if (!skip) sums[owner] += Number(line.split(' ')[1]);
			skip = false;
		}
	}
}

/* What all processes have counted, once they are gone; their profiles are for callgrind_annotate.
 * @return {all: for each call, and by owner} */
function counted(dir, calls) {
	const sums = { Kamailio: 0, call_resume: 0, libcrypto: 0, libc: 0 };
	for (const f of fs.readdirSync(dir)) addProfile(sums, fs.readFileSync(path.join(dir, f), 'latin1'));
	for (const owner of Object.keys(sums)) sums[owner] = Math.round(sums[owner] / calls);
	return { all: Object.values(sums).reduce((a, b) => a + b, 0), ...sums };
}

/* The instructions of one load less those of another, by owner. */
const less = (a, b) => Object.fromEntries(Object.keys(a).map((k) => [k, a[k] - b[k]]));

const rowsByOwner = (what, used) => Object.entries(used).map(([owner, n]) => row(
	`instructions, ${what}${owner === 'all' ? '' : `, in ${owner}`}`, n, 'instructions'));

async function measure(dir, name, scenario, calls, options) {
	const profiles = path.join(dir, `profiles-${name}`);
	fs.mkdirSync(profiles);
	const peerPort = await freePort(PEER_IP);
	const gateway = await Gateway.start(dir, `instructions-${name}`, {
		next: `${PEER_IP}:${peerPort}`, ...options,
		under: ['valgrind', '--quiet', '--tool=callgrind', '--toggle-collect=receive_msg', `--callgrind-out-file=${profiles}/%p`],
	});
	try {
		const token = options.defines.USE_RESUME ? await gateway.token(SUB) : 'none';
		await new Load(dir, peerPort).run(scenario, gateway.address, { calls, rate: RATE, token, again: false });
	} finally {
		await gateway.stop();
	}
	return counted(profiles, calls);
}

/** @return {rows} */
export async function instructions(dir, { calls, keyRing, module, note }) {
	if (spawnSync('valgrind', ['--version']).status !== 0) throw new Error('valgrind is not here');
	const used = {};
	for (const [name, variant, scenario] of LOADS.filter(([n]) => ['plain', 'idle', 'sealed', 'setup', 'resume', 'dialog'].includes(n))) {
		used[name] = await measure(dir, name, scenario, Math.min(calls, CALLS), { keyRing, module, defines: { ...VARIANTS[variant], CHILDREN: 1, T1: 5000 } });
		note(`${name}: ${JSON.stringify(used[name])} instructions a call`);
	}
	const resume = less(used.resume, used.setup);
	return {
		rows: [
			row('instructions a call: module loaded and idle / not loaded', used.idle.all / used.plain.all, 'ratio'),
			row('instructions a call: token checked and state sealed / plain', used.sealed.all / used.plain.all, 'ratio'),
			row('instructions a call: dialog module in memory / plain', used.dialog.all / used.plain.all, 'ratio'),
			row('instructions of a resume and its BYE / a new call and its BYE', resume.all / used.sealed.all, 'ratio'),
			...rowsByOwner('a call, plain', used.plain),
			...rowsByOwner('more with the idle module', less(used.idle, used.plain)),
			...rowsByOwner('more sealed', less(used.sealed, used.plain)),
			...rowsByOwner('a resume and its BYE', resume),
		],
	};
}
