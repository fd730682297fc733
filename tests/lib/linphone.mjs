// SPDX-License-Identifier: GPL-2.0-or-later
// linphonec as a party: it answers every call, hums, and records what it hears.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { heard } from './voice.mjs';
import { until } from './wait.mjs';
import { writeTone } from './wav.mjs';

const PROMPT = 'linphonec> ';
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export class Linphone {
	/** Debian 12 and 13 have it. */
	static get possible() {
		try {
			execFileSync('linphonec', ['-v'], { stdio: 'ignore', env: { ...process.env, HOME: '/nonexistent' } });
			return true;
		} catch (e) {
			return e.code !== 'ENOENT';
		}
	}

	/** At the trunk's address of a stack, in a Network of its own. */
	static async start(stack, network, { user = 'bob' } = {}) {
		const self = Object.assign(new Linphone(), { user, hums: 1000, said: '', turn: Promise.resolve(), dir: path.join(stack.dir, 'linphone') });
		const { dir } = self;
		fs.mkdirSync(path.join(dir, '.local/share/linphone'), { recursive: true });
		writeTone(path.join(dir, 'hum.wav'), { hertz: self.hums, seconds: 60 });
		fs.writeFileSync(path.join(dir, 'rc'), `[sip]
sip_port=${stack.trunkPort}
sip_tcp_port=0
sip_tls_port=0
guess_hostname=1
use_ipv6=0
contact="${user}" <sip:${user}@${stack.trunkIp}>
register_only_when_network_is_up=0
inc_timeout=60
[net]
mtu=1300
[rtp]
audio_rtp_port=27000
symmetric=0
[video]
enabled=0
[misc]
store_friends=0
`);
		// It has no outbound proxy: who is to be reached by it has to have the gateway's address.
		self.domain = stack.gateway;
		const [command, ...args] = [...network.enter, 'linphonec', '-a', '-c', 'rc'];
		self.child = spawn(command, args, { cwd: dir, env: { ...process.env, HOME: dir, LANG: 'C' }, stdio: ['pipe', 'pipe', 'ignore'] });
		running.add(self.child);
		self.exited = new Promise((resolve) => self.child.once('exit', () => {
			running.delete(self.child);
			resolve();
		}));
		self.child.stdout.on('data', (chunk) => {
			self.said += chunk.toString('latin1');
		});
		await until('linphonec', () => self.said.includes(PROMPT));
		await self.command('soundcard use files');
		await self.command(`play ${dir}/hum.wav`);
		await self.command(`record ${dir}/heard.wav`);
		return self;
	}

	/** One command, after the one before; resolves with what it says. */
	command(line) {
		const answer = this.turn.then(async () => {
			const { length } = this.said;
			this.child.stdin.write(`${line}\n`);
			await until(`linphonec to say something to "${line}"`, () => this.said.indexOf(PROMPT, length) >= 0);
			return this.said.slice(length);
		});
		this.turn = answer.catch(() => {});
		return answer;
	}

	/** Whether it hears that pitch: in the last second that it has recorded. */
	hears(hertz) {
		const file = path.join(this.dir, 'heard.wav');
		const data = fs.existsSync(file) ? fs.readFileSync(file).subarray(44) : Buffer.alloc(0);
		const last = data.subarray(-2 * 8000 - data.length % 2);
		return heard(Int16Array.from({ length: last.length >> 1 }, (_, i) => last.readInt16LE(2 * i)), hertz);
	}

	async calls() {
		return (await this.command('calls')).match(/^ *\d+ .*sip:/gm)?.length ?? 0;
	}

	async dial(uri) {
		await this.command(`play ${this.dir}/hum.wav`);
		await this.command(`call ${uri.replace(/@.*/, `@${this.domain}`)}`);
	}

	hold() {
		return this.command('pause');
	}

	unhold() {
		return this.command('resume');
	}

	transfer(uri) {
		return this.command(`transfer ${uri}`);
	}

	hangup() {
		return this.command('terminate');
	}

	async stop() {
		this.child.kill('SIGKILL');
		await this.exited;
	}
}
