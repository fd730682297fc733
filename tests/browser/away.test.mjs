// SPDX-License-Identifier: GPL-2.0-or-later
// What happens to a call while its page is away.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { replyTo } from '../lib/sip.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

const TOKEN_S = 5;

webTests('browser-away', { defines: { RESUME_TOKEN_LIFETIME: TOKEN_S, RESUME_CLOCK_SKEW: 0 } });

let call;
let page;

const leave = () => page.goto('about:blank');
const comeBack = () => page.goto(stack.page(call.library));

/** The web session that the portal knows this browser by, from a token. */
const sid = () => page.evaluate(async () => {
	const { token } = await (await fetch('/session', { method: 'POST', headers: { 'Content-Type': 'application/json' } })).json();
	return JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))).sid;
});

for (const library of ['jssip', 'sipjs']) {
	for (const role of ['caller', 'callee']) {
		const up = async () => {
			call = await WebCall.up(stack, browser, { library, role });
			page = call.tab.page;
		};

		test(`${library}, ${role}: the far end hangs up`, async () => {
			await up();
			await leave();
			const started = performance.now();
			assert.equal((await call.far.hangUp()).status, 200);
			assert.ok(performance.now() - started < 10_000, 'it does not wait for a timer of the transaction');
			await stack.noMedia();
			await comeBack();
			await until('the page to say so', async () => await call.tab.line() === 'The call ended while you were away.');
			await call.gone();
		});

		for (const [what, direction] of [['holds the call', 'sendonly'], ['sends a re-INVITE', 'sendrecv']]) {
			test(`${library}, ${role}: the far end ${what}`, async () => {
				await up();
				await leave();
				const refused = await call.far.reinvite(direction);
				assert.equal(refused.status, 491, refused.start);
				call.far.direction = 'sendrecv'; // what was refused does not hold (RFC 3261 section 14.1)
				await comeBack();
				await call.back();
				// It tries again, as it was told.
				assert.equal((await call.far.reinvite(direction)).status, 200);
				if (direction === 'sendonly') assert.equal((await call.far.reinvite('sendrecv')).status, 200);
				await call.talks();
				await call.endsBy('far');
			});
		}

		test(`${library}, ${role}: the token expires, the portal renews it for the same web session`, async () => {
			await up();
			const before = await sid();
			await leave();
			await sleep(TOKEN_S * 1000 + 500); // The time is what is tested.
			await comeBack();
			await call.back();
			assert.equal(await sid(), before);
			await call.endsBy('page');
		});
	}

	test(`${library}: the far end refuses once, with what the library takes for a state`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		let refused = 0;
		stack.echo.answer = (m) => {
			if (m.method !== 'INVITE' || !m.tag('to') || refused++) return true;
			m.answer(replyTo(m, 500, 'Later', { fields: ['Call_State: planted', 'Retry_After: 50'] }));
			return false;
		};
		await call.tab.page.reload();
		await call.back({ lives: 2 });
		stack.echo.answer = () => true;
		await call.endsBy('page');
	});

	test(`${library}: the token expires while the page stays, and its WebSocket is lost`, async () => {
		call = await WebCall.up(stack, browser, { library });
		await sleep(TOKEN_S * 1000 + 500); // The time is what is tested.
		await stack.web.stop();
		await stack.web.boot();
		await until('the page to be back', () => call.far.reinvites === 1, { timeout_ms: 40000 });
		await call.talks();
		await call.endsBy('far');
	});
}
