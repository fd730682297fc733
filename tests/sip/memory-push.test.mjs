// SPDX-License-Identifier: GPL-2.0-or-later
// Calls to a client whose state is pushed in a NOTIFY, and which resumes from that,
// leave nothing in memory.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Client, FarEnd } from '../lib/sip.mjs';
import { Usage } from '../lib/usage.mjs';

const CALLS = 100;

/* What a process has seen last stays with it, a variable of the script, say. Eight bytes
 * that each call leaves would be more. */
const LAST = 160;

let stack, usage, far, alice, again;
before(async () => {
	stack = await Stack.start('memory-push', {
		defines: { RESUME_PUSH: true, CHILDREN: 1, RESUMES_MAX: 0 }, kamailio: { args: ['-x', 'qm', '-X', 'qm', '-m', '128'] },
	});
	usage = new Usage(stack.kamailio);
	const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
	alice = await FarEnd.open({ user: 'alice', token, to });
	again = await Client.open({ token, to });
});
after(async () => {
	for (const party of [far, alice, again]) party?.close();
	await stack?.stop();
});

async function calls(n) {
	for (let i = 0; i < n; i++) {
		const theirs = await far.call({ service: 'alice' });
		assert.equal(theirs.final.status, 200);
		const notify = await alice.take('a NOTIFY', (m) => m.method === 'NOTIFY');
		const back = await again.call({ state: notify.get('call-state') });
		assert.equal(back.final.status, 200);
		assert.equal((await back.request('BYE')).status, 200);
	}
	await usage.settled();
}

test(`${CALLS} calls, pushed, resumed and ended`, async () => {
	assert.equal((await alice.register()).status, 200);
	await calls(20);
	const before = await usage.module();
	const processes = await usage.processes();
	const shared = await usage.sharedForLong();
	await calls(CALLS);
	assert.deepEqual(await usage.module(), before);
	assert.equal(await usage.sharedForLong(), shared, 'shared memory of all of Kamailio');
	for (const [pid, used] of Object.entries(await usage.processes())) {
		assert.ok(used - processes[pid] <= LAST, `process ${pid}: ${used - processes[pid]} bytes more`);
	}
});
