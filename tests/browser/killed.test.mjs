// SPDX-License-Identifier: GPL-2.0-or-later
// The gateway or the media server is killed in the middle of a call; the page lives on,
// or is reloaded just then. The call comes back by itself.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { Browser } from '../lib/browser.mjs';
import { until } from '../lib/wait.mjs';
import { WebStack } from '../lib/webstack.mjs';

let stack;
let browser;
let page;

before(async () => {
	stack = await WebStack.start('browser-killed');
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

/** The far end hangs up, and the page gets to know. */
async function peerHangsUp(peer) {
	assert.equal((await peer.hangUp()).status, 200);
	await until('the page to show no call', async () => (await page.states()).length === 0);
	await stack.noMedia();
	assert.deepEqual(await page.stored(), []);
}

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: Kamailio is killed and restarted, the page stays`, async () => {
		const peer = await call(library);
		await stack.kamailio.kill();
		// The media goes on without it.
		await page.hears();
		await stack.kamailio.boot();
		const before = peer.requests.length;
		await until('the page to be back', () => peer.requests.slice(before).some((m) => m.method === 'INVITE'), { timeout_ms: 20000 });
		await page.up();
		await page.hears();
		await peerHangsUp(peer);
	});

	test(`${library}: Kamailio is killed and the page reloaded while it is down`, async () => {
		const peer = await call(library);
		await stack.kamailio.kill();
		// Its portal is down with it: what the page gets then is the portal's answer.
		await stack.kamailio.boot();
		await page.page.reload();
		await page.up();
		await page.hears();
		await page.click('hangup');
		await until('the far end to be hung up on', () => peer.state === 'ended');
		await stack.noMedia();
	});

	test(`${library}: rtpengine is killed and restarted`, async () => {
		const peer = await call(library);
		await stack.rtpengine.kill();
		await stack.rtpengine.boot();
		await until('the page to have a new connection', async () => (await page.media()).ice === 'connected'
			&& (await stack.rtpengine.calls()).length === 1, { timeout_ms: 30000 });
		await page.up();
		await page.hears({ timeout_ms: 15000 });
		await peerHangsUp(peer);
	});

	test(`${library}: rtpengine is killed and restarted, then the page reloaded`, async () => {
		const peer = await call(library);
		await stack.rtpengine.kill();
		await stack.rtpengine.boot();
		await page.page.reload();
		await page.up();
		await page.hears();
		await peerHangsUp(peer);
	});
}
