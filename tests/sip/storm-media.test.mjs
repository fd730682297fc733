// SPDX-License-Identifier: GPL-2.0-or-later
// The media server is gone, silent or full: nothing goes out with a description that it has not made, who asked is told
// to come again, and what was up stays as it was.

import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { Rtpengine } from '../lib/rtpengine.mjs';
import { Client, FarEnd, sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

const open = [];
const keep = (s) => (open.push(s), s);
const stacks = [];
afterEach(async () => {
	for (const s of open.splice(0)) s.close();
	for (const s of stacks.splice(0)) await s.stop();
});

const QUICK = { RTPENGINE_TIMEOUT: 200, RTPENGINE_TRIES: 2, RTPENGINE_RETRY: 1 };

async function scene(name, { defines, ...options } = {}) {
	const stack = await Stack.start(`storm-media-${name}`, { defines: { ...QUICK, ...defines }, ...options });
	stacks.push(stack);
	const { ip, port, ws } = stack.kamailio;
	const far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip, port } }));
	const token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 's');
	const client = async () => keep(await Client.open({ transport: 'ws', to: { ip, port: ws }, token }));
	const alice = await client();
	assert.equal((await alice.register()).status, 200);
	return { stack, far, alice, client };
}


/** A 503 that says when, at random. */
function comesAgain(final, what) {
	assert.equal(final.status, 503, `${what}: ${final.start}`);
	const wait = Number(final.get('retry-after'));
	assert.ok(wait >= 1 && wait <= 4, `${what}: ${final.get('retry-after')}`);
	return wait;
}

/** Whatever asks for media now is refused here: the far end hears of none of it, and the client of nothing of the far end's. */
async function nothingGoesOut({ far, alice, client }, call) {
	const seen = far.requests.length;
	const waits = new Set();
	const ask = async (what, reply) => {
		const begun = performance.now();
		waits.add(comesAgain(await reply, what));
		assert.ok(performance.now() - begun < 3000, `${what}: ${performance.now() - begun} ms`);
	};
	await ask('a new call', alice.call({ service: '100' }).then((d) => d.final));
	const page = await client();
	for (let i = 0; i < 4; i++) await ask('a resume', page.call({ state: call.state }).then((d) => d.final));
	const body = sdp('127.0.0.1', 4002, 2);
	await ask('a re-INVITE', call.request('INVITE', { body }));
	call.ack({ via: call.branch });
	await ask('an UPDATE', call.request('UPDATE', { body }));
	const ours = far.dialog([...far.dialogs.keys()][0]);
	const reply = await ours.request('INVITE', { body: sdp(TRUNK_IP, 4102, 2) });
	comesAgain(reply, "the far end's re-INVITE");
	ours.ack({ via: ours.branch });
	assert.deepEqual(alice.inbox.filter((m) => !m.status).map((m) => m.text), [], 'the client hears nothing');
	assert.deepEqual(far.requests.slice(seen).filter((m) => m.method !== 'ACK').map((m) => m.text), [], 'nor does the far end');
	assert.ok(waits.size > 1, `all have to wait for ${[...waits]} s`);
	assert.equal((await call.request('INFO')).status, 200, 'the call is as it was');
}

test('killed: 503 to whoever asks, and afterwards everything as before', async () => {
	const all = await scene('killed');
	const { stack, far, alice, client } = all;
	const call = await alice.call({ service: '100' });
	assert.equal(call.final.status, 200);
	await stack.rtpengine.kill();
	await nothingGoesOut(all, call);

	// It goes while the far end rings: no answer is one without it.
	await stack.rtpengine.boot();
	far.answer = (m) => m.method !== 'INVITE';
	const asked = await until('rtpengine to be asked again', async () => {
		const seen = far.requests.length;
		const calling = alice.call({ service: '100' });
		const invite = await until('an INVITE, or a refusal', async () => far.requests[seen]
			?? (await Promise.race([calling, new Promise((resolve) => { setTimeout(resolve, 100, { final: {} }); })])).final.status);
		return invite !== 503 && { calling, invite };
	});
	await stack.rtpengine.kill();
	far.reply(asked.invite, 183, 'Session Progress', { body: sdp(TRUNK_IP, 4100), contact: true });
	far.dialogs.set(asked.invite.callId, Object.assign(Object.create(null), { local: `${asked.invite.get('to')};tag=x` }));
	far.reply(asked.invite, 200, 'OK', { body: sdp(TRUNK_IP, 4100), copy: true, contact: true });
	const { final } = await asked.calling;
	assert.equal(final.status, 200);
	assert.equal(final.body, '');
	for (const m of alice.inbox) assert.equal(m.body, '', m.start);

	await stack.rtpengine.boot();
	far.answer = () => true;
	const page = await client();
	const back = await until('the media server to be asked again', async () => {
		const d = await page.call({ state: call.state });
		if (d.final.status !== 200) throw new Error(d.final.start);
		return d;
	});
	assert.equal((await back.request('BYE')).status, 200);
});

test('silent: nobody waits for it but for some RTPENGINE_TRIES * RTPENGINE_TIMEOUT', async () => {
	const all = await scene('silent', { defines: { RTPENGINE_RETRY: 3 } });
	const { stack, alice } = all;
	const call = await alice.call({ service: '100' });
	assert.equal(call.final.status, 200);
	await stack.rtpengine.proc.freeze();
	try {
		await nothingGoesOut(all, call);
	} finally {
		stack.rtpengine.proc.thaw();
	}
});

test('full: who is in a call can go on in it, and come back', async () => {
	const { stack, far, alice, client } = await scene('full', { rtpengine: { args: ['--port-min=30000', '--port-max=30011'] } });
	const calls = [];
	for (let i = 0; i < 8; i++) {
		const call = await alice.call({ service: `10${i}` });
		if (call.final.status !== 200) {
			comesAgain(call.final, 'a call too many');
			break;
		}
		calls.push(call);
	}
	assert.ok(calls.length > 0 && calls.length < 8, `${calls.length} calls`);
	assert.equal(far.requests.filter((m) => m.method === 'INVITE').length, calls.length);
	const page = await client();
	const back = await page.call({ state: calls[0].state });
	assert.equal(back.final.status, 200, back.final.start);
	assert.equal((await stack.rtpengine.calls()).length, calls.length);
});

test('one of two is gone: its calls go on at the other one', async () => {
	const dir = runFolder('storm-media-servers');
	const servers = [];
	for (const i of [0, 1]) {
		servers.push(await Rtpengine.start(dir, { name: `rtpengine-${i}`, args: [`--port-min=${40000 + 1000 * i}`, `--port-max=${40998 + 1000 * i}`] }));
	}
	try {
		const { alice, client } = await scene('two', { defines: { RTPENGINE: `"${servers.map((s) => `udp:${s.control}:${s.ng}`).join(' ')}"`, RTPENGINE_RETRY: 60 } });
		const calls = [];
		for (let i = 0; i < 6; i++) calls.push(await alice.call({ service: `10${i}`, callId: `call-${i}` }));
		const had = await Promise.all(servers.map((s) => s.calls()));
		assert.ok(had.every((list) => list.length > 0), `calls at each: ${had.map((l) => l.length)}`);
		const [gone, other] = servers;
		await gone.kill();
		const page = await client();
		for (const call of calls) {
			const back = await page.call({ state: call.state });
			assert.equal(back.final.status, 200, back.final.start);
			assert.match(back.final.body, /^m=audio 41/m, 'ports of the one that is there');
			assert.equal((await other.calls()).filter((id) => id === call.callId).length, 1);
			assert.equal((await back.request('INVITE', { body: sdp('127.0.0.1', 4002, 2) })).status, 200, 'and a re-INVITE');
			back.ack();
			assert.equal((await back.request('BYE')).status, 200);
		}
		assert.deepEqual(await other.calls(), [], 'and ends there');
	} finally {
		for (const s of servers) await s.stop();
	}
});
