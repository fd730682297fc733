// SPDX-License-Identifier: GPL-2.0-or-later
// Two tabs with one state: the one that resumed last is in the call, and the
// older one cannot end it. The far end keeps RFC 3261 section 12.2.2: a CSeq that
// is not higher than the last gets 500.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Client, FarEnd, replyTo, sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

let stack, far, token, gateway;
before(async () => {
	stack = await Stack.start('tabs');
	gateway = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway });
	const last = new Map();
	far.answer = (m) => {
		if (m.method === 'ACK') return true;
		if (m.cseq > (last.get(m.callId) ?? 0)) {
			last.set(m.callId, m.cseq);
			return true;
		}
		far.reply(m, 500, 'Server Internal Error');
		return false;
	};
});
after(async () => {
	far?.close();
	await stack?.stop();
});

/** [the dialog of the older tab, of the newer one, O's Call-ID] */
async function twoTabs() {
	const [one, two] = [await Client.open({ token, to: gateway }), await Client.open({ token, to: gateway })];
	const older = await one.call();
	const newer = await two.call({ state: older.state });
	assert.equal(newer.final.status, 200);
	// Two processes of the gateway may change the order: what comes next shall be the last.
	for (const first of [true, false]) {
		await far.take('an ACK', (m) => m.method === 'ACK' && m.callId === older.callId && (m.cseq === 1) === first);
	}
	return [older, newer, older.callId];
}

test('the older tab hangs up: the call of the newer one keeps its media, and ends when that one hangs up', async () => {
	const [older, newer, o] = await twoTabs();
	await older.request('BYE');
	const refused = far.requests.at(-1);
	assert.deepEqual([refused.method, refused.cseq], ['BYE', 2], 'the far end got it');
	assert.equal(await stack.onlyCall(), o);
	assert.equal((await newer.request('OPTIONS')).status, 200);
	assert.equal((await newer.request('BYE')).status, 200);
	await stack.noMedia();
});

test('the older one says that its call has moved on: only that side ends, and the far end hears nothing', async () => {
	const [older, newer, o] = await twoTabs();
	const before = far.requests.length;
	assert.equal((await older.request('BYE', { headers: ['Call-State: replaced'] })).status, 200);
	assert.equal((await newer.request('OPTIONS')).status, 200);
	assert.deepEqual(far.requests.slice(before).map((m) => m.method).filter((m) => m !== 'ACK'), ['OPTIONS']);
	assert.equal(await stack.onlyCall(), o);
	assert.equal((await newer.request('BYE')).status, 200);
	await stack.noMedia();
});

test('the older tab asks for other media: the far end refuses, the newer one asks again and hangs up', async () => {
	const [older, newer, o] = await twoTabs();
	assert.equal((await older.request('INVITE', { body: sdp('127.0.0.1', 4200) })).status, 500);
	assert.equal(await stack.onlyCall(), o);
	assert.equal((await newer.request('INVITE', { body: sdp('127.0.0.1', 4000, 2) })).status, 200);
	newer.ack();
	assert.equal((await newer.request('BYE')).status, 200);
	await stack.noMedia();
});

test('the older tab hangs up on another client of the gateway: the call of the newer one keeps its media', async () => {
	let last = 0;
	const carol = await FarEnd.open({ user: 'carol', token: await stack.kamailio.token(`sip:carol@${DOMAIN}`, 'web-session-2'), to: gateway });
	try {
		carol.answer = (m) => {
			if (m.method === 'ACK' || m.cseq > last) {
				last = m.cseq;
				return true;
			}
			carol.reply(m, 500, 'Server Internal Error');
			return false;
		};
		assert.equal((await carol.register()).status, 200);
		const [one, two] = [await Client.open({ token, to: gateway }), await Client.open({ token, to: gateway })];
		const older = await one.call({ service: 'carol' });
		await carol.take('the ACK', (m) => m.method === 'ACK');
		const newer = await two.call({ state: older.state });
		assert.equal(newer.final.status, 200);
		await carol.take('the ACK of the newer one', (m) => m.method === 'ACK');
		assert.equal((await older.request('BYE')).status, 500);
		assert.deepEqual([carol.requests.at(-1).method, carol.requests.at(-1).cseq], ['BYE', 2], 'the other client got it');
		assert.equal(await stack.onlyCall(), older.callId);
		assert.equal((await newer.request('BYE')).status, 200);
		await stack.noMedia();
	} finally {
		carol.close();
	}
});

test('the far end hangs up: the newer tab hears of it', async () => {
	const [, newer, o] = await twoTabs();
	const answer = far.dialog(o).request('BYE');
	const bye = await newer.party.take('the BYE', (m) => m.method === 'BYE');
	bye.answer(replyTo(bye, 200, 'OK'));
	assert.equal((await answer).status, 200);
	await stack.noMedia();
});

test('no transaction is left', () => until('tm to be empty',
	async () => /current: 0\b/.test(await stack.kamailio.kamcmd('tm.stats')), { timeout_ms: 20000 }));
