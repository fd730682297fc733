// SPDX-License-Identifier: GPL-2.0-or-later
// From the RTP sequence numbers of a client's last life to those of the next: what a far end gets in between.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Lives } from '../lib/lives.mjs';
import { PCMA, PCMU, Voice, pitch, sdp } from '../lib/voice.mjs';
import { audioPort } from '../lib/rtp.mjs';
import { until } from '../lib/wait.mjs';

const STEPS = [21845, 43690, 65535];

let lives, stack;
before(async () => {
	lives = await Lives.start('steps', { defines: { RESUME_STEPS: 2 } });
	({ stack } = lives);
});
afterEach(() => lives.end());
after(() => stack?.stop());

async function withVoice(party, law) {
	const voice = lives.keep(await Voice.open({ ip: party.ip, law }));
	return Object.assign(party, { voice, describe: () => sdp(voice) });
}

/** Lose the client and resume; the streams that the far end has got since, in the order in which they came. */
async function streamsAfter(one, bob, state, { law, body = sdp } = {}) {
	one.close();
	one.voice.close();
	const two = await withVoice(await lives.alice('udp'), law);
	bob.voice.forget();
	const back = await two.call({ state, body: body(two.voice) });
	assert.equal(back.final.status, 200, back.final.start);
	two.voice.speak({ port: audioPort(back.final.body) }, { hertz: pitch(9), seq: 20000, ssrc: 9 });
	await until('the far end to hear it', () => bob.voice.streams.get(9)?.length > 10);
	assert.equal((await back.request('BYE')).status, 200);
	// What was still on its way is not of it.
	return [...bob.voice.streams].filter(([ssrc]) => ssrc !== 1);
}

async function begun(law, bob, { spoken = true } = {}) {
	await withVoice(bob, law);
	const one = await withVoice(await lives.alice('udp'), law);
	const call = await one.call({ body: sdp(one.voice) });
	assert.equal(call.final.status, 200);
	if (spoken) {
		one.voice.speak({ port: audioPort(call.final.body) }, { hertz: pitch(0), seq: 30000, ssrc: 1 });
		await until('the far end to hear it', () => bob.voice.streams.get(1)?.length > 10);
	}
	return { one, state: call.state };
}

for (const [name, law] of Object.entries({ PCMU, PCMA })) {
	test(`${name}: three packets of silence, before all others, and nothing else`, async () => {
		const bob = await lives.far();
		const { one, state } = await begun(law, bob);
		const [[, first], [ssrc, second], ...more] = await streamsAfter(one, bob, state, { law });
		assert.deepEqual(first, STEPS);
		assert.equal(ssrc, 9);
		assert.equal(second[0], 20000);
		assert.deepEqual(more, []);
		assert.equal(bob.requests.filter((m) => m.method === 'INVITE').length, 2, 'and one re-INVITE');
	});
}

test('one that has not said anything has no steps', async () => {
	const bob = await lives.far();
	const { one, state } = await begun(PCMA, bob, { spoken: false });
	assert.deepEqual((await streamsAfter(one, bob, state, { law: PCMA })).map(([ssrc]) => ssrc), [9]);
});

test('nor has one with video: what rtpengine knows of that is not touched', async () => {
	const bob = await lives.far();
	await withVoice(bob, PCMA);
	const video = (voice) => `${sdp(voice)}m=video 9 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n`;
	bob.describe = () => video(bob.voice);
	const one = await withVoice(await lives.alice('udp'), PCMA);
	const call = await one.call({ body: video(one.voice) });
	assert.equal(call.final.status, 200);
	one.voice.speak({ port: audioPort(call.final.body) }, { hertz: pitch(0), seq: 30000, ssrc: 1 });
	await until('the far end to hear it', () => bob.voice.streams.get(1)?.length > 10);
	assert.deepEqual((await streamsAfter(one, bob, call.state, { law: PCMA, body: video })).map(([ssrc]) => ssrc), [9]);
});

test('rtpengine has forgotten the call: it is resumed all the same', async () => {
	const bob = await lives.far();
	const { one, state } = await begun(PCMA, bob);
	await stack.dropMedia();
	assert.deepEqual((await streamsAfter(one, bob, state, { law: PCMA })).map(([ssrc]) => ssrc), [9]);
	assert.deepEqual(stack.kamailio.logged(/ERROR.*rtpengine.*query/), []);
});

test('as it is by default a client that is no page has none', async () => {
	const plain = await Lives.start('steps-1');
	const voices = [];
	try {
		const bob = Object.assign(await plain.far());
		const voice = async (ip) => (voices.push(await Voice.open({ ip, law: PCMA })), voices.at(-1));
		bob.voice = await voice(bob.ip);
		bob.describe = () => sdp(bob.voice);
		let one = await plain.alice('udp');
		let mine = await voice();
		const call = await one.call({ body: sdp(mine) });
		mine.speak({ port: audioPort(call.final.body) }, { hertz: pitch(0), seq: 40000, ssrc: 1 });
		await until('the far end to hear it', () => bob.voice.streams.get(1)?.length > 10);
		one.close();
		mine.close();
		bob.voice.forget();
		one = await plain.alice('udp');
		mine = await voice();
		const back = await one.call({ state: call.state, body: sdp(mine) });
		mine.speak({ port: audioPort(back.final.body) }, { hertz: pitch(1), seq: 40000, ssrc: 2 });
		await until('the far end to hear it', () => bob.voice.streams.get(2)?.length > 10);
		// What was under way of the first one may still come.
		assert.deepEqual([...bob.voice.streams.keys()].filter((ssrc) => ssrc !== 1), [2]);
	} finally {
		voices.forEach((v) => v.close());
		await plain.end();
		await plain.stack.stop();
	}
});

test('what rtpengine is asked for a resume it is asked once, also where there may be steps', async () => {
	const KINDS = ['offer', 'answer', 'query'];
	const once = await Lives.start('steps-once', { defines: { RESUME_STEPS: 2, RESUME_ABANDONED: 0 } });
	const counts = () => Promise.all(KINDS.map((kind) => once.stack.rtpengine.count(kind)));
	try {
		const bob = await once.far();
		const one = await once.alice('udp');
		const call = await one.call();
		one.close();
		const two = await once.alice('udp');
		const before = await counts();
		const back = await two.call({ state: call.state });
		assert.equal(back.final.status, 200, back.final.start);
		assert.deepEqual((await counts()).map((n, i) => n - before[i]), [1, 1, 1]);
		assert.equal(bob.requests.filter((m) => m.method === 'INVITE').length, 2);
	} finally {
		await once.end();
		await once.stack.stop();
	}
});
