// SPDX-License-Identifier: GPL-2.0-or-later
// Where the state of a call is kept: in the browser, on the network, or spoilt.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-store', { store: true });

let page; // of the current test

async function call(library, query) {
	page = await stack.signedIn(browser, library, { query });
	await page.dial('echo');
	await page.up();
	await page.hears();
	return stack.echo.last;
}

/** What the network keeps for this web session. */
const kept = () => page.page.evaluate(async () => {
	const ask = async (url, options) => {
		const answer = await fetch(url, options);
		if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
		return answer.json();
	};
	const { token } = await ask('/session', { method: 'POST', headers: { 'Content-Type': 'application/json' } });
	return Object.keys(await ask('/session/calls', { headers: { Authorization: `Bearer ${token}` } }));
});

test('what is on the network under names that are none of a call is asked for nothing: nobody is signed out by it', async () => {
	const peer = await call('jssip', '?store=network');
	await until('the state to be on the network', async () => (await kept()).length === 1);
	const [key] = stack.redis.cli('KEYS', 'call_resume:calls:*').split('\n');
	const names = ['../../session', '..', '?', 'x/y', '', 'x'.repeat(65)];
	for (const name of names) stack.redis.cli('HSET', key, name, '{}');
	const asked = [];
	page.page.on('request', (r) => { if (r.method() !== 'GET') asked.push(`${r.method()} ${new URL(r.url()).pathname}`); });
	await page.page.reload();
	await page.up();
	await page.hears();
	assert.equal((await peer.hangUp()).status, 200);
	await until('the network to forget the call', async () => (await kept()).length === names.length);
	assert.deepEqual(asked.filter((what) => !/^(POST \/session|(PUT|DELETE) \/session\/calls\/[\w-]{36})$/.test(what)), []);
	await stack.noMedia();
});

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: on the network, for a browser that keeps nothing`, async () => {
		const peer = await call(library, '?store=network');
		await until('the state to be on the network', async () => (await kept()).length === 1);
		assert.deepEqual(await page.stored(), []);
		await page.page.reload();
		await page.up();
		await page.hears();
		assert.equal((await peer.hangUp()).status, 200);
		await until('the page to show no call', async () => (await page.states()).length === 0);
		await until('the network to forget it', async () => (await kept()).length === 0);
		await stack.noMedia();
	});

	test(`${library}: the resume does not wait for the registration`, async () => {
		const peer = await call(library, '');
		await browser.context.addInitScript(() => {
			const { send } = WebSocket.prototype;
			WebSocket.prototype.send = function sendAllBut(text) {
				if (!/^REGISTER /.test(text)) send.call(this, text);
			};
		});
		await page.page.reload();
		await page.up();
		await page.hears();
		assert.notEqual(await page.page.title(), 'registered');
		await page.click('hangup');
		await until('the far end to be hung up on', () => peer.state === 'ended');
		await stack.noMedia();
	});

	test(`${library}: what is spoilt in the storage is thrown away, and nothing else`, async () => {
		const peer = await call(library, '');
		await page.page.evaluate(async () => {
			for (const [id, text] of [['a', 'not JSON'], ['b', '{}'], ['c', '{"state":7}'], ['d', 'null']]) {
				await window.inDatabase('readwrite', (calls) => calls.put([id, text], `call-resume alice ${id}`));
			}
			localStorage.setItem('mine', 'stays');
		});
		await page.page.reload();
		await page.up();
		await page.hears();
		// In the database, and its copy.
		await until('one call in the storage', async () => new Set(await page.stored()).size === 1);
		assert.equal(await page.page.evaluate(() => localStorage.getItem('mine')), 'stays');
		await page.click('hangup');
		await until('the far end to be hung up on', () => peer.state === 'ended');
		await until('nothing in the storage', async () => (await page.stored()).length === 0);
		await stack.noMedia();
	});
}
