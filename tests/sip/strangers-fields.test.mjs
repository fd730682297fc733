// SPDX-License-Identifier: GPL-2.0-or-later
// What a client says in its header fields, and what of it gets to the far end: no token,
// and nothing that a trunk would believe.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { FarEnd, replyTo, sdp } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';

let stack, far, alice, token, call;
before(async () => {
	stack = await Stack.start('strangers-fields');
	const at = (port) => ({ ip: stack.kamailio.ip, port });
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 's-1');
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: at(stack.kamailio.port) });
	alice = await FarEnd.open({ user: 'alice', token, transport: 'ws', to: at(stack.kamailio.ws) });
	assert.equal((await alice.register()).status, 200);
	call = await alice.call();
	assert.equal(call.final.status, 200);
});
after(async () => {
	for (const p of [far, alice]) p?.close();
	await stack?.stop();
});

/** What the far end gets of a request, in a dialog and outside. */
async function passed(method, fields, { status = 200, without = false } = {}) {
	const seen = far.requests.length;
	const keep = alice.token;
	if (without) alice.token = undefined;
	const inside = await call.request(method, { headers: fields });
	const outside = await alice.outside('MESSAGE', `sip:bob@${DOMAIN}`, { headers: fields });
	const invite = await alice.call({ headers: fields });
	alice.token = keep;
	assert.deepEqual([inside.status, outside.status, invite.final.status], [status, status, status]);
	if (status === 200) assert.equal((await invite.request('BYE')).status, 200);
	return far.requests.slice(seen);
}

describe('the token stays here', () => {
	const forms = () => ({
		'as it is': [`Authorization: Bearer ${token}`],
		'behind a Digest': ['Authorization: Digest username="x", realm="y"', `Authorization: Bearer ${token}`],
		'in front of a Digest': [`Authorization: Bearer ${token}`, 'Authorization: Digest username="x", realm="y"'],
		'behind a comma': [`Authorization: Digest username="x", realm="y", Bearer ${token}`],
		'behind a tab': [`Authorization:\tBearer\t${token}`],
		folded: [`Authorization:\r\n Bearer ${token}`], 'folded in between': [`Authorization: Bearer\r\n\t${token}`],
		'in capitals': [`AUTHORIZATION: BEARER ${token}`], 'a blank in front of the colon': [`Authorization : bearer ${token}`],
		'for a proxy': [`Proxy-Authorization: Bearer ${token}`],
		'for a proxy, behind a Digest': ['Proxy-Authorization: Digest username="x", realm="y"', `Proxy-Authorization: bearer\t${token}`],
		'behind more than fits': [`Authorization: Digest x="${'a'.repeat(20000)}"`, `Authorization: Bearer ${token}`],
	});
	for (const what of Object.keys(forms())) {
		test(what, async () => {
			for (const m of await passed('INFO', forms()[what])) assert.ok(!m.text.includes(token.slice(-40)), m.text);
		});
	}

	test('in an ACK and a CANCEL', async () => {
		const seen = far.requests.length;
		call.ack({ headers: [`Proxy-Authorization: Bearer ${token}`, `Authorization: Digest x="y", Bearer ${token}`] });
		far.answer = (m) => m.method !== 'INVITE';
		const calling = alice.call({ acknowledge: false });
		const invite = await far.take('the INVITE', (m) => m.method === 'INVITE' && m.callId === alice.last.callId);
		far.reply(invite, 180, 'Ringing');
		const { branch, callId, tag } = alice.last;
		alice.send(`CANCEL sip:bob@${DOMAIN} SIP/2.0\r\nVia: SIP/2.0/WS ${alice.host};branch=${branch}\r\nMax-Forwards: 70\r\nFrom: <sip:alice@${DOMAIN}>;tag=${tag}\r\n`
			+ `To: <sip:bob@${DOMAIN}>\r\nCall-ID: ${callId}\r\nCSeq: 1 CANCEL\r\nAuthorization: Bearer ${token}\r\nProxy-Authorization: Bearer ${token}\r\nContent-Length: 0\r\n\r\n`);
		await far.take('the CANCEL', (m) => m.method === 'CANCEL');
		far.reply(invite, 487, 'Request Terminated');
		assert.equal((await calling).final.status, 487);
		far.answer = () => true;
		for (const m of far.requests.slice(seen)) assert.ok(!m.text.includes(token.slice(-40)), m.text);
	});

	test("in a resume's INVITE", async () => {
		const own = await alice.call();
		const seen = far.requests.length;
		const back = await alice.call({ state: own.state, headers: [`Proxy-Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`] });
		assert.equal(back.final.status, 200);
		for (const m of far.requests.slice(seen)) assert.ok(!m.text.includes(token.slice(-40)), m.text);
		assert.equal((await back.request('BYE')).status, 200);
	});

	test('a Digest for the far end passes, where there is no token beside it', async () => {
		const digest = 'Digest username="alice", realm="far.example", nonce="n", uri="sip:x", response="0"';
		const seen = far.requests.length;
		assert.equal((await call.request('INFO', { headers: [`Authorization: ${digest}`, `Proxy-Authorization: ${digest}`] })).status, 200);
		const [m] = far.requests.slice(seen);
		assert.deepEqual([m.all('authorization'), m.all('proxy-authorization')], [[digest], [digest]]);
	});
});

const OFF = ['P-Asserted-Identity', 'P-Preferred-Identity', 'Remote-Party-ID', 'P-Asserted-Service', 'P-Preferred-Service', 'P-Associated-URI', 'P-Called-Party-ID',
	'P-Served-User', 'P-Profile-Key', 'P-Charge-Info', 'P-Charging-Vector', 'P-Charging-Function-Addresses', 'P-Access-Network-Info', 'P-Visited-Network-ID',
	'Diversion', 'History-Info', 'Identity', 'Identity-Info', 'Reply-To', 'Call-Info', 'Alert-Info', 'Answer-Mode', 'Priv-Answer-Mode', 'Auto-Answer', 'P-Auto-Answer',
	// Identity and Identity-Info in short (RFC 8224 section 4, RFC 4474 section 9): those of the list that have such a name.
	'y', 'n'];
const PASS = ['Privacy', 'Referred-By', 'User-to-User', 'Subject', 'Organization', 'X-Own'];

test('identity fields of a client go no further, in any request; others do', async () => {
	const spellings = OFF.flatMap((n) => [`${n}: <sip:PLANTED@x>`, `${n.toUpperCase()}\t : <sip:PLANTED@x>`, `${n.toLowerCase()}:\r\n PLANTED`,
		// As JsSIP and SIP.js read it.
		`${n.replaceAll('-', '_')}: <sip:PLANTED@x>`]);
	const requests = await passed('INFO', [...spellings, ...PASS.map((n) => `${n}: passes`)]);
	assert.ok(requests.length >= 4);
	for (const m of requests) {
		assert.ok(!m.text.includes('PLANTED'), m.text);
		if (m.method !== 'ACK' && m.method !== 'BYE') for (const n of PASS) assert.equal(m.get(n), 'passes', n);
	}
});

test('nor in its answers', async () => {
	const reply = alice.reply.bind(alice);
	alice.reply = (m, status, reason, options) => reply(m, status, reason, { ...options, headers: [...OFF.map((n) => `${n}: <sip:PLANTED@x>`), 'Subject: passes'] });
	const incoming = await far.call({ service: 'alice' });
	alice.reply = reply;
	assert.equal(incoming.final.status, 200);
	assert.ok(!incoming.final.text.includes('PLANTED'), incoming.final.text);
	assert.equal(incoming.final.get('subject'), 'passes');
	assert.equal((await incoming.request('BYE')).status, 200);
});

test('nor in an answer that belongs to no transaction, and proves its call all the same', async () => {
	const send = alice.answer;
	alice.answer = (m) => m.method !== 'INVITE';
	const calling = far.call({ service: 'alice' });
	const invite = await alice.take('the INVITE', (m) => m.method === 'INVITE' && m.callId === far.last.callId);
	alice.answer = send;
	// Of another branch than the gateway's, and the caller's own.
	invite.answer(replyTo(invite, 200, 'OK', { to: `${invite.get('to')};tag=1`, body: sdp('127.0.0.1', alice.media),
		fields: [...invite.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <${alice.uri}>`, ...OFF.map((n) => `${n}: <sip:PLANTED@x>`), 'Subject: passes'],
	}).replace(/^(Via: .*;branch=)\S+/m, '$1z9hG4bKother'));
	const { final } = await calling;
	assert.equal(final.status, 200);
	assert.equal(final.get('subject'), 'passes');
	assert.ok(!final.text.includes('PLANTED'), final.text);
});

describe('nobody but the far end may ask a client for a password', () => {
	/** What alice gets when mallory asks her for one, as an answer to her request. */
	async function asked(by, change = (text) => text) {
		const fields = ['WWW', 'Proxy'].map((n) => `${n}-Authenticate: Digest realm="${DOMAIN}", nonce="PLANTED", qop="auth"`);
		by.answer = (m) => {
			if (m.method === 'INFO') m.answer(change(replyTo(m, 407, 'Proxy Authentication Required', { fields: [...m.recordRoutes.map((r) => `Record-Route: ${r}`), ...fields] })));
			return m.method !== 'INFO';
		};
		const own = await alice.call({ service: by.user });
		assert.equal(own.final.status, 200);
		const reply = await own.request('INFO');
		by.answer = () => true;
		assert.equal((await own.request('BYE')).status, 200);
		assert.equal(reply.status, 407);
		return reply.text.includes('PLANTED');
	}

	test('another client does not', async () => {
		const token2 = await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 's-2');
		const mallory = await FarEnd.open({ user: 'mallory', token: token2, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
		try {
			assert.equal((await mallory.register()).status, 200);
			assert.equal(await asked(mallory), false);
		} finally {
			mallory.close();
		}
	});

	test('the far end does', async () => assert.equal(await asked(far), true));
});

test('what the far end says of itself gets to the client', async () => {
	const incoming = await far.call({ service: 'alice', headers: [`P-Asserted-Identity: <sip:bob@${DOMAIN}>`, 'Diversion: <sip:office@x>', 'Alert-Info: <urn:alert:source:external>'] });
	const invite = alice.requests.findLast((m) => m.method === 'INVITE');
	assert.equal(invite.get('p-asserted-identity'), `<sip:bob@${DOMAIN}>`);
	assert.equal(invite.get('diversion'), '<sip:office@x>');
	assert.equal((await incoming.request('BYE')).status, 200);
});

test('Call-State-Fingerprint goes off every method, of the far end too', async () => {
	const fields = ['Call-State-Fingerprint: sha-256 00:11', 'CALL-STATE-FINGERPRINT : PLANTED'];
	for (const m of await passed('INFO', fields)) assert.equal(m.get('call-state-fingerprint'), undefined, m.text);
	const dialog = far.dialog(call.callId);
	assert.equal((await dialog.request('INFO', { headers: fields })).status, 200);
	assert.equal((await far.outside('MESSAGE', `sip:alice@${DOMAIN}`, { headers: fields })).status, 200);
	for (const m of alice.requests) assert.equal(m.get('call-state-fingerprint'), undefined, m.text);
});

test('a CR alone hides no field', async () => {
	const seen = far.requests.length;
	for (const field of [`Authorization: Bearer ${token}`, 'Diversion: <sip:PLANTED@x>']) {
		// Dropped without an answer: the next one is answered.
		alice.outside('MESSAGE', `sip:bob@${DOMAIN}`, { headers: [`X: y\r${field}`] }).catch(() => {});
		assert.equal((await alice.outside('OPTIONS', `sip:bob@${DOMAIN}`)).status, 200);
	}
	assert.deepEqual(far.requests.slice(seen).map((m) => m.method), ['OPTIONS', 'OPTIONS']);
});
