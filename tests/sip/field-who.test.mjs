// SPDX-License-Identifier: GPL-2.0-or-later
// Who From is, beside a token: the same address written in other ways (RFC 3261 section 19.1.4), and nobody's (RFC 3323).

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { Field, writes } from '../lib/field.mjs';
import { DOMAIN } from '../lib/sip.mjs';

let field;
before(async () => { field = await Field.start('field-who'); });
afterEach(() => field.end());
after(() => field.stack.stop());

const ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>';
const SAME = [
	`<sip:alice@${DOMAIN};transport=UDP>`, `<sip:alice@${DOMAIN.toUpperCase()}>`, `<sip:alice@${DOMAIN}:5060>`, `<sip:%61lice@${DOMAIN}>`,
	`"Alice" <SIP:alice@${DOMAIN};user=phone>`, ANONYMOUS,
];
const OTHERS = [
	`<sip:Alice@${DOMAIN}>`, `<sip:bob@${DOMAIN}>`, `<sip:alice@${DOMAIN}.evil.invalid>`, `<sip:alice@${DOMAIN}:5061>`, `<sip:alice%40${DOMAIN}@evil.invalid>`,
	'<sip:anonymous@evil.invalid>', `<sip:anonymous@${DOMAIN}>`, '<sip:bob@anonymous.invalid>', `<tel:alice>`, `<sip:bob%00alice@${DOMAIN}>`,
];

/** A client whose From is another one, in requests of these methods. */
async function named(from, methods = /^(?!REGISTER)/) {
	const client = await field.alice('ws');
	writes(client, (text) => (methods.test(text) && !/^SIP/.test(text) ? text.replace(/^From: [^;]*<[^>]*>/m, `From: ${from}`) : text));
	return client;
}

for (const from of SAME) {
	test(`${from} calls, is lost, and comes back`, async () => {
		const bob = await field.far();
		const one = await named(from);
		const first = await one.call();
		assert.equal(first.final.status, 200, first.final.start);
		assert.ok(first.state, 'a state');
		const { callId } = first;
		await bob.take('the ACK', (m) => m.method === 'ACK');
		assert.equal(/<([^>]*)>/.exec(bob.requests[0].get('from'))[1], /<([^>]*)>/.exec(from)[1]);
		one.close();
		const two = await named(from);
		const mine = await two.call({ state: first.state });
		assert.equal(mine.final.status, 200, mine.final.start);
		await field.goesOn(bob, { two, mine, theirs: bob.dialog(callId), callId, body: mine.final.body });
	});
}

for (const from of OTHERS) {
	test(`${from} may not call with the token of alice, nor come back into her call`, async () => {
		const bob = await field.far();
		const one = await field.alice('ws');
		const { state } = await one.call();
		const other = await named(from);
		for (const options of [{}, { state }]) {
			const { final } = await other.call(options);
			assert.ok([400, 403].includes(final.status), final.start);
		}
		assert.equal(bob.requests.filter((m) => m.method === 'INVITE').length, 1);
	});
}

test('nobody registers anonymously', async () => {
	const one = await named(ANONYMOUS, /^REGISTER/);
	assert.equal((await one.register()).status, 403);
});

test('a binding is that of the token: To of a REGISTER', async () => {
	const one = await field.alice('ws');
	for (const to of [`sip:bob@${DOMAIN}`, 'sip:anonymous@anonymous.invalid']) {
		assert.ok([400, 403].includes((await one.register({ to })).status), to);
	}
	assert.equal((await one.register({ to: `sip:alice@${DOMAIN.toUpperCase()};transport=udp` })).status, 200);
});
