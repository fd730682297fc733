// SPDX-License-Identifier: GPL-2.0-or-later
// A node is killed, with its media server, and stays dead: its calls go on at the others.

import test from 'node:test';

import { Cluster } from '../lib/cluster.mjs';

const LONG = process.env.CLUSTER_LONG === '1';
let cluster;

test.before(async () => { cluster = await Cluster.start('cluster-dead', { nodes: 3, tls: true }); });
test.afterEach(async () => {
	await cluster.clear();
	if (!cluster.node(1).alive) await cluster.revive(1);
});
test.after(() => cluster?.stop());

const both = ['caller', 'callee'];
const all = both.flatMap((role) => ['ws', 'tcp', 'tls', 'udp'].map((transport) => [role, transport]));
const short = [['caller', 'ws'], ['callee', 'tls'], ['callee', 'ws'], ['caller', 'udp']];

for (const [role, transport] of LONG ? all : short) {
	const by = role === 'caller' ? 'far end' : 'client';
	test(`a ${role} over ${transport} comes back to two others, one after the other, and its ${by} hangs up`, async () => {
		const far = await cluster.far();
		const one = await cluster.client('alice', 1, { transport });
		const call = await cluster.call(one, far, role);
		cluster.lose(one);
		await cluster.kill(1);
		const second = await cluster.resume(call, 2);
		await cluster.converse(second);
		cluster.lose(second.client);
		const third = await cluster.resume(second, 3);
		await cluster.converse(third);
		await cluster.hangUp(third, by);
	});
}
