// SPDX-License-Identifier: GPL-2.0-or-later
// kill -9 of a node and its media server, with pages in Chromium that are in a call there, each of a user and a browser of
// its own, behind a balancer. They do nothing but what the helper does by itself.

import { using } from '../gateway.mjs';
import { row } from '../stats.mjs';
import { Browser } from '../../tests/lib/browser.mjs';
import { Cluster, followTargets, nodeIp } from '../../tests/lib/cluster.mjs';
import { Echo } from '../../tests/lib/echo.mjs';
import { DOMAIN, TRUNK_IP } from '../../tests/lib/stack.mjs';
import { until } from '../../tests/lib/wait.mjs';

const LAST_MS = 3000; // the last one back
const LIMIT_MS = 30_000; // what is not by then is lost
const HEARD_MS = 60_000; // a machine that has too much to do is slow, and has lost nothing
const BACK_MS = 60_000; // at the node that was killed, for the next round
const AT_ONCE = 2; // are set up
const TRIES = 5; // of a page to be where it has to be
const PART_MS = 360_000; // then no other round begins
const A_BROWSER = 10; // pages of one process: Chromium opens no more than 16 microphones at a time
const DIES = 1;
const WS_PORT = 8080;

/** All, some at a time. */
async function each(list, act) {
	const rest = list.entries();
	await Promise.all(Array.from({ length: AT_ONCE }, async () => {
		for (const [, one] of rest) await act(one);
	}));
}

/** On a machine that has a lot to do a page needs more than one try. */
async function tries(act) {
	for (let left = TRIES; ; left--) {
		try {
			return await act();
		} catch (e) {
			if (left === 1) throw e;
		}
	}
}

async function open(chromium, cluster, user) {
	const browser = await chromium.another();
	const tab = await browser.open('about:blank');
	const password = cluster.portal.add(`${user}@${DOMAIN}`);
	await tries(async () => {
		await tab.page.goto(`${cluster.web.url}/examples/jssip.html`);
		await tab.signIn(user, password);
		await tab.registered();
	});
	await tries(async () => {
		if ((await tab.states()).length === 0) await tab.dial('echo');
		await tab.up();
		await tab.hears();
	});
	return Object.assign(tab, { user });
}

/** @returns ms after the kill, of each page that is in its call again: the page hears, and the far
 * end has the ACK of the last re-INVITE */
async function lose(cluster, echo, tabs, note) {
	const back = new Map(); // by Call-ID
	const killed = performance.now();
	echo.answer = (m, call) => {
		if (m.method === 'ACK' && call) back.set(m.callId, performance.now() - killed);
	};
	await cluster.kill(DIES);
	await until('all to be back', () => back.size === tabs.length, { timeout_ms: LIMIT_MS }).catch(() => {});
	const heard = await Promise.all(tabs.map((tab) => tab.hears({ timeout_ms: HEARD_MS }).then(() => true, (e) => void note(e.message))));
	const times = [...back.values()].sort((a, b) => a - b);
	return times.slice(0, heard.filter(Boolean).length);
}

/** Reloaded until it is in its call at that node again: the balancer takes some seconds to see that it is back. */
const goBack = (cluster, tab) => until(`${tab.user} to be at node ${DIES}`, async () => {
	await tab.page.reload();
	await tab.up().catch(() => tab.dial('echo'));
	await tab.up();
	await tab.hears();
	return isThere(cluster, tab.user);
}, { timeout_ms: BACK_MS, every_ms: 500 });

async function isThere(cluster, user) {
	const bindings = await cluster.node(DIES).kamailio.kamcmd('ul.dump');
	const [, of] = new RegExp(`AoR: ${user}@([^]*?)(AoR: |$)`).exec(bindings) ?? [];
	return new RegExp(`Server-Id: ${DIES}\\b`).test(of);
}

export async function pages({ pages: count, rounds, note }) {
	const seen = { lost: 0, last: [], half: [] };
	/* All are at one node until it dies. */
	const servers = [1, 2, 3].map((n) => `${nodeIp(n)}:${WS_PORT}${n === DIES ? '' : ' backup'}`);
	const cluster = await Cluster.start('bench-cluster-pages', { nodes: 3, kamailio: { args: using() }, web: {
		kamailio: servers, values: { SESSION_RATE: '$binary_remote_addr zone=call_resume_session:1m rate=1000r/s' },
	} });
	const chromiums = [];
	try {
		const echo = cluster.keep(followTargets(await Echo.open({ ip: TRUNK_IP, port: cluster.trunkPort, video: true, to: cluster.at(DIES) })));
		for (let i = 0; i < count; i += A_BROWSER) chromiums.push(await Browser.start());
		const tabs = [];
		await each(Array.from({ length: count }, (_, i) => i), async (i) => tabs.push(await open(chromiums[Math.floor(i / A_BROWSER)], cluster, `u${i}`)));
		note(`pages: ${count} in calls after ${Math.round(performance.now() / 1000)} s`);
		const end = performance.now() + PART_MS;
		for (let round = 0; round < rounds && performance.now() < end; round++) {
			const back = await lose(cluster, echo, tabs, note);
			note(`pages, ${round + 1} of ${rounds}: ${back.length} in their calls, the last after ${Math.round(Math.max(...back, 0))} ms`);
			seen.lost += count - back.length;
			seen.last.push(Math.max(...back, 0));
			seen.half.push(back[back.length >> 1] ?? 0);
			if (back.length < count) break;
			await cluster.revive(DIES);
			await each(tabs, (tab) => goBack(cluster, tab));
		}
	} finally {
		for (const one of chromiums) await one.close();
		await cluster.stop();
	}
	const name = `node killed with ${count} pages in Chromium`;
	return [
		{ ...row(`${name}: calls lost, in all rounds`, seen.lost, '', 0), ours: true },
		row(`${name}: the last one back`, seen.last, 'ms', LAST_MS),
		row(`${name}: half of them back`, seen.half, 'ms'),
	];
}
