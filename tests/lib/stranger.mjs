// SPDX-License-Identifier: GPL-2.0-or-later
// One who knows nothing of a call and sends to every port of rtpengine, from an address of his own: RTP
// with a sound in it, RTCP, STUN and DTLS.

import dgram from 'node:dgram';
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

/** A-law with a sound in it: nobody else's here is loud. */
function rtp(seq) {
	const packet = Buffer.alloc(172, 0x2a);
	packet[0] = 0x80;
	packet[1] = 8;
	packet.writeUInt16BE(seq & 0xffff, 2);
	packet.writeUInt32BE((seq * 160) >>> 0, 4);
	packet.writeUInt32BE(0xbadbad, 8);
	return packet;
}

/** A receiver report without blocks (RFC 3550 section 6.4.2). */
const rtcp = () => Buffer.from('80c9000100badbad', 'hex');

/** A Binding request without credentials (RFC 8489 section 5). */
function stun() {
	const packet = Buffer.alloc(20);
	packet.writeUInt16BE(1, 0);
	packet.writeUInt32BE(0x2112a442, 4);
	randomBytes(12).copy(packet, 8);
	return packet;
}

/** A ClientHello (RFC 6347 section 4.3.2), of one suite that nobody refuses, with use_srtp (RFC 5764). */
function dtls() {
	const numbers = (...list) => Buffer.from(list);
	const sized = (bytes, data) => {
		const size = Buffer.alloc(bytes);
		size.writeUIntBE(data.length, 0, bytes);
		return Buffer.concat([size, data]);
	};
	const extension = (type, data) => Buffer.concat([numbers(0, type), sized(2, data)]);
	const hello = Buffer.concat([
		numbers(0xfe, 0xfd), randomBytes(32), sized(1, numbers()), sized(1, numbers()),
		sized(2, numbers(0xc0, 0x2b, 0xc0, 0x2f)), sized(1, numbers(0)),
		sized(2, Buffer.concat([
			extension(10, sized(2, numbers(0, 23))), extension(11, sized(1, numbers(0))),
			extension(13, sized(2, numbers(4, 3, 4, 1))), extension(14, numbers(0, 2, 0, 1, 0)),
		])),
	]);
	// One fragment, the whole of it.
	const length = sized(3, hello).subarray(0, 3);
	const handshake = Buffer.concat([numbers(1), length, numbers(0, 0), numbers(0, 0, 0), length, hello]);
	return Buffer.concat([numbers(22, 0xfe, 0xff), Buffer.alloc(8), sized(2, handshake)]);
}

export const PACKETS = { rtp, rtcp, stun, dtls };

export class Stranger {
	/** @param to  {ip, first, last}: rtpengine's ports */
	static async open({ ip = '127.0.0.66', to }) {
		const self = Object.assign(new this(), { to, seq: 0, heard: 0 });
		self.socket = dgram.createSocket('udp4');
		self.socket.on('message', (m) => {
			// Media, in the clear or not: not what STUN and DTLS answer by themselves (RFC 7983).
			if (m[0] >= 128 && m[0] <= 191) self.heard++;
		});
		await new Promise((resolve, reject) => {
			self.socket.once('error', reject);
			self.socket.bind(0, ip, resolve);
		});
		self.socket.unref();
		return self;
	}

	/** One packet of each kind to each port. */
	async once(kinds = Object.keys(PACKETS)) {
		for (const kind of kinds) {
			const packet = PACKETS[kind](++this.seq);
			for (let port = this.to.first; port <= this.to.last; port++) this.socket.send(packet, port, this.to.ip);
			await setImmediate();
		}
	}

	/** Again and again, from now on. */
	start(kinds) {
		this.on = true;
		this.spraying = (async () => {
			while (this.on) {
				await this.once(kinds);
				await new Promise((resolve) => { setTimeout(resolve, 2).unref(); });
			}
		})();
	}

	async stop() {
		this.on = false;
		await this.spraying;
	}

	async close() {
		if (this.closed) return;
		this.closed = true;
		await this.stop();
		this.socket.close();
	}
}
