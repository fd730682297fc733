// SPDX-License-Identifier: GPL-2.0-or-later
// A page is called and reloaded, with a gateway that pushes states: what comes in the NOTIFY is
// enough for both libraries, though SIP.js itself answers it with 481.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-push', { defines: { RESUME_PUSH: true } });

const stats = async (name) => Number(new RegExp(`${name}: (\\d+)`).exec(await stack.kamailio.kamcmd('call_resume.stats'))[1]);

for (const library of ['jssip', 'sipjs']) {
	test(`${library}: a called page is reloaded after its answer, and after a re-INVITE`, async () => {
		const pushed = await stats('states_pushed');
		const resumed = await stats('dialogs_resumed');
		const page = await stack.signedIn(browser, library);
		const calling = stack.echo.call('alice');
		await page.click('answer');
		const call = await calling;
		await page.up();
		await page.hears();
		await until('the state to be pushed', async () => await stats('states_pushed') === pushed + 1);
		const callId = await stack.onlyCall();

		await page.page.reload();
		await page.up();
		await page.hears();
		assert.equal((await call.reinvite()).status, 200);
		await until('a state after the re-INVITE', async () => await stats('states_pushed') === pushed + 2);
		await page.page.reload();
		await page.up();
		await page.hears();
		assert.equal(await stats('dialogs_resumed'), resumed + 2);
		assert.equal(await stack.onlyCall(), callId);
		assert.equal(await stats('seals_failed'), 0);
		await page.click('hangup');
		await stack.noMedia();
		await until('nothing in the storage', async () => (await page.stored()).length === 0);
	});
}
