// SPDX-License-Identifier: GPL-2.0-or-later
// A media server dies, or says nothing any more, and its node lives.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Cluster } from '../lib/cluster.mjs';
import { sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

let cluster;

test.before(async () => { cluster = await Cluster.start('cluster-media', { nodes: 3 }); });
test.afterEach(() => cluster.clear());
test.after(() => cluster?.stop());

const addressIn = (m) => /c=IN IP4 (\S+)/.exec(m.body)[1];
const offersTo = (far) => far.requests.filter((m) => m.method === 'INVITE' && m.body);
const serverOf = (client) => cluster.nodes.find(({ ip }) => ip === client.media_ip).rtpengine;

for (const [how, end] of [['is killed', (engine) => engine.kill()], ['says nothing any more', (engine) => engine.proc.freeze()]]) {
	test(`the media server of a call ${how}: a resume at another node moves both ends to another one, and it is used again when it is back`, async () => {
		const far = await cluster.far();
		const one = await cluster.client('alice', 1);
		const call = await cluster.call(one, far);
		const dead = serverOf(one);
		await end(dead);
		cluster.lose(one);
		const back = await cluster.resume(call, 2);
		assert.notEqual(back.client.media_ip, dead.ip);
		assert.equal(addressIn(offersTo(far).at(-1)), back.client.media_ip, 'the far end sends to the new one');
		await cluster.hangUp(back);

		if (dead.proc.alive) await dead.kill();
		await dead.boot();
		await until('a call at it', async () => {
			const two = await cluster.client('alice', 1);
			const next = await cluster.call(two, far);
			await cluster.hangUp({ ...next, client: two });
			return two.media_ip === dead.ip;
		}, { timeout_ms: 30000 });
	});
}

test('the media server of a call is killed: a re-INVITE of a client that is there moves both ends', async () => {
	const far = await cluster.far();
	const one = await cluster.client('alice', 1);
	const call = await cluster.call(one, far);
	const dead = serverOf(one);
	await dead.kill();
	const again = await call.dialog.request('INVITE', { body: sdp(one.ip, one.media, 2) });
	assert.equal(again.status, 200, again.start);
	call.dialog.ack();
	await cluster.talk(one, again.body);
	assert.notEqual(one.media_ip, dead.ip);
	assert.equal(addressIn(offersTo(far).at(-1)), one.media_ip);
	await cluster.hangUp(call);
	await dead.boot();
});

test('no media server is left: the resume gets 503, and the far end no description of ours or the client\'s', async () => {
	const far = await cluster.far();
	const one = await cluster.client('alice', 1);
	const call = await cluster.call(one, far);
	const before = far.requests.length;
	cluster.lose(one);
	await Promise.all(cluster.nodes.map(({ rtpengine }) => rtpengine.kill()));
	const two = await cluster.client('alice', 2);
	const refused = await two.call({ state: call.state });
	assert.equal(refused.final.status, 503, refused.final.start);
	assert.match(refused.final.get('retry-after'), /^\d+/);
	assert.equal(far.requests.slice(before).filter((m) => m.method === 'INVITE').length, 0);
	await Promise.all(cluster.nodes.map(({ rtpengine }) => rtpengine.boot()));
	const back = await until('the resume', async () => {
		const client = await cluster.client('alice', 3);
		const dialog = await client.call({ state: call.state });
		return dialog.final.status === 200 && { ...call, client, dialog };
	}, { every_ms: 500 });
	await cluster.talk(back.client, back.dialog.final.body);
	await cluster.hangUp(back);
});
