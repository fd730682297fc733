// SPDX-License-Identifier: GPL-2.0-or-later
// TLS for a SIPp that has none: SIPp speaks TCP to stunnel, stunnel TLS to the
// gateway, which is all that the gateway sees of it; or the other way round.

import fs from 'node:fs';
import path from 'node:path';

import { Proc } from './proc.mjs';
import { freePort } from './ports.mjs';
import { until } from './wait.mjs';

export class Stunnel {
	/**
	 * @param to      'ip:port' that speaks TLS
	 * @param server  {cert, key}: TLS comes in, and 'to' speaks TCP
	 */
	static async start(dir, { name = 'stunnel', ip = '127.0.0.1', port, to, server }) {
		const self = new Stunnel();
		self.ip = ip;
		self.port = port ?? await freePort(ip);
		const config = path.join(dir, `${name}.conf`);
		fs.writeFileSync(config, [
			'foreground = yes', 'pid =', 'debug = notice', 'syslog = no',
			'[sip]', `accept = ${ip}:${self.port}`, `connect = ${to}`, 'verifyChain = no',
			...(server ? [`cert = ${server.cert}`, `key = ${server.key}`] : ['client = yes']), '',
		].join('\n'));
		self.proc = new Proc(name, dir, 'stunnel4', [config]);
		await until('stunnel', () => {
			self.proc.assertAlive();
			return self.proc.output().includes('Configuration successful');
		});
		return self;
	}

	get address() {
		return `${this.ip}:${this.port}`;
	}

	stop() {
		return this.proc.stop();
	}
}
