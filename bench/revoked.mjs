// SPDX-License-Identifier: GPL-2.0-or-later
// What a million revoked sessions take: memory, and time to look one up. And what it
// costs to refuse a forged state, next to a resume. In a real Kamailio.

import { ALLOCATOR, Gateway } from './gateway.mjs';
import { Load, PEER_IP, SUB } from './load.mjs';
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

/* A good token has three names that must not be there: of the session, the user and the token. */
const NAMES = 3;

/* What a gateway uses with nothing to do, in nanoseconds a millisecond. */
async function idle(gateway, ms) {
	const [start, at] = [gateway.cpu_ns(), performance.now()];
	await sleep(ms);
	return (gateway.cpu_ns() - start) / (performance.now() - at);
}

/* Once more where a machine that stood still has spoilt it, see cpu.mjs. */
async function cpu(load, gateway, scenario, options) {
	for (let left = 3; ; left--) {
		try {
			return await cpuOnce(load, gateway, scenario, options);
		} catch (e) {
			if (e.fatal || left === 1) throw e;
			options.note(`once more, because of ${e.message.split('\n')[0]}`);
		}
	}
}

async function cpuOnce(load, gateway, scenario, { calls, rate, token, rest }) {
	const [start, at] = [gateway.cpu_ns(), performance.now()];
	await load.run(scenario, gateway.address, { calls, rate, token });
	await sleep(SETTLE_MS);
	return (gateway.cpu_ns() - start - rest * (performance.now() - at)) / calls / 1000;
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
	let empty, full, client;
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
			const o = { calls: r < 0 ? 200 : calls, rate, token, rest, note };
			const us = {};
			for (const scenario of ['token', 'setup', 'resume', 'forged']) us[scenario] = await cpu(load, empty, scenario, o);
			const nothing = await loop(full, client, 'nothing');
			for (const how of ['found', 'absent']) us[how] = (await loop(full, client, how) - nothing) / LOOKUPS;
			if (r < 0) continue;
			all.push(us);
			note(`revoked, round ${all.length}: ${JSON.stringify(us, (k, v) => (typeof v === 'number' ? Number(v.toFixed(2)) : v))}`);
		}
		/* A resume without its BYE, see cpu.mjs. */
		const resume = (u) => u.resume - u.token;
		const each = (f) => all.map(f);
		return {
			rows: [
				row(`${REVOKED} revoked sessions: shared memory for each [${ALLOCATOR}]`, shm / REVOKED, 'bytes'),
				row(`${REVOKED} revoked sessions: what has lapsed looked for, every 20 s`, sweep, 'ms'),
				row(`${REVOKED} revoked sessions: one of them looked up, by the script`, each((u) => u.found), 'ns'),
				row(`${REVOKED} revoked sessions: a name that is not there looked up, by the script`, each((u) => u.absent), 'ns'),
				row(`${REVOKED} revoked sessions: ${NAMES} names that are not there / a resume`, each((u) => NAMES * u.absent / 1000 / resume(u)), 'ratio', 0.05),
				row(`CPU of a forged state refused [${ALLOCATOR}]`, each((u) => u.forged), 'us'),
				row(`forged states refused a second / resumes a second, one core [${ALLOCATOR}]`, each((u) => resume(u) / u.forged), 'ratio', atLeast(3)),
				row(`forged states refused a second, one core [${ALLOCATOR}]`, each((u) => 1e6 / u.forged), 'messages'),
				row(`resumes a second, one core [${ALLOCATOR}]`, each((u) => 1e6 / resume(u)), 'calls'),
			],
		};
	} finally {
		client?.close();
		await full?.stop();
		await empty?.stop();
	}
}
