// SPDX-License-Identifier: GPL-2.0-or-later
// Two gateways that share an address, each in a network namespace of its own, with topos in one Redis. Both are up; who has
// the address is a route, as a router or Keepalived would have it:
//
//	clients, far end, Redis (10.98.0.1, .2) --- veth 10.98.1.2 | 10.98.2.2 (10.98.9.9 on both)

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

import { CFG } from '../gateway.mjs';
import { Kamailio } from '../../tests/lib/kamailio.mjs';
import { Network } from '../../tests/lib/network.mjs';
import { Proc } from '../../tests/lib/proc.mjs';
import { Redis } from '../../tests/lib/redis.mjs';
import { until } from '../../tests/lib/wait.mjs';

const ADDRESS = '10.98.9.9';
const [CLIENT, FAR] = ['10.98.0.1', '10.98.0.2'];

const ip = (...args) => execFileSync('ip', args);

/* A machine of its own. */
async function machine(dir, n) {
	const holder = new Proc(`machine-${n}`, dir, 'unshare', ['--net', 'sleep', '3600']);
	const own = fs.readlinkSync('/proc/self/ns/net');
	await until('the namespace', () => fs.readlinkSync(`/proc/${holder.pid}/ns/net`) !== own);
	const enter = ['nsenter', '-t', String(holder.pid), '-n'];
	const inside = (...args) => execFileSync(enter[0], [...enter.slice(1), 'ip', ...args]);
	ip('link', 'add', `m${n}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holder.pid));
	ip('addr', 'add', `10.98.${n}.1/24`, 'dev', `m${n}`);
	ip('link', 'set', `m${n}`, 'up');
	inside('link', 'set', 'lo', 'up');
	inside('addr', 'add', `10.98.${n}.2/24`, 'dev', 'eth0');
	inside('link', 'set', 'eth0', 'up');
	inside('addr', 'add', `${ADDRESS}/32`, 'dev', 'lo');
	inside('route', 'add', 'default', 'via', `10.98.${n}.1`);
	return { holder, enter, n };
}

export class Pair {
	static async start(dir) {
		if (!Network.possible) throw new Error('wants a network namespace of its own, see tools/in-netns');
		const self = new Pair();
		Object.assign(self, { client: CLIENT, far: FAR, trunkPort: 5080, machines: [], nodes: [] });
		try {
			for (const address of [CLIENT, FAR]) ip('addr', 'add', `${address}/32`, 'dev', 'lo');
			self.redis = await Redis.start(dir, { ip: CLIENT });
			for (const n of [1, 2]) {
				const { enter } = self.machines[self.machines.push(await machine(dir, n)) - 1];
				self.nodes.push(await Kamailio.start(dir, {
					ip: ADDRESS, name: `topos-${n}`, cfg: CFG, under: enter, ports: { port: 5060, ws: 8080, tls: 5061, wss: 8443 }, defines: {
						NEXT: `"sip:${FAR}:${self.trunkPort}"`, WITH_WS: true,
						TOPOS_REDIS: `"${self.redis.server('topos').replace('name=topos', 'name=srv1')};db=0"`,
					},
				}));
			}
			self.has(1);
		} catch (e) {
			await self.stop();
			throw e;
		}
		return self;
	}

	/** The address is at that one from now on. */
	has(n) {
		ip('route', 'replace', `${ADDRESS}/32`, 'via', `10.98.${n}.2`);
	}

	get dies() {
		return this.nodes[0];
	}

	get lives() {
		return this.nodes[1];
	}

	async ready() {
		this.has(1);
	}

	async lose() {
		await this.dies.kill();
		/* Who was connected hears of it from the other one. */
		this.has(2);
	}

	boot() {
		return this.dies.boot();
	}

	/** What goes to Redis and back. */
	wire() {
		const bytes = () => [...this.redis.cli('INFO', 'stats').matchAll(/total_net_(?:in|out)put_bytes:(\d+)/g)].reduce((sum, m) => sum + Number(m[1]), 0);
		return {
			async during(act) {
				const before = bytes();
				await act();
				return { bytes: bytes() - before };
			},
			close() {},
		};
	}

	async stop() {
		await Promise.all(this.nodes.map((node) => (node.proc.alive ? node.stop() : undefined)));
		await this.redis?.stop();
		for (const { holder } of this.machines) await holder.stop();
	}
}
