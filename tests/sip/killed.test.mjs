// SPDX-License-Identifier: GPL-2.0-or-later
// Kamailio is killed in the worst moments of a resume, and comes back knowing
// nothing. (Killed before the resume: resume.test.mjs.)

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { Client, FarEnd, replyTo } from '../lib/sip.mjs';

let stack, token, far;
let open = []; // sockets of the current test
before(async () => {
	stack = await Stack.start('killed');
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
});
afterEach(async () => {
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

const gateway = () => ({ ip: stack.kamailio.ip, port: stack.kamailio.port });
const keep = (s) => (open.push(s), s);

async function farEnd(options) {
	const media = keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
	far = keep(await FarEnd.open({
		ip: TRUNK_IP, port: stack.trunkPort, media: media.port, to: gateway(), ...options,
	}));
	return far;
}

/** One life of alice: a client with audio. */
async function alice(transport = 'udp') {
	const audio = keep(await Rtp.open());
	const client = keep(await Client.open({
		transport, token, media: audio.port, to: gateway(),
	}));
	return Object.assign(client, { audio });
}

const talk = (client, dialog, callId) => stack.talk(client, dialog.final.body, callId);

const restart = async () => {
	await stack.kamailio.kill();
	await stack.kamailio.boot();
};

/** A call, the loss, and a resume whose 200 comes from a far end that answers a
 * Kamailio that has never seen the INVITE. */
async function resumeOverRestart(options) {
	await farEnd(options);
	const one = await alice();
	const first = await one.call();
	assert.equal(first.final.status, 200);
	const { callId } = first;
	await talk(one, first, callId);
	one.close();
	one.audio.close();

	far.answer = () => false;
	const two = await alice();
	const resumed = two.call({ state: first.state });
	const reinvite = await far.take('the re-INVITE', (m) => m.method === 'INVITE' && m.tag('to'));
	await restart();
	far.answer = () => true;
	far.accept(reinvite);
	const second = await resumed;
	assert.equal(second.final.status, 200);
	assert.notEqual(second.callId, callId);
	assert.ok(!second.final.text.includes(callId), 'alice does not see the old Call-ID');
	const ack = await far.take('the ACK', (m) => m.method === 'ACK' && m.cseq === reinvite.cseq);
	assert.equal(ack.callId, callId);
	await talk(two, second, callId);
	assert.equal(await stack.onlyCall(), callId);
	return { callId, first, two, second };
}

for (const copy of [true, false]) {
	const what = copy ? 'a far end that copies Record-Route' : 'one that does not';
	test(`killed between the resume and its 200, ${what}: audio, and the client hangs up`, async () => {
		const { callId, second } = await resumeOverRestart({ copy });
		assert.equal((await second.request('BYE')).status, 200);
		assert.equal((await far.take('the BYE', (m) => m.method === 'BYE')).callId, callId);
		await stack.noMedia();
	});
}

test('killed between the resume and its 200: the far end hangs up', async () => {
	const { callId, two, second } = await resumeOverRestart();
	const bye = far.dialog(callId).request('BYE');
	const got = await two.take('the BYE', (m) => m.method === 'BYE');
	assert.equal(got.callId, second.callId);
	assert.ok(!got.text.includes(callId), 'alice does not see the old Call-ID');
	got.answer(replyTo(got, 200, 'OK'));
	assert.equal((await bye).status, 200);
	await stack.noMedia();
});

test('killed between the resume and its 200: the client resumes again from its old state', async () => {
	const { callId, first, two } = await resumeOverRestart();
	two.close();
	two.audio.close();
	const three = await alice();
	const third = await three.call({ state: first.state });
	assert.equal(third.final.status, 200);
	await talk(three, third, callId);
	assert.ok(third.routes.length > 0, 'with a route set this time');
	assert.equal((await third.request('BYE')).status, 200);
	await stack.noMedia();
});

test('the same on TCP, where the connection dies too: the client comes back on a new one', async () => {
	await farEnd();
	const one = await alice('tcp');
	const first = await one.call();
	const { callId } = first;
	await far.take('the ACK', (m) => m.method === 'ACK');
	one.close();
	one.audio.close();

	far.answer = () => false;
	const two = await alice('tcp');
	two.call({ state: first.state }).catch(() => {}); // never answered
	const reinvite = await far.take('the re-INVITE', (m) => m.method === 'INVITE' && m.tag('to'));
	await restart();
	far.answer = () => true;
	far.accept(reinvite); // goes nowhere
	const three = await alice('tcp');
	const third = await three.call({ state: first.state });
	assert.equal(third.final.status, 200);
	await talk(three, third, callId);
	assert.equal((await third.request('BYE')).status, 200);
	await stack.noMedia();
});

test('killed between the resume and the BYE of the client', async () => {
	await farEnd();
	const one = await alice();
	const first = await one.call();
	await far.take('the ACK', (m) => m.method === 'ACK');
	one.close();
	one.audio.close();
	const two = await alice();
	const second = await two.call({ state: first.state });
	await talk(two, second, first.callId);
	await restart();
	await stack.audio(first.callId);
	assert.equal((await second.request('BYE')).status, 200);
	await stack.noMedia();
});

test('a request in a dialog, with neither Route nor map, still gets 481', async () => {
	await farEnd();
	const one = await alice();
	const call = await one.call();
	assert.equal((await call.request('BYE', { routes: [] })).status, 481);
	assert.equal((await call.request('BYE')).status, 200);
	await stack.noMedia();
});
