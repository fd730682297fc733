// SPDX-License-Identifier: GPL-2.0-or-later
// A cluster behind proxies that are the first hop of its clients, one for each node. A node is killed, and its calls go on
// through the other proxy. The second one is an edge of RFC 5626.

import { randomUUID } from 'node:crypto';
import test from 'node:test';

import { Cluster, nodeIp } from '../lib/cluster.mjs';
import { firstHop } from '../lib/first-hop.mjs';

const PROXIES = { 1: '127.0.0.3', 2: '127.0.0.4' };
const proxies = {};
let cluster;

test.before(async () => {
	cluster = await Cluster.start('cluster-first-hop', { defines: { RESUME_FIRST_HOP: `"${Object.values(PROXIES).join(', ')}"`, RESUME_ALLOW_INSECURE: 0 } });
	for (const [number, ip] of Object.entries(PROXIES)) {
		proxies[number] = await firstHop(cluster.dir, {
			name: `first-hop-${number}`, ip, outbound: number === '2', gateway: `sip:${nodeIp(Number(number))}:5060`,
			defines: { GATEWAY_IP: `"${nodeIp(Number(number))}"` },
		});
	}
});
test.afterEach(() => cluster.clear());
test.after(async () => {
	for (const proxy of Object.values(proxies)) await proxy.stop();
	await cluster?.stop();
});

const through = (number) => ({ to: { ip: PROXIES[number], port: proxies[number].ws }, flow: { instance: `urn:uuid:${randomUUID()}`, id: 1 } });

for (const role of ['caller', 'callee']) {
	test(`a ${role} behind an edge comes back through a proxy to another node`, async () => {
		const far = await cluster.far();
		const one = await cluster.client('alice', 2, through(2));
		const call = await cluster.call(one, far, role, { at: 1 });
		await cluster.converse(call);
		await cluster.kill(1);
		await cluster.converse(call);
		await cluster.revive(1);
		cluster.lose(one);
		const second = await cluster.resume(call, 1, through(1));
		await cluster.converse(second);
		await cluster.hangUp(second, role === 'caller' ? 'client' : 'far end');
	});

	test(`a ${role} comes back through another proxy to another node, while its own is up and when it is dead`, async () => {
		const far = await cluster.far();
		const one = await cluster.client('alice', 1, through(1));
		const call = await cluster.call(one, far, role, { at: 2 });
		await cluster.converse(call);
		cluster.lose(one);
		const second = await cluster.resume(call, 2, through(2));
		await cluster.converse(second);
		cluster.lose(second.client);
		await cluster.kill(2);
		const third = await cluster.resume(second, 1, through(1));
		await cluster.converse(third);
		await cluster.hangUp(third, role === 'caller' ? 'far end' : 'client');
		await cluster.revive(2);
	});
}
