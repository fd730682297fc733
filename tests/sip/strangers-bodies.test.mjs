// SPDX-License-Identifier: GPL-2.0-or-later
// Session descriptions that are not called so, or come where nobody expects one: pages and phones read them all the same,
// and none of them reaches anybody as its sender has written it.

import { after, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { Kamailio, small } from '../lib/kamailio.mjs';
import { Lab } from '../lib/lab.mjs';
import { Endpoint, message, random, replyTo, sdp } from '../lib/sip.mjs';
import { DOMAIN, runFolder } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const ELSEWHERE = '127.0.0.77'; // where they would lead
const mine = sdp(ELSEWHERE, 4444);
const part = (body, type = 'application/sdp') => `--b\r\nContent-Type: ${type}\r\n\r\n${body}\r\n`;
const mixed = 'multipart/mixed;boundary=b';
const HIDDEN = {
	'text/plain': ['text/plain', mine],
	'a type that does not exist': ['x', mine],
	'two types': ['text/plain\r\nContent-Type: application/sdp', mine],
	'two types, the second one compact': ['application/sdp\r\nc: text/plain', mine],
	'blanks in its type': ['application / sdp', mine],
	'two descriptions in two parts': [mixed, `${part(sdp('127.0.0.1', 4000))}${part(mine)}--b--\r\n`],
	'another one in front of the parts': [mixed, `${mine}\r\n${part(sdp('127.0.0.1', 4000))}--b--\r\n`],
	'a part in another encoding': ['multipart/related;boundary=b', `--b\r\nContent-Transfer-Encoding: base64\r\n${part(btoa(mine)).slice(5)}--b--\r\n`],
};
const PARTS = {
	'one part': [mixed, `${part(mine)}--b--\r\n`],
	'three parts': ['multipart/related; boundary="b"', `${part('hello', 'text/plain')}${part(mine)}${part('<a/>', 'application/x+xml')}--b--\r\n`],
};

describe('session descriptions under other names', () => {
	let lab, alice, bob, far;
	before(async () => { lab = await Lab.start('bodies'); });
	beforeEach(async () => {
		await lab.clear();
		far = await lab.far();
		alice = await lab.party('alice', { transport: 'ws' });
		bob = await lab.party('bob', { transport: 'ws' });
		for (const party of [alice, bob]) assert.equal((await party.register()).status, 200);
	});
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	/** rtpengine's, alone. */
	const isOurs = (m) => {
		assert.match(m.body, /^v=0\r\n[^]*\r\nm=audio \d+ [^]*\r\n$/);
		assert.doesNotMatch(m.body, /127\.0\.0\.77|--b|4444/);
		assert.deepEqual(m.all('content-type'), ['application/sdp']);
	};
	const isBare = (m) => {
		assert.equal(m.body, '');
		assert.deepEqual(m.all('content-type'), []);
	};
	/** It answers with that body, and with that type or none. */
	const answers = (party, body, type) => {
		party.answer = (m) => {
			if (m.method !== 'INVITE') return true;
			const text = replyTo(m, 200, 'OK', {
				to: `${m.get('to')};tag=x`, body, fields: [...m.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <${party.uri}>`, `Content-Type: ${type}`],
			});
			m.answer(type ? text : text.replace('Content-Type: undefined\r\n', ''));
			return false;
		};
	};
	const invitesOf = (party) => party.requests.filter((m) => m.method === 'INVITE');

	for (const [what, [type, body]] of Object.entries(HIDDEN)) {
		test(`${what}: a request is refused, an answer goes on without it`, async () => {
			const headers = [`Content-Type: ${type}`];
			const { final } = await bob.call({ service: 'alice', body, headers });
			assert.equal(final.start, 'SIP/2.0 415 Unsupported Media Type');
			assert.equal(final.get('accept'), 'application/sdp');
			assert.equal(invitesOf(alice).length, 0);

			answers(bob, body, type);
			const call = await alice.call({ service: 'bob' });
			assert.equal(call.final.status, 200);
			isBare(call.final);
		});
	}

	for (const [what, [type, body]] of Object.entries(PARTS)) {
		test(`of ${what} the description alone goes on, and is rtpengine's`, async () => {
			const headers = [`Content-Type: ${type}`];
			for (const caller of [far, bob]) {
				assert.equal((await caller.call({ service: 'alice', to: `sip:alice@${DOMAIN}`, body, headers })).final.status, 200);
				isOurs(invitesOf(alice).pop());
			}
			answers(bob, body, type);
			const call = await alice.call({ service: 'bob' });
			assert.equal(call.final.status, 200);
			isOurs(call.final);
		});
	}

	test('without any type, or over UDP without a length, it is one', async () => {
		const phone = await lab.party('alice');
		const text = (lines, body) => `${lines.join('\r\n')}\r\n\r\n${body}`;
		const callId = random();
		phone.send(text([`INVITE sip:bob@${DOMAIN} SIP/2.0`, `Via: SIP/2.0/UDP ${phone.host};branch=z9hG4bK${random()}`, 'Max-Forwards: 70',
			`From: <sip:alice@${DOMAIN}>;tag=1`, `To: <sip:bob@${DOMAIN}>`, `Call-ID: ${callId}`, 'CSeq: 1 INVITE', `Contact: <${phone.uri}>`,
			`Authorization: Bearer ${phone.token}`, 'Content-Type: application/sdp'], mine));
		assert.equal((await phone.take('the answer', (m) => m.status >= 200)).status, 200);
		isOurs(invitesOf(bob)[0]);
		answers(bob, mine);
		const { final } = await alice.call({ service: 'bob' });
		assert.equal(final.status, 200);
		assert.doesNotMatch(final.body, /127\.0\.0\.77/);
	});

	for (const status of ['101 Hello', '150 Hello', '180 Ringing', '199 Early Dialog Terminated']) {
		test(`in a ${status}: it is rtpengine's`, async () => {
			bob.answer = (m) => m.method !== 'INVITE';
			const calling = alice.call({ service: 'bob' });
			const invite = await bob.take('the INVITE', (m) => m.method === 'INVITE');
			const [code, ...reason] = status.split(' ');
			invite.answer(replyTo(invite, code, reason.join(' '), { to: `${invite.get('to')};tag=x`, body: mine }));
			const early = await alice.take('the provisional', (m) => m.status > 100 && m.status < 200);
			isOurs(early);
			bob.reply(invite, 486, 'Busy Here');
			assert.equal((await calling).final.status, 486);
		});
	}

	test('in a call that is up: a re-INVITE, an UPDATE and a PRACK are refused, an ACK goes nowhere', async () => {
		const call = await bob.call({ service: 'alice' });
		assert.equal(call.final.status, 200);
		const headers = ['Content-Type: text/plain'];
		await alice.take('the ACK', (m) => m.method === 'ACK');
		const { length } = alice.requests;
		for (const method of ['INVITE', 'UPDATE', 'PRACK']) assert.equal((await call.request(method, { body: mine, headers })).status, 415, method);
		call.ack({ body: mine, headers });
		assert.equal((await call.request('INFO', { body: 'hello', headers })).status, 200);
		assert.deepEqual(alice.requests.slice(length).map((m) => m.method), ['INFO']);
	});

	test('in the ACK to an offer: of several parts the description alone goes on', async () => {
		const call = await bob.call({ service: 'alice', body: '', acknowledge: false });
		assert.equal(call.final.status, 200);
		const [type, body] = PARTS['three parts'];
		call.ack({ body, headers: [`Content-Type: ${type}`] });
		isOurs(await alice.take('the ACK', (m) => m.method === 'ACK'));
	});

	for (const [what, status, method] of [['a 183', 183, 'INVITE'], ['a 200 to a PRACK', 200, 'PRACK']]) {
		test(`in ${what} that belongs to no request: it is not the sender's`, async () => {
			const got = [];
			alice.handle = (m) => got.push(m) < 0;
			bob.answer = (m) => m.method !== 'INVITE';
			const calling = alice.call({ service: 'bob' });
			const invite = await bob.take('the INVITE', (m) => m.method === 'INVITE');
			// Past the transaction, by our Via with another branch; it proves itself by its Record-Route.
			bob.send(replyTo(invite, status, 'Stray', {
				to: `${invite.get('to')};tag=x`, body: mine, fields: [...invite.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <${bob.uri}>`],
			}).replace(/branch=z9hG4bK[^;\r]*/, `branch=z9hG4bK${random()}`).replace(/(CSeq: \d+) INVITE/, `$1 ${method}`));
			await until(what, () => got.some((m) => m.status === status));
			bob.reply(invite, 486, 'Busy Here');
			await calling;
			for (const m of got) assert.doesNotMatch(m.text, /127\.0\.0\.77/);
		});
	}

	test('what is no description goes on as it is, both ways', async () => {
		const [type, body] = ['multipart/mixed;boundary=b', `${part('hello', 'text/plain')}${part('<a/>', 'application/x+xml')}--b--\r\n`];
		bob.answer = (m) => m.method !== 'INVITE';
		const calling = alice.call({ service: 'bob', body, headers: [`Content-Type: ${type}`] });
		const invite = await bob.take('the INVITE', (m) => m.method === 'INVITE');
		assert.equal(invite.body, body);
		bob.reply(invite, 180, 'Ringing', { body, headers: [`Content-Type: ${type}`] });
		assert.equal((await alice.take('the 180', (m) => m.status === 180)).body, body);
		bob.reply(invite, 486, 'Busy Here', { body: mine });
		assert.equal((await calling).final.status, 486);
	});
});

test('behind what Kamailio cannot read is a description that nobody may get, for a script of one\'s own', async () => {
	const kamailio = await Kamailio.start(runFolder('strangers-bodies-own'), { own: small(`modparam("call_resume", "bind_fingerprint", 1)
		request_route {
			$var(sdp) = "good";
			if (!resume_check_sdp()) $var(sdp) = "bad";
			$var(media) = "good";
			if (!resume_check_media()) $var(media) = "bad";
			xlog("L_ERR", "$ci: sdp $var(sdp), media $var(media).\\n");
		}`, { modules: ['xlog'] }) });
	const party = await Endpoint.open({ to: kamailio });
	try {
		for (const [fields, body, said] of [[[], '', 'sdp good, media good'], [[], mine, 'sdp good, media bad'], [['Subject'], mine, 'sdp bad, media bad'], [['Subject'], '', 'sdp bad, media bad']]) {
			const callId = random();
			party.send(message('UPDATE sip:bob@example.org SIP/2.0', [`Via: SIP/2.0/UDP ${party.host};branch=z9hG4bK${random()}`, 'From: <sip:a@b>;tag=1', 'To: <sip:b@b>;tag=2',
				`Call-ID: ${callId}`, 'CSeq: 1 UPDATE', ...fields], body));
			const line = await until('the line', () => new RegExp(`${callId}: (.*)\\.`).exec(kamailio.log()));
			assert.equal(line[1], said, fields[0]);
		}
	} finally {
		party.close();
		await kamailio.stop();
	}
});
