// SPDX-License-Identifier: GPL-2.0-or-later
// A Redis of one test: memory only, with a password.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';

import { freePort } from './ports.mjs';
import { Proc } from './proc.mjs';
import { until } from './wait.mjs';

export class Redis {
	static async start(dir, { ip = '127.0.0.1', name = 'redis' } = {}) {
		const self = new Redis();
		Object.assign(self, { dir, ip, name, port: await freePort(ip), password: randomBytes(12).toString('hex') });
		self.conf = path.join(dir, `${name}.conf`);
		fs.writeFileSync(self.conf, [
			`bind ${ip}`, `port ${self.port}`, `requirepass ${self.password}`, `dir ${dir}`,
			'save ""', 'appendonly no', 'daemonize no', '',
		].join('\n'), { mode: 0o600 });
		await self.boot();
		return self;
	}

	/** Again, on the same port, empty. */
	async boot() {
		this.proc = new Proc(this.name, this.dir, 'redis-server', [this.conf]);
		try {
			await until('Redis', () => {
				this.proc.assertAlive();
				return this.cli('PING') === 'PONG';
			});
		} catch (e) {
			await this.stop();
			throw e;
		}
	}

	/** For modparam("ndb_redis", "server", ...). */
	server(name) {
		return `name=${name};addr=${this.ip};port=${this.port};pass=${this.password}`;
	}

	cli(...command) {
		return execFileSync('redis-cli', ['-h', this.ip, '-p', this.port, ...command.map(String)],
			{ encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 5000, env: { ...process.env, REDISCLI_AUTH: this.password } }).trim();
	}

	stop() {
		return this.proc.stop();
	}
}
