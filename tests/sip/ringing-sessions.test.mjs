// SPDX-License-Identifier: GPL-2.0-or-later
// Callers that are lost while their call rings, in what else a gateway has: calls that are bound to a certificate,
// sessions that are revoked, two tabs with one state, CDRs.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { EarlyCalls, is } from '../lib/early.mjs';
import { until } from '../lib/wait.mjs';

let early;
before(async () => {
	early = await EarlyCalls.start('ringing-sessions', { defines: { WITH_ACC: true, WITH_REVOCATION: true, RESUME_BIND_FINGERPRINT: 1 } });
});
afterEach(() => early.end());
after(() => early?.stop());

const refusal = async (client, options) => (await client.call(options)).final.start;

const fingerprint = () => `sha-256 ${[...randomBytes(32)].map((b) => b.toString(16).padStart(2, '0').toUpperCase()).join(':')}`;

/** What a browser with that certificate offers, and asks. */
const bound = (fp) => ({
	headers: [`Call-State-Fingerprint: ${fp}`],
	body: [
		'v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', 'm=audio 4000 UDP/TLS/RTP/SAVPF 8', 'a=rtpmap:8 PCMA/8000',
		'a=rtcp-mux', 'a=ice-ufrag:abcd', 'a=ice-pwd:abcdefghijklmnopqrstuv', 'a=candidate:1 1 UDP 2122252543 127.0.0.1 4000 typ host',
		'a=setup:actpass', `a=fingerprint:${fp}`, '',
	].join('\r\n'),
});

test('a call that is bound rings on for its certificate, and for no other', async () => {
	const mine = bound(fingerprint());
	const { far, state } = await early.left({}, mine);
	const thief = await early.client();
	for (const other of [bound(fingerprint()), {}]) {
		assert.equal(await refusal(thief, { state, ...other }), 'SIP/2.0 403 Call-State is bound to another certificate');
	}
	const second = await early.client();
	const again = await early.back(second, state, mine);
	far.answers();
	await far.acknowledged();
	const { final } = await again.dialog;
	assert.match(final.start, /^SIP\/2.0 500 Call Answered/);
	assert.equal(await refusal(thief, { state: final.get('call-state'), ...bound(fingerprint()) }), 'SIP/2.0 403 Call-State is bound to another certificate');
	await early.hangUp(await early.comesBack(second, final.get('call-state'), mine));
});

test('a call that is bound is not found by its names with another certificate', async () => {
	const mine = bound(fingerprint());
	const { far, names } = await early.dialled({}, mine);
	const thief = await early.client();
	for (const other of [bound(fingerprint()), {}]) {
		assert.equal(await refusal(thief, { state: names, ...other }), 'SIP/2.0 403 Call-State is bound to another certificate');
	}
	const again = await early.back(await early.client(), names, mine);
	far.refuses(486, 'Busy Here');
	assert.equal((await again.dialog).final.status, 486);
});

test('a revoked session gets nothing of a call that rings, and the answer is hung up for', async () => {
	const { far, state } = await early.left();
	const second = await early.client();
	await early.stack.kamailio.kamcmd('call_resume.revoke', 'sid', 's:web-session-1', '60');
	try {
		assert.match(await refusal(second, { state }), /^SIP\/2.0 401 /);
		assert.deepEqual(early.bob.inbox.filter(is('CANCEL')).map((m) => m.start), []);
		far.answers();
		await far.acknowledged();
		await far.hungUp();
		await early.stack.noMedia();
	} finally {
		await early.stack.kamailio.kamcmd('call_resume.unrevoke', 'sid', 's:web-session-1').catch(() => {});
	}
});

test('two tabs with one state: the newest waits, the other is told, and the call is of the one that waits', async () => {
	const { far, state } = await early.left({ sid: 'web-session-2' });
	const tabs = [await early.client({ sid: 'web-session-2' }), await early.client({ sid: 'web-session-2' })];
	const older = await early.back(tabs[0], state);
	const newer = await early.back(tabs[1], state);
	assert.equal((await older.dialog).final.start, 'SIP/2.0 500 Back Elsewhere');
	assert.deepEqual(early.bob.inbox.filter(is('CANCEL')).map((m) => m.start), []);
	far.answers();
	await far.acknowledged();
	const dialog = await early.resumes(tabs[1], newer);
	assert.equal((await dialog.request('INFO')).status, 200);
	await early.hangUp(dialog);
});

const cdrs = () => early.stack.kamailio.log().split('\n').filter((l) => /duration=/.test(l));
const cdr = (callId) => until('the CDR', () => cdrs().find((line) => line.includes(`call_id=${callId}`)));
const dialogs = async () => (await early.stack.kamailio.kamcmd('dlg.list')).match(/h_id:/g)?.length ?? 0;

test('a call that was answered while nobody was there, and to which nobody came, has one CDR, which says so', async () => {
	const { far } = await early.left({ sid: 'web-session-2' });
	far.answers();
	await far.acknowledged();
	await far.hungUp();
	assert.match(await cdr(far.callId), /resumed=0; away=0; abandoned=1/);
	await until('no dialog', async () => await dialogs() === 0, { timeout_ms: 15_000 });
	assert.equal(cdrs().filter((line) => line.includes(far.callId)).length, 1);
});

test('one that was answered while nobody was there, and taken then, has one CDR', async () => {
	const { far, state } = await early.left({ sid: 'web-session-2' });
	far.answers();
	await far.acknowledged();
	await early.hangUp(await early.comesBack(await early.client({ sid: 'web-session-2' }), state));
	assert.match(await cdr(far.callId), /resumed=1; away=\d+; abandoned=0/);
	assert.equal(cdrs().filter((line) => line.includes(far.callId)).length, 1);
});

test('two forks answer while nobody is there: the BYE to one of them ends no CDR', async () => {
	const { far, state } = await early.left({ sid: 'web-session-2' });
	far.answers();
	await far.acknowledged();
	far.answers({ to: 'other' });
	await far.hungUp('other');
	assert.equal(cdrs().filter((line) => line.includes(far.callId)).length, 0);
	await early.hangUp(await early.comesBack(await early.client({ sid: 'web-session-2' }), state));
	assert.match(await cdr(far.callId), /resumed=1; away=\d+; abandoned=0/);
	assert.equal(cdrs().filter((line) => line.includes(far.callId)).length, 1);
});

test('nothing is left', () => early.nothingLeft());
