// SPDX-License-Identifier: GPL-2.0-or-later
// A page with a call is reloaded, and has its call again.

import { after, afterEach, before, test } from 'node:test';

import { Browser } from '../lib/browser.mjs';
import { WebCall } from '../lib/webcall.mjs';
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
afterEach(async () => {
	await browser.closeTabs();
	await stack.dropMedia();
});

for (const library of ['jssip', 'sipjs']) {
	for (const [role, reloads, by] of [
		['caller', 3, 'far'], ['caller', 1, 'page'], ['callee', 3, 'page'], ['callee', 1, 'far'],
	]) {
		test(`${library}, ${role}: ${reloads} reloads, then ${by === 'far' ? 'the far end' : 'the page'} hangs up`, async () => {
			const call = await WebCall.up(stack, browser, { library, role });
			for (let lives = 1; lives <= reloads; lives++) {
				await call.tab.page.reload();
				await call.back({ lives });
			}
			await call.endsBy(by);
		});
	}
}
