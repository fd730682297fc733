// SPDX-License-Identifier: GPL-2.0-or-later
// A client that is lost while it rings: it rings again where it has registered again, and answers there;
// and what becomes of a call while nobody is there.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';

import { openState } from '../lib/call.mjs';
import { Network } from '../lib/network.mjs';
import { Client, FarEnd, message, random, sdp } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const USER = `sip:alice@${DOMAIN}`;

let stack, token, bob;
let open = []; // sockets of the current test
before(async () => {
	// With an allocator that says whose its memory is, see Usage.
	stack = await Stack.start('ringing', { tls: true, kamailio: { args: ['-x', 'qm', '-X', 'qm'] } });
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

/** One life of alice, signed in: what comes, rings, until she says more. @param opened  is told of it first */
async function alice(transport = 'ws', options = {}, opened = () => {}) {
	const client = keep(await FarEnd.open({ user: 'alice', transport, token, to: gateway(transport), ...options }));
	client.answer = (m) => m.method !== 'INVITE';
	opened(client);
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
function dial(options) {
	const callId = `call-${random()}`;
	const dialog = bob.call({ service: 'alice', callId, ...options });
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

const CANCELED = 1 << 3; // T_CANCELED of tm/h_table.h

/** What tm says of the transaction of a call. */
async function flags({ callId }) {
	const one = (await stack.kamailio.kamcmd('tm.list')).split('cell:').find((text) => text.includes(callId) && /method: INVITE/.test(text));
	return Number(/tflags: (\d+)/.exec(one)?.[1]);
}

/** Bytes of commands that the media server has not read yet. */
function unread() {
	const port = stack.rtpengine.ng.toString(16).toUpperCase().padStart(4, '0');
	return Number.parseInt(new RegExp(`:${port} 0+:0000 \\S+ \\w+:(\\w+)`).exec(fs.readFileSync('/proc/net/udp', 'latin1'))[1], 16);
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

/** A call that rings, and whose client has gone. */
async function ringsAndIsLost() {
	await farEnd();
	const first = await alice();
	const call = dial();
	await rings(first);
	await call.status(180);
	first.close();
	await gone();
	return call;
}

test('the caller gives up while nobody is there', async () => {
	const call = await ringsAndIsLost();
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

for (const [status, transport] of [[200, 'ws'], [200, 'tcp'], [486, 'ws']]) {
	test(`over ${transport}: a ${status} that comes together with the end of its connection counts`, async () => {
		await farEnd();
		const first = await alice(transport);
		const call = dial();
		const invite = await rings(first);
		await call.status(180);
		await stack.kamailio.paused(async () => {
			if (status === 200) first.accept(invite);
			else first.reply(invite, status, 'Busy Here');
			await new Promise((resolve) => { first.socket.end(resolve); });
		});
		const dialog = await call.dialog;
		assert.equal(dialog.final.status, status);
		if (status === 200) {
			const second = await alice(transport);
			const [, tag] = /tag=(.*)/.exec(first.dialog(call.callId).local);
			const resumed = await second.call({ state: `${invite.get('call-state')};tag=${tag}` });
			assert.equal(resumed.final.status, 200, resumed.final.start);
			assert.equal((await resumed.request('BYE')).status, 200);
		}
		await stack.noMedia();
	});
}

/** alice has answered, as she thinks, and nothing of that has left her page; she is back, and it rings again. */
async function answerLost(live = alice) {
	await farEnd();
	const first = await live();
	const call = dial();
	const lost = await rings(first);
	await call.status(180);
	first.close();
	const second = await live();
	return { call, second, invite: await rings(second), state: `${lost.get('call-state')};tag=lost` };
}

/** What is left of a call whose caller has given up. */
const GIVEN_UP = 45;
/** Streams at a client that nobody has answered: those of the trunk, and as many of others (RINGING_MAX). */
const RINGING = 20;

/** alice, at whom all that comes rings, until the caller gives up. @param got  is told of each message first */
async function rung(got = () => {}) {
	const client = await alice('ws', {}, (opened) => {
		opened.handle = ((handle) => (m) => {
			got(m, opened);
			if (is('INVITE')(m)) opened.reply(m, 180, 'Ringing');
			if (is('CANCEL')(m)) opened.reply(opened.requests.find((r) => is('INVITE')(r) && r.callId === m.callId), 487, 'Request Terminated');
			return handle(m);
		})(opened.handle);
	});
	client.calls = () => [...new Set(client.requests.filter((m) => m.method === 'INVITE').map((m) => m.callId))];
	return client;
}

/** Who begins many calls to alice. */
async function mallory() {
	const client = keep(await Client.open({
		user: 'mallory', transport: 'ws', token: await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 'web-session-2'), to: gateway('ws'),
	}));
	client.dial = (options) => {
		const callId = `many-${random()}`;
		const dialog = client.call({ service: 'alice', callId, ...options });
		dialog.catch(() => {});
		const { branch, tag, cseq } = client.last;
		const status = (wanted) => client.take(`a ${wanted}`, (m) => m.status === wanted && m.callId === callId && m.method === 'INVITE');
		const cancel = () => client.send(message(`CANCEL ${USER} SIP/2.0`, [
			`Via: SIP/2.0/WS ${client.host};branch=${branch}`, 'Max-Forwards: 70', `From: <sip:mallory@${DOMAIN}>;tag=${tag}`, `To: <${USER}>`,
			`Call-ID: ${callId}`, `CSeq: ${cseq} CANCEL`, `Authorization: Bearer ${client.token}`,
		]));
		return { callId, dialog, status, cancel };
	};
	return client;
}

/** As many calls to alice as may ring beside that of bob. @returns those */
async function many(other, status, options) {
	const calls = [...Array(RINGING).fill(other.dial), ...Array(RINGING - 1).fill(dial)].map((begin) => begin(options));
	await Promise.all(calls.map((c) => c.status(status)));
	return calls;
}

/** Some that begin, and are given up. */
async function givenUp(other) {
	for (let i = 0; i < GIVEN_UP; i++) {
		const call = other.dial();
		await call.status(180);
		call.cancel();
		assert.equal((await call.dialog).final.status, 487);
	}
}

/** Of all that ring bob's call is answered. */
async function oneAnswered(client, call, others) {
	const invite = ({ callId }) => client.requests.findLast((m) => m.method === 'INVITE' && m.callId === callId);
	others.forEach((c) => client.reply(invite(c), 603, 'Decline'));
	const { theirs } = await answered(client, invite(call), call);
	await hangUp(theirs, client);
}

/** All of them ring at a client that has registered just now. */
async function allRing(client, call, others) {
	const ids = [call, ...others].map((c) => c.callId).toSorted();
	await until('all to ring', () => client.calls().length >= ids.length);
	assert.deepEqual(client.calls().toSorted(), ids);
	await oneAnswered(client, call, others);
}

test('many calls of others begin behind one: when the page is reloaded all of them ring again', async () => {
	await farEnd();
	const first = await rung();
	const call = dial();
	await call.status(180);
	const other = await mallory();
	await givenUp(other);
	const others = await many(other, 180);
	first.close();
	await allRing(await rung(), call, others);
});

/** Connections take less at a time than on loopback: as over the Internet at first. */
async function withShortBuffers(what) {
	const file = (name) => `/proc/sys/net/ipv4/tcp_${name}`;
	const were = ['rmem', 'wmem'].map((name) => [name, fs.readFileSync(file(name))]);
	were.forEach(([name]) => fs.writeFileSync(file(name), '4096 16384 65536'));
	try {
		await what();
	} finally {
		were.forEach(([name, value]) => fs.writeFileSync(file(name), value));
	}
}

test('many calls with long descriptions ring again, more than a connection takes at a time: one behind another', async (t) => {
	if (!Network.possible) return void t.skip('needs a network namespace');
	await farEnd();
	const first = await rung();
	const call = dial();
	await call.status(180);
	const others = await many(await mallory(), 180, { body: `${sdp('127.0.0.1', 4000)}a=x:${'y'.repeat(10000)}\r\n` });
	first.close();
	await withShortBuffers(async () => {
		// It reads no more once it has registered.
		const second = await rung((m, client) => m.status === 200 && m.method === 'REGISTER' && client.socket.pause());
		// What its REGISTER brings about is over when the gateway looks at this.
		second.outside('MESSAGE', `sip:bob@${DOMAIN}`).catch(() => {});
		await bob.take('a MESSAGE', is('MESSAGE'));
		second.socket.resume();
		await allRing(second, call, others);
	});
	assert.deepEqual(stack.kamailio.logged(/write queue full/), []);
});

test('many calls of others begin behind one that waits for the page: all of them ring when it is there', async () => {
	await left();
	const other = await mallory();
	const call = dial();
	const others = await many(other, 100);
	await allRing(await rung(), call, others);
});

test('many calls of others begin behind one whose answer got lost: its client is told so', async () => {
	const { call, second, state } = await answerLost(() => rung());
	const others = await many(await mallory(), 180);
	const resumed = await second.call({ state });
	assert.match(resumed.final.start, /^SIP\/2.0 481 Answered Otherwise/);
	await oneAnswered(second, call, others);
});

test('a client whose answer got lost is told so, and rings again, with media', async () => {
	const { call, second, invite, state } = await answerLost();
	const resumed = await second.call({ state });
	assert.match(resumed.final.start, /^SIP\/2.0 481 Answered Otherwise/);
	assert.deepEqual(bob.requests.filter((m) => m.method === 'INVITE').map((m) => m.start), []);
	const { theirs } = await answered(second, invite, call);
	assert.deepEqual(await stack.rtpengine.calls(), [call.callId]);
	await hangUp(theirs, second);
});

test('a client whose answer got lost does not harm the call that it has answered since', async () => {
	const { call, second, invite, state } = await answerLost();
	const { theirs } = await answered(second, invite, call);
	const resumed = await second.call({ state });
	assert.match(resumed.final.start, /^SIP\/2.0 481 Answered Otherwise/);
	assert.deepEqual(await stack.rtpengine.calls(), [call.callId]);
	await hangUp(theirs, second);
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
	// Kamailio's clock for tm's timers lags on a busy machine, and catches up: a timer is over sooner by that.
	assert.ok(Date.now() - from >= 2000, 'it has waited');
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

/** One that gives up waits for the media server, while that stands still, and so does one who is back: whoever is the first, and goes
 * on first, it does not ring. */
for (const [what, order] of [['while the call begins to ring again', ['back', 'given up']], ['just before it would ring again', ['given up', 'back']]]) {
	test(`the caller gives up ${what}: it does not, and nothing of it stays in memory`, async () => {
		const call = await ringsAndIsLost();
		let second, final;
		const steps = {
			'given up': async () => {
				final = cancel(call);
				await until('the call to be given up', async () => (await flags(call)) & CANCELED);
			},
			'back': async () => {
				const before = unread();
				second = await alice();
				if (order[0] === 'back') await until('what rings again to wait for the media server', () => unread() > before);
			},
		};
		await stack.rtpengine.proc.freeze();
		for (const step of order) await steps[step]();
		stack.rtpengine.proc.thaw();
		assert.equal((await final).status, 487);
		await silent(second);
		await nothingLeft();
		const text = await stack.kamailio.kamcmd('mod.stats', 'core', 'shm');
		assert.match(text, /Total: \d/);
		assert.doesNotMatch(text, /build_req_buf_from_sip_req/);
	});
}

test('no transaction is left', nothingLeft);
