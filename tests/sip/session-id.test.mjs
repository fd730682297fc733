// SPDX-License-Identifier: GPL-2.0-or-later
// RESUME_SESSION_ID: one Session-ID (RFC 7989) in the names of both dialogs, from the first INVITE to the
// last BYE, whatever becomes of Kamailio and its keys in between.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Client, FarEnd, replyTo } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';

const SUB = `sip:alice@${DOMAIN}`;
const NIL = '0'.repeat(32);

let stack, to, far, token;
before(async () => {
	stack = await Stack.start('session-id', { defines: { RESUME_SESSION_ID: true } });
	to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
	token = await stack.kamailio.token(SUB, 's-1');
});
after(async () => {
	far?.close();
	await stack?.stop();
});

const client = (options) => Client.open({ token, to, ...options });
const halves = (m) => /^([0-9a-f]{32});remote=([0-9a-f]{32})$/.exec(m.get('session-id'))?.slice(1);
const last = (method) => far.requests.findLast((m) => m.method === method);

async function lost(options) {
	const one = await client();
	const call = await one.call(options);
	assert.equal(call.final.status, 200);
	await far.take('the ACK', (m) => m.method === 'ACK' && m.callId === call.callId);
	one.close();
	return call;
}

async function back(call, options) {
	const two = await client();
	const n = await two.call({ state: call.state, ...options });
	assert.equal(n.final.status, 200);
	await far.take('the ACK', (m) => m.method === 'ACK' && m.callId === call.callId);
	return n;
}

test('the same two halves before and after two resumes, in requests and replies of both sides', async () => {
	const first = await lost();
	const [b, a] = halves(first.final);
	assert.notEqual(a, b);
	for (const half of [a, b]) assert.match(half, /^.{12}8.{3}[89ab]/, 'a UUID of version 8');
	assert.deepEqual(halves(last('INVITE')), [a, NIL], 'there is nobody yet');
	assert.deepEqual(halves(last('ACK')), [a, b]);
	let n = first;
	for (let i = 0; i < 2; i++) {
		n.party.close();
		n = await back({ ...n, callId: first.callId });
		assert.notEqual(n.callId, first.callId);
		assert.deepEqual(halves(last('INVITE')), [a, b]);
		assert.deepEqual(halves(n.final), [b, a]);
	}
	const info = far.dialog(first.callId).request('INFO');
	const got = await n.party.take('INFO', (m) => m.method === 'INFO');
	assert.equal(got.callId, n.callId);
	assert.deepEqual(halves(got), [b, a]);
	got.answer(replyTo(got, 200, 'OK'));
	assert.deepEqual(halves(await info), [a, b]);
	assert.deepEqual(halves(await n.request('BYE')), [b, a]);
	assert.deepEqual(halves(last('BYE')), [a, b]);
	n.party.close();
});

test('and after a rotation of the key ring, at a Kamailio that was not there before', async () => {
	const first = await lost();
	const [b, a] = halves(first.final);
	await stack.kamailio.kamcmd('call_resume.rotate');
	await stack.kamailio.kill();
	await stack.kamailio.boot();
	const n = await back(first);
	assert.deepEqual(halves(n.final), [b, a]);
	assert.deepEqual(halves(last('INVITE')), [a, b]);
	assert.equal((await n.request('BYE')).status, 200);
	n.party.close();
});

test('what a user agent says of itself stays as it is', async () => {
	const own = 'c'.repeat(32), hers = 'f'.repeat(32);
	far.answer = (m) => {
		if (m.method === 'INVITE' && !far.dialogs.has(m.callId)) {
			const reply = far.reply;
			far.reply = (r, status, reason, options) => reply.call(far, r, status, reason, { ...options, headers: [`Session-ID: ${hers};remote=${own}`] });
			far.accept(m);
			far.reply = reply;
			return false;
		}
		return true;
	};
	const call = await lost({ headers: [`Session-ID: ${own};remote=${NIL}`] });
	far.answer = () => true;
	assert.deepEqual(halves(last('INVITE')), [own, NIL]);
	assert.deepEqual(halves(call.final), [hers, own]);
	const n = await back(call, { headers: [`Session-ID: ${own};remote=${hers}`] });
	assert.deepEqual(halves(last('INVITE')), [own, hers]);
	assert.equal((await n.request('BYE', { headers: [`Session-ID: ${own};remote=${hers}`] })).status, 200);
	assert.deepEqual(halves(last('BYE')), [own, hers]);
	n.party.close();
});

test('none in what is no call', async () => {
	const one = await client();
	const registered = await one.register();
	assert.equal(registered.status, 200);
	assert.equal(registered.get('session-id'), undefined);
	one.close();
});

test('and none anywhere without the define', async () => {
	const plain = await Stack.start('session-id-off', {});
	const peer = await FarEnd.open({ ip: TRUNK_IP, port: plain.trunkPort, to: { ip: plain.kamailio.ip, port: plain.kamailio.port } });
	try {
		const one = await Client.open({ token: await plain.kamailio.token(SUB, 's-1'), to: { ip: plain.kamailio.ip, port: plain.kamailio.port } });
		const call = await one.call();
		assert.equal(call.final.get('session-id'), undefined);
		assert.equal(peer.requests[0].get('session-id'), undefined);
		assert.equal((await call.request('BYE')).status, 200);
		one.close();
	} finally {
		peer.close();
		await plain.stop();
	}
});
