// SPDX-License-Identifier: GPL-2.0-or-later
// The client is away, in every way there is, and the far end does not wait for it: a BYE
// gets its 200, anything else an answer that leaves the call alone. Then it comes back.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Lives } from '../lib/lives.mjs';
import { Endpoint, sdp } from '../lib/sip.mjs';
import { nothingLeft } from '../lib/call.mjs';
import { sleep, until } from '../lib/wait.mjs';

const ENDED = '481 Call Ended While Away';
const AWAY_MS = 1200;
// Of methods that may come at any time in a dialog.
const METHODS = ['INFO', 'MESSAGE', 'OPTIONS', 'NOTIFY', 'REFER', 'UPDATE'];

let lives, stack;
before(async () => {
	lives = await Lives.start('away', { defines: { AWAY_TIMER: AWAY_MS, FR_TIMER: 2500, WS_KEEPALIVE: 2 } });
	({ stack } = lives);
});
afterEach(() => lives.end());
after(() => stack?.stop());

/** How a client goes away; what stays is not there any more, or does not answer. */
const WAYS = {
	'its page said goodbye': { transport: 'ws', async goes(one) {
		one.webSocket.send(8, Buffer.from([0x03, 0xe9]));
		await until('the connection to close', () => one.socket.destroyed || one.socket.readableEnded);
	} },
	'its page was killed': { transport: 'ws', goes: (one) => one.close() },
	'its device is off': { transport: 'ws', goes: (one) => mute(one) },
	'it is connected again, and has not resumed yet': { transport: 'ws', async goes(one) {
		one.close();
		return lives.alice('ws');
	} },
	'its TCP connection is gone': { transport: 'tcp', goes: (one) => one.close() },
	'its UDP port is closed': { transport: 'udp', goes: (one) => one.close() },
	'its UDP port is silent': { transport: 'udp', goes: (one) => mute(one) },
	'its UDP port is another process\'s, which knows no call': { transport: 'udp', goes: (one) => {
		one.answer = (m) => {
			if (m.method !== 'ACK') one.reply(m, 481, 'Call/Transaction Does Not Exist');
			return false;
		};
	} },
};

const request = (method) => (m) => m.method === method && !m.status;

/** It is there and says nothing, not even a pong. */
function mute(one) {
	one.answer = () => false;
	if (one.webSocket) one.webSocket.send = () => {};
}

/** A re-INVITE of the far end, with the ACK to its failure. */
async function reinvite(theirs, options = {}) {
	const final = await theirs.request('INVITE', { body: sdp(theirs.party.ip, theirs.party.media, 7), ...options });
	theirs.ack(final.status < 300 ? {} : { via: theirs.branch });
	return final;
}

/** The far end has hung up: the next re-INVITE finds no call. */
function hasHungUp(bob) {
	bob.answer = (m) => {
		if (m.method === 'INVITE') bob.reply(m, 481, 'Call/Transaction Does Not Exist');
		return m.method !== 'INVITE';
	};
}

async function resumes(client, state, callId) {
	const second = await client.call({ state });
	assert.equal(second.final.status, 200);
	await lives.talk(client, second.final.body, callId);
	assert.equal(await stack.onlyCall(), callId);
	return second;
}

// Behind a web server all pages have its address, and its ports come round.
for (const role of ['caller', 'callee']) {
	test(`somebody else has the client's port meanwhile, the client as ${role}: he gets nothing`, async () => {
		const bob = await lives.far();
		const one = await lives.alice('ws');
		const { callId, state, theirs, body } = await lives.call(one, bob, role);
		await lives.talk(one, body, callId);
		const { port } = one;
		one.audio.close();
		one.socket.resetAndDestroy();
		await until('the connection to be gone', async () => !(await stack.kamailio.kamcmd('core.tcp_list').catch(() => '')).includes(`:${port}`));
		const stranger = lives.keep(await Endpoint.open({ transport: 'ws', port, to: lives.gateway('ws') }));
		assert.equal(stranger.port, port);
		assert.equal((await reinvite(theirs)).status, 491);
		for (const method of METHODS) assert.equal((await theirs.request(method)).status, 500);
		assert.deepEqual(stranger.inbox.map((m) => m.start), []);
		const two = await lives.alice('ws');
		await resumes(two, state, callId);
		assert.equal((await theirs.request('BYE')).status, 200);
		assert.deepEqual(stranger.inbox.map((m) => m.start), []);
		await stack.noMedia();
	});
}

// What Asterisk does with direct_media on: its BYE waits behind a re-INVITE that it sends again for as long as it gets 491.
test('a far end that tries a re-INVITE for ever gets another answer than 491 after 32 s', async () => {
	const bob = await lives.far();
	const one = await lives.alice('tcp');
	const { state, theirs, callId } = await lives.call(one, bob);
	one.close();
	const start = performance.now();
	let reply;
	do {
		reply = await reinvite(theirs);
		if (reply.status === 491) await sleep(2000);
	} while (reply.status === 491 && performance.now() - start < 45000);
	assert.ok(performance.now() - start > 31000);
	assert.equal(reply.start, 'SIP/2.0 500 Client Away');
	assert.match(reply.get('retry-after'), /^[1-9]$/);
	// The call is still there, and another series begins anew.
	await resumes(await lives.alice('ws'), state, callId);
	assert.equal((await theirs.request('BYE')).status, 200);
	await stack.noMedia();
});

async function comesTooLate(state) {
	const two = await lives.alice('ws');
	const late = await two.call({ state });
	assert.equal(late.final.start, `SIP/2.0 ${ENDED}`);
	await stack.noMedia();
}

for (const [what, { transport, goes }] of Object.entries(WAYS)) {
	for (const role of ['caller', 'callee']) {
		test(`${what}: the call goes on, the client as ${role}`, async () => {
			const bob = await lives.far();
			const one = await lives.alice(transport);
			const { callId, state, theirs, body } = await lives.call(one, bob, role);
			await lives.talk(one, body, callId);
			await goes(one);
			one.audio.close();

			const finals = await Promise.all(METHODS.map((method) => theirs.request(method)));
			for (const final of finals) {
				assert.equal(final.status, 500, final.text);
				assert.match(final.get('retry-after'), /^[1-9]$/);
			}
			const [again, without] = [await reinvite(theirs), await reinvite(theirs, { body: '' })];
			for (const final of [again, without]) {
				assert.equal(final.status, 491);
				assert.equal(final.get('retry-after'), undefined);
			}
			assert.equal(await stack.onlyCall(), callId);

			const two = await lives.alice('ws');
			await resumes(two, state, callId);
			assert.equal((await reinvite(theirs)).status, 200);
			await lives.talk(two, (await two.take('the re-INVITE', request('INVITE'))).body, callId);
			assert.equal((await theirs.request('BYE')).status, 200);
			await two.take('the BYE', request('BYE'));
			await stack.noMedia();
		});

		test(`${what}: the far end hangs up, the client as ${role}`, async () => {
			const bob = await lives.far();
			const one = await lives.alice(transport);
			const { state, theirs } = await lives.call(one, bob, role);
			await goes(one);
			const asked = performance.now();
			assert.equal((await theirs.request('BYE')).status, 200);
			assert.ok(performance.now() - asked < 32000 / 4, 'long before the far end gives up');
			await stack.noMedia();
			hasHungUp(bob);
			await comesTooLate(state);
		});
	}
}

test('the far end is gone when the client comes back', async () => {
	const bob = await lives.far();
	const one = await lives.alice('ws');
	const { state } = await lives.call(one, bob);
	one.close();
	bob.answer = () => false;
	await comesTooLate(state);
});

test('a re-INVITE of a client that did not go away is answered as the far end answers it', async () => {
	const bob = await lives.far();
	const one = await lives.alice('ws');
	const { mine } = await lives.call(one, bob);
	bob.answer = (m) => {
		if (m.method !== 'ACK') bob.reply(m, 481, 'Not Here');
		return false;
	};
	assert.equal((await mine.request('INFO')).start, 'SIP/2.0 481 Not Here');
	const final = await mine.request('INVITE', { body: sdp(one.ip, one.media, 7) });
	mine.ack({ via: mine.branch });
	assert.equal(final.start, 'SIP/2.0 481 Not Here');
	await stack.noMedia();
});

test('what a client that is there refuses stays refused', async () => {
	const bob = await lives.far();
	const one = await lives.alice('ws');
	const { theirs } = await lives.call(one, bob);
	for (const [status, method] of [[488, 'INVITE'], [491, 'INVITE'], [500, 'INVITE'], [405, 'INFO'], [488, 'UPDATE']]) {
		one.answer = (m) => {
			if (m.method !== 'ACK') one.reply(m, status, 'No');
			return m.method === 'ACK';
		};
		const final = method === 'INVITE' ? await reinvite(theirs) : await theirs.request(method);
		assert.equal(final.start, `SIP/2.0 ${status} No`);
	}
});

test('the client resumes while its BYE waits for an answer: the call is over for both', async () => {
	const bob = await lives.far();
	const one = await lives.alice('ws');
	const { callId, state, theirs } = await lives.call(one, bob);
	mute(one);
	const bye = theirs.request('BYE');
	hasHungUp(bob);
	await one.take('the BYE', request('BYE'));
	await comesTooLate(state);
	assert.equal((await bye).status, 200);
	await stack.noMedia();
});

test('the client resumes while a re-INVITE waits for an answer: that one is refused, the call goes on', async () => {
	const bob = await lives.far();
	const one = await lives.alice('ws');
	const { callId, state, theirs, body } = await lives.call(one, bob);
	await lives.talk(one, body, callId);
	mute(one);
	one.audio.close();
	const waiting = reinvite(theirs);
	await one.take('the re-INVITE', request('INVITE'));
	// A far end that does not mind two at once, and so the harder case for the media.
	const two = await lives.alice('ws');
	const second = await resumes(two, state, callId);
	assert.equal((await waiting).status, 491);
	await lives.talk(two, second.final.body, callId);
	assert.equal((await reinvite(theirs)).status, 200);
	assert.equal((await second.request('BYE')).status, 200);
	await stack.noMedia();
});

test('a refused offer of another port and of hold leaves no trace in the media', async () => {
	const bob = await lives.far();
	for (const goes of [(one) => one.close(), mute]) {
		const one = await lives.alice('ws');
		const { callId, state, theirs, body } = await lives.call(one, bob);
		await lives.talk(one, body, callId);
		await goes(one);
		one.audio.close();
		const hold = `${sdp(bob.ip, bob.media + 100, 8)}a=inactive\r\n`;
		assert.equal((await reinvite(theirs, { body: hold })).status, 491);
		const two = await lives.alice('ws');
		const second = await resumes(two, state, callId);
		assert.equal((await second.request('BYE')).status, 200);
		await stack.noMedia();
	}
});

test('the far end cancels a re-INVITE that nobody answers', async () => {
	const bob = await lives.far();
	const one = await lives.alice('ws');
	const { theirs } = await lives.call(one, bob);
	mute(one);
	const final = reinvite(theirs);
	const { branch, cseq } = theirs;
	await one.take('the re-INVITE', request('INVITE'));
	bob.send(theirs.text('CANCEL', { via: branch, cseq }));
	await bob.take('the answer to CANCEL', (m) => m.status === 200 && m.method === 'CANCEL');
	assert.equal((await final).status, 487);
});

test('a WebSocket that does not answer a ping is closed, one that does stays', async () => {
	const [one, other] = [await lives.alice('ws'), await lives.alice('ws')];
	const connected = async ({ port }) => (await stack.kamailio.kamcmd('ws.dump')).includes(`:${port} ->`);
	mute(one);
	await until('the silent one to be closed', async () => !await connected(one));
	assert.ok(other.webSocket.pings > 0, 'the other one was pinged');
	assert.ok(await connected(other));
});

/** A far end that refreshes its session (RFC 4028 section 10) until it is done. */
async function refreshes(theirs, method, refused) {
	for (;;) {
		const headers = ['Supported: timer', 'Session-Expires: 90;refresher=uac', 'Min-SE: 90'];
		const body = method === 'INVITE' ? { body: sdp(theirs.party.ip, theirs.party.media, 7) } : {};
		const final = await theirs.request(method, { headers, ...body });
		if (method === 'INVITE') theirs.ack(final.status < 300 ? {} : { via: theirs.branch });
		if (final.status < 300) return final;
		refused.push(final.status);
		// RFC 3261 section 14.1: who did not choose the Call-ID waits for up to 2 s.
		await sleep(final.status === 491 ? 200 + 1800 * Math.random() : 1000 * Number(final.get('retry-after')));
	}
}

for (const [method, code] of [['UPDATE', 500], ['INVITE', 491]]) {
	test(`the session timer of the far end, by ${method}, goes over an absence`, async () => {
		const bob = await lives.far();
		const one = await lives.alice('ws');
		const { callId, state, theirs } = await lives.call(one, bob);
		one.close();
		const refused = [];
		const refreshed = refreshes(theirs, method, refused);
		await until('a refused refresh', () => refused.length > 0);
		const two = await lives.alice('ws');
		const second = await resumes(two, state, callId);
		assert.equal((await refreshed).status, 200);
		assert.deepEqual([...new Set(refused)], [code]);
		const got = await two.take(`the ${method}`, request(method));
		assert.equal(got.get('session-expires'), '90;refresher=uac');
		assert.equal(got.get('min-se'), '90');
		assert.equal((await second.request('BYE')).status, 200);
		await stack.noMedia();
	});
}

for (const offers of [true, false]) {
	test(`a session timer ${offers ? 'in' : 'only in the answer to'} the resume passes through`, async () => {
		const bob = await lives.far();
		const one = await lives.alice('ws');
		const { state } = await lives.call(one, bob);
		one.close();
		const timer = offers ? '1800;refresher=uac' : '1800;refresher=uas';
		bob.answer = (m) => {
			if (m.method === 'INVITE') {
				bob.reply(m, 200, 'OK', {
					contact: true, body: sdp(bob.ip, bob.media), headers: [`Session-Expires: ${timer}`],
				});
			}
			return m.method !== 'INVITE';
		};
		const two = await lives.alice('ws');
		const asks = ['Supported: timer', 'Session-Expires: 1800', 'Min-SE: 120'];
		const second = await two.call({ state, headers: offers ? asks : [] });
		const invite = await bob.take('the resume', (m) => m.method === 'INVITE' && m.tag('to'));
		assert.deepEqual(['supported', 'session-expires', 'min-se'].map((name) => invite.get(name)),
			offers ? ['timer', '1800', '120'] : [undefined, undefined, undefined]);
		assert.equal(second.final.get('session-expires'), timer);
	});
}

test('no transaction is left, no map was refused', async () => {
	await lives.end();
	await nothingLeft(stack);
});
