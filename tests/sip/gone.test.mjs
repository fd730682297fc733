// SPDX-License-Identifier: GPL-2.0-or-later
// The far end hangs up while the client is away, and is not heard of again: whoever it is, the client is told
// when it comes back, and nobody's phone rings.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN } from '../lib/stack.mjs';
import { FarEnd } from '../lib/sip.mjs';
import { Lives } from '../lib/lives.mjs';
import { nothingLeft } from '../lib/call.mjs';
import { until } from '../lib/wait.mjs';

const ENDED = 'SIP/2.0 481 Call Ended While Away';
const SOON = 2000;

let lives, stack;
before(async () => {
	// As they are by default: nothing here may be waited for.
	lives = await Lives.start('gone');
	({ stack } = lives);
});
afterEach(() => lives.end());
after(() => stack?.stop());

/** What is left of a far end that has hung up. */
const AFTER = {
	'says nothing, as pjsip for some seconds': () => {},
	'says 481': (bob, m) => { if (m.method !== 'ACK') bob.reply(m, 481, 'Call/Transaction Does Not Exist'); },
};

/** A client of the same gateway, as far end. */
async function page() {
	const carol = lives.keep(await FarEnd.open({
		user: 'carol', transport: 'ws', token: await stack.kamailio.token(`sip:carol@${DOMAIN}`, 'web-session-2'), to: lives.gateway('ws'),
	}));
	assert.equal((await carol.register()).status, 200);
	return carol;
}

/** The BYE of the far end, whose client is gone. */
async function hangsUp(theirs) {
	assert.equal((await theirs.request('BYE')).status, 200);
	await stack.noMedia();
}

/** The client is back, and has its answer soon; the one that asks for it again, too. */
async function isTold(one, state, bob) {
	const asked = bob.requests.length;
	for (const value of [state, `${state};again`]) {
		const start = performance.now();
		assert.equal((await one.call({ state: value })).final.start, ENDED);
		assert.ok(performance.now() - start < SOON, 'soon');
	}
	assert.equal(bob.requests.length, asked, 'the far end is not asked');
}

for (const role of ['caller', 'callee']) {
	for (const [what, answer] of Object.entries(AFTER)) {
		test(`${role}: a trunk that hangs up and then ${what}`, async () => {
			const bob = await lives.far();
			const one = await lives.alice('ws');
			const { state, theirs } = await lives.call(one, bob, role);
			one.close();
			await hangsUp(theirs);
			bob.answer = (m) => (answer(bob, m), false);
			await isTold(await lives.alice('ws'), state, bob);
		});
	}

	test(`${role}: a page that hangs up, and stays`, async () => {
		const bob = await page();
		const one = await lives.alice('ws');
		const { state, theirs } = await lives.call(one, bob, role);
		one.close();
		await hangsUp(theirs);
		await isTold(await lives.alice('ws'), state, bob);
	});

	test(`${role}: a page that hangs up, and goes too`, async () => {
		const bob = await page();
		const one = await lives.alice('ws');
		const { state, theirs } = await lives.call(one, bob, role);
		one.close();
		await hangsUp(theirs);
		bob.close();
		await isTold(await lives.alice('ws'), state, bob);
	});

	test(`${role}: the connection is there and nobody at the other end, and the client is back before anybody knows`, async () => {
		const bob = await lives.far();
		const one = await lives.alice('ws');
		const { state, theirs } = await lives.call(one, bob, role);
		one.answer = () => false;
		const bye = theirs.request('BYE');
		await one.take('the BYE', (m) => m.method === 'BYE');
		bob.answer = () => false;
		await isTold(await lives.alice('ws'), state, bob);
		assert.equal((await bye).status, 200);
		await stack.noMedia();
	});
}

test('a client that has resumed before, and one that is called again by the same far end', async () => {
	const bob = await lives.far();
	const one = await lives.alice('ws');
	const { state, theirs } = await lives.call(one, bob);
	one.close();
	const two = await lives.alice('ws');
	const back = await two.call({ state });
	assert.equal(back.final.status, 200);
	two.close();
	await hangsUp(theirs);
	const three = await lives.alice('ws');
	await isTold(three, back.state, bob);
	await isTold(three, state, bob);
	const other = await lives.call(three, bob, 'callee');
	three.close();
	const four = await lives.alice('ws');
	const again = await four.call({ state: other.state });
	assert.equal(again.final.status, 200, 'another call of the two goes on');
	assert.equal((await again.request('BYE')).status, 200);
	await stack.noMedia();
});

for (const role of ['caller', 'callee']) {
	test(`${role}: the far end hangs up when it gets the re-INVITE, and does not answer that`, async () => {
		const bob = await lives.far();
		const one = await lives.alice('ws');
		const { callId, state, theirs } = await lives.call(one, bob, role);
		one.close();
		bob.answer = (m) => m.method !== 'INVITE';
		const two = await lives.alice('ws');
		const start = performance.now();
		const coming = two.call({ state });
		await bob.take('the re-INVITE', (m) => m.method === 'INVITE' && m.callId === callId && m.tag('to'));
		assert.equal((await theirs.request('BYE')).status, 200);
		const { final } = await coming;
		assert.equal(final.start, ENDED);
		assert.equal(final.tag('to'), /;tag=(.*)/.exec(theirs.local)[1], 'as any answer in that dialog');
		assert.ok(performance.now() - start < SOON, 'soon');
		await stack.noMedia();
		await isTold(two, state, bob);
	});
}

test('a forged BYE ends no resume that waits', async () => {
	const bob = await lives.far();
	const one = await lives.alice('ws');
	const { callId, state, theirs } = await lives.call(one, bob);
	one.close();
	bob.answer = (m) => m.method !== 'INVITE';
	const two = await lives.alice('ws');
	const coming = two.call({ state });
	const invite = await bob.take('the re-INVITE', (m) => m.method === 'INVITE' && m.callId === callId && m.cseq > 100);
	assert.ok((await theirs.request('BYE', { routes: [] })).status >= 300);
	bob.accept(invite);
	const back = await coming;
	assert.equal(back.final.status, 200, back.final.start);
	assert.equal((await back.request('BYE')).status, 200);
	await stack.noMedia();
});

test('a BYE that does not prove to be of the call ends nothing', async () => {
	const bob = await lives.far();
	const one = await lives.alice('ws');
	const { state, theirs } = await lives.call(one, bob);
	one.close();
	// Without the Route that has our reference in it, as anybody could write it.
	const forged = await theirs.request('BYE', { routes: [] });
	assert.ok(forged.status >= 300, forged.start);
	const back = await (await lives.alice('ws')).call({ state });
	assert.equal(back.final.status, 200);
	assert.equal((await back.request('BYE')).status, 200);
	await until('the far end to know', () => bob.requests.some((m) => m.method === 'BYE'));
	await stack.noMedia();
});

test('nothing is left', () => nothingLeft(stack));
