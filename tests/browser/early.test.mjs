// SPDX-License-Identifier: GPL-2.0-or-later
// What a page begins before the library is here: the WebSocket of a call that comes back.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-early');

/** Reload a page with a call; its library is here when meanwhile() is done. */
async function reload({ page }, meanwhile) {
	let go;
	const held = new Promise((resolve) => { go = resolve; });
	await page.route('**/bundle/jssip.js', async (route) => { await held; await route.continue(); });
	await page.evaluate(() => { window.old = true; });
	const loaded = page.reload();
	await until('the WebSocket', () => page.evaluate(() => !window.old && window.opened === 1)).catch((e) => { go(); throw e; });
	await meanwhile();
	go();
	await loaded;
}

test('the WebSocket is opened before the library is here, and the call comes back over it', async () => {
	const call = await WebCall.up(stack, browser, { library: 'jssip' });
	await reload(call.tab, () => {});
	await call.back();
	assert.equal(await call.tab.page.evaluate(() => window.sockets), 1);
	await call.endsBy('page');
	// Nothing to come back to.
	await call.tab.page.unroute('**/bundle/jssip.js');
	await call.tab.page.reload();
	await call.tab.registered();
	assert.equal(await call.tab.page.evaluate(() => window.sockets), 1);
});

test('a WebSocket that is lost before the library is here is opened again', async () => {
	const call = await WebCall.up(stack, browser, { library: 'jssip' });
	await reload(call.tab, async () => {
		await stack.kamailio.kill();
		await stack.kamailio.boot();
	});
	await call.back();
	assert.ok(await call.tab.page.evaluate(() => window.sockets) > 1);
	await call.endsBy('far');
});

test('who is signed out has no WebSocket, and one who has signed in since takes the early one', async () => {
	const tab = await browser.open(stack.page('jssip'));
	await tab.page.locator('#sign-in:visible').waitFor();
	assert.equal(await tab.page.evaluate(() => window.sockets), 0);
	// Of somebody who was here before.
	await tab.page.evaluate(() => localStorage.setItem('call-resume carol@example.org x', '{"state":"x"}'));
	await tab.page.reload();
	await until('the WebSocket', () => tab.page.evaluate(() => window.opened === 1));
	await tab.signIn('alice', stack.passwords.alice);
	await tab.registered();
	await tab.dial('echo');
	await tab.up();
	assert.equal(await tab.page.evaluate(() => window.sockets), 1);
	await tab.click('hangup');
});
