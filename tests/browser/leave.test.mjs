// SPDX-License-Identifier: GPL-2.0-or-later
// A page with a call is left, crashes, or goes with its browser; and has its call again
// when it is there again.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Browser, FIREFOX } from '../lib/browser.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, goOnIn, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-leave', {
	// As people have it: pages that are left are kept for "back", if they can be.
	chromium: { ignoreDefaultArgs: ['--disable-back-forward-cache'] },
});

/** A browser of a user who signed in yesterday. Chromium keeps a cookie in memory for half a minute. */
async function signedInBefore() {
	const first = await Browser.spawn(stack.dir, 'browser');
	await stack.signedIn(first, 'jssip');
	await first.quit();
	return Browser.spawn(stack.dir, 'browser');
}

const elsewhere = () => `${stack.web.url}/examples/view.js`;

/** How the page was shown the last time: whether as it had been left, and if not why. */
const shown = (tab) => tab.page.evaluate(() => ({
	persisted: window.persisted,
	reasons: performance.getEntriesByType('navigation')[0].notRestoredReasons?.reasons.map((r) => r.reason).sort(),
}));

async function leaveAndComeBack(tab) {
	await tab.page.goto(elsewhere());
	// A page that is shown as it was left does not load.
	await tab.page.goBack({ waitUntil: 'commit' });
	await until('the page to be shown', async () => (await shown(tab)).persisted !== undefined);
}

/** How a page is lost; what comes back is another tab, or the same. */
const ways = {
	'left by a link, and back': async (call) => {
		await leaveAndComeBack(call.tab);
		const { persisted, reasons } = await shown(call.tab);
		assert.equal(persisted, false);
		// Firefox does not tell why.
		if (!FIREFOX) assert.ok(reasons.includes('rtc'), `because of ${reasons}`);
	},
	'crashed, and loaded in a new tab': async (call) => {
		await call.tab.crash();
		call.tab = await browser.open(stack.page(call.library));
	},
	'closed, and loaded in a new tab': async (call) => {
		await call.tab.close();
		call.tab = await browser.open(stack.page(call.library));
	},
	'killed with its browser, which is started again': async (call) => {
		await browser.kill();
		goOnIn(await Browser.spawn(stack.dir, 'browser'));
		call.tab = await browser.open(stack.page(call.library));
	},
};

for (const library of ['jssip', 'sipjs']) {
	for (const [way, lose] of Object.entries(ways)) {
		for (const [role, by] of [['caller', 'page'], ['callee', 'far']]) {
			test(`${library}, ${role}: ${way}`, async () => {
				if (way.startsWith('killed')) goOnIn(await signedInBefore());
				const call = await WebCall.up(stack, browser, { library, role });
				await lose(call);
				await call.back();
				await call.endsBy(by);
			});
		}
	}

	test(`${library}: left without a call and shown as it was, the page can call and be called`, async () => {
		const tab = await stack.signedIn(browser, library);
		await leaveAndComeBack(tab);
		// Firefox keeps no page that has a WebSocket.
		assert.equal((await shown(tab)).persisted, !FIREFOX);
		// Its connection is gone, which the library has yet to notice.
		await until('the page to get through', async () => {
			const states = await tab.states();
			if (states.length === 0) await tab.dial('echo');
			return states[0] === 'up';
		}, { every_ms: 100 });
		await tab.click('hangup');
		const call = await WebCall.up(stack, browser, { library, role: 'callee', tab });
		await call.endsBy('page');
	});

	test(`${library}: the page in a second tab waits, and has the call when the first is closed`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		const second = await browser.open(stack.page(library));
		await until('the second tab to wait', async () => await second.line() === 'The call is in another tab.');
		await call.talks();
		assert.equal(call.far.reinvites, 0);
		assert.deepEqual(await second.states(), []);
		await call.tab.close();
		call.tab = second;
		await call.back();
		await call.endsBy('far');
	});

	test(`${library}: a second tab that waits does nothing when the call in the first ends`, async () => {
		const call = await WebCall.up(stack, browser, { library, role: 'callee' });
		const second = await browser.open(stack.page(library));
		await until('the second tab to wait', async () => await second.line() === 'The call is in another tab.');
		await call.endsBy('far');
		await call.tab.close();
		// The first tab's lock is free now; the second one takes part in the next call.
		const next = await WebCall.up(stack, browser, { library, role: 'callee', tab: second });
		assert.equal(call.far.reinvites, 0);
		await next.endsBy('page');
	});
}
