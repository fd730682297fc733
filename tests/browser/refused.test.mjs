// SPDX-License-Identifier: GPL-2.0-or-later
// Who may not come back into a call does not, is told why, and the call goes on.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { browser, chromium, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-refused');

let thief;
afterEach(async () => {
	await thief?.close();
	thief = undefined;
});

const says = (tab, what) => until(`the page to say ${what}`, async () => what.test(await tab.line()));

/** Plant a record in another page's storage and load that page again. */
async function plant(tab, user, text) {
	await tab.plant(user, text);
	await tab.page.reload();
}

async function inCall(library) {
	const tab = await stack.signedIn(browser, library);
	await tab.dial('echo');
	await tab.up();
	await tab.hears();
	return tab;
}

async function hangUp(tab) {
	await tab.hears();
	await tab.click('hangup');
	await stack.noMedia();
}

const REFUSED = /^You are not allowed to come back into this call/;

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: another user with the stolen state`, async () => {
		const alice = await inCall(library);
		thief = await chromium.another();
		const mallory = await stack.signedIn(thief, library, { user: 'bob' });
		await plant(mallory, 'bob', await alice.record());
		await says(mallory, REFUSED);
		await until('nothing in the storage', async () => (await mallory.stored()).length === 0);
		await hangUp(alice);
	});

	test(`${library}: the same user from another web session`, async () => {
		const alice = await inCall(library);
		thief = await chromium.another();
		const other = await stack.signedIn(thief, library);
		await plant(other, 'alice', await alice.record());
		await says(other, REFUSED);
		await hangUp(alice);
	});

	test(`${library}: a page whose token is no good`, async () => {
		const alice = await inCall(library);
		const state = await alice.record();
		thief = await chromium.another();
		await thief.context.route('**/session', (route) => route.fulfill({
			json: { token: 'x.y.z', user: 'sip:alice@example.org', websocket: `${stack.web.url.replace('https', 'wss')}/ws`, ice_servers: [] },
		}));
		const other = await thief.open(stack.page(library));
		await plant(other, 'alice', state);
		await says(other, REFUSED);
		await hangUp(alice);
	});

	test(`${library}: a page without a microphone, which then ends the call`, async () => {
		const alice = await inCall(library);
		const { last } = stack.echo;
		// The example keeps its helper to itself.
		await alice.page.route(`**/${library}.js`, async (route) => {
			if (!route.request().url().includes('/examples/')) return route.continue();
			const response = await route.fetch();
			const body = (await response.text()).replace('const calls =', 'const calls = window.calls =');
			return route.fulfill({ response, body });
		});
		await alice.page.addInitScript(() => {
			navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
		});
		await alice.page.reload();
		await says(alice, /^This page is not allowed to use the microphone or camera/);
		assert.equal((await alice.stored()).length, 2);
		await alice.page.evaluate(async () => {
			const [[id]] = await window.inDatabase('readonly', (calls) => calls.getAll());
			window.calls.end(id);
		});
		await until('the far end to be hung up on', () => last.state === 'ended');
		assert.deepEqual(await alice.stored(), []);
		await stack.noMedia();
	});

	test(`${library}: the state of a call that ended`, async () => {
		const alice = await inCall(library);
		const state = await alice.record();
		await alice.click('hangup');
		await stack.noMedia();
		await plant(alice, 'alice', state);
		await says(alice, /^The call ended while you were away/);
		await until('nothing in the storage', async () => (await alice.stored()).length === 0);
		await stack.noMedia();
		// And the page can call again.
		await alice.registered();
		await alice.dial('echo');
		await alice.up();
		await hangUp(alice);
	});

	test(`${library}: a state with one bit turned`, async () => {
		const alice = await inCall(library);
		const state = JSON.parse(await alice.record());
		const middle = state.state.length >> 1;
		state.state = state.state.slice(0, middle) + (state.state[middle] === 'A' ? 'B' : 'A') + state.state.slice(middle + 1);
		thief = await chromium.another();
		const other = await stack.signedIn(thief, library);
		await plant(other, 'alice', JSON.stringify(state));
		await says(other, REFUSED);
		await hangUp(alice);
	});
}
