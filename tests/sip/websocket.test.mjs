// SPDX-License-Identifier: GPL-2.0-or-later
// A client on a WebSocket, as a page has it: it does not know its own address and is reached
// over the connection that it opened, or not at all. It is lost with that connection, and
// comes back on another one.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { FarEnd, sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

let stack, token, bob;
let open = []; // sockets of the current test
before(async () => {
	stack = await Stack.start('websocket');
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
});
afterEach(async () => {
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

const keep = (s) => (open.push(s), s);
const gateway = (transport) => ({
	ip: stack.kamailio.ip, port: transport === 'ws' ? stack.kamailio.ws : stack.kamailio.port,
});

async function farEnd() {
	const media = keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
	bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, media: media.port, to: gateway('udp') }));
}

/** One life of alice: a connection with audio, signed in. */
async function alice(transport) {
	const audio = keep(await Rtp.open());
	const client = keep(await FarEnd.open({
		user: 'alice', transport, token, media: audio.port, to: gateway(transport),
	}));
	const ok = await client.register();
	assert.equal(ok.status, 200);
	const key = /key=([\w-]{43})/.exec(ok.get('call-state-key'))[1];
	return Object.assign(client, { audio, key });
}

const request = (method, callId) => (m) => m.method === method && !m.status && m.callId === callId;

/** alice goes, without a word. */
function lose(client) {
	client.close();
	client.audio.close();
}

/** A life that resumes; resolves with its dialog. */
async function resume(client, state, callId) {
	const second = await client.call({ state });
	assert.equal(second.final.status, 200);
	assert.notEqual(second.callId, callId);
	assert.ok(!second.final.text.includes(callId), 'alice does not see the old Call-ID');
	assert.equal(second.state.split('.').length, 5, 'a sealed state in the 200');
	const [first] = second.routes;
	const { ip, port } = gateway(client.transport);
	assert.ok(first.startsWith(`<sip:${ip}:${port};`), `${first} leads to where the client is connected`);
	assert.equal(/;transport=(\w+)/.exec(first)?.[1], client.transport === 'udp' ? undefined : client.transport, first);
	const ack = await bob.take('the ACK of the resumed client', (m) => m.method === 'ACK' && m.cseq > 100);
	assert.equal(ack.callId, callId);
	await stack.talk(client, second.final.body, callId);
	assert.equal(await stack.onlyCall(), callId);
	return second;
}

/** INFO and re-INVITE of the far end get to the client, its own INFO to the far end. */
async function exchange(client, mine, callId) {
	const theirs = bob.dialog(callId);
	assert.equal((await theirs.request('INFO')).status, 200);
	const info = await client.take('an INFO', request('INFO', mine.callId));
	if (mine.callId !== callId) assert.ok(!info.text.includes(callId), 'alice does not see the old Call-ID');

	const ok = await theirs.request('INVITE', { body: sdp(bob.ip, bob.media, 9) });
	assert.equal(ok.status, 200);
	theirs.ack();
	const invite = await client.take('a re-INVITE', request('INVITE', mine.callId));
	await client.take('its ACK', request('ACK', mine.callId));
	assert.match(invite.body, client.transport === 'ws' ? /RTP\/SAVPF/ : /RTP\/AVP/, 'an offer for who gets it');
	assert.ok(invite.get('call-state'), 'a fresh state in the re-INVITE');

	assert.equal((await mine.request('INFO')).status, 200);
	await bob.take('the INFO of the client', request('INFO', callId));
}

async function hangUp(who, client, mine, callId) {
	const theirs = bob.dialog(callId);
	assert.equal((await (who === 'client' ? mine : theirs).request('BYE')).status, 200);
	if (who === 'client') await bob.take('the BYE', request('BYE', callId));
	else await client.take('the BYE', request('BYE', mine.callId));
	await stack.noMedia();
}

for (const [was, is, who] of [
	['ws', 'ws', 'far end'], ['ws', 'ws', 'client'],
	['ws', 'udp', 'far end'], ['ws', 'udp', 'client'],
	['udp', 'ws', 'far end'], ['udp', 'ws', 'client'],
	['tcp', 'ws', 'far end'], ['ws', 'tcp', 'far end'],
]) {
	test(`a caller lost on ${was} resumes on ${is}, the ${who} hangs up`, async () => {
		await farEnd();
		const one = await alice(was);
		const first = await one.call();
		const { callId } = first;
		assert.equal(first.final.status, 200);
		assert.equal(first.state.split('.').length, 5, 'a sealed state in the 200');
		await stack.talk(one, first.final.body, callId);
		await exchange(one, first, callId);
		lose(one);

		const two = await alice(is);
		assert.equal(two.key, one.key, 'the same client key');
		const second = await resume(two, first.state, callId);
		await exchange(two, second, callId);
		await hangUp(who, two, second, callId);
	});

	test(`a called client lost on ${was} resumes on ${is}, the ${who} hangs up`, async () => {
		await farEnd();
		const one = await alice(was);
		const theirs = await bob.call({ service: 'alice' });
		const { callId } = theirs;
		assert.equal(theirs.final.status, 200);
		const invite = await one.take('the INVITE', request('INVITE', callId));
		const mine = one.dialog(callId);
		const tag = /;tag=(.*)/.exec(mine.local)[1];
		assert.equal(invite.get('call-state').split('.').length, 5, 'a sealed state in the INVITE');
		await one.take('the ACK', request('ACK', callId));
		lose(one);

		const two = await alice(is);
		const second = await resume(two, `${invite.get('call-state')};tag=${tag}`, callId);
		await exchange(two, second, callId);
		await hangUp(who, two, second, callId);
	});
}

test('the old connection seems to be there still: everything goes over the new one', async () => {
	await farEnd();
	const one = await alice('ws');
	const first = await one.call();
	const { callId } = first;
	await stack.talk(one, first.final.body, callId);
	one.audio.close();
	one.inbox.length = 0;

	const two = await alice('ws');
	const second = await resume(two, first.state, callId);
	await exchange(two, second, callId);
	await hangUp('far end', two, second, callId);
	assert.deepEqual(one.inbox, [], 'nothing over the old one');
});

test('three connections in a row, each with the state of the one before', async () => {
	await farEnd();
	let life = await alice('ws');
	let dialog = await life.call();
	const { callId } = dialog;
	for (let i = 0; i < 3; i++) {
		lose(life);
		life = await alice('ws');
		dialog = await resume(life, dialog.state, callId);
		await exchange(life, dialog, callId);
	}
	await hangUp('far end', life, dialog, callId);
});

test('a connection that is pinged from both ends carries a call', async () => {
	await farEnd();
	const one = await alice('ws');
	const { webSocket } = one;
	const [, id] = new RegExp(`(\\d+): ws:${one.ip}:${one.port} ->`).exec(await stack.kamailio.kamcmd('ws.dump'));
	await stack.kamailio.kamcmd('ws.ping', id);
	webSocket.ping();
	await until('a ping and a pong', () => webSocket.pings === 1 && webSocket.pongs === 1);
	const first = await one.call();
	await hangUp('far end', one, first, first.callId);
});

for (const path of ['/', '/ws', '/ws/', '/ws?v=1', '/ws/?v=1', '/?v=1']) {
	test(`a WebSocket at ${path}`, async () => {
		const client = keep(await FarEnd.open({ user: 'alice', transport: 'ws', token, to: { ...gateway('ws'), path } }));
		assert.equal((await client.register()).status, 200);
	});
}

for (const path of ['/wss', '/ws/x', '/ws//', '/x?/ws', '//']) {
	test(`none at ${path}`, async () => {
		await assert.rejects(FarEnd.open({ user: 'alice', transport: 'ws', token, to: { ...gateway('ws'), path } }), /404/);
	});
}

test('an ACK to a page that is gone goes nowhere, without a line', async () => {
	await farEnd();
	const one = await alice('ws');
	const call = await bob.call({ service: 'alice', acknowledge: false });
	assert.equal(call.final.status, 200);
	one.close();
	const no = await call.request('INVITE', { body: sdp(bob.ip, bob.media, 3) });
	assert.equal(no.status, 491);
	const at = stack.kamailio.log().length;
	call.ack({ cseq: 1 });
	assert.equal((await call.request('OPTIONS')).status, 500);
	assert.deepEqual(stack.kamailio.logged(/ACK\}|WARNING|ERROR/, at), []);
	// The media that a trunk on UDP has to show itself for are those of the next page.
	const state = one.requests.find((m) => m.method === 'INVITE').get('call-state');
	const two = await alice('ws');
	const mine = await two.call({ state: `${state};tag=${/tag=(.*)/.exec(call.remote)[1]}` });
	assert.equal(mine.final.status, 200);
	await stack.talk(two, mine.final.body, call.callId);
});
