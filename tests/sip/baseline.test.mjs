// SPDX-License-Identifier: GPL-2.0-or-later
// The gateway without the module: what has to work before anything can resume.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Stack } from '../lib/stack.mjs';
import { Rtp } from '../lib/rtp.mjs';

let stack;
before(async () => { stack = await Stack.start('baseline', { resume: false }); });
afterEach(() => stack.hangUp());
after(() => stack?.stop());

for (const transport of ['udp', 'tcp']) {
	test(`a client calls over ${transport}, audio flows both ways, the client hangs up`, async () => {
		const audio = await Rtp.open();
		try {
			const peer = await stack.peer(`peer-${transport}`, 'call/peer.xml');
			const client = await stack.client(`client-${transport}`, 'call/client.xml', {
				transport, keys: { audio_port: audio.port }, args: ['-d', '2500'],
			});
			audio.send(Number(await client.waitLog('answered')));
			const callId = await stack.onlyCall();
			await stack.audio(callId);
			await client.done();
			await peer.done();
			assert.ok(audio.received > 10);
			await stack.noMedia();
		} finally {
			audio.close();
		}
	});
}

test('a client is called, audio flows both ways, the far end hangs up', async () => {
	const audio = await Rtp.open();
	try {
		const register = await stack.client('register', 'called/register.xml');
		await register.done();
		const client = await stack.client('called', 'called/client.xml', {
			port: register.port, keys: { audio_port: audio.port }, to: undefined,
		});
		const peer = await stack.peer('caller', 'called/peer.xml', {
			service: 'alice', to: stack.gateway, args: ['-d', '2500'],
		});
		audio.send(Number(await client.waitLog('invite')));
		await stack.audio(await stack.onlyCall());
		await client.done();
		await peer.done();
		assert.ok(audio.received > 10);
		await stack.noMedia();
	} finally {
		audio.close();
	}
});
