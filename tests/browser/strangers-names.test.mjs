// SPDX-License-Identifier: GPL-2.0-or-later
// Names of a call that are shifted, so that they are another one's where they are written one behind the other, as both
// libraries do.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Client, message, random, replyTo, sdp } from '../lib/sip.mjs';
import { DOMAIN } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-strangers-names');

const tagOf = (address) => /;tag=([^;>]+)/.exec(address)[1];

for (const library of ['jssip', 'sipjs']) {
	for (const method of ['BYE', 'INVITE', 'ACK']) {
		test(`${library}: ${method} of a user who knows the names of somebody else's call, in a call of his own`, async (t) => {
			const call = await WebCall.up(stack, browser, { library });
			const { dialog } = call.far;
			const bob = await Client.open({
				user: 'bob', transport: 'ws', token: await stack.kamailio.token(`sip:bob@${DOMAIN}`, 'b'), to: { ip: stack.kamailio.ip, port: stack.kamailio.ws },
			});
			t.after(() => bob.close());
			const callId = dialog.callId.slice(0, 4);
			const refused = bob.outside('INVITE', `sip:alice@${DOMAIN}`, { callId }).catch(() => ({}));
			const ringing = await bob.take('ringing', (m) => m.status === 180 && m.callId === callId);
			// JsSIP finds them in either order.
			for (const [from, to] of [[0, 1], [1, 0]].map((order) => order.map((i) => [dialog.callId.slice(4) + tagOf(dialog.remote), tagOf(dialog.local)][i]))) {
				const cseq = 70000 + from.length;
				bob.send(message(`${method} ${ringing.contact} SIP/2.0`, [
					`Via: SIP/2.0/WS ${bob.host};branch=z9hG4bK${method}${cseq}`, 'Max-Forwards: 70', ...[...ringing.recordRoutes].reverse().map((r) => `Route: ${r}`),
					`From: <sip:bob@${DOMAIN}>;tag=${from}`, `To: <sip:alice@${DOMAIN}>;tag=${to}`, `Call-ID: ${callId}`, `CSeq: ${cseq} ${method}`, `Contact: <${bob.uri}>`,
				], method === 'INVITE' ? sdp('127.0.0.1', 4000) : ''));
				if (method !== 'ACK') await bob.take('an answer', (m) => m.status >= 200 && m.cseq === cseq);
			}
			assert.ok((await call.tab.states()).includes('up'), 'the call is up');
			await call.tab.click('hangup', 1);
			assert.ok((await refused).status >= 300);
			await call.tab.up();
			await call.talks();
			// What the far end itself sends is as it was, its CSeq too.
			assert.equal((await call.far.reinvite()).status, 200);
			await call.talks();
			await call.endsBy('far');
		});
	}

	test(`${library}: a far end answers another call than its own`, async (t) => {
		t.after(() => { stack.echo.answer = () => true; });
		const received = []; // with the branch of the first
		browser.context.on('page', (page) => page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => {
			if (/^SIP\/2.0 (180|486) shifted/.test(payload)) received.push(payload.slice(8, 11));
		})));
		const tab = await stack.signedIn(browser, library);
		const invites = [];
		stack.echo.answer = (m) => {
			if (m.method !== 'INVITE' || m.tag('to')) return true;
			if (!invites.some(({ callId }) => callId === m.callId)) invites.push(m);
			if (m === invites[0]) stack.echo.ring(m);
			return false;
		};
		for (const calls of [1, 2]) {
			await tab.dial('echo');
			await until(`${calls} calls`, () => invites.length === calls);
		}
		const [first, second] = invites;
		const branch = (m) => /;branch=([^;]+)/.exec(m.all('via').at(-1))[1];
		assert.notEqual(branch(first), branch(second));
		for (const status of [180, 486]) {
			second.answer(replyTo(second, status, 'shifted', {
				to: `${second.get('to')};tag=x`, fields: [...second.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <${stack.echo.uri}>`],
			}).replace(branch(second), branch(first)));
			// One behind another: what comes behind a final answer Kamailio does not pass on.
			await until(`the page to have the ${status}`, () => received.includes(String(status)));
		}
		stack.echo.answer = () => true;
		// The first one is answered by whom it is for.
		const far = await stack.echo.pickUp(first).then(() => stack.echo.last);
		await until('a call that is up', async () => (await tab.states()).includes('up'));
		await far.hears();
		await tab.click('hangup', 0);
		await tab.page.close();
	});

	test(`${library}: a call whose names would hide one, or itself, from who ends them all`, async () => {
		const tab = await stack.signedIn(browser, library);
		/** A call of the far end with these names. */
		const called = (callId, tag) => {
			const { send } = stack.echo;
			stack.echo.send = (text, ...more) => send.call(stack.echo, text.startsWith('INVITE')
				? text.replace(/^(From:.*;tag=)\w+/m, `$1${tag}`).replace(/^Call-ID: .*$/m, `Call-ID: ${callId}`) : text, ...more);
			return stack.echo.call('alice').finally(() => { stack.echo.send = send; });
		};
		await assert.rejects(called('__pro', 'to__'), /482 Loop/);
		const [callId, tag] = [random(8), random(8)];
		const calling = called(callId, tag);
		await tab.click('answer');
		const far = await calling;
		await tab.up();
		await far.hears();
		const shifted = (n) => [(callId + tag).slice(0, n), (callId + tag).slice(n)];
		for (const n of [10, 20]) await assert.rejects(called(...shifted(n)), /482 Loop/);
		// Of another name it rings.
		const [part, rest] = shifted(9);
		const other = called(part, `${rest}0`);
		await tab.click('answer', 1);
		await tab.up(2);
		await (await other).hangUp();
		await tab.up();
		assert.equal((await far.hangUp()).status, 200);
		await tab.up(0);
	});
}
