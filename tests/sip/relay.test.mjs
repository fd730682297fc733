// SPDX-License-Identifier: GPL-2.0-or-later
// Nobody gets through the gateway by a made-up dialog: a To tag and a Route with its
// address, and no token, are not enough.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Client, Dialog, FarEnd, random, sdp } from '../lib/sip.mjs';

const REFUSED = 'SIP/2.0 403 Not in a call of ours';
// Of clients that are in no call, or in one: each with the method that could do harm.
const METHODS = ['INVITE', 'MESSAGE', 'OPTIONS', 'REFER', 'SUBSCRIBE', 'INFO', 'UPDATE', 'BYE'];

let stack, bob, token, carolsToken;
const open = [];
before(async () => {
	stack = await Stack.start('relay', { defines: { CHILDREN: 1 } });
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
	carolsToken = await stack.kamailio.token(`sip:carol@${DOMAIN}`, 'web-session-2');
});
afterEach(async () => {
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

const keep = (s) => (open.push(s), s);
const at = (transport = 'udp') => ({ ip: stack.kamailio.ip, port: transport === 'ws' ? stack.kamailio.ws : stack.kamailio.port });
const client = async (options = {}) => keep(await FarEnd.open({ user: 'alice', token, to: at(options.transport), ...options }));

async function farEnd() {
	bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: at() }));
}

/** Sent with nothing but made-up names, unless routes or headers say otherwise. */
function madeUp(party, { routes = [`<sip:${stack.gateway};lr>`], callId = random(), headers = [], user = 'mallory' } = {}) {
	const d = new Dialog(party, {
		callId, routes, target: `sip:bob@${TRUNK_IP}:${stack.trunkPort}`,
		local: `<sip:${user}@${DOMAIN}>;tag=${random(4)}`, remote: `<sip:bob@${DOMAIN}>;tag=${random(4)}`,
	});
	return (method) => d.request(method, { headers, body: method === 'INVITE' ? sdp('127.0.0.1', 4000) : '' });
}

/** Every method is refused, and the far end sees nothing. */
async function refuses(send, methods = METHODS) {
	const seen = bob.requests.length;
	for (const method of methods) {
		assert.equal((await send(method)).start, REFUSED, method);
	}
	assert.equal(bob.requests.length, seen, 'nothing reaches the far end');
}

test('a made-up To tag and a Route of ours', async () => {
	await farEnd();
	const stranger = keep(await Client.open({ user: 'mallory', to: at() }));
	await refuses(madeUp(stranger));
	await refuses(madeUp(stranger, { routes: [`<sip:${stack.gateway};lr;crs-a=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>`] }));
	await refuses(madeUp(stranger, { headers: ['Authorization: Bearer none'] }));
	await refuses(madeUp(keep(await Client.open({ user: 'mallory', transport: 'ws', to: at('ws') }))));
	assert.equal((await stack.rtpengine.calls()).length, 0, 'no ports either');
});

test('an ACK is not relayed, and not answered', async () => {
	await farEnd();
	const stranger = keep(await Client.open({ user: 'mallory', to: at() }));
	stranger.send(new Dialog(stranger, {
		callId: random(), routes: [`<sip:${stack.gateway};lr>`], target: `sip:bob@${TRUNK_IP}:${stack.trunkPort}`,
		local: `<sip:mallory@${DOMAIN}>;tag=1`, remote: `<sip:bob@${DOMAIN}>;tag=2`,
	}).text('ACK'));
	// One process takes them one after the other.
	await refuses(madeUp(stranger), ['INFO']);
	assert.deepEqual(stranger.inbox, []);
});

test('the Route of another call', async () => {
	await farEnd();
	const alice = await client();
	const call = await alice.call();
	assert.match(call.routes.join(), /;crs-a=/);
	const stranger = keep(await Client.open({ user: 'mallory', to: at() }));
	await bob.take('the ACK', (m) => m.method === 'ACK');
	await refuses(madeUp(stranger, { routes: call.routes }));
	assert.equal((await call.request('BYE')).status, 200);
});

test('a token does instead, of the user in From', async () => {
	await farEnd();
	const alice = await client();
	const headers = [`Authorization: Bearer ${token}`];
	assert.equal((await madeUp(alice, { headers, user: 'alice' })('INFO')).status, 200);
	const [info] = bob.requests;
	assert.equal(info.get('authorization'), undefined, 'the far end does not see it');
	await refuses(madeUp(alice, { headers, user: 'carol' }), ['INVITE', 'INFO']);
});

for (const transport of ['udp', 'ws']) {
	test(`a call over ${transport}, both sides, without a token in it; also after a resume`, async () => {
		await farEnd();
		const alice = await client({ transport });
		const calling = await alice.call();
		alice.dialogs.set(calling.callId, calling);
		const far = bob.dialog(calling.callId);
		for (const side of [calling, far]) {
			assert.equal((await side.request('INVITE', { body: sdp(side.party.ip, side.party.media, 2) })).status, 200);
			side.ack();
			assert.equal((await side.request('INFO')).status, 200);
		}
		const state = calling.state;
		alice.close();
		const again = await client({ transport });
		const back = await again.call({ state });
		assert.equal(back.final.status, 200);
		assert.equal((await back.request('INVITE', { body: sdp('127.0.0.1', 4000, 3) })).status, 200);
		back.ack();
		assert.equal((await back.request('BYE')).status, 200);
		await stack.noMedia();

		const next = await again.call();
		again.dialogs.set(next.callId, next);
		assert.equal((await bob.dialog(next.callId).request('BYE')).status, 200);
	});

	test(`a called client over ${transport}: its re-INVITE and BYE`, async () => {
		await farEnd();
		const alice = await client({ transport });
		assert.equal((await alice.register()).status, 200);
		const call = await bob.call({ service: 'alice' });
		const called = alice.dialog(call.callId);
		assert.equal((await called.request('INVITE', { body: sdp('127.0.0.1', 4000, 2) })).status, 200);
		called.ack();
		assert.equal((await called.request('BYE')).status, 200);
	});

	test(`a call of two clients over ${transport}: both sides`, async () => {
		const alice = await client({ transport });
		const carol = await client({ transport, user: 'carol', token: carolsToken });
		assert.equal((await carol.register()).status, 200);
		for (const last of [0, 1]) {
			const call = await alice.call({ service: 'carol' });
			alice.dialogs.set(call.callId, call);
			const sides = [call, carol.dialog(call.callId)];
			for (const side of sides) {
				assert.equal((await side.request('INVITE', { body: sdp('127.0.0.1', 4000, 2) })).status, 200);
				side.ack();
			}
			assert.equal((await sides[last].request('BYE')).status, 200);
		}
	});
}
