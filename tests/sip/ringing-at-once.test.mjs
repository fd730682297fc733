// SPDX-License-Identifier: GPL-2.0-or-later
// A client is back while its call rings, and processes of the gateway have to tell it something at the same time: one that
// the far end plays something, another one that it has refused. TIMES=n tries it more often.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { EarlyCalls } from '../lib/early.mjs';
import { sdp } from '../lib/sip.mjs';
import { sleep } from '../lib/wait.mjs';

const TIMES = Number(process.env.TIMES ?? 4800);
const AT_ONCE = 6;
/** Longer than the media server is asked. */
const A_MOMENT_MS = 3;

let early;
before(async () => { early = await EarlyCalls.start('ringing-at-once', { tls: false, defines: { USER_REQUESTS_MAX: 0 } }); });
after(() => early?.stop());

/** @returns the answer, and whether anything was heard before */
async function once(client) {
	const call = early.dial(client);
	const far = await early.rang(call.callId);
	far.rings();
	const state = (await call.status(180)).get('call-state');
	const again = await early.back(client, state);
	far.rings({ body: sdp(early.bob.ip, early.bob.media) });
	if (Math.random() < 0.7) await sleep(Math.random() * A_MOMENT_MS);
	far.refuses(486, 'Busy Here');
	const { final } = await again.dialog;
	assert.equal((await call.dialog).final.status, 486);
	return { final, heard: client.inbox.some((m) => m.callId === again.callId && m.status === 183) };
}

test(`what is played and a refusal at once, ${TIMES} times`, async () => {
	const bob = early.bob;
	let heard = 0;
	const some = async () => {
		const client = await early.client();
		for (let i = 0; i < TIMES / AT_ONCE; i++) {
			const told = await once(client);
			assert.equal(told.final.start, 'SIP/2.0 486 Busy Here');
			assert.equal(told.final.body, '');
			assert.equal(told.final.get('content-type'), undefined);
			heard += told.heard;
			// What is kept of calls that are over would be looked through each time.
			client.inbox.splice(0);
			client.requests.splice(0);
			if (bob.inbox.length > 100) bob.inbox.splice(0, 50);
			if (bob.requests.length > 100) bob.requests.splice(0, 50);
		}
	};
	await Promise.all(Array.from({ length: AT_ONCE }, some));
	assert.ok(heard > TIMES / 20 && heard < TIMES, `${heard} were told of both`);
});

test('no media are left, nor a transaction', () => early.nothingLeft());
