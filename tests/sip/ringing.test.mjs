// SPDX-License-Identifier: GPL-2.0-or-later
// A client that is lost while it rings: it rings again where it has registered again, and answers there;
// and what becomes of a call while nobody is there.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { openState } from '../lib/call.mjs';
import { FarEnd, message, random } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const USER = `sip:alice@${DOMAIN}`;

let stack, token, bob;
let open = []; // sockets of the current test
before(async () => {
	stack = await Stack.start('ringing', { tls: true });
	token = await stack.kamailio.token(USER, 'web-session-1');
});
afterEach(async () => {
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

const keep = (s) => (open.push(s), s);
const gateway = (transport) => ({ ip: stack.kamailio.ip, port: stack.kamailio[{ ws: 'ws', wss: 'wss', tls: 'tls' }[transport] ?? 'port'] });
const is = (method) => (m) => m.method === method && !m.status;

async function farEnd() {
	bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway('udp') }));
	return bob;
}

/** One life of alice, signed in: what comes, rings, until she says more. */
async function alice(transport = 'ws', options = {}) {
	const client = keep(await FarEnd.open({ user: 'alice', transport, token, to: gateway(transport), ...options }));
	client.answer = (m) => m.method !== 'INVITE';
	const ok = await client.register();
	assert.equal(ok.status, 200);
	client.key = Buffer.from(/key=([\w-]{43})/.exec(ok.get('call-state-key'))[1], 'base64url');
	return client;
}

/** The INVITE, which she lets ring. */
async function rings(client) {
	const invite = await client.take('an INVITE', is('INVITE'));
	client.reply(invite, 180, 'Ringing');
	return invite;
}

/** What was to come has come before the answer to this. */
async function silent(client) {
	assert.equal((await client.outside('OPTIONS', `sip:${DOMAIN}`)).status, 200);
	assert.deepEqual(client.inbox.filter(is('INVITE')).map((m) => m.start), []);
}

/** The gateway knows that the connections of those who are gone are. */
const gone = () => until('no connection', async () => !/\bESTAB|OK\b/.test(await stack.kamailio.kamcmd('core.tcp_list').catch(() => '')));

/** alice was there, and has left just now; bob may call. */
async function left() {
	await farEnd();
	(await alice()).close();
	await gone();
}

/** bob gives up. @returns the final answer to his INVITE; @param client answers the CANCEL */
async function cancel({ callId, dialog }, client) {
	const { branch, tag, cseq } = bob.last;
	bob.send(message(`CANCEL ${USER} SIP/2.0`, [
		`Via: SIP/2.0/UDP ${bob.host};branch=${branch}`, 'Max-Forwards: 70', `From: <sip:bob@${DOMAIN}>;tag=${tag}`, `To: <${USER}>`,
		`Call-ID: ${callId}`, `CSeq: ${cseq} CANCEL`,
	]));
	if (client) {
		await client.take('the CANCEL', is('CANCEL'));
		client.reply(client.requests.findLast(is('INVITE')), 487, 'Request Terminated');
	}
	return (await dialog).final;
}

/** bob calls; {callId, final, ...}: final is there when the call has an answer. */
function dial() {
	const callId = `call-${random()}`;
	const dialog = bob.call({ service: 'alice', callId });
	dialog.catch(() => {});
	const status = (wanted) => bob.take(`a ${wanted}`, (m) => m.status === wanted && m.callId === callId && m.method === 'INVITE');
	return { callId, dialog, status };
}

/** alice answers; the dialogs of both. */
async function answered(client, invite, { dialog, callId }) {
	client.accept(invite);
	const theirs = await dialog;
	assert.equal(theirs.final.status, 200);
	await client.take('the ACK', (m) => m.method === 'ACK' && m.callId === callId);
	return { theirs, mine: client.dialog(callId) };
}

async function hangUp(theirs, client) {
	assert.equal((await theirs.request('BYE')).status, 200);
	await client.take('the BYE', is('BYE'));
	await stack.noMedia();
}

/** Nothing of the call is left, in tm either. */
async function nothingLeft() {
	await stack.noMedia();
	await until('no transaction', async () => /current: 0\b/.test(await stack.kamailio.kamcmd('tm.stats')));
}

for (const transport of ['ws', 'wss', 'tcp', 'tls']) {
	test(`over ${transport}: rings again, is answered, and resumes`, async () => {
		await farEnd();
		const first = await alice(transport);
		const call = dial();
		await rings(first);
		await call.status(180);
		first.close();
		const second = await alice(transport);
		const invite = await rings(second);
		assert.equal(invite.callId, call.callId);
		const state = openState(invite.get('call-state'), second.key);
		assert.equal(state.call_id, call.callId);
		const { theirs } = await answered(second, invite, call);
		assert.equal((await theirs.request('INFO')).status, 200);
		second.close();
		const third = await alice(transport);
		const resumed = await third.call({ state: `${invite.get('call-state')};tag=${/tag=(.*)/.exec(second.dialog(call.callId).local)[1]}` });
		assert.equal(resumed.final.status, 200, resumed.final.start);
		assert.equal((await resumed.request('BYE')).status, 200);
		await stack.noMedia();
	});
}

test('reloaded twice, and refused by the last one', async () => {
	await farEnd();
	const first = await alice();
	const call = dial();
	await rings(first);
	first.close();
	const second = await alice();
	await rings(second);
	second.close();
	const third = await alice();
	const invite = await rings(third);
	third.reply(invite, 486, 'Busy Here');
	assert.equal((await call.dialog).final.status, 486);
	await stack.noMedia();
});

test('the caller gives up while nobody is there', async () => {
	await farEnd();
	const first = await alice();
	const call = dial();
	await rings(first);
	await call.status(180);
	first.close();
	await gone();
	assert.equal((await cancel(call)).status, 487);
	await stack.noMedia();
	// Too late: it rings no more.
	const second = await alice();
	await silent(second);
});

test('the caller gives up while one phone rings and another one is gone', async () => {
	await farEnd();
	const phone = await alice('tcp', { ip: '127.0.0.67' });
	const call = dial();
	await rings(phone);
	phone.close();
	await gone();
	const second = await alice();
	const invite = await rings(second);
	const final = cancel(call);
	const canceled = await second.take('the CANCEL', is('CANCEL'));
	assert.equal(canceled.callId, invite.callId);
	second.reply(invite, 487, 'Request Terminated');
	assert.equal((await final).status, 487);
	await stack.noMedia();
});

test('called while the page is being loaded: it rings when it is there', async () => {
	await left();
	const call = dial();
	await call.status(100);
	const second = await alice();
	const invite = await rings(second);
	await call.status(180);
	const { theirs } = await answered(second, invite, call);
	await hangUp(theirs, second);
});

test('called while nobody is there, and nobody comes', async () => {
	await left();
	const from = Date.now();
	const { final } = await dial().dialog;
	assert.equal(final.status, 480, final.start);
	assert.ok(Date.now() - from >= 2900, 'it has waited');
	await stack.noMedia();
});

test('called while nobody is there, and the caller gives up', async () => {
	await left();
	const call = dial();
	await call.status(100);
	assert.equal((await cancel(call)).status, 487);
	await stack.noMedia();
});

test('a client that registers once more rings once', async () => {
	await farEnd();
	const client = await alice();
	const call = dial();
	const invite = await rings(client);
	assert.equal((await client.register()).status, 200);
	await silent(client);
	const { theirs } = await answered(client, invite, call);
	await hangUp(theirs, client);
});

test('one that takes its binding away does not ring', async () => {
	await farEnd();
	const first = await alice();
	const call = dial();
	await rings(first);
	const second = keep(await FarEnd.open({ user: 'alice', transport: 'ws', token, to: gateway('ws') }));
	assert.equal((await second.register({ headers: ['Expires: 0'] })).status, 200);
	await silent(second);
	assert.equal((await cancel(call, first)).status, 487);
});

test('a phone that comes back by the same Contact rings again', async () => {
	await farEnd();
	const host = '127.0.0.68:5070';
	const first = await alice('tcp', { host });
	const call = dial();
	await rings(first);
	first.close();
	await gone();
	const second = await alice('tcp', { host });
	const invite = await rings(second);
	const { theirs } = await answered(second, invite, call);
	await hangUp(theirs, second);
});

test('nobody else rings', async () => {
	await farEnd();
	const first = await alice();
	const call = dial();
	await rings(first);
	const other = keep(await FarEnd.open({
		user: 'carol', transport: 'ws', token: await stack.kamailio.token(`sip:carol@${DOMAIN}`, 'web-session-2'), to: gateway('ws'),
	}));
	assert.equal((await other.register()).status, 200);
	await silent(other);
	assert.equal((await cancel(call, first)).status, 487);
});

test('no transaction is left', nothingLeft);
