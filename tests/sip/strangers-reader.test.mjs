// SPDX-License-Identifier: GPL-2.0-or-later
// What Kamailio's reader of TCP and TLS cannot read: MSRP, and HTTP in chunks. One such message ends it, see docs/upstream.md.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';

import { message, random } from '../lib/sip.mjs';
import { Kamailio } from '../lib/kamailio.mjs';
import { DOMAIN, Stack, runFolder } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const STRANGER_IP = '127.0.0.66';
let stack;
let open = [];

before(async () => { stack = await Stack.start('strangers-reader', { tls: true, defines: { STRANGERS_MAX: 1000000 } }); });
afterEach(() => open.splice(0).forEach((s) => s.destroy()));
after(() => stack?.stop());

async function connect(where, more = {}) {
	const secure = where === 'tls' || where === 'wss';
	const options = { host: stack.kamailio.ip, port: stack.kamailio[where === 'tcp' ? 'port' : where], localAddress: STRANGER_IP, ...more };
	const socket = secure ? tls.connect({ ...options, rejectUnauthorized: false }) : net.connect(options);
	socket.on('error', () => {});
	open.push(socket);
	await once(socket, secure ? 'secureConnect' : 'connect');
	socket.setNoDelay(true);
	socket.got = '';
	socket.on('data', (d) => { socket.got += d.toString('latin1'); });
	return socket;
}

const request = (name, { method = 'OPTIONS', fields = [], body = '' } = {}) => message(`${method} sip:${name}@${DOMAIN} SIP/2.0`, [
	`Via: SIP/2.0/TCP ${STRANGER_IP}:9;branch=z9hG4bK${random()}`, 'Max-Forwards: 70', `From: <sip:x@${DOMAIN}>;tag=1`, `To: <sip:${name}@${DOMAIN}>`,
	`Call-ID: ${name}`, `CSeq: 1 ${method}`, ...fields], body);

/** Kamailio is there, and answers who comes next. */
async function goesOn(where) {
	stack.kamailio.proc.assertAlive();
	const socket = await connect(where);
	const name = random();
	socket.write(request(name));
	await until('an answer', () => socket.got.includes(`Call-ID: ${name}`));
	stack.kamailio.proc.assertAlive();
}

const MSRP = 'MSRP \r\n-------a$\r\n-------a$\r\n';

/** One chunk of 4096 bytes is read again and again, since the size behind it leads back to it; each time it is put behind what
 * there is of the body already, in the end behind the buffer. Where its copies come to lie the two lines are in them. */
const CHUNKS = (() => {
	const N = 4096;
	const size = `\n${N.toString(16)}\n`;
	const back = `\n${(2 ** 32 - size.length - N - 10).toString(16)}\n`;
	const first = `1${' '.repeat(9000)}\nA`; // blanks in front: what is written is behind what is read
	const data = Buffer.alloc(N, 'B');
	const passed = (n) => 1 + n * N;
	data.write(size, first.length - passed(2));
	data.write(back, first.length + size.length + (first.length + size.length + N - passed(3)) - passed(2));
	return first + size + data.toString('latin1') + back;
})();
const CHUNKED = ['Transfer-Encoding: chunked', 'TRANSFER-ENCODING: CHUNKED'].map((field) => `POST / HTTP/1.1\r\n${field}\r\n\r\n`);

/** Give it time to be read. */
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

for (const where of ['tcp', 'tls']) {
	describe(`over ${where.toUpperCase()} nobody ends Kamailio`, () => {
		for (const [what, writes] of Object.entries({
			'by a message of MSRP': [MSRP],
			'by one behind a ping': [`\r\n\r\n${MSRP}`],
			'by one behind a ping that comes in two parts': ['\r\n\r', `\n${MSRP}`],
			'by one behind blanks': [`\r\n \t\n\n${MSRP}`],
			'by one behind a request, and its body': [request('a', { fields: ['Content-Type: text/plain'], body: 'm=message 9 TCP/' }) + MSRP],
			'by one behind a body that comes later': [request('a', { fields: ['Content-Type: text/plain'], body: '123' }).slice(0, -2), `23${MSRP}`],
			'by one behind a request without a length': [request('a').replace(/Content-Length: 0\r\n/, '') + MSRP],
			'by one a byte at a time': [...`\r\n\r\n${MSRP}`],
			'by chunks': [CHUNKED[0] + CHUNKS, ...'Z'.repeat(40)],
			'by chunks behind their head': [CHUNKED[1], CHUNKS, ...'Z'.repeat(40)],
			'by chunks behind the end of their head': [CHUNKED[0].slice(0, -3), CHUNKED[0].slice(-3) + CHUNKS, ...'Z'.repeat(40)],
			'by chunks behind a head in two parts': [CHUNKED[0].slice(0, -9), CHUNKED[0].slice(-9) + CHUNKS, ...'Z'.repeat(40)],
			'by chunks behind a request': [request('a') + CHUNKED[0] + CHUNKS, ...'Z'.repeat(40)],
		})) {
			test(what, async () => {
				const { length } = stack.kamailio.log();
				const socket = await connect(where);
				for (const text of writes) {
					if (socket.destroyed) break;
					socket.write(Buffer.from(text, 'latin1'));
					await pause(writes.length > 3 ? 15 : 100);
				}
				await pause(100);
				await goesOn(where);
				assert.deepEqual(stack.kamailio.logged(/ERROR|CRITICAL|WARNING/, length), []);
			});
		}
		test('by either, and the end of what they send', async () => {
			for (const text of [MSRP, request('a', { fields: ['Content-Type: text/plain'], body: 'chunked MSRP ' }) + MSRP, CHUNKED[0] + CHUNKS, request('a') + CHUNKED[1] + CHUNKS]) {
				const { length } = stack.kamailio.log();
				const socket = await connect(where);
				const closed = once(socket, 'close');
				await stack.kamailio.paused(async () => {
					socket.end(text, 'latin1');
					await pause(50);
				});
				await closed;
				await goesOn(where);
				assert.deepEqual(stack.kamailio.logged(/ERROR|CRITICAL|WARNING/, length), []);
			}
		});
		test('what speaks of such things is read as ever, however it comes', async () => {
			const two = request('one', { fields: ['Content-Type: text/plain', 'Subject: MSRP chunked'], body: 'MSRP \r\n\r\nchunked\r\n\r\nMSRP ' })
				+ request('two', { fields: ['Content-Type: text/plain'], body: 'Transfer-Encoding: chunked\n\nMSRP \n\n' }) + `\r\n\r\n${request('three')}`;
			for (const at of [0, 1, 300, two.indexOf('MSRP \r\n') + 3, two.indexOf('\r\n\r\nchunked') + 2, two.indexOf('OPTIONS sip:two'), two.indexOf('OPTIONS sip:three') - 2]) {
				const socket = await connect(where);
				if (at > 0) socket.write(two.slice(0, at));
				await pause(50);
				socket.write(two.slice(at));
				await until('three answers and a pong', () => ['one', 'two', 'three'].every((name) => socket.got.includes(`Call-ID: ${name}`)) && socket.got.includes('\r\n\r\n\r\nSIP/2.0'))
					.catch((e) => assert.fail(`${at}: ${e.message}\n${socket.got}`));
			}
		});
		for (const [what, body] of Object.entries({
			'nothing of that': 'hello',
			'a word of it': 'as chunked as can be',
			'the word for its beginning': 'over TCP/MSRP 1',
			'all of it': `${MSRP}\r\n\r\n${CHUNKED[0]}1\r\nA\r\n`,
			'one word behind much else': `${'a'.repeat(3000)}MSRP `,
		})) {
			test(`who closes his side behind a message has it read, with ${what} in its body`, async () => {
				for (const method of ['MESSAGE', 'INVITE']) {
					const messages = ['one', 'two'].map((name) => request(name, { method, fields: ['Content-Type: text/plain'], body }));
					for (const texts of [messages.slice(0, 1), messages]) {
						const socket = await connect(where, { allowHalfOpen: true });
						const ended = new Promise((resolve) => { socket.once('close', resolve).once('end', () => { socket.end(); resolve(); }); });
						await stack.kamailio.paused(async () => { // there is all of it, and its end, when it is read
							socket.end(texts.join(''), 'latin1');
							await pause(50);
						});
						await ended;
						for (const name of ['one', 'two'].slice(0, texts.length)) {
							assert.match(socket.got, new RegExp(`^SIP/2.0 [3-6](?:.+\r\n)+Call-ID: ${name}\r\n`, 'm'), `${method}, ${texts.length}`);
						}
					}
				}
			});
		}
	});
}

test('behind a handshake over TLS what speaks of such things is read as ever', async () => {
	const socket = await connect('wss');
	const text = Buffer.from(request('one', { fields: ['Subject: chunked MSRP '] }), 'latin1');
	const frame = Buffer.concat([Buffer.from([0x81, 0xfe, text.length >> 8, text.length & 0xff, 0, 0, 0, 0]), text]); // a mask of zeros
	socket.write(Buffer.concat([Buffer.from(['GET / HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: sip',
		`Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`, '', ''].join('\r\n')), frame]));
	await until('an answer', () => /^HTTP\/1.1 101 /.test(socket.got) && socket.got.includes('Call-ID: one'));
});

test('a connection that is reset counts as one', async () => {
	const resets = async () => Number(/con_reset = (\d+)/.exec(await stack.kamailio.kamcmd('stats.get_statistics', 'tcp:'))[1]);
	const before = await resets();
	for (let i = 0; i < 3; i++) {
		const socket = await connect('tcp');
		socket.write(request('a'));
		await until('an answer', () => socket.got.includes('SIP/2.0'));
		socket.resetAndDestroy();
	}
	await until('all to be counted', async () => await resets() - before === 3);
});

// A message of STUN (RFC 3489) ends by its length.
test('with the module stun nobody ends Kamailio by a message of MSRP behind one of STUN', async () => {
	const kamailio = await Kamailio.start(runFolder('strangers-reader-stun'), {
		own: ['#!KAMAILIO', 'debug=2', 'log_stderror=yes', 'children=1', 'tcp_children=1', 'tcp_accept_no_cl=yes', 'listen=LISTEN_UDP', 'listen=LISTEN_TCP',
			...['tm', 'sl', 'rr', 'pv', 'textops', 'ctl', 'stun'].map((name) => `loadmodule "${name}.so"`), 'loadmodule RESUME_MODULE',
			'modparam("ctl", "binrpc", CTL_SOCKET)', 'modparam("call_resume", "key_ring", KEY_RING)',
			'request_route { sl_send_reply("200", "OK"); exit; }', ''].join('\n'),
	});
	const stun = '\0\x01\0\0'.padEnd(20, 'x');
	try {
		for (const text of [stun + MSRP, `\n${stun}${MSRP}`, `${stun}\r\n\r\n${stun}${stun}${MSRP}`]) {
			for (let i = 0; i < 3; i++) {
				const socket = net.connect({ host: kamailio.ip, port: kamailio.port });
				open.push(socket.on('error', () => {}));
				await once(socket, 'connect');
				socket.write(Buffer.from(text, 'latin1'));
				await pause(100);
				kamailio.proc.assertAlive();
			}
		}
		const socket = net.connect({ host: kamailio.ip, port: kamailio.port });
		open.push(socket.on('error', () => {}));
		let got = '';
		socket.on('data', (d) => { got += d.toString('latin1'); });
		socket.write(Buffer.from(stun + request('chunked') + stun + request('two'), 'latin1'));
		await until('both answers', () => ['chunked', 'two'].every((name) => got.includes(`Call-ID: ${name}`)));
	} finally {
		await kamailio.stop();
	}
});
