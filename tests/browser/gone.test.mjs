// SPDX-License-Identifier: GPL-2.0-or-later
// A page hangs up on one that is away: that one is told when it comes back, and nobody's phone rings.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { browser, chromium, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-gone');

/** From where the page's script runs again until it says so. */
const SOON = 2000;

let other;
beforeEach(async () => {
	other = await chromium.another();
});
afterEach(() => other.close());

for (const [mine, theirs] of [['jssip', 'sipjs'], ['sipjs', 'jssip']]) {
	for (const role of ['caller', 'callee']) {
		test(`${mine}, ${role}: away while a page with ${theirs} hangs up`, async () => {
			const alice = await stack.signedIn(browser, mine);
			const bob = await stack.signedIn(other, theirs, { user: 'bob' });
			const [from, to, name] = role === 'caller' ? [alice, bob, 'bob'] : [bob, alice, 'alice'];
			await from.dial(name);
			await to.click('answer');
			for (const tab of [alice, bob]) await tab.up();
			const { url } = await alice.page.evaluate(() => ({ url: location.href }));
			await alice.page.goto('about:blank');
			await bob.click('hangup');
			await bob.up(0);
			await stack.noMedia();
			await alice.page.goto(url);
			await until('the page to say so', async () => /ended while you were away/.test(await alice.line()));
			const took = await alice.page.evaluate(() => performance.now());
			assert.ok(took < SOON, `${took} ms`);
			assert.equal((await alice.stored()).length, 0);
			await bob.up(0);
			assert.deepEqual(await stack.rtpengine.calls(), []);
		});
	}
}
