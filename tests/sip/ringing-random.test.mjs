// SPDX-License-Identifier: GPL-2.0-or-later
// Clients that are lost, and back, at random moments of dialling, ringing and answering: no call is lost, and nothing of
// any is left. SEED=n has the same moments again, ROUNDS=n more of them.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { random } from '../js/random.mjs';
import { EarlyCalls, is } from '../lib/early.mjs';
import { random as word, sdp } from '../lib/sip.mjs';
import { sleep, until } from '../lib/wait.mjs';

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const ROUNDS = Number(process.env.ROUNDS ?? 40);
const r = random(SEED);
const TRANSPORTS = ['ws', 'wss', 'tcp', 'tls'];

let early;
before(async () => { early = await EarlyCalls.start('ringing-random'); });
afterEach(() => { early.open.splice(0).forEach((s) => s.close()); });
after(() => early?.stop());

const within = (ms) => r.below(ms + 1);

/** As a page does: until it works, or cannot. @returns the dialog, or the status that says why not, and the line of it */
async function comeBack(client, state) {
	const end = Date.now() + 10_000;
	for (let brought = state; Date.now() < end;) {
		const dialog = await client.call({ state: brought });
		const { status } = dialog.final;
		if (status < 300) return dialog;
		const fresh = dialog.final.get('call-state');
		if (fresh) brought = fresh;
		else if (status === 491 || status >= 500 && status < 600) await sleep(50);
		else return { status, why: dialog.final.start };
	}
	throw new Error('it does not come back');
}

/** Both have it: each side's request gets to the other. */
async function isUp(dialog) {
	assert.equal((await dialog.request('INFO')).status, 200, 'the far end has the call');
	assert.equal((await dialog.request('BYE')).status, 200);
}

/** What a client that is just gone was sent comes again (RFC 3261 section 13.3.1.4). */
function answersUntilAcknowledged(phone) {
	const again = setInterval(() => phone.answers(), 500);
	early.keep({ close: () => clearInterval(again) });
	phone.answers();
	phone.acks = phone.acknowledged().finally(() => clearInterval(again));
	phone.acks.catch(() => {});
}

/** alice calls, and is lost at some moment. */
async function caller(moments) {
	const { transport, rings, answers, lost, away, refused, plays } = moments;
	const first = await early.client({ transport });
	const call = early.dial(first, { callId: `call-${word()}`, acknowledge: false });
	const from = performance.now();
	const at = async (ms) => { await sleep(Math.max(0, from + ms - performance.now())); };
	const seen = [];
	first.handle = ((handle) => (m) => { if (m.status && m.get('call-state')) seen.push(m.get('call-state')); return handle(m); })(first.handle);
	const called = early.rang(call.callId);
	const far = (async () => {
		const phone = await called;
		await at(rings);
		phone.rings(plays ? { body: sdp(early.bob.ip, early.bob.media) } : {});
		await at(answers);
		if (refused) phone.refuses(486, 'Busy Here');
		else answersUntilAcknowledged(phone);
		return phone;
	})();
	await at(lost);
	first.close();
	await sleep(away);
	const state = seen.at(-1);
	const second = await early.client({ transport: r.one(TRANSPORTS) });
	await called; // what it names has arrived
	const back = await comeBack(second, state ?? call.names);
	const phone = await far;
	if (refused) {
		assert.ok([486, 481].includes(back.status), `refused: ${back.why}`);
		return state ? 'refused' : 'refused, had no state';
	}
	assert.equal(back.status, undefined, `not back: ${back.why}`);
	await phone.acks;
	await isUp(back);
	return state ? 'back' : 'back, had no state';
}

/** alice is called, and is lost at some moment; the next one of her lives answers. */
async function callee({ transport, answers, lost, away }) {
	let client = await early.client({ transport });
	client.answer = (m) => m.method !== 'INVITE' || !!m.tag('to');
	const calling = early.bob.call({ service: 'alice' });
	calling.catch(() => {});
	const { callId } = early.bob.last;
	const rings = async () => {
		const invite = await client.take('an INVITE', (m) => is('INVITE')(m) && m.callId === callId);
		client.reply(invite, 180, 'Ringing');
		return invite;
	};
	let invite = await rings();
	const first = answers < lost;
	if (first) client.accept(invite);
	await sleep(lost);
	let state = first && `${invite.get('call-state')};tag=${/tag=(.*)/.exec(client.dialog(callId).local)[1]}`;
	client.close();
	await sleep(away);
	client = await early.client({ transport: r.one(TRANSPORTS) });
	client.answer = (m) => m.method !== 'INVITE' || !!m.tag('to');
	if (first) {
		const back = await comeBack(client, state);
		assert.equal(back.status, undefined, `not back: ${back.why}`);
		await isUp(back);
		return 'back';
	}
	invite = await rings();
	client.accept(invite);
	const theirs = await calling;
	assert.equal(theirs.final.status, 200, theirs.final.start);
	state = client.dialog(callId);
	assert.equal((await theirs.request('BYE')).status, 200);
	return 'rings again';
}

test(`${ROUNDS} clients that are lost at random moments, SEED=${SEED}`, async () => {
	const became = {};
	for (let i = 0; i < ROUNDS; i++) {
		const rings = within(60);
		const moments = {
			transport: r.one(TRANSPORTS), rings, answers: rings + within(150), lost: within(250), away: within(150), refused: r.chance(0.15), plays: r.chance(0.3),
		};
		const side = r.chance(0.7) ? caller : callee;
		const what = await side(moments).catch((e) => {
			throw new Error(`round ${i}, ${side.name}, ${JSON.stringify(moments)}: ${e.message}`);
		});
		became[`${side.name}: ${what}`] = (became[`${side.name}: ${what}`] ?? 0) + 1;
		early.open.splice(0).forEach((s) => s.close());
	}
	process.stdout.write(`     ${JSON.stringify(became)}\n`);
	assert.ok(became['caller: back'] > 0 && (ROUNDS < 20 || became['callee: rings again'] > 0));
});

test('nothing is left', async () => {
	await early.nothingLeft();
	await until('no message that was dropped', async () => /messages_dropped: 0\b/.test(await early.stack.kamailio.kamcmd('call_resume.stats')));
});
