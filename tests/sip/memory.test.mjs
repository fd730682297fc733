// SPDX-License-Identifier: GPL-2.0-or-later
// A held call costs the module nothing: what it has of shared and of private
// memory is the same before, during and after hundreds of sealed and resumed
// calls, to the byte. Kamailio's debugging allocator (-x qm) knows who has what.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Client, FarEnd } from '../lib/sip.mjs';
import { Usage } from '../lib/usage.mjs';

const CLIENTS = 10;
const CALLS = 30; // of each client

// One process has all of them: what it allocates once and for ever has been allocated when they begin.

let stack, far, token, gateway, usage;
before(async () => {
	stack = await Stack.start('memory', { defines: { CHILDREN: 1, RESUMES_MAX: 100000 }, kamailio: { args: ['-x', 'qm', '-X', 'qm', '-m', '128'] } });
	usage = new Usage(stack.kamailio);
	gateway = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway });
});
after(async () => {
	far?.close();
	await stack?.stop();
});

/** n calls by each of the clients, every one resumed by another client: [dialog, ...]. */
async function hold(n) {
	const all = await Promise.all(Array.from({ length: CLIENTS }, async () => {
		const [one, two] = [await Client.open({ token, to: gateway }), await Client.open({ token, to: gateway })];
		const held = [];
		for (let i = 0; i < n; i++) {
			const call = await one.call();
			assert.equal(call.final.status, 200);
			await far.take('the ACK', (m) => m.method === 'ACK' && m.callId === call.callId);
			const back = await two.call({ state: call.state });
			assert.equal(back.final.status, 200);
			assert.ok(back.state);
			held.push(back);
		}
		one.close();
		return held;
	}));
	return all.flat();
}

async function hangUp(dialogs) {
	for (const d of dialogs) assert.equal((await d.request('BYE')).status, 200);
	for (const party of new Set(dialogs.map((d) => d.party))) party.close();
}

test(`${CLIENTS * CALLS} calls, sealed, resumed, held and ended: not a byte`, async (t) => {
	// The first ones leave Kamailio's own caches as they will be.
	await hangUp(await hold(4));
	await usage.settled();
	const before = await usage.module();
	const pkgBefore = await usage.processes();
	const shmBefore = await usage.sharedForLong();
	// The key ring, and tables of as many as there may be.
	assert.deepEqual(Object.keys(before.shm).sort(), ['Total', 'kam_abandoned_init', 'kam_alone_init', 'kam_ended_init', 'kam_env_init',
		'kam_hold_init', 'kam_pace_init', 'kam_pending_init', 'kam_ring_again_init', 'kam_ringing_init', 'kam_unheard_init',
		'kam_web_sockets_init', 'make_places', 'make_users']);

	const dialogs = await hold(CALLS);
	assert.equal(dialogs.length, CLIENTS * CALLS);
	const busy = await usage.module();
	assert.ok(busy.shm.watch_replies > 0, 'transactions do have memory of ours: it is counted');
	await usage.settled();
	assert.deepEqual(await usage.module(), before, 'while the calls are held');
	assert.equal((await stack.rtpengine.calls()).length, dialogs.length, 'they are held');

	await hangUp(dialogs);
	await usage.settled();
	assert.deepEqual(await usage.module(), before, 'after they ended');
	// What is ours has been compared to the byte. Of Kamailio's own the script's variables hold what the last message has put
	// there, in whichever fragment of memory fits: some hundred bytes more or less, and nothing for each of the calls.
	for (const [pid, bytes] of Object.entries(await usage.processes())) {
		assert.ok(bytes <= pkgBefore[pid] + 4 * CLIENTS * CALLS, `private memory of process ${pid}: ${bytes} bytes, ${pkgBefore[pid]} before`);
	}
	assert.equal(await usage.sharedForLong(), shmBefore, 'shared memory of all of Kamailio');
	const stats = await stack.kamailio.kamcmd('call_resume.stats');
	assert.match(stats, new RegExp(`dialogs_resumed: ${CLIENTS * (CALLS + 4)}\n`));
	t.diagnostic(`module: ${before.shm.Total} bytes of shared memory; Kamailio: ${shmBefore}`);
});

test('a reload, and calls that are refused, leave nothing either', async () => {
	await usage.settled();
	const before = await usage.module();
	for (let i = 0; i < 50; i++) await stack.kamailio.kamcmd('call_resume.reload');
	const alice = await Client.open({ token, to: gateway });
	for (let i = 0; i < 50; i++) {
		assert.equal((await alice.call({ state: 'abc' })).final.status, 400);
		assert.equal((await alice.call({ headers: ['Call-State: a..b.c.d'] })).final.status, 400);
	}
	alice.token = 'no.such.token';
	for (let i = 0; i < 50; i++) assert.equal((await alice.register()).status, 401);
	alice.close();
	await usage.settled();
	assert.deepEqual(await usage.module(), before);
});
