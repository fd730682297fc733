// SPDX-License-Identifier: GPL-2.0-or-later
// A node is drained: its clients go to the others, their calls with them, and it says when it is empty.

import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';

import { Cluster } from '../lib/cluster.mjs';
import { DOMAIN, FarEnd, sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

const DRAIN_TIME = 2;
const GAP = 60; // ms of audio
let cluster;

test.before(async () => { cluster = await Cluster.start('cluster-drain', { defines: { DRAIN_TIME } }); });
test.afterEach(async () => {
	if (cluster.node(1).alive) await drain(1, 'off');
	await cluster.clear();
	if (!cluster.node(1).alive) await cluster.revive(1);
});
test.after(() => cluster?.stop());

/** What kamcmd says, as an object. */
async function drain(number, ...words) {
	const text = await cluster.node(number).kamailio.kamcmd('call_resume.drain', ...words);
	return Object.fromEntries([...text.matchAll(/^\s*(\w+): (.*)$/gm)].map(([, name, value]) => [name, /^\d+$/.test(value) ? Number(value) : value]));
}

const left = async () => {
	const { websocket, connection, udp, calls, empty } = await drain(1, 'status');
	return { websocket, connection, udp, calls, empty };
};
const EMPTY = { websocket: 0, connection: 0, udp: 0, calls: 0, empty: 'yes' };

const isRequest = (method) => (m) => m.method === method && !m.status;
const isTold = (m) => isRequest('NOTIFY')(m) && m.get('call-state') === 'drain';

/** Another connection of a page that lives, with its calls, its Contact and its media. */
async function connect(client, number) {
	const { ip, kamailio } = cluster.node(number);
	const { user, token, media, host, dialogs, audio } = client;
	const next = cluster.keep(await FarEnd.open({ user, transport: 'ws', token, media, to: { ip, port: kamailio.ws } }));
	for (const dialog of dialogs.values()) dialog.party = next;
	Object.assign(next, { host, dialogs, audio, number, media_ip: client.media_ip });
	client.close();
	assert.equal((await next.register()).status, 200);
	return next;
}

/** What web/call-resume.js does when it is told. */
async function moves({ client, dialog, ...call }, number) {
	await client.take('the NOTIFY', isTold);
	const next = await connect(client, number);
	dialog.party = next;
	const answer = await dialog.request('INVITE', { body: sdp(next.ip, next.media, 2) });
	assert.equal(answer.status, 200, answer.start);
	dialog.ack();
	return { ...call, client: next, dialog };
}

for (const role of ['caller', 'callee']) {
	test(`a ${role} is told, goes to another node without a gap, and the node is empty and stopped`, async () => {
		const far = await cluster.far();
		let call = await cluster.call(await cluster.client('alice', 1), far, role);
		assert.deepEqual(await left(), { websocket: 1, connection: 0, udp: 0, calls: 1, empty: 'no' });
		const both = [call.client.audio, far.audio];
		for (const audio of both) audio.hole = 0;
		await drain(1);
		call = await moves(call, 2);
		await until('the node to be empty', async () => (await left()).empty === 'yes');
		assert.deepEqual(await left(), EMPTY);
		assert.equal((await drain(1)).told, 1);
		await cluster.kill(1, { rtpengine: false });
		await cluster.converse(call);
		const [client, other] = both.map(({ hole }) => hole);
		console.log(`# ${role}: the longest gap while it moved and its node was stopped: ${client} ms at the client, ${other} ms at the far end`);
		assert.ok(client <= GAP && other <= GAP, `${client} and ${other} ms`);
		await cluster.hangUp(call, role === 'caller' ? 'far end' : 'client');
		await cluster.revive(1);
	});
}

test('a page that does not go loses its WebSocket, and its call goes on', async () => {
	const far = await cluster.far();
	const call = await cluster.call(await cluster.client('alice', 1), far);
	await drain(1);
	await call.client.take('the NOTIFY', isTold);
	const told = performance.now();
	await until('its WebSocket to be closed', () => call.client.sockets.size === 0);
	const after = performance.now() - told;
	assert.ok(after > 900 * DRAIN_TIME, `after ${after} ms`);
	assert.equal((await drain(1)).closed, 1);
	const client = await connect(call.client, 2);
	call.dialog.party = client;
	assert.deepEqual(await left(), EMPTY);
	assert.equal((await call.theirs.request('INFO')).status, 200);
	assert.equal((await call.dialog.request('INFO')).status, 200);
	await cluster.hangUp({ ...call, client });
});

const get = (path, headers = {}) => new Promise((resolve, reject) => {
	const { ip, kamailio } = cluster.node(1);
	http.get({ host: ip, port: kamailio.ws, path, headers, agent: false }, (reply) => resolve(reply.resume())).on('error', reject);
});
const handshake = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==', 'Sec-WebSocket-Protocol': 'sip' };

test('what is new goes elsewhere: WebSockets, registrations and calls of phones, the questions of balancers', async () => {
	const far = await cluster.far();
	const phone = await cluster.client('alice', 1, { transport: 'tcp' });
	const ask = () => far.outside('OPTIONS', `sip:${cluster.node(1).ip}`);
	assert.equal((await get('/health')).statusCode, 200);
	assert.equal((await ask()).status, 200);

	await drain(1);
	for (const reply of [await get('/health'), await get('/ws', handshake)]) {
		assert.equal(reply.statusCode, 503);
		assert.equal(reply.headers['retry-after'], '1');
	}
	assert.equal((await ask()).status, 503);
	for (const refused of [await phone.register(), await phone.outside('INVITE', `sip:bob@${DOMAIN}`, { body: sdp(phone.ip, phone.media) })]) {
		assert.equal(refused.status, 503);
		assert.equal(refused.get('retry-after'), '60');
	}
	assert.deepEqual(await left(), { ...EMPTY, connection: 1, empty: 'no' });
	assert.equal((await phone.register({ headers: ['Expires: 0'] })).status, 200);
	assert.deepEqual(await left(), EMPTY);

	await drain(1, 'off');
	assert.equal((await get('/health')).statusCode, 200);
	assert.equal((await ask()).status, 200);
	assert.equal((await phone.register()).status, 200);
});

test('calls that the trunk sends to it are served, and so is who is still there or comes back to a call', async () => {
	const far = await cluster.far();
	const phone = await cluster.client('alice', 1, { transport: 'tcp' });
	await cluster.client('carol', 2);
	const call = await cluster.call(phone, far);
	await drain(1);
	for (const [service, at] of [['carol', 1], ['alice', 1], ['alice', 2]]) {
		far.to = cluster.at(at);
		const theirs = await far.call({ service });
		assert.equal(theirs.final.status, 200, `${service} by node ${at}: ${theirs.final.start}`);
		assert.equal((await theirs.request('BYE')).status, 200);
	}
	cluster.lose(phone);
	const back = await cluster.resume(call, 1, { register: false });
	await cluster.converse(back);
	await cluster.hangUp(back);
});

test('it does not say how many calls there are when a media server says nothing', async () => {
	await cluster.client('alice', 1);
	assert.deepEqual(await left(), { websocket: 1, connection: 0, udp: 0, calls: 0, empty: 'no' });
	const { proc } = cluster.node(1).rtpengine;
	await proc.freeze();
	try {
		assert.deepEqual(await left(), { websocket: 1, connection: 0, udp: 0, calls: undefined, empty: 'no' });
	} finally {
		proc.thaw();
	}
});

test('a word that it does not know is refused', async () => {
	await assert.rejects(cluster.node(1).kamailio.kamcmd('call_resume.drain', 'now'), /off\|status/);
});
