// SPDX-License-Identifier: GPL-2.0-or-later
// Strangers who scan, and what they can do to others by it: limits by address must not
// count what anybody can forge.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { Client, FarEnd } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';

const SUB = `sip:alice@${DOMAIN}`;
let open = [];
const keep = (x) => (open.push(x), x);
afterEach(() => open.splice(0).forEach((x) => x.close()));

const at = (stack, transport = 'udp') => ({ ip: stack.kamailio.ip, port: transport === 'ws' ? stack.kamailio.ws : stack.kamailio.port });
const client = async (stack, { transport = 'udp', ...options } = {}) => keep(await Client.open({ transport, to: at(stack, transport), ...options }));

describe('WITH_SLOW_DOWN', () => {
	const AFTER = 3;
	let stack, far, token;
	before(async () => {
		stack = await Stack.start('strangers-slow', {
			defines: { RESUME_ALLOW_INSECURE: 0, WITH_SLOW_DOWN: true, SLOW_DOWN_AFTER: AFTER, RESUME_TRUSTED_PROXY: '"127.0.0.1, 127.0.0.70"' },
		});
		token = await stack.kamailio.token(SUB, 's-1');
		far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: at(stack) });
	});
	after(async () => {
		far?.close();
		await stack?.stop();
	});

	const page = () => client(stack, { transport: 'ws', token });
	const forged = (state) => `${state.slice(0, -9)}AAAAAAAAA`;

	/** The true user's page calls, is lost, and comes back. */
	async function comesBack(meanwhile) {
		const one = await page();
		const { state } = await one.call();
		one.close();
		await meanwhile(state);
		const back = await (await page()).call({ state });
		assert.equal(back.final.status, 200, back.final.start);
		assert.equal((await back.request('BYE')).status, 200);
	}

	test('packets from a forged address keep nobody from resuming', () => comesBack(async () => {
		const forger = await client(stack, { token: 'x' });
		for (let i = 0; i < 2 * AFTER; i++) assert.equal((await forger.call({ state: 'x' })).final.status, 403);
	}));

	test('nor does a client without TLS, whose token is not taken', () => comesBack(async (state) => {
		const plain = await client(stack, { transport: 'tcp', token });
		for (let i = 0; i < 2 * AFTER; i++) assert.match((await plain.call({ state })).final.start, / 403 Secure Transport Required/);
	}));

	test('nor do others behind a web server that does not say for whom it asks', () => comesBack(async (state) => {
		const other = await page();
		for (let i = 0; i < 2 * AFTER; i++) assert.equal((await other.call({ state: forged(state) })).final.status, 403);
	}));
});
