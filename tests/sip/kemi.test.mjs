// SPDX-License-Identifier: GPL-2.0-or-later
// The whole way with routes in Lua: cfg/resume.lua in a small gateway.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { Client, Dialog, Endpoint, FarEnd, replyTo, sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

const LIB = path.join(ROOT, 'tests/lib');

let stack, token, gateway;
let open = [];
const keep = (s) => (open.push(s), s);
before(async () => {
	stack = await Stack.start('kemi', {
		kamailio: { cfg: path.join(LIB, 'kemi.cfg') }, defines: { LUA: `"${path.join(LIB, 'kemi.lua')}"` },
	});
	gateway = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
});
afterEach(async () => {
	await stack.hangUp();
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

async function life(name, scenario, keys) {
	const audio = keep(await Rtp.open());
	const client = await stack.client(name, scenario, { keys: { token, audio_port: audio.port, ...keys } });
	assert.match(await client.waitLog('registered'), /key=[\w-]{43}/);
	audio.send(Number(await client.waitLog('answered')));
	return { audio, client, state: await client.waitLog('state') };
}

test('a client registers, calls, is lost and resumes; the far end hangs up', async () => {
	const peer = await stack.peer('peer', 'resume/peer.xml', { args: ['-d', '2500'] });
	const one = await life('one', 'resume/client.xml');
	const callId = await stack.onlyCall();
	await stack.audio(callId);
	await one.client.kill();
	one.audio.close();
	const two = await life('two', 'resume/resumed.xml', { state: one.state });
	await stack.audio(callId);
	await two.client.done();
	await peer.done();
	await stack.noMedia();
	assert.match(await stack.kamailio.kamcmd('call_resume.stats'), /dialogs_resumed: 1\n/);
});

test('the same without a re-INVITE', async () => {
	const peer = await stack.peer('quiet-peer', 'quiet/peer.xml', { args: ['-d', '1500'] });
	const one = await life('quiet-one', 'resume/client.xml');
	const callId = await stack.onlyCall();
	await stack.audio(callId);
	await one.client.kill();
	one.audio.close();
	const two = await life('quiet-two', 'resume/resumed.xml', { state: one.state });
	await stack.audio(callId);
	await two.client.done();
	await peer.done();
	await stack.noMedia();
	assert.match(await stack.kamailio.kamcmd('call_resume.stats'), /resumes_quiet: 1\n/);
});

const client = async (options) => keep(await Client.open({ token, to: gateway, ...options }));
const farEnd = async () => keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway }));

test('the token stays here, in whichever field it is', async () => {
	const bob = await farEnd();
	const alice = await client();
	const fields = ['Authorization: Digest username="x"', `Authorization: Bearer\t${token}`, `Proxy-Authorization: bearer ${token}`, 'Call-State-Fingerprint: sha-256 00'];
	const call = await alice.call({ headers: fields });
	assert.equal(call.final.status, 200);
	assert.equal((await call.request('INFO', { headers: fields })).status, 200);
	assert.equal((await alice.outside('MESSAGE', `sip:bob@${DOMAIN}`, { headers: fields })).status, 200);
	assert.equal((await call.request('BYE', { headers: fields })).status, 200);
	assert.ok(bob.requests.length >= 5);
	for (const m of bob.requests) assert.ok(!m.text.includes(token.slice(-40)) && !m.get('call-state-fingerprint'), m.text);
});

test('a called client resumes and hangs up', async () => {
	const reg = await client();
	assert.equal((await reg.register()).status, 200);
	reg.close();
	const one = keep(await FarEnd.open({ user: 'alice', port: reg.port, to: gateway }));
	const bob = await farEnd();
	const theirs = await bob.call({ service: 'alice', headers: [`Call-State-Id: ${'0'.repeat(32)}`] });
	assert.equal(theirs.final.status, 200);
	const invite = await one.take('the INVITE', (m) => m.method === 'INVITE');
	assert.equal(invite.get('call-state').split('.').length, 5);
	assert.equal(invite.get('call-state-id'), undefined);
	const notify = await one.take('the NOTIFY', (m) => m.method === 'NOTIFY');
	assert.equal(notify.uri, one.uri);
	const state = notify.get('call-state');
	one.close();
	const back = await (await client()).call({ state });
	assert.equal(back.final.status, 200);
	assert.equal((await back.request('BYE')).status, 200);
	assert.equal((await bob.take('the BYE', (m) => m.method === 'BYE')).callId, theirs.callId);
});

test('calls that are bound to a certificate, of either role', async () => {
	const digits = (n) => `sha-256 ${Array(32).fill(n).join(':')}`;
	const headers = [`Call-State-Fingerprint: ${digits('0A')}`];
	const offer = (fp) => [
		'v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0',
		'm=audio 4000 UDP/TLS/RTP/SAVPF 8', `a=fingerprint:${fp}`, 'a=setup:actpass', '',
	].join('\r\n');
	const resume = async (state, fp) => (await (await client()).call({ state, body: offer(fp) })).final.start;
	const check = async (state) => {
		assert.equal(await resume(state, digits('0B')), 'SIP/2.0 403 Call-State is bound to another certificate');
		assert.equal(await resume(state, digits('0A')), 'SIP/2.0 200 OK');
	};
	const bob = await farEnd();
	const called = await (await client()).call({ headers, body: offer(digits('0A')) });
	const other = await called.request('INVITE', { body: offer(digits('0B')) });
	called.ack({ via: called.branch });
	assert.equal(other.start, 'SIP/2.0 403 Call is bound to another certificate');
	await check(called.state);
	const reinvite = bob.requests.findLast((m) => m.method === 'INVITE');
	assert.match(reinvite.body, /^v=0\r\n[^]*\r\nm=audio \d+ RTP\/AVP 8\r\n/, 'the SDP is rtpengine\'s');
	assert.doesNotMatch(reinvite.body, /fingerprint/);
	assert.ok(bob.requests.every((m) => !m.get('call-state-fingerprint')));

	const reg = await client();
	assert.equal((await reg.register({ headers })).status, 200);
	reg.close();
	const one = keep(await FarEnd.open({ user: 'alice', port: reg.port, to: gateway }));
	assert.equal((await bob.call({ service: 'alice' })).final.status, 200);
	await check((await one.take('the NOTIFY', (m) => m.method === 'NOTIFY')).get('call-state'));
});

test('Kamailio is killed between the resume and its 200', async () => {
	const bob = await farEnd();
	const first = await (await client()).call();
	await bob.take('the ACK', (m) => m.method === 'ACK');
	bob.answer = () => false;
	const resumed = (await client()).call({ state: first.state });
	const reinvite = await bob.take('the re-INVITE', (m) => m.method === 'INVITE' && m.tag('to'));
	await stack.kamailio.kill();
	await stack.kamailio.boot();
	bob.answer = () => true;
	bob.accept(reinvite);
	const back = await resumed;
	assert.equal(back.final.status, 200);
	assert.match(back.final.body, new RegExp(`c=IN IP4 ${stack.rtpengine.ip}`), 'the SDP is rtpengine\'s');
	await bob.take('the ACK', (m) => m.method === 'ACK' && m.cseq === reinvite.cseq);
	assert.equal((await back.request('BYE')).status, 200);
	await stack.noMedia();
});

test('what is refused', async () => {
	const bob = await farEnd();
	const alice = await client();
	const call = await alice.call();
	const again = async (c, state, status) => assert.equal((await c.call({ state })).final.status, status);
	await again(alice, 'abc', 400);
	const flipped = call.state.replace(/.{8}$/, (s) => (s === 'AAAAAAAA' ? 'BBBBBBBB' : 'AAAAAAAA'));
	await again(alice, flipped, 403);
	await again(await client({ token: 'a.b.c' }), call.state, 401);
	await again(await client({ token: undefined }), call.state, 401);
	await again(await client({ user: 'mallory' }), call.state, 403);
	assert.equal((await (await client({ user: 'mallory' })).register()).status, 403);
	const stranger = await call.request('INFO', { remote: call.remote.replace(/tag=.*/, 'tag=x.crm1.aaaa') });
	assert.equal(stranger.status, 481);
	assert.ok(bob.requests.every((m) => !m.text.includes(token)), 'the token does not get to the far end');
	assert.equal((await call.request('BYE')).status, 200);
});

test('resume_revoke() and resume_revoke_ttl()', async () => {
	const left = async (sid) => Number(/seconds_left: (\d+)/.exec(await stack.kamailio.kamcmd('call_resume.revoked', 'sid', sid))[1]);
	const portal = await client();
	const ask = async (...headers) => (await portal.outside('OPTIONS', `sip:${DOMAIN}`, { headers })).status;
	assert.equal(await ask('X-Revoke: gone-1'), 299);
	assert.ok(await left('gone-1') > 43000);
	assert.equal(await ask('X-Revoke: gone-2', 'X-Brief: yes'), 299);
	assert.ok(await left('gone-2') <= 50);
	const gone = await client({ token: await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'gone-1') });
	assert.equal((await gone.register()).status, 401);
});

test('a session is revoked: its client does not go on with the address of the trunk; the far end gets to it still', async () => {
	const bob = await farEnd();
	const mine = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'gone-3');
	const alice = keep(await FarEnd.open({ user: 'alice', token: mine, transport: 'tcp', to: gateway }));
	const call = await alice.call();
	assert.equal(call.final.status, 200);
	await stack.kamailio.kamcmd('call_resume.revoke', 'sid', 'gone-3');
	const forger = keep(await FarEnd.open({ ip: TRUNK_IP, to: gateway }));
	for (const method of ['INFO', 'UPDATE']) assert.equal((await new Dialog(forger, { ...call, party: forger }).request(method)).status, 403, method);
	// It may have come twice.
	assert.deepEqual([...new Set(bob.requests.map((m) => m.method).filter((method) => method !== 'ACK'))], ['INVITE']);
	assert.equal((await bob.dialog(call.callId).request('INFO')).status, 200);
	assert.equal((await call.request('BYE')).status, 200);
});

test('events: resumed, refused, and ended while the client was away', async () => {
	const bob = await farEnd();
	const one = await client();
	const call = await one.call();
	const id = /id: (\w{32})/.exec(await stack.kamailio.kamcmd('call_resume.inspect', call.state, `sip:alice@${DOMAIN}`, 's:web-session-1'))[1];
	one.close();
	const two = await client();
	const back = await two.call({ state: call.state });
	assert.equal(back.final.status, 200);
	assert.equal((await two.call({ state: `${call.state.slice(0, -3)}abc` })).final.status, 403);
	two.answer = () => false;
	two.handle = (m) => m.method === 'BYE' && (two.send(replyTo(m, 481, 'Gone')), true);
	assert.equal((await bob.dialog(call.callId).request('BYE')).status, 200);
	const sub = `sip:alice@${DOMAIN}`;
	const logged = () => [...stack.kamailio.log().matchAll(/EVENT call-resume:(\S+) (\S+) (\S+) (\S+)/g)].map((m) => m.slice(1).join(' '));
	await until('the events', () => logged().some((e) => e.startsWith('ended-while-away')));
	const events = logged();
	for (const event of [`resumed 200 ${sub} ${id}`, `ended-while-away <null> ${sub} ${id}`]) {
		assert.ok(events.some((e) => e.replace('nil', '<null>') === event), `${event} in ${events.join(', ')}`);
	}
	assert.ok(events.some((e) => e.startsWith(`refused 403 ${sub}`)), events.join(', '));
});

for (const gone of [true, false]) {
	test(`the client ${gone ? 'has gone' : 'does not answer'}, the far end asks, and hangs up`, async () => {
		const bob = await farEnd();
		const one = await client({ transport: 'tcp' });
		const call = await one.call();
		const theirs = bob.dialog(call.callId);
		if (gone) one.close();
		const info = await theirs.request('INFO', { timeout_ms: 20000 });
		assert.equal(info.status, 500);
		assert.match(info.get('retry-after'), /^[1-9]$/);
		const again = await theirs.request('INVITE', { timeout_ms: 20000 });
		theirs.ack({ via: theirs.branch });
		assert.equal(again.status, 491);
		assert.equal((await theirs.request('BYE', { timeout_ms: 20000 })).status, 200);
		bob.answer = (m) => m.method === 'INVITE' && (bob.reply(m, 481, 'No Such Call'), false);
		assert.equal((await (await client()).call({ state: call.state })).final.start, 'SIP/2.0 481 Call Ended While Away');
		await stack.noMedia();
	});
}

test('a session description that names an address where media may not go: refused of a client, in its requests and its answers', async () => {
	const inside = '10.99.0.1'; // denied_media of kemi.cfg
	const bob = await farEnd();
	const alice = await client();
	assert.equal((await alice.call({ body: sdp(inside, 4000) })).final.start, 'SIP/2.0 488 Media Not Acceptable');
	assert.equal((await alice.call({ body: sdp('inside.example', 4000) })).final.status, 488);
	assert.equal(bob.requests.length, 0);
	const call = await alice.call();
	assert.equal(call.final.status, 200);
	const asked = bob.requests.length;
	assert.equal((await call.request('INFO', { headers: ['Content-Type: text/plain'], body: 'c=3' })).status, 200, 'a text');
	assert.equal((await call.request('INFO', { body: 'c=3' })).status, 488);
	bob.requests.splice(asked);
	const again = await call.request('INVITE', { body: sdp(inside, 4000, 2) });
	call.ack({ via: call.branch });
	assert.equal(again.status, 488);
	assert.equal((await call.request('UPDATE', { body: sdp(inside, 4000, 2) })).status, 488);
	assert.ok(bob.requests.slice(asked).every((m) => m.method === 'ACK'));
	assert.equal((await call.request('BYE')).status, 200);

	const reg = await client();
	assert.equal((await reg.register()).status, 200);
	reg.close();
	const one = keep(await FarEnd.open({ user: 'alice', port: reg.port, to: gateway }));
	one.ip = inside; // in its answers
	// What the trunk names is its own business, where it proves that it is the trunk.
	assert.equal((await bob.call({ service: 'alice', body: sdp(inside, 4000) })).final.status, 488, 'over UDP');
	const trunk = keep(await FarEnd.open({ ip: TRUNK_IP, transport: 'tcp', to: gateway }));
	const theirs = await trunk.call({ service: 'alice', body: sdp(inside, 4000) });
	assert.equal(theirs.final.status, 200);
	assert.equal(theirs.final.body, '');
});

for (const role of ['caller', 'callee']) {
	test(`somebody else has the client's port meanwhile, the client as ${role}: he gets nothing`, async () => {
		const bob = await farEnd();
		const one = keep(await FarEnd.open({ user: 'alice', token, transport: 'tcp', to: gateway }));
		const { port } = one;
		if (role === 'callee') assert.equal((await one.register()).status, 200);
		const call = role === 'caller' ? await one.call() : await bob.call({ service: 'alice' });
		assert.equal(call.final.status, 200);
		const theirs = bob.dialog(call.callId);
		assert.equal((await theirs.request('INFO')).status, 200);
		assert.equal(one.requests.find((m) => m.method === 'INFO').uri, one.uri);
		one.socket.resetAndDestroy();
		await until('the connection to be gone', async () => !(await stack.kamailio.kamcmd('core.tcp_list').catch(() => '')).includes(`:${port}`));
		const stranger = keep(await Endpoint.open({ transport: 'tcp', port, to: gateway }));
		assert.equal(stranger.port, port);
		assert.equal((await theirs.request('INFO')).status, 500);
		assert.equal((await theirs.request('INVITE')).status, 491);
		theirs.ack({ via: theirs.branch });
		assert.equal((await theirs.request('BYE')).status, 200);
		assert.deepEqual(stranger.inbox.map((m) => m.start), []);
	});
}

test('a Contact that leads elsewhere: the far end\'s requests go to where the client is', async () => {
	const bob = await farEnd();
	const trap = keep(await Endpoint.open({ ip: '127.0.0.9', to: gateway }));
	const alice = keep(await FarEnd.open({ user: 'alice', token, to: gateway }));
	const real = alice.uri;
	for (const uri of [`sip:alice@127.0.0.9:${trap.port}`, `sip:alice@127.0.0.1:${alice.port};maddr=127.0.0.9`, `sip:alice@127.0.0.9:${trap.port};alias=127.0.0.9~${trap.port}~1`]) {
		Object.defineProperty(alice, 'uri', { value: uri, configurable: true });
		const call = await alice.call();
		assert.equal(call.final.status, 200, uri);
		assert.equal((await bob.dialog(call.callId).request('INFO')).status, 200, uri);
		assert.equal((await call.request('BYE')).status, 200);
	}
	for (const uri of [`sip:alice@127.0.0.9>, <${real}`, 'tel:1']) {
		Object.defineProperty(alice, 'uri', { value: uri, configurable: true });
		assert.equal((await alice.call()).final.start, 'SIP/2.0 400 Bad Contact', uri);
	}
	assert.deepEqual(trap.inbox.map((m) => m.start), []);
});

test('resume_session()', async () => {
	let phone = await client({ token: undefined });
	const say = async (sid) => (await phone.outside('OPTIONS', `sip:${DOMAIN}`, { headers: [`X-Session: ${sid}`] })).start;
	assert.equal(await say('desk-phone.1'), 'SIP/2.0 299 1 desk-phone.1');
	assert.equal(await say('<urn:uuid:1>'), 'SIP/2.0 499 -3 none');
	assert.equal(await say('x'.repeat(65)), 'SIP/2.0 499 -3 none');
	// What a token has said before is not left over.
	phone = await client();
	assert.equal(await say('desk-phone.1'), 'SIP/2.0 299 1 desk-phone.1');
	assert.equal(await say('<urn:uuid:1>'), 'SIP/2.0 499 -3 none');
});
