// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of a file share that play calls with SIPp: one stack, alice's token, and
// calls that are over after each test.

import { after, afterEach, before } from 'node:test';

import { Call } from './call.mjs';
import { DOMAIN, Stack } from './stack.mjs';

export let stack;
export let token;
const calls = [];

/** To be called once in a file. @param options  see Stack.start() */
export function callTests(name, options) {
	before(async () => {
		stack = await Stack.start(name, options);
		token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
	});
	afterEach(async () => {
		calls.splice(0).forEach((call) => call.close());
		await stack.hangUp();
	});
	after(() => stack?.stop());
}

/** A call of alice, unless the options say else, see Call. @param at  another stack */
export function newCall(name, { at = stack, ...options } = {}) {
	const call = new Call(at, name, { token, ...options });
	calls.push(call);
	return call;
}
