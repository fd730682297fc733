// SPDX-License-Identifier: GPL-2.0-or-later
// A page that rings is reloaded: it rings again, and is answered, in both libraries.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-ringing');

const rings = (tab, n = 1) => until(`${n} calls in the page`, async () => (await tab.states()).length === n);

/** It is answered, lives through a reload, and ends. */
async function goesOn(library, tab, calling) {
	await tab.click('answer');
	const far = await calling;
	await tab.up();
	const call = Object.assign(new WebCall(), { stack, library, query: '', role: 'callee', tab, far });
	await call.talks();
	await tab.page.reload();
	await call.back();
	await call.endsBy('page');
}

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: a page that rings is reloaded twice`, async () => {
		const tab = await stack.signedIn(browser, library);
		const calling = stack.echo.call('alice');
		await rings(tab);
		for (let lives = 0; lives < 2; lives++) {
			await tab.page.reload();
			await rings(tab);
		}
		await goesOn(library, tab, calling);
	});

	test(`${library}: a page has answered, and its answer does not leave it before it is reloaded`, async () => {
		const tab = await stack.signedIn(browser, library);
		const calling = stack.echo.call('alice');
		await rings(tab);
		await tab.page.evaluate(() => {
			const { send } = WebSocket.prototype;
			WebSocket.prototype.send = function(text) {
				if (!/^SIP\/2\.0 200[^]*^CSeq: \d+ INVITE/m.test(text)) send.call(this, text);
			};
		});
		await tab.click('answer');
		await until('the answer to be kept', async () => (await tab.stored()).length > 0);
		await tab.page.reload();
		await until('it to be told', async () => await tab.line() === 'The call ended while you were away.');
		await rings(tab);
		await goesOn(library, tab, calling);
	});

	test(`${library}: a page is called while it is being loaded`, async () => {
		const tab = await stack.signedIn(browser, library);
		await tab.page.goto('about:blank');
		await until('nobody to be there', async () => !/->/.test(await stack.kamailio.kamcmd('ws.dump')));
		const calling = stack.echo.call('alice');
		await tab.page.goto(stack.page(library));
		await rings(tab);
		await goesOn(library, tab, calling);
	});
}
