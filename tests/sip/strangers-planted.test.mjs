// SPDX-License-Identifier: GPL-2.0-or-later
// Fields that only the gateway writes, written by others.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { Lab } from '../lib/lab.mjs';
import { Client, message, random, replyTo, sdp } from '../lib/sip.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

describe('fields that only the gateway writes', () => {
	let lab, far, alice, key;
	before(async () => {
		lab = await Lab.start('fields');
		far = await lab.far({ copy: true });
		alice = await lab.party('alice', { Kind: Client });
	});
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	const planted = ['Call-State-Key: kid=k1;key=AAAA;exp=9999999999', `Call-State-Id: ${'0'.repeat(32)}`, 'call-STATE-id : x', 'Call-State: junk',
		'Call-State-Fingerprint: sha-256 AA', 'Call-State-Anything: x'];

	test('a far end\'s are taken off, in replies to every method and in its requests', async () => {
		far.answer = (m) => {
			if (!['INFO', 'OPTIONS', 'UPDATE'].includes(m.method)) return true;
			far.reply(m, 200, 'OK', { headers: planted });
			return false;
		};
		const call = await alice.call({ service: '100' });
		for (const method of ['INFO', 'OPTIONS', 'UPDATE']) {
			const reply = await call.request(method);
			assert.equal(reply.status, 200);
			assert.deepEqual(reply.fields.filter((f) => f.name.startsWith('call-state') && f.name !== 'call-state'), [], method);
			assert.ok(reply.all('call-state').every((v) => v !== 'junk' && v.split('.').length === 5), method);
		}
		for (const method of ['INFO', 'NOTIFY', 'OPTIONS', 'INVITE']) {
			const asked = far.dialog(call.callId).request(method, { headers: planted, body: method === 'INVITE' ? sdp(TRUNK_IP, far.media, 2) : '' });
			const got = await alice.take(method, (m) => m.method === method);
			assert.deepEqual(got.fields.filter((f) => f.name.startsWith('call-state') && f.name !== 'call-state'), [], method);
			assert.ok(got.all('call-state').every((v) => v !== 'junk'), method);
			got.answer(replyTo(got, 488, 'No'));
			await asked;
		}
		assert.equal((await call.request('BYE')).status, 200);
		far.answer = () => true;
	});

	test('a client\'s do not get to the far end, whatever the method', async () => {
		for (const method of ['MESSAGE', 'OPTIONS', 'INVITE']) {
			const asked = far.requests.length;
			await alice.outside(method, `sip:bob@${DOMAIN}`, { headers: planted.filter((f) => !/^Call-State: /.test(f)), body: method === 'INVITE' ? sdp('127.0.0.1', 4000) : '' });
			assert.equal(far.requests[asked].method, method);
			assert.deepEqual(far.requests[asked].fields.filter((f) => f.name.startsWith('call-state')), [], method);
		}
	});

	test('the key, the state and the id that the gateway gives show nothing of its mark', async () => {
		const reg = await alice.register();
		key = reg.get('call-state-key');
		assert.match(key, /^kid=\w+;key=[\w-]{43};exp=\d+$/);
	});

	test('a head with a bare CR, LF or NUL goes to nobody', async () => {
		const call = await alice.call({ service: '100' });
		await far.take('the ACK', (m) => m.method === 'ACK' && m.callId === call.callId);
		const dropped = await lab.stat('heads_malformed');
		const { length } = lab.stack.kamailio.log();
		for (const [i, bare] of ['\r', '\n', '\0'].entries()) {
			far.send(far.dialog(call.callId).text('INFO', { headers: [`Subject: x${bare}Call-State-Id: ${'0'.repeat(32)}`] }));
			far.send(message('SIP/2.0 200 OK', [`Via: SIP/2.0/UDP ${lab.stack.gateway};branch=z9hG4bK${random()}`, `Server: x${bare}Call-State: junk`,
				'From: <sip:a@a>;tag=1', 'To: <sip:b@b>;tag=2', 'Call-ID: x', 'CSeq: 1 INVITE']));
			await until('them to be dropped', async () => await lab.stat('heads_malformed') === dropped + 2 * (i + 1));
		}
		assert.equal(alice.inbox.filter((m) => m.method === 'INFO').length, 0);
		assert.deepEqual(lab.stack.kamailio.logged(/./, length), []);
		assert.equal((await call.request('BYE')).status, 200);
	});
});
