// SPDX-License-Identifier: GPL-2.0-or-later
// Free ports. In a namespace of our own nearly all are; elsewhere we look.

import dgram from 'node:dgram';
import net from 'node:net';

let next = 20000 + (process.pid * 97) % 9000;

const udpFree = (ip, port) => new Promise((resolve) => {
	const s = dgram.createSocket('udp4');
	s.once('error', () => resolve(false));
	s.bind(port, ip, () => s.close(() => resolve(true)));
});

const tcpFree = (ip, port) => new Promise((resolve) => {
	const s = net.createServer();
	s.once('error', () => resolve(false));
	s.listen(port, ip, () => s.close(() => resolve(true)));
});

/** A port, a multiple of four, free for UDP and TCP with the three above it (SIPp takes
 * two ports for audio and two for video). */
export async function freePort(ip = '127.0.0.1') {
	for (let i = 0; i < 500; i++) {
		const port = next & ~3;
		next = next > 29900 ? 20000 : next + 4;
		const free = await Promise.all(
			[port, port + 1, port + 2, port + 3].flatMap((p) => [udpFree(ip, p), tcpFree(ip, p)]));
		if (free.every(Boolean)) return port;
	}
	throw new Error(`no free port at ${ip}`);
}
