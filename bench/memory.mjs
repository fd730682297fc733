// SPDX-License-Identifier: GPL-2.0-or-later
// What the gateway keeps of calls that are up: its memory with many calls held
// against its memory before them, transactions gone both times.

import fs from 'node:fs';

import { ALLOCATOR, Gateway } from './gateway.mjs';
import { Load, PEER_IP, SUB } from './load.mjs';
import { row } from './stats.mjs';
import { freePort } from '../tests/lib/ports.mjs';
import { until } from '../tests/lib/wait.mjs';

const RATE_MOST = 400;
const WARM_UP = 2000;

async function numbers(gateway, ...command) {
	const out = await gateway.kamailio.kamcmd(...command);
	return [...out.matchAll(/([\w()-]+): (-?\d+)/g)].map(([, k, v]) => [k, Number(v)]);
}

/* Shared memory that call_resume itself has allocated. */
async function moduleShm(gateway) {
	const all = await numbers(gateway, 'mod.stats', 'call_resume', 'shm');
	const total = all.find(([k]) => k === 'Total');
	if (!total) throw new Error(`mod.stats does not say a total: ${JSON.stringify(all)}`);
	return total[1];
}

export async function snapshot(gateway) {
	const shm = Object.fromEntries(await numbers(gateway, 'core.shmmem'));
	const pkg = (await numbers(gateway, 'pkg.stats')).filter(([k]) => k === 'used').map(([, v]) => v);
	/* OpenSSL and jansson allocate there. */
	const heap = gateway.pids.map((pid) => {
		const m = fs.readFileSync(`/proc/${pid}/status`, 'latin1').match(/VmData:\s*(\d+) kB/);
		return Number(m[1]) * 1024;
	});
	return { shm: shm.used, pkg, heap, own: await moduleShm(gateway).catch(() => null) };
}

const transactions = async (gateway) => Object.fromEntries(await numbers(gateway, 'tm.stats')).current;
const settled = (gateway) => until('the transactions to be gone', async () => (await transactions(gateway)) === 0, { timeout_ms: 30000, every_ms: 250 });

/* Hold calls; what memory grew by, in bytes. */
async function held(load, gateway, scenario, { calls, rate, token }) {
	const warm = await load.start(scenario, gateway.address, { calls: WARM_UP, rate, token, timeout_s: WARM_UP / rate + 60 });
	await answered(gateway, warm, WARM_UP, rate);
	await end(warm);
	await settled(gateway);
	const before = await snapshot(gateway);
	const running = await load.start(scenario, gateway.address, { calls, rate, token, timeout_s: calls / rate + 120 });
	await answered(gateway, running, calls, rate);
	await settled(gateway);
	const after = await snapshot(gateway);
	await end(running);
	return {
		shm: after.shm - before.shm,
		own: after.own === null ? null : after.own - before.own,
		pkg: Math.max(...after.pkg.map((v, i) => v - before.pkg[i])),
		heap: Math.max(...after.heap.map((v, i) => v - before.heap[i])),
	};
}

/* All calls are up at both ends. */
function answered(gateway, load, calls, rate) {
	return until(`${calls} calls to be up`, () => {
		load.client.assertAlive();
		load.peer.assertAlive();
		const s = load.progress();
		return s.created === calls && s.up === calls;
	}, { timeout_ms: (calls / rate + 60) * 1000, every_ms: 500 });
}

async function end(load) {
	await load.client.kill();
	await load.peer.kill();
}

/** @return {rows} */
export async function memory(dir, { held: calls, rate: most, keyRing, module, note }) {
	const peerPort = await freePort(PEER_IP);
	const load = new Load(dir, peerPort);
	const options = { next: `${PEER_IP}:${peerPort}`, keyRing, module, shm_mb: 256 };
	const rate = Math.min(most, RATE_MOST);
	const few = Math.max(100, Math.round(calls / 10));
	let sealed, dialog;
	try {
		sealed = await Gateway.start(dir, 'held-sealed', { ...options, defines: { USE_RESUME: true } });
		dialog = await Gateway.start(dir, 'held-dialog', { ...options, defines: { USE_DIALOG: true } });
		const token = await sealed.token(SUB);
		const s = await held(load, sealed, 'hold', { calls, rate, token });
		note(`${calls} sealed calls held: ${JSON.stringify(s)}`);
		const d = await held(load, dialog, 'hold-plain', { calls: few, rate });
		note(`${few} calls held by the dialog module: ${JSON.stringify(d)}`);
		return {
			rows: [
				...(s.own === null ? [] : [row(`memory: shm of the module's own, ${calls} sealed calls held [${ALLOCATOR}]`, s.own, 'bytes', 0)]),
				row(`memory: all shm a held sealed call [${ALLOCATOR}]`, s.shm / calls, 'bytes', 0),
				row(`memory: pkg of any process, ${calls} sealed calls held [${ALLOCATOR}]`, s.pkg, 'bytes', 0),
				row(`memory: data segment of any process, ${calls} sealed calls held [${ALLOCATOR}]`, s.heap, 'bytes', 0),
				row(`memory: all shm a held call of the dialog module [${ALLOCATOR}]`, d.shm / few, 'bytes'),
			],
		};
	} finally {
		await sealed?.stop();
		await dialog?.stop();
	}
}
