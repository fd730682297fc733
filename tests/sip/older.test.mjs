// SPDX-License-Identifier: GPL-2.0-or-later
// Two states of one call, and the older one is used after the newer one: what the
// far end makes of it, and what a gateway does that remembers.

import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Client, FarEnd } from '../lib/sip.mjs';
import { sleep } from '../lib/wait.mjs';

const open = [];
afterEach(async () => {
	for (const end of open.splice(0).reverse()) await end();
});

/** A far end that answers 500 to a CSeq that is not higher than the last (RFC 3261 section 12.2.2). */
async function strict(stack, to) {
	const far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
	const last = new Map();
	far.cseqs = [];
	far.answer = (m) => {
		if (m.method !== 'INVITE') return true;
		far.cseqs.push(m.cseq);
		if (m.cseq <= (last.get(m.callId) ?? 0)) return far.reply(m, 500, 'Server Internal Error'), false;
		last.set(m.callId, m.cseq);
		return true;
	};
	return far;
}

async function twoStates(name, defines) {
	const stack = await Stack.start(name, { defines });
	open.push(() => stack.stop());
	const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const far = await strict(stack, to);
	open.push(() => far.close());
	const token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 's-1');
	const resume = async (state) => {
		const alice = await Client.open({ token, to });
		open.push(() => alice.close());
		return alice.call({ state });
	};
	const first = await resume();
	await sleep(1100);
	const second = await resume(first.state);
	assert.equal(second.final.status, 200);
	await sleep(1100);
	const third = await resume(second.state);
	assert.equal(third.final.status, 200);
	return { stack, far, resume, states: [first.state, second.state, third.state], last: third };
}

test('without memory: the far end refuses the older one for its CSeq; the call stays with the newer', async () => {
	const { far, resume, states, last } = await twoStates('older');
	const back = await resume(states[0]);
	assert.equal(back.final.status, 500);
	assert.ok(far.cseqs.at(-1) < far.cseqs.at(-2), `${far.cseqs}`);
	// Each resume is 1000 ahead, and one for every 64 ms: so much later the older one is ahead again.
	const jump = far.cseqs[2] - far.cseqs[3];
	assert.ok(jump > 900 && jump <= 1001, `${jump} times 64 ms is what it takes`);
	assert.equal((await last.request('OPTIONS')).status, 200);
	assert.equal((await last.request('BYE')).status, 200);
});

test('WITH_NEWEST_STATE: 410, the far end hears nothing; the newest goes on, also the same one twice', async () => {
	const { far, resume, states, last } = await twoStates('older-newest', { WITH_NEWEST_STATE: true });
	const heard = far.cseqs.length;
	for (const state of states.slice(0, 1)) {
		const { final } = await resume(state);
		assert.equal(final.start, 'SIP/2.0 410 Call-State is not the newest');
		assert.equal(final.get('call-state'), undefined);
	}
	assert.equal(far.cseqs.length, heard);
	assert.equal((await last.request('OPTIONS')).status, 200);
	const again = await resume(states[2]);
	assert.equal(again.final.status, 200);
	assert.equal((await again.request('BYE')).status, 200);
});
