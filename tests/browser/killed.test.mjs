// SPDX-License-Identifier: GPL-2.0-or-later
// The gateway or the media server is killed in the middle of a call; the page lives on,
// or is reloaded just then. The call comes back by itself.

import { test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-killed');

for (const library of ['jssip', 'sipjs']) {
	for (const role of ['caller', 'callee']) {
		const up = () => WebCall.up(stack, browser, { library, role });

		test(`${library}, ${role}: Kamailio is killed and restarted, the page stays`, async () => {
			const call = await up();
			await stack.kamailio.kill();
			// The media goes on without it.
			await call.talks();
			await stack.kamailio.boot();
			await until('the page to be back', () => call.far.reinvites === 1, { timeout_ms: 40000 });
			await call.tab.up();
			await call.talks();
			await call.endsBy('far');
		});

		test(`${library}, ${role}: Kamailio is killed and restarted, and the page loaded anew`, async () => {
			const call = await up();
			const { page } = call.tab;
			const url = page.url();
			await stack.kamailio.kill();
			// A page that is still there when Kamailio is would come back once more.
			await page.goto('about:blank');
			await stack.kamailio.boot();
			await page.goto(url);
			await call.back();
			await call.endsBy('page');
		});

		test(`${library}, ${role}: the page is reloaded while there is no Kamailio`, async () => {
			const call = await up();
			await stack.kamailio.kill();
			const { page } = call.tab;
			await Promise.all([page.waitForResponse((r) => r.url().endsWith('/session') && r.status() === 503), page.reload()]);
			await stack.kamailio.boot();
			await call.back();
			await call.endsBy('far');
		});

		test(`${library}, ${role}: rtpengine is killed and restarted, the page stays`, async () => {
			const call = await up();
			await stack.rtpengine.kill();
			await stack.rtpengine.boot();
			await until('rtpengine to have the call again', async () => (await stack.rtpengine.calls()).length === 1, { timeout_ms: 30000 });
			await call.back();
			await call.endsBy('far');
		});

		test(`${library}, ${role}: rtpengine is killed and restarted, and the page reloaded`, async () => {
			const call = await up();
			await stack.rtpengine.kill();
			await stack.rtpengine.boot();
			await call.tab.page.reload();
			await call.back();
			await call.endsBy('page');
		});
	}
}
