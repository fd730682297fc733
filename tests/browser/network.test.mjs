// SPDX-License-Identifier: GPL-2.0-or-later
// The network of the browser changes, or is gone for a while; the page stays.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, afterEach, before, test } from 'node:test';

import { Browser } from '../lib/browser.mjs';
import { GATEWAY_IP, Network } from '../lib/network.mjs';
import { runFolder } from '../lib/stack.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { WebStack } from '../lib/webstack.mjs';

const AWAY_MS = 30_000;

let network;
let stack;
let browser;
let page;

const skip = Network.possible ? false : 'no network namespaces here';

before(async () => {
	if (skip) return;
	const dir = runFolder('browser-network');
	fs.mkdirSync(dir, { recursive: true });
	network = await Network.start(dir);
	stack = await WebStack.start('browser-network', { dir: `${dir}/stack`, web: { ip: GATEWAY_IP }, rtpengine: { ip: GATEWAY_IP } });
	browser = await Browser.start({ network });
});
after(async () => {
	await browser?.close();
	await stack?.stop();
	await network?.stop();
});
afterEach(async () => {
	await page?.close();
	await stack?.dropMedia();
});

async function call(library) {
	page = await stack.signedIn(browser, library);
	await page.dial('echo');
	await page.up();
	await page.hears();
	return stack.echo.last;
}

async function peerHangsUp(peer) {
	assert.equal((await peer.hangUp()).status, 200);
	await until('the page to show no call', async () => (await page.states()).length === 0);
	await stack.noMedia();
}

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: the address moves`, { skip }, async () => {
		const peer = await call(library);
		network.move();
		const moved = network.address.split('/')[0];
		await until('media from the new address', async () => {
			const [id] = await stack.rtpengine.calls();
			const q = await stack.rtpengine.ask({ command: 'query', 'call-id': id });
			return JSON.stringify(q).includes(moved);
		}, { timeout_ms: 20000 });
		await page.hears({ timeout_ms: 15000 });
		await page.up();
		await peerHangsUp(peer);
	});
}

test(`jssip and sipjs: the device is off for ${AWAY_MS / 1000} s`, { skip }, async () => {
	const peer = await call('jssip');
	const other = await browser.another();
	const second = await stack.signedIn(other, 'sipjs', { user: 'bob' });
	await second.dial('echo');
	await second.up();
	await second.hears();
	network.down();
	await sleep(AWAY_MS); // The time is what is tested.
	network.up();
	for (const tab of [page, second]) {
		await tab.hears({ timeout_ms: 30000 });
		await tab.up();
	}
	assert.equal((await stack.echo.last.hangUp()).status, 200);
	await until('the second page to show no call', async () => (await second.states()).length === 0);
	await page.click('hangup');
	await until('the far end to be hung up on', () => peer.state === 'ended');
	await stack.noMedia();
	await other.close();
});
