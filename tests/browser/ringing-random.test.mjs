// SPDX-License-Identifier: GPL-2.0-or-later
// Pages that are reloaded at random moments of dialling, ringing and answering, as callers and as called ones, in both
// libraries: no call is lost, and nothing of any is left. SEED=n has the same moments again, ROUNDS=n more of them.

import assert from 'node:assert/strict';
import { before, beforeEach, test } from 'node:test';

import { random } from '../js/random.mjs';
import { replyTo } from '../lib/sip.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const ROUNDS = Number(process.env.ROUNDS ?? 8);
const r = random(SEED);
const within = (ms) => r.below(ms + 1);

webTests('browser-ringing-random');

let calls; // of pages, at the far end: [{invite, far, back}]
let next; // what becomes of the next one

before(() => {
	calls = [];
});

beforeEach(async () => {
	stack.echo.answer = (m) => {
		if (m.method !== 'INVITE' || m.tag('to')) return true;
		if (!calls.some(({ invite }) => invite.callId === m.callId)) {
			const call = { invite: m };
			calls.push(call);
			farEnd(call, next);
		}
		return false;
	};
});

/** It rings, and answers or refuses. */
async function farEnd(call, { rings, answers, refused, on }) {
	const { invite } = call;
	await sleep(rings);
	stack.echo.ring(invite);
	on.rings(call);
	await sleep(answers);
	if (refused) invite.answer(replyTo(invite, 486, 'Busy Here', { to: `${invite.get('to')};tag=busy` }));
	else await pickUp(call);
	on.answers(call);
}

/** Its 200 comes again until there is an ACK (RFC 3261 section 13.3.1.4). */
async function pickUp(call) {
	const { invite } = call;
	const { answer } = invite;
	let said;
	invite.answer = (text) => {
		said = text;
		answer(text);
	};
	await stack.echo.pickUp(invite);
	call.far = stack.echo.calls.find(({ dialog }) => dialog.callId === invite.callId);
	const acknowledged = () => call.far.state !== 'up' || call.far.requests.some((m) => m.method === 'ACK');
	until('the ACK', () => acknowledged() || answer(said), { every_ms: 500 }).catch(() => {});
}

/** Once or twice, after those milliseconds. */
async function reload(tab, lost) {
	for (const ms of lost) {
		await sleep(ms);
		await tab.page.reload({ waitUntil: 'commit' });
	}
	await tab.registered();
}

/** It is up, with media, until one side ends it. */
async function goesOn(library, tab, role, far, side) {
	await tab.up();
	await Object.assign(new WebCall(), { stack, library, query: '', role, tab, far }).talks();
	if (side === 'far') assert.equal((await far.hangUp()).status, 200);
	else await tab.click('hangup');
	await until('the BYE', () => side === 'far' || far.bye);
}

async function over(tab) {
	await tab.up(0);
	await until('nothing in the storage', async () => (await tab.stored()).length === 0);
}

async function caller(library, tab, { from, lost, side, ...moments }) {
	const events = { dialled: Promise.resolve() };
	const on = {};
	for (const event of ['rings', 'answers']) events[event] = new Promise((resolve) => { on[event] = resolve; });
	next = { ...moments, on };
	const known = calls.length;
	await tab.dial('echo');
	await events[from];
	await reload(tab, lost);
	if (calls.length === known) {
		await over(tab);
		return 'reloaded before its INVITE had left the page';
	}
	const call = await events.answers;
	if (moments.refused) {
		await over(tab);
		return 'refused';
	}
	await goesOn(library, tab, 'caller', call.far, side);
	await over(tab);
	call.back = true;
	return 'back';
}

/** Answer what has not been answered yet in this life of the page. */
const answer = (tab) => tab.page.evaluate(() => {
	for (const button of document.querySelectorAll('#calls li .answer')) {
		if (!button.dataset.done) button.click();
		button.dataset.done = 'yes';
	}
}).catch(() => {}); // it is being loaded

async function callee(library, tab, { from, lost, side }) {
	const calling = stack.echo.call('alice');
	let far;
	calling.then((call) => { far = call; }, () => {});
	if (from !== 'dialled') await until('it to ring', async () => (await tab.states()).length > 0);
	if (from === 'answers') await answer(tab);
	await reload(tab, lost);
	const before = far ? 'answered' : 'rings';
	await until('an answer', async () => {
		await answer(tab);
		return far;
	}).catch(async (e) => { throw new Error(`${e.message}: ${await Promise.race([calling, sleep(0)]).catch(String)}`); });
	await goesOn(library, tab, 'callee', far, side);
	await over(tab);
	return before === 'rings' ? 'rings again' : 'back';
}

for (const library of ['jssip', 'sipjs']) {
	for (const side of [caller, callee]) {
		const rounds = Math.ceil(ROUNDS / 4);
		test(`${library}, ${side.name}: ${rounds} reloads at random moments, SEED=${SEED}`, async () => {
			const tab = await stack.signedIn(browser, library);
			const became = {};
			for (let i = 0; i < rounds; i++) {
				const moments = {
					from: r.one(['dialled', 'rings', 'rings', 'answers']), lost: [within(250), ...r.chance(0.3) ? [within(400)] : []],
					rings: within(100), answers: within(700), refused: r.chance(0.15), side: r.one(['far', 'page']),
				};
				const what = await side(library, tab, moments).catch((e) => {
					e.message = `round ${i}, ${JSON.stringify(moments)}: ${e.message}`;
					throw e;
				});
				became[what] = (became[what] ?? 0) + 1;
			}
			process.stdout.write(`     ${library}, ${side.name}: ${JSON.stringify(became)}\n`);
		});
	}
}

test('who has answered a page has had it back', () => {
	assert.deepEqual(calls.filter(({ far, back }) => far && !back).map(({ invite }) => invite.callId), []);
});

test('nothing is left', async () => {
	await stack.noMedia();
	await until('no transaction', async () => /current: 0\b/.test(await stack.kamailio.kamcmd('tm.stats')), { timeout_ms: 30_000, every_ms: 100 });
});
