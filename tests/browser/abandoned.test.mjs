// SPDX-License-Identifier: GPL-2.0-or-later
// A page is closed in the middle of its call, and nobody comes back: it has said so, and the far end is hung up on soon. A
// page that is loaded again has said the same, and has its call; one that lives and sends next to nothing keeps it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

const LEAVING_S = 6;

// Long enough for a slow machine to load a page in; and nothing is ended by silence alone.
webTests('browser-abandoned', { defines: { RESUME_ABANDONED: 600, RESUME_LEAVING: LEAVING_S } });

const kinds = (call) => [...new Set(call.far.requests.map((m) => m.method))].sort().join(' ');

/** What the gateway says of the page: for how many seconds it has been silent, and whether it is connected. */
async function page() {
	const found = /silent: (\d+)\s+connected: (\d)/.exec(await stack.kamailio.kamcmd('call_resume.abandoned'));
	return { silent_s: Number(found[1]), connected: found[2] === '1' };
}

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: reloaded, and then closed for good`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		await call.tab.page.reload();
		await call.back();
		await call.tab.close();
		const closed = performance.now();
		const bye = await until('the far end to be hung up on', () => call.far.bye, { timeout_ms: 40000 });
		assert.ok(performance.now() - closed > (LEAVING_S - 2) * 1000, 'a page has time to be loaded');
		assert.equal(bye.get('reason'), 'SIP;cause=480;text="Client Gone"');
		assert.equal(kinds(call), 'ACK BYE INVITE', 'that it leaves is for the gateway alone');
		await stack.noMedia();
		const late = await browser.open(stack.page(library));
		await until('the page to be told that it is too late', async () => /ended while/i.test(await late.line()));
		await until('nothing in the storage', async () => (await late.stored()).length === 0);
	});

	test(`${library}: on hold both ways it lives, and its gateway goes and comes: the page says that it is alone`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		await call.far.reinvite('inactive');
		await stack.kamailio.kill();
		await until('the page to say so', async () => /^The connection is lost/.test(await call.tab.line()));
		await stack.kamailio.boot();
		await until('the page to be there again', async () => /^The connection is back/.test(await call.tab.line()), { timeout_ms: 40000 });
		await until('the gateway to know it', async () => (await page()).connected);
		assert.ok((await page()).silent_s < LEAVING_S, JSON.stringify(await page()));
		await call.endsBy('page');
	});
}
