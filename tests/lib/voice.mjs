// SPDX-License-Identifier: GPL-2.0-or-later
// A party's audio as G.711 (RFC 3551 section 4.5.14), with a pitch of its own, so that it is
// told apart from others; and with sequence numbers of the test's choice.

import dgram from 'node:dgram';

const RATE = 8000;
const PACKET_MS = 20;
const SAMPLES = RATE * PACKET_MS / 1000;

function fromAlaw(byte) {
	const a = byte ^ 0x55;
	const segment = (a >> 4) & 7;
	const t = ((a & 0x0f) << 4) + (segment ? 0x108 : 8);
	return (a & 0x80 ? 1 : -1) * (segment > 1 ? t << (segment - 1) : t);
}

function fromUlaw(byte) {
	const u = ~byte & 0xff;
	const t = (((u & 0x0f) << 3) + 0x84) << ((u >> 4) & 7);
	return (u & 0x80 ? -1 : 1) * (t - 0x84);
}

/** A law as its payload type, and what each of its bytes is. */
const law = (type, decode) => {
	const samples = Int16Array.from({ length: 256 }, (_, byte) => decode(byte));
	const bytes = [...samples.keys()].sort((a, b) => samples[a] - samples[b]);
	return { type, samples, encode: (sample) => {
		let [low, high] = [0, 255];
		while (low < high) {
			const middle = (low + high) >> 1;
			if (samples[bytes[middle]] < sample) low = middle + 1;
			else high = middle;
		}
		return bytes[low];
	} };
};
export const PCMU = law(0, fromUlaw);
export const PCMA = law(8, fromAlaw);
const laws = { 0: PCMU, 8: PCMA };

/** How much of these samples is that pitch, from 0 to 1 (Goertzel's filter). */
export function share(samples, hertz) {
	const c = 2 * Math.cos(2 * Math.PI * hertz / RATE);
	let [a, b, all] = [0, 0, 0];
	for (const x of samples) {
		[a, b] = [x + c * a - b, a];
		all += x * x;
	}
	if (all < samples.length * 1e4) return 0; // as good as silence
	return (a * a + b * b - c * a * b) * 2 / (samples.length * all);
}

/** Whether that pitch is what is heard for at least ms in a row. */
export function heard(samples, hertz, ms = 100) {
	let run = 0;
	for (let i = 0; i + SAMPLES <= samples.length; i += SAMPLES) {
		run = share(samples.subarray(i, i + SAMPLES), hertz) > 0.7 ? run + PACKET_MS : 0;
		if (run >= ms) return true;
	}
	return false;
}

/** A pitch for the n-th of many: whole periods in each packet. */
export const pitch = (n) => 300 + 50 * n;

export class Voice {
	static async open({ ip = '127.0.0.1', law: speaks = PCMA } = {}) {
		const self = new Voice();
		Object.assign(self, { ip, law: speaks, sent: 0, samples: new Int16Array(0), streams: new Map() });
		self.socket = dgram.createSocket('udp4');
		self.socket.on('message', (m) => self.#got(m));
		await new Promise((resolve) => self.socket.bind(0, ip, resolve));
		self.port = self.socket.address().port;
		return self;
	}

	#got(m) {
		const from = laws[m[1] & 0x7f];
		if (m.length < 12 || !from) return;
		// The numbers of each stream that it got, by its SSRC.
		const ssrc = m.readUInt32BE(8);
		const seq = m.readUInt16BE(2);
		this.streams.set(ssrc, [...this.streams.get(ssrc) ?? [], seq]);
		this.samples = Int16Array.from([...this.samples.subarray(-RATE * 2), ...[...m.subarray(12)].map((b) => from.samples[b])]);
	}

	/** Speak to there until close(), or hush(). */
	speak({ ip = '127.0.0.1', port }, { hertz, seq = 1, ssrc = (Math.random() * 0xffffffff) >>> 0 }) {
		this.hush();
		const packet = Buffer.alloc(12 + SAMPLES);
		packet[0] = 0x80;
		packet[1] = this.law.type;
		packet.writeUInt32BE(ssrc, 8);
		for (let i = 0; i < SAMPLES; i++) packet[12 + i] = this.law.encode(12000 * Math.sin(2 * Math.PI * hertz * i / RATE));
		const start = performance.now();
		let n = 0;
		this.timer = setInterval(() => {
			// As many as are due: timers are late on a busy machine.
			for (; n * PACKET_MS <= performance.now() - start; n++) {
				this.seq = (seq + n) & 0xffff;
				packet.writeUInt16BE(this.seq, 2);
				packet.writeUInt32BE((n * SAMPLES) >>> 0, 4);
				this.socket.send(Buffer.from(packet), port, ip);
				this.sent++;
			}
		}, PACKET_MS / 2);
	}

	hush() {
		clearInterval(this.timer);
	}

	/** What it has heard so far does not count. */
	forget() {
		this.samples = new Int16Array(0);
		this.streams.clear();
	}

	/** Whether it hears that pitch now, or has done so in the last two seconds. */
	hears(hertz) {
		return heard(this.samples, hertz);
	}

	close() {
		this.hush();
		try {
			this.socket.close();
		} catch { /* closed already */ }
	}
}

/** An offer or answer of a Voice. */
export const sdp = ({ ip, port, law: { type } }) => [
	'v=0', `o=- ${port} 1 IN IP4 ${ip}`, 's=-', `c=IN IP4 ${ip}`, 't=0 0', `m=audio ${port} RTP/AVP ${type}`,
	`a=rtpmap:${type} ${type ? 'PCMA' : 'PCMU'}/8000`, 'a=sendrecv', '',
].join('\r\n');
