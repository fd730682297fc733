// SPDX-License-Identifier: GPL-2.0-or-later
// One CDR a call, whichever nodes it began and ended at.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { Cluster } from '../lib/cluster.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { FarEnd } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

let cluster;

test.before(async () => { cluster = await Cluster.start('cluster-cdr', { nodes: 3, defines: { WITH_ACC: true } }); });
test.afterEach(async () => {
	await cluster.clear();
	for (const { number, alive } of cluster.nodes) if (!alive) await cluster.revive(number);
});
test.after(() => cluster?.stop());

/** What docs/cluster.md makes of the logs of all nodes. */
function cdrs(nodes = cluster.nodes) {
	const [, awk] = /^ +cat \S+ \| (awk '[^]*?')$/m.exec(fs.readFileSync(path.join(ROOT, 'docs/cluster.md'), 'utf8'));
	const logs = nodes.map(({ kamailio }) => `'${kamailio.proc.log}'`).join(' ');
	return execFileSync('sh', ['-c', `cat ${logs} | ${awk}`], { encoding: 'utf8' }).split('\n').filter(Boolean);
}

/** The only CDR of that call. */
async function cdrOf(callId, nodes) {
	const found = await until('the CDR', () => {
		const lines = cdrs(nodes).filter((line) => line.includes(`call_id=${callId};`));
		return lines.length > 0 && lines;
	});
	assert.equal(found.length, 1, found.join('\n'));
	return found[0];
}

for (const [role, by] of [['caller', 'far end'], ['callee', 'client']]) {
	test(`a call of a ${role} begins at one node, is resumed at two others, and its ${by} hangs up`, async () => {
		const far = await cluster.far();
		const one = await cluster.client('alice', 1);
		const call = await cluster.call(one, far, role);
		cluster.lose(one);
		await cluster.kill(1);
		const second = await cluster.resume(call, 2);
		cluster.lose(second.client);
		const third = await cluster.resume(second, 3);
		await cluster.hangUp(third, by);
		assert.match(await cdrOf(call.theirs.callId), /^start=\d+;duration=\d+;call_id=[^;]+;caller=sip:\w+@example\.org;callee=sip:\w+@example\.org;nodes=1,3$/);
	});
}

test('a call whose far end hangs up while nobody is there ends once, at another node', async () => {
	const far = await cluster.far();
	const one = await cluster.client('alice', 1);
	const call = await cluster.call(one, far);
	far.through = cluster.at(2);
	cluster.lose(one);
	await cluster.kill(1);
	assert.equal((await call.theirs.request('BYE')).status, 200);
	const late = await (await cluster.client('alice', 3)).call({ state: call.state });
	assert.ok(late.final.status >= 400 || late.final.status === 200);
	assert.match(await cdrOf(call.theirs.callId), /;nodes=1,2$/);
	assert.match(await cdrOf(call.theirs.callId, [cluster.node(2)]), /^start=[1-9]\d+;.*;caller=sip:alice@.*;nodes=\?,2;ringing=1$/, 'without the log of the first');
});

test('a call between clients of two nodes has one CDR', async () => {
	const alice = await cluster.client('alice', 1);
	const carol = await cluster.client('carol', 2);
	await until('carol to be known', async () => /AoR: carol@[^]*?Server-Id: 2/.test(await cluster.node(1).kamailio.kamcmd('ul.dump')));
	const call = await alice.call({ service: 'carol' });
	assert.equal(call.final.status, 200);
	assert.equal((await call.request('BYE')).status, 200);
	await carol.take('the BYE', (m) => m.method === 'BYE' && !m.status);
	assert.match(await cdrOf(call.callId), /;nodes=2,2$/);
});

test('neither the answer nor the BYE says who has called whom', async () => {
	const alice = await cluster.client('alice', 1);
	const carol = await cluster.client('carol', 2);
	await until('carol to be known', async () => /AoR: carol@[^]*?Server-Id: 2/.test(await cluster.node(1).kamailio.kamcmd('ul.dump')));
	const otherwise = (value, name) => value.replace(/<[^>]*>/, `<sip:${name}@example.org;x=1>`);
	carol.handle = ((handle) => (m) => {
		const { answer } = m;
		m.answer = (text) => answer(text.replace(/^(From|To): .*/gm, (line) => otherwise(line, 'victim')));
		return handle(m);
	})(carol.handle);
	const call = await alice.call({ service: 'carol', from: '<sip:anonymous@anonymous.invalid>' });
	assert.equal(call.final.status, 200, call.final.start);
	for (const name of ['local', 'remote']) call[name] = otherwise(call[name], name);
	assert.equal((await call.request('BYE')).status, 200);
	assert.match(await cdrOf(call.callId), /;caller=sip:alice@example\.org;callee=sip:carol@example\.org;nodes=2,2$/);
	const end = fs.readFileSync(cluster.node(2).kamailio.proc.log, 'utf8').split('\n').filter((l) => l.includes('CDR end=') && l.includes(call.callId));
	assert.match(end[0], /caller=sip:alice@example\.org;callee=sip:carol@example\.org;answered=[1-9]\d+$/);
	assert.equal(end.length, 1);
});

test('answers that do not read well have their lines all the same', async () => {
	const alice = await cluster.client('alice', 1);
	const carol = await cluster.client('carol', 2);
	await until('carol to be known', async () => /AoR: carol@[^]*?Server-Id: 2/.test(await cluster.node(1).kamailio.kamcmd('ul.dump')));
	carol.handle = ((handle) => (m) => {
		const { answer } = m;
		m.answer = (text) => answer(text.replace(/^Call-ID: /m, 'Server: \x1b[2J\r\nCall-ID: '));
		return handle(m);
	})(carol.handle);
	const call = await alice.call({ service: 'carol' });
	assert.equal(call.final.status, 200, call.final.start);
	assert.equal((await call.request('BYE')).status, 200);
	const said = fs.readFileSync(cluster.node(2).kamailio.proc.log, 'utf8').split('\n').filter((l) => l.includes(call.callId));
	assert.deepEqual(said.map((l) => /CDR (\w+)/.exec(l)?.[1] ?? l), ['start', 'end']);
});

test('a client that sends itself a BYE, and goes on, ends its CDR with its call', async () => {
	const far = await cluster.far();
	const alice = await cluster.client('alice', 1);
	const call = await alice.call({ service: '100' });
	await far.take('the ACK', (m) => m.method === 'ACK');
	const itself = await FarEnd.open({ user: 'alice', to: cluster.at(1) });
	cluster.open.push(itself);
	assert.equal((await call.request('BYE', { target: itself.uri })).status, 200);
	await itself.take('its own BYE', (m) => m.method === 'BYE' && !m.status);
	const first = /duration=(\d+);/.exec(await cdrOf(call.callId))[1];
	const then = Date.now();
	await until('two seconds to go by', () => Date.now() >= then + 2100);
	assert.equal((await call.request('BYE')).status, 200);
	await far.take('the BYE', (m) => m.method === 'BYE' && !m.status);
	await until('the other end', async () => /duration=(\d+);/.exec(await cdrOf(call.callId))[1] - first >= 2);
});

const now = () => Math.floor(Date.now() / 1000);
// time(2) is behind by a tick or two.
const anotherSecond = (since) => until('another second', () => Date.now() >= (since + 1) * 1000 + 100);

for (const [role, by] of [['caller', 'far end'], ['caller', 'client'], ['callee', 'far end'], ['callee', 'client']]) {
	test(`the log of the node where a call of a ${role} began is lost, and its ${by} hangs up: the CDR has when ${
		role === 'caller' ? 'it was answered' : 'it began'}, as it was sealed`, async () => {
		const far = await cluster.far();
		const one = await cluster.client('alice', 1);
		const before = now();
		let begun;
		far.answer = (m) => {
			if (m.method !== 'INVITE' || m.tag('to')) return true;
			// (It comes again until then.)
			if (begun === undefined) anotherSecond(begun = now()).then(() => far.accept(m));
			return false;
		};
		const call = await cluster.call(one, far, role);
		const after = now();
		cluster.lose(one);
		await cluster.kill(1);
		const second = await cluster.resume(call, 2);
		const third = await cluster.resume(second, 3);
		await anotherSecond(after);
		await cluster.hangUp(third, by);
		const line = await cdrOf(call.theirs.callId, [cluster.node(2), cluster.node(3)]);
		const [, start, duration, caller, callee, ringing] = /^start=(\d+);duration=(\d+);call_id=[^;]+;caller=sip:(\w+)@example\.org;callee=sip:(\w+)@example\.org;nodes=\?,3(;ringing=1)?$/.exec(line)
			?? assert.fail(line);
		assert.equal(Boolean(ringing), role === 'callee', line);
		if (role === 'caller') assert.ok(start > begun, `${line}: it rang from ${begun}`);
		assert.ok(start >= before && start <= after, line);
		assert.ok(duration >= 1, line);
		assert.deepEqual([caller, callee], role === 'caller' ? ['alice', 'bob'] : ['bob', 'alice']);
	});
}
