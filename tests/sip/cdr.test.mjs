// SPDX-License-Identifier: GPL-2.0-or-later
// The rest of Kamailio sees one dialog before and after: dialog and acc.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Dialog, FarEnd } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

let stack;
before(async () => { stack = await Stack.start('cdr', { defines: { WITH_ACC: true } }); });
after(() => stack?.stop());

const dialogs = async () => (await stack.kamailio.kamcmd('dlg.list')).match(/h_id:/g)?.length ?? 0;
const cdrs = () => stack.kamailio.log().split('\n').filter((l) => /duration=/.test(l));

for (const [who, ip, status] of [['a stranger', '127.0.0.66', 403], ['who forges the trunk\'s address', TRUNK_IP, 481]]) {
	test(`a BYE of ${who} ends neither the dialog nor the CDR`, async () => {
		const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
		const far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
		const alice = await FarEnd.open({ user: 'alice', token: await stack.kamailio.token(`sip:alice@${DOMAIN}`), to });
		const stranger = await FarEnd.open({ ip, user: 'x', to });
		try {
			const call = await alice.call({ service: '100' });
			assert.equal(call.final.status, 200);
			await far.take('the ACK', (m) => m.method === 'ACK');
			const forged = new Dialog(stranger, { callId: call.callId, routes: [`<sip:${stack.gateway};lr>`], target: 'sip:x@127.0.0.66', local: call.local, remote: call.remote, cseq: 1 });
			const before = cdrs().length;
			assert.equal((await forged.request('BYE')).status, status);
			assert.equal(await dialogs(), 1);
			assert.equal((await call.request('BYE')).status, 200);
			await until('the CDR', () => cdrs().length > before);
			assert.ok(cdrs().at(-1).includes(`call_id=${call.callId}`), cdrs().at(-1));
			await until('the dialog to end', async () => (await dialogs()) === 0, { timeout_ms: 15000 });
		} finally {
			for (const party of [far, alice, stranger]) party.close();
		}
	});
}

test('one dialog and one CDR span the loss of the client', async () => {
	const before = cdrs().length;
	const token = await stack.kamailio.token(`sip:alice@${DOMAIN}`);
	const peer = await stack.peer('peer', 'resume/peer.xml', { args: ['-d', '2500'] });
	const one = await stack.client('one', 'resume/client.xml', { keys: { token } });
	const state = await one.waitLog('state');
	await one.waitLog('up');
	const callId = await stack.onlyCall();
	assert.equal(await dialogs(), 1);
	await one.kill();
	const two = await stack.client('two', 'resume/resumed.xml', { keys: { token, state } });
	await two.waitLog('answered');
	assert.equal(await dialogs(), 1);
	await two.done();
	await peer.done();
	await until('the CDR', () => cdrs().length > before);
	await until('the dialog to end', async () => (await dialogs()) === 0, { timeout_ms: 15000 });
	assert.equal(cdrs().length, before + 1, cdrs().join('\n'));
	assert.ok(cdrs()[before].includes(`call_id=${callId}`), cdrs()[before]);
	assert.match(cdrs()[before], /resumed=1; away=\d+/);
});

test('a CDR says how often the call was resumed, and how long its client was away', async () => {
	const before = cdrs().length;
	const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const token = await stack.kamailio.token(`sip:alice@${DOMAIN}`);
	const far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
	const lives = [];
	const life = async () => (lives.push(await FarEnd.open({ user: 'alice', token, to })), lives.at(-1));
	try {
		let call = await (await life()).call({ service: '100' });
		const { callId } = call;
		for (let i = 0; i < 3; i++) {
			lives.at(-1).close();
			const lost = Date.now();
			await until('a second to go by', () => Date.now() - lost > 1100);
			call = await (await life()).call({ state: call.state });
			assert.equal(call.final.status, 200);
		}
		assert.equal((await call.request('BYE')).status, 200);
		await until('the CDR', () => cdrs().length > before);
		const [, resumed, away] = cdrs()[before].match(/resumed=(\d+); away=(\d+)/);
		assert.ok(cdrs()[before].includes(`call_id=${callId}`));
		assert.equal(resumed, '3');
		assert.ok(away >= 3 && away <= 12, away);
		const plain = await (await life()).call({ service: '100' });
		assert.equal((await plain.request('BYE')).status, 200);
		await until('the next CDR', () => cdrs().length > before + 1);
		assert.match(cdrs()[before + 1], /resumed=0; away=0/);
	} finally {
		for (const party of [far, ...lives]) party.close();
	}
});
