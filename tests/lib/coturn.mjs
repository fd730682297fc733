// SPDX-License-Identifier: GPL-2.0-or-later
// coturn with the project's own configuration, on loopback.

import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from './kamailio.mjs';
import { Proc } from './proc.mjs';
import { freePort } from './ports.mjs';
import { BINDING, TurnClient } from './turn.mjs';
import { until } from './wait.mjs';

export class Coturn {
	/**
	 * @param dir     the run's folder
	 * @param secret  shared with the gateway
	 * @param conf    more lines of configuration
	 * @param peers   whom it may relay to, on loopback
	 */
	static async start(dir, { ip = '127.0.0.1', name = 'coturn', secret, conf = [], peers = ['127.0.0.1'], args = [], port } = {}) {
		const self = new Coturn();
		Object.assign(self, { ip, port: port ?? await freePort(ip) });
		// As an operator does it: the secret in the file, not on the command line.
		const file = path.join(dir, `${name}.conf`);
		const lines = [fs.readFileSync(path.join(ROOT, 'cfg/turnserver.conf'), 'utf8'), ...conf];
		if (secret) lines.push(`static-auth-secret=${secret}`);
		fs.writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
		self.proc = new Proc(name, dir, 'turnserver', [
			'-c', file, `--listening-ip=${ip}`, `--relay-ip=${ip}`, `--listening-port=${self.port}`,
			'--allow-loopback-peers', ...peers.map((p) => `--allowed-peer-ip=${p}`), '--relay-threads=1',
			`--userdb=${path.join(dir, `${name}.db`)}`, `--pidfile=${path.join(dir, `${name}.pid`)}`, ...args,
		]);
		try {
			await until('coturn', async () => {
				self.proc.assertAlive();
				const probe = await TurnClient.open({ to: self });
				try {
					return (await probe.ask(BINDING, [], { timeout_ms: 200 })).status === 200;
				} finally {
					probe.close();
				}
			});
		} catch (e) {
			await self.stop();
			throw e;
		}
		return self;
	}

	/** For the configuration of a browser. */
	url(transport = 'udp') {
		return `turn:${this.ip}:${this.port}?transport=${transport}`;
	}

	log() {
		return this.proc.output();
	}

	stop() {
		return this.proc.stop();
	}
}
