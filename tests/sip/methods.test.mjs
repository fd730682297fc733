// SPDX-License-Identifier: GPL-2.0-or-later
// After a resume every method works in both directions: the far end goes on in
// the one dialog it knows, the client in the one it began with its resume.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack } from '../lib/stack.mjs';
import { Part, exchange } from '../lib/talk.mjs';
import { Call, bodiesArrive, requestsTo, seesOneDialog, seesOwnDialog } from '../lib/call.mjs';
import { messagesOf } from '../lib/trace.mjs';

let stack, token;
let calls = [];
before(async () => {
	stack = await Stack.start('methods');
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
});
afterEach(async () => {
	calls.splice(0).forEach((call) => call.close());
	await stack.hangUp();
});
after(() => stack?.stop());

function newCall(name, options = {}) {
	const call = new Call(stack, name, { token, ...options });
	calls.push(call);
	return call;
}

// What would mislead an edge that looked into bodies.
const TRAP = 'hello\nCall-ID: someone@else\nCSeq: 1 BYE\nTo: <sip:x>;tag=t.crm1.abc\nVia: SIP/2.0/UDP y;crm1=abc';
const BODIES = ['INFO', 'MESSAGE', 'NOTIFY'];

/** Each method once, from one side to the other. */
function everyMethod(from, to) {
	exchange(from, to, 'OPTIONS', { ask: { headers: ['Accept: application/sdp'] } });
	exchange(from, to, 'INFO', { ask: { type: 'application/dtmf-relay', body: 'Signal=5\nDuration=160' } });
	exchange(from, to, 'UPDATE');
	exchange(from, to, 'MESSAGE', {
		ask: { type: 'text/plain', body: TRAP }, answer: { type: 'text/plain', body: TRAP },
	});
	exchange(from, to, 'INVITE', { direction: 'sendonly' });
	exchange(from, to, 'INVITE', { direction: 'sendrecv' });
	exchange(from, to, 'REFER', { code: 202, ask: { headers: [`Refer-To: <sip:carol@${DOMAIN}>`] } });
	exchange(to, from, 'NOTIFY', {
		ask: {
			headers: ['Event: refer', 'Subscription-State: terminated'],
			type: 'message/sipfrag', body: 'SIP/2.0 200 OK\nCall-ID: inside@a.fragment',
		},
	});
}

/** The far end holds what the client offers; the client may resume from here at any time. */
function checkStates(call, { from = 0 } = {}) {
	const { callId, clientTag, farTag } = call.dialog();
	const far = messagesOf(call.far);
	for (const { message: m, update, state } of call.states().slice(from)) {
		assert.equal(state.call_id, callId);
		assert.equal(state.role, call.role);
		if (update) {
			assert.equal(m.status, 0);
			assert.ok(['INVITE', 'UPDATE'].includes(m.method), m.method);
			assert.equal(state.target, m.contact);
			continue;
		}
		assert.equal(state.remote_tag, farTag);
		if (!m.status) continue; // the callee's first
		assert.equal(state.local_tag, clientTag);
		// The number that the far end knows, of a request of that method.
		assert.ok(far.some((x) => !x.sent && x.status === 0 && x.method === m.method && x.cseq === state.cseq),
			`${m.method} ${state.cseq} at the far end`);
		const contacts = far.filter((x) => x.sent && x.contact && ['INVITE', 'UPDATE'].includes(x.method));
		assert.ok(contacts.some((x) => x.contact === state.target), state.target);
	}
}

for (const role of ['caller', 'callee']) {
	test(`every method both ways, the client as ${role}`, async () => {
		const far = new Part({ name: 'f' });
		const two = new Part();
		far.answers('INVITE', { ring: true });
		everyMethod(two, far);
		everyMethod(far, two);
		two.logs('talked');
		(role === 'caller' ? two : far).pauses(500);
		if (role === 'caller') exchange(two, far, 'BYE');
		else exchange(far, two, 'BYE');

		const call = newCall(role, { role });
		await call.begin({ far });
		await call.lose();
		await call.resume({ life: two });
		const callId = await stack.onlyCall();
		await call.client.waitLog('talked');
		await stack.audio(callId, 5);
		await call.client.done();
		await call.far.done();
		await stack.noMedia();

		const old = seesOneDialog(call.far);
		seesOwnDialog(call.client, old);
		bodiesArrive(call.client, call.far, BODIES);
		bodiesArrive(call.far, call.client, BODIES);
		const holds = requestsTo(call.far, 'INVITE').slice(-2).map((m) => /a=(send\w+)/.exec(m.body)[1]);
		assert.deepEqual(holds, ['sendonly', 'sendrecv']);

		// A fresh state in each 2xx to the client, an update in each target refresh.
		for (const m of messagesOf(call.client).filter((x) => !x.sent)) {
			const what = `${m.first} ${m.method}`;
			const refresh = !m.status && ['INVITE', 'UPDATE'].includes(m.method);
			const fresh = m.status >= 200 && m.status < 300 && !['REGISTER', 'BYE'].includes(m.method);
			assert.equal(m.callState !== undefined, refresh || fresh, what);
			if (m.callState) assert.equal(/;update$/.test(m.callState), refresh, what);
		}
		checkStates(call);
	});
}
