// SPDX-License-Identifier: GPL-2.0-or-later
// The full state in a NOTIFY to a client that has answered an INVITE: it resumes from that
// alone, without its tag and without an update.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { openState } from '../lib/call.mjs';
import { FarEnd, replyTo, sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

const USER = `sip:alice@${DOMAIN}`;
const SID = 'web-session-1';

let stack, token, bob;
let open = []; // sockets of the current test
before(async () => {
	stack = await Stack.start('push', { tls: true, defines: { RESUME_PUSH: true, FR_TIMER: 3000 } });
	token = await stack.kamailio.token(USER, SID);
});
afterEach(async () => {
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

const keep = (s) => (open.push(s), s);
const gateway = (transport) => ({
	ip: stack.kamailio.ip,
	port: stack.kamailio[{ ws: 'ws', wss: 'wss', tls: 'tls' }[transport] ?? 'port'],
});

async function farEnd(options) {
	bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway('udp'), ...options }));
	return bob;
}

/** One life of alice, signed in. */
async function alice(transport, options) {
	const client = keep(await FarEnd.open({ user: 'alice', transport, token, to: gateway(transport), ...options }));
	const ok = await client.register();
	assert.equal(ok.status, 200);
	client.key = Buffer.from(/key=([\w-]{43})/.exec(ok.get('call-state-key'))[1], 'base64url');
	return client;
}

const request = (method, callId) => (m) => m.method === method && !m.status && (!callId || m.callId === callId);
const stat = async (name) => Number(new RegExp(`${name}: (\\d+)`).exec(await stack.kamailio.kamcmd('call_resume.stats'))[1]);

/** The NOTIFY with a state: {notify, jwe, state}. */
async function pushed(client) {
	const notify = await client.take('a NOTIFY', request('NOTIFY'));
	const jwe = notify.get('call-state');
	assert.equal(jwe.split('.').length, 5, 'a state alone, without parameters');
	return { notify, jwe, state: openState(jwe, client.key) };
}

const noPush = async (client) => {
	// What would have come would have come before the answer to this.
	assert.equal((await client.outside('OPTIONS', `sip:${DOMAIN}`)).status, 200);
	assert.ok(!client.inbox.some(request('NOTIFY')), 'no NOTIFY');
};

/** bob calls alice; resolves with both dialogs. */
async function call(client) {
	const theirs = await bob.call({ service: 'alice' });
	assert.equal(theirs.final.status, 200);
	await client.take('the ACK', request('ACK', theirs.callId));
	return { theirs, mine: client.dialog(theirs.callId) };
}

/** bob sends a re-INVITE with another Contact; resolves when alice has answered. */
async function refresh(callId, options = {}) {
	const theirs = bob.dialog(callId);
	const ok = await theirs.request('INVITE', { body: sdp(bob.ip, bob.media, 9), ...options });
	assert.equal(ok.status, 200);
	theirs.ack();
}

/** The highest CSeq that bob got in that call. */
const highest = (callId) => Math.max(0, ...bob.requests.filter((m) => m.callId === callId).map((m) => m.cseq));

/** Resume from a state; resolves with the dialog. What bob got before had lower numbers. */
async function resume(client, state, callId) {
	const last = highest(callId);
	const dialog = await client.call({ state });
	assert.equal(dialog.final.status, 200, dialog.final.start);
	const invite = bob.requests.findLast(request('INVITE', callId));
	assert.ok(invite.tag('to'), 'a re-INVITE of the same call');
	assert.ok(invite.cseq > last, `CSeq ${invite.cseq} above ${last}`);
	await bob.take('its ACK', (m) => m.method === 'ACK' && m.cseq === invite.cseq);
	return dialog;
}

/** Requests of both sides get through. */
async function works(client, dialog, callId) {
	assert.equal((await dialog.request('INFO')).status, 200);
	await bob.take('its INFO', request('INFO', callId));
	assert.equal((await bob.dialog(callId).request('INFO')).status, 200);
	await client.take('an INFO', request('INFO', dialog.callId));
}

async function hangUp(dialog, callId) {
	assert.equal((await dialog.request('BYE')).status, 200);
	await bob.take('the BYE', request('BYE', callId));
	await stack.noMedia();
}

for (const transport of ['ws', 'wss', 'udp', 'tcp', 'tls']) {
	test(`a called client on ${transport} gets its state when it has answered, and resumes from it alone`, async () => {
		await farEnd();
		const one = await alice(transport);
		const { theirs, mine } = await call(one);
		const { callId } = theirs;
		const { notify, jwe, state } = await pushed(one);
		assert.equal(notify.uri, one.uri, 'the Request-URI is its own Contact');
		assert.equal(notify.get('event'), 'call-state');
		assert.match(notify.get('subscription-state'), /^terminated;reason=noresource$/);
		assert.match(notify.get('contact'), new RegExp(`^<sip:${stack.kamailio.ip}:${gateway(transport).port}`));
		assert.equal(notify.tag('to'), undefined, 'outside of a dialog');
		assert.equal(state.update, undefined);
		assert.equal(state.role, 'callee');
		assert.equal(state.call_id, callId);
		assert.equal(state.local_tag, /;tag=(.*)/.exec(mine.local)[1], 'its own tag');
		assert.equal(state.remote_tag, mine.remote.match(/;tag=(.*)/)[1]);
		assert.equal(state.target, mine.target);
		assert.deepEqual(state.routes.map((r) => `<${r}>`), mine.routes);
		assert.deepEqual(state.media, [{ kind: 'audio', direction: 'sendrecv' }]);
		const invite = one.inbox.find(request('INVITE', callId));
		const first = openState(invite.get('call-state'), one.key);
		for (const name of ['id', 'role', 'call_id', 'local_uri', 'remote_uri', 'remote_tag', 'target', 'routes', 'start']) {
			assert.deepEqual(state[name], first[name], name);
		}
		one.close();

		const two = await alice(transport);
		const dialog = await resume(two, jwe, callId);
		await works(two, dialog, callId);
		await hangUp(dialog, callId);
	});
}

for (const role of ['caller', 'callee']) {
	test(`a ${role} that has answered a re-INVITE resumes from what it gets then alone, twice`, async () => {
		await farEnd();
		let life = await alice('ws');
		let dialog, callId;
		if (role === 'caller') {
			dialog = await life.call();
			({ callId } = dialog);
			await bob.take('the ACK', request('ACK', callId));
			await noPush(life);
		} else {
			const both = await call(life);
			dialog = both.mine;
			({ callId } = dialog);
			await pushed(life);
		}
		for (let i = 0; i < 2; i++) {
			await works(life, dialog, callId);
			bob.user = `bob${i}`; // another Contact
			await refresh(callId);
			const { notify, jwe, state } = await pushed(life);
			const invite = life.inbox.findLast(request('INVITE', dialog.callId));
			assert.match(invite.get('call-state'), /;update$/);
			const update = openState(invite.get('call-state').split(';')[0], life.key);
			assert.equal(state.id, update.id);
			assert.equal(state.target, update.target);
			assert.match(state.target, new RegExp(`^sip:bob${i}@`));
			assert.equal(state.role, role);
			assert.equal(state.call_id, callId, 'the state is of the original dialog');
			assert.ok(state.cseq >= highest(callId), `CSeq ${state.cseq} is not below ${highest(callId)}`);
			assert.equal(notify.uri, life.uri, 'without a map');
			if (i > 0) assert.ok(!notify.text.includes(callId), 'and without the old Call-ID');
			life.close();

			life = await alice(i ? 'udp' : 'ws');
			dialog = await resume(life, jwe, callId);
			assert.match(bob.requests.findLast(request('INVITE', callId)).uri, new RegExp(`^sip:bob${i}@`));
			await works(life, dialog, callId);
		}
		await hangUp(dialog, callId);
	});
}

test('a caller whose CSeq begins high', async () => {
	await farEnd();
	const one = await alice('ws');
	const dialog = await one.call({ cseq: 1_900_000_000 });
	const { callId } = dialog;
	await bob.take('the ACK', request('ACK', callId));
	await works(one, dialog, callId);
	await refresh(callId);
	const { jwe, state } = await pushed(one);
	assert.ok(state.cseq > 1_900_000_001);
	one.close();
	const two = await alice('ws');
	await hangUp(await resume(two, jwe, callId), callId);
});

test('a pushed state, then one from a 200: the newest always resumes', async () => {
	await farEnd();
	let life = await alice('ws');
	const { theirs: { callId } } = await call(life);
	let { jwe } = await pushed(life);
	for (let i = 0; i < 3; i++) {
		life.close();
		life = await alice('ws');
		const { state } = await resume(life, jwe, callId);
		life.close();
		life = await alice('ws');
		await resume(life, state, callId);
		await refresh(callId);
		({ jwe } = await pushed(life));
	}
	life.close();
	life = await alice('ws');
	await hangUp(await resume(life, jwe, callId), callId);
});

test('hold: the state has the direction that the client answered with', async () => {
	await farEnd();
	const one = await alice('ws');
	const { theirs } = await call(one);
	await pushed(one);
	one.answer = (m) => {
		if (m.method !== 'INVITE') return true;
		one.reply(m, 200, 'OK', { contact: true, body: `${sdp(one.ip, one.media)}a=inactive\r\n` });
		return false;
	};
	await refresh(theirs.callId, { body: `${sdp(bob.ip, bob.media, 9)}a=sendonly\r\n` });
	assert.deepEqual((await pushed(one)).state.media, [{ kind: 'audio', direction: 'inactive' }]);
	await theirs.request('BYE');
});

for (const [status, reason] of [[489, 'Bad Event'], [481, 'Subscription does not exist'], [404, 'Not Found'], [500, 'Oops'], [0]]) {
	test(`a client that answers the NOTIFY with ${status || 'nothing'} keeps its call, and the log stays quiet`, async () => {
		await farEnd();
		const one = await alice('ws');
		one.answer = (m) => {
			if (m.method !== 'NOTIFY') return true;
			if (status) m.answer(replyTo(m, status, reason, { to: `${m.get('to')};tag=x` }));
			return false;
		};
		const from = stack.kamailio.log().length;
		const { mine, theirs: { callId } } = await call(one);
		await pushed(one);
		await works(one, mine, callId);
		await hangUp(mine, callId);
		assert.deepEqual(stack.kamailio.logged(/ERROR|WARNING|CRITICAL/, from), []);
	});
}

test('who gets none: the far end, a caller whose call is answered, a 2xx that is sent again, a call without a session', async () => {
	await farEnd();
	const before = await stat('states_pushed');
	const one = await alice('udp');
	const dialog = await one.call();
	await bob.take('the ACK', request('ACK', dialog.callId));
	assert.equal((await dialog.request('INVITE', { body: sdp(one.ip, one.media) })).status, 200);
	dialog.ack();
	await noPush(one);
	assert.ok(!bob.requests.some(request('NOTIFY')));
	await hangUp(dialog, dialog.callId);
	assert.equal(await stat('states_pushed'), before);

	let ok;
	const send = one.send.bind(one);
	one.send = (text, ...to) => {
		if (/^SIP\/2.0 200 .*\r\nCSeq: \d+ INVITE/s.test(text)) ok = text;
		send(text, ...to);
	};
	const { theirs } = await call(one);
	await pushed(one);
	one.send(ok);
	await bob.take('the 200 again', (m) => m.status === 200 && m.callId === theirs.callId);
	await noPush(one);
	assert.equal(await stat('states_pushed'), before + 1);
	await theirs.request('BYE');
});

test('a far end behind a proxy: the first state is pushed, after a re-INVITE there is only the update', async () => {
	await farEnd();
	// What bob sends has come through a proxy: bob is that proxy.
	const send = bob.send.bind(bob);
	bob.send = (text, ...to) => send(text.startsWith('SIP/') ? text
		: text.replace(/\r\nMax-Forwards:/, '\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKbehind$&'), ...to);
	const one = await alice('ws');
	const { theirs: { callId }, mine } = await call(one);
	const { jwe } = await pushed(one);
	const before = await stat('states_pushed');
	await refresh(callId);
	const invite = await one.take('the re-INVITE', (m) => m.method === 'INVITE' && m.tag('to'));
	assert.match(invite.get('call-state'), /;update$/);
	await noPush(one);
	assert.equal(await stat('states_pushed'), before);
	await works(one, mine, callId);
	one.close();
	const two = await alice('ws');
	const update = invite.get('call-state').split(';')[0];
	await hangUp(await resume(two, `${jwe};update=${update}`, callId), callId);
});

test('both ends are clients of the gateway: each gets its own', async () => {
	await farEnd();
	const carolToken = await stack.kamailio.token(`sip:carol@${DOMAIN}`, 'web-session-c');
	const one = await alice('ws');
	const carol = keep(await FarEnd.open({ user: 'carol', transport: 'ws', token: carolToken, to: gateway('ws') }));
	const ok = await carol.register();
	carol.key = Buffer.from(/key=([\w-]{43})/.exec(ok.get('call-state-key'))[1], 'base64url');
	const dialog = await carol.call({ service: 'alice' });
	assert.equal(dialog.final.status, 200);
	await one.take('the ACK', request('ACK', dialog.callId));
	const hers = await pushed(one);
	assert.equal(hers.state.role, 'callee');
	await noPush(carol);
	const mine = one.dialog(dialog.callId);
	assert.equal((await mine.request('INVITE', { body: sdp(one.ip, one.media, 5) })).status, 200);
	mine.ack();
	const theirs = await pushed(carol);
	assert.equal(theirs.state.role, 'caller');
	assert.equal(theirs.state.id, hers.state.id);
	carol.close();

	const back = keep(await FarEnd.open({ user: 'carol', transport: 'ws', token: carolToken, to: gateway('ws') }));
	await back.register();
	one.inbox.length = 0;
	const again = await back.call({ state: theirs.jwe });
	assert.equal(again.final.status, 200);
	const reinvite = await one.take('the re-INVITE', request('INVITE', dialog.callId));
	assert.ok(reinvite.cseq > dialog.cseq);
	// The other one has answered a re-INVITE, and gets hers too.
	const next = await pushed(one);
	assert.ok(next.state.target.includes(';crm1='), 'the target is where the resumed one is');
	assert.equal((await again.request('BYE')).status, 200);
	await one.take('the BYE', request('BYE', dialog.callId));
});

test('an answer that a datagram says to be from somewhere else: nothing is sent there', async () => {
	await farEnd();
	const elsewhere = keep(await FarEnd.open({ ip: '127.0.0.98', to: gateway('udp') }));
	const first = await alice('udp');
	first.answer = (m) => m.method !== 'INVITE';
	const call = bob.call({ service: 'alice' });
	const invite = await first.take('the INVITE', request('INVITE'));
	const before = await stat('states_pushed');
	elsewhere.send(replyTo(invite, 200, 'OK', { to: `${invite.get('to')};tag=1`, fields: [`Contact: <${first.uri}>`, ...invite.recordRoutes.map((r) => `Record-Route: ${r}`)], body: sdp('127.0.0.1', 4000) }));
	assert.equal((await call).final.status, 200);
	assert.equal((await first.outside('OPTIONS', `sip:${DOMAIN}`)).status, 200);
	assert.equal(await stat('states_pushed'), before);
	assert.deepEqual(elsewhere.requests.filter((m) => m.method === 'NOTIFY'), []);
	first.answer = () => true;
	assert.equal((await (await call).request('BYE')).status, 200);
});

test('at the end nothing is left, and nothing failed', async () => {
	await until('tm to be empty', async () => /current: 0\b/.test(await stack.kamailio.kamcmd('tm.stats')), { timeout_ms: 15000, every_ms: 200 });
	const stats = await stack.kamailio.kamcmd('call_resume.stats');
	for (const name of ['seals_failed', 'maps_forged', 'maps_malformed', 'maps_misplaced', 'splices_failed', 'messages_dropped', 'resumes_refused']) {
		assert.match(stats, new RegExp(`${name}: 0\\b`));
	}
});
