// SPDX-License-Identifier: GPL-2.0-or-later
// baresip as a party: it answers every call, hums, and records what it hears.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

import { Proc } from './proc.mjs';
import { heard } from './voice.mjs';
import { sleep, until } from './wait.mjs';
import { writeTone } from './wav.mjs';

/** Of Debian's package, where it is there. */
export const version = spawnSync('dpkg-query', ['-W', '-f', '${Version}', 'baresip-core'], { encoding: 'latin1' }).stdout;

export class Baresip {
	/** At the trunk's address of a stack, in a Network of its own. */
	static async start(stack, network, { user = 'bob' } = {}) {
		const self = Object.assign(new Baresip(), { user, hums: 1000, dir: path.join(stack.dir, 'baresip') });
		const { dir } = self;
		fs.mkdirSync(dir, { recursive: true });
		const at = `${stack.trunkIp}:${stack.trunkPort}`;
		const control = 4444;
		const folder = ['/usr/lib/baresip/modules', ...fs.readdirSync('/usr/lib').map((d) => `/usr/lib/${d}/baresip/modules`)]
			.find((d) => fs.existsSync(d));
		fs.writeFileSync(path.join(dir, 'config'), [
			`sip_listen ${at}`, 'audio_player aubridge,none', `audio_source aufile,${dir}/hum.wav`,
			`module_path ${folder}`, 'module g711.so', 'module aubridge.so', 'module aufile.so', 'module sndfile.so', `snd_path ${dir}`, 'module_tmp account.so', 'module_app menu.so',
			'module_app ctrl_tcp.so', `ctrl_tcp_listen ${stack.trunkIp}:${control}`, 'call_max_calls 4', ''].join('\n'));
		// 1.1 answers 404 where the host in the Request-URI is not its own, but for an account that registers: this one
		// would do so only when another has failed (prio), and that not either (no fbregint).
		fs.writeFileSync(path.join(dir, 'accounts'),
			`<sip:${user}@${at}>;${version.startsWith('1.0') ? 'regint=0' : 'regint=3600;prio=1'};answermode=auto;outbound="sip:${stack.gateway}"\n`);
		fs.writeFileSync(path.join(dir, 'contacts'), '');
		writeTone(path.join(dir, 'hum.wav'), { hertz: self.hums, seconds: 60 });
		self.proc = new Proc('baresip', stack.dir, network.enter[0], [...network.enter.slice(1), 'baresip', '-f', dir]);
		self.answers = new Map();
		self.events = [];
		try {
			await self.#connect(stack.trunkIp, control);
		} catch (e) {
			await self.stop();
			throw e;
		}
		return self;
	}

	async #connect(ip, port) {
		this.socket = await until('baresip', () => new Promise((resolve, reject) => {
			this.proc.assertAlive();
			const s = net.connect(port, ip, () => resolve(s));
			s.once('error', reject);
		}));
		this.socket.unref();
		this.socket.on('error', () => {});
		let text = '';
		this.socket.on('data', (chunk) => {
			text += chunk.toString('latin1');
			for (;;) {
				// A netstring: LENGTH:JSON,
				const [whole, length] = /^(\d+):/.exec(text) ?? [];
				if (!whole || text.length < whole.length + Number(length) + 1) return;
				const one = JSON.parse(text.slice(whole.length, whole.length + Number(length)));
				text = text.slice(whole.length + Number(length) + 1);
				if (one.response) this.answers.get(one.token)?.(one);
				else this.events.push(one);
			}
		});
	}

	/** One command of its menu. */
	async command(command, params = '') {
		const token = String(this.answers.size);
		const json = JSON.stringify({ command, params, token });
		const answer = new Promise((resolve) => this.answers.set(token, resolve));
		this.socket.write(`${Buffer.byteLength(json)}:${json},`);
		const { ok, data } = await answer;
		if (!ok) throw new Error(`baresip: ${command} ${params}: ${data}`);
		return data;
	}

	/** The second that it has heard last, 8000 samples of it. */
	recorded() {
		const files = fs.readdirSync(this.dir).filter((name) => name.endsWith('-dec.wav')).map((name) => path.join(this.dir, name));
		const [newest] = files.sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs);
		const data = newest ? fs.readFileSync(newest).subarray(44).subarray(-2 * 8000) : Buffer.alloc(0);
		return Int16Array.from({ length: data.length >> 1 }, (_, i) => data.readInt16LE(2 * i));
	}

	/** Whether it hears that pitch. */
	async hears(hertz) {
		const debug = await this.command('audio_debug');
		if (/rx pipeline:.*sndfile/.test(debug)) return heard(this.recorded(), hertz);
		// It records no more when it has been on hold; how much it has decoded tells that it hears something.
		const decoded = () => this.command('audio_debug').then((text) => Number(/ rx:[^]*?time = ([\d.]+)/.exec(text)[1]));
		const before = await decoded();
		await sleep(200);
		return await decoded() > before + 0.1;
	}

	/** How many calls it is in. */
	async calls() {
		return Number(/Active calls \((\d+)\)/.exec(await this.command('listcalls'))?.[1] ?? 0);
	}

	dial(uri) {
		return this.command('dial', uri);
	}

	hold() {
		return this.command('hold');
	}

	/** 1.1 takes it off hold, and says that it cannot hold another one: it has none. */
	unhold() {
		return this.command('resume').catch((e) => {
			if (!/Invalid argument/.test(e.message)) throw e;
		});
	}

	/** Blind: has the other side call that one. */
	transfer(uri) {
		return this.command('transfer', uri);
	}

	async hangup() {
		await this.command('hangup');
	}

	async stop() {
		this.socket?.destroy();
		await this.proc?.kill();
	}
}
