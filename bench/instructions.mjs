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

/* Kamailio is some thirty times slower there. */
const RATE = 30;
const CALLS = 300;

/* What all processes have counted, once they are gone; their profiles are for callgrind_annotate. */
function counted(dir, calls) {
	const totals = fs.readdirSync(dir).map((f) => fs.readFileSync(path.join(dir, f), 'latin1').match(/^(?:totals|summary): (\d+)/m)?.[1] ?? 0);
	return totals.reduce((sum, n) => sum + Number(n), 0) / calls;
}

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
		await new Load(dir, peerPort).run(scenario, gateway.address, { calls, rate: RATE, token });
	} finally {
		await gateway.stop();
	}
	return counted(profiles, calls);
}

/** @return {rows} */
export async function instructions(dir, { calls, keyRing, module, note }) {
	if (spawnSync('valgrind', ['--version']).status !== 0) throw new Error('valgrind is not here');
	const used = {};
	for (const [name, variant, scenario] of LOADS.filter(([n]) => ['plain', 'idle', 'sealed', 'dialog'].includes(n))) {
		used[name] = await measure(dir, name, scenario, Math.min(calls, CALLS), { keyRing, module, defines: { ...VARIANTS[variant], CHILDREN: 1 } });
		note(`${name}: ${Math.round(used[name])} instructions a call`);
	}
	return {
		rows: [
			row('instructions a call: module loaded and idle / not loaded', used.idle / used.plain, 'ratio'),
			row('instructions a call: token checked and state sealed / plain', used.sealed / used.plain, 'ratio'),
			row('instructions a call: dialog module in memory / plain', used.dialog / used.plain, 'ratio'),
			row('instructions a call, plain', used.plain, 'instructions'),
		],
	};
}
