// SPDX-License-Identifier: GPL-2.0-or-later
// Who is believed between nodes: who signs with the key ring, and nobody for his address.

import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';

import { Cluster, nodeIp } from '../lib/cluster.mjs';
import { writeKeyRing } from '../lib/kamailio.mjs';
import { nodeKeys, sign } from '../lib/node.mjs';
import { audioPort } from '../lib/rtp.mjs';
import { Dialog, Endpoint, FarEnd, message, random, replyTo, sdp } from '../lib/sip.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { Usage } from '../lib/usage.mjs';
import { until } from '../lib/wait.mjs';

const STRANGER_IP = '127.0.0.66';
const INSIDE = '10.9.0.0/16';
const NODE_PORT = 5090;
const SIP_PORT = 5060;
const SILENCE_MS = 700;
let cluster;
let key;

test.before(async () => {
	cluster = await Cluster.start('cluster-trust', { nodes: 2, defines: { WITH_ACC: true, MEDIA_DENIED: `"${INSIDE}"` } });
	[key] = nodeKeys(cluster.keyRing);
});
test.afterEach(() => cluster.clear());
test.after(() => cluster?.stop());

async function stat(name, number = 1) {
	const text = await cluster.node(number).kamailio.kamcmd('call_resume.stats');
	return Number(new RegExp(`\\b${name}: (\\d+)`).exec(text)[1]);
}

/** Somebody who sends to a node's socket for nodes. */
async function stranger(options) {
	return cluster.keep(await Endpoint.open({ ip: STRANGER_IP, to: { ip: nodeIp(1), port: NODE_PORT }, ...options }));
}

const request = (party, method, uri, { fields = [], body = '', to = uri, tag } = {}) => message(`${method} ${uri} SIP/2.0`, [
	`Via: SIP/2.0/UDP ${party.host};branch=z9hG4bK${random()}`, 'Max-Forwards: 20', `From: <sip:x@${DOMAIN}>;tag=${random()}`,
	`To: <${to}>${tag ? `;tag=${tag}` : ''}`, `Call-ID: ${random()}`, `CSeq: 1 ${method}`, ...fields,
], body);

const options = (party) => request(party, 'OPTIONS', `sip:${nodeIp(1)}:${NODE_PORT}`);

/** What is sent gets no answer, and is counted. */
async function isIgnored(party, text) {
	const before = await stat('nodes_refused');
	party.send(text);
	await until('it to be counted', async () => await stat('nodes_refused') > before);
	await assert.rejects(party.take('nothing', () => true, { timeout_ms: SILENCE_MS }));
}

test('a node knows the others, and tells whom it trusts', async () => {
	const nodes = await cluster.node(1).kamailio.kamcmd('call_resume.nodes');
	assert.match(nodes, /node: 1\s+is: this one/);
	assert.match(nodes, /node: 2\s+is: proved\s+address: 127\.0\.0\.12\s+signs_with: k1/);
});

test('what is signed with the key ring is taken, from whatever address', async () => {
	const party = await stranger();
	party.send(sign(options(party), key));
	assert.equal((await party.take('the answer')).status, 200);
});

test('a stranger at the socket for nodes gets nothing', async () => {
	const party = await stranger();
	await isIgnored(party, options(party));
	await isIgnored(party, request(party, 'INVITE', `sip:alice@${DOMAIN}`, { fields: [`Contact: <sip:x@${party.host}>`] }));
	await isIgnored(party, request(party, 'OPTIONS', `sip:${nodeIp(1)}`, { fields: ['Call-State-Node: 2;from=trunk;proto=udp'] }));
});

test('a stranger cannot write a binding', async () => {
	const party = await stranger();
	const body = JSON.stringify({ action: 1, aor: `mallory@${DOMAIN}`, ruid: 'uloc-1-1', c: `sip:mallory@${party.host}`, expires: 2000000000,
		q: -1, last_modified: 1, flags: 0, cflags: 0, user_agent: 'x', reg_id: 0, server_id: 2, callid: random(), cseq: 1 });
	const text = request(party, 'KDMQ', `sip:usrloc@${nodeIp(1)}:${NODE_PORT}`, { fields: ['Content-Type: application/json'], body });
	await isIgnored(party, text);
	assert.ok(!(await cluster.node(1).kamailio.kamcmd('ul.dump')).includes('mallory'));
});

test('a byte that was changed, another key, and a signature that has been moved are refused', async () => {
	const party = await stranger();
	const good = sign(options(party), key);
	await isIgnored(party, good.replace('Max-Forwards: 20', 'Max-Forwards: 21'));
	await isIgnored(party, good.replace('Call-State-Node: 1', 'Call-State-Node: 2'));
	await isIgnored(party, good.replace('Content-Length: 0', 'Content-Length: 1').concat('x'));
	const [, field] = /(Call-State-Node:[^\r]*\r\n)/.exec(good);
	await isIgnored(party, options(party).replace(/\r\nCSeq/, `\r\n${field}CSeq`));
	await isIgnored(party, good.replace(field, field + field));
	await isIgnored(party, sign(options(party), { ...key, node: Buffer.alloc(32) }));
});

test('clocks may differ by 30 s, and a node whose clock is further off is named in the log', async () => {
	const party = await stranger();
	for (const ahead of [30, -30]) {
		party.send(sign(options(party), key, { ahead }));
		assert.equal((await party.take('the answer')).status, 200);
	}
	await new Promise((resolve) => { setTimeout(resolve, 1000); }); // One line a second.
	await isIgnored(party, sign(options(party), key, { value: '2', ahead: 95 }));
	await until('the line', () => /node 2: its clock and ours differ by 9\d s/.test(cluster.node(1).kamailio.log()));
});

test('a node that has another key ring is told from a stranger in the log', async () => {
	const party = await stranger();
	const [other] = nodeKeys(writeKeyRing(path.join(cluster.dir, 'other'), ['k2']));
	await new Promise((resolve) => { setTimeout(resolve, 1000); });
	await isIgnored(party, sign(options(party), other));
	await until('the line', () => /from 127\.0\.0\.66: signed with a key that is not in our key ring/.test(cluster.node(1).kamailio.log()));
});

test('a node that asks for a client of a third one is not passed on: there are no loops', async () => {
	const party = await stranger();
	const before = await cluster.node(2).kamailio.kamcmd('core.uptime');
	assert.ok(before);
	const text = request(party, 'INFO', `sip:alice@x.invalid;alias=127.0.0.1~4000~5;crc=9;crn=2`, { tag: 'x', fields: [`Route: <sip:${nodeIp(1)}:5060;lr>`] });
	party.send(sign(text, key, { value: '2;from=trunk;proto=udp' }));
	assert.equal((await party.take('the answer')).status, 481);
});

test('what only nodes write is taken off everybody else', async () => {
	const far = await cluster.far();
	const alice = await cluster.client('alice', 1);
	const call = await alice.call({ headers: ['Call-State-Node: 2;from=trunk;proto=udp', 'Call-State-Far: ;lr;ftag=x'] });
	assert.equal(call.final.status, 200);
	for (const m of [...far.requests, call.final]) assert.doesNotMatch(m.text, /Call-State-(Node|Far)/i);
});

test('the address of the trunk over UDP, to a name with an escape that is none, leaves no line', async () => {
	const forger = await cluster.keep(await FarEnd.open({ ip: TRUNK_IP, to: { ip: nodeIp(1), port: SIP_PORT } }));
	const { length } = cluster.node(1).kamailio.log();
	for (const method of ['INVITE', 'MESSAGE']) {
		for (const user of ['x%zz', 'x%a', '%0a']) assert.equal((await forger.outside(method, `sip:${user}@${DOMAIN}`, { to: `sip:alice@${DOMAIN}` })).status, 484);
	}
	assert.deepEqual(cluster.node(1).kamailio.logged(/./, length), []);
});

test('a Contact of ours that is forged, changed or of another call leads to nobody', async () => {
	const far = await cluster.far();
	const alice = await cluster.client('alice', 1);
	const [one, two] = [await cluster.call(alice, far), await cluster.call(alice, far)];
	const { target } = one.theirs;
	assert.match(target, /^sip:alice@127\.0\.0\.11:5060;crf1=[a-z2-7]+;crs-a=[a-z2-7]+$/);
	assert.ok(!target.includes('invalid') && !target.includes('127.0.0.1~'), 'where alice is stays sealed');
	for (const changed of [target.replace(/(crf1=.{40})(.)/, (_, before, c) => before + (c === 'q' ? 'r' : 'q')), target.replace('sip:alice', 'sip:carol'), two.theirs.target, target.replace(/;crs-a=[^;]*/, '')]) {
		assert.equal((await one.theirs.request('INFO', { target: changed })).status, 481);
	}
	assert.equal((await one.theirs.request('INFO')).status, 200);
	assert.equal(alice.requests.filter((m) => m.method === 'INFO').length, 1);
	for (const { theirs } of [one, two]) assert.equal((await theirs.request('BYE')).status, 200);
});

test('a Contact under a key that there is not: a stranger gets one answer and leaves nothing behind, the trunk is told to wait', async () => {
	const sip = { ip: nodeIp(1), port: 5060 };
	const uri = `sip:alice@${nodeIp(1)}:5060;crf1=${'a'.repeat(96)}`;
	const ended = await stat('ended_away');
	const alarms = () => cluster.node(1).kamailio.log().split('under a key that is not in our key ring').length;
	const before = alarms();
	for (const [ip, answers] of [[STRANGER_IP, { INFO: 481, BYE: 481, INVITE: 481 }], [TRUNK_IP, { INFO: 500, BYE: 200, INVITE: 491 }]]) {
		const party = await stranger({ ip, to: sip });
		for (const [method, status] of Object.entries(answers)) {
			party.send(request(party, method, uri, { tag: random(), fields: [`Contact: <sip:x@${party.host}>`] }));
			assert.equal((await party.take('the answer')).status, status, `${method} of ${ip}`);
		}
		// A transaction would say it again, since nobody acknowledges the last one.
		await assert.rejects(party.take('nothing', () => true, { timeout_ms: 2 * SILENCE_MS }), `${ip} is answered twice`);
		if (ip === STRANGER_IP) assert.equal(alarms(), before, 'a stranger raises no alarm');
	}
	assert.equal(await stat('ended_away'), ended, 'nobody has shown that there is such a call');
});

test('a client that names another node in its Contact is where it is', async () => {
	const far = await cluster.far();
	const alice = await cluster.client('alice', 1);
	Object.defineProperty(alice, 'uri', { value: `sip:alice@${alice.host};transport=ws;crn=2;crc=7` });
	const call = await cluster.call(alice, far);
	assert.equal((await call.theirs.request('INFO')).status, 200);
	await alice.take('the INFO', (m) => m.method === 'INFO' && !m.status);
});

test('a client that answers nothing, or is asked for nothing that could be passed on, takes its node from nobody', async () => {
	await cluster.client('carol', 2);
	const silent = await cluster.client('mallory', 2, { answer: () => false });
	const mallory = await cluster.client('mallory', 1, { register: false });
	const alice = await cluster.client('alice', 1);
	// With what two nodes add there are more fields than the module takes apart.
	const many = Array(89).fill('Session-ID: x');
	const end = Date.now() + 7500;
	const asks = setInterval(() => {
		mallory.outside('MESSAGE', `sip:mallory@${DOMAIN}`, { timeout_ms: 1 }).catch(() => {});
		mallory.outside('MESSAGE', `sip:carol@${DOMAIN}`, { headers: many }).catch(() => {});
	}, 100);
	try {
		while (Date.now() < end) {
			const call = await alice.call({ service: 'carol' });
			assert.equal(call.final.status, 200, call.final.start);
			assert.equal((await call.request('BYE')).status, 200);
		}
	} finally {
		clearInterval(asks);
	}
	assert.ok(silent.requests.length > 10);
	assert.deepEqual(cluster.node(1).kamailio.logged(/no answer from another node/), []);
});

test('a client that is refused by another node, again and again, shuts nobody out there', async () => {
	const mallory = await cluster.client('mallory', 1);
	const tag = random();
	const made = new Dialog(mallory, { callId: random(), cseq: 70, target: 'sip:x@x.invalid;alias=127.0.0.1~4000~5;crc=9;crn=2',
		routes: [`<sip:${nodeIp(1)}:${SIP_PORT};lr;ftag=${tag};crs-a=a;crs-b=b>`], local: `<sip:mallory@${DOMAIN}>;tag=${tag}`, remote: '<sip:x@x>;tag=x' });
	for (let i = 0; i < 205; i++) assert.equal((await made.request('INFO', { headers: [`Authorization: Bearer ${mallory.token}`] })).status, 403, `the ${i}th`);
});

/** Node 2, which has been killed: takes part with our key, and answers nothing but the questions whether it is there. */
async function standIn() {
	await cluster.kill(2, { rtpengine: false });
	const node = cluster.keep(await Endpoint.open({ ip: nodeIp(2), port: NODE_PORT }));
	node.handle = (m) => {
		if (m.method === 'OPTIONS') m.answer(sign(replyTo(m, 200, 'OK'), key, { value: '2' }));
		return m.method === 'OPTIONS';
	};
	return node;
}

test('a request in a dialog that a client has made up: no token goes to another node, and that one says nothing', async (t) => {
	const far = await cluster.far();
	const alice = await cluster.client('alice', 1);
	const call = await cluster.call(alice, far);
	const mallory = await cluster.client('mallory', 1);
	const node = await standIn();
	t.after(async () => {
		node.close();
		await cluster.revive(2);
	});
	const { rtpengine } = cluster.nodes.find(({ ip }) => ip === alice.media_ip);
	const [tag] = /[^=]*$/.exec(call.dialog.local);
	const made = new Dialog(mallory, { callId: call.dialog.callId, cseq: 70, target: 'sip:x@x.invalid;alias=127.0.0.1~4000~5;crc=9;crn=2',
		routes: [`<sip:${nodeIp(1)}:${SIP_PORT};lr;ftag=${tag};crs-a=a;crs-b=b>`], local: call.dialog.local, remote: call.dialog.remote });
	Object.assign(made, { local: `<sip:mallory@${DOMAIN}>;tag=${tag}` });
	const answer = made.request('BYE', { headers: [`Authorization: Bearer ${mallory.token}`], timeout_ms: 20000 });
	const passed = await node.take('the BYE', (m) => m.method === 'BYE');
	assert.ok(!passed.text.includes(mallory.token), passed.text);
	assert.equal((await answer).status, 200);
	assert.ok((await rtpengine.calls()).includes(call.dialog.callId), 'the media of that call are gone');
	assert.doesNotMatch(cluster.node(1).kamailio.log(), new RegExp(`CDR end=[^;]*;call_id=${call.dialog.callId};`));
});

for (const [transport, status, what] of [['tcp', 200, 'the trunk\'s own business'], ['udp', 488, 'refused: anybody can write its address']]) {
	test(`media inside that the trunk names over ${transport} are ${what}, also at another node than it is connected to`, async () => {
		const alice = await cluster.client('alice', 1);
		await until('alice to be known', async () => /AoR: alice@[^]*?Server-Id: 1/.test(await cluster.node(2).kamailio.kamcmd('ul.dump')));
		const trunk = cluster.keep(await FarEnd.open({ ip: TRUNK_IP, user: 'bob', transport, to: cluster.at(2) }));
		const call = await trunk.call({ service: 'alice', body: sdp('10.9.0.1', 4000) });
		assert.equal(call.final.status, status, call.final.start);
		if (status !== 200) return;
		const invite = await alice.take('the INVITE', (m) => m.method === 'INVITE' && !m.status);
		assert.doesNotMatch(invite.body, /10\.9\./);
		const again = await call.request('INVITE', { body: sdp('10.9.0.2', 4000, 2) });
		assert.equal(again.status, 200, again.start);
		call.ack();
		assert.equal((await call.request('BYE')).status, 200);
	});
}

for (const [what, waits] of [['rings at once', false], ['waits there for its page', true]]) {
	test(`with the address of the trunk over UDP, to a client of another node, that ${what}: its sender hears nobody`, async () => {
		const far = await cluster.far({ at: 1 });
		let alice = await cluster.client('alice', 2);
		await until('its node to be known', async () => /AoR: alice@[^]*?Server-Id: 2/.test(await cluster.node(1).kamailio.kamcmd('ul.dump')));
		if (waits) cluster.lose(alice);
		const called = far.call({ service: 'alice', acknowledge: false });
		if (waits) {
			await assert.rejects(far.take('an answer', (m) => m.status >= 180, { timeout_ms: SILENCE_MS }));
			alice = await cluster.client('alice', 2);
		}
		const call = await called;
		assert.equal(call.final.status, 200, call.final.start);
		const { body } = await alice.take('the INVITE', (m) => m.method === 'INVITE' && !m.status);
		const ip = /c=IN IP4 (\S+)/.exec(body)[1];
		const { rtpengine } = cluster.nodes.find((node) => node.ip === ip);
		const tag = /;tag=(.*)/.exec(alice.dialog(call.callId).local)[1];
		alice.audio.send(audioPort(body), ip);
		await until('alice to be heard', async () => ((await rtpengine.packets(call.callId))[tag] ?? 0) >= 10);
		assert.equal(far.audio.received, 0);
		// Who sees the answer is no stranger.
		call.ack();
		await until('the trunk to hear her', () => far.audio.received > 0);
	});
}

test('a user who registers again and again takes no memory of the nodes, and others register as ever', async () => {
	const alice = await cluster.client('alice', 1, { transport: 'tcp' });
	const usages = cluster.nodes.map(({ kamailio }) => new Usage(kamailio));
	const all = async () => (await Promise.all(usages.map((u) => u.shared()))).reduce((a, b) => a + b);
	const before = await all();
	let answers = 0;
	alice.handle = (m) => (answers += m.status === 503);
	const N = 4000;
	for (let i = 0; i < N; i++) {
		alice.send(request(alice, 'REGISTER', `sip:${DOMAIN}`, { to: `sip:alice@${DOMAIN}`, fields: [`Authorization: Bearer ${alice.token}`, `Contact: <sip:${i}@${alice.host};transport=tcp>`] })
			.replace('SIP/2.0/UDP', 'SIP/2.0/TCP').replace(/From: <sip:x@/, 'From: <sip:alice@'));
	}
	await until('most to be refused', () => answers >= N - 300);
	const more = await all() - before;
	assert.ok(more < 15_000_000, `${more} bytes`);
	await cluster.client('carol', 1, { transport: 'tcp' });
});
