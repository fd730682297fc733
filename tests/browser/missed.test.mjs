// SPDX-License-Identifier: GPL-2.0-or-later
// Who calls and hangs up before the answer, again and again, does not hide the calls of others.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Client, message, random, sdp } from '../lib/sip.mjs';
import { DOMAIN } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-missed');

const URI = `sip:alice@${DOMAIN}`;

async function alice() {
	const { page } = await browser.open('about:blank');
	await page.goto(stack.web.url);
	await page.locator('#sign-in:visible').waitFor();
	await page.fill('#user', 'alice');
	await page.fill('#password', stack.passwords.alice);
	await page.click('#sign-in button');
	await page.locator('#status[data-is=on]').waitFor();
	return page;
}

/** It rings; ends when it is canceled. @returns what does that */
async function rings(caller, number) {
	const base = [`From: <sip:${number}@${DOMAIN}>;tag=${random(4)}`, `To: <${URI}>`, `Call-ID: ${random()}`, 'Max-Forwards: 70'];
	const via = `Via: SIP/2.0/${caller.transport.toUpperCase()} ${caller.host};branch=z9hG4bK${random()}`;
	const mine = (m) => via.endsWith(/branch=[^;]*/.exec(m.get('via'))?.[0]) && m.method === 'INVITE';
	caller.send(message(`INVITE ${URI} SIP/2.0`, [via, ...base, 'CSeq: 1 INVITE', `Contact: <${caller.uri}>`, caller.token ? `Authorization: Bearer ${caller.token}` : ''],
		sdp(caller.ip, 4000)));
	const ringing = await caller.take('the 180', (m) => mine(m) && m.status >= 180);
	assert.equal(ringing.status, 180);
	return async () => {
		caller.send(message(`CANCEL ${URI} SIP/2.0`, [via, ...base, 'CSeq: 1 CANCEL']));
		const final = await caller.take('the end', (m) => mine(m) && m.status >= 200);
		caller.send(message(`ACK ${URI} SIP/2.0`, [via, ...base.filter((line) => !line.startsWith('To')), `To: ${final.get('to')}`, 'CSeq: 1 ACK']));
	};
}

test('who calls in vain has one card, strangers have few, and a call that rings is the first one', async () => {
	const page = await alice();
	const kamailio = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const { ip, port } = stack.web;
	const bob = await Client.open({
		user: 'bob', transport: 'wss', to: { ip, port, path: '/ws', host: new URL(stack.web.url).host, origin: stack.web.url }, token: await stack.kamailio.token(`sip:bob@${DOMAIN}`, 's-bob'),
	});
	const trunk = await Client.open({ ip: '127.0.0.2', user: 'trunk', to: kamailio });
	const cards = () => page.locator('.call').count();
	const numbers = async () => (await page.locator('.call .name').allTextContents()).map((name) => name.trim());
	const missed = (name) => until(`a missed call of ${name}`, async () => (await numbers()).includes(name) && await page.locator('.call[data-state=incoming]').count() === 0);
	for (let i = 0; i < 5; i++) {
		await (await rings(bob, 'bob'))();
		await missed('bob');
		assert.equal(await cards(), 1);
	}
	for (const number of ['201', '202', '203', '204']) {
		await (await rings(trunk, number))();
		await missed(number);
	}
	assert.deepEqual(await numbers(), ['202', '203', '204']);
	// The others are not lost.
	assert.match(await page.locator('#recent').textContent(), /201/);

	const end = await rings(bob, 'bob');
	await page.locator('.call[data-state=incoming]').waitFor();
	assert.deepEqual(await numbers(), ['bob', '202', '203', '204']);
	const button = await page.locator('.call[data-state=incoming] [data-do=answer]').boundingBox();
	assert.ok(button.y + button.height < page.viewportSize().height, 'its button is in sight');
	await end();
	await missed('bob');
	assert.deepEqual(await numbers(), ['203', '204', 'bob']);
	for (const client of [bob, trunk]) client.close();
});
