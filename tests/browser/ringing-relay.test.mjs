// SPDX-License-Identifier: GPL-2.0-or-later
// Pages whose media go through TURN alone, reloaded while their call rings, as callers and called.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-ringing-relay', { turn: true });

const one = (tab) => until('one call in the page', async () => (await tab.states()).length === 1);

/** It is up, through the relay, also after one more reload. */
async function goesOn(library, role, tab, far) {
	await tab.up();
	const call = Object.assign(new WebCall(), { stack, library, query: '?relay', role, tab, far });
	await call.talks();
	assert.equal((await tab.route()).type, 'relay');
	stack.echo.answer = () => true;
	await tab.page.reload();
	await tab.up();
	await call.talks();
	assert.equal((await tab.route()).type, 'relay');
	await call.endsBy('far');
}

for (const library of ['jssip', 'sipjs']) {
	for (const rings of [true, false]) {
		test(`${library}: a caller, ${rings ? 'while it rings' : 'before it rings'}`, async () => {
			let invite;
			stack.echo.answer = (m) => {
				if (m.method !== 'INVITE' || m.tag('to')) return true;
				invite ??= m;
				return false;
			};
			const tab = await stack.signedIn(browser, library, { query: '?relay' });
			await tab.dial('echo');
			await until('the far end to be called', () => invite);
			if (rings) {
				stack.echo.ring(invite);
				await tab.rings();
			}
			await tab.page.reload();
			await until('it to ring on', async () => /rings on/.test(await tab.line()));
			await stack.echo.pickUp(invite);
			await goesOn(library, 'caller', tab, stack.echo.last);
		});
	}

	test(`${library}: a called one`, async () => {
		const tab = await stack.signedIn(browser, library, { query: '?relay' });
		const calling = stack.echo.call('alice');
		await one(tab);
		await tab.page.reload();
		await one(tab);
		await tab.click('answer');
		await goesOn(library, 'callee', tab, await calling);
	});
}
