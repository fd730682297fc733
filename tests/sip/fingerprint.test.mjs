// SPDX-License-Identifier: GPL-2.0-or-later
// Calls that are bound to the certificate of their client: a state resumes with that
// certificate's fingerprint in the offer, and with no other, whatever else the thief has.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { openState } from '../lib/call.mjs';
import { Client, FarEnd, sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

const USER = `sip:alice@${DOMAIN}`;
const SID = 'web-session-1';
const ANOTHER = /^SIP\/2.0 403 Call-State is bound to another certificate$/;

/** A fingerprint as a browser writes it. */
const fingerprint = () => `sha-256 ${[...randomBytes(32)].map((b) => b.toString(16).padStart(2, '0').toUpperCase()).join(':')}`;
const MINE = fingerprint();
const OTHER = fingerprint();
const named = (fp) => [`Call-State-Fingerprint: ${fp}`];

/** What a browser offers, or answers. */
const media = (fp, { proto = 'UDP/TLS/RTP/SAVPF', session = false, version = 1, more = [], setup = 'actpass' } = {}) => {
	const line = fp ? [`a=fingerprint:${fp}`] : [];
	return [
		'v=0', `o=- 1 ${version} IN IP4 127.0.0.1`, 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', ...session ? line : [],
		`m=audio 4000 ${proto} 8`, 'a=rtpmap:8 PCMA/8000', 'a=rtcp-mux', 'a=ice-ufrag:abcd', 'a=ice-pwd:abcdefghijklmnopqrstuv',
		'a=candidate:1 1 UDP 2122252543 127.0.0.1 4000 typ host', `a=setup:${setup}`, ...session ? [] : line, ...more, '',
	].join('\r\n');
};

let stack, token, bob;
let open = [];
before(async () => {
	stack = await Stack.start('fingerprint', { defines: { RESUME_BIND_FINGERPRINT: 1, RESUME_PUSH: true } });
	token = await stack.kamailio.token(USER, SID);
});
afterEach(async () => {
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

const keep = (s) => (open.push(s), s);
const gateway = (transport = 'udp') => ({ ip: stack.kamailio.ip, port: transport === 'ws' ? stack.kamailio.ws : stack.kamailio.port });
const stat = async (name, where = stack) => Number(new RegExp(`${name}: (\\d+)`).exec(await where.kamailio.kamcmd('call_resume.stats'))[1]);
const request = (method, callId) => (m) => m.method === method && !m.status && (!callId || m.callId === callId);

async function farEnd() {
	bob?.close();
	bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
}

/** One life of a client; it answers with its certificate. */
async function life({ fp = MINE, transport = 'ws', ...options } = {}) {
	const client = keep(await FarEnd.open({ user: 'alice', transport, token, to: gateway(transport), ...options }));
	client.answer = (m) => {
		if (m.method !== 'INVITE' || !client.dialog(m.callId)) return true;
		client.dialog(m.callId).target = m.contact;
		client.reply(m, 200, 'OK', { contact: true, copy: true, body: media(fp, { setup: 'active', version: 3 }) });
		return false;
	};
	return client;
}

/** A call of alice that is up, bound to her certificate unless she does not say. */
async function calling(headers = named(MINE)) {
	await farEnd();
	const one = await life();
	const dialog = await one.call({ headers, body: media(MINE) });
	assert.equal(dialog.final.status, 200);
	one.dialogs.set(dialog.callId, dialog);
	await bob.take('the ACK', request('ACK', dialog.callId));
	return { one, dialog, callId: dialog.callId, state: dialog.state };
}

const inspect = async (state, where = stack) => where.kamailio.kamcmd('call_resume.inspect', state, USER, `s:${SID}`);
const isBound = async (state) => assert.match(await inspect(state), /bound: 1/);

const resumes = async (state, body = media(MINE), options = {}) => {
	const client = await life(options);
	const dialog = await client.call({ state, body, headers: named(MINE) });
	client.dialogs.set(dialog.callId, dialog);
	return { client, dialog, answer: dialog.final.start };
};

/** The state and the token are in other hands, and the gateway says no. */
async function refused(state, body, callId) {
	const before = await stat('fingerprints_refused');
	const seen = bob.requests.length;
	const { answer } = await resumes(state, body);
	assert.match(answer, ANOTHER);
	assert.equal(await stat('fingerprints_refused') - before, 1);
	assert.ok(!bob.requests.slice(seen).some(request('INVITE', callId)), 'the far end is not asked');
}

async function hangUp(dialog, callId) {
	assert.equal((await dialog.request('BYE')).status, 200);
	await bob.take('the BYE', request('BYE', callId));
	await stack.noMedia();
}

const offers = {
	'another certificate': media(OTHER),
	'another certificate for the session': media(OTHER, { session: true }),
	'no certificate': media(undefined),
	'plain RTP': sdp('127.0.0.1', 4000),
	'plain RTP with the fingerprint beside it': media(MINE, { proto: 'RTP/AVP' }),
	'keys of its own with the fingerprint beside them': media(MINE, {
		more: [`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${randomBytes(30).toString('base64')}`],
	}),
	'both certificates': media(MINE, { more: [`a=fingerprint:${OTHER}`] }),
	'both, for two media': `${media(MINE)}m=video 4002 UDP/TLS/RTP/SAVPF 96\r\na=fingerprint:${OTHER}\r\n`,
	'one medium without': `${media(MINE)}m=video 4002 UDP/TLS/RTP/SAVPF 96\r\n`,
	'the same digest, said to be of SHA-1': media(MINE.replace('256', '1')),
	'the fingerprint cut off': media(MINE.slice(0, -3)),
	'two descriptions': `${media(MINE)}${media(OTHER)}`,
	'no description at all': '',
};

test('a caller: its own certificate resumes, every other offer is refused, and the call goes on', async () => {
	const { callId, state, one, dialog } = await calling();
	await isBound(state);
	for (const [what, body] of Object.entries(offers)) {
		await refused(state, body, callId).catch((e) => { throw new Error(`${what}: ${e.message}`, { cause: e }); });
	}
	// One that this reads as its own, and another one as of two parts.
	const type = ['Content-Type: multipart/mixed;boundary=x'];
	for (const parts of [media(MINE), `${media(MINE)}--x\r\nContent-Type: application/sdp\r\n\r\n${media(OTHER)}\r\n--x--\r\n`]) {
		const { final } = await (await life()).call({ state, body: parts, headers: type });
		assert.equal(final.status, 415);
	}
	assert.equal((await dialog.request('INFO')).status, 200, 'the old client is in its call all the time');
	one.close();
	const { dialog: back, answer } = await resumes(state);
	assert.equal(answer, 'SIP/2.0 200 OK');
	const reinvite = bob.requests.findLast(request('INVITE', callId));
	assert.match(reinvite.body, /^v=0\r\n[^]*\r\nm=audio \d+ RTP\/AVP 8\r\n/, 'the SDP is rtpengine\'s');
	assert.doesNotMatch(reinvite.body, /fingerprint/);
	await hangUp(back, callId);
});

test('lower case, a session-level fingerprint and another transport make no difference', async () => {
	const { callId, state, one } = await calling(named(MINE.toLowerCase()));
	one.close();
	const { dialog, answer } = await resumes(state, media(MINE.toLowerCase(), { session: true }), { transport: 'udp' });
	assert.equal(answer, 'SIP/2.0 200 OK');
	await hangUp(dialog, callId);
});

test('a caller stays bound: after re-INVITEs of both sides, a pushed state, and resumes', async () => {
	const call = await calling();
	const { callId } = call;
	let { one, dialog, state } = call;
	for (let i = 0; i < 2; i++) {
		const ok = await dialog.request('INVITE', { body: media(MINE, { version: 7 + i }) });
		assert.equal(ok.status, 200);
		dialog.ack();
		state = ok.get('call-state');
		await isBound(state);
		await refused(state, media(OTHER), callId);
		const theirs = bob.dialog(callId);
		assert.equal((await theirs.request('INVITE', { body: sdp(bob.ip, bob.media, 5 + i) })).status, 200);
		theirs.ack();
		const update = one.inbox.findLast((m) => /;update$/.test(m.get('call-state') ?? '')).get('call-state').split(';')[0];
		await refused(`${state};update=${update}`, media(OTHER), callId);
		const pushed = (await one.take('a NOTIFY', request('NOTIFY'))).get('call-state');
		await isBound(pushed);
		await refused(pushed, media(OTHER), callId);
		one.close();
		({ client: one, dialog } = await resumes(i ? pushed : `${state};update=${update}`));
		assert.equal(dialog.final.status, 200, dialog.final.start);
		({ state } = dialog);
		await isBound(state);
		await refused(state, media(OTHER), callId);
	}
	await hangUp(dialog, callId);
});

test('a called client: bound to what it named when it registered', async () => {
	await farEnd();
	const one = await life();
	const ok = await one.register({ headers: named(MINE) });
	assert.equal(ok.status, 200);
	const key = Buffer.from(/key=([\w-]{43})/.exec(ok.get('call-state-key'))[1], 'base64url');
	const theirs = await bob.call({ service: 'alice' });
	assert.equal(theirs.final.status, 200);
	const { callId } = theirs;
	const invite = one.inbox.find(request('INVITE', callId));
	const first = invite.get('call-state');
	assert.equal(openState(first, key).fp, Buffer.from(MINE.slice(8).replaceAll(':', ''), 'hex').subarray(0, 16).toString('base64url'));
	const tag = `;tag=${/;tag=(.*)/.exec(one.dialog(callId).local)[1]}`;
	await refused(first + tag, media(OTHER), callId);
	const pushed = (await one.take('a NOTIFY', request('NOTIFY'))).get('call-state');
	await isBound(pushed);
	await refused(pushed, media(OTHER), callId);
	one.close();
	const { dialog, client, answer } = await resumes(first + tag);
	assert.equal(answer, 'SIP/2.0 200 OK');
	await refused(dialog.state, media(OTHER), callId);
	client.close();
	const again = await resumes(dialog.state);
	await hangUp(again.dialog, callId);
});

test('the key ring is rotated in between: the binding stays', async () => {
	const { callId, one, dialog } = await calling();
	await stack.kamailio.kamcmd('call_resume.rotate');
	const ok = await dialog.request('INVITE', { body: media(MINE, { version: 2 }) });
	dialog.ack();
	const state = ok.get('call-state');
	await isBound(state);
	await refused(state, media(OTHER), callId);
	one.close();
	await hangUp((await resumes(state)).dialog, callId);
});

test('who does not ask for it is not bound', async () => {
	for (const how of ['caller', 'callee']) {
		let call;
		if (how === 'caller') {
			call = await calling([]);
		} else {
			await farEnd();
			const one = await life();
			await one.register();
			const { callId } = await bob.call({ service: 'alice' });
			call = { one, callId, state: (await one.take('a NOTIFY', request('NOTIFY'))).get('call-state') };
		}
		assert.match(await inspect(call.state), /bound: 0/);
		call.one.close();
		const { dialog, answer } = await resumes(call.state, media(OTHER));
		assert.equal(answer, 'SIP/2.0 200 OK');
		await hangUp(dialog, call.callId);
	}
});

test('who asks for it and cannot be understood has a call without a state', async () => {
	for (const bad of ['sha-1 00:11', 'x', MINE.replace('256', '512')]) {
		const { dialog, callId } = await calling(named(bad));
		assert.equal(dialog.state, undefined);
		await hangUp(dialog, callId);
	}
	const { dialog, callId } = await calling([...named(MINE), ...named(OTHER)]);
	assert.equal(dialog.state, undefined);
	await hangUp(dialog, callId);
});

test('the far end does not hear of it, the log does', async () => {
	const { callId, state, one } = await calling();
	await refused(state, media(OTHER), callId);
	assert.match(stack.kamailio.log(), /resume by sip:alice@example.org refused, 403 Call-State is bound to another certificate, from 127/);
	one.close();
	await hangUp((await resumes(state)).dialog, callId);
	for (const m of bob.requests) assert.equal(m.get('call-state-fingerprint'), undefined);
});

for (const [mode, what] of [[0, 'off: nothing is bound'], [2, 'needed: a state that is not bound is refused']]) {
	test(`bind_fingerprint ${mode}, ${what}`, async () => {
		const stack2 = await Stack.start(`fingerprint-${mode}`, { defines: { RESUME_BIND_FINGERPRINT: mode } });
		try {
			const to = { ip: stack2.kamailio.ip, port: stack2.kamailio.port };
			const key = await stack2.kamailio.token(USER, SID);
			const far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack2.trunkPort, to }));
			const client = keep(await Client.open({ token: key, to }));
			const again = async (state, fp) => (await client.call({ state, body: media(fp), headers: named(MINE) })).final.start;
			const bound = await client.call({ headers: named(MINE), body: media(MINE) });
			const free = await client.call({ body: media(MINE) });
			if (mode === 0) {
				assert.match(await inspect(bound.state, stack2), /bound: 0/);
				assert.equal(await again(bound.state, OTHER), 'SIP/2.0 200 OK');
			} else {
				assert.equal(await again(free.state, MINE), 'SIP/2.0 403 Call-State is not bound to a certificate');
				assert.match(await again(bound.state, OTHER), ANOTHER);
				assert.equal(await stat('fingerprints_refused', stack2), 2);
				assert.equal(await again(bound.state, MINE), 'SIP/2.0 200 OK');
			}
			assert.ok(far.requests.length > 0);
		} finally {
			await stack2.stop();
		}
	});
}

// ---- in the dialog -----------------------------------------------------------

/** The dialog as a thief knows it who has opened the state, from an address of his own. */
async function forged(dialog, change = {}) {
	const thief = await life({ transport: 'udp', fp: OTHER });
	const copy = Object.assign(Object.create(Object.getPrototypeOf(dialog)), dialog, { party: thief, cseq: dialog.cseq + 100, ...change });
	return copy;
}

test('a thief who sends a re-INVITE into the dialog is refused, whatever he makes of its Route', async () => {
	const { one, dialog, callId } = await calling();
	const [route] = dialog.routes;
	assert.match(route, /;crs-a=/);
	assert.match(route, /;ftag=/);
	const ways = {
		'as it is': route,
		'without the reference': route.replace(/;crs-a=[^;>]*/, ''),
		'with a damaged one': route.replace(/;crs-a=....../, ';crs-a=aaaaaa'),
		'from the other side': route.replace(/;ftag=[^;>]*/, ';ftag=x'),
		'as that of the called one': route.replace(';crs-a=', ';crs-b='),
	};
	const bodies = { 'his own': media(OTHER), plain: sdp('127.0.0.1', 4000), none: '' };
	// He has the token too: without it he is not in the call at all where no reference opens.
	const headers = [`Authorization: Bearer ${token}`];
	const seen = bob.requests.length;
	const before = await stat('fingerprints_refused');
	const [at, started] = [stack.kamailio.log().length, Date.now()];
	let n = 0;
	for (const [what, uri] of Object.entries(ways)) {
		for (const [kind, body] of Object.entries(bodies)) {
			const his = await forged(dialog, { routes: [uri] });
			const answer = await his.request('INVITE', { body, headers });
			assert.equal(answer.start, 'SIP/2.0 403 Call is bound to another certificate', `${what}, ${kind}`);
			n++;
		}
		const his = await forged(dialog, { routes: [uri] });
		assert.equal((await his.request('UPDATE', { body: media(OTHER), headers })).status, 403, what);
		his.ack({ body: media(OTHER), cseq: dialog.cseq, headers });
		await until('the ACK to be refused', async () => await stat('fingerprints_refused') - before === n + 2);
		n += 2;
	}
	assert.equal(bob.requests.length, seen, 'the far end hears nothing of it');
	const lines = stack.kamailio.log().slice(at).match(/NOTICE: .*(INVITE|UPDATE|ACK) from 127.0.0.1 refused: the call is bound to another certificate/g);
	const PROCESSES = 4;
	assert.ok(lines.length <= PROCESSES * (1 + Math.ceil((Date.now() - started) / 1000)), `${lines.length} lines`);
	// The client itself, and what says nothing about media.
	assert.equal((await dialog.request('INVITE', { body: media(MINE, { version: 4 }) })).status, 200);
	dialog.ack();
	assert.equal((await dialog.request('UPDATE')).status, 200);
	assert.equal((await dialog.request('INFO')).status, 200);
	one.close();
	const { dialog: back, client } = await resumes(dialog.state);
	assert.equal((await back.request('INVITE', { body: media(MINE, { version: 5 }) })).status, 200);
	back.ack();
	assert.equal((await back.request('INVITE', { body: media(OTHER, { version: 6 }) })).status, 403);
	back.ack({ via: back.branch });
	client.dialogs.set(back.callId, back);
	await hangUp(back, callId);
});

test('calls that are not bound may change their media', async () => {
	const { dialog, callId } = await calling([]);
	assert.equal((await dialog.request('INVITE', { body: media(OTHER, { version: 2 }) })).status, 200);
	dialog.ack();
	const theirs = bob.dialog(callId);
	assert.equal((await theirs.request('INVITE', { body: sdp(bob.ip, bob.media, 9) })).status, 200);
	theirs.ack();
	await hangUp(dialog, callId);
});

test('an offer that is longer than 8192 bytes resumes as well', async () => {
	const { dialog } = await calling();
	const more = Array.from({ length: 150 }, (_, i) => `a=candidate:${i + 2} 1 UDP ${2122252000 - i} 127.0.0.1 ${5000 + i} typ host generation 0`);
	const back = await (await life()).call({ headers: named(MINE), state: dialog.state, body: media(MINE, { version: 2, more }) });
	assert.equal(back.final.start, 'SIP/2.0 200 OK');
});
