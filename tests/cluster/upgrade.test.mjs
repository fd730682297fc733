// SPDX-License-Identifier: GPL-2.0-or-later
// A cluster is upgraded node by node, and gone back with: nodes of two versions, and the calls between them.

import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';

import { Cluster } from '../lib/cluster.mjs';
import { frozenClusterNode } from '../lib/frozen.mjs';
import { MODULE, ROOT } from '../lib/kamailio.mjs';

const versions = { new: { module: MODULE, cfg: path.join(ROOT, 'cfg/kamailio.cfg') } };
let cluster;

test.before(async () => {
	versions.old = frozenClusterNode(1);
	cluster = await Cluster.start('cluster-upgrade', { defines: { DRAIN_TIME: 2 } });
});
test.afterEach(() => cluster.clear());
test.after(() => cluster?.stop());

/** From now on the Kamailio of a node is that version, with the same key ring. */
async function run(number, version) {
	const { kamailio } = cluster.node(number);
	const { module, cfg } = versions[version];
	await kamailio.stop();
	kamailio.cfg = cfg;
	kamailio.defines.RESUME_MODULE = `"${module}"`;
	await kamailio.boot();
	await cluster.known();
}

for (const [from, to] of [['old', 'new'], ['new', 'old']]) {
	for (const role of ['caller', 'callee']) {
		test(`a ${role} goes from a node of the ${from} version to one of the ${to} version, and on when both are of that`, async () => {
			await run(1, from);
			await run(2, to);
			const far = await cluster.far({ at: 2 });
			const call = await cluster.call(await cluster.client('alice', 1), far, role, { at: 2 });
			await cluster.converse(call);
			cluster.lose(call.client);
			const second = await cluster.resume(call, 2);
			await cluster.converse(second);
			await run(1, to);
			cluster.lose(second.client);
			const third = await cluster.resume(second, 1);
			await cluster.converse(third);
			await cluster.hangUp(third, role === 'caller' ? 'far end' : 'client');
		});
	}
}

test('a node of the new version is drained beside one of the old version', async () => {
	await run(1, 'new');
	await run(2, 'old');
	await assert.rejects(cluster.node(2).kamailio.kamcmd('call_resume.drain', 'status'), /not found/);
	const far = await cluster.far();
	const one = await cluster.client('alice', 1);
	const call = await cluster.call(one, far);
	await cluster.node(1).kamailio.kamcmd('call_resume.drain');
	await one.take('the NOTIFY', (m) => m.method === 'NOTIFY' && m.get('call-state') === 'drain');
	cluster.lose(one);
	const second = await cluster.resume(call, 2);
	assert.match(await cluster.node(1).kamailio.kamcmd('call_resume.drain', 'status'), /empty: yes/);
	await cluster.converse(second);
	await cluster.hangUp(second);
});
