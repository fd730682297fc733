// SPDX-License-Identifier: GPL-2.0-or-later
// A client is lost and comes back: as caller, as callee, on another transport,
// again and again, and over the death of Kamailio.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';

import { DOMAIN, Stack } from '../lib/stack.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { until } from '../lib/wait.mjs';

let stack;
let token;
let open = []; // audio of the current test
before(async () => {
	stack = await Stack.start('resume');
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
});
afterEach(async () => {
	await stack.hangUp();
	open.splice(0).forEach((audio) => audio.close());
});
after(() => stack?.stop());

async function audioAt() {
	const audio = await Rtp.open();
	open.push(audio);
	return audio;
}

/** alice calls, with audio up; resolves with what her reload will know. */
async function call(scenario, name, { keys = {}, ...options } = {}) {
	const audio = await audioAt();
	const client = await stack.client(name, scenario, {
		...options, keys: { token, audio_port: audio.port, ...keys },
	});
	audio.send(Number(await client.waitLog('answered')));
	const state = await client.waitLog('state');
	assert.equal(state.split('.').length, 5, 'a sealed state in the 200');
	await client.waitLog('up');
	return { audio, client, state };
}

async function lose(life) {
	await life.client.kill();
	life.audio.close();
}

for (const [was, is] of [['udp', 'udp'], ['tcp', 'tcp'], ['udp', 'tcp'], ['tcp', 'udp']]) {
	test(`a caller lost on ${was} resumes on ${is}, the far end hangs up`, async () => {
		const peer = await stack.peer(`peer-${was}-${is}`, 'resume/peer.xml', { args: ['-d', '2500'] });
		const one = await call('resume/client.xml', `one-${was}-${is}`, { transport: was });
		const callId = await stack.onlyCall();
		await stack.audio(callId);
		await lose(one);

		const two = await call('resume/resumed.xml', `two-${was}-${is}`, {
			transport: is, keys: { state: one.state },
		});
		await stack.audio(callId);
		assert.equal(await stack.onlyCall(), callId);
		await two.client.done();
		await peer.done();
		await stack.noMedia();

		// The last Record-Route is the client's first Route.
		const [first] = fs.readFileSync(two.client.messages, 'latin1').match(/Record-Route: <[^>]*>(?!\r\nRecord-Route)/g).slice(-1);
		assert.equal(/;transport=tcp/.test(first), is === 'tcp', `${first} leads back over ${is}`);
	});
}

test('a caller resumes and hangs up', async () => {
	const peer = await stack.peer('peer-hangup', 'echo/peer.xml');
	const one = await call('resume/client.xml', 'one-hangup');
	await lose(one);
	const two = await call('resume-hangup/resumed.xml', 'two-hangup', {
		keys: { state: one.state }, args: ['-d', '2500'],
	});
	await two.client.done();
	await peer.done();
	await stack.noMedia();
});

test('a caller resumes three times, each time from the state of the last', async () => {
	const peer = await stack.peer('peer-again', 'echo/peer.xml');
	let life = await call('resume/client.xml', 'again-0');
	const callId = await stack.onlyCall();
	for (let i = 1; i <= 3; i++) {
		await lose(life);
		life = await call(i < 3 ? 'resume/resumed.xml' : 'resume-hangup/resumed.xml', `again-${i}`, {
			keys: { state: life.state }, args: ['-d', '2500'],
		});
		await stack.audio(callId);
	}
	await life.client.done();
	await peer.done();
	await stack.noMedia();
});

test('a called client resumes, the far end hangs up', async () => {
	const register = await stack.client('callee-register', 'called/register.xml', { keys: { token } });
	await register.done();
	const audio = await audioAt();
	const one = await stack.client('callee-1', 'resume-callee/client.xml', {
		port: register.port, to: undefined, keys: { audio_port: audio.port },
	});
	const peer = await stack.peer('callee-peer', 'resume-callee/peer.xml', {
		service: 'alice', to: stack.gateway, args: ['-d', '2500'],
	});
	audio.send(Number(await one.waitLog('invite')));
	const state = await one.waitLog('state');
	const tag = await one.waitLog('tag');
	await one.waitLog('up');
	const callId = await stack.onlyCall();
	await stack.audio(callId);
	await lose({ client: one, audio });

	const two = await call('resume/resumed.xml', 'callee-2', { keys: { state: `${state};tag=${tag}` } });
	await stack.audio(callId);
	await two.client.done();
	await peer.done();
	await stack.noMedia();
});

test('Kamailio is killed before the resume, and again before the BYE', async () => {
	const peer = await stack.peer('peer-kill', 'resume/peer.xml', { args: ['-d', '2500'] });
	const one = await call('resume/client.xml', 'kill-1');
	const callId = await stack.onlyCall();
	await lose(one);
	await stack.kamailio.kill();
	await stack.kamailio.boot();
	const two = await call('resume/resumed.xml', 'kill-2', { keys: { state: one.state } });
	await stack.audio(callId);
	await stack.kamailio.kill();
	await stack.kamailio.boot();
	await two.client.done();
	await peer.done();
	await stack.noMedia();
});

test('the far end hangs up while the client is away: the call ends, the media too', async () => {
	const peer = await stack.peer('peer-away', 'call/peer-hangup.xml', { args: ['-d', '2500'] });
	const one = await call('resume/client.xml', 'away-1', { transport: 'tcp' });
	await lose(one);
	await peer.done();
	await stack.noMedia();
});

test('the far end no longer has the dialog: its 481 reaches the client, the media are gone', async () => {
	const first = await stack.peer('peer-gone-1', 'echo/peer.xml');
	const one = await call('resume/client.xml', 'gone-1');
	await lose(one);
	await first.kill();
	await stack.peer('peer-gone-2', 'refused/peer.xml');
	const two = await stack.client('gone-2', 'refused/client.xml', {
		keys: { headers: `Authorization: Bearer ${token}\r\nCall-State: ${one.state}` },
	});
	assert.match(await two.waitLog('refused'), /^481 /);
	await two.done();
	await until('rtpengine to have no calls', async () => (await stack.rtpengine.calls()).length === 0);
});
