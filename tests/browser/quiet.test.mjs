// SPDX-License-Identifier: GPL-2.0-or-later

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-quiet', { defines: { RESUME_QUIET: 1, RESUME_BIND_FINGERPRINT: 1 } });

beforeEach(() => { stack.echo.allow = 'INVITE, ACK, BYE, CANCEL, UPDATE'; });

const methods = (call) => [...new Set(call.far.requests.map((m) => m.method))].filter((m) => m !== 'ACK');

/** The page has its call again, with media; the far end got one more UPDATE. */
async function back(call, updates, how) {
	await call.tab.up();
	await until('the UPDATE', () => call.far.requests.filter((m) => m.method === 'UPDATE').length === updates);
	await call.talks(how);
	assert.match(await call.tab.line(), /^Resumed, away for \d+ ms/);
	assert.deepEqual(methods(call), ['UPDATE']);
}

for (const [library, role, by] of [['jssip', 'caller', 'far'], ['sipjs', 'caller', 'page'], ['jssip', 'callee', 'page'], ['sipjs', 'callee', 'far']]) {
	test(`${library}, ${role}: two reloads, then ${by === 'far' ? 'the far end' : 'the page'} hangs up`, async () => {
		const call = await WebCall.up(stack, browser, { library, role });
		for (const updates of [1, 2]) {
			await call.tab.page.reload();
			await back(call, updates);
		}
		await call.endsBy(by);
	});
}

test('jssip: with audio and video', async () => {
	const kinds = ['audio', 'video'];
	const call = await WebCall.up(stack, browser, { library: 'jssip', query: '?video', kinds });
	await call.tab.page.reload();
	await back(call, 1, { kinds });
	await call.endsBy('far');
});

test('sipjs: held by the page', async () => {
	const call = await WebCall.up(stack, browser, { library: 'sipjs' });
	await call.tab.click('hold');
	await call.far.hearsSilence();
	const invites = call.far.reinvites;
	await call.tab.page.reload();
	await call.tab.up(1, 'held');
	await until('the UPDATE', () => call.far.requests.some((m) => m.method === 'UPDATE'));
	assert.equal(call.far.reinvites, invites);
	await call.tab.click('hold');
	await call.tab.up();
	await call.talks();
	await call.endsBy('page');
});
