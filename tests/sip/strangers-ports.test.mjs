// SPDX-License-Identifier: GPL-2.0-or-later
// A stranger behind the NAT of a client, or on its machine, who comes from its port: to another port of the gateway. Kamailio finds
// the connection to a client by address and port.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { once } from 'node:events';

import { Client, FarEnd, message, random } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { Usage } from '../lib/usage.mjs';
import { freePort } from '../lib/ports.mjs';
import { variant } from '../lib/variant.mjs';
import { sleep, until } from '../lib/wait.mjs';

const NAT_IP = '127.0.0.77';
let stack, far, token;
let open = [];
let port = 41000;
const LOOK_MS = 300; // it looks every 20 ms
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

const HANDSHAKE = ['GET / HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: sip',
	`Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`, '', ''].join('\r\n');
const REGISTER = message(`REGISTER sip:${DOMAIN} SIP/2.0`, ['Via: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1;rport', 'Max-Forwards: 70',
	`From: <sip:carol@${DOMAIN}>;tag=1`, `To: <sip:carol@${DOMAIN}>`, 'Call-ID: of-a-stranger', 'CSeq: 1 REGISTER', 'Contact: <sip:carol@192.0.2.1>']);
/** For who has no token the script takes longer than his connection lasts. */
const LATE = '\tif ($hdr(Authorization) == $null) { usleep("500000"); xlog("L_ALERT", "he is answered\\n"); }';

/** From the client's port, over TLS where its is. */
async function connect(where, to) {
	const secure = where === 'tls' || where === 'wss';
	const options = { host: stack.kamailio.ip, port: to, localAddress: NAT_IP, localPort: port };
	const socket = secure ? tls.connect({ ...options, rejectUnauthorized: false }) : net.connect(options);
	open.push(socket);
	Object.assign(socket, { got: '', isClosed: false });
	socket.on('data', (d) => { socket.got += d.toString('latin1'); }).on('error', () => {}).on('close', () => { socket.isClosed = true; });
	await once(socket, secure ? 'secureConnect' : 'connect').catch(() => {});
	return socket;
}

/** With its handshake, so that it is a WebSocket, as the client's may be. */
async function stranger(where) {
	const socket = await connect(where, at(LISTENERS[where]).port);
	if (where.startsWith('ws')) socket.write(HANDSHAKE);
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
		await until('it to have its calls', async () => { await assertCalled(alice); return true; });
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
		await until('it to have its calls', async () => { await assertCalled(alice); return true; });
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

test('what answers a stranger late, when his connection is closed, does not come to the client at his port', async (t) => {
	const cfg = variant(runFolder('strangers-ports-late-cfg'), 'late', 'HTTP_REFUSE', LATE);
	fs.writeFileSync(cfg, fs.readFileSync(cfg, 'utf8').replace('\tws_handle_handshake();', `${LATE}\n$&`)
		.replace('request_route {', `$&\n${LATE}`).replace('#!ifdef WITH_RESUME\n# Here:', 'loadmodule "cfgutils.so"\n$&'));
	const late = await Stack.start('strangers-ports-late', { tls: true, kamailio: { cfg }, defines: { TCP_CHILDREN: 4 } });
	t.after(() => late.stop());
	const to = (where) => ({ ip: late.kamailio.ip, port: late.kamailio[LISTENERS[where]] });
	const alices = await late.kamailio.token(`sip:alice@${DOMAIN}`, 's-1');
	for (const [ours, theirs, ask] of [
		['tcp', 'ws', HANDSHAKE], ['tls', 'wss', HANDSHAKE], ['wss', 'ws', HANDSHAKE], ['tcp', 'ws', 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n'],
		['tcp', 'tls', REGISTER], ['tls', 'tcp', REGISTER.replace('TLS', 'TCP')],
	]) {
		await t.test(`${ask.split(' ', 2).join(' ')}, over ${theirs}; the client is on ${ours}`, async () => {
			port++;
			const alice = await FarEnd.open({ user: 'alice', token: alices, ip: NAT_IP, port, transport: ours, to: to(ours) });
			open.push(alice);
			assert.equal((await alice.register()).status, 200);
			const { length } = late.kamailio.log();
			let other;
			// Some are closed before they are read.
			await until('one whose answer is late', async () => {
				other = await connect(theirs, to(theirs).port);
				other.write(ask);
				await until('that one to be closed', () => other.isClosed);
				await sleep(2 * LOOK_MS);
				return late.kamailio.logged(/is answered/, length).length > 0;
			});
			assert.equal(other.got, '');
			await sleep(LOOK_MS);
			assert.equal((await alice.register({ cseq: 2 })).status, 200);
			assert.deepEqual(alice.inbox.map((m) => m.start), []);
		});
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

// (But for a call that comes before it has looked.)
test('no line says what it was', () => assert.deepEqual(stack.kamailio.logged(/^(?!.* INVITE\}).*(ERROR|CRITICAL|hijack)/), []));
