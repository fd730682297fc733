// SPDX-License-Identifier: GPL-2.0-or-later
// A client that does not come back, in a cluster: its call is ended towards the far end, whichever node it was at.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Cluster } from '../lib/cluster.mjs';
import { until } from '../lib/wait.mjs';

let cluster;

test.before(async () => { cluster = await Cluster.start('cluster-abandoned', { nodes: 3, defines: { RESUME_ABANDONED: 2, RESUME_LEAVING: 1, WITH_ACC: true } }); });
test.afterEach(() => cluster.clear());
test.after(() => cluster?.stop());

const isBye = (m) => m.method === 'BYE' && !m.status;

for (const role of ['caller', 'callee']) {
	test(`a ${role} is lost for good, and its node with it: the far end gets a BYE from another one`, async () => {
		const far = await cluster.far();
		const call = await cluster.call(await cluster.client('alice', 1), far, role);
		cluster.lose(call.client);
		await cluster.kill(1, { rtpengine: false });
		const bye = await far.take('the BYE', (m) => isBye(m) && m.callId === call.theirs.callId, { timeout_ms: 30000 });
		assert.match(bye.get('reason'), /^SIP;cause=480/);
		await cluster.revive(1);
	});
}

/** Where the BYEs in a call have come from, of each once, however often it was sent. */
const byesOf = (far, { callId }) => new Set(far.requests.filter((m) => isBye(m) && m.callId === callId).map((m) => m.get('via')));

for (const how of ['its node lives', 'and its node', 'and its binding is gone everywhere']) {
	test(`a client is lost for good, ${how}: one BYE of three nodes, though the far end does not answer it`, async () => {
		const dead = how === 'and its node';
		const far = await cluster.far();
		const silent = await cluster.call(await cluster.client('alice', 1), far);
		far.answer = (m) => !(isBye(m) && m.callId === silent.theirs.callId);
		if (how.includes('binding')) assert.equal((await silent.client.register({ headers: ['Expires: 0'] })).status, 200);
		cluster.lose(silent.client);
		if (dead) await cluster.kill(1, { rtpengine: false });
		const bye = await far.take('the BYE', (m) => isBye(m) && m.callId === silent.theirs.callId, { timeout_ms: 40000 });
		// By the end of another one each has looked for silent ones more than once.
		const other = await cluster.call(await cluster.client('carol', 2), far);
		cluster.lose(other.client);
		await far.take('the other BYE', (m) => isBye(m) && m.callId === other.theirs.callId, { timeout_ms: 40000 });
		assert.equal(byesOf(far, silent.theirs).size, 1, [...byesOf(far, silent.theirs)].join('\n'));
		far.accept(bye);
		const ends = () => cluster.nodes.flatMap(({ kamailio }) => kamailio.log().split('\n'))
			.filter((line) => line.includes('CDR end=') && line.includes(silent.theirs.callId));
		await until('the CDR', () => ends().length > 0);
		assert.equal(ends().length, 1);
		if (dead) await cluster.revive(1);
	});
}
