// SPDX-License-Identifier: GPL-2.0-or-later
// Asterisk hangs up while the client is away.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Asterisk } from '../lib/asterisk.mjs';
import { Lives } from '../lib/lives.mjs';
import { until } from '../lib/wait.mjs';

let lives, stack, asterisk, phone;
before(async () => {
	lives = await Lives.start('farends-gone');
	({ stack } = lives);
	asterisk = await Asterisk.start(stack);
	({ phone } = asterisk);
});
afterEach(() => lives.end());
after(async () => {
	await asterisk?.stop();
	await stack?.stop();
});

/** Back at once, or after so many milliseconds; the answer comes soon, and is final. */
async function isTold(state, ms) {
	await new Promise((resolve) => setTimeout(resolve, ms));
	const one = await lives.alice('ws');
	const start = performance.now();
	assert.equal((await one.call({ state, service: 'phone' })).final.start, 'SIP/2.0 481 Call Ended While Away');
	assert.ok(performance.now() - start < 2000);
}

for (const [role, ms] of [['caller', 0], ['callee', 0], ['caller', 3000]]) {
	test(`${role}, back ${ms} ms after the BYE`, async () => {
		const one = await lives.alice('ws');
		let state;
		if (role === 'caller') {
			const call = await one.call({ service: 'phone' });
			assert.equal(call.final.status, 200);
			({ state } = call);
		} else {
			const call = await phone.call({ service: 'alice' });
			assert.equal(call.final.status, 200);
			const invite = await one.take('the INVITE', (m) => m.method === 'INVITE');
			state = `${invite.get('call-state')};tag=${/;tag=(.*)/.exec(one.dialog(invite.callId).local)[1]}`;
		}
		const theirs = await until('the phone to be in a call', () => [...phone.dialogs.values()].at(-1));
		one.close();
		assert.equal((await theirs.request('BYE')).status, 200);
		await stack.noMedia();
		await isTold(state, ms);
	});
}
