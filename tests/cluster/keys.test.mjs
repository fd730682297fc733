// SPDX-License-Identifier: GPL-2.0-or-later
// A new key that one node has not got yet: no call is lost for that, and its log says so.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { Cluster, nodeIp } from '../lib/cluster.mjs';
import { writeKeyRing } from '../lib/kamailio.mjs';
import { sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

let cluster;
const ring = (number) => path.join(cluster.dir, `keyring-${number}`);

/** The ring of a node, from now on: its lines in that order. */
async function give(number, ...lines) {
	fs.writeFileSync(ring(number), lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
	await cluster.node(number).kamailio.kamcmd('call_resume.reload');
}

test.before(async () => {
	cluster = await Cluster.start('cluster-keys', {
		nodes: 2, ring: (dir, number) => path.join(dir, `keyring-${number}`),
		// Node 2 is behind another address.
		per: (number) => (number === 2 ? { LISTEN_UDP: `udp:${nodeIp(2)}:5060 advertise 198.51.100.7:5060` } : {}),
	});
});
test.after(() => cluster?.stop());

test('a call under a new key is there at a node that has not got it yet, as soon as it has', async () => {
	const [old] = fs.readFileSync(cluster.keyRing, 'utf8').trim().split('\n');
	const [fresh] = fs.readFileSync(writeKeyRing(path.join(cluster.dir, 'fresh'), ['k2']), 'utf8').trim().split('\n');
	await give(1, fresh, old);
	const far = await cluster.far();
	const token = await cluster.token('alice');
	const one = await cluster.client('alice', 1, { token });
	const call = await cluster.call(one, far);
	cluster.lose(one);
	await cluster.kill(1);

	far.through = cluster.at(2);
	assert.equal((await call.theirs.request('INFO')).status, 500, 'the far end is told to try again');
	assert.equal((await call.theirs.request('INVITE', { body: sdp(far.ip, far.media, 3) })).status, 491);
	call.theirs.ack({ via: call.theirs.branch });
	const log = () => cluster.node(2).kamailio.log();
	assert.match(log(), /the Contact that a far end has is under a key that is not in our key ring/);

	const two = await cluster.client('alice', 2, { token, register: false });
	const early = await two.register();
	assert.equal(early.status, 503, early.start);
	assert.ok(early.get('retry-after'));
	assert.match(log(), /a token under a key that is not in our key ring/);
	// A token of before, and a state under the new key.
	const older = await cluster.client('alice', 2, { token: await cluster.token('alice', 's-alice') });
	const refused = await older.call({ state: call.state });
	assert.equal(refused.final.status, 503, refused.final.start);
	await until('the line', () => /a Call-State is under a key that is not in our key ring/.test(log()));

	await give(2, fresh, old);
	const back = await cluster.resume({ ...call, client: one }, 2, { token });
	assert.match(back.theirs.target, /^sip:alice@198\.51\.100\.7:5060;crf1=/, 'what it advertises');
	await cluster.converse(back);
	await cluster.hangUp(back);
});
