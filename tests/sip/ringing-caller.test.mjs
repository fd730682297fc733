// SPDX-License-Identifier: GPL-2.0-or-later
// A client that calls, and is lost before it is answered: it hears ringing where it is back, and the answer, or that
// there is none; and what becomes of a call that is answered while nobody is there.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';

import { openState } from '../lib/call.mjs';
import { EarlyCalls, WAIT, is } from '../lib/early.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { audioPort } from '../lib/rtp.mjs';
import { DOMAIN, Dialog, replyTo, sdp } from '../lib/sip.mjs';
import { Usage } from '../lib/usage.mjs';
import { until } from '../lib/wait.mjs';

let early;
before(async () => { early = await EarlyCalls.start('ringing-caller', { defines: { RINGING_MAX: 100 } }); });
afterEach(() => early.end());
after(() => early?.stop());

for (const transport of ['ws', 'wss', 'tcp', 'tls']) {
	test(`over ${transport}: hears ringing again, and the answer`, async () => {
		const first = await early.client({ transport });
		const { callId, far, state } = await early.ringing(first);
		assert.equal(openState(state, first.key).call_id, callId);
		first.close();
		await early.gone();
		const second = await early.client({ transport });
		const again = await early.back(second, state);
		const dialog = await early.answered(far, second, again);
		assert.equal((await dialog.request('INFO')).status, 200);
		await early.hangUp(dialog);
	});
}

test('back twice', async () => {
	const { far, state } = await early.left();
	await early.hangUp(await early.backTwice(far, state));
});

test('who is back again and again waits once', async () => {
	const { far, state } = await early.left();
	const second = await early.client();
	const older = [];
	for (let i = 0; i < 4; i++) older.push(await early.back(second, state));
	const again = older.pop();
	for (const { dialog } of older) assert.equal((await dialog).final.start, 'SIP/2.0 500 Back Elsewhere');
	await early.hangUp(await early.answered(far, second, again));
});

test('who was back, and has had his answer, does not hang up for the one that is back now', async () => {
	const { far, state } = await early.left();
	const second = await early.client();
	const [older, again] = [await early.back(second, state), await early.back(second, state)];
	assert.equal((await older.dialog).final.start, 'SIP/2.0 500 Back Elsewhere');
	older.cancel();
	await second.take('the answer to the CANCEL', (m) => m.method === 'CANCEL' && m.status >= 200);
	await early.hangUp(await early.answered(far, second, again));
	assert.ok(!early.bob.requests.some((m) => m.method === 'CANCEL' && m.callId === far.callId));
});

test('a CANCEL that comes behind the answer ends nothing', async () => {
	const client = await early.client();
	const { far, dialog, cancel } = await early.ringing(client);
	far.answers();
	await far.acknowledged();
	cancel();
	await client.take('the answer to the CANCEL', (m) => m.method === 'CANCEL' && m.status >= 200);
	assert.deepEqual(await early.stack.rtpengine.calls(), [far.callId]);
	await early.hangUp(await dialog);
});

test('with two calls that ring', async () => {
	const first = await early.client();
	const calls = [await early.ringing(first), await early.ringing(first)];
	first.close();
	await early.gone();
	const second = await early.client();
	const again = [];
	for (const { state } of calls) again.push(await early.back(second, state));
	for (const [i, { far }] of calls.entries()) {
		far.answers();
		await far.acknowledged();
		const dialog = await early.resumes(second, again[i]);
		assert.equal((await dialog.request('BYE')).status, 200);
	}
	await early.stack.noMedia();
});

for (const [status, reason, told] of [[486, 'Busy Here', 486], [603, 'Decline', 603], [503, 'Service Unavailable', 480], [401, 'Unauthorized', 480]]) {
	test(`back, and then ${status}`, async () => {
		const { far, state } = await early.left();
		const second = await early.client();
		const again = await early.back(second, state);
		far.refuses(status, reason);
		assert.equal((await again.dialog).final.status, told);
		await early.stack.noMedia();
	});
}

test('refused while nobody is there', async () => {
	const { far, state } = await early.left();
	far.refuses(486, 'Busy Here');
	await far.over();
	const second = await early.client();
	assert.equal((await second.call({ state })).final.status, 486);
	await early.stack.noMedia();
});

test('back, and hung up while it rings', async () => {
	const { far, state } = await early.left();
	const again = await early.back(await early.client(), state);
	again.cancel();
	assert.equal((await again.dialog).final.status, 487);
	await far.canceled();
	far.refuses(487, 'Request Terminated');
	await far.over();
	await early.stack.noMedia();
});

test('hung up, and answered at the same time', async () => {
	const { far, state } = await early.left();
	const again = await early.back(await early.client(), state);
	again.cancel();
	await far.canceled();
	far.answers();
	await far.acknowledged();
	await far.hungUp();
	assert.equal((await again.dialog).final.status, 487);
	await early.stack.noMedia();
});

test('answered while nobody is there, and back', async () => {
	const { far, state } = await early.left();
	far.answers();
	await far.acknowledged();
	// Sent once more, because the ACK was lost.
	far.answers();
	await far.acknowledged();
	await early.hangUp(await early.comesBack(await early.client(), state));
});

test('answered while nobody is there, and nobody comes', async () => {
	const { far } = await early.left();
	const from = Date.now();
	far.answers();
	await far.acknowledged();
	const bye = await far.hungUp();
	assert.ok(Date.now() - from > (WAIT - 1) * 1000, 'it has waited');
	assert.equal(bye.get('from'), far.invite.get('from'));
	await early.stack.noMedia();
});

test('one caller does not take the room of the others, whatever he calls himself', async () => {
	const named = [`<sip:alice@${DOMAIN}>`, `<sip:alice@${DOMAIN.toUpperCase()}>`, `<sip:%61lice@${DOMAIN};x=1>`, '<sip:anonymous@anonymous.invalid>'];
	const abandoned = async () => Number(/answers_abandoned: (\d+)/.exec(await early.stack.kamailio.kamcmd('call_resume.stats'))[1]);
	const [before, client, calls] = [await abandoned(), await early.client(), []];
	for (let i = 0; i < 65; i++) calls.push((await early.ringing(client, { from: named[i % named.length] })).far);
	client.close();
	await early.gone();
	for (const far of calls) far.answers();
	for (const far of calls) await far.hungUp();
	assert.equal(await abandoned(), before + 64, 'one of them has not been waited for');
	await early.stack.noMedia();
});

test('answered while nobody is there, and acknowledged by somebody else who knows its names', async () => {
	const { far, callId } = await early.left();
	far.answers();
	const ack = await far.acknowledged();
	const mallory = await early.client({ user: 'mallory', sid: 'web-session-3' });
	const tag = ack.tag('from');
	new Dialog(mallory, { callId, cseq: 1, target: `sip:x@${mallory.host}`, routes: [`<sip:${early.stack.gateway};lr;ftag=${tag};crs-a=a>`],
		local: `<sip:mallory@${DOMAIN}>;tag=${tag}`, remote: ack.get('to') }).ack({ headers: [`Authorization: Bearer ${mallory.token}`] });
	assert.equal((await mallory.outside('OPTIONS', `sip:${DOMAIN}`)).status, 200, 'the ACK has been seen to');
	await far.hungUp();
	await early.stack.noMedia();
});

test('answered while nobody is there, hung up by the far end, and back', async () => {
	const { far, state } = await early.left();
	far.answers();
	const ack = await far.acknowledged();
	const theirs = early.bob.dialog(far.callId);
	assert.equal(theirs, undefined);
	early.bob.send(ack.text.replace(/^ACK [^ ]+/, `BYE ${far.invite.contact}`).replace('CSeq: 1 ACK', 'CSeq: 1 BYE').replace(/\r\n(From|To): /g, (_, name) => `\r\n${name === 'From' ? 'To' : 'From'}: `)
		.replace(/^(Via: [^\r]*\r\n)+/m, `Via: SIP/2.0/UDP ${early.bob.host};branch=z9hG4bKbye\r\n`)
		.replace(/^(Record-Route|Route): [^\r]*\r\n/gm, '').replace('\r\nMax-Forwards', `\r\n${far.invite.recordRoutes.map((r) => `Route: ${r}\r\n`).join('')}Max-Forwards`.replace('\r\n\r\n', '\r\n')));
	const ok = await early.bob.take('the answer to the BYE', (m) => m.status >= 200 && m.method === 'BYE');
	assert.equal(ok.status, 200, ok.start);
	assert.equal((await (await early.client()).call({ state })).final.status, 481);
	await early.stack.noMedia();
});

test('a fork that has not rung answers', async () => {
	const { far, state } = await early.left();
	far.answers({ to: 'other' });
	await far.acknowledged('other');
	const dialog = await early.comesBack(await early.client(), state);
	assert.match(dialog.remote, /tag=other/);
	await early.hangUp(dialog);
});

test('two forks answer: one has the call, the other its BYE', async () => {
	const { far, state } = await early.left();
	const second = await early.client();
	const again = await early.back(second, state);
	far.answers();
	far.answers({ to: 'other' });
	await far.acknowledged();
	await far.acknowledged('other');
	await far.hungUp('other');
	await early.hangUp(await early.resumes(second, again));
});

test('an answer without a tag does nothing to the calls of others', async () => {
	// All answers come to one process.
	const one = await EarlyCalls.start('ringing-caller-one', { tls: false, defines: { CHILDREN: 1 } });
	try {
		const { far, state } = await one.left();
		const again = await one.back(await one.client(), state);
		far.invite.answer(replyTo(far.invite, 200, 'OK', {
			body: sdp(one.bob.ip, one.bob.media), fields: [...far.invite.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <${one.bob.uri}>`],
		}));
		const carol = await one.client({ user: 'carol', sid: 'web-session-2' });
		const other = one.dial(carol, { body: '', acknowledge: false });
		const phone = await one.rang(other.callId);
		phone.answers();
		const dialog = await other.dialog;
		dialog.ack({ body: sdp(carol.ip, carol.media) });
		assert.match((await phone.acknowledged()).body, /m=audio [1-9]/);
		const told = (await again.dialog).final;
		assert.match(told.start, /^SIP\/2.0 500 /);
		assert.equal(told.get('call-state'), undefined);
		await one.bob.outside('OPTIONS', `sip:carol@${DOMAIN}`);
		assert.equal(one.bob.requests.filter((m) => is('ACK')(m) && m.callId === other.callId).length, 1);
	} finally {
		await one.end();
		await one.stop();
	}
});

test('reliable provisional replies are acknowledged, too', async () => {
	const { far, state } = await early.left({}, { headers: ['Supported: 100rel'] });
	far.rings({ headers: ['Require: 100rel', 'RSeq: 7'] });
	const prack = await far.pracked();
	assert.equal(prack.get('rack'), '7 1 INVITE');
	far.rings({ headers: ['Require: 100rel', 'RSeq: 8'] });
	assert.ok((await far.pracked()).cseq > prack.cseq);
	far.answers();
	await far.acknowledged();
	await early.hangUp(await early.comesBack(await early.client(), state));
});

test('the offer of an answer gets an answer without media, which come with the resume', async () => {
	const { far, state } = await early.left({}, { body: '' });
	far.answers();
	const ack = await far.acknowledged();
	// rtpengine 12.5 refuses one that has no stream, and then there is none.
	const refused = /ACK\} rtpengine .*proxy replied with error/.test(early.stack.kamailio.log());
	assert.match(ack.body, refused ? /^$/ : /m=audio 0 /);
	const dialog = await early.comesBack(await early.client(), state);
	assert.match(dialog.final.body, /m=audio [1-9]/);
	await early.hangUp(dialog);
});

test('over UDP: the answer is acknowledged when it comes again', async () => {
	const first = await early.client({ transport: 'udp' });
	const { far, state } = await early.ringing(first);
	first.close();
	far.answers();
	// A copy that the network makes comes at once, and is none of the far end's: that waits for T1.
	far.answers();
	await new Promise((resolve) => { setTimeout(resolve, 500); });
	assert.equal(early.bob.requests.filter(is('ACK')).filter((m) => m.callId === far.callId).length, 0);
	// Kamailio may have had the first one later than it went.
	const again = setInterval(() => far.answers(), 500);
	await far.acknowledged().finally(() => clearInterval(again));
	await early.hangUp(await early.comesBack(await early.client({ transport: 'udp' }), state));
});

test('a resume is answered when its client is gone again', async () => {
	const first = await early.client();
	const { far, dialog } = await early.ringing(first);
	far.answers();
	const { state } = await dialog;
	await far.acknowledged();
	first.close();
	await early.gone();
	early.bob.answer = (m) => m.method !== 'INVITE';
	const second = await early.client();
	early.dial(second, { state });
	const again = await early.bob.take('the re-INVITE', (m) => is('INVITE')(m) && m.tag('to') === far.tag);
	second.close();
	await early.gone();
	early.bob.accept(again);
	await early.bob.take('its ACK', (m) => is('ACK')(m) && m.cseq === again.cseq);
	early.bob.answer = early.answer;
	await early.hangUp(await early.comesBack(await early.client(), state));
});

test('Kamailio is killed while it rings', async () => {
	const { far, state } = await early.left();
	await early.stack.kamailio.kill();
	await early.stack.kamailio.boot();
	far.answers();
	await far.acknowledged();
	await early.hangUp(await early.comesBack(await early.client(), state));
});

test('nobody else gets at it', async () => {
	const { far, state } = await early.ringing(await early.client());
	for (const [user, sid] of [['carol', 'web-session-1'], ['alice', 'web-session-2']]) {
		const other = await early.client({ user, sid });
		assert.equal((await other.call({ state })).final.status, 403);
	}
	assert.deepEqual(early.bob.inbox.filter(is('CANCEL')).map((m) => m.start), []);
	far.refuses(486, 'Busy Here');
	await far.over();
});

/** bob's phone plays something. */
const play = async (far, how) => far.plays(await early.audio({ ip: early.bob.ip, echo: true }), how);

/** A client hears what bob's phone plays, by that description, and is heard there. */
async function hears(far, { audio }, { body }) {
	const { received } = audio;
	audio.send(audioPort(body), early.stack.rtpengine.ip);
	await until('the client to hear it', () => audio.received > received + 10);
	far.audio.rest();
	const [sent, heard] = [far.audio.sent, audio.received];
	await until('the far end to hear the client', () => far.audio.sent > sent + 10);
	await until('the client to hear what is sent back', () => audio.received > heard + 10);
}

/** Who waits is sent what is played. @returns the 183 */
async function playsOn(far, again, talker) {
	const progress = await again.status(183);
	assert.ok(progress.contact);
	await hears(far, talker, progress);
	return progress;
}

/** A client with its own audio has called, has heard what is played, and has gone. */
async function leftListening() {
	const one = await early.talker();
	const call = early.dial(one.client, { body: one.body });
	const far = await early.rang(call.callId);
	await play(far);
	const progress = await call.status(183);
	await hears(far, one, progress);
	one.client.close();
	one.audio.close();
	await early.gone();
	far.audio.send(audioPort(far.invite.body), early.bob.to.ip);
	return { ...call, far, state: progress.get('call-state') };
}

/** The next one has come back, and hears what is played. */
async function backListening() {
	const { far, state, callId } = await leftListening();
	const two = await early.talker();
	const again = early.dial(two.client, { state, body: two.body });
	await playsOn(far, again, two);
	return { far, callId, two, again };
}

/** What the far end sends comes from another place. */
async function movesAudio(far) {
	far.audio.close();
	far.audio = await early.audio({ ip: early.bob.ip, echo: true });
}

/** It is back, and the far end answers: both hear each other, and the client hangs up. */
async function answers(far, two, again, how) {
	far.answers(how);
	await far.acknowledged(how?.to);
	const dialog = await early.resumes(two.client, again, { body: two.body });
	two.audio.rest();
	await hears(far, two, dialog.final);
	await early.hangUp(dialog);
}

test('the far end plays before it answers: heard again, and so is the answer', async () => {
	const { far, callId, two, again } = await backListening();
	assert.deepEqual(early.bob.requests.filter((m) => m.callId === callId).map((m) => m.method), ['INVITE'], 'the far end is told nothing');
	await answers(far, two, again);
});

test('it plays before it answers, and the caller is back twice', async () => {
	const { far, state } = await leftListening();
	const two = await early.talker();
	await playsOn(far, early.dial(two.client, { state, body: two.body }), two);
	two.client.close();
	two.audio.close();
	await early.gone();
	far.audio.send(audioPort(far.invite.body), early.bob.to.ip);
	const three = await early.talker();
	const again = early.dial(three.client, { state, body: three.body });
	await playsOn(far, again, three);
	await answers(far, three, again);
});

test('it plays before it answers, and then refuses', async () => {
	const { far, two, again } = await backListening();
	far.refuses(486, 'Busy Here');
	assert.equal((await again.dialog).final.status, 486);
	await early.stack.noMedia();
});

test('it plays before it answers, and the caller hangs up', async () => {
	const { far, two, again } = await backListening();
	again.cancel();
	assert.equal((await again.dialog).final.status, 487);
	await far.canceled();
	far.refuses(487, 'Request Terminated');
	await early.stack.noMedia();
});

test('it begins to play when the caller is back', async () => {
	const { far, state } = await early.left();
	const two = await early.talker();
	const again = await early.back(two.client, state, { body: two.body });
	await play(far);
	await playsOn(far, again, two);
	await play(far);
	await answers(far, two, again);
});

for (const [when, back] of [['when the caller is back', true], ['while nobody is there', false]]) {
	test(`it has not rung, and begins to play ${when}`, async () => {
		const { far, names } = await early.dialled();
		if (!back) await play(far, { headers: ['Require: 100rel', 'RSeq: 7'] });
		if (!back) await far.pracked();
		const two = await early.talker();
		const again = await early.back(two.client, names, { body: two.body });
		if (back) await play(far);
		await playsOn(far, again, two);
		await answers(far, two, again);
	});
}

test('it plays, and answers from another place', async () => {
	const { far, two, again } = await backListening();
	await movesAudio(far);
	far.audio.send(audioPort(far.invite.body), early.bob.to.ip);
	await answers(far, two, again);
});

test('it plays, and another fork answers', async () => {
	const { far, two, again } = await backListening();
	await movesAudio(far);
	far.answers({ to: 'other' });
	await far.acknowledged('other');
	const dialog = await early.resumes(two.client, again, { body: two.body });
	const reinvite = early.bob.requests.findLast((m) => m.method === 'INVITE' && m.tag('to') === 'other');
	far.audio.send(audioPort(reinvite.body), early.bob.to.ip);
	two.audio.rest();
	await hears(far, two, dialog.final);
	await early.hangUp(dialog);
});

test('two forks play, and one of them answers', async () => {
	const { far, state } = await leftListening();
	await play(far, { to: 'other' });
	const two = await early.talker();
	const again = await early.back(two.client, state, { body: two.body });
	far.answers();
	await far.acknowledged();
	const dialog = await early.resumes(two.client, again, { body: two.body });
	await hears(far, two, dialog.final);
	await early.hangUp(dialog);
});

test('it plays what the caller who is back cannot hear: that one hears ringing', async () => {
	const { far, state } = await leftListening();
	const two = await early.talker();
	const body = two.body.replace('RTP/AVP 8', 'RTP/AVP 0').replace('a=rtpmap:8 PCMA/8000', 'a=rtpmap:0 PCMU/8000');
	const again = await early.back(two.client, state, { body });
	far.refuses(486, 'Busy Here');
	assert.equal((await again.dialog).final.status, 486);
	assert.ok(!two.client.inbox.some((m) => m.status === 183));
	await early.stack.noMedia();
});

test('nothing is left, in shared memory either', async () => {
	const usage = new Usage(early.stack.kamailio);
	const used = async () => {
		await early.nothingLeft();
		return usage.shared();
	};
	const one = async () => {
		const { far, state } = await early.left();
		await play(far);
		const second = await early.client();
		const again = await early.back(second, state);
		await again.status(183);
		second.close();
		await early.gone();
		far.answers();
		await far.acknowledged();
		await again.dialog.catch(() => {});
		await far.hungUp();
		await early.end();
	};
	await one();
	const before = await used();
	await one();
	// Connections and bindings go when Kamailio's timers find them.
	await until('the shared memory to be as it was', async () => await used() - before < 1000, { timeout_ms: 90000, every_ms: 1000 });
});

test('with routes in Lua', async () => {
	const lib = path.join(ROOT, 'tests/lib');
	const lua = await EarlyCalls.start('ringing-caller-lua', {
		tls: false, kamailio: { cfg: path.join(lib, 'kemi.cfg') }, defines: { LUA: `"${path.join(lib, 'kemi.lua')}"` },
	});
	try {
		const { far, state } = await lua.left({ transport: 'tcp' });
		const { client, audio, body } = await lua.talker({ transport: 'tcp' });
		const again = await lua.back(client, state, { body });
		far.plays(await lua.audio({ ip: lua.bob.ip, echo: true }));
		await again.status(183);
		await until('the client to hear what is played', () => audio.received > 10);
		far.answers();
		await far.acknowledged();
		await lua.hangUp(await lua.resumes(client, again, { body }));
	} finally {
		await lua.end();
		await lua.stop();
	}
});
