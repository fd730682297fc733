// SPDX-License-Identifier: GPL-2.0-or-later
// A page behind a balancer, whose node is killed: it is in its call again at another one, by itself.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Browser } from '../lib/browser.mjs';
import { Cluster, followTargets } from '../lib/cluster.mjs';
import { Echo } from '../lib/echo.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { WebStack } from '../lib/webstack.mjs';

let cluster;
let chromium;
let browser;
let stack;

/** A media server may outlive its node. */
const servers = () => cluster.nodes.map(({ rtpengine }) => rtpengine).filter(({ proc }) => proc.alive);

/** What a call of a page asks of a stack. */
class WebCluster extends WebStack {
	async audio(callId) {
		const packets = () => Promise.all(servers().map((rtpengine) => rtpengine.packets(callId).catch(() => ({}))));
		const before = await packets();
		await until('audio both ways', async () => (await packets()).some((tags, i) => (
			Object.keys(tags).length === 2 && Object.keys(tags).every((tag) => tags[tag] - (before[i]?.[tag] ?? 0) >= 10))));
	}

	async noMedia() {
		await until('no media to be left', async () => (await Promise.all(servers().map((rtpengine) => rtpengine.calls()))).flat().length === 0);
	}
}

test.before(async () => {
	cluster = await Cluster.start('cluster-page', { nodes: 3, web: true, defines: { DRAIN_TIME: 4 } });
	const echo = followTargets(await Echo.open({ ip: TRUNK_IP, port: cluster.trunkPort, video: true, to: cluster.at(1) }));
	cluster.keep(echo);
	stack = Object.assign(new WebCluster(), {
		echo, web: cluster.web, passwords: Object.fromEntries(['alice', 'bob'].map((user) => [user, cluster.portal.add(`${user}@${DOMAIN}`)])),
	});
	chromium = await Browser.start();
});
test.beforeEach(async () => { browser = await chromium.another(); });
test.afterEach(async () => {
	await browser.close();
	for (const { number, alive } of cluster.nodes) if (!alive) await cluster.revive(number);
});
test.after(async () => {
	await chromium?.close();
	await cluster?.stop();
});

/** The node that a user is connected to. */
async function nodeOf(user) {
	const text = await cluster.alive[0].kamailio.kamcmd('ul.dump');
	return Number(new RegExp(`AoR: ${user}@[^]*?Server-Id: (\\d+)`).exec(text)[1]);
}

/** Which of these media servers Kamailio takes for a call that it has not seen. */
const serverFor = (callId, servers) => servers[(callId.split('').reduce((sum, c) => sum + c.charCodeAt(0), 0) & 0xff) % servers.length];

/** What each connection that the page has had knows of where its media go. */
const mediaServers = (tab) => tab.page.evaluate(() => window.connections.map((c) => /^c=IN IP4 (\S+)/m.exec(c.currentRemoteDescription?.sdp)?.[1]));

/** A call of alice's whose media are at the node of its page, or at another one. */
async function upWith(library, fits) {
	for (let call; ; await call.endsBy('far')) {
		call = await WebCall.up(stack, browser, { library, ...call && { tab: call.tab } });
		const at = await nodeOf('alice');
		if (fits(at, serverFor(call.far.id, [1, 2, 3]), serverFor(call.far.id, [1, 2, 3].filter((n) => n !== at)))) return { call, at };
	}
}

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: the node of a page is killed, and the page is in its call again at another one`, async () => {
		const { call, at } = await upWith(library, (node, had) => node === had);
		const { length } = await mediaServers(call.tab);
		await cluster.kill(at);
		const killed = performance.now();
		await until('a re-INVITE at the far end', () => call.far.reinvites > 0, { timeout_ms: 30000 });
		console.log(`# ${library}: back at the far end ${Math.round(performance.now() - killed)} ms after the kill`);
		await call.tab.up();
		await call.talks();
		assert.notEqual(await nodeOf('alice'), at);
		// Or it would speak to the port that the next one has.
		const [before, now] = (await mediaServers(call.tab)).slice(length - 1);
		assert.equal(before, cluster.node(at).ip, 'the connection of before has not heard of another media server');
		assert.notEqual(now, before);
		await call.endsBy('far');
	});
}

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: the node of a page is killed, whose media were at another one, and go to a third with its re-INVITE`, async () => {
		const { call, at: dead } = await upWith(library, (node, had, next) => had !== node && had !== next);
		const { ng, control } = cluster.node(dead).rtpengine;
		await cluster.kill(dead);
		// The others may not have asked it for anything yet.
		const enable = (is) => Promise.all(cluster.alive.map(({ kamailio }) => kamailio.kamcmd('rtpengine.enable', `udp:${control}:${ng}`, is)));
		await enable(0);
		await until('a re-INVITE at the far end', () => call.far.reinvites > 0, { timeout_ms: 30000 });
		await call.talks();
		await call.tab.up();
		await call.far.hangUp();
		await call.tab.up(0);
		// The one that it has left would keep it for its time without packets.
		for (const { rtpengine } of cluster.alive) await rtpengine.ask({ command: 'delete', 'call-id': call.far.id, 'delete-delay': 0 });
		await enable(1);
	});
}

const GAP = 60; // ms of audio

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: the node of a page is drained and stopped, and the page goes to another one without a gap or a word`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		const at = await nodeOf('alice');
		const { kamailio } = cluster.node(at);
		const line = await call.tab.line();
		const { audio } = call.far.rtp;
		audio.hole = 0;
		await kamailio.kamcmd('call_resume.drain');
		await until('a re-INVITE at the far end', () => call.far.reinvites > 0, { timeout_ms: 30000 });
		await until('the node to be empty', async () => /empty: yes/.test(await kamailio.kamcmd('call_resume.drain')));
		assert.notEqual(await nodeOf('alice'), at);
		assert.match(await kamailio.kamcmd('call_resume.drain'), /closed: 0/);
		await cluster.kill(at, { rtpengine: false });
		await call.talks();
		console.log(`# ${library}: the longest gap at the far end was ${audio.hole} ms`);
		assert.ok(audio.hole <= GAP, `${audio.hole} ms`);
		assert.equal(await call.tab.line(), line);
		assert.equal(call.far.reinvites, 1);
		await call.endsBy('far');
	});
}
