// SPDX-License-Identifier: GPL-2.0-or-later
// With WITH_AWAY_ANNOUNCEMENT the far end hears a recording while a client that was on a
// WebSocket is away, and not a packet of it longer.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';

import { Lives } from '../lib/lives.mjs';
import { runFolder } from '../lib/stack.mjs';
import { sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';
import { writeTone } from '../lib/wav.mjs';

// From the loss of a connection to websocket:closed, at most.
const CLOSED_MS = 4000;

let lives, stack;
before(async () => {
	const file = path.join(runFolder('announcement'), 'away.wav');
	lives = await Lives.start('announcement', {
		defines: {
			WITH_AWAY_ANNOUNCEMENT: true, AWAY_ANNOUNCEMENT_FILE: `"${file}"`, AWAY_ANNOUNCEMENT_TIMES: 50, AWAY_TIMER: 1500,
		},
	});
	({ stack } = lives);
	writeTone(file);
});
afterEach(() => lives.end());
after(() => stack?.stop());

/** Packets that are of no client: those have nothing but silence in them. */
function countTones(audio) {
	audio.tones = 0;
	audio.socket.on('message', (m) => {
		if (m.length > 12 && (m[1] & 0x7f) === 8 && m.subarray(12).some((byte) => byte !== 0xd5)) audio.tones++;
	});
	return audio;
}

/** A call that is up, its far end listening; bob sends as well, so that nobody is silent. */
async function up({ role, to = lives } = {}) {
	const bob = await to.far({ echo: true });
	countTones(bob.audio);
	const one = await to.alice('ws');
	const call = await to.call(one, bob, role);
	await to.talk(one, call.body, call.callId);
	return { bob, one, ...call };
}

const lose = (one) => {
	one.close();
	one.audio.close();
};

const hears = ({ audio }, more = 20) => {
	const { tones } = audio;
	return until('the announcement', () => audio.tones > tones + more, { timeout_ms: CLOSED_MS + 6000 });
};

/** No tone for a while, but for what is under way: that has come a second later. */
async function silence({ audio }, ms = 600) {
	let [tones, since] = [audio.tones, performance.now()];
	await until('no announcement', () => {
		if (audio.tones > tones) [tones, since] = [audio.tones, performance.now()];
		return performance.now() - since >= ms;
	}, { timeout_ms: ms + 1000 });
}

/** What the two tables hold about a call. */
async function remembered(callId) {
	const dumps = await Promise.all(['away_calls', 'away_lines'].map((name) => stack.kamailio.kamcmd('htable.dump', name)));
	return dumps.join('').split('\n').filter((line) => line.includes(callId));
}

async function resume(client, { state, callId }) {
	const second = await client.call({ state });
	assert.equal(second.final.status, 200);
	await lives.talk(client, second.final.body, callId);
	return second;
}

for (const role of ['caller', 'callee']) {
	for (const transport of ['ws', 'udp']) {
		test(`the client as ${role} is away, and comes back on ${transport}`, async () => {
			const call = await up({ role });
			const { bob, one, callId } = call;
			assert.equal(bob.audio.tones, 0);
			lose(one);
			await hears(bob);
			const two = await lives.alice(transport);
			const second = await resume(two, call);
			await silence(bob);
			await lives.talk(two, second.final.body, callId);
			assert.equal((await second.request('BYE')).status, 200);
			await stack.noMedia();
			assert.deepEqual(await remembered(callId), []);
		});
	}
}

test('away, back, and away again', async () => {
	const call = await up();
	lose(call.one);
	await hears(call.bob);
	const two = await lives.alice('ws');
	await resume(two, call);
	await silence(call.bob);
	lose(two);
	await hears(call.bob);
});

test('the client is back before anybody noticed that it was away: nothing is played', async () => {
	const call = await up();
	lose(call.one);
	const two = await lives.alice('ws');
	await resume(two, call);
	await silence(call.bob, CLOSED_MS);
	assert.equal(call.bob.audio.tones, 0);
	// And its new connection is the one that counts.
	lose(two);
	await hears(call.bob);
});

test('the far end re-invites meanwhile, and goes on listening', async () => {
	const { bob, one, theirs } = await up();
	lose(one);
	await hears(bob);
	const final = await theirs.request('INVITE', { body: sdp(bob.ip, bob.media + 100, 7) });
	theirs.ack({ via: theirs.branch });
	assert.equal(final.status, 491);
	await hears(bob);
});

test('the far end hangs up meanwhile', async () => {
	const { bob, one, theirs, callId } = await up();
	lose(one);
	await hears(bob);
	assert.equal((await theirs.request('BYE')).status, 200);
	await stack.noMedia();
	await silence(bob);
	assert.deepEqual(await remembered(callId), []);
});

test('a call that ended in peace leaves nothing, and nothing plays when its connection closes', async () => {
	const { bob, one, mine, callId } = await up();
	assert.equal((await remembered(callId)).length, 2);
	assert.equal((await mine.request('BYE')).status, 200);
	assert.deepEqual(await remembered(callId), []);
	lose(one);
	await silence(bob, CLOSED_MS);
});

test('two calls of one connection, one of them over: only the other far end hears it', async () => {
	const first = await up();
	const second = await lives.call(first.one, first.bob);
	assert.equal((await remembered(second.callId)).length, 2);
	assert.equal((await second.mine.request('BYE')).status, 200);
	assert.deepEqual(await remembered(second.callId), []);
	assert.equal((await remembered(first.callId)).length, 2);
	lose(first.one);
	await hears(first.bob);
});

test('a Call-ID that would be a flag for rtpengine is not remembered', async () => {
	const bob = await lives.far();
	const one = await lives.alice('ws');
	assert.equal((await one.call({ callId: 'a;flagged' })).final.status, 200);
	await bob.take('the ACK', (m) => m.method === 'ACK');
	// No Call-ID has a blank (RFC 3261 section 25.1).
	assert.equal((await one.call({ callId: 'flagged file=/etc/hostname' })).final.status, 400);
	assert.deepEqual(await remembered('flagged'), []);
});

test('tags that a client makes up are not remembered when its connection is gone', async () => {
	const { one, mine, callId } = await up();
	const { length } = await remembered(callId);
	for (let i = 0; i < 12; i++) one.send(mine.text('ACK', { remote: `<sip:x@x>;tag=made-up-${i}` }));
	await until('as many as one may have', async () => (await remembered('made-up')).length === 2 * (8 - length / 2));
	lose(one);
	await until('those to be gone', async () => (await remembered('made-up')).length === 0);
	assert.equal((await remembered(callId)).length, 1, 'the one that plays');
});

test('without the define there is none, and no table', async () => {
	const plain = await Lives.start('announcement-off');
	try {
		const { bob, one } = await up({ to: plain });
		lose(one);
		await silence(bob, CLOSED_MS);
		assert.equal(bob.audio.tones, 0);
		await assert.rejects(plain.stack.kamailio.kamcmd('htable.dump', 'away_calls'));
	} finally {
		await plain.end();
		await plain.stack.stop();
	}
});
