// SPDX-License-Identifier: GPL-2.0-or-later
// A client comes back, and the far end gets no re-INVITE: nothing but the client's own side of the call has changed.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Lives } from '../lib/lives.mjs';
import { freePort } from '../lib/ports.mjs';
import { audioPort } from '../lib/rtp.mjs';
import { sdp } from '../lib/sip.mjs';
import { TRUNK_IP } from '../lib/stack.mjs';
import { PCMA, Voice, pitch, sdp as voiceSdp } from '../lib/voice.mjs';
import { until } from '../lib/wait.mjs';

const ALLOWS = 'Allow: INVITE, ACK, BYE, CANCEL, UPDATE, INFO';

let lives, stack;
before(async () => {
	lives = await Lives.start('quiet', { defines: { RESUME_QUIET: 1 } });
	({ stack } = lives);
});
afterEach(() => lives.end());
after(() => stack?.stop());

/** A far end that says what it allows wherever it says what its media are. */
const allow = (bob, says = [ALLOWS]) => Object.assign(bob, { says });

const count = async (name, of = stack) => Number(new RegExp(`${name}: (\\d+)`).exec(await of.kamailio.kamcmd('call_resume.stats'))[1]);
const methods = (bob) => bob.requests.map((m) => m.method);

/** A call that is up and has been heard, and whose client is gone. */
async function lost(bob, { transport = 'udp', role = 'caller', of = lives } = {}) {
	const one = await of.alice(transport);
	const call = await of.call(one, bob, role);
	await of.talk(one, call.body, call.callId);
	one.close();
	one.audio.close();
	bob.requests.length = 0;
	return call;
}

/** It comes back: {dialog, client}. */
async function back(call, { transport = 'udp', of = lives, ...options } = {}) {
	const client = await of.alice(transport);
	const dialog = await client.call({ state: call.state, ...options });
	assert.equal(dialog.final.status, 200, dialog.final.start);
	assert.ok(dialog.state, 'sealed anew');
	client.dialogs.set(dialog.callId, dialog);
	return { client, dialog };
}

/** Both sides can do everything, and the far end hears the client by its newest CSeq. */
async function works(bob, { client, dialog }, call) {
	await lives.talk(client, dialog.final.body, call.callId);
	const last = Math.max(0, ...bob.requests.map((m) => m.cseq));
	assert.equal((await dialog.request('INFO')).status, 200);
	const info = await bob.take('the INFO', (m) => m.method === 'INFO' && m.callId === call.callId);
	assert.ok(info.cseq > last, `${info.cseq} > ${last}`);
	assert.equal((await call.theirs.request('INFO')).status, 200);
	const theirs = await client.take('the INFO of the far end', (m) => m.method === 'INFO');
	assert.deepEqual([theirs.callId, theirs.tag('to')], [dialog.callId, /;tag=(.*)/.exec(dialog.local)[1]]);
	assert.equal((await call.theirs.request('INVITE', { body: sdp(bob.ip, bob.media, 2) })).status, 200);
	call.theirs.ack();
	await client.take('the ACK of the far end', (m) => m.method === 'ACK');
	const again = await dialog.request('INVITE', { body: sdp(client.ip, client.media, 2) });
	assert.equal(again.status, 200);
	dialog.ack();
	await bob.take('the ACK of the client', (m) => m.method === 'ACK' && m.cseq > info.cseq);
	return again.get('call-state');
}

for (const transport of ['udp', 'ws']) {
	test(`${transport}: one UPDATE, and all that comes after it; lost again, and back again`, async () => {
		const quiet = await count('resumes_quiet');
		const bob = allow(await lives.far());
		const call = await lost(bob, { transport });
		let two = await back(call, { transport });
		const update = await bob.take('the UPDATE', (m) => m.method === 'UPDATE');
		assert.deepEqual([update.body, update.get('content-length')], ['', '0']);
		assert.match(update.contact, /crm1=/);
		const state = await works(bob, two, call);
		assert.equal(methods(bob)[0], 'UPDATE', 'no INVITE in front of it, and no ACK');
		two.client.close();
		bob.requests.length = 0;
		two = await back({ ...call, state }, { transport });
		const second = await bob.take('the second UPDATE', (m) => m.method === 'UPDATE' && m.cseq > update.cseq);
		assert.ok(second.contact);
		await lives.talk(two.client, two.dialog.final.body, call.callId);
		assert.deepEqual(methods(bob), ['UPDATE']);
		assert.equal((await call.theirs.request('BYE')).status, 200);
		assert.equal((await two.client.take('the BYE', (m) => m.method === 'BYE')).callId, two.dialog.callId);
		assert.equal(await count('resumes_quiet'), quiet + 2);
		assert.match(stack.kamailio.log(), /resumed by sip:alice@example\.org, .*, the far end was not asked/);
		await stack.noMedia();
	});
}

test('a callee', async () => {
	const bob = allow(await lives.far());
	const call = await lost(bob, { role: 'callee' });
	const two = await back(call);
	await bob.take('the UPDATE', (m) => m.method === 'UPDATE');
	await works(bob, two, call);
	assert.equal(methods(bob)[0], 'UPDATE');
	assert.equal((await two.dialog.request('BYE')).status, 200);
	await bob.take('the BYE', (m) => m.method === 'BYE');
});

for (const [status, reason] of [[491, 'Request Pending'], [488, 'Not Acceptable Here'], [403, 'Forbidden']]) {
	test(`a far end that answers ${status} to every re-INVITE`, async () => {
		const bob = allow(await lives.far());
		const call = await lost(bob);
		bob.answer = (m) => {
			if (m.method !== 'INVITE') return true;
			bob.reply(m, status, reason);
			return false;
		};
		const two = await back(call);
		await bob.take('the UPDATE', (m) => m.method === 'UPDATE');
		await lives.talk(two.client, two.dialog.final.body, call.callId);
		assert.deepEqual(methods(bob), ['UPDATE']);
		assert.equal((await two.dialog.request('BYE')).status, 200);
	});
}

/** The far end got a re-INVITE, for that reason. */
async function asked(bob, why, call, options) {
	const from = stack.kamailio.log().length;
	const two = await back(call, options);
	await bob.take('the ACK', (m) => m.method === 'ACK' && m.cseq > 1);
	assert.deepEqual(methods(bob).slice(0, 2), ['INVITE', 'ACK']);
	assert.match(stack.kamailio.log().slice(from), new RegExp(`the far end is asked, because ${why}`));
	await lives.talk(two.client, two.dialog.final.body, call.callId);
	assert.equal((await two.dialog.request('BYE')).status, 200);
}

test('asked: it does not allow UPDATE', async () => {
	const bob = await lives.far();
	await asked(bob, 'its state does not say', await lost(bob));
});

const withVideo = (party, direction = 'sendrecv') => `${sdp(party.ip, party.media)}m=video 9 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=${direction}\r\n`;
const onHold = (party, direction = 'sendonly', version = 2) => `${sdp(party.ip, party.media, version)}a=${direction}\r\n`;

for (const [name, body] of [
	['on hold', onHold],
	['with video', withVideo],
	['with another codec', (party) => sdp(party.ip, party.media).replaceAll('8 PCMA', '8 XYZ')],
	['with another number for it', (party) => sdp(party.ip, party.media).replace('RTP/AVP 8', 'RTP/AVP 96').replace('rtpmap:8', 'rtpmap:96')],
]) {
	test(`asked: the client comes back ${name}`, async () => {
		const bob = allow(await lives.far());
		const call = await lost(bob);
		const from = stack.kamailio.log().length;
		const client = await lives.alice('udp');
		const dialog = await client.call({ state: call.state, body: body(client) });
		assert.equal(dialog.final.status, 200);
		await bob.take('the re-INVITE', (m) => m.method === 'INVITE' && m.tag('to'));
		assert.match(stack.kamailio.log().slice(from), /because the media are others/);
		assert.equal((await dialog.request('BYE')).status, 200);
	});
}

test('asked: rtpengine does not know the call any more', async () => {
	const bob = allow(await lives.far());
	const call = await lost(bob);
	await stack.dropMedia();
	await asked(bob, 'rtpengine does not know the call', call);
	assert.deepEqual(stack.kamailio.logged(/ERROR.*rtpengine.*query/), []);
});

test('asked: what another version, or this one without quiet resumes, has sealed', async () => {
	const off = await Lives.start('quiet-off', { defines: { RESUME_QUIET: 0 } });
	try {
		const bob = allow(await off.far());
		const one = await off.alice('udp');
		const call = await off.call(one, bob);
		one.close();
		bob.requests.length = 0;
		const two = await off.alice('udp');
		const dialog = await two.call({ state: call.state });
		assert.equal(dialog.final.status, 200);
		await bob.take('the re-INVITE', (m) => m.method === 'INVITE' && m.tag('to'));
		assert.equal(await count('resumes_quiet', off.stack), 0);
		assert.equal((await dialog.request('BYE')).status, 200);
	} finally {
		await off.end();
		await off.stack.stop();
	}
});

test('asked: the far end is a client of ours, whose state has to learn of it', async () => {
	const token = await stack.kamailio.token('sip:carol@example.org', 'web-session-2');
	const carol = allow(await lives.alice('ws', { user: 'carol', token }));
	const one = await lives.alice('udp');
	const call = await one.call({ service: 'carol' });
	assert.equal(call.final.status, 200);
	await carol.take('the ACK', (m) => m.method === 'ACK');
	one.close();
	carol.requests.length = 0;
	const two = await lives.alice('udp');
	const dialog = await two.call({ service: 'carol', state: call.state });
	assert.equal(dialog.final.status, 200);
	const invite = await carol.take('the re-INVITE', (m) => m.method === 'INVITE' && m.tag('to'));
	assert.match(invite.get('call-state'), /;update$/);
	assert.match(stack.kamailio.log(), /because it is a client/);
	assert.equal((await dialog.request('BYE')).status, 200);
});

test('on hold by the client, and back on hold', async () => {
	const bob = allow(await lives.far());
	bob.describe = () => onHold(bob, 'recvonly');
	const one = await lives.alice('udp');
	const call = await lives.call(one, bob);
	const hold = await call.mine.request('INVITE', { body: onHold(one) });
	call.mine.ack();
	one.close();
	bob.requests.length = 0;
	const two = await back({ ...call, state: hold.get('call-state') }, { body: onHold({ ip: one.ip, media: one.media }) });
	await bob.take('the UPDATE', (m) => m.method === 'UPDATE');
	assert.match(two.dialog.final.body, /a=recvonly/);
	assert.deepEqual(methods(bob).filter((m) => m !== 'ACK'), ['UPDATE']);
	assert.equal((await two.dialog.request('BYE')).status, 200);
});

test('put on hold by the far end while it was away: what it said last is what counts', async () => {
	const bob = allow(await lives.far());
	const one = await lives.alice('udp');
	const call = await lives.call(one, bob);
	await lives.talk(one, call.body, call.callId);
	assert.equal((await call.theirs.request('INVITE', { body: onHold(bob), headers: [ALLOWS] })).status, 200);
	call.theirs.ack();
	const { requests } = one;
	const update = requests.find((m) => m.method === 'INVITE').get('call-state').replace(/;update$/, '');
	one.close();
	bob.requests.length = 0;
	const two = await back({ ...call, state: `${call.state};update=${update}` }, { body: onHold(one, 'recvonly') });
	await bob.take('the UPDATE', (m) => m.method === 'UPDATE');
	assert.match(two.dialog.final.body, /a=sendonly/);
	assert.deepEqual(methods(bob).filter((m) => m !== 'ACK'), ['UPDATE']);
	assert.equal((await two.dialog.request('BYE')).status, 200);
});

test('with video', async () => {
	const bob = allow(await lives.far());
	bob.describe = () => withVideo(bob);
	const one = await lives.alice('udp');
	const call = await one.call({ body: withVideo(one) });
	await bob.take('the ACK', (m) => m.method === 'ACK');
	one.close();
	bob.requests.length = 0;
	const two = await back({ ...call, state: call.state }, { body: withVideo(one) });
	await bob.take('the UPDATE', (m) => m.method === 'UPDATE');
	assert.match(two.dialog.final.body, /m=video [1-9]\d* RTP\/AVP 96/);
	assert.deepEqual(methods(bob), ['UPDATE']);
	assert.equal((await two.dialog.request('BYE')).status, 200);
});

test('a client that does not offer the video that the far end had refused', async () => {
	const bob = allow(await lives.far());
	bob.describe = () => `${sdp(bob.ip, bob.media)}m=video 0 RTP/AVP 96\r\n`;
	const one = await lives.alice('udp');
	const call = await one.call({ body: withVideo(one) });
	await bob.take('the ACK', (m) => m.method === 'ACK');
	one.close();
	bob.requests.length = 0;
	const two = await back({ ...call, state: call.state }, { body: `${sdp(one.ip, one.media)}m=video 0 RTP/AVP 96\r\n` });
	await bob.take('the UPDATE', (m) => m.method === 'UPDATE');
	assert.deepEqual(methods(bob), ['UPDATE']);
	assert.equal((await two.dialog.request('BYE')).status, 200);
});

for (const [who, timer, supported, quiet, told = timer] of [
	['the client refreshes', '1800;refresher=uac', true, true],
	['the far end refreshes', '1800;refresher=uas', true, true],
	['the far end refreshes, and the client has no timer', '1800;refresher=uas', false, true],
	['the client refreshes, and has come back without a timer', '1800;refresher=uac', false, false],
	['nobody has said who refreshes', '1800', true, true, '1800;refresher=uac'],
	['nobody has said who refreshes, and the client has no timer', '1800', false, true, '1800;refresher=uas'],
]) {
	test(`session timer: ${who}`, async () => {
		const bob = allow(await lives.far(), [ALLOWS, 'Require: timer', `Session-Expires: ${timer}`]);
		const call = await lost(bob);
		const two = await back(call, { headers: supported ? ['Supported: timer'] : [] });
		if (quiet) {
			const update = await bob.take('the UPDATE', (m) => m.method === 'UPDATE');
			assert.deepEqual([update.get('session-expires'), update.get('supported')], [told, 'timer']);
			assert.deepEqual(methods(bob), ['UPDATE']);
			assert.equal(two.dialog.final.get('session-expires'), supported ? told : undefined);
		} else {
			await bob.take('the re-INVITE', (m) => m.method === 'INVITE' && m.tag('to'));
			assert.match(stack.kamailio.log(), /because of its session timer/);
		}
		assert.equal((await two.dialog.request('BYE')).status, 200);
	});
}

test('an UPDATE that is refused: the call goes on, it is counted, and a line says so', async () => {
	const refused = await count('updates_refused');
	const bob = allow(await lives.far());
	const call = await lost(bob);
	bob.answer = (m) => {
		if (m.method !== 'UPDATE') return true;
		bob.reply(m, 500, 'Server Internal Error', { headers: ['Retry-After: 3'] });
		return false;
	};
	const two = await back(call);
	await until('the refusal', async () => await count('updates_refused') === refused + 1);
	assert.match(stack.kamailio.log(), new RegExp(`500 to the UPDATE after a quiet resume, Call-ID ${call.callId}`));
	await lives.talk(two.client, two.dialog.final.body, call.callId);
	// What its client sends next brings its Contact.
	assert.equal((await two.dialog.request('INVITE', { body: sdp(two.client.ip, two.client.media, 2) })).status, 200);
	two.dialog.ack();
	assert.equal((await call.theirs.request('BYE')).status, 200);
	await two.client.take('the BYE', (m) => m.method === 'BYE');
});

test('the far end does not know the call any more: its client is told', async () => {
	const bob = allow(await lives.far());
	const call = await lost(bob, { transport: 'ws' });
	bob.answer = (m) => {
		bob.reply(m, 481, 'Call/Transaction Does Not Exist');
		return false;
	};
	const two = await back(call, { transport: 'ws' });
	const bye = await two.client.take('the BYE', (m) => m.method === 'BYE');
	assert.deepEqual([bye.callId, bye.tag('to'), bye.tag('from')], [two.dialog.callId, /;tag=(.*)/.exec(two.dialog.local)[1], /;tag=(.*)/.exec(two.dialog.remote)[1]]);
	await stack.noMedia();
	assert.deepEqual(methods(bob), ['UPDATE']);
	assert.match(stack.kamailio.log(), /481 to the UPDATE after a quiet resume, Call-ID \w+: the call is over/);
});

test('the INVITE comes twice: one answer, one UPDATE', async () => {
	const bob = allow(await lives.far());
	const call = await lost(bob);
	const client = await lives.alice('udp');
	const { send } = client;
	client.send = (text, to) => {
		send.call(client, text, to);
		if (text.startsWith('INVITE')) send.call(client, text, to);
	};
	const dialog = await client.call({ state: call.state });
	assert.equal(dialog.final.status, 200);
	client.send = send;
	await lives.talk(client, dialog.final.body, call.callId);
	assert.equal((await dialog.request('BYE')).status, 200);
	await bob.take('the BYE', (m) => m.method === 'BYE');
	assert.deepEqual(methods(bob), ['UPDATE', 'BYE']);
});

test('nobody else says what the gateway says to itself', async () => {
	const planted = 'Call-State: crm1 0123456789abcdef0123456789abcdef q 127.0.0.3 5060 1 udp:127.0.0.1:5060 - QWxsb3c6IA';
	const bob = allow(await lives.far(), [ALLOWS, planted]);
	const one = await lives.alice('udp');
	const call = await lives.call(one, bob);
	assert.match(call.mine.final.text, /Call-State: eyJ/);
	assert.doesNotMatch(call.mine.final.text, /crm1 /);
	assert.equal((await call.mine.request('INVITE', { headers: [planted], body: sdp(one.ip, one.media, 2) })).status, 200);
	call.mine.ack();
	const [, invite] = bob.requests.filter((m) => m.method === 'INVITE');
	assert.doesNotMatch(invite.text, /Call-State|crm1 /);
	assert.equal((await call.mine.request('BYE')).status, 200);
});

test('one dialog and one CDR; a far end that reads sequence numbers gets the steps', async () => {
	const more = await Lives.start('quiet-more', { defines: { RESUME_QUIET: 1, RESUME_STEPS: 2, WITH_ACC: true } });
	const cdrs = () => more.stack.kamailio.log().split('\n').filter((l) => /duration=/.test(l));
	try {
		const bob = allow(await more.far());
		const voice = more.keep(await Voice.open({ ip: bob.ip, law: PCMA }));
		bob.describe = () => voiceSdp(voice);
		let dialog;
		for (const [ssrc, seq] of [[1, 30000], [9, 20000]]) {
			const client = await more.alice('udp');
			const mine = more.keep(await Voice.open({ law: PCMA }));
			dialog = await client.call({ state: dialog?.state, body: voiceSdp(mine) });
			assert.equal(dialog.final.status, 200);
			mine.speak({ port: audioPort(dialog.final.body) }, { hertz: pitch(ssrc), seq, ssrc });
			await until('the far end to hear it', () => voice.streams.get(ssrc)?.length > 10);
			if (ssrc === 9) continue;
			client.close();
			mine.close();
			bob.requests.length = 0;
		}
		const [, second, third] = [...voice.streams];
		assert.deepEqual([second[1], third[0]], [[21845, 43690, 65535], 9]);
		await bob.take('the UPDATE', (m) => m.method === 'UPDATE');
		assert.deepEqual(methods(bob).filter((m) => m !== 'ACK'), ['UPDATE']);
		assert.match(await more.stack.kamailio.kamcmd('dlg.list'), /^(?![^]*h_id:[^]*h_id:)[^]*h_id:/);
		assert.equal((await dialog.request('BYE')).status, 200);
		await until('the CDR', () => cdrs().length === 1);
		assert.match(cdrs()[0], /resumed=1; away=\d+/);
	} finally {
		await more.end();
		await more.stack.stop();
	}
});

test('a far end on TCP', async () => {
	const port = await freePort(TRUNK_IP);
	const tcp = await Lives.start('quiet-tcp', { defines: { RESUME_QUIET: 1, TRUNK_URI: `"sip:${TRUNK_IP}:${port};transport=tcp"` } });
	try {
		const bob = allow(await tcp.far({ transport: 'tcp', listen: true, port }));
		const call = await lost(bob, { of: tcp });
		const two = await back(call, { of: tcp });
		await bob.take('the UPDATE', (m) => m.method === 'UPDATE');
		await tcp.talk(two.client, two.dialog.final.body, call.callId);
		assert.deepEqual(methods(bob), ['UPDATE']);
		assert.equal((await two.dialog.request('BYE')).status, 200);
	} finally {
		await tcp.end();
		await tcp.stack.stop();
	}
});

test('2: nothing is sent to the far end; its BYE is answered, and its client does not get it', async () => {
	const silent = await Lives.start('quiet-2', { defines: { RESUME_QUIET: 2 } });
	try {
		const bob = await silent.far();
		const call = await lost(bob, { of: silent, transport: 'ws' });
		const two = await back(call, { of: silent, transport: 'ws' });
		await silent.talk(two.client, two.dialog.final.body, call.callId);
		assert.equal((await two.dialog.request('INFO')).status, 200);
		assert.deepEqual(methods(bob), ['INFO']);
		assert.equal((await call.theirs.request('BYE')).status, 200);
		await silent.stack.noMedia();
		assert.equal((await two.client.inbox.filter((m) => m.method === 'BYE')).length, 0);
	} finally {
		await silent.end();
		await silent.stack.stop();
	}
});

for (const value of [-1, 3]) {
	test(`quiet ${value}: Kamailio does not start`, async () => {
		await assert.rejects(Lives.start('quiet-no', { defines: { RESUME_QUIET: value } }));
	});
}
