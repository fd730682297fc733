// SPDX-License-Identifier: GPL-2.0-or-later
// A UDP path that loses or doubles datagrams, the same ones in every run.
//
//	SIPp ---(loses, doubles)--- link ------ gateway
//
// To the gateway the party is where the link is, as behind a NAT.

import dgram from 'node:dgram';

import { freePort } from './ports.mjs';

/** What becomes of datagrams: (datagram, up) => how many get there. */
export const keeps = () => () => 1;
export const doubles = () => () => 2;
/** Nothing gets through at the first try: what is not sent again is lost. */
export const loses = () => {
	const seen = new Set();
	return (datagram, up) => {
		// Not by all its bytes: a state is sealed afresh in each retransmission, and each
		// copy of an ACK to a 2xx gets a branch of its own on the way. So: the branch of
		// who sent it first, which is in the last Via.
		const text = datagram.toString('latin1');
		const branches = [...text.matchAll(/branch=([^;,\s]+)/g)].map((m) => m[1]);
		const id = [up, text.split('\r\n')[0], branches.at(-1), /^CSeq:.*/m.exec(text)?.[0]].join();
		if (seen.has(id)) return 1;
		seen.add(id);
		return 0;
	};
};

export class Link {
	/**
	 * @param copies  keeps(), doubles() or loses()
	 * @param to      'ip:port' of the gateway
	 * @param party   'ip:port', when the gateway speaks first
	 */
	static async start({ copies, to, party, ip = '127.0.0.1', port }) {
		const self = new Link();
		const address = (text) => ({ address: text.split(':')[0], port: Number(text.split(':')[1]) });
		const gateway = address(to);
		let client = party && address(party);
		self.ip = ip;
		self.port = port ?? await freePort(ip);
		self.carried = 0;
		self.socket = dgram.createSocket('udp4');
		self.socket.on('message', (datagram, from) => {
			const up = from.port !== gateway.port || from.address !== gateway.address;
			if (up) client = from;
			const there = up ? gateway : client;
			for (let i = copies(datagram, up); i > 0 && there; i--) {
				self.carried++;
				self.socket.send(datagram, there.port, there.address);
			}
		});
		await new Promise((resolve, reject) => {
			self.socket.once('error', reject);
			self.socket.bind(self.port, ip, resolve);
		});
		return self;
	}

	get address() {
		return `${this.ip}:${this.port}`;
	}

	close() {
		this.socket.close();
	}
}
