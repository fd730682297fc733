// SPDX-License-Identifier: GPL-2.0-or-later
// A party's audio: sends a G.711 packet every 20 ms, or sends back what it gets,
// and notes when packets came, and whether there was a sound in them.

import dgram from 'node:dgram';

const PACKET_MS = 20;
const SAMPLES = 160;

/** What a browser's buffers may keep of what it captured before the page switched that off: less than 1 ms. */
const REST = 8;

/** Whether an A-law packet (RFC 3551 section 4.5.14) is more than silence. */
function isLoud(packet) {
	return (packet[1] & 0x7f) === 8 && packet.subarray(12).filter((sample) => ((sample ^ 0x55) & 0x7f) > 0x30).length > REST;
}

export class Rtp {
	/** @param echo  send every packet back to where it came from: true, or whether it shall just now */
	static async open({ ip = '127.0.0.1', port = 0, echo = false } = {}) {
		const self = new Rtp();
		self.socket = dgram.createSocket('udp4');
		self.sent = 0;
		self.spoke = undefined;	 // when the last one of its own went, as first
		self.received = 0;
		self.loud = 0;			 // of these with a sound
		self.first = undefined;	 // when the first packet came, in ms of performance.now()
		self.last = undefined;
		self.gaps = [];			 // [{from, to}] pauses of more than 60 ms
		self.hole = 0;			 // the longest run of packets that have not come, by their numbers, in ms; of a new source the time without one
		self.socket.on('message', (m, from) => {
			if (m.length < 12 || (m[1] & 0x7f) >= 72 && (m[1] & 0x7f) <= 76) return; // RTCP
			const now = performance.now();
			self.first ??= now;
			if (self.last !== undefined && now - self.last > 3 * PACKET_MS) {
				self.gaps.push({ from: self.last, to: now });
			}
			self.#number(m, now - (self.last ?? now));
			self.last = now;
			self.received++;
			if (isLoud(m)) self.loud++;
			if (echo === true || echo && echo()) {
				self.sent++;
				self.socket.send(m, from.port, from.address);
			}
		});
		await new Promise((resolve, reject) => {
			self.socket.once('error', reject);
			self.socket.bind(port, ip, resolve);
		});
		self.port = self.socket.address().port;
		return self;
	}

	/** By what comes in order: what is late is not lost. The numbers of another source begin anew. */
	#number(packet, pause) {
		const ssrc = packet.readUInt32BE(8);
		const seq = packet.readUInt16BE(2);
		const ahead = (seq - (this.seq ?? seq)) & 0xffff;
		if (ssrc === this.ssrc && ahead >= 0x8000) return;
		this.hole = Math.max(this.hole, ssrc === this.ssrc ? (ahead - 1) * PACKET_MS : pause - PACKET_MS);
		Object.assign(this, { ssrc, seq });
	}

	/** Send audio to there until close(), or until it is sent elsewhere. */
	send(port, ip = '127.0.0.1') {
		clearInterval(this.timer);
		const packet = Buffer.alloc(12 + SAMPLES, 0xd5); // silence in A-law
		packet[0] = 0x80;
		packet[1] = 8;
		packet.writeUInt32BE((Math.random() * 0xffffffff) >>> 0, 8);
		let seq = 0;
		const start = performance.now();
		const tick = () => {
			// As many as are due: timers are late on a busy machine.
			const due = Math.floor((performance.now() - start) / PACKET_MS) + 1;
			for (; seq < due; seq++) {
				packet.writeUInt16BE(seq & 0xffff, 2);
				packet.writeUInt32BE((seq * SAMPLES) >>> 0, 4);
				this.socket.send(Buffer.from(packet), port, ip);
				this.sent++;
				this.spoke = performance.now();
			}
		};
		tick();
		this.timer = setInterval(tick, PACKET_MS);
	}

	/** Send nothing of its own any more. */
	rest() {
		clearInterval(this.timer);
	}

	close() {
		this.rest();
		try {
			this.socket.close();
		} catch { /* closed already */ }
	}
}

/** The port of the audio in an SDP. */
export const audioPort = (sdp) => Number(/m=audio (\d+)/.exec(sdp)?.[1]);
