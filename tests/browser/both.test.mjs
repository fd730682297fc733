// SPDX-License-Identifier: GPL-2.0-or-later
// A call of two browsers: each page is reloaded while the other one has just come back, or
// both at once; or both live, and the gateway is restarted.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { enable, noteTracks } from '../lib/browser.mjs';
import { until } from '../lib/wait.mjs';
import { browser, chromium, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-both');

let browsers;
beforeEach(async () => {
	browsers = [browser, await chromium.another()];
});
afterEach(() => browsers[1].close());

/** Who calls with which library, who is called with which, and which of the two hangs up. */
const PAIRS = [['jssip', 'jssip', 0], ['jssip', 'sipjs', 1], ['sipjs', 'jssip', 1], ['sipjs', 'sipjs', 0]];

/** The two pages of a new call. */
async function inCall(mine, theirs) {
	const tabs = [
		await stack.signedIn(browsers[0], mine), await stack.signedIn(browsers[1], theirs, { user: 'bob' }),
	];
	await tabs[0].dial('bob');
	await tabs[1].click('answer');
	for (const tab of tabs) await tab.up();
	await until('the answer to be acknowledged', async () => await tabs[1].frames(/^ACK /) > 0);
	return tabs;
}

/** One of them hangs up, and nothing is left of the call anywhere. */
async function endedBy(tabs, by) {
	await tabs[by].click('hangup');
	for (const tab of tabs) {
		await tab.up(0);
		await until('nothing in the storage', async () => (await tab.stored()).length === 0);
	}
	await stack.noMedia();
}

for (const [mine, theirs, by] of PAIRS) {
	test(`${mine} calls ${theirs}: both pages are reloaded in turn, twice`, async () => {
		const tabs = await inCall(mine, theirs);
		const talk = async () => {
			for (const tab of tabs) await tab.up();
			await Promise.all([...tabs.map((tab) => tab.hears()), stack.audio(callId)]);
		};
		const callId = await stack.onlyCall();
		await talk();
		for (let i = 0; i < 2; i++) {
			// Not for audio, nor for what the other page has to do: the next one goes at once.
			for (const tab of tabs) {
				await tab.page.reload();
				await tab.up();
				await until('the page to say so', async () => /^Resumed/.test(await tab.line()));
			}
			await talk();
		}
		assert.equal(await stack.onlyCall(), callId);
		await endedBy(tabs, by);
	});
}

for (const [mine, theirs, by] of PAIRS) {
	test(`${mine} calls ${theirs}: both pages are reloaded at once, twice`, async () => {
		const tabs = await inCall(mine, theirs);
		for (let i = 0; i < 2; i++) {
			await Promise.all(tabs.map((tab) => tab.page.reload()));
			for (const tab of tabs) await tab.up();
			await Promise.all(tabs.map((tab) => tab.hears()));
			await stack.onlyCall();
		}
		await endedBy(tabs, by);
	});
}

for (const [mine, theirs, by] of PAIRS) {
	test(`${mine} calls ${theirs}: both pages are reloaded at once, with their microphones off`, async () => {
		const tabs = await inCall(mine, theirs);
		// One mutes by the library, the other by the track itself.
		await tabs[by].click('mute');
		await enable(tabs[1 - by], false);
		await Promise.all(tabs.map(async ({ page }) => {
			await page.addInitScript(noteTracks);
			await page.reload();
		}));
		for (const tab of tabs) await tab.up();
		for (const { page } of tabs) {
			const off = await until('both descriptions', () => page.evaluate(() => window.first && [...window.first, ...window.tracks()]));
			assert.deepEqual(off, ['audio off', 'audio off']);
		}
		await tabs[by].click('mute');
		await enable(tabs[1 - by], true);
		await Promise.all(tabs.map((tab) => tab.hears()));
		await endedBy(tabs, by);
	});
}

for (const [mine, theirs, by] of PAIRS) {
	test(`${mine} calls ${theirs}: Kamailio is killed and restarted, both pages stay`, async () => {
		const tabs = await inCall(mine, theirs);
		// Each is done when its own re-INVITE was taken.
		const taken = () => Promise.all(tabs.map((tab) => tab.frames(/^SIP\/2.0 200 [^]*^CSeq: \d+ INVITE/m)));
		const before = await taken();
		const counts = await Promise.all(tabs.map(async (tab) => (await tab.media()).count));
		await stack.kamailio.kill();
		await stack.kamailio.boot();
		await until('both pages to have told where they are', async () => (await taken()).every((n, i) => n > before[i]), { timeout_ms: 40000 });
		for (const tab of tabs) await tab.up();
		await Promise.all(tabs.map((tab) => tab.hears()));
		assert.deepEqual(await Promise.all(tabs.map(async (tab) => (await tab.media()).count)), counts, 'the same connections for media');
		await stack.onlyCall();
		await endedBy(tabs, by);
	});
}
