// SPDX-License-Identifier: GPL-2.0-or-later
// rtpengine, and the little of its ng protocol (bencode over UDP) that tests ask.

import dgram from 'node:dgram';
import { randomBytes } from 'node:crypto';

import { Proc } from './proc.mjs';
import { freePort } from './ports.mjs';
import { until } from './wait.mjs';

function bencode(v) {
	if (typeof v === 'number') return `i${v}e`;
	if (typeof v === 'string') return `${Buffer.byteLength(v)}:${v}`;
	if (Array.isArray(v)) return `l${v.map(bencode).join('')}e`;
	return `d${Object.keys(v).sort().map((k) => bencode(k) + bencode(v[k])).join('')}e`;
}

function bdecode(buf) {
	let at = 0;
	const number = (end) => {
		const stop = buf.indexOf(end, at);
		const n = Number(buf.toString('latin1', at, stop));
		at = stop + 1;
		return n;
	};
	const value = () => {
		const c = String.fromCharCode(buf[at]);
		if (c === 'i') { at++; return number('e'); }
		if (c === 'l' || c === 'd') {
			at++;
			const items = [];
			while (buf[at] !== 0x65) items.push(value());
			at++;
			if (c === 'l') return items;
			const dict = {};
			for (let i = 0; i < items.length; i += 2) dict[items[i]] = items[i + 1];
			return dict;
		}
		const len = number(':');
		at += len;
		return buf.toString('utf8', at - len, at);
	};
	return value();
}

export class Rtpengine {
	static async start(dir, { ip = '127.0.0.1', name = 'rtpengine', timeout_s = 600, args = [] } = {}) {
		const self = new Rtpengine();
		self.ip = ip;
		// Its commands need no password: never where others could give some.
		self.control = '127.0.0.1';
		self.ng = await freePort(self.control);
		self.cli = await freePort(self.control);
		self.dir = dir;
		self.name = name;
		self.args = [
			'--config-file=none', '--table=-1', `--interface=${ip}`,
			`--listen-ng=${self.control}:${self.ng}`, `--listen-cli=${self.control}:${self.cli}`,
			'--port-min=30000', '--port-max=39998', '--foreground', '--log-stderr', '--log-level=5',
			'--dtls-passive', '--endpoint-learning=off', '--num-threads=2', '--delete-delay=0', `--timeout=${timeout_s}`,
			...args,
		];
		await self.boot();
		return self;
	}

	/** Start it again with the same ports, after kill() or stop(). */
	async boot() {
		// Another release's, say: RTPENGINE='chroot /path/to/root rtpengine'.
		const [command, ...before] = (process.env.RTPENGINE ?? 'rtpengine').split(' ');
		this.proc = new Proc(this.name, this.dir, command, [...before, ...this.args]);
		try {
			await until('rtpengine', async () => {
				this.proc.assertAlive();
				return (await this.ask({ command: 'ping' }, 200)).result === 'pong';
			});
		} catch (e) {
			await this.stop();
			throw e;
		}
	}

	kill() {
		return this.proc.kill('SIGKILL');
	}

	/** One ng command; resolves with the answer's dictionary. */
	ask(command, timeout_ms = 5000) {
		return new Promise((resolve, reject) => {
			const socket = dgram.createSocket('udp4');
			const timer = setTimeout(() => {
				socket.close();
				reject(new Error('rtpengine does not answer'));
			}, timeout_ms);
			socket.once('message', (m) => {
				clearTimeout(timer);
				socket.close();
				resolve(bdecode(m.subarray(m.indexOf(' ') + 1)));
			});
			socket.send(`${randomBytes(4).toString('hex')} ${bencode(command)}`, this.ng, this.control);
		});
	}

	/** The Call-IDs that rtpengine knows. */
	async calls() {
		return (await this.ask({ command: 'list', limit: 1000 })).calls ?? [];
	}

	/** How many commands of a kind it has had: offer, answer, query ... */
	async count(command) {
		return Number((await this.ask({ command: 'statistics' })).statistics.controlstatistics[`total${command}count`]);
	}

	/** The tags of a call, in the order of rtpengine's answer. */
	async tags(callId) {
		const q = await this.ask({ command: 'query', 'call-id': callId });
		return Object.keys(q.tags ?? {});
	}

	/** RTP packets that rtpengine got from each tag: {tag: packets}. */
	async packets(callId) {
		const q = await this.ask({ command: 'query', 'call-id': callId });
		if (q.result !== 'ok') throw new Error(`rtpengine: ${q['error-reason']}`);
		const sums = {};
		for (const [tag, leg] of Object.entries(q.tags)) {
			sums[tag] = 0;
			for (const media of leg.medias ?? []) {
				const rtp = (media.streams ?? []).find((s) => s.flags?.includes('RTP'));
				sums[tag] += rtp?.stats?.packets ?? 0;
			}
		}
		return sums;
	}

	stop() {
		return this.proc.stop();
	}
}
