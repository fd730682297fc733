// SPDX-License-Identifier: GPL-2.0-or-later
// A page with a call is reloaded, and has its call again.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { Browser } from '../lib/browser.mjs';
import { WebStack } from '../lib/webstack.mjs';

let stack;
let browser;

before(async () => {
	stack = await WebStack.start('browser-reload');
	browser = await Browser.start();
});
after(async () => {
	await browser?.close();
	await stack?.stop();
});
afterEach(() => stack.dropMedia());

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: three reloads of one call`, async () => {
		const page = await stack.signedIn(browser, library);
		await page.dial('echo');
		await page.up();
		await page.hears();
		const callId = await stack.onlyCall();
		for (let i = 0; i < 3; i++) {
			await page.page.reload();
			await page.up();
			await page.hears();
			assert.match(await page.line(), /^Resumed, away for \d+ ms/);
		}
		assert.equal(await stack.onlyCall(), callId);
		await page.click('hangup');
		await stack.noMedia();
		assert.deepEqual(await page.stored(), []);
		await page.close();
	});
}
