// SPDX-License-Identifier: GPL-2.0-or-later
// The network of the browser changes, or is gone for a while; the page stays.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { Browser } from '../lib/browser.mjs';
import { GATEWAY_IP, Network } from '../lib/network.mjs';
import { runFolder } from '../lib/stack.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { WebStack } from '../lib/webstack.mjs';

const AWAY_MS = 30_000;

let network;
let stack;
let chromium;
let browser; // of this test: without a past, so that what one leaves behind is not in the next

const skip = Network.possible ? false : 'no network namespaces here';

before(async () => {
	if (skip) return;
	const dir = runFolder('browser-network');
	network = await Network.start(dir);
	stack = await WebStack.start('browser-network', { dir: `${dir}/stack`, web: { ip: GATEWAY_IP }, rtpengine: { ip: GATEWAY_IP } });
	chromium = await Browser.start({ network });
});
after(async () => {
	await chromium?.close();
	await stack?.stop();
	await network?.stop();
});
beforeEach(async () => {
	browser = await chromium?.another();
});
afterEach(async () => {
	await browser?.close();
	await stack?.dropMedia();
});

for (const library of ['jssip', 'sipjs']) {
	for (const role of ['caller', 'callee']) {
		test(`${library}, ${role}: the address moves`, { skip }, async () => {
			const call = await WebCall.up(stack, browser, { library, role });
			network.move();
			const moved = network.address.split('/')[0];
			await until('media from the new address', async () => {
				const [id] = await stack.rtpengine.calls();
				const q = await stack.rtpengine.ask({ command: 'query', 'call-id': id });
				return JSON.stringify(q).includes(moved);
			}, { timeout_ms: 40000 });
			await call.tab.hears();
			await call.tab.up();
			await call.talks();
			await call.endsBy(role === 'caller' ? 'far' : 'page');
		});
	}
}

test(`jssip and sipjs, both roles: the device is off for ${AWAY_MS / 1000} s`, { skip }, async () => {
	const contexts = [];
	const calls = [];
	try {
		for (const [library, user, role] of [['jssip', 'alice', 'caller'], ['sipjs', 'bob', 'callee']]) {
			contexts.push(await chromium.another());
			const tab = await stack.signedIn(contexts.at(-1), library, { user });
			calls.push(await WebCall.up(stack, browser, { library, role, tab, user }));
		}
		network.down();
		await sleep(AWAY_MS); // The time is what is tested.
		network.up();
		for (const { tab } of calls) await tab.hears({ timeout_ms: 60000 });
		for (const one of calls) {
			await one.tab.up();
			await one.tab.hears();
		}
		assert.equal((await calls[0].far.hangUp()).status, 200);
		await calls[0].tab.up(0);
		await calls[1].tab.click('hangup');
		await calls[1].gone();
	} finally {
		for (const context of contexts) await context.close();
	}
});
