// SPDX-License-Identifier: GPL-2.0-or-later
// kill -9 of a node and its media server, with calls of clients on WebSockets: they come back to whichever node takes them.

import { using } from '../gateway.mjs';
import { row } from '../stats.mjs';
import { Cluster } from '../../tests/lib/cluster.mjs';
import { farEnd, helperPause, hold, pagesOf } from '../../tests/lib/storm.mjs';
import { until } from '../../tests/lib/wait.mjs';

export const LAST_MS = 2000; // the last one is back
const LIMIT_MS = 30_000; // what is not back by then is lost
const DIES = 1;

/** Where a client connects: to one node, or, when that is gone, to each in turn, whether it lives or not. */
export class Doors {
	constructor(cluster, number) {
		Object.assign(this, { cluster, number, free: false, pause: helperPause });
	}

	get door() {
		if (this.free) this.number = 1 + this.number % this.cluster.nodes.length;
		const { ip, kamailio } = this.cluster.node(this.number);
		return { transport: 'ws', to: { ip, port: kamailio.ws } };
	}
}

/** They lose their node, and come back by themselves. @returns {back: [ms after the kill, of each], lost: {why: how many}, codes} */
async function lose(cluster, pages) {
	const result = { back: [], lost: {}, codes: {} };
	const coming = [];
	const begun = performance.now();
	for (const page of pages) {
		page.lost = () => {
			page.lost = undefined;
			/* As many begin with each node, the one that is dead among them. */
			Object.assign(page.storm, { free: true, number: 1 + page.i % cluster.nodes.length });
			coming.push(page.comeBack(result, begun, begun + LIMIT_MS));
		};
	}
	await cluster.kill(DIES);
	await until('all to have lost their connection', () => coming.length === pages.length, { timeout_ms: LIMIT_MS });
	await Promise.all(coming);
	return result;
}

/** Shared memory in use at a node, bytes. */
const used = async ({ kamailio }) => Number(/real_used: (\d+)/.exec(await kamailio.kamcmd('core.shmmem'))[1]);

export async function killed({ calls, rounds, note }) {
	const seen = { lost: 0, last: [], half: [], binding: [] };
	const cluster = await Cluster.start('bench-cluster-killed', { nodes: 3, defines: { RESUMES_MAX: 100000 }, kamailio: { args: using() } });
	let far;
	let pages = [];
	try {
		far = await farEnd(cluster.trunkPort);
		pages = await pagesOf(() => new Doors(cluster, DIES), cluster.node(DIES).kamailio, calls);
		for (let round = 0; round < rounds; round++) {
			for (const page of pages) Object.assign(page.storm, { free: false, number: DIES });
			const other = cluster.node(1 + DIES % cluster.nodes.length);
			const before = await used(other);
			await hold(pages);
			/* Of pages that were there before the binding is another one. */
			if (round === 0) seen.binding.push((await used(other) - before) / calls);
			const { back, lost, codes } = await lose(cluster, pages);
			note(`killed, ${round + 1} of ${rounds}: ${back.length} back, the last after ${Math.round(Math.max(...back))} ms, ${JSON.stringify({ ...codes, ...lost })}`);
			seen.lost += calls - back.length;
			seen.last.push(Math.max(...back, 0));
			seen.half.push(back.sort((a, b) => a - b)[back.length >> 1] ?? 0);
			if (back.length < calls) break;
			/* They hang up: that the call is really there again. */
			for (const page of pages) {
				const { start, status } = await page.bye();
				if (status !== 200) throw new Error(`BYE after the resume: ${start}`);
				page.client.close();
			}
			await cluster.revive(DIES);
		}
	} finally {
		for (const page of pages) {
			page.lost = undefined;
			page.client?.close();
		}
		far?.kill();
		await cluster.stop();
	}
	const name = `node killed with ${calls} calls`;
	return [
		{ ...row(`${name}: calls lost, in all rounds`, seen.lost, '', 0), ours: true },
		row(`${name}: the last one back`, seen.last, 'ms', LAST_MS),
		row(`${name}: half of them back`, seen.half, 'ms'),
		row('shared memory at another node for each registered page that is in a call', seen.binding, 'bytes'),
	];
}
