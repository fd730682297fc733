// SPDX-License-Identifier: GPL-2.0-or-later
// TLS for a SIPp that has none: SIPp speaks TCP to stunnel, stunnel TLS to the
// gateway, which is all that the gateway sees of it.

import fs from 'node:fs';
import path from 'node:path';

import { Proc } from './proc.mjs';
import { freePort } from './ports.mjs';
import { until } from './wait.mjs';

export class Stunnel {
	/** @param to  'ip:port' that speaks TLS */
	static async start(dir, { name = 'stunnel', ip = '127.0.0.1', to }) {
		const self = new Stunnel();
		self.ip = ip;
		self.port = await freePort(ip);
		const config = path.join(dir, `${name}.conf`);
		fs.writeFileSync(config, [
			'foreground = yes', 'pid =', 'debug = notice', 'syslog = no',
			'[sip]', 'client = yes', `accept = ${ip}:${self.port}`, `connect = ${to}`, 'verifyChain = no', '',
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
