// SPDX-License-Identifier: GPL-2.0-or-later
// What a call costs in a cluster and at one node alone, side by side, and what the nodes tell each other for it.

import { missing, row } from '../stats.mjs';
import { Wire } from '../wire.mjs';
import { Doors } from './killed.mjs';
import { Cluster } from '../../tests/lib/cluster.mjs';
import { farEnd, pagesOf } from '../../tests/lib/storm.mjs';
import { Stack } from '../../tests/lib/stack.mjs';
import { sleep } from '../../tests/lib/wait.mjs';

const TOGETHER = 12; // clients, as many at each node
const CALLS = 25; // of each in a round, one after the other
const IDLE_MS = 2000;
const NODE_PORT = 5090;
const PINGS_MS = 10_000; // two pings of dmq, ten questions of dispatcher

/* The same calls at both: {pages, programs, far} of one */
async function side(doorOf, programs, issuer, trunkPort) {
	const far = await farEnd(trunkPort);
	const pages = await pagesOf(doorOf, issuer, TOGETHER);
	const self = { pages, programs, far, cpu: () => programs.reduce((sum, p) => sum + p.proc.cpu_ms(), 0) };
	for (const page of pages) {
		await page.connect();
		await page.register();
	}
	return self;
}

async function calls(pages) {
	await Promise.all(pages.map(async (page) => {
		for (let i = 0; i < CALLS; i++) {
			for (const { status, start } of [await page.call(), await page.bye()]) if (status !== 200) throw new Error(start);
		}
	}));
}

/* Milliseconds on a processor, of all its programs: {idle: in a second, call} */
async function measure({ pages, cpu }) {
	const at = () => ({ ms: cpu(), when: performance.now() });
	const idle = at();
	await sleep(IDLE_MS);
	const begun = at();
	await calls(pages);
	/* Transactions are taken away some seconds after their end: as idle. */
	const ended = at();
	const each = (begun.ms - idle.ms) / (begun.when - idle.when);
	return { idle: each * 1000, call: (ended.ms - begun.ms - each * (ended.when - begun.when)) / (CALLS * pages.length) };
}

const sum = (of) => Object.values(of).reduce((a, b) => a + b, 0);

/* @returns rows of what nodes say to each other */
async function said({ pages }) {
	let wire;
	try {
		wire = new Wire([NODE_PORT]);
	} catch (e) {
		return [missing('replicated for each call', 'bytes', e.message)];
	}
	try {
		const of = await wire.during(() => calls(pages));
		const more = await wire.during(async () => {
			for (const page of pages) await page.register();
			await sleep(1000); /* until they are at the other nodes */
		});
		const idle = await wire.during(() => sleep(PINGS_MS));
		const n = CALLS * pages.length;
		return [
			row('replicated for each call, registrations apart', (of.dialogs + of.tables + of.other) / n, 'bytes', 0),
			row('... for each registration, to all other nodes', more.registrations / pages.length, 'bytes'),
			row('three nodes ask each other whether they are there, each second', sum(idle) / PINGS_MS * 1000, 'bytes'),
		];
	} finally {
		wire.close();
	}
}

export async function cost({ rounds, note }) {
	const seen = { cluster: [], alone: [] };
	const up = [];
	let rows;
	try {
		/* Those that wait for their turn are not asked whether they live. */
		const defines = { RESUMES_MAX: 100000, USER_REQUESTS_MAX: 0, WS_KEEPALIVE: 600, SILENCE_WS: 1300 };
		const cluster = await Cluster.start('bench-cluster-cost', { nodes: 3, defines });
		up.push(cluster);
		const stack = await Stack.start('bench-cluster-alone', { defines });
		up.push(stack);
		const sides = {
			cluster: await side((i) => new Doors(cluster, 1 + i % 3), cluster.nodes.flatMap(({ kamailio, rtpengine }) => [kamailio, rtpengine]), cluster.node(1).kamailio, cluster.trunkPort),
			alone: await side(() => ({ door: { transport: 'ws', to: { ip: stack.kamailio.ip, port: stack.kamailio.ws } } }), [stack.kamailio, stack.rtpengine], stack.kamailio, stack.trunkPort),
		};
		up.push(...Object.values(sides).map((s) => ({ stop() {
			for (const { client } of s.pages) client?.close();
			s.far.kill();
		} })));
		/* The first round fills caches and pools and does not count. */
		for (let round = 0; round <= rounds; round++) {
			for (const who of round % 2 ? ['alone', 'cluster'] : ['cluster', 'alone']) {
				const one = await measure(sides[who]);
				if (round > 0) seen[who].push(one);
				note(`cost, ${round} of ${rounds}, ${who}: ${one.call.toFixed(2)} ms a call, idle ${one.idle.toFixed(1)} ms a second`);
			}
		}
		rows = await said(sides.cluster);
	} finally {
		for (const one of up.reverse()) await one.stop();
	}
	return [
		row('CPU a call, cluster / single node, without a fault', seen.cluster.map((c, i) => c.call / seen.alone[i].call), 'ratio', 1.1),
		row('... cluster of three', seen.cluster.map((c) => c.call), 'ms'),
		row('... single node', seen.alone.map((c) => c.call), 'ms'),
		row('CPU with nothing to do, each node of the cluster, each second', seen.cluster.map((c) => c.idle / 3), 'ms'),
		row('... single node', seen.alone.map((c) => c.idle), 'ms'),
		...rows,
	];
}
