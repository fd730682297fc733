// SPDX-License-Identifier: GPL-2.0-or-later
// A client of a TURN server (RFC 8489, RFC 8656), as far as tests ask: one allocation,
// and what goes through it. Over UDP or TCP, IPv4 only, no retransmissions.

import dgram from 'node:dgram';
import net from 'node:net';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';

const COOKIE = 0x2112a442;
export const BINDING = 0x001, ALLOCATE = 0x003, REFRESH = 0x004, SEND = 0x016, DATA = 0x017, PERMIT = 0x008;
const ERROR = 0x0110, INDICATION = 0x0010;
const USERNAME = 0x0006, INTEGRITY = 0x0008, ERROR_CODE = 0x0009, PEER = 0x0012, BYTES = 0x0013,
	REALM = 0x0014, NONCE = 0x0015, RELAYED = 0x0016, TRANSPORT = 0x0019;

const attribute = (type, value) => {
	const head = Buffer.alloc(4);
	head.writeUInt16BE(type, 0);
	head.writeUInt16BE(value.length, 2);
	return Buffer.concat([head, value, Buffer.alloc(-value.length & 3)]);
};

function encode(type, id, attributes, key) {
	let body = Buffer.concat(attributes);
	const head = Buffer.alloc(8);
	head.writeUInt16BE(type, 0);
	head.writeUInt32BE(COOKIE, 4);
	if (key) {
		// The length that is authenticated counts the MAC.
		head.writeUInt16BE(body.length + 24, 2);
		const mac = createHmac('sha1', key).update(head).update(id).update(body).digest();
		body = Buffer.concat([body, attribute(INTEGRITY, mac)]);
	}
	head.writeUInt16BE(body.length, 2);
	return Buffer.concat([head, id, body]);
}

function decode(m) {
	const attributes = new Map();
	for (let at = 20; at + 4 <= m.length;) {
		const length = m.readUInt16BE(at + 2);
		attributes.set(m.readUInt16BE(at), m.subarray(at + 4, at + 4 + length));
		at += 4 + length + (-length & 3);
	}
	const type = m.readUInt16BE(0);
	const code = attributes.get(ERROR_CODE);
	return {
		type, id: m.toString('hex', 8, 20), attributes,
		status: (type & ERROR) === ERROR ? code[2] * 100 + code[3] : 200,
		reason: code?.toString('utf8', 4) ?? '',
	};
}

const address = (ip, port) => {
	const value = Buffer.alloc(8);
	value[1] = 1;
	value.writeUInt16BE(port ^ (COOKIE >>> 16), 2);
	const bytes = Buffer.from(ip.split('.').map(Number));
	value.writeUInt32BE((bytes.readUInt32BE(0) ^ COOKIE) >>> 0, 4);
	return value;
};

const readAddress = (value) => {
	const bytes = Buffer.alloc(4);
	bytes.writeUInt32BE((value.readUInt32BE(4) ^ COOKIE) >>> 0, 0);
	return { ip: [...bytes].join('.'), port: value.readUInt16BE(2) ^ (COOKIE >>> 16) };
};

/** A socket on a port that no client has had here: coturn keeps who that was for a while (437). */
const used = new Set();
async function unusedSocket(ip) {
	for (;;) {
		const socket = dgram.createSocket('udp4');
		await new Promise((resolve) => socket.bind(0, ip, resolve));
		const { port } = socket.address();
		if (!used.has(port)) {
			used.add(port);
			return socket;
		}
		socket.close();
	}
}

export class TurnClient {
	/** @param to  {ip, port} of the server */
	static async open({ to, transport = 'udp', user, pass }) {
		const self = Object.assign(new this(), { to, transport, user, pass, waiting: new Map(), data: [] });
		if (transport === 'udp') {
			self.socket = await unusedSocket(to.ip);
			self.socket.on('message', (m) => self.#got(m));
		} else {
			self.socket = net.connect({ host: to.ip, port: to.port });
			await once(self.socket, 'connect');
			let rest = Buffer.alloc(0);
			self.socket.on('error', () => {});
			self.socket.on('data', (chunk) => {
				rest = Buffer.concat([rest, chunk]);
				while (rest.length >= 20 && rest.length >= 20 + rest.readUInt16BE(2)) {
					const length = 20 + rest.readUInt16BE(2);
					self.#got(rest.subarray(0, length));
					rest = rest.subarray(length);
				}
			});
		}
		self.socket.unref();
		return self;
	}

	#got(bytes) {
		const m = decode(bytes);
		if (m.type === (DATA | INDICATION)) this.data.push(m.attributes.get(BYTES).toString());
		this.waiting.get(m.id)?.(m);
	}

	#send(bytes) {
		if (this.transport === 'udp') this.socket.send(bytes, this.to.port, this.to.ip);
		else this.socket.write(bytes);
	}

	/** One request; resolves with {status, reason, attributes}. */
	ask(method, attributes = [], { signed = Boolean(this.nonce), timeout_ms = 5000 } = {}) {
		const id = randomBytes(12);
		const login = signed ? [
			attribute(USERNAME, Buffer.from(this.user)), attribute(REALM, this.realm), attribute(NONCE, this.nonce),
		] : [];
		const key = signed && createHash('md5').update(`${this.user}:${this.realm}:${this.pass}`).digest();
		return new Promise((resolve, reject) => {
			const done = (settle, value) => {
				clearTimeout(timer);
				this.waiting.delete(id.toString('hex'));
				settle(value);
			};
			const timer = setTimeout(() => done(reject, new Error('the TURN server does not answer')), timeout_ms);
			this.waiting.set(id.toString('hex'), (m) => done(resolve, m));
			this.#send(encode(method, id, [...attributes, ...login], key));
		});
	}

	/** Allocate: first without credentials, for the challenge, then with them. */
	async allocate() {
		const wish = [attribute(TRANSPORT, Buffer.from([17, 0, 0, 0]))];
		this.challenge = await this.ask(ALLOCATE, wish, { signed: false });
		this.realm = this.challenge.attributes.get(REALM);
		this.nonce = this.challenge.attributes.get(NONCE);
		const answer = await this.ask(ALLOCATE, wish);
		if (answer.status === 200) this.relayed = readAddress(answer.attributes.get(RELAYED));
		return answer;
	}

	/** Permit a peer. */
	permit(ip) {
		return this.ask(PERMIT, [attribute(PEER, address(ip, 0))]);
	}

	/** Send data to a peer through the relay. */
	sendTo({ ip, port }, text) {
		this.#send(encode(SEND | INDICATION, randomBytes(12),
			[attribute(PEER, address(ip, port)), attribute(BYTES, Buffer.from(text))]));
	}

	/** Give the allocation back. */
	release() {
		return this.ask(REFRESH, [attribute(0x000d, Buffer.alloc(4))]);
	}

	close() {
		if (this.transport === 'udp') this.socket.close();
		else this.socket.destroy();
	}
}
