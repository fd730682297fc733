// SPDX-License-Identifier: GPL-2.0-or-later
// Two far ends answer one INVITE (RFC 3261 section 13.2.2.4): the caller ends the second dialog, and the first goes on
// with its media, in every order of events.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { Field } from '../lib/field.mjs';
import { Dialog, replyTo, sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

let field;
before(async () => { field = await Field.start('field-forks'); });
afterEach(() => field.end());
after(() => field.stack.stop());

/** A call that bob has answered; second() answers it as somebody else. */
async function forked(transport = 'ws') {
	const bob = await field.far({ answer: (m) => !(m.method === 'INVITE' && !m.tag('to')) });
	const one = await field.alice(transport);
	const calling = one.call();
	const invite = await bob.take('the INVITE', (m) => m.method === 'INVITE' && !m.tag('to'));
	const answer = (status, tag, port) => invite.answer(replyTo(invite, status, 'Answer', {
		to: `${invite.get('to')};tag=${tag}`, body: sdp(bob.ip, port),
		fields: [...invite.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <sip:other@${bob.host}>`],
	}));
	const up = async () => {
		bob.accept(invite);
		const first = await calling;
		assert.equal(first.final.status, 200);
		await bob.take('the ACK', (m) => m.method === 'ACK');
		one.audio.send(Number(/m=audio (\d+)/.exec(first.final.body)[1]), field.stack.rtpengine.ip);
		await field.heard(one, bob);
		return first;
	};
	const second = async () => {
		answer(200, 'second', 9);
		const ok = await one.take('the second 200', (m) => m.status === 200 && m.tag('to') === 'second');
		const names = { callId: ok.callId, cseq: 1 };
		return {
			ok,
			mine: new Dialog(one, { ...names, local: ok.get('from'), remote: ok.get('to'), target: ok.contact, routes: ok.recordRoutes.reverse() }),
			theirs: new Dialog(bob, { ...names, local: ok.get('to'), remote: invite.get('from'), target: invite.contact, routes: invite.recordRoutes }),
		};
	};
	return { bob, one, up, second, answer };
}

/** The first call lives, and its end is the end of its media. */
async function lives({ bob, one }, first) {
	await field.heard(one, bob);
	one.close();
	one.audio.close();
	const two = await field.alice('ws');
	const mine = await two.call({ state: first.state });
	assert.equal(mine.final.status, 200);
	await field.goesOn(bob, { two, mine, theirs: bob.dialog(first.callId), callId: first.callId, body: mine.final.body }, 'far');
}

test('the second 200 comes: the media are the first one\'s, before anybody has ended anything', async () => {
	const call = await forked();
	const first = await call.up();
	const { ok } = await call.second();
	assert.equal(ok.body, '', 'no media for it');
	await field.heard(call.one, call.bob);
	await lives(call, first);
});

test('the caller ends the second dialog', async () => {
	const call = await forked();
	const first = await call.up();
	const { mine } = await call.second();
	mine.ack();
	assert.equal((await mine.request('BYE')).status, 200);
	await lives(call, first);
});

test('the second far end ends its dialog itself', async () => {
	const call = await forked();
	const first = await call.up();
	const { theirs } = await call.second();
	assert.equal((await theirs.request('BYE')).status, 200);
	await lives(call, first);
});

test('another far end goes on with early media', async () => {
	const call = await forked();
	call.answer(183, 'early', 9);
	await call.one.take('183', (m) => m.status === 183);
	const first = await call.up();
	call.answer(183, 'early', 9);
	await field.heard(call.one, call.bob);
	assert.equal((await first.request('BYE')).status, 200);
	await field.stack.noMedia();
});

test('the second 200 comes when Kamailio has forgotten the INVITE', async () => {
	const call = await forked();
	const first = await call.up();
	await until('no transaction', async () => /"current": 0/.test(await field.stack.kamailio.kamcmd('tm.stats').catch(() => ''))
		|| /current: 0/.test(await field.stack.kamailio.kamcmd('tm.stats')), { timeout_ms: 20_000 });
	const { ok, mine } = await call.second();
	assert.equal(ok.body, '');
	mine.ack();
	assert.equal((await mine.request('BYE')).status, 200);
	await lives(call, first);
});
