// SPDX-License-Identifier: GPL-2.0-or-later
// A gateway is upgraded, and gone back with, while there are calls: what clients and far
// ends hold of the version before (tokens, states, maps, references) goes on being good.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { randomBytes } from 'node:crypto';

import { frozenNode } from '../lib/frozen.mjs';
import { MODULE, ROOT } from '../lib/kamailio.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { FarEnd, sdp } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';

const USER = `sip:alice@${DOMAIN}`;
const SID = 'web-session-1';

let stack, bob, token;
const nodes = { new: { module: MODULE, cfg: path.join(ROOT, 'cfg/kamailio.cfg') } };
let open = []; // sockets of the current test
const keep = (s) => (open.push(s), s);
const gateway = () => ({ ip: stack.kamailio.ip, port: stack.kamailio.port });

before(async () => {
	nodes.old = frozenNode(1);
	stack = await Stack.start('upgrade', { defines: { RESUME_BIND_FINGERPRINT: 1 } });
});
afterEach(async () => {
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

/** From now on it is that version, with the same key ring. */
async function run(version) {
	await stack.kamailio.stop();
	stack.kamailio.cfg = nodes[version].cfg;
	stack.kamailio.defines.RESUME_MODULE = `"${nodes[version].module}"`;
	await stack.kamailio.boot();
}

/** The far end, with a token for alice of the version that runs. */
async function begin(version) {
	await run(version);
	token = await stack.kamailio.token(USER, SID);
	const echo = keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
	bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, media: echo.port, to: gateway() }));
}

/** One life of alice, with audio, who takes what comes. */
async function life() {
	const audio = keep(await Rtp.open());
	return Object.assign(keep(await FarEnd.open({ user: 'alice', token, media: audio.port, to: gateway() })), { audio });
}

function gone(alice) {
	alice.close();
	alice.audio.close();
}

/** alice calls, or is called; the life, its dialog and what she would keep. */
async function call(role) {
	const alice = await life();
	if (role === 'caller') {
		const dialog = await alice.call();
		assert.equal(dialog.final.status, 200);
		return { alice, dialog, callId: dialog.callId, state: dialog.state };
	}
	assert.equal((await alice.register()).status, 200);
	const far = await bob.call({ service: 'alice' });
	assert.equal(far.final.status, 200);
	const invite = await alice.take('the INVITE', (m) => m.method === 'INVITE' && !m.status);
	const dialog = alice.dialog(invite.callId);
	return { alice, dialog, callId: far.callId, state: `${invite.get('call-state')};tag=${dialog.local.split(';tag=')[1]}` };
}

async function resume({ alice: before, callId, state }, options = {}) {
	gone(before);
	const alice = await life();
	const dialog = await alice.call({ state, ...options });
	assert.equal(dialog.final.status, 200, dialog.final.start);
	assert.notEqual(dialog.callId, callId);
	assert.ok(!dialog.final.text.includes(callId), 'alice does not see the old Call-ID');
	assert.ok(dialog.state, 'with a fresh state');
	return { alice, dialog, callId, state: dialog.state };
}

const isRequest = (method, callId) => (m) => m.method === method && !m.status && m.callId === callId;

/** Both hold the call and take it back; resolves with the update that alice got meanwhile. */
async function hold({ alice, dialog, callId }) {
	const far = bob.dialog(callId);
	let update;
	for (const direction of ['sendonly', 'sendrecv']) {
		const body = (party, version) => `${sdp(party.ip, party.media, version)}a=${direction}\r\n`;
		bob.inbox = [];
		assert.equal((await dialog.request('INVITE', { body: body(alice, 2) })).status, 200);
		dialog.ack();
		assert.match((await bob.take("alice's re-INVITE", isRequest('INVITE', callId))).body, new RegExp(`a=${direction}`));
		await bob.take('her ACK', isRequest('ACK', callId));

		alice.inbox = [];
		assert.equal((await far.request('INVITE', { body: body(bob, 3) })).status, 200);
		far.ack();
		const got = await alice.take("bob's re-INVITE", isRequest('INVITE', dialog.callId));
		assert.match(got.body, new RegExp(`a=${direction}`));
		assert.ok(dialog.callId === callId || !got.text.includes(callId), 'alice does not see the old Call-ID');
		await alice.take('his ACK', isRequest('ACK', dialog.callId));
		update = got.get('call-state');
	}
	return update;
}

const audio = ({ alice, dialog, callId }, answer = dialog.final) => stack.talk(alice, answer.body, callId);

async function hangUp({ alice, dialog, callId }, who) {
	if (who === 'alice') {
		assert.equal((await dialog.request('BYE')).status, 200);
		await bob.take('the BYE', isRequest('BYE', callId));
	} else {
		assert.equal((await bob.dialog(callId).request('BYE')).status, 200);
		await alice.take('the BYE', isRequest('BYE', dialog.callId));
	}
	await stack.noMedia();
}

const ways = [['old', 'new'], ['new', 'old']];

for (const [first, then] of ways) {
	describe(`from ${first} to ${then}`, () => {
		for (const role of ['caller', 'callee']) {
			test(`a call of a ${role} that was not lost is held and hung up`, async () => {
				await begin(first);
				const one = await call(role);
				await run(then);
				await hold(one);
				await hangUp(one, 'alice');
			});

			for (const who of ['alice', 'bob']) {
				test(`a ${role} that has resumed before: held, resumed again, held, and ${who} hangs up`, async () => {
					await begin(first);
					const two = await resume(await call(role));
					await audio(two);
					await hold(two);
					await run(then);
					await hold(two);
					const three = await resume(two);
					await audio(three);
					await hold(three);
					await hangUp(three, who);
				});
			}

			test(`a ${role} resumes with the state and the update of before`, async () => {
				await begin(first);
				const one = await call(role);
				const update = await hold(one);
				assert.match(update, /;update$/);
				await run(then);
				const two = await resume({ ...one, state: `${one.state};update=${update.replace(';update', '')}` });
				await audio(two);
				await hangUp(two, 'bob');
			});
		}

		test('there and back: each resumes what the other one sealed', async () => {
			await begin(first);
			let now = await call('caller');
			for (const version of [then, first, then]) {
				await run(version);
				now = await resume(now);
				await audio(now);
				await hold(now);
			}
			await run(first);
			await hold(now);
			await hangUp(now, 'bob');
		});

		test('a token is good, and its client key is the same', async () => {
			await begin(first);
			const key = async () => (await (await life()).register()).get('call-state-key');
			const before = await key();
			assert.match(before, /[\w-]{43}/);
			await run(then);
			assert.equal(await key(), before);
		});

		test('a call that is bound to a certificate resumes with that one and no other', async () => {
			const fingerprint = () => `sha-256 ${[...randomBytes(32)].map((b) => b.toString(16).padStart(2, '0').toUpperCase()).join(':')}`;
			const [mine, other] = [fingerprint(), fingerprint()];
			const as = (fp) => ({
				headers: [`Call-State-Fingerprint: ${fp}`],
				body: sdp('127.0.0.1', 4000).replace('RTP/AVP', 'UDP/TLS/RTP/SAVPF')
					+ `a=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:actpass\r\na=fingerprint:${fp}\r\n`,
			});
			await begin(first);
			const alice = await life();
			const dialog = await alice.call(as(mine));
			assert.equal(dialog.final.status, 200);
			const one = { alice, dialog, callId: dialog.callId, state: dialog.state };
			await run(then);
			const thief = await (await life()).call({ state: one.state, ...as(other) });
			assert.equal(thief.final.start, 'SIP/2.0 403 Call-State is bound to another certificate');
			const two = await resume(one, as(mine));
			// And what is sealed now is bound as well.
			await run(first);
			assert.equal((await (await life()).call({ state: two.state, ...as(other) })).final.status, 403);
			await hangUp(await resume(two, as(mine)), 'bob');
		});
	});
}
