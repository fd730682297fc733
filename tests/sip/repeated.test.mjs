// SPDX-License-Identifier: GPL-2.0-or-later
// A far end sends its 200 again, because the first one or the ACK was lost (RFC 3261 section 13.3.1.4):
// the client gets the same again, with its state and the gateway's media. tm of Kamailio 6.1.4 and
// later would send it on without its transaction (docs/upstream.md).

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Client, FarEnd } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';

let stack, token, to;
let open = []; // sockets of the current test
const keep = (s) => (open.push(s), s);
before(async () => {
	stack = await Stack.start('repeated');
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
	to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
});
afterEach(async () => {
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

/** A far end that keeps its last 200 to an INVITE, to send it again. */
async function farEnd() {
	const far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to }));
	far.answer = (m) => {
		const { answer } = m;
		if (m.method === 'INVITE') m.answer = (text) => answer(far.last = text);
		return true;
	};
	return far;
}

/** Both 200s that alice gets to one INVITE. */
async function twice(far, options) {
	const alice = keep(await Client.open({ token, to }));
	const call = await alice.call({ ...options, acknowledge: false });
	assert.equal(call.final.status, 200);
	far.send(far.last);
	const again = await alice.take('the 200 once more', (m) => m.status === 200 && m.get('cseq') === call.final.get('cseq'));
	call.ack();
	return { call, again };
}

test('a 200 that comes again is sealed as the first one, and so is that of a resume', async () => {
	const far = await farEnd();
	let state;
	for (let life = 1; life <= 2; life++) {
		const { call, again } = await twice(far, { state });
		assert.match(call.state, /^ey/);
		assert.equal(again.get('call-state'), call.state);
		assert.equal(again.body.match(/m=audio \d+/)[0], call.final.body.match(/m=audio \d+/)[0], 'rtpengine, not the far end');
		assert.deepEqual(again.all('record-route'), call.final.all('record-route'));
		assert.equal(again.get('to'), call.final.get('to'));
		state = call.state;
		if (life === 2) assert.equal((await call.request('BYE')).status, 200);
	}
	await stack.noMedia();
});
