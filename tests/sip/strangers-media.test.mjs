// SPDX-License-Identifier: GPL-2.0-or-later
// A stranger who knows nothing sends RTP, RTCP, STUN and DTLS to every port of rtpengine, before, during and after the
// set-up of a call and its resume: he hears nothing and is not heard. Browsers are in tests/browser.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from '../lib/kamailio.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Rtp, audioPort } from '../lib/rtp.mjs';
import { Dialog, Endpoint, FarEnd, replyTo, sdp } from '../lib/sip.mjs';
import { Stranger } from '../lib/stranger.mjs';
import { until } from '../lib/wait.mjs';

// Few ports, so that each gets a packet of his every few milliseconds.
const PORTS = { ip: '127.0.0.1', first: 30000, last: 30098 };
const PASSES_RTCP = spawnSync('rtpengine', ['--version'], { encoding: 'utf8' }).output.join('').includes('Version: 10.');
const PHONE_IP = '127.0.0.3'; // strict-source is about addresses: each party has its own

let stack, stranger, token;
let open = [];
before(async () => {
	stack = await Stack.start('strangers-media', {
		rtpengine: { args: [`--port-min=${PORTS.first}`, `--port-max=${PORTS.last}`] },
	});
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 's1');
});
afterEach(async () => {
	await stranger?.close();
	stranger = undefined;
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

const keep = (s) => (open.push(s), s);
const gateway = () => ({ ip: stack.kamailio.ip, port: stack.kamailio.port });

/** The far end, with audio of its own that is sent back. */
async function farEnd(options) {
	const audio = keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
	const bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, media: audio.port, to: gateway(), ...options }));
	return Object.assign(bob, { audio });
}

/** A phone. The address that it names is its own, unless it is behind a NAT. */
async function phone({ user = 'alice', named, ...options } = {}) {
	const audio = keep(await Rtp.open({ ip: PHONE_IP }));
	const client = keep(await FarEnd.open({
		user, ip: PHONE_IP, media: audio.port, to: gateway(),
		token: user === 'alice' ? token : await stack.kamailio.token(`sip:${user}@${DOMAIN}`, `s-${user}`), ...options,
	}));
	return Object.assign(client, { audio, body: sdp(named ?? PHONE_IP, audio.port) });
}

async function sprays(kinds) {
	stranger = await Stranger.open({ to: PORTS });
	stranger.start(kinds);
	await until('every port to have got something', () => stranger.seq > 8);
}

/** Both hear each other for a while, and nobody else has a part in it. */
async function onlyTheTwo(...parties) {
	const before = parties.map(({ audio }) => audio.received);
	await until('audio both ways', () => parties.every(({ audio }, i) => audio.received - before[i] >= 40));
	for (const { audio } of parties) assert.equal(audio.loud, 0, 'not a sound of the stranger');
	assert.equal(stranger.heard, 0, 'not a packet for the stranger');
}

const sends = ({ audio }, body) => audio.send(audioPort(body), stack.rtpengine.ip);

/** The stranger has sent enough to have been heard. */
async function strangerTries() {
	const { seq } = stranger;
	await until('the stranger to try for a while', () => stranger.seq - seq > 100);
}

/** The phone has called, the far end plays before it answers, and the two hear each other. */
async function hearsEarlyMedia() {
	const bob = await farEnd({ answer: (m) => m.method !== 'INVITE' || !!m.tag('to') });
	const one = await phone();
	await sprays();
	const calling = one.call({ body: one.body });
	const invite = await bob.take('the INVITE', (m) => m.method === 'INVITE');
	// Of the dialog that the 200 will be in.
	bob.dialogs.set(invite.callId, new Dialog(bob, {
		callId: invite.callId, local: `${invite.get('to')};tag=early`, remote: invite.get('from'), routes: invite.recordRoutes,
	}));
	bob.reply(invite, 183, 'Session Progress', { body: sdp(bob.ip, bob.media), contact: true });
	const progress = await one.take('the 183', (m) => m.status === 183);
	sends(one, progress.body);
	await onlyTheTwo(one, bob);
	return { bob, one, calling, invite, progress };
}

test('sprayed before, during and after the set-up of a phone\'s call, and its resume', async () => {
	const bob = await farEnd();
	const one = await phone();
	await sprays();
	const first = await one.call({ body: one.body });
	assert.equal(first.final.status, 200);
	sends(one, first.final.body);
	await onlyTheTwo(one, bob);
	one.close();
	one.audio.close();

	const two = await phone();
	const again = await two.call({ state: first.state, body: two.body });
	assert.equal(again.final.status, 200);
	sends(two, again.final.body);
	await onlyTheTwo(two, bob);
	assert.equal((await bob.dialog(first.callId).request('BYE')).status, 200);
	await stack.noMedia();
});

test('sprayed while a call of the far end is set up, and its resume', async () => {
	const bob = await farEnd();
	const one = await phone();
	assert.equal((await one.register()).status, 200);
	await sprays();
	const theirs = await bob.call({ service: 'alice' });
	const { callId } = theirs;
	const invite = await one.take('the INVITE', (m) => m.method === 'INVITE');
	sends(one, invite.body);
	await onlyTheTwo(one, bob);
	const tag = /;tag=(.*)/.exec(one.dialog(callId).local)[1];
	one.close();
	one.audio.close();

	const two = await phone();
	const again = await two.call({ state: `${invite.get('call-state')};tag=${tag}`, body: two.body });
	assert.equal(again.final.status, 200);
	sends(two, again.final.body);
	await onlyTheTwo(two, bob);
});

test('sprayed while it rings: the caller does not hear him either', async () => {
	const bob = await farEnd({ answer: (m) => m.method !== 'INVITE' });
	const one = await phone();
	await sprays();
	const calling = one.call({ body: one.body });
	const invite = await bob.take('the INVITE', (m) => m.method === 'INVITE');
	bob.reply(invite, 180, 'Ringing');
	await one.take('the 180', (m) => m.status === 180);
	await strangerTries();
	assert.equal(one.audio.received, 0);
	bob.accept(invite);
	const first = await calling;
	assert.equal(first.final.status, 200);
	sends(one, first.final.body);
	await onlyTheTwo(one, bob);
});

test('sprayed while it rings, with an offer in the 200', async () => {
	const bob = await farEnd();
	const one = await phone();
	await sprays();
	const first = await one.call({ body: '', acknowledge: false });
	assert.equal(first.final.status, 200);
	await strangerTries();
	assert.equal(bob.audio.received, 0);
	first.ack({ body: one.body });
	await bob.take('the ACK', (m) => m.method === 'ACK');
	sends(one, first.final.body);
	await onlyTheTwo(one, bob);
});

// docs/limits.md, and a fault of rtpengine that docs/upstream.md has.
test('what looks like RTCP reaches the port of the other end, where rtpengine has that fault, until the first packet of RTP, and nothing does afterwards', async () => {
	const bob = await farEnd();
	const one = await phone();
	const strays = [];
	bob.audio.socket.on('message', (m) => { if (!m.subarray(4, 8).compare(Buffer.from([0, 0xba, 0xdb, 0xad]))) strays.push(m); });
	const first = await one.call({ body: one.body });
	assert.equal(first.final.status, 200);
	stranger = await Stranger.open({ to: PORTS });
	// rtpengine may not be there yet for the first ones, and datagrams get lost.
	const sent = async () => {
		await stranger.once(['rtcp']);
		return strays.length > 0 || (!PASSES_RTCP && stranger.seq > 100);
	};
	await until('it to get there', sent);
	assert.equal(strays.length > 0, PASSES_RTCP);
	stranger.start(['rtp']);
	await strangerTries();
	await stranger.stop();
	const { length } = strays;
	stranger.start(['rtp', 'rtcp']);
	await strangerTries();
	assert.equal(strays.length, length);
	sends(one, first.final.body);
	await onlyTheTwo(one, bob);
	assert.equal(strays.length, length);
});

test('early media are heard, and only those of the far end', async () => {
	const { bob, one, calling, invite } = await hearsEarlyMedia();
	bob.accept(invite);
	assert.equal((await calling).final.status, 200);
	await onlyTheTwo(one, bob);
});

test('early media are heard by a caller that is back, and only those of the far end', async () => {
	const { bob, one, calling, invite, progress } = await hearsEarlyMedia();
	calling.catch(() => {});
	one.close();
	one.audio.close();

	const two = await phone();
	const back = two.call({ state: progress.get('call-state'), body: two.body });
	const again = await two.take('the 183', (m) => m.status === 183);
	await strangerTries();
	assert.equal(two.audio.loud, 0);
	sends(two, again.body);
	await onlyTheTwo(two, bob);
	bob.accept(invite);
	const told = await back;
	assert.match(told.final.start, /^SIP\/2.0 500 Call Answered/);
	await onlyTheTwo(two, bob);
	const resumed = await two.call({ state: told.final.get('call-state'), body: two.body });
	assert.equal(resumed.final.status, 200);
	sends(two, resumed.final.body);
	await onlyTheTwo(two, bob);
});

test('sprayed in a call between two phones', async () => {
	const one = await phone();
	const two = await phone({ user: 'carol' });
	assert.equal((await two.register()).status, 200);
	await sprays();
	const calling = one.call({ service: 'carol', body: one.body });
	const invite = await two.take('the INVITE', (m) => m.method === 'INVITE');
	const first = await calling;
	assert.equal(first.final.status, 200);
	sends(one, first.final.body);
	sends(two, invite.body);
	await onlyTheTwo(one, two);
});

test('the far end\'s media move by a re-INVITE: both hear each other, the stranger and the old place do not', async () => {
	const bob = await farEnd();
	const one = await phone();
	const first = await one.call({ body: one.body });
	sends(one, first.final.body);
	await sprays();
	await onlyTheTwo(one, bob);

	const moved = keep(await Rtp.open({ ip: '127.0.0.4', echo: true }));
	const theirs = bob.dialog(first.callId);
	const ok = await theirs.request('INVITE', { body: sdp('127.0.0.4', moved.port, 2) });
	assert.equal(ok.status, 200);
	theirs.ack();
	const { received } = bob.audio;
	await onlyTheTwo(one, { audio: moved });
	assert.ok(bob.audio.received - received < 10, 'nothing more to where it was');
});

test('a trunk that answers from another address, with media at a third one: they go where it says', async () => {
	const bob = await farEnd({ answer: (m) => m.method !== 'INVITE' });
	const other = keep(await Endpoint.open({ ip: '127.0.0.4', to: gateway() }));
	const one = await phone();
	const calling = one.call({ body: one.body });
	const invite = await bob.take('the INVITE', (m) => m.method === 'INVITE');
	other.send(replyTo(invite, 200, 'OK', {
		to: `${invite.get('to')};tag=elsewhere`, body: sdp('10.255.255.2', 40000),
		fields: [...invite.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <${bob.uri}>`],
	}));
	const { final, callId } = await calling;
	assert.equal(final.status, 200);
	const { tags } = await stack.rtpengine.ask({ command: 'query', 'call-id': callId });
	assert.equal(tags.elsewhere.medias[0].streams[0].endpoint.address, '10.255.255.2');
});

test('a phone behind a NAT: nobody while it rings, and nobody after its first packet', async () => {
	const bob = await farEnd({ answer: (m) => m.method !== 'INVITE' });
	const one = await phone({ named: '10.255.255.1' });
	await sprays();
	const calling = one.call({ body: one.body });
	const invite = await bob.take('the INVITE', (m) => m.method === 'INVITE');
	await strangerTries();
	await stranger.close();
	assert.equal(stranger.heard, 0);
	bob.accept(invite);
	sends(one, (await calling).final.body);
	await until('the phone to be heard, and to hear', () => one.audio.received > 0);
	await sprays();
	await onlyTheTwo(one, bob);
});

test('a phone behind a NAT: what its far end says opens nothing that is not closed by its next packet', async () => {
	const bob = await farEnd();
	const one = await phone({ named: '10.255.255.1' });
	const first = await one.call({ body: one.body });
	sends(one, first.final.body);
	await until('the phone to be heard', () => one.audio.received > 20);
	const theirs = bob.dialog(first.callId);
	for (let i = 0; i < 5; i++) {
		assert.equal((await theirs.request('INVITE', { body: sdp(bob.ip, bob.media, 2 + i) })).status, 200);
		theirs.ack();
		const { received } = one.audio;
		await until('its next packets', () => one.audio.received > received + 2);
		await sprays();
		await onlyTheTwo(one, bob);
		await stranger.close();
	}
});

test('cfg/rtpengine.conf: learns nothing that it is not told to', () => {
	const text = fs.readFileSync(path.join(ROOT, 'cfg/rtpengine.conf'), 'utf8');
	assert.match(text, /^endpoint-learning = off$/m);
});
