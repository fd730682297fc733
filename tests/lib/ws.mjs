// SPDX-License-Identifier: GPL-2.0-or-later
// The client's side of a WebSocket that carries SIP (RFC 6455, RFC 7118): one message
// in each frame, of at most 65535 bytes.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const PONG_MS = 50;
const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

export class WebSocketClient {
	/** @param socket  a connection over TCP or TLS, connected */
	static async open(socket, { host, path = '/', origin = `https://${host}`, got }) {
		const self = Object.assign(new this(), { socket, got, pings: 0, pongs: 0, data: Buffer.alloc(0) });
		const key = randomBytes(16).toString('base64');
		socket.write([
			`GET ${path} HTTP/1.1`, `Host: ${host}`, 'Upgrade: websocket', 'Connection: Upgrade', `Origin: ${origin}`,
			`Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: sip', '\r\n',
		].join('\r\n'));
		const closed = new AbortController();
		const close = () => closed.abort();
		socket.once('close', close);
		const [answer] = await once(socket, 'data', { signal: AbortSignal.any([closed.signal, AbortSignal.timeout(5000)]) });
		socket.off('close', close);
		const fields = answer.toString('latin1');
		const accept = createHash('sha1').update(key + GUID).digest('base64');
		if (!/^HTTP\/1\.1 101 /.test(fields) || !fields.endsWith('\r\n\r\n')
				|| !/\r\nsec-websocket-protocol: *sip\r\n/i.test(fields)
				|| /\r\nsec-websocket-accept: *(\S+)/i.exec(fields)?.[1] !== accept) {
			socket.destroy();
			throw new Error(`no WebSocket: ${fields}`);
		}
		socket.on('data', (chunk) => self.#data(chunk));
		return self;
	}

	#data(chunk) {
		this.data = Buffer.concat([this.data, chunk]);
		for (;;) {
			const { data } = this;
			if (data.length < 2) return;
			// A server does not mask, and Kamailio does not split messages.
			if (!(data[0] & 0x80) || data[1] > 126) throw new Error('a partial, masked or huge frame');
			const start = data[1] < 126 ? 2 : 4;
			if (data.length < start) return;
			const length = start === 2 ? data[1] : data.readUInt16BE(2);
			if (data.length < start + length) return;
			this.data = data.subarray(start + length);
			this.#frame(data[0] & 0x0f, data.subarray(start, start + length));
		}
	}

	#frame(opcode, payload) {
		if (opcode === TEXT || opcode === BINARY) this.got(payload.toString('latin1'));
		else if (opcode === PING) this.#ping(payload);
		else if (opcode === PONG) this.pongs++;
		else if (opcode === CLOSE) this.socket.end();
	}

	/**
	 * After a while: Kamailio 5.6.3 notes that it waits for a pong only when it has sent the ping, does not see one
	 * that is back before that, and closes the connection. A network is never so fast.
	 */
	#ping(payload) {
		this.pings++;
		setTimeout(() => { if (!this.socket.destroyed) this.send(PONG, payload); }, PONG_MS).unref();
	}

	send(opcode, payload) {
		const n = payload.length;
		const mask = randomBytes(4);
		this.socket.write(Buffer.concat([
			Buffer.from([0x80 | opcode, ...(n < 126 ? [0x80 | n] : [0x80 | 126, n >> 8, n & 0xff])]),
			mask, payload.map((byte, i) => byte ^ mask[i & 3]),
		]));
	}

	write(text) {
		this.send(TEXT, Buffer.from(text, 'latin1'));
	}

	ping() {
		this.send(PING, Buffer.from('ping'));
	}
}
