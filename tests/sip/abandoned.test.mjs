// SPDX-License-Identifier: GPL-2.0-or-later
// The client does not come back: its call is ended towards the far end, and only then.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Kamailio } from '../lib/kamailio.mjs';
import { Lives } from '../lib/lives.mjs';
import { Rtp, audioPort } from '../lib/rtp.mjs';
import { freePort } from '../lib/ports.mjs';
import { Dialog, FarEnd, message, random, sdp } from '../lib/sip.mjs';
import { DOMAIN } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const AFTER_S = 2;
const ENDED = 'SIP/2.0 481 Call Ended While Away';
const REASON = 'SIP;cause=480;text="Client Gone"';

let lives, stack;
before(async () => {
	lives = await Lives.start('abandoned', { defines: { RESUME_ABANDONED: AFTER_S, WITH_ACC: true } });
	({ stack } = lives);
});
afterEach(() => lives.end());
after(() => stack?.stop());

const request = (method) => (m) => m.method === method && !m.status;
const byes = (party) => party.requests.filter(request('BYE'));
const takeBye = (party) => party.take('the BYE', request('BYE'), { timeout_ms: 20000 });
const cdrs = () => stack.kamailio.log().split('\n').filter((l) => /duration=/.test(l));
const stat = async (name) => Number(new RegExp(`${name}: (\\d+)`).exec(await stack.kamailio.kamcmd('call_resume.stats'))[1]);

/** For how many seconds the client of a call has been silent, as the gateway says. */
const silent = async (callId) => Number(new RegExp(`call_id: ${callId}[^}]*silent: (\\d+)`).exec(await stack.kamailio.kamcmd('call_resume.abandoned'))[1]);

/** Another call whose client has gone has been ended: so much time has gone by. */
async function anotherIsEnded() {
	const bob = await lives.far({ user: 'other', port: 0 });
	const token = await stack.kamailio.token(`sip:carol@${DOMAIN}`, 'of-carol');
	const audio = lives.keep(await Rtp.open());
	const carol = lives.keep(await FarEnd.open({ user: 'carol', transport: 'ws', token, media: audio.port, to: lives.gateway('ws') }));
	await carol.register();
	const call = await bob.call({ service: 'carol' });
	assert.equal(call.final.status, 200);
	carol.close();
	return takeBye(bob);
}

/** A call of a client that is up, and whose far end talks. */
async function up(transport, role = 'caller', options = {}) {
	const bob = await lives.far(options);
	const one = await lives.alice(transport);
	const call = await lives.call(one, bob, role);
	await lives.talk(one, call.body, call.callId);
	// (A call of the test before this one may end now.)
	const invite = bob.requests.find((m) => request('INVITE')(m) && m.callId === call.callId);
	bob.audio.send(audioPort(role === 'caller' ? invite.body : call.theirs.final.body), stack.rtpengine.ip);
	return { bob, one, call };
}

/** It is there no more, without a word. */
function goes(one) {
	one.close();
	one.audio.close();
}

/** A BYE of the client that is gone, with the names of the call. */
function assertBye(bye, { callId, theirs }) {
	assert.equal(bye.callId, callId);
	assert.equal(bye.get('from'), theirs.remote);
	assert.equal(bye.get('to'), theirs.local);
	assert.equal(bye.get('reason'), REASON);
}

for (const transport of ['ws', 'tcp']) {
	for (const role of ['caller', 'callee']) {
		test(`over ${transport}, the client as ${role}: a BYE, a CDR that says why, and who comes later is told`, async () => {
			const before = { cdrs: cdrs().length, ended: await stat('calls_abandoned') };
			const { bob, one, call } = await up(transport, role);
			goes(one);
			const bye = await takeBye(bob);
			// The media server tells its last packet in whole seconds.
			assert.ok(performance.now() - one.audio.spoke > (AFTER_S - 1) * 1000, 'not before its time');
			assertBye(bye, call);
			assert.ok(bye.cseq > (call.mine.cseq ?? 1), `CSeq ${bye.cseq}`);
			await stack.noMedia();
			await until('the CDR', () => cdrs().length > before.cdrs);
			assert.ok(cdrs().at(-1).includes(`call_id=${call.callId}; resumed=0; away=0; abandoned=1`), cdrs().at(-1));
			assert.equal(await stat('calls_abandoned'), before.ended + 1);
			assert.match(stack.kamailio.log(), /ended, sip:alice@example.org has been silent for \d+ s and is not connected/);
			const late = await (await lives.alice('ws')).call({ state: call.state });
			assert.equal(late.final.start, ENDED);
			assert.equal(byes(bob).length, 1);
		});
	}
}

test('who is connected is not touched, however silent; a phone for as long as it is registered', async () => {
	for (const transport of ['ws', 'udp']) {
		const { bob, one, call } = await up(transport);
		one.audio.close();
		await anotherIsEnded();
		assert.deepEqual(byes(bob), [], transport);
		if (transport === 'udp') await one.register({ headers: ['Expires: 0'] });
		one.close();
		assertBye(await takeBye(bob), call);
		await lives.end();
	}
});

test('a page that is back, and has not resumed yet, has its call', async () => {
	const { bob, one, call } = await up('ws');
	goes(one);
	const two = await lives.alice('ws');
	await anotherIsEnded();
	const second = await two.call({ state: call.state });
	assert.equal(second.final.status, 200);
	await lives.talk(two, second.final.body, call.callId);
	assert.deepEqual(byes(bob), []);
	// And is lost again, with a call that has moved on.
	goes(two);
	const bye = await takeBye(bob);
	assertBye(bye, call);
	const resumed = bob.requests.filter(request('INVITE')).at(-1);
	assert.ok(bye.cseq > resumed.cseq, `CSeq ${bye.cseq} after ${resumed.cseq}`);
});

test('a call with a long Call-ID is refused, whoever begins it', async () => {
	const { bob, one } = await up('ws');
	for (const [party, service] of [[one, 'bob'], [bob, 'alice']]) {
		const { final } = await party.call({ service, callId: random().padEnd(256, 'x') });
		assert.equal(final.start, 'SIP/2.0 400 Call-ID Too Long');
	}
	assert.equal((await one.call({ service: 'bob', callId: random().padEnd(255, 'x') })).final.status, 200);
});

test('calls with a long From, which are not ended, leave a line a second and process, not each', async () => {
	const CALLS = 40;
	await lives.far();
	const one = await lives.alice('tcp');
	const from = stack.kamailio.log().length;
	const begun = performance.now();
	for (let i = 0; i < CALLS; i++) {
		const call = await one.call({ from: `<sip:alice@${DOMAIN}${';x'.repeat(700)}>` });
		assert.equal(call.final.status, 200);
		assert.equal((await call.request('BYE')).status, 200);
	}
	const seconds = Math.floor((performance.now() - begun) / 1000) + 2;
	const lines = stack.kamailio.logged(/a call that will not be ended when its client does not come back: too big/, from).length;
	assert.ok(lines > 0 && lines <= 2 * seconds, `${lines} lines in ${seconds} s`);
});

test('more calls than the media server can tell of at once hide no other one', async () => {
	const ask = (callId, command) => stack.rtpengine.ask({ command, 'call-id': callId, 'from-tag': 'x', 'delete-delay': 0, sdp: sdp('127.0.0.1', 4000) });
	const { bob, one, call } = await up('ws');
	const others = Array.from({ length: 260 }, () => random().padEnd(255, 'x'));
	for (const id of others) assert.equal((await ask(id, 'offer')).result, 'ok');
	try {
		// Of those that it does tell of ours shall be one.
		const told = async () => (await stack.rtpengine.ask({ command: 'list', limit: 250 })).calls;
		for (let left; !(left = await told()).includes(call.callId);) await ask(others.find((id) => left.includes(id)), 'delete');
		goes(one);
		assertBye(await takeBye(bob), call);
		assert.deepEqual(stack.kamailio.logged(/does not answer/), []);
	} finally {
		for (const id of others) await ask(id, 'delete');
	}
});

test('a phone on hold that is not registered any more sends nothing, and has its call', async () => {
	const { bob, one, call } = await up('udp');
	bob.describe = () => `${sdp(bob.ip, bob.media, 2)}a=inactive\r\n`;
	const held = await call.mine.request('INVITE', { body: `${sdp(one.ip, one.media, 2)}a=inactive\r\n` });
	assert.equal(held.status, 200);
	call.mine.ack();
	await one.register({ headers: ['Expires: 0'] });
	goes(one);
	await anotherIsEnded();
	assert.deepEqual(byes(bob), []);
});

test('the route set of the far end: its proxy gets the BYE, for the target behind it', async () => {
	const bob = await lives.far({ answer: (m) => {
		if (m.method !== 'INVITE') return true;
		// A proxy that stays in the dialog (RFC 3261 section 16.6).
		m.fields.unshift({ name: 'record-route', value: `<sip:${bob.host};lr;proxy=1>` });
		return true;
	} });
	const one = await lives.alice('ws');
	await lives.call(one, bob);
	goes(one);
	const bye = await takeBye(bob);
	assert.deepEqual(bye.all('route'), [`<sip:${bob.host};lr;proxy=1>`]);
	assert.equal(bye.uri, bob.uri);
});

test('the gateway is killed and started again: the call is ended all the same', async () => {
	const { bob, one, call } = await up('ws');
	goes(one);
	await stack.kamailio.kill();
	await stack.kamailio.boot();
	assertBye(await takeBye(bob), call);
	await stack.noMedia();
});

test('two nodes ask the same media server: one BYE, or a second one that does no harm', async () => {
	// They have one address for the world.
	const { kamailio } = stack;
	const defines = Object.fromEntries(Object.entries(kamailio.defines).filter(([name]) => !/^(LISTEN_|WSS?_PORT|CTL_|RPC_)/.test(name)));
	const [udp, ws] = [await freePort(), await freePort()];
	const other = await Kamailio.start(stack.dir, { name: 'other', ports: { port: udp, ws }, defines: {
		...defines,
		LISTEN_UDP: `udp:127.0.0.1:${udp} advertise 127.0.0.1:${kamailio.port}`,
		LISTEN_WS: `tcp:127.0.0.1:${ws} advertise 127.0.0.1:${kamailio.ws}`,
	} });
	try {
		const { bob, one, call } = await up('ws');
		goes(one);
		assertBye(await takeBye(bob), call);
		await stack.noMedia();
		await anotherIsEnded();
		assert.ok(byes(bob).length <= 2);
		// The first one is gone for good.
		await lives.end();
		const next = await up('ws');
		await stack.kamailio.kill();
		goes(next.one);
		assertBye(await takeBye(next.bob), next.call);
	} finally {
		await other.stop();
		await kamailio.kill();
		await kamailio.boot();
	}
});

test('both ends are clients: the other one is hung up on, by the names that it has, also after a resume', async () => {
	const open = async (life) => {
		const audio = lives.keep(await Rtp.open());
		const token = await stack.kamailio.token(`sip:bill@${DOMAIN}`, 'of-bill');
		const bill = lives.keep(await FarEnd.open({ user: 'bill', transport: 'ws', token, media: audio.port, to: lives.gateway('ws') }));
		assert.equal((await bill.register()).status, 200, life);
		return Object.assign(bill, { audio });
	};
	for (const resumes of [false, true]) {
		const bill = await open('first');
		const one = await lives.alice('ws');
		const dialog = await one.call({ service: 'bill' });
		assert.equal(dialog.final.status, 200);
		const invite = await bill.take('the INVITE', request('INVITE'));
		let [there, names] = [bill, { local: bill.dialog(dialog.callId).local, callId: dialog.callId }];
		if (resumes) {
			bill.close();
			there = await open('second');
			const second = await there.call({ state: `${invite.get('call-state')};tag=${/;tag=(.*)/.exec(names.local)[1]}` });
			assert.equal(second.final.status, 200);
			names = { local: second.local, callId: second.callId };
		}
		there.audio.send(audioPort((resumes ? there.dialog(names.callId).final : invite).body), stack.rtpengine.ip);
		goes(one);
		const bye = await takeBye(there);
		assert.equal(bye.callId, names.callId);
		assert.equal(bye.get('to'), names.local);
		await stack.noMedia();
		await lives.end();
	}
});

test('the label names nobody, and a BYE of a stranger with it is nothing', async () => {
	const { bob, one, call } = await up('ws');
	one.audio.close();
	const q = await stack.rtpengine.ask({ command: 'query', 'call-id': call.callId });
	const genuine = Object.values(q.tags).map((t) => t.label).find(Boolean);
	assert.match(genuine, /^[a-z2-7]{300,1968}$/);
	assert.ok(!/alice|example/.test(genuine));
	const stranger = lives.keep(await FarEnd.open({ ip: '127.0.0.66', user: 'x', to: lives.gateway('udp') }));
	stranger.send(message(`BYE ${bob.uri} SIP/2.0`, [
		`Via: SIP/2.0/UDP ${stranger.host};branch=z9hG4bK${random()}`, 'Max-Forwards: 70', `From: ${call.mine.local}`, `To: ${call.mine.remote}`,
		`Call-ID: ${call.callId}`, 'CSeq: 99 BYE', `Route: <sip:${stack.gateway};lr>`, `Reason: ${REASON}`, `Call-State: ${genuine}`,
	]));
	assert.equal((await stranger.take('an answer', (m) => m.status > 0)).status, 403);
	assert.deepEqual(byes(bob), []);
});

test('rtpengine is started again: nothing happens until it knows the call again', async () => {
	const { bob, one, call } = await up('ws');
	goes(one);
	await stack.rtpengine.kill();
	await stack.rtpengine.boot();
	await anotherIsEnded();
	assert.deepEqual(byes(bob), []);
	const two = await lives.alice('ws');
	const second = await two.call({ state: call.state });
	assert.equal(second.final.status, 200);
	goes(two);
	assertBye(await takeBye(bob), call);
});

test('a page says that it is being left: its call is ended sooner; not when it comes back, and not at the word of others', async () => {
	await stack.kamailio.stop();
	const defines = { ...stack.kamailio.defines };
	Object.assign(stack.kamailio.defines, { RESUME_ABANDONED: 600, RESUME_LEAVING: 2 });
	await stack.kamailio.boot();
	try {
		const says = (dialog, options) => dialog.request('OPTIONS', { headers: ['Call-State: leaving'], ...options });
		// Nothing is ended before its time has gone by since the start, which is for who comes back then.
		const { bob, one, call } = await up('ws');
		const stranger = lives.keep(await FarEnd.open({ ip: '127.0.0.66', user: 'x', to: lives.gateway('udp') }));
		const forged = new Dialog(stranger, { ...call.mine, party: stranger, routes: [`<sip:${stack.gateway};lr>`] });
		assert.equal((await says(forged)).status, 481);
		assert.equal((await says(call.theirs)).status, 481, 'the far end is not the page');
		assert.equal((await says(call.mine)).start, 'SIP/2.0 200 OK');
		assert.equal(bob.requests.filter(request('OPTIONS')).length, 0);
		goes(one);
		const two = await lives.alice('ws');
		const second = await two.call({ state: call.state });
		assert.equal(second.final.status, 200);
		goes(two);
		await until('silence', async () => (await silent(call.callId)) >= 4);
		assert.deepEqual(byes(bob), [], 'it was back');
		const three = await lives.alice('ws');
		const third = await three.call({ state: second.state });
		assert.equal((await says(third)).status, 200);
		goes(three);
		assertBye(await takeBye(bob), call);
	} finally {
		await stack.kamailio.stop();
		Object.assign(stack.kamailio.defines, defines);
		await stack.kamailio.boot();
	}
});

test('by hand: who is silent for how long, and an end', async () => {
	const { bob, one, call } = await up('ws');
	const row = async () => (await stack.kamailio.kamcmd('call_resume.abandoned')).replace(/\s+/g, ' ');
	assert.match(await row(), new RegExp(`call_id: ${call.callId} id: [0-9a-f]{32} sub: sip:alice@example.org sid: web-session-1 role: caller silent: [01] connected: 1`));
	await assert.rejects(stack.kamailio.kamcmd('call_resume.end', `s:${call.callId}`), /409 - Its client is connected/);
	await assert.rejects(stack.kamailio.kamcmd('call_resume.end', 's:nobody'), /404/);
	assert.doesNotMatch(await stack.kamailio.kamcmd('call_resume.abandoned', '60'), /call_id/);
	goes(one);
	await until('its connection to be gone', async () => /connected: 0/.test(await row()));
	await stack.kamailio.kamcmd('call_resume.end', `s:${call.callId}`);
	assertBye(await takeBye(bob), call);
});
