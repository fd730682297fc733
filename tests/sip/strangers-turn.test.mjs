// SPDX-License-Identifier: GPL-2.0-or-later
// What a user gets out of TURN credentials: rtpengine through the relay, and nobody else.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import fs from 'node:fs';
import { createHmac, randomBytes } from 'node:crypto';

import { Coturn } from '../lib/coturn.mjs';
import { FarEnd, message, random } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { TurnClient } from '../lib/turn.mjs';
import { until } from '../lib/wait.mjs';

let stack, coturn, client;
before(async () => {
	stack = await Stack.start('strangers-turn', { web: true, turn: true });
	const secret = randomBytes(32).toString('hex');
	// With the trunk on one machine.
	coturn = await Coturn.start(stack.dir, { ip: TRUNK_IP, name: 'coturn-trunk', secret, peers: ['127.0.0.1'] });
	const user = `${Math.floor(Date.now() / 1000) + 600}:sip:mallory@${DOMAIN}`;
	client = await TurnClient.open({ to: coturn, user, pass: createHmac('sha1', secret).update(user).digest('base64') });
	assert.equal((await client.allocate()).status, 200);
});
after(async () => {
	client?.close();
	await coturn?.stop();
	await stack?.stop();
});

test('a relay carries nothing to anybody on the Internet', async () => {
	for (const ip of ['8.8.8.8', '1.1.1.1', '100.128.0.1', '198.51.101.1', '203.0.112.5', '126.255.255.255']) {
		assert.equal((await client.permit(ip)).status, 403, ip);
	}
});

test('coturn at the trunk\'s address: what comes through a relay is not the trunk\'s, what the trunk sends is', async () => {
	const token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 's1');
	const gateway = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const alice = await FarEnd.open({ user: 'alice', token, transport: 'ws', to: { ip: gateway.ip, port: stack.kamailio.ws } });
	const bob = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway });
	try {
		assert.equal((await alice.register()).status, 200);
		assert.equal((await client.permit(gateway.ip)).status, 200);
		client.sendTo(gateway, message(`MESSAGE sip:alice@${DOMAIN} SIP/2.0`, [
			`Via: SIP/2.0/UDP ${TRUNK_IP}:9;rport;branch=z9hG4bK${random()}`, 'Max-Forwards: 70',
			`From: <sip:+4930@${DOMAIN}>;tag=1`, `To: <sip:alice@${DOMAIN}>`, `Call-ID: ${random()}`, 'CSeq: 1 MESSAGE',
		]));
		await until('an answer', () => client.data.some((d) => /^SIP\/2\.0 40[13] /.test(String(d))));
		assert.equal(alice.requests.length, 0);
		assert.equal((await bob.outside('MESSAGE', `sip:alice@${DOMAIN}`)).status, 200);
		assert.equal(alice.requests.length, 1);
	} finally {
		alice.close();
		bob.close();
	}
});

test('who asks from many ports, and goes on no further, has the memory of each for some seconds', async () => {
	const relay = await Coturn.start(stack.dir, { name: 'coturn-many', secret: 'x'.repeat(32) });
	const memory_kb = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${relay.proc.pid}/status`, 'utf8'))[1]);
	/** An Allocate request without credentials (RFC 8656 section 7.1). */
	const request = () => Buffer.concat([Buffer.from('000300002112a442', 'hex'), randomBytes(12)]);
	/** How much more memory it has, in kB, when each of 500 ports has had its 401. */
	const asked = async () => {
		const before = memory_kb();
		const sockets = Array.from({ length: 500 }, () => dgram.createSocket('udp4'));
		await Promise.all(sockets.map((socket) => new Promise((resolve, reject) => {
			socket.once('message', resolve).once('error', reject).bind(0, '127.0.0.66', () => socket.send(request(), relay.port, relay.ip));
		})));
		sockets.forEach((socket) => socket.close());
		return memory_kb() - before;
	};
	try {
		const first = await asked();
		assert.ok(first > 500, `${first} kB`);
		await until('their memory to be there again', async () => await asked() < first / 10, { timeout_ms: 20000, every_ms: 1000 });
	} finally {
		await relay.stop();
	}
});
