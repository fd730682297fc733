// SPDX-License-Identifier: GPL-2.0-or-later
// A node dies with many calls, which all come back to the others at once.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Cluster, nodeIp } from '../lib/cluster.mjs';
import { FarEnd } from '../lib/sip.mjs';

const CALLS = process.env.CLUSTER_LONG === '1' ? 200 : 40;
let cluster;

test.before(async () => { cluster = await Cluster.start('cluster-many', { nodes: 3 }); });
test.after(() => cluster?.stop());

test(`${CALLS} calls of a node that is killed are all there, and the far end hangs up each`, async () => {
	const far = await cluster.far();
	const open = (user, number, token) => FarEnd.open({ user, token, transport: 'ws', media: 4000, to: { ip: nodeIp(number), port: 8080 } }).then((c) => cluster.keep(c));
	const calls = [];
	for (let i = 0; i < CALLS; i++) {
		const user = `u${i}`;
		const token = await cluster.token(user);
		const client = await open(user, 1, token);
		assert.equal((await client.register()).status, 200);
		const call = await client.call();
		assert.equal(call.final.status, 200, call.final.start);
		calls.push({ user, token, client, call });
	}
	for (const { client } of calls) client.close();
	await cluster.kill(1);
	const killed = performance.now();
	await Promise.all(calls.map(async (one, i) => {
		const client = await open(one.user, 2 + i % 2, one.token);
		assert.equal((await client.register()).status, 200);
		const back = await client.call({ state: one.call.state });
		assert.equal(back.final.status, 200, back.final.start);
		Object.assign(one, { client, back, after: performance.now() - killed });
	}));
	const last = Math.max(...calls.map(({ after }) => after));
	console.log(`# ${CALLS} of ${CALLS} calls are back, the last one ${Math.round(last)} ms after the kill`);
	for (const { client, call } of calls) {
		assert.equal((await far.dialog(call.callId).request('BYE')).status, 200);
		await client.take('the BYE', (m) => m.method === 'BYE' && !m.status);
	}
});
