// SPDX-License-Identifier: GPL-2.0-or-later
// Bad input: each is refused with its own answer and counted once, the log tells
// no secret, and the call that was up stays up.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

import { DOMAIN, Stack } from '../lib/stack.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { Endpoint } from '../lib/sip.mjs';
import { sleep, until } from '../lib/wait.mjs';

let stack, token, state, clientKey, callId, audio, peer, client;
let n = 0;

before(async () => {
	stack = await Stack.start('refused', {
		defines: { RESUME_STATE_LIFETIME: 3600, RESUME_CLOCK_SKEW: 0 },
	});
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'session-a');
	audio = await Rtp.open();
	peer = await stack.peer('peer', 'echo/peer.xml', { calls: 0, timeout_s: 0 });
	client = await stack.client('client', 'resume/client.xml', {
		keys: { token, audio_port: audio.port }, timeout_s: 0,
	});
	audio.send(Number(await client.waitLog('answered')));
	state = await client.waitLog('state');
	clientKey = client.lines().find((l) => l.name === 'registered').value;
	await client.waitLog('up');
	callId = await stack.onlyCall();
});
after(async () => {
	audio?.close();
	await stack?.stop();
});

const flip = (text, at) => text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
/** Change one character in the middle of the n-th part of a compact JOSE text. */
const forge = (jose, part) => {
	const parts = jose.split('.');
	parts[part] = flip(parts[part], parts[part].length >> 1);
	return parts.join('.');
};

async function stats() {
	const text = await stack.kamailio.kamcmd('call_resume.stats');
	return Object.fromEntries([...text.matchAll(/(\w+): (\d+)/g)].map((m) => [m[1], Number(m[2])]));
}

/** What an INVITE with these headers is answered with: {refused, challenge}. */
async function invite(headers, { user = 'alice', service } = {}) {
	const party = await stack.client(`try-${++n}`, 'refused/client.xml', {
		service, keys: { user, headers: headers.join('\r\n') || 'Subject: none' },
	});
	const refused = await party.waitLog('refused');
	const challenge = party.lines().find((l) => l.name === 'challenge')?.value ?? '';
	await party.done();
	return { refused, challenge };
}

const bearer = (t) => `Authorization: Bearer ${t}`;
const callState = (s) => `Call-State: ${s}`;

function refuses(what, make, status, counter, { error } = {}) {
	test(what, async () => {
		const headers = await make();
		const logBefore = stack.kamailio.log().length;
		const before = await stats();
		const { refused, challenge } = await invite(headers.lines ?? headers, headers);
		const after = await stats();
		assert.match(refused, status);
		if (error !== undefined) assert.match(challenge, error);
		if (counter) assert.equal(after[counter] - before[counter], 1, `${counter} goes up by one`);

		const log = stack.kamailio.log().slice(logBefore);
		assert.ok(log.split('\n').filter(Boolean).length >= 1, 'a line in the log');
		for (const secret of [token, state]) {
			for (const part of secret.split('.').filter((p) => p.length > 20).slice(1)) {
				assert.ok(!log.includes(part), 'no secret in the log');
			}
		}
		await stack.audio(callId, 3);
		assert.equal(await stack.onlyCall(), callId);
	});
}

refuses('no token', () => [callState(state)], /^401/, 'tokens_missing', { error: /^Bearer realm=(?!.*error=)/ });
refuses('no token, a new call', () => [], /^401/, 'tokens_missing', { error: /^Bearer realm=/ });
refuses('a token that is none', () => [bearer('abc'), callState(state)], /^401/, 'tokens_malformed',
	{ error: /error="invalid_/ });
refuses('a token with a forged signature', () => [bearer(forge(token, 2)), callState(state)], /^401/,
	'tokens_forged', { error: /error="invalid_token"/ });
refuses('a token with forged claims', () => [bearer(forge(token, 1)), callState(state)], /^401/,
	'tokens_forged', { error: /error="invalid_token"/ });
refuses('an expired token', async () => {
	const short = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'session-a', 1);
	await until('the token to expire', async () => !(await stack.kamailio.kamcmd('call_resume.inspect', short)).includes('accepted'), { every_ms: 200 });
	return [bearer(short), callState(state)];
}, /^401/, 'tokens_expired', { error: /error="invalid_token"/ });
refuses('a token of another user than the one in From',
	async () => [bearer(await stack.kamailio.token(`sip:mallory@${DOMAIN}`)), callState(state)], /^403/);

refuses('a state that is no JWE', () => [bearer(token), callState('abc')], /^400/, 'states_malformed');
refuses('a state over 8 KiB', () => [bearer(token), callState('a'.repeat(8300))], /^400/, 'states_too_big');
refuses('two states', () => [bearer(token), callState(state), callState(state)], /^400/, 'states_duplicate');
for (const part of [2, 3, 4]) {
	refuses(`a state with part ${part} forged`, () => [bearer(token), callState(forge(state, part))],
		/^403/, 'states_not_yours');
}
/** Open a state with the client's own key, change it, and seal it again. */
function remake(jwe, edit) {
	const key = Buffer.from(clientKey.match(/key=([\w-]+)/)[1], 'base64url');
	const [header, , iv, text, tag] = jwe.split('.');
	const open = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'));
	open.setAAD(Buffer.from(header)).setAuthTag(Buffer.from(tag, 'base64url'));
	const json = edit(open.update(text, 'base64url', 'utf8') + open.final('utf8'));
	const nonce = randomBytes(12);
	const seal = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(header));
	const sealed = seal.update(json, 'utf8', 'base64url') + seal.final('base64url');
	return [header, '', nonce.toString('base64url'), sealed, seal.getAuthTag().toString('base64url')].join('.');
}
refuses('a state that the client made itself, of another call',
	() => [bearer(token), callState(remake(state, (json) => json.replace(/"call_id":"/, '$&x')))],
	/^403/, 'states_not_yours');
refuses('a state that the client made itself, without signature',
	() => [bearer(token), callState(remake(state, (json) => json.replace(/,"mac":"[^"]*"/, '')))],
	/^403/, 'states_not_yours');
for (const cut of [1, 30, 300]) {
	refuses(`a state cut short by ${cut}`, () => [bearer(token), callState(state.slice(0, -cut))],
		/^403/, 'states_not_yours');
}
refuses('a state in another session of the same user',
	async () => [bearer(await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'session-b')), callState(state)],
	/^403/, 'states_not_yours');
refuses('a state of another user', async () => ({
	lines: [bearer(await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 'session-a')), callState(state)],
	user: 'mallory',
}), /^403/, 'states_not_yours');

test('forged, another session and another user get one and the same answer', async () => {
	const answers = new Set();
	for (const [user, sid, s] of [
		['alice', 'session-a', forge(state, 3)], ['alice', 'session-b', state], ['mallory', 'session-a', state],
	]) {
		const t = await stack.kamailio.token(`sip:${user}@${DOMAIN}`, sid);
		answers.add((await invite([bearer(t), callState(s)], { user })).refused);
	}
	assert.equal(answers.size, 1, [...answers].join(' / '));
});

test('a Request-URI of 900 characters gets 414', async () => {
	const { refused } = await invite([bearer(token)], { service: 'b'.repeat(900) });
	assert.match(refused, /^414/);
	await stack.audio(callId, 3);
});

test('an expired state gets 410', async () => {
	const brief = await Stack.start('refused-expired', {
		defines: { RESUME_STATE_LIFETIME: 1, RESUME_CLOCK_SKEW: 0 },
	});
	try {
		const t = await brief.kamailio.token(`sip:alice@${DOMAIN}`, 'session-a');
		await brief.peer('peer', 'echo/peer.xml');
		const one = await brief.client('one', 'resume/client.xml', { keys: { token: t } });
		const s = await one.waitLog('state');
		await one.waitLog('up');
		await one.kill();
		await sleep(2100); // The time is what is tested.
		const two = await brief.client('two', 'refused/client.xml', {
			keys: { headers: [bearer(t), callState(s)].join('\r\n') },
		});
		assert.match(await two.waitLog('refused'), /^410/);
		assert.equal((await brief.rtpengine.calls()).length, 1);
	} finally {
		await brief.stop();
	}
});

// handle_ruri_alias() of Kamailio 5.6.3 copies 1024 bytes and no more: this once
// ended it.
test('a strict Route that becomes too long a Request-URI harms nobody', async () => {
	const far = `sip:${'a'.repeat(2500)}@127.0.0.9:9;alias=1.2.3.4~5~1`;
	const raw = await Endpoint.open({ to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
	try {
		raw.send(`INVITE sip:x@${DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:${raw.port};branch=z9hG4bKs\r\n`
			+ 'Max-Forwards: 70\r\nFrom: <sip:eve@x>;tag=1\r\nTo: <sip:x@y>;tag=2\r\nCall-ID: strict\r\n'
			+ `CSeq: 1 INVITE\r\nContact: <sip:eve@127.0.0.1:${raw.port}>\r\n`
			+ `Route: <sip:${stack.gateway};lr>, <${far}>\r\nContent-Length: 0\r\n\r\n`);
		// Of a stranger it is refused before it is looked at.
		assert.match((await raw.take('the answer', (m) => m.status >= 200)).start, /403/);
	} finally {
		raw.close();
	}
	assert.match(await stack.kamailio.kamcmd('core.uptime'), /uptime/);
});
