// SPDX-License-Identifier: GPL-2.0-or-later
// A network of its own for a browser or a far end, whose address can move and whose link
// can go down: a network namespace, joined to the one of the tests by a pair of virtual
// Ethernet devices.
//
//	browser (10.99.0.2, .3, ...) veth --- veth 10.99.0.1 (gateway, nginx, rtpengine)

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { Proc } from './proc.mjs';
import { until } from './wait.mjs';

export const GATEWAY_IP = '10.99.0.1';

export class Network {
	/** Needs a namespace of the tests' own (tools/in-netns): nothing else may be changed. */
	static get possible() {
		return process.env.CALL_RESUME_NETNS === 'own';
	}

	static async start(dir) {
		const self = new Network();
		self.holder = new Proc('network', dir, 'unshare', ['--net', 'sleep', '3600']);
		self.host = 2;
		try {
			const own = fs.readlinkSync('/proc/self/ns/net');
			await until('the namespace', () => fs.readlinkSync(`/proc/${self.holder.pid}/ns/net`) !== own);
			execFileSync('ip', ['link', 'add', 'cr0', 'type', 'veth', 'peer', 'name', 'cr1', 'netns', String(self.holder.pid)]);
			execFileSync('ip', ['addr', 'add', `${GATEWAY_IP}/24`, 'dev', 'cr0']);
			execFileSync('ip', ['link', 'set', 'cr0', 'up']);
			self.inside('ip', 'link', 'set', 'lo', 'up');
			self.inside('ip', 'addr', 'add', self.address, 'dev', 'cr1');
			// No address that comes by itself, a second later: a browser drops what it is loading when one is added.
			self.inside('ip', 'link', 'set', 'cr1', 'addrgenmode', 'none');
			self.up();
			self.chromium = path.join(dir, 'chromium');
			fs.writeFileSync(self.chromium, `#!/bin/sh\nexec ${self.enter.join(' ')} /usr/bin/chromium "$@"\n`, { mode: 0o755 });
		} catch (e) {
			await self.stop();
			throw e;
		}
		return self;
	}

	get address() {
		return `10.99.0.${this.host}/24`;
	}

	/** A command line that runs another one in that namespace. */
	get enter() {
		return ['nsenter', '-t', String(this.holder.pid), '-n'];
	}

	/** Run a command in that namespace. */
	inside(...command) {
		const [enter, ...rest] = [...this.enter, ...command];
		return execFileSync(enter, rest, { encoding: 'utf8' });
	}

	/** Another address on this side. */
	outside(ip) {
		execFileSync('ip', ['addr', 'add', `${ip}/24`, 'dev', 'cr0']);
	}

	up() {
		this.inside('ip', 'link', 'set', 'cr1', 'up');
		// The way to everything, as a browser looks for one to know that it is on-line.
		this.inside('ip', 'route', 'replace', 'default', 'via', GATEWAY_IP);
	}

	down() {
		this.inside('ip', 'link', 'set', 'cr1', 'down');
	}

	/** The browser has another address from now on. */
	move() {
		const old = this.address;
		this.host++;
		this.inside('ip', 'addr', 'add', this.address, 'dev', 'cr1');
		this.inside('ip', 'addr', 'del', old, 'dev', 'cr1');
		// The first address goes, the others of its network go with it.
		this.inside('ip', 'addr', 'replace', this.address, 'dev', 'cr1');
		this.inside('ip', 'route', 'replace', 'default', 'via', GATEWAY_IP);
	}

	async stop() {
		try {
			execFileSync('ip', ['link', 'del', 'cr0'], { stdio: 'ignore' });
		} catch { /* it was not made */ }
		await this.holder.stop();
	}
}
