// SPDX-License-Identifier: GPL-2.0-or-later
// What happens to a call while its page is away.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { Browser } from '../lib/browser.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { WebStack } from '../lib/webstack.mjs';

const TOKEN_S = 3;

let stack;
let browser;
let page;

before(async () => {
	stack = await WebStack.start('browser-away', {
		defines: { RESUME_TOKEN_LIFETIME: TOKEN_S, RESUME_CLOCK_SKEW: 0 },
	});
	browser = await Browser.start();
});
after(async () => {
	await browser?.close();
	await stack?.stop();
});
afterEach(async () => {
	await page?.close();
	await stack.dropMedia();
});

async function call(library) {
	page = await stack.signedIn(browser, library);
	await page.dial('echo');
	await page.up();
	await page.hears();
	return stack.echo.last;
}

const leave = () => page.page.goto('about:blank');
const comeBack = (library) => page.page.goto(stack.page(library));

/** The web session that the portal knows this browser by, from a token. */
const sid = () => page.page.evaluate(async () => {
	const { token } = await (await fetch('/session', { method: 'POST', headers: { 'Content-Type': 'application/json' } })).json();
	return JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))).sid;
});

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: the far end hangs up`, async () => {
		const peer = await call(library);
		await leave();
		const started = performance.now();
		assert.equal((await peer.hangUp()).status, 200);
		assert.ok(performance.now() - started < 10_000, 'it does not wait for a timer of the transaction');
		await stack.noMedia();
		await comeBack(library);
		await until('the page to say so', async () => await page.line() === 'The call ended while you were away.');
		assert.deepEqual(await page.states(), []);
		assert.deepEqual(await page.stored(), []);
		await stack.noMedia();
	});

	for (const [what, direction] of [['holds the call', 'sendonly'], ['sends a re-INVITE', 'sendrecv']]) {
		test(`${library}: the far end ${what}`, async () => {
			const peer = await call(library);
			await leave();
			const refused = await peer.reinvite(direction);
			assert.ok([491, 500].includes(refused.status), refused.start);
			peer.direction = 'sendrecv'; // what was refused does not hold (RFC 3261 section 14.1)
			await comeBack(library);
			await page.up();
			await page.hears();
			// It tries again, as it was told.
			assert.equal((await peer.reinvite(direction)).status, 200);
			if (direction === 'sendonly') assert.equal((await peer.reinvite('sendrecv')).status, 200);
			await page.hears();
			assert.equal((await peer.hangUp()).status, 200);
			await until('the page to show no call', async () => (await page.states()).length === 0);
			await stack.noMedia();
		});
	}

	test(`${library}: the token expires, the portal renews it for the same web session`, async () => {
		const peer = await call(library);
		const before = await sid();
		await leave();
		await sleep(TOKEN_S * 1000 + 500); // The time is what is tested.
		await comeBack(library);
		await page.up();
		await page.hears();
		assert.equal(await sid(), before);
		await page.click('hangup');
		await until('the far end to be hung up on', () => peer.state === 'ended');
		await stack.noMedia();
	});

	test(`${library}: the token expires while the page stays, and its WebSocket is lost`, async () => {
		const peer = await call(library);
		await sleep(TOKEN_S * 1000 + 500); // The time is what is tested.
		const invites = () => peer.requests.filter((m) => m.method === 'INVITE').length;
		const before = invites();
		await stack.web.stop();
		await stack.web.boot();
		await until('the page to be back', () => invites() > before, { timeout_ms: 20000 });
		await page.hears();
		assert.equal((await peer.hangUp()).status, 200);
		await until('the page to show no call', async () => (await page.states()).length === 0);
		await stack.noMedia();
	});
}
