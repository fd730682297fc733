// SPDX-License-Identifier: GPL-2.0-or-later
// A second record-routing proxy in the path:
//
//	alice (127.0.0.1) --- gateway (127.0.0.1) --- proxy (127.0.0.2) --- bob (127.0.0.3)
//
// Everything in the call has to pass it, before and after the resume.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Kamailio, ROOT } from '../lib/kamailio.mjs';
import { freePort } from '../lib/ports.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { Client, FarEnd, replyTo } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

const BOB_IP = '127.0.0.3';

/**
 * @param hop   transport between gateway and proxy
 * @param far   transport between proxy and bob
 * @param once  the proxy stays out of re-INVITEs
 */
function behindProxy(name, { hop = 'udp', far = 'udp', once = false }, tests) {
	describe(name, () => {
		const lab = { open: [] };
		const keep = (s) => (lab.open.push(s), s);
		let stack, proxy, token;

		before(async () => {
			const port = await freePort(TRUNK_IP);
			const ours = await freePort();
			lab.bobPort = await freePort(BOB_IP);
			stack = lab.stack = await Stack.start(`proxy-${name.replace(/\W+/g, '-')}`, {
				kamailio: { ports: { port: ours } },
				defines: {
					TRUNK_URI: `"sip:${TRUNK_IP}:${port};transport=${hop}"`,
					TRUNK_SOCKET: `"${hop}:127.0.0.1:${ours}"`,
				},
			});
			proxy = lab.proxy = await Kamailio.start(stack.dir, {
				name: 'proxy', ip: TRUNK_IP, cfg: path.join(ROOT, 'tests/lib/proxy.cfg'), ports: { port },
				defines: {
					GATEWAY: `"sip:${stack.gateway};transport=${hop}"`,
					FAR_END: `"sip:${BOB_IP}:${lab.bobPort};transport=${far}"`,
					RECORD_ROUTE_ONCE: once
				},
			});
			token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
		});
		afterEach(async () => {
			lab.open.splice(0).forEach((s) => s.close());
			// The next bob has the port of this one: the proxy must not think that he is still there.
			await until('the proxy to lose bob', async () => !(await proxy.kamcmd('core.tcp_list')).includes(BOB_IP));
			await stack.dropMedia();
		});
		after(async () => {
			await proxy?.stop();
			await stack?.stop();
		});

		lab.bob = async (options) => {
			const media = keep(await Rtp.open({ ip: BOB_IP, echo: true }));
			return keep(await FarEnd.open({
				ip: BOB_IP, port: lab.bobPort, transport: far, listen: far === 'tcp', media: media.port,
				to: { ip: TRUNK_IP, port: proxy.port }, ...options,
			}));
		};
		/** One life of alice. */
		lab.alice = async ({ transport = 'udp', As = Client, ...options } = {}) => {
			const audio = keep(await Rtp.open());
			const client = keep(await As.open({
				user: 'alice', transport, token, media: audio.port,
				to: { ip: stack.kamailio.ip, port: stack.kamailio.port }, ...options,
			}));
			return Object.assign(client, { audio });
		};
		/** The requests of a call that passed the proxy. */
		lab.passed = (callId) => [...proxy.log().matchAll(/passes: (\S+) (\S+)/g)]
			.filter(([, , id]) => id === callId).map(([, method]) => method);
		lab.test = (what, run) => test(`${name}: ${what}`, run);
		tests(lab);
	});
}

/** A call, the loss, the resume; then whoever hangs up. */
async function callAndResume(lab, { was = 'udp', is = 'udp', copy = true, who }) {
	const bob = await lab.bob({ copy });
	const one = await lab.alice({ transport: was });
	const first = await one.call();
	assert.equal(first.final.status, 200);
	const { callId } = first;
	await lab.stack.talk(one, first.final.body, callId);
	await bob.take('the ACK', (m) => m.method === 'ACK');
	one.close();
	one.audio.close();

	const two = await lab.alice({ transport: is });
	const second = await two.call({ state: first.state });
	assert.equal(second.final.status, 200);
	await bob.take('the second ACK', (m) => m.method === 'ACK' && m.cseq > 1);
	await lab.stack.talk(two, second.final.body, callId);
	assert.ok(!second.final.text.includes(callId), 'alice does not see the old Call-ID');
	assert.ok(second.routes.length >= 2, `gateway and proxy are in the route set: ${second.routes}`);

	if (who === 'client') {
		assert.equal((await second.request('BYE')).status, 200);
	} else {
		const done = bob.dialog(callId).request('BYE');
		const bye = await two.take('the BYE', (m) => m.method === 'BYE');
		assert.equal(bye.callId, second.callId);
		bye.answer(replyTo(bye, 200, 'OK'));
		assert.equal((await done).status, 200);
	}
	await lab.stack.noMedia();
	assert.deepEqual(lab.passed(callId), ['INVITE', 'ACK', 'INVITE', 'ACK', 'BYE']);
	assert.deepEqual(lab.passed(second.callId), [], 'nobody behind the gateway sees the new Call-ID');
	return { first, second, bob };
}

behindProxy('UDP on both sides', {}, (lab) => {
	for (const copy of [true, false]) {
		for (const who of ['client', 'far end']) {
			lab.test(`the far end ${copy ? 'copies' : 'does not copy'} Record-Route, the ${who} hangs up`,
				() => callAndResume(lab, { copy, who }));
		}
	}

	// Two Record-Routes of the gateway, one for each transport, and the proxy's.
	for (const who of ['client', 'far end']) {
		lab.test(`from TCP to UDP, over a double Record-Route, the ${who} hangs up`, async () => {
			const { first, bob } = await callAndResume(lab, { was: 'tcp', is: 'udp', copy: false, who });
			assert.equal(first.routes.length, 3);
			const invite = bob.requests.find((m) => m.method === 'INVITE');
			assert.equal(invite.recordRoutes.filter((r) => r.includes('r2=on')).length, 2);
		});
	}

	lab.test('a called client resumes and hangs up', async () => {
		const reg = await lab.alice();
		assert.equal((await reg.register()).status, 200);
		reg.close();
		reg.audio.close();
		const one = await lab.alice({ As: FarEnd, port: reg.port });
		const bob = await lab.bob({ copy: false });
		const theirs = await bob.call({ service: 'alice' });
		assert.equal(theirs.final.status, 200);
		const { callId } = theirs;
		const invite = await one.take('the INVITE', (m) => m.method === 'INVITE');
		await lab.stack.talk(one, invite.body, callId);
		const mine = one.dialog(callId);
		const state = `${invite.get('call-state')};tag=${/;tag=(.*)/.exec(mine.local)[1]}`;
		one.close();
		one.audio.close();

		const two = await lab.alice();
		const second = await two.call({ state });
		assert.equal(second.final.status, 200);
		await lab.stack.talk(two, second.final.body, callId);
		assert.equal((await second.request('BYE')).status, 200);
		await lab.stack.noMedia();
		assert.deepEqual(lab.passed(callId), ['INVITE', 'ACK', 'INVITE', 'ACK', 'BYE']);
	});

	lab.test('the gateway is killed between the resume and its 200', async () => {
		const bob = await lab.bob();
		const one = await lab.alice();
		const first = await one.call();
		const { callId } = first;
		await bob.take('the ACK', (m) => m.method === 'ACK');
		one.close();
		one.audio.close();
		bob.answer = () => false;
		const two = await lab.alice();
		const resumed = two.call({ state: first.state });
		const reinvite = await bob.take('the re-INVITE', (m) => m.method === 'INVITE' && m.tag('to'));
		await lab.stack.kamailio.kill();
		await lab.stack.kamailio.boot();
		bob.answer = () => true;
		bob.accept(reinvite);
		const second = await resumed;
		assert.equal(second.final.status, 200);
		await lab.stack.talk(two, second.final.body, callId);
		assert.equal((await second.request('BYE')).status, 200);
		await lab.stack.noMedia();
		assert.deepEqual(lab.passed(callId), ['INVITE', 'ACK', 'INVITE', 'ACK', 'BYE']);
	});
});

behindProxy('a proxy that stays out of re-INVITEs', { once: true }, (lab) => {
	for (const who of ['client', 'far end']) {
		lab.test(`the ${who} hangs up`, () => callAndResume(lab, { who }));
	}
});

behindProxy('TCP to the proxy, UDP behind it', { hop: 'tcp' }, (lab) => {
	for (const [was, is, who] of [['udp', 'udp', 'client'], ['udp', 'tcp', 'far end']]) {
		lab.test(`a client lost on ${was} resumes on ${is}, the ${who} hangs up`,
			() => callAndResume(lab, { was, is, who, copy: false }));
	}
});

behindProxy('TCP all the way', { hop: 'tcp', far: 'tcp' }, (lab) => {
	for (const who of ['client', 'far end']) {
		lab.test(`the ${who} hangs up`, () => callAndResume(lab, { was: 'tcp', is: 'tcp', who }));
	}
});
