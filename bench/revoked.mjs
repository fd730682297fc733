// SPDX-License-Identifier: GPL-2.0-or-later
// What a million revoked sessions take: memory, and time to look one up. And what it
// costs to refuse a forged state, next to a resume. In a real Kamailio.

import { ALLOCATOR, Gateway } from './gateway.mjs';
import { Load, PEER_IP, SUB, tries } from './load.mjs';
import { atLeast, row } from './stats.mjs';
import { freePort } from '../tests/lib/ports.mjs';
import { Client } from '../tests/lib/sip.mjs';
import { Usage } from '../tests/lib/usage.mjs';
import { sleep } from '../tests/lib/wait.mjs';

const REVOKED = 1000000;
const LOOKUPS = 200000;

/* htable looks for what has lapsed every 20 s, through all of it. */
const SWEEP_MS = 20000;

/* A transaction is taken away this long after it is over, see cpu.mjs. */
const SETTLE_MS = 700;

/* So many forged states a second for one resume shall a core be able to refuse. */
const TIMES = 3;

/* What is loaded in a round: [scenario, as so many times as many]. Waking a process up is
 * a good part of what a message costs, and a core with less to do does it for more of them. What it
 * can do in a second is therefore compared when it is offered as much as it shall be able to do;
 * that still leaves it less busy with what is forged than with resumes. */
const LOADS = {
	setup: ['setup'],
	resume: ['resume-setup'],
	forged: ['forged'],
	flood: ['forged', TIMES],
};

/* What must have risen with each call, or something else has been measured. */
const DONE = {
	setup: ['tokens_accepted', 'states_sealed'],
	'resume-setup': ['tokens_accepted', 'dialogs_resumed', 'resumes_answered'],
	forged: ['tokens_accepted', 'states_not_yours'],
};

/* A good token has three names that must not be there: of the session, the user and the token. */
const NAMES = 3;

/* What a gateway uses with nothing to do, in nanoseconds a millisecond. */
async function idle(gateway, ms) {
	const [start, at] = [gateway.cpu_ns(), performance.now()];
	await sleep(ms);
	return (gateway.cpu_ns() - start) / (performance.now() - at);
}

async function cpu(load, gateway, [scenario, times = 1], { calls, rate, token, rest }) {
	const n = calls * times;
	const before = await gateway.counters();
	const [start, at] = [gateway.cpu_ns(), performance.now()];
	const { again } = await load.run(scenario, gateway.address, { calls: n, rate: rate * times, token });
	await sleep(SETTLE_MS);
	const used = gateway.cpu_ns() - start - rest * (performance.now() - at);
	const after = await gateway.counters();
	for (const k of DONE[scenario]) {
		if (after[k] - before[k] < n) throw new Error(`${scenario}: ${k} went from ${before[k]} to ${after[k]} with ${n} calls`);
	}
	return { us: used / n / 1000, again };
}

/* Nanoseconds that the script takes for LOOKUPS rounds of a loop. */
async function loop(gateway, client, how) {
	const start = gateway.cpu_ns();
	const reply = await client.outside('OPTIONS', SUB, { headers: [`X-Loop: ${how}`] });
	if (reply.status !== 200) throw new Error(reply.start);
	return gateway.cpu_ns() - start;
}

/** @return {rows} */
export async function revoked(dir, { rounds, calls, rate, keyRing, module, note }) {
	const peerPort = await freePort(PEER_IP);
	const load = new Load(dir, peerPort);
	const options = { next: `${PEER_IP}:${peerPort}`, keyRing, module };
	let empty, full, client, again = 0;
	try {
		empty = await Gateway.start(dir, 'revoked-none', { ...options, defines: { USE_RESUME: true, REVOKED: 1 } });
		full = await Gateway.start(dir, 'revoked-many', { ...options, shm_mb: 1024, defines: { USE_RESUME: true, REVOKED } });
		const shm = await new Usage(full.kamailio).shared() - await new Usage(empty.kamailio).shared();
		const token = await empty.token(SUB);
		const rest = await idle(empty, 3000);
		const sweep = (await idle(full, SWEEP_MS) - rest) * SWEEP_MS / 1e6;
		client = await Client.open({ to: { ip: full.kamailio.ip, port: full.kamailio.port } });
		const all = [];
		for (let r = -1; r < Math.ceil(rounds / 5); r++) {
			const o = { calls: r < 0 ? 200 : calls, rate, token, rest };
			const us = {};
			for (const [name, what] of Object.entries(LOADS)) {
				const m = await tries(note, () => cpu(load, empty, what, o));
				us[name] = m.us;
				again += m.again;
			}
			const nothing = await loop(full, client, 'nothing');
			for (const how of ['found', 'absent']) us[how] = (await loop(full, client, how) - nothing) / LOOKUPS;
			if (r < 0) continue;
			all.push(us);
			note(`revoked, round ${all.length}: ${JSON.stringify(us, (k, v) => (typeof v === 'number' ? Number(v.toFixed(2)) : v))}`);
		}
		/* Without the BYE, which costs more in a dialog that was resumed. */
		const resume = (u) => u.resume - u.setup;
		const each = (f) => all.map(f);
		return {
			rows: [
				row(`${REVOKED} revoked sessions: shared memory for each [${ALLOCATOR}]`, shm / REVOKED, 'bytes'),
				row(`${REVOKED} revoked sessions: what has lapsed looked for, every 20 s`, sweep, 'ms'),
				row(`${REVOKED} revoked sessions: one of them looked up, by the script`, each((u) => u.found), 'ns'),
				row(`${REVOKED} revoked sessions: a name that is not there looked up, by the script`, each((u) => u.absent), 'ns'),
				row(`${REVOKED} revoked sessions: ${NAMES} names that are not there / a resume`, each((u) => NAMES * u.absent / 1000 / resume(u)), 'ratio', 0.05),
				row(`CPU of a forged state refused, as many a second as resumes [${ALLOCATOR}]`, each((u) => u.forged), 'us'),
				row(`CPU of a forged state refused, ${TIMES} times as many a second [${ALLOCATOR}]`, each((u) => u.flood), 'us'),
				row(`CPU of a resume / of a forged state refused, as many a second [${ALLOCATOR}]`, each((u) => resume(u) / u.forged), 'ratio', atLeast(TIMES)),
				row(`forged states refused a second / resumes a second, one core [${ALLOCATOR}]`, each((u) => resume(u) / u.flood), 'ratio', atLeast(TIMES)),
				row(`forged states refused a second, one core [${ALLOCATOR}]`, each((u) => 1e6 / u.flood), 'messages'),
				row(`resumes a second, one core [${ALLOCATOR}]`, each((u) => 1e6 / resume(u)), 'calls'),
				row('messages that SIPp had to send again, all rounds', again, 'messages'),
			],
		};
	} finally {
		client?.close();
		await full?.stop();
		await empty?.stop();
	}
}
