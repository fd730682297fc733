// SPDX-License-Identifier: GPL-2.0-or-later
// Phones with a password: digest authentication makes the web session
// (cfg/digest.cfg). On UDP, where a token would not be taken.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createHash } from 'node:crypto';

import { Portal } from '../lib/portal.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { INSTANCE, Phone, withPassword } from '../lib/phone.mjs';
import { Client, FarEnd, random } from '../lib/sip.mjs';

let stack, portal, far, password;
const phones = [];
before(async () => {
	const dir = runFolder('digest');
	const users = fs.mkdtempSync(`${dir}-users-`);
	portal = Portal.create(users);
	password = portal.add(`alice@${DOMAIN}`);
	portal.add(`carol@${DOMAIN}`, 'carol has one too');
	stack = await Stack.start('digest', {
		dir, tls: true,
		// The portal as well: both have their users in one database.
		defines: {
			...portal.defines, WITH_DIGEST: true, DIGEST_INSTANCE: true, WITH_REVOCATION: true, DIGEST_DB: `"sqlite:///${portal.file}"`, RESUME_ALLOW_INSECURE: 0,
		},
	});
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
});
after(async () => {
	for (const p of phones) p.close();
	far?.close();
	await stack?.stop();
	if (portal) fs.rmSync(portal.file.replace(/\/[^/]*$/, ''), { recursive: true, force: true });
});

async function open(options) {
	const phone = await Phone.open({ password, to: { ip: stack.kamailio.ip, port: stack.kamailio.port }, ...options });
	phones.push(phone);
	return phone;
}

/** A call of alice, who is lost then: what is left of her. */
async function lostCall(options) {
	const phone = await open(options);
	const dialog = await phone.call();
	assert.equal(dialog.final.status, 200);
	assert.ok(dialog.state, 'a Call-State in the 200');
	phone.close();
	return dialog;
}

/** What is open at the far end is over for the next test. */
async function end(dialog) {
	assert.equal((await dialog.request('BYE')).status, 200);
	await stack.noMedia();
}

test('REGISTER: a challenge, then the binding; no client key where everybody could read it', async () => {
	const phone = await open();
	const reply = await phone.register();
	assert.equal(reply.status, 200);
	assert.match(phone.challenge, new RegExp(`^Digest realm="${DOMAIN}"`));
	assert.equal(reply.get('call-state-key'), undefined);
});

test('REGISTER over TLS brings the client key of the session', async () => {
	const to = { ip: stack.kamailio.ip, port: stack.kamailio.tls };
	const keys = [];
	for (const instance of [INSTANCE, INSTANCE, '<urn:uuid:another>']) {
		const phone = await open({ transport: 'tls', to, instance });
		const reply = await phone.register();
		assert.equal(reply.status, 200);
		keys.push(/key=([\w-]{43})/.exec(reply.get('call-state-key'))[1]);
		phone.close();
	}
	assert.equal(keys[0], keys[1]);
	assert.notEqual(keys[0], keys[2]);
});

test('a browser on a secure WebSocket names its session', async () => {
	const to = { ip: stack.kamailio.ip, port: stack.kamailio.wss };
	const keys = [];
	const named = (name) => [`Call-State-Session: ${name}`];
	for (const name of ['one', 'one', 'another']) {
		const page = await open({ transport: 'wss', to, instance: null });
		const reply = await page.register({ headers: named(name) });
		assert.equal(reply.status, 200);
		keys.push(/key=([\w-]{43})/.exec(reply.get('call-state-key'))[1]);
		page.close();
	}
	assert.equal(keys[0], keys[1]);
	assert.notEqual(keys[0], keys[2]);
	const first = await open({ transport: 'wss', to, instance: null });
	const { state, final, callId } = await first.call({ headers: named('one') });
	assert.equal(final.status, 200);
	first.close();
	const page = await open({ transport: 'wss', to, instance: null });
	const stolen = await page.call({ state, headers: named('another') });
	assert.equal(stolen.final.start, 'SIP/2.0 403 Call-State is not of this session');
	const bad = await page.call({ state, headers: named('a b') });
	assert.equal(bad.final.status, 403);
	const back = await page.call({ state, headers: named('one') });
	assert.equal(back.final.status, 200);
	assert.equal(far.requests.findLast((m) => m.method === 'INVITE').callId, callId);
	for (const m of far.requests) assert.doesNotMatch(m.text, /call-state-session/i);
	await end(back);
});

test('a call is lost with the phone and resumes: requests of both sides arrive', async () => {
	const lost = await lostCall();
	const phone = await open();
	const back = await phone.call({ state: lost.state });
	assert.equal(back.final.status, 200, back.final.start);
	const { callId } = far.requests.findLast((m) => m.method === 'INVITE');
	assert.equal(callId, lost.callId);
	for (const m of far.requests) assert.doesNotMatch(m.text, /digest/i, 'credentials are not for the far end');
	assert.equal((await back.request('INFO')).status, 200);
	const bye = far.dialog(lost.callId).request('BYE');
	const got = await phone.take('BYE', (m) => m.method === 'BYE');
	assert.equal(got.callId, back.callId);
	got.answer(`SIP/2.0 200 OK\r\n${['via', 'from', 'to', 'call-id', 'cseq'].flatMap((n) => got.all(n).map((v) => `${n}: ${v}`)).join('\r\n')}\r\nContent-Length: 0\r\n\r\n`);
	assert.equal((await bye).status, 200);
	await stack.noMedia();
});

test('a call to the phone resumes', async () => {
	const phone = await withPassword(FarEnd).open({ user: 'alice', password, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
	phones.push(phone);
	assert.equal((await phone.register()).status, 200);
	const call = await far.call({ service: 'alice' });
	assert.equal(call.final.status, 200, call.final.start);
	const invite = phone.requests.find((m) => m.method === 'INVITE');
	const state = invite.get('call-state');
	assert.ok(state, 'a Call-State in the INVITE');
	const { tag } = /;tag=(?<tag>[^;>]+)/.exec(phone.dialog(invite.callId).local).groups;
	phone.close();
	const again = await open();
	const back = await again.call({ state: `${state};tag=${tag}` });
	assert.equal(back.final.status, 200, back.final.start);
	await end(back);
});

test('a phone that names itself nowhere is one session for the user', async () => {
	const lost = await lostCall({ instance: '' });
	const back = await (await open({ instance: '' })).call({ state: lost.state });
	assert.equal(back.final.status, 200);
	await end(back);
});

describe('refused', () => {
	const refused = async (status, options, call = {}) => {
		const phone = await open(options);
		const { final } = await phone.call(call);
		assert.equal(final.status, status, final.start);
		phone.close();
		return phone;
	};

	test('a wrong password, and a user that there is not, with the same challenge', async () => {
		const one = await refused(407, { password: 'wrong' });
		const two = await refused(407, { user: 'nobody' });
		const shape = (text) => text.replace(/"[^"]*"/g, '""');
		assert.equal(shape(one.challenge), shape(two.challenge));
	});

	test("somebody else's From", () => refused(407, { user: 'carol', account: 'alice' }));

	test("another instance's, another user's and a damaged state; the call stays up", async () => {
		const lost = await lostCall();
		const { state } = lost;
		await refused(403, { instance: '<urn:uuid:another>' }, { state });
		await refused(403, { instance: '' }, { state });
		await refused(403, { user: 'carol', password: 'carol has one too' }, { state });
		await refused(403, {}, { state: `${state.slice(0, -9)}${state.at(-9) === 'A' ? 'B' : 'A'}${state.slice(-8)}` });
		const back = await (await open()).call({ state });
		assert.equal(back.final.status, 200);
		await end(back);
	});

	test('a REGISTER for somebody else', async () => {
		const phone = await open();
		const reply = await phone.outside('REGISTER', `sip:${DOMAIN}`, { to: `sip:carol@${DOMAIN}` });
		assert.equal(reply.status, 401);
	});

	test('a token, on UDP', async () => {
		const client = await Client.open({
			to: { ip: stack.kamailio.ip, port: stack.kamailio.port }, token: await stack.kamailio.token(`sip:alice@${DOMAIN}`),
		});
		phones.push(client);
		const reply = await client.register();
		assert.equal(reply.status, 403);
		assert.match(reply.start, /Secure Transport Required/);
	});

	test('a session that has been revoked', async () => {
		const sid = createHash('sha256').update(INSTANCE).digest('hex');
		await stack.kamailio.kamcmd('call_resume.revoke', 'sid', sid);
		const phone = await open();
		assert.equal((await phone.register()).status, 403);
		assert.match(stack.kamailio.log(), /no session, revoked/);
		assert.equal((await (await open({ instance: '<urn:uuid:another>' })).register()).status, 200);
	});
});
