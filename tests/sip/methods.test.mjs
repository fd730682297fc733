// SPDX-License-Identifier: GPL-2.0-or-later
// After a resume every method works in both directions: the far end goes on in
// the one dialog it knows, the client in the one it began with its resume.

import { test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { callTests, newCall, stack } from '../lib/calltests.mjs';
import { Part, exchange } from '../lib/talk.mjs';
import { bodiesArrive, hasTag, nothingLeft, requestsTo, seesOneDialog, seesOwnDialog } from '../lib/call.mjs';
import { Link, doubles, keeps, loses } from '../lib/link.mjs';
import { freePort } from '../lib/ports.mjs';
import { messagesOf } from '../lib/trace.mjs';

// cfg_rpc: to change timers while it runs
callTests('methods', { kamailio: { args: ['--loadmodule=cfg_rpc.so'] } });

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
		(role === 'caller' ? two : far).pauses(2000);
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

test('a new target of the far end: the resume from state and update goes there', async () => {
	const moved = (to) => `sip:${to}@[local_ip]:[local_port];transport=[transport]`;
	const far = new Part({ name: 'f' });
	const one = new Part();
	const two = new Part();
	exchange(far, one, 'INVITE', { ask: { contact: moved('bob-moved') } });
	far.answers('INVITE', { contact: moved('bob-moved') });
	exchange(two, far, 'INFO');
	exchange(far, two, 'UPDATE', { ask: { contact: moved('bob-moved-again') } });
	two.logs('refreshed').pauses(60);
	far.answers('INVITE', { contact: moved('bob-moved-again') });
	exchange(far, new Part(), 'BYE');

	const call = newCall('moved');
	await call.begin({ life: one, far });
	await call.lose();
	assert.match(call.newest(), /^[\w.-]+;update=[\w.-]+$/);
	await call.resume({ life: two });
	await call.client.waitLog('refreshed');
	await call.lose();
	assert.match(call.newest(), /^[\w.-]+;update=[\w.-]+$/);
	await call.resume({ life: new Part().answers('BYE') });
	await call.client.done();
	await call.far.done();
	seesOneDialog(call.far);
	assert.deepEqual(requestsTo(call.far, 'INVITE').map((m) => m.uri.split('@')[0]),
		['sip:bob', 'sip:bob-moved', 'sip:bob-moved-again']);
	checkStates(call);
	await stack.noMedia();
});

for (const role of ['caller', 'callee']) {
	test(`three resumes with requests in between, the client as ${role}`, async () => {
		const far = new Part({ name: 'f' });
		const lives = [1, 2, 3, 4].map(() => new Part());
		lives.forEach((life, i) => {
			if (i > 0) far.answers('INVITE');
			if (i === 0) life.cseq = role === 'caller' ? 3 : 1;
			exchange(life, far, 'INFO', { ask: { type: 'text/plain', body: `life ${i}` } });
			exchange(far, life, 'MESSAGE', { ask: { type: 'text/plain', body: `to life ${i}` } });
			exchange(life, far, 'UPDATE');
			exchange(far, life, 'INVITE');
			life.logs('talked');
		});
		lives[3].pauses(2000);
		exchange(lives[3], far, 'BYE');

		const call = newCall(`again-${role}`, { role });
		await call.begin({ life: lives[0], far });
		const callId = await stack.onlyCall();
		for (const life of lives.slice(1)) {
			await call.lose();
			await call.resume({ life });
			await stack.audio(callId, 3);
			await call.client.waitLog('talked');
		}
		await call.client.done();
		await call.far.done();
		const old = seesOneDialog(call.far);
		const names = new Set(call.lives.slice(1).map((life) => seesOwnDialog(life, old).callId));
		assert.equal(names.size, 3);
		checkStates(call);
		await stack.noMedia();
	});
}

test('both ends are clients, both resume, one of them again; then every method both ways', async () => {
	const carols = await stack.kamailio.token(`sip:carol@${DOMAIN}`, 'web-session-2');
	const alice = newCall('both-alice', { service: 'carol' });
	const carol = newCall('both-carol', { role: 'callee', token: carols, user: 'carol', service: 'alice' });
	const [a1, a2, c2, c3] = ['a', 'a', 'c', 'c'].map((name) => new Part({ name }));
	a1.answers('INVITE');
	c2.answers('INVITE').logs('again');
	a2.answers('INVITE');
	everyMethod(a2, c3);
	everyMethod(c3, a2);
	c3.logs('talked').pauses(2000);
	exchange(c3, a2, 'BYE');

	await carol.wait();
	await alice.live('in-call/client.xml', { steps: a1 });
	alice.speak(await alice.client.waitLog('answered'));
	carol.speak(await carol.client.waitLog('answered'));
	await carol.client.waitLog('ready');
	const callId = await stack.onlyCall();
	const names = alice.namesFrom(0);
	const old = { callId: names.callId, clientTag: names.tag };
	const olds = { callId: names.callId, clientTag: names.remote };
	assert.equal(callId, old.callId);

	await carol.lose();
	await carol.resume({ life: c2 });
	await alice.client.waitLog('ready');
	await alice.lose();
	await alice.resume({ life: a2 });
	await carol.client.waitLog('again');
	await carol.lose();
	await carol.resume({ life: c3 });
	await carol.client.waitLog('talked');
	await stack.audio(callId, 5);
	await carol.client.done();
	await alice.client.done();
	await stack.noMedia();

	seesOwnDialog(alice.client, old, { both: true });
	for (const life of carol.lives.slice(1)) seesOwnDialog(life, olds, { both: true });
	bodiesArrive(alice.client, carol.client, BODIES);
	bodiesArrive(carol.client, alice.client, BODIES);
	// Neither sees the new dialog of the other.
	const own = [alice.namesFrom(1), carol.namesFrom(2)];
	for (const [party, foreign] of [[alice, own[1]], [carol, own[0]]]) {
		for (const m of messagesOf(party.client).filter((x) => !x.sent)) {
			assert.ok(!m.text.includes(foreign.callId), m.first);
			assert.ok(!hasTag(m.text, foreign.tag), m.first);
		}
	}
	for (const { state } of [...alice.states(), ...carol.states()]) assert.equal(state.call_id, callId);
});

test('a reliable provisional response to the resume, to a re-INVITE of the client and to one of the far end', async () => {
	const far = new Part({ name: 'f' });
	const two = new Part({ cseq: 4 });
	far.answers('INVITE', { prack: true });
	exchange(two, far, 'INVITE', { prack: true });
	exchange(far, two, 'INVITE', { prack: true });
	exchange(two, far, 'BYE');

	const call = newCall('prack');
	await call.begin({ far });
	await call.lose();
	await call.resume({ resume: { prack: true }, life: two });
	await call.client.done();
	await call.far.done();
	const old = seesOneDialog(call.far);
	seesOwnDialog(call.client, old);
	const invites = requestsTo(call.far, 'INVITE').slice(1);
	const racks = requestsTo(call.far, 'PRACK').map((m) => m.header('RAck'));
	assert.deepEqual(racks, invites.map((m) => `776 ${m.cseq} INVITE`));
	const theirs = messagesOf(call.far).find((m) => m.sent && !m.status && m.method === 'INVITE');
	assert.deepEqual(requestsTo(call.client, 'PRACK').map((m) => m.header('RAck')), [`776 ${theirs.cseq} INVITE`]);
	await stack.noMedia();
});

for (const [name, path, atClient, atFar] of [
	['lost-near', 'loses the first of everything between client and gateway', loses, keeps],
	['lost-away', 'loses the first of everything between gateway and far end', keeps, loses],
	['doubled', 'doubles everything', doubles, doubles],
]) {
	test(`over UDP that ${path}, nothing happens twice`, async () => {
		// T1, for SIPp and Kamailio, and how long an exchange takes at most.
		const [t1, pause] = name === 'doubled' ? [500, 100] : [250, 1800];
		const farPort = await freePort(TRUNK_IP);
		await stack.kamailio.kamcmd('cfg.set_now_int', 'tm', 'retr_timer1', t1);
		const [near, away] = [
			await Link.start({ copies: atClient(), to: stack.gateway }),
			await Link.start({
				copies: atFar(), to: stack.gateway, ip: TRUNK_IP, port: stack.trunkPort, party: `${TRUNK_IP}:${farPort}`,
			}),
		];
		try {
			const contact = `sip:[user]@${away.address};transport=[transport]`;
			const far = new Part({ name: 'f', pause, acks: true });
			const two = new Part({ pause });
			far.answers('INVITE', { contact });
			for (const [from, to] of [[two, far], [far, two]]) {
				const ask = from === far ? { contact } : {};
				const answer = from === far ? {} : { contact };
				exchange(from, to, 'INFO', { ask: { type: 'text/plain', body: TRAP } });
				exchange(from, to, 'INVITE', { ask, answer });
				exchange(from, to, 'MESSAGE', { ask: { type: 'text/plain', body: TRAP } });
				exchange(from, to, 'INVITE', { code: 488, ask, answer });
			}
			exchange(two, far, 'BYE');
			// The party that answered last waits for its answer to arrive.
			far.pauses(pause);

			const call = newCall(name);
			const how = { retrans_ms: t1 };
			// Nobody is there: what reaches the client came along the link, as through a NAT.
			const behind = { ...how, contact: '10.9.8.7:5060' };
			await call.begin({
				life: new Part().pauses(pause), far, options: { to: near.address, fill: behind },
				farOptions: { port: farPort, fill: { ...how, contact: away.address } },
			});
			await call.lose();
			await call.resume({ life: two, options: { to: near.address, fill: behind } });
			await call.client.done();
			await call.far.done();
			const old = seesOneDialog(call.far, { lossy: true });
			seesOwnDialog(call.client, old);
			assert.deepEqual(requestsTo(call.client).filter((m) => m.method !== 'ACK').map((m) => m.method),
				['INFO', 'INVITE', 'MESSAGE', 'INVITE']);
			assert.deepEqual(requestsTo(call.far).filter((m) => m.method !== 'ACK').map((m) => m.method),
				['INVITE', 'INVITE', 'INFO', 'INVITE', 'MESSAGE', 'INVITE', 'BYE']);
			await stack.noMedia();
		} finally {
			near.close();
			away.close();
			await stack.kamailio.kamcmd('cfg.set_now_int', 'tm', 'retr_timer1', 500);
		}
	});
}

for (const role of ['caller', 'callee']) {
	test(`the scenarios as they are, by hand, the client as ${role}`, async () => {
		const call = newCall(`hand-${role}`, { role });
		await call.begin();
		await call.lose();
		await call.resume({ life: null });
		await call.client.done();
		await call.far.done();
		seesOwnDialog(call.client, seesOneDialog(call.far));
		assert.deepEqual(requestsTo(call.far).slice(role === 'caller' ? 2 : 0).map((m) => m.method),
			['INVITE', 'ACK', 'OPTIONS', 'INFO', 'MESSAGE', 'UPDATE', 'BYE']);
	});
}

test('no transaction is left, no map was refused', () => nothingLeft(stack));
