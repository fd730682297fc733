// SPDX-License-Identifier: GPL-2.0-or-later
// A resume or a re-INVITE that comes to nothing: the answer arrives, its ACK too,
// once, and the call is as it was.

import { test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Rtp, audioPort } from '../lib/rtp.mjs';
import { FarEnd } from '../lib/sip.mjs';
import { callTests, newCall, stack } from '../lib/calltests.mjs';
import { Part, exchange } from '../lib/talk.mjs';
import { nothingLeft, requestsTo, seesOneDialog, seesOwnDialog } from '../lib/call.mjs';
import { variant } from '../lib/variant.mjs';
import { until } from '../lib/wait.mjs';
import { messagesOf } from '../lib/trace.mjs';

// Long enough for a final response that was not acknowledged to be sent again.
const OVER_T1_MS = 700;
// Answers that leave the call as it was (RFC 3261 section 14.1).
const REFUSALS = [491, 488, 486, 302, 503];
// A proxy tells of no 503 but its own (section 16.7, step 6).
const arrives = (code) => (code === 503 ? 500 : code);
const ELSEWHERE = 'sip:carol@192.0.2.99:5099';

callTests('failures', { defines: { FR_TIMER: 1500, FR_INV_TIMER: 2000 } });

/** A call that is lost when it is up; resolves with rtpengine's name for it. */
async function lost(call, far) {
	await call.begin({ far });
	const callId = await stack.onlyCall();
	await call.lose();
	return callId;
}

/** The final responses to INVITE that a party got, by their CSeq. */
const finals = (party) => messagesOf(party)
	.filter((m) => !m.sent && m.status >= 200 && m.method === 'INVITE').map((m) => m.status);

for (const role of ['caller', 'callee']) {
	test(`the far end refuses the resume, again and again, and then takes it; the client as ${role}`, async () => {
		const far = new Part({ name: 'f' });
		const two = new Part();
		REFUSALS.forEach((code, i) => far.answers('INVITE', { code, ring: i % 2 === 0 }));
		far.answers('INVITE');
		exchange(two, far, 'INFO');
		exchange(far, two, 'INFO');
		two.logs('talked').pauses(2000);
		exchange(two, far, 'BYE');

		const call = newCall(`refused-${role}`, { role });
		const callId = await lost(call, far.pauses(0));
		const { state } = call;
		for (const expect of REFUSALS.map(arrives)) {
			await call.resume({ resume: { expect }, state, life: new Part().pauses(OVER_T1_MS), answered: false });
			await call.client.done();
			assert.deepEqual(finals(call.client), [expect]);
			assert.equal(await stack.onlyCall(), callId);
		}
		await call.resume({ state, life: two });
		await call.client.waitLog('talked');
		await stack.audio(callId, 3);
		await call.client.done();
		await call.far.done();
		const old = seesOneDialog(call.far);
		for (const life of call.lives.slice(1)) seesOwnDialog(life, old);
		await stack.noMedia();
	});
}

for (const side of ['client', 'far end']) {
	test(`re-INVITEs of the ${side} are refused, the call goes on and is resumed again`, async () => {
		const far = new Part({ name: 'f' });
		const [two, three] = [new Part(), new Part()];
		const [from, to] = side === 'client' ? [two, far] : [far, two];
		far.answers('INVITE');
		for (const code of REFUSALS) {
			exchange(from, to, 'INVITE', {
				code, ask: { expect: arrives(code) }, answer: code === 302 ? { contact: ELSEWHERE } : {},
			});
			exchange(to, from, 'INFO');
		}
		exchange(two, far, 'INFO');
		for (const part of [two, far]) part.pauses(OVER_T1_MS);
		two.logs('talked').pauses(200);
		far.answers('INVITE');
		exchange(three, far, 'INVITE');
		exchange(far, three, 'BYE');

		const call = newCall(side === 'client' ? 'client' : 'far');
		const callId = await lost(call, far);
		await call.resume({ life: two });
		await call.client.waitLog('talked');
		await stack.audio(callId, 3);
		assert.deepEqual(finals(side === 'client' ? call.client : call.far).slice(side === 'client' ? 1 : 0), REFUSALS.map(arrives));
		await call.lose();
		await call.resume({ life: three });
		await call.client.done();
		await call.far.done();
		const old = seesOneDialog(call.far);
		for (const life of call.lives.slice(1)) seesOwnDialog(life, old);
		const moved = messagesOf(side === 'client' ? call.lives[1] : call.far).find((m) => !m.sent && m.status === 302);
		assert.equal(moved.contact, ELSEWHERE);
		await stack.noMedia();
	});
}

for (const role of ['caller', 'callee']) {
	test(`CANCEL of the resume, of a re-INVITE of the client and of one of the far end, the client as ${role}`, async () => {
		const far = new Part({ name: 'f' });
		const two = new Part();
		far.answers('INVITE', { cancel: true });
		far.answers('INVITE');
		exchange(two, far, 'INVITE', { cancel: true });
		exchange(two, far, 'INFO');
		exchange(far, two, 'INVITE', { cancel: true });
		exchange(far, two, 'INFO');
		for (const part of [two, far]) part.pauses(OVER_T1_MS);
		exchange(two, far, 'BYE');

		const call = newCall(`cancel-${role}`, { role });
		const callId = await lost(call, far);
		const { state } = call;
		await call.resume({ resume: { cancel: true }, state, life: new Part().pauses(OVER_T1_MS), answered: false });
		await call.client.done();
		assert.deepEqual(finals(call.client), [487]);
		assert.equal(await stack.onlyCall(), callId);
		await call.resume({ state, life: two });
		await call.client.done();
		await call.far.done();
		assert.deepEqual(finals(call.client), [200, 487]);
		assert.equal(finals(call.far).at(-1), 487);
		const old = seesOneDialog(call.far);
		for (const life of call.lives.slice(1)) seesOwnDialog(life, old);
		// The CANCEL is of the transaction that it cancels.
		for (const party of [call.far, call.client]) {
			const cancels = requestsTo(party, 'CANCEL');
			assert.equal(cancels.length, party === call.far ? 2 : 1);
			for (const cancel of cancels) {
				assert.equal(requestsTo(party, 'INVITE').find((m) => m.cseq === cancel.cseq).branch, cancel.branch);
			}
		}
		await stack.noMedia();
	});
}

// What ends the call: the answer arrives, and rtpengine lets go of it.
for (const [what, how, expect] of [
	['answers 481', { code: 481 }, 481],
	['answers 408', { code: 408 }, 408],
	['rings for ever', { rings: true }, 408],
	['says nothing', { silent: true }, 408],
]) {
	for (const later of [false, true]) {
		test(`the far end ${what} to ${later ? 'a later re-INVITE' : 'the resume'}`, async () => {
			const far = new Part({ name: 'f' });
			const two = new Part();
			if (later) {
				far.answers('INVITE');
				two.sends('INVITE', { expect }).pauses(OVER_T1_MS);
			}
			if (how.silent) far.ignores('INVITE', { ms: 2500 });
			else if (how.rings) far.answers('INVITE', { cancel: true });
			else far.answers('INVITE', { code: how.code });
			far.pauses(OVER_T1_MS);

			const call = newCall(`${what.replaceAll(' ', '-')}-${later ? 'later' : 'resume'}`);
			await lost(call, far);
			if (later) await call.resume({ life: two });
			else await call.resume({ resume: { expect: 481 }, life: new Part().pauses(OVER_T1_MS), answered: false });
			await call.client.done();
			await call.far.done();
			// Whatever ends a resume, it means the same to the client.
			assert.deepEqual(finals(call.client).at(-1), later ? expect : 481);
			const old = how.silent ? call.dialog() : seesOneDialog(call.far);
			seesOwnDialog(call.client, old);
			await stack.noMedia();
		});
	}
}

test('the resume is refused while the client before it is still there: that one has its audio again when it resumes itself', async () => {
	const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const token = await stack.kamailio.token(`sip:alice@${DOMAIN}`);
	const echo = await Rtp.open({ ip: TRUNK_IP, echo: true });
	const audio = await Rtp.open();
	let code = 200;
	const far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, media: echo.port, to, answer: () => code === 200 });
	const one = await FarEnd.open({ user: 'alice', token, media: audio.port, to });
	const two = await FarEnd.open({ user: 'alice', token, media: 4000, to });
	try {
		const call = await one.call();
		audio.send(audioPort(call.final.body), stack.rtpengine.ip);
		await until('audio', () => audio.received > 10);
		code = 488;
		const resuming = two.call({ state: call.state });
		const invite = await far.take('the re-INVITE', (m) => m.method === 'INVITE' && m.tag('to') && m.cseq > 100);
		far.reply(invite, code, 'Not Acceptable Here');
		assert.equal((await resuming).final.status, code);
		code = 200;
		// rtpengine has taken the offer for good, and learns nothing from packets.
		const { received } = audio;
		assert.equal((await one.call({ state: call.state })).final.status, 200);
		await until('audio again', () => audio.received > received + 10, { timeout_ms: 7000 });
	} finally {
		for (const party of [far, one, two, echo, audio]) party.close();
		await stack.dropMedia();
	}
});

test('CANCEL and refusal where the configuration does not look for the transaction before it resumes', async () => {
	const cfg = variant(stack.dir, 'unchecked', 'TRANSACTION', '\tif (is_method("INVITE")) return;');
	const own = await Stack.start('failures-unchecked', { kamailio: { cfg } });
	try {
		const far = new Part({ name: 'f' });
		far.answers('INVITE', { cancel: true }).answers('INVITE', { code: 491 }).answers('INVITE').answers('BYE');
		const call = newCall('unchecked', { at: own, token: await own.kamailio.token(`sip:alice@${DOMAIN}`) });
		await call.begin({ far });
		await call.lose();
		const { state } = call;
		for (const [resume, final] of [[{ cancel: true }, 487], [{ expect: 491 }, 491]]) {
			await call.resume({ resume, state, life: new Part().pauses(OVER_T1_MS), answered: false });
			await call.client.done();
			assert.deepEqual(finals(call.client), [final]);
		}
		await call.resume({ state, life: new Part().sends('BYE') });
		await call.client.done();
		await call.far.done();
		seesOneDialog(call.far);
		await nothingLeft(own);
	} finally {
		await own.stop();
	}
});

test('no transaction is left, no map was refused', () => nothingLeft(stack));
