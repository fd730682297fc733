// SPDX-License-Identifier: GPL-2.0-or-later
//
// One call that survives the loss of its client, told as a timeline.
//
// alice, a client, calls bob, an ordinary phone behind the trunk that echoes
// audio. alice is killed. Another process, on other ports, that has nothing but
// alice's token and her sealed call state, gets the call back.

import path from 'node:path';

import { ROOT } from '../tests/lib/kamailio.mjs';
import { Rtp } from '../tests/lib/rtp.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../tests/lib/stack.mjs';
import { sleep, until } from '../tests/lib/wait.mjs';

const AWAY_MS = 1000;
const SUB = `sip:alice@${DOMAIN}`;
const DIR = path.join(ROOT, 'build/demo');

let zero = performance.now();
const say = (text, at = performance.now()) =>
	console.log(`${(at - zero).toFixed(0).padStart(6)} ms  ${text}`);
const ms = (t) => `${Math.round(t)} ms`;

function check(ok, otherwise) {
	if (!ok) throw new Error(otherwise);
}

/** Audio both ways: packets at the client, and from both legs at rtpengine. */
async function talk(stack, callId, audio, packets = 25) {
	const had = audio.received;
	const before = await stack.rtpengine.packets(callId).catch(() => ({}));
	await until('audio to come back to alice', () => audio.received - had >= packets);
	const now = await stack.rtpengine.packets(callId);
	const moved = Object.keys(now).map((tag) => now[tag] - (before[tag] ?? 0));
	check(moved.length === 2 && moved.every((n) => n > 0), `rtpengine saw ${moved} packets from the two legs`);
	say(`audio both ways: alice sent ${audio.sent} packets and heard ${audio.received};`
		+ ` at rtpengine ${Object.values(now).join(' + ')} packets from the two legs`);
}

async function firstLife(stack, token) {
	const audio = await Rtp.open();
	const client = await stack.client('alice-1', 'resume/client.xml', {
		keys: { token, audio_port: audio.port },
	});
	const key = await client.waitLog('registered');
	check(/key=[\w-]{43}/.test(key), 'no client key in the 200 to REGISTER');
	say(`alice (port ${client.port}) registers: token in, client key out`);
	const port = Number(await client.waitLog('answered'));
	say('alice calls bob, bob answers');
	const state = await client.waitLog('state');
	await client.waitLog('up');
	check(state.split('.').length === 5, 'no sealed call state in the 200 to INVITE');
	say(`her 200 carries the sealed call state, ${state.length} characters`);
	audio.send(port);
	return { audio, client, key, state };
}

async function secondLife(stack, token, state) {
	const audio = await Rtp.open();
	const client = await stack.client('alice-2', 'resume/resumed.xml', {
		keys: { token, state, audio_port: audio.port },
	});
	const key = await client.waitLog('registered');
	const port = Number(await client.waitLog('answered'));
	const answered = performance.now();
	audio.send(port);
	say(`a new process (port ${client.port}) registers with the same token`, client.sentAt('REGISTER'));
	const resumed = client.sentAt('INVITE');
	say('and resumes: an ordinary call with one more header, Call-State', resumed);
	say('bob has answered a re-INVITE in the call he never left', answered);
	return { audio, client, key, resumed };
}

async function play(stack) {
	const token = await stack.kamailio.token(SUB);
	say(`sign-in: the portal gives ${SUB} a token`);

	const far = await Rtp.open({ ip: TRUNK_IP, echo: true });
	const bob = await stack.peer('bob', 'resume/peer.xml', {
		rtp_echo: false, keys: { audio_port: far.port }, args: ['-d', '1500'],
	});

	const one = await firstLife(stack, token);
	const callId = await stack.onlyCall();
	await talk(stack, callId, one.audio);

	await Promise.all([one.client.kill(), one.audio.close()]);
	const lost = performance.now();
	say('alice is killed (SIGKILL): no BYE, no re-INVITE, no process');
	await sleep(AWAY_MS);
	check(bob.proc.alive, 'bob did not stay in the call');

	const two = await secondLife(stack, token, one.state);
	check(two.key.match(/key=([\w-]+)/)?.[1] === one.key.match(/key=([\w-]+)/)[1],
		'the client key is another one after the loss');
	await until('audio after the resume', () => two.audio.first !== undefined);
	say('first audio packet is back at alice', two.audio.first);
	say('the client key is the same again');
	check((await stack.onlyCall()) === callId, 'rtpengine has another call now');
	await talk(stack, callId, two.audio);

	await two.client.waitLog('bye');
	say('bob hangs up, and the resumed alice gets his BYE');
	await two.client.done();
	await bob.done();
	await stack.noMedia();
	say('alice and bob ended well, rtpengine has given its ports back');

	const gap = far.gaps.find((g) => g.to > lost);
	check(gap, 'bob saw no gap at all');
	two.audio.close();
	far.close();
	return { back: two.audio.first - two.resumed, gap: gap.to - gap.from };
}

let stack;
try {
	stack = await Stack.start('demo', { dir: DIR });
	say('rtpengine and Kamailio are up, on loopback');
	zero = performance.now();
	const { back, gap } = await play(stack);
	console.log('\ncall_resume.stats\n%s\n', (await stack.kamailio.kamcmd('call_resume.stats')).trim());
	await stack.stop();
	console.log(`The call survived: audio was back ${ms(back)} after the resume was sent;`
		+ ` bob heard nothing for ${ms(gap)}, ${ms(AWAY_MS)} of which alice stayed away.`);
} catch (e) {
	console.error(`\nThe call did not survive: ${e.message}\nlogs: ${path.relative(process.cwd(), DIR)}/`);
	await stack?.stop();
	// Now: sockets of a life that is still there would keep us.
	process.exit(1);
}
