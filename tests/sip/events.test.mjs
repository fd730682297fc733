// SPDX-License-Identifier: GPL-2.0-or-later
// What becomes of a call that lost its client: one event route, one line and one
// count each. And an event route that lets forgers wait.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';

import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { Client, FarEnd, replyTo } from '../lib/sip.mjs';
import { variant } from '../lib/variant.mjs';
import { sleep, until } from '../lib/wait.mjs';

const SUB = `sip:alice@${DOMAIN}`;
const SID = 's-1';
const NAMES = ['code', 'reason', 'sub', 'sid', 'id', 'call_id', 'role', 'local_uri', 'remote_uri', 'away', 'start', 'token'];

let stack, to, far, token;
before(async () => {
	const dir = runFolder('events');
	const file = `${dir}.cfg`;
	fs.renameSync(variant(dir, 'gateway', 'SCREEN', ''), file);
	process.once('exit', () => fs.rmSync(file, { force: true }));
	for (const kind of ['resumed', 'refused', 'ended-while-away']) {
		fs.appendFileSync(file, `event_route[call-resume:${kind}] { xlog("L_NOTICE", "EVENT ${kind}|si=$si|ci=$ci|${
			NAMES.map((n) => `${n}=$resume(${n})`).join('|')}|\\n"); exit; }\n`);
	}
	stack = await Stack.start('events', { dir, kamailio: { cfg: file }, defines: { RESUME_STATE_LIFETIME: 4, FR_TIMER: 1500, AWAY_TIMER: 1000 } });
	to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
	token = await stack.kamailio.token(SUB, SID);
});
after(async () => {
	far?.close();
	await stack?.stop();
});

const count = async (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(await stack.kamailio.kamcmd('call_resume.stats'))[1]);
const client = (options) => Client.open({ token, to, ...options });

/** Run; resolves with the events that came of it: [{kind, si, ci, code, ...}], and the module's own lines. */
async function watch(run, wanted = 1) {
	const at = stack.kamailio.log().length;
	await run();
	const events = () => [...stack.kamailio.log().slice(at).matchAll(/EVENT ([\w-]+)\|(.*)\|/g)].map((m) => ({
		kind: m[1], ...Object.fromEntries(m[2].split('|').map((p) => p.split(/=(.*)/s).slice(0, 2))),
	}));
	await until(`${wanted} events`, () => events().length >= wanted);
	return { events: events(), lines: stack.kamailio.log().slice(at).split('\n').filter((l) => /call_resume \[|: call /.test(l)).join('\n') };
}

async function lost() {
	const one = await client();
	const call = await one.call();
	assert.equal(call.final.status, 200);
	one.close();
	return call;
}

test('resumed: a user with letters of its own keeps them', async () => {
	const sub = `sip:jürgen@${DOMAIN}`;
	const own = await stack.kamailio.token(sub, 's-2');
	const user = Buffer.from('jürgen').toString('latin1'); // as our SIP client sends its bytes
	const one = await client({ user, token: own });
	const call = await one.call();
	assert.equal(call.final.status, 200);
	one.close();
	const two = await client({ user, token: own });
	let back;
	const { events: [e] } = await watch(async () => { back = await two.call({ state: call.state }); });
	assert.deepEqual([e.kind, e.sub, e.local_uri], ['resumed', sub, sub]);
	assert.equal((await back.request('BYE')).status, 200);
	two.close();
});

test('resumed: when the far end has taken it', async () => {
	const before = { answered: await count('resumes_answered'), away: await count('away_seconds') };
	const call = await lost();
	await sleep(1100);
	let back;
	const two = await client();
	const { events, lines } = await watch(async () => { back = await two.call({ state: call.state }); });
	assert.equal(events.length, 1);
	const [e] = events;
	assert.equal(e.kind, 'resumed');
	assert.deepEqual([e.code, e.reason, e.sub, e.sid, e.call_id, e.role], ['200', 'OK', SUB, SID, call.callId, 'caller']);
	assert.deepEqual([e.local_uri, e.remote_uri, e.token], [SUB, `sip:bob@${DOMAIN}`, '<null>']);
	assert.match(e.id, /^\w{32}$/);
	assert.ok(Number(e.away) >= 1 && Number(e.away) < 4, e.away);
	assert.ok(Math.abs(e.start - Date.now() / 1000) < 10);
	assert.match(lines, new RegExp(`call ${e.id}: resumed by ${SUB}, away for ${e.away} s, session ${SID}, Call-ID ${call.callId}, at the client ${back.callId}`));
	assert.equal(await count('resumes_answered'), before.answered + 1);
	assert.equal(await count('away_seconds'), before.away + Number(e.away));
	assert.equal((await back.request('BYE')).status, 200);
	two.close();
});

test('refused: a forged state, an expired one, a token that is none; with the request at hand', async () => {
	const call = await lost();
	const two = await client();
	const forged = await watch(() => two.call({ state: `${call.state.slice(0, -9)}AAAAAAAAA` }));
	assert.equal(forged.events.length, 1);
	assert.equal(forged.events[0].kind, 'refused');
	assert.deepEqual([forged.events[0].code, forged.events[0].si, forged.events[0].sub, forged.events[0].id], ['403', '127.0.0.1', SUB, '<null>']);
	assert.match(forged.lines, new RegExp(`call -: resume by ${SUB} refused, 403 Call-State is not of this session, from 127.0.0.1`));

	const stranger = await Client.open({ token: 'abc', to });
	const none = await watch(() => stranger.call({ state: call.state }));
	assert.deepEqual([none.events[0].code, none.events[0].reason, none.events[0].sub], ['401', 'token malformed', '<null>']);
	stranger.close();

	// Not a resume, no event.
	const at = stack.kamailio.log().length;
	const nobody = await Client.open({ token: 'abc', to });
	assert.equal((await nobody.call()).final.status, 401);
	nobody.close();
	assert.deepEqual(stack.kamailio.logged(/EVENT/, at), []);

	await until('the state to expire', async () => {
		const { events } = await watch(() => two.call({ state: call.state, acknowledge: true }));
		return events[0].code === '410' && (assert.match(events[0].id, /^\w{32}$/), true);
	}, { every_ms: 500 });
	two.close();
});

test('refused by the far end; 481 means that the call has ended as well', async () => {
	const before = { failed: await count('resumes_failed'), late: await count('resumes_late'), ended: await count('ended_away') };
	const call = await lost();
	const two = await client();
	// The 481 is put into other words by away.cfg, and so Kamailio's own.
	for (const [status, reason, kinds] of [[488, 'Not Here', ['refused']], [481, '<null>', ['refused', 'ended-while-away']]]) {
		far.answer = (m) => m.method === 'INVITE' && (far.reply(m, status, reason), false);
		const { events, lines } = await watch(() => two.call({ state: call.state }), kinds.length);
		far.answer = () => true;
		assert.deepEqual(events.map((e) => e.kind), kinds);
		assert.deepEqual([events[0].code, events[0].reason, events[0].call_id], [String(status), reason, call.callId]);
		assert.match(lines, new RegExp(`call ${events[0].id}: resume by ${SUB} refused, ${status}${status === 488 ? ' Not Here' : ''}`));
	}
	assert.equal(await count('resumes_failed'), before.failed + 2);
	assert.equal(await count('resumes_late'), before.late + 1);
	assert.equal(await count('ended_away'), before.ended);
	two.close();
});

test('refused by silence: 481, and the call has ended', async () => {
	const call = await lost();
	const two = await client();
	far.answer = () => false;
	const { events } = await watch(() => two.call({ state: call.state }), 2);
	far.answer = () => true;
	assert.deepEqual(events.map((e) => [e.kind, e.code]), [['refused', '481'], ['ended-while-away', '481']]);
	two.close();
});

for (const resumed of [false, true]) {
	test(`the far end hangs up while the client is away${resumed ? ', after a resume' : ''}: ended-while-away`, async () => {
		const before = await count('ended_away');
		let call = await lost();
		let id;
		const { callId } = call;
		if (resumed) {
			const two = await client();
			const { events } = await watch(async () => { call = await two.call({ state: call.state }); });
			({ id } = events[0]);
			two.close();
		}
		const { events, lines } = await watch(async () => {
			assert.equal((await far.dialog(callId).request('BYE', { timeout_ms: 20000 })).status, 200);
		});
		assert.equal(events.length, 1);
		const [e] = events;
		assert.deepEqual([e.kind, e.code, e.sub, e.sid, e.call_id, e.role, e.away, e.ci],
			['ended-while-away', '<null>', SUB, SID, callId, 'caller', '<null>', callId]);
		assert.deepEqual([e.local_uri, e.remote_uri], [SUB, `sip:bob@${DOMAIN}`]);
		assert.match(e.id, /^\w{32}$/);
		if (id) assert.equal(e.id, id, 'the identifier of the whole call');
		assert.match(lines, new RegExp(`call ${e.id}: ended while ${SUB} was away`));
		assert.equal(await count('ended_away'), before + 1);
	});
}

test('the far end hangs up while the client is away, who then comes back: one call has ended', async () => {
	const before = { late: await count('resumes_late'), ended: await count('ended_away') };
	const call = await lost();
	await watch(async () => { assert.equal((await far.dialog(call.callId).request('BYE', { timeout_ms: 20000 })).status, 200); });
	assert.equal(await count('ended_away'), before.ended + 1);
	far.answer = (m) => m.method === 'INVITE' && (far.reply(m, 481, 'Call/Transaction Does Not Exist'), false);
	const two = await client();
	// Who was to be told was told when the BYE came.
	const { events } = await watch(async () => { assert.equal((await two.call({ state: call.state })).final.status, 481); }, 0);
	assert.deepEqual(events, []);
	far.answer = () => true;
	two.close();
	assert.equal(await count('ended_away'), before.ended + 1);
	assert.equal(await count('resumes_late'), before.late + 1);
});

test('WITH_SLOW_DOWN: who forges states waits; calls and registrations go on', async () => {
	const slow = await Stack.start('events-slow', { defines: { WITH_SLOW_DOWN: true, SLOW_DOWN_AFTER: 3, SLOW_DOWN_TABLE: '"forged=>size=10;autoexpire=2;initval=0;"' } });
	const where = { ip: slow.kamailio.ip, port: slow.kamailio.port };
	const bob = await FarEnd.open({ ip: TRUNK_IP, port: slow.trunkPort, to: where });
	try {
		// Over UDP nobody would be counted, see strangers-scan.
		const alice = await Client.open({ token: await slow.kamailio.token(SUB, SID), to: where, transport: 'tcp' });
		const { state } = await alice.call();
		for (let i = 0; i < 3; i++) assert.equal((await alice.call({ state: `${state.slice(0, -9)}AAAAAAAAA` })).final.status, 403);
		const { final } = await alice.call({ state });
		assert.equal(final.status, 503);
		assert.equal(final.get('retry-after'), '60');
		assert.equal((await alice.register()).status, 200);
		assert.equal((await alice.call()).final.status, 200);
		await until('the wait to be over', async () => (await alice.call({ state })).final.status === 200, { every_ms: 1000, timeout_ms: 30000 });
		alice.close();
	} finally {
		bob.close();
		await slow.stop();
	}
});
