// SPDX-License-Identifier: GPL-2.0-or-later
// Over TLS, where tokens and keys are at home: nothing insecure is allowed here.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack } from '../lib/stack.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { Stunnel } from '../lib/stunnel.mjs';

let stack, tls, token;
let open = [];
before(async () => {
	stack = await Stack.start('tls', { tls: true, defines: { RESUME_ALLOW_INSECURE: 0 } });
	tls = await Stunnel.start(stack.dir, { to: `${stack.kamailio.ip}:${stack.kamailio.tls}` });
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`);
});
afterEach(async () => {
	await stack.hangUp();
	open.splice(0).forEach((audio) => audio.close());
});
after(async () => {
	await tls?.stop();
	await stack?.stop();
});

async function call(name, scenario, keys) {
	const audio = await Rtp.open();
	open.push(audio);
	const client = await stack.client(name, scenario, {
		transport: 'tcp', to: tls.address, keys: { token, audio_port: audio.port, ...keys },
	});
	const key = await client.waitLog('registered');
	assert.match(key, /key=[\w-]{43}/);
	audio.send(Number(await client.waitLog('answered')));
	await client.waitLog('up');
	return { client, audio, state: await client.waitLog('state') };
}

test('a client on TLS is lost and resumes, the far end hangs up', async () => {
	const peer = await stack.peer('peer', 'resume/peer.xml', { args: ['-d', '700'] });
	const one = await call('one', 'resume/client.xml');
	const callId = await stack.onlyCall();
	await stack.audio(callId);
	await one.client.kill();
	one.audio.close();
	const two = await call('two', 'resume/resumed.xml', { state: one.state });
	await stack.audio(callId);
	await two.client.done();
	await peer.done();
	await stack.noMedia();
});

test('a token over UDP is refused', async () => {
	const client = await stack.client('udp', 'refused/client.xml', {
		keys: { headers: `Authorization: Bearer ${token}` },
	});
	assert.match(await client.waitLog('refused'), /^40[13] /);
	assert.match(await stack.kamailio.kamcmd('call_resume.stats'), /tokens_insecure: 1\n/);
});
