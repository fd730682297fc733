// SPDX-License-Identifier: GPL-2.0-or-later
// Requests on a connection that is closed before their answer: none is opened back.

import { after, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';

import { Lab, STRANGER_IP, stray } from '../lib/lab.mjs';
import { message, random } from '../lib/sip.mjs';
import { DOMAIN } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

/** What Kamailio's readers answer by themselves, before any script: a ping (RFC 5626 section 4.4.1), HTTP that asks whether to go on. */
const BY_ITSELF = {
	'pings of two CRLF': ['port', '\r\n\r\n'],
	'HTTP with Expect': ['ws', 'GET /nothing HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx'],
};

const HANDSHAKE = ['GET / HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: sip',
	`Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`, '', ''].join('\r\n');

/** Write it all at once and reset the connection, before Kamailio reads. @return what listens at its port since */
function hitAndRun(lab, port, text, listen = (localPort) => lab.trap(STRANGER_IP, localPort)) {
	return lab.stack.kamailio.paused(async () => {
		const socket = net.connect({ host: lab.stack.kamailio.ip, port, localAddress: STRANGER_IP });
		socket.on('error', () => {});
		await once(socket, 'connect'); // by the kernel
		const { localPort } = socket;
		await new Promise((resolve) => { socket.write(text, resolve); });
		socket.resetAndDestroy();
		await once(socket, 'close');
		return listen(localPort);
	});
}

describe('requests on a connection that is closed before their answer', () => {
	let lab;
	before(async () => { lab = await Lab.start('closed', { defines: { STRANGERS_MAX: 1000000 } }); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	const gone = () => until('the connection to be gone', async () => /opened_connections: 0/.test(await lab.stack.kamailio.kamcmd('core.tcp_info')));

	// First, before there was a message.
	for (const [what, [where, text]] of Object.entries(BY_ITSELF)) {
		test(`${what}: none is opened back`, async () => {
			for (let round = 0; round < 4; round++) {
				const back = await hitAndRun(lab, lab.stack.kamailio[where], text.repeat(20));
				await gone();
				assert.equal(back.connections, 0);
			}
		});
	}

	test('pings leave no line, however many connections are gone before the answer', async () => {
		const { kamailio } = lab.stack;
		const { length } = kamailio.log();
		for (let round = 0; round < 50; round++) {
			const socket = net.connect({ host: kamailio.ip, port: kamailio.port, localAddress: STRANGER_IP });
			socket.on('error', () => {});
			await once(socket, 'connect');
			socket.write('\r\n\r\n'.repeat(1000));
			socket.resetAndDestroy();
		}
		await gone();
		assert.deepEqual(kamailio.logged(/./, length), []);
	});

	test('SIP: none is opened back', async () => {
		for (const user of ['closed-1', 'closed-2', 'closed-3']) {
			const requests = ['INVITE', 'OPTIONS', 'MESSAGE', 'BYE', 'INVITE', 'REGISTER'].map((method) => message(`${method} sip:x@${DOMAIN} SIP/2.0`, [
				`Via: SIP/2.0/TCP ${STRANGER_IP}:9;branch=z9hG4bK${random()}`, 'Max-Forwards: 70', `From: <sip:${user}@${DOMAIN}>;tag=1`,
				`To: <sip:x@${DOMAIN}>${method === 'BYE' ? ';tag=2' : ''}`, `Call-ID: ${random()}`, `CSeq: 1 ${method}`]));
			const back = await hitAndRun(lab, lab.stack.kamailio.port, requests.join(''));
			await until('all of them to be refused', () => lab.stack.kamailio.log().split(`${user}@`).length > 4);
			await gone();
			assert.equal(back.connections, 0);
		}
	});

	test('HTTP: none is opened back', async () => {
		for (let round = 0; round < 3; round++) {
			const back = await hitAndRun(lab, lab.stack.kamailio.ws, 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
			await gone();
			assert.equal(back.connections, 0);
		}
	});

	test('handshakes of a WebSocket: none is opened back, and they leave no line', async () => {
		const { kamailio } = lab.stack;
		const { length } = kamailio.log();
		for (let round = 0; round < 4; round++) {
			const back = await hitAndRun(lab, kamailio.ws, HANDSHAKE);
			await gone();
			assert.equal(back.connections, 0);
		}
		assert.deepEqual(kamailio.log().slice(length).split('\n').filter((line) => line && !line.includes('SIGCHLD')), []);
	});

	test('pings behind a reply that nobody has asked for: none is opened back', async () => {
		const before = await lab.stat('replies_refused');
		for (let round = 1; round <= 4; round++) {
			const reply = stray(lab, { callId: random(), from: 'x', to: 'y' }).replace('SIP/2.0/UDP', 'SIP/2.0/TCP');
			const back = await hitAndRun(lab, lab.stack.kamailio.port, reply + '\r\n\r\n'.repeat(20));
			await until('the reply to be refused', async () => await lab.stat('replies_refused') === before + round);
			await gone();
			assert.equal(back.connections, 0);
		}
	});

	test('a ping is answered on its connection', async () => {
		const { ip, port } = lab.stack.kamailio;
		const socket = net.connect({ host: ip, port, localAddress: STRANGER_IP });
		try {
			socket.write('\r\n\r\n');
			const [answer] = await once(socket, 'data');
			assert.equal(answer.toString('latin1'), '\r\n');
		} finally {
			socket.destroy();
		}
	});
});

describe('where clients are, answers to connections that are gone', () => {
	const MAX = 5;
	const EACH = 20;
	let lab;
	before(async () => {
		lab = await Lab.start('closed-familiar', { defines: { STRANGERS_MAX: MAX } });
		const mallory = await lab.party('mallory', { transport: 'tcp', ip: STRANGER_IP });
		assert.equal((await mallory.register()).status, 200);
	});
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	const request = (via) => message(`OPTIONS sip:x@${DOMAIN} SIP/2.0`, [`Via: SIP/2.0/${via} ${STRANGER_IP}:9;branch=z9hG4bK${random()}`, 'Max-Forwards: 70',
		`From: <sip:x@${DOMAIN}>;tag=1`, `To: <sip:x@${DOMAIN}>`, `Call-ID: ${random()}`, 'CSeq: 1 OPTIONS']);
	/** With a mask of zeros. */
	const frame = (text) => Buffer.concat([Buffer.from([0x81, 0xfe, text.length >> 8, text.length & 0xff, 0, 0, 0, 0]), Buffer.from(text)]);
	/** What is sent, to which port, behind what has been answered. */
	const KINDS = {
		'of SIP': ['port', () => request('TCP')],
		'of HTTP': ['ws', () => 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n'],
		'in a WebSocket': ['ws', () => frame(request('WS')), HANDSHAKE],
	};
	for (const [what, [port, one, first]] of Object.entries(KINDS)) {
		test(`${what}: leave no more lines than others`, async () => {
			const { kamailio } = lab.stack;
			const { length } = kamailio.log();
			for (let round = 0; round < 10; round++) {
				const socket = net.connect({ host: kamailio.ip, port: kamailio[port], localAddress: STRANGER_IP });
				socket.on('error', () => {});
				await once(socket, 'connect');
				if (first) {
					socket.write(first);
					await once(socket, 'data');
				}
				await kamailio.paused(async () => {
					for (let i = 0; i < EACH; i++) socket.write(one());
					await new Promise((resolve) => { socket.write('', resolve); });
					socket.resetAndDestroy();
					await once(socket, 'close');
				});
			}
			await until('all of them to be gone', async () => /opened_connections: 1\b/.test(await kamailio.kamcmd('core.tcp_info')));
			await until('the log to be still', async () => {
				const before = kamailio.log().length;
				await new Promise((resolve) => { setTimeout(resolve, 300); });
				return kamailio.log().length === before;
			});
			const lines = kamailio.log().slice(length).split('\n').filter((line) => line && !line.includes('SIGCHLD'));
			assert.ok(lines.length <= 4 * MAX, lines.join('\n'));
		});
	}
});

test('where Kamailio opens them: they are of that address, and end', async () => {
	const lab = await Lab.start('opened', { defines: { RESUME_CONNECT_BACK: 1, UNPROVED_MAX: 2, UNPROVED_TIME: 4 } });
	const back = [];
	/** Talks for as long as it may. */
	const hold = async (localPort) => {
		const server = net.createServer((socket) => {
			const talk = setInterval(() => socket.write('\r\n\r\n'), 300);
			const one = { closed: false };
			back.push(one);
			socket.on('error', () => {}).on('data', () => {}).on('close', () => {
				clearInterval(talk);
				one.closed = true;
			});
			lab.keep({ close: () => socket.destroy() });
		}).listen(localPort, STRANGER_IP);
		lab.keep({ close: () => server.close() });
		await once(server, 'listening');
	};
	try {
		while (back.length < 4) {
			const n = back.length;
			await hitAndRun(lab, lab.stack.kamailio.port, '\r\n\r\n'.repeat(20), hold);
			await until('one to be opened', () => back.length > n, { timeout_ms: 3000 }).catch(() => {});
		}
		await until('those above its number to be closed', () => back.filter((b) => !b.closed).length <= 2, { timeout_ms: 3000 });
		await until('the others to be closed', () => back.every((b) => b.closed), { timeout_ms: 10000 });
	} finally {
		await lab.clear();
		await lab.stack.stop();
	}
});
