// SPDX-License-Identifier: GPL-2.0-or-later
// The rest of Kamailio sees one dialog before and after: dialog and acc.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

let stack;
before(async () => { stack = await Stack.start('cdr', { defines: { WITH_ACC: true } }); });
after(() => stack?.stop());

test('one dialog and one CDR span the loss of the client', async () => {
	const dialogs = async () => (await stack.kamailio.kamcmd('dlg.list')).match(/h_id:/g)?.length ?? 0;
	const cdrs = () => stack.kamailio.log().split('\n').filter((l) => /duration=/.test(l));

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
	await until('the CDR', () => cdrs().length > 0);
	await until('the dialog to end', async () => (await dialogs()) === 0, { timeout_ms: 15000 });
	assert.equal(cdrs().length, 1, cdrs().join('\n'));
	assert.ok(cdrs()[0].includes(`call_id=${callId}`), cdrs()[0]);
});
