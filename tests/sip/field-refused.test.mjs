// SPDX-License-Identifier: GPL-2.0-or-later
// An offer that is refused changes nothing (RFC 3261 section 14.1, RFC 3311 section 5.2): the media go on as they were,
// at both ends, whoever has offered what; and the call can be resumed after it.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { Field } from '../lib/field.mjs';
import { sdp } from '../lib/sip.mjs';

let field;
before(async () => { field = await Field.start('field-refused'); });
afterEach(() => field.end());
after(() => field.stack.stop());

const fax = (ip, port, first = '') => `${sdp(ip, 0).replace(/m=audio[^]*$/, first)}m=image ${port} udptl t38\r\na=T38FaxVersion:0\r\n`;
const OFFERS = {
	'as before': (b) => sdp(b.ip, b.media, 7),
	'on hold': (b) => `${sdp(b.ip, b.media, 7)}a=sendonly\r\n`,
	inactive: (b) => `${sdp(b.ip, b.media, 7)}a=inactive\r\n`,
	'with the address 0.0.0.0': (b) => sdp(b.ip, b.media, 7).replace(/c=IN IP4 .*/, 'c=IN IP4 0.0.0.0'),
	'with another port': (b) => sdp(b.ip, 9, 7),
	'with port 0': (b) => sdp(b.ip, 0, 7),
	'with another stream': (b) => `${sdp(b.ip, b.media, 7)}m=video 45000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n`,
	'a fax instead': (b) => fax(b.ip, b.media),
	'no audio, and a fax': (b) => fax(b.ip, b.media, 'm=audio 0 RTP/AVP 8\r\n'),
};

/** Have a party refuse the offers that it gets. */
function refuses(party, status) {
	party.answer = (m) => {
		if (!['INVITE', 'UPDATE'].includes(m.method) || !m.body) return true;
		party.reply(m, status, 'No');
		return false;
	};
}

async function refused(dialog, method, body, status) {
	const no = await dialog.request(method, { body });
	// rtpengine 12.5 does not take an offer with port 0 alone.
	if (no.status !== 503 || /^m=\w+ [1-9]/m.test(body)) assert.equal(no.status, status);
	assert.equal(no.body, '');
	if (method === 'INVITE') dialog.ack({ via: dialog.branch });
}

for (const [what, offer] of Object.entries(OFFERS)) {
	for (const transport of ['udp', 'ws']) {
		test(`the far end offers ${what}, the client on ${transport} says 488`, async () => {
			const bob = await field.far();
			const one = await field.alice(transport);
			const call = await field.call(one, bob);
			await field.talk(one, call.body, call.callId);
			refuses(one, 488);
			await refused(call.theirs, 'INVITE', offer(bob), 488);
			await field.heard(one, bob);
			one.close();
			one.audio.close();
			const two = await field.alice(transport);
			const mine = await two.call({ state: call.state });
			assert.equal(mine.final.status, 200);
			await field.goesOn(bob, { ...call, two, mine, body: mine.final.body });
		});
	}
}

for (const [method, status] of [['INVITE', 491], ['UPDATE', 488], ['UPDATE', 500]]) {
	test(`the far end's ${method} is answered with ${status}, after a resume`, async () => {
		const bob = await field.far();
		const call = await field.resumed(bob, { was: 'udp', is: 'udp' });
		await field.talk(call.two, call.body, call.callId);
		refuses(call.two, status);
		for (const offer of ['with another port', 'with port 0']) {
			await refused(call.theirs, method, OFFERS[offer](bob), status);
			await field.heard(call.two, bob);
		}
		call.two.answer = () => true;
		await field.goesOn(bob, call);
	});
}

test("the client's offer is refused by the far end", async () => {
	const bob = await field.far();
	const call = await field.resumed(bob, { was: 'udp', is: 'udp' });
	await field.talk(call.two, call.body, call.callId);
	refuses(bob, 488);
	for (const offer of ['on hold', 'with another port', 'with port 0', 'with another stream']) {
		await refused(call.mine, 'INVITE', OFFERS[offer](call.two), 488);
		await field.heard(call.two, bob);
	}
	bob.answer = () => true;
	await field.goesOn(bob, call, 'far');
});

test('the far end held the call; an offer that is refused leaves it held, and the next one takes it off', async () => {
	const bob = await field.far();
	const one = await field.alice('udp');
	const call = await field.call(one, bob);
	await field.talk(one, call.body, call.callId);
	assert.equal((await call.theirs.request('INVITE', { body: OFFERS['with the address 0.0.0.0'](bob) })).status, 200);
	call.theirs.ack();
	refuses(one, 491);
	await refused(call.theirs, 'INVITE', OFFERS['with another port'](bob), 491);
	one.answer = () => true;
	assert.equal((await call.theirs.request('INVITE', { body: sdp(bob.ip, bob.media, 9) })).status, 200);
	call.theirs.ack();
	await field.heard(one, bob);
});

async function resumeIsRefused(at) {
	const bob = await at.far();
	const one = await at.alice('udp');
	const call = await at.call(one, bob);
	await at.talk(one, call.body, call.callId);
	const two = await at.alice('udp');
	refuses(bob, 488);
	assert.equal((await two.call({ state: call.state })).final.status, 488);
	await at.heard(one, bob);
}

test('a resume that the far end refuses leaves the media as they were', () => resumeIsRefused(field));

test('with RESUME_STEPS too: the offer of ours that comes first is none to go back to', async () => {
	const steps = await Field.start('field-refused-steps', { defines: { RESUME_STEPS: 2 } });
	try {
		await resumeIsRefused(steps);
	} finally {
		await steps.end();
		await steps.stack.stop();
	}
});

test('an offer that is refused when the call is over brings nothing back', async () => {
	const bob = await field.far();
	const one = await field.alice('udp');
	const call = await field.call(one, bob);
	await field.talk(one, call.body, call.callId);
	one.answer = (m) => m.method !== 'INVITE';
	const offered = call.theirs.request('INVITE', { body: OFFERS['with another port'](bob) });
	const invite = await one.take('the offer', (m) => m.method === 'INVITE' && m.tag('to'));
	assert.equal((await call.theirs.request('BYE')).status, 200);
	await field.stack.noMedia();
	one.reply(invite, 487, 'Request Terminated');
	assert.equal((await offered).status, 487);
	await field.stack.noMedia();
});

for (const method of ['INVITE', 'UPDATE']) {
	for (const who of ['far end', 'client']) {
		test(`the ${method} of the ${who} comes behind its BYE, as may be over UDP: no media are left`, async () => {
			const bob = await field.far();
			const one = await field.alice('ws');
			const call = await field.call(one, bob);
			await field.talk(one, call.body, call.callId);
			const [dialog, body, other] = who === 'client' ? [call.mine, sdp(one.ip, one.media, 8), bob] : [call.theirs, sdp(bob.ip, bob.media, 8), one];
			assert.equal((await dialog.request('BYE')).status, 200);
			await field.stack.noMedia();
			refuses(other, 481);
			// A page that was reloaded says 481 as well: to the far end the client is away then.
			const away = method === 'INVITE' ? 491 : 500;
			await refused(dialog, method, body, who === 'client' ? 481 : away);
			assert.ok(other.requests.some((m) => m.method === method && m.body && m.cseq === dialog.cseq), 'it was asked');
			await field.stack.noMedia();
		});
	}
}

test('media of which rtpengine has more to say than Kamailio prints (8192 bytes) end with the call', async () => {
	const bob = await field.far();
	const one = await field.alice('udp');
	const videos = Array.from({ length: 6 }, (_, i) => `m=video ${46000 + 2 * i} RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n`).join('');
	for (const party of [one, bob]) party.describe = () => sdp(party.ip, party.media, 1) + videos;
	const call = await one.call({ body: one.describe() });
	assert.equal(call.final.status, 200);
	const answer = await field.stack.rtpengine.ask({ command: 'query', 'call-id': call.callId });
	assert.ok(JSON.stringify(answer).length > 8192);
	assert.equal((await call.request('BYE')).status, 200);
	await field.stack.noMedia();
});

test('a Contact that is none (RFC 3261 section 25.1): the call has no state, and that has a line and a count', async () => {
	const bob = await field.far({ write: (text) => (/^SIP\/2\.0 200/.test(text) ? text.replace(/^Contact: </m, 'Contact: Doe, John <') : text) });
	const one = await field.alice('ws');
	const call = await one.call();
	assert.equal(call.final.status, 200);
	assert.equal(call.state, undefined);
	assert.match(await field.stack.kamailio.kamcmd('call_resume.stats'), /seals_failed: 1\b/);
	assert.match(field.stack.kamailio.log(), /ERROR.*a state could not be sealed: malformed/);
	assert.equal((await call.request('BYE')).status, 200);
	await field.stack.noMedia();
});
