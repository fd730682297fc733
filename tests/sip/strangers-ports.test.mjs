// SPDX-License-Identifier: GPL-2.0-or-later
// A stranger behind the NAT of a client, or on its machine, who comes from its port: to another port of the gateway. Kamailio finds
// the connection to a client by address and port.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import { once } from 'node:events';

import { Client, FarEnd, random } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Usage } from '../lib/usage.mjs';
import { freePort } from '../lib/ports.mjs';
import { sleep, until } from '../lib/wait.mjs';

const NAT_IP = '127.0.0.77';
let stack, far, token;
let open = [];
let port = 41000;
const LOOK_MS = 300; // it looks every 20 ms, and may have to wait for a processor
before(async () => {
	stack = await Stack.start('strangers-ports', { tls: true });
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 's-1');
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: at('port') });
});
afterEach(() => open.splice(0).forEach((p) => (p.destroy ? p.destroy() : p.close())));
after(async () => {
	far?.close();
	await stack?.stop();
});

const at = (where) => ({ ip: stack.kamailio.ip, port: stack.kamailio[where] });
const LISTENERS = { tcp: 'port', ws: 'ws', tls: 'tls', wss: 'wss' };

async function client(transport) {
	const self = await FarEnd.open({ user: 'alice', token, ip: NAT_IP, port, transport, to: at(LISTENERS[transport]), media: 4300 });
	open.push(self);
	return self;
}

/** With its handshake, so that it is a WebSocket, or TLS, as the client's may be. */
async function stranger(where) {
	const secure = where === 'tls' || where === 'wss';
	const options = { host: stack.kamailio.ip, port: at(LISTENERS[where]).port, localAddress: NAT_IP, localPort: port };
	const socket = secure ? tls.connect({ ...options, rejectUnauthorized: false }) : net.connect(options);
	open.push(socket);
	Object.assign(socket, { got: '', isClosed: false });
	socket.on('data', (d) => { socket.got += d.toString('latin1'); }).on('error', () => {}).on('close', () => { socket.isClosed = true; });
	await once(socket, secure ? 'secureConnect' : 'connect').catch(() => {});
	if (where.startsWith('ws')) {
		socket.write(['GET / HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: sip',
			`Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`, '', ''].join('\r\n'));
	}
	return socket;
}

/** The far end calls, and each sends a request to the other. */
async function assertCalled(alice) {
	const call = await far.call({ service: 'alice' });
	assert.equal(call.final.status, 200, call.final.start);
	await alice.take('the ACK', (m) => m.method === 'ACK' && m.callId === call.callId);
	const reply = await call.request('BYE');
	assert.equal(reply.status, 200, reply.start);
}

for (const [ours, theirs] of [['tcp', 'ws'], ['tcp', 'tls'], ['tls', 'tcp'], ['tls', 'wss'], ['ws', 'tcp'], ['wss', 'tls'], ['wss', 'ws']]) {
	test(`a client on ${ours} has its calls when a stranger comes from its port, over ${theirs}; that one is closed`, async () => {
		port++;
		const alice = await client(ours);
		assert.equal((await alice.register()).status, 200);
		const other = await stranger(theirs);
		await assertCalled(alice);
		await until('that one to be closed', () => other.isClosed);
		assert.doesNotMatch(other.got, /INVITE|ACK|BYE/);
		await assertCalled(alice);
	});

	test(`a client on ${ours} has them too when a stranger was at its port before, over ${theirs}`, async () => {
		port++;
		const other = await stranger(theirs);
		await sleep(100);
		const alice = await client(ours);
		assert.equal((await alice.register()).status, 200);
		await until('that one to be closed', () => other.isClosed);
		await sleep(LOOK_MS);
		await assertCalled(alice);
		assert.doesNotMatch(other.got, /INVITE|ACK|BYE/);
	});
}

test('a client comes back from another port when somebody with a token was at its port before', async () => {
	port++;
	const bob = await Client.open({ user: 'bob', token: await stack.kamailio.token(`sip:bob@${DOMAIN}`, 's-2'), ip: NAT_IP, port, transport: 'ws', to: at('ws') });
	open.push(bob);
	assert.equal((await bob.register()).status, 200);
	const second = net.connect({ host: stack.kamailio.ip, port: at('port').port, localAddress: NAT_IP, localPort: port });
	open.push(second.on('error', () => {}));
	await once(second, 'close');
	port++;
	const alice = await client('tcp');
	assert.equal((await alice.register()).status, 200);
	await assertCalled(alice);
});

test('two who prove nothing: the first one stays', async () => {
	port++;
	const first = await stranger('tls');
	const second = await stranger('ws');
	await until('the later one to be closed', () => second.isClosed);
	assert.equal(first.isClosed, false);
});

test('a client that resets its connection, and is back from the same port at once, has its calls', async () => {
	port++;
	for (let i = 0; i < 10; i++) {
		const alice = await client('tcp');
		assert.equal((await alice.register()).status, 200);
		await sleep(LOOK_MS);
		await assertCalled(alice);
		open.splice(open.indexOf(alice), 1);
		alice.socket.resetAndDestroy();
	}
});

test('a far end that comes from the port at which it listens, too, has its calls', async () => {
	const listens = await freePort(TRUNK_IP);
	const other = await Stack.start('strangers-ports-far', { defines: { TRUNK_URI: `"sip:${TRUNK_IP}:${listens};transport=tcp"` } });
	try {
		const to = { ip: other.kamailio.ip, port: other.kamailio.port };
		const bob = await FarEnd.open({ ip: TRUNK_IP, port: listens, transport: 'tcp', listen: true, media: 4100 });
		open.push(bob);
		const alice = await FarEnd.open({ user: 'alice', token: await other.kamailio.token(`sip:alice@${DOMAIN}`, 's-1'), ip: NAT_IP, transport: 'tcp', to, media: 4300 });
		open.push(alice);
		assert.equal((await alice.register()).status, 200);
		const call = await alice.call();
		assert.equal(call.final.status, 200, call.final.start);
		// Its port is free for it when nobody listens there.
		bob.server.close();
		const again = await FarEnd.open({ ip: TRUNK_IP, port: listens, transport: 'tcp', to, media: 4500 });
		open.push(again);
		let isClosed = false;
		again.socket.on('close', () => { isClosed = true; });
		await sleep(500);
		assert.equal(isClosed, false);
		const back = await again.call({ service: 'alice' });
		assert.equal(back.final.status, 200, back.final.start);
		assert.equal((await back.request('BYE')).status, 200);
		assert.equal((await call.request('BYE')).status, 200);
	} finally {
		await other.stop();
	}
});

test('no memory is kept of those that are closed', async () => {
	port++;
	const alice = await client('tcp');
	assert.equal((await alice.register()).status, 200);
	const usage = new Usage(stack.kamailio);
	const before = await usage.shared();
	for (let i = 0; i < 100; i++) {
		const other = await stranger('tls');
		await until('that one to be closed', () => other.isClosed);
	}
	// Each had 16 KB and what TLS takes.
	await until('their memory to be free', async () => await usage.shared() - before < 100000);
});

test('no line says what it was', () => assert.doesNotMatch(stack.kamailio.log(), /ERROR|CRITICAL|hijack/));
