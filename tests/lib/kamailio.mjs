// SPDX-License-Identifier: GPL-2.0-or-later
// Kamailio with the project's own configuration, its defines set for one run.

import { execFile, execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import { Proc } from './proc.mjs';
import { freePort } from './ports.mjs';
import { until } from './wait.mjs';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/* tools/sanitize has another one. */
export const MODULE = process.env.CALL_RESUME_MODULE ?? path.join(ROOT, 'build', 'call_resume.so');
/** The longest message that Kamailio takes out of a datagram: from 6.0 on msg_recv_max_size says so, 32767 where it is not set. */
export const DATAGRAM_MAX = /^version: kamailio [1-5]\./m.test(spawnSync('kamailio', ['-v'], { encoding: 'utf8' }).stdout) ? 65507 : 32767;

/** Write a key ring of one key; returns its path. */
export function writeKeyRing(file, kids = ['k1']) {
	const lines = kids.map((kid) => `${kid} ${randomBytes(32).toString('base64url')}\n`);
	fs.writeFileSync(file, lines.join(''), { mode: 0o600 });
	return file;
}

/** A configuration of the module and little else, for Kamailio.start(): its text is what is behind the modules. */
export const small = (text, { modules = [], children = 1, debug = 2 } = {}) => ['#!KAMAILIO',
	`children=${children}`, `debug=${debug}`, 'log_stderror=yes', 'listen=LISTEN_UDP',
	...['tm', 'sl', 'rr', 'pv', ...modules, 'ctl'].map((name) => `loadmodule "${name}.so"`), 'loadmodule RESUME_MODULE',
	'modparam("ctl", "binrpc", CTL_SOCKET)', 'modparam("call_resume", "key_ring", KEY_RING)', text].join('\n');

export class Kamailio {
	/**
	 * @param dir      the run's folder
	 * @param defines  what kamailio.cfg's defines are set to: {NAME: 'value'}, with
	 *                 quotes in the value where the configuration has them; true
	 *                 for a define without a value
	 * @param ports    {port, ws, tls, wss} where they must not be just any
	 * @param syslog   a Syslog that gets the log, in the place of stderr
	 * @param under    a command that runs it, with its arguments
	 * @param own      a configuration of the test's own, as text; in it KEY_RING is a key ring
	 */
	static async start(dir, {
		ip = '127.0.0.1', name = 'kamailio', defines = {}, cfg = path.join(ROOT, 'cfg/kamailio.cfg'),
		args = [], ports = {}, own, syslog, under = [],
	} = {}) {
		if (own) {
			cfg = path.join(dir, `${name}.cfg`);
			fs.writeFileSync(cfg, own);
			defines = { KEY_RING: `"${writeKeyRing(path.join(dir, 'keyring'))}"`, ...defines };
		}
		const self = new Kamailio();
		Object.assign(self, { dir, ip, name, cfg, args, syslog, under });
		self.port = ports.port ?? await freePort(ip);
		self.ws = ports.ws ?? await freePort(ip);
		self.tls = ports.tls ?? await freePort(ip);
		self.wss = ports.wss ?? await freePort(ip);
		self.defines = {
			LISTEN_UDP: `udp:${ip}:${self.port}`,
			LISTEN_TCP: `tcp:${ip}:${self.port}`,
			LISTEN_WS: `tcp:${ip}:${self.ws}`,
			LISTEN_TLS: `tls:${ip}:${self.tls}`,
			LISTEN_WSS: `tls:${ip}:${self.wss}`,
			WS_PORT: self.ws,
			WSS_PORT: self.wss,
			// Relative: a socket's path must not be longer than 107 characters,
			// and who knows how deep the checkout is.
			CTL_SOCKET: `"unixs:./${name}.ctl"`,
			RPC_FIFO: `"./${name}.fifo"`,
			CHILDREN: 2,
			TCP_CHILDREN: 2,
			RESUME_MODULE: `"${MODULE}"`,
			...defines,
		};
		await self.boot();
		return self;
	}

	/** Start it again with the same ports and defines, after kill() or stop(). */
	async boot() {
		/* The memory is that of cfg/systemd.conf. */
		const args = ['-f', this.cfg, '-Y', this.dir, '-w', this.dir, '-DD', ...(this.syslog ? [] : ['-E']), '-m', '512', '-M', '16', ...this.args];
		for (const [key, value] of Object.entries(this.defines)) {
			if (value === undefined || value === false) continue;
			args.push('-A', value === true ? key : `${key}=${value}`);
		}
		const [command, ...rest] = this.syslog?.command('kamailio', ...args) ?? [...this.under, 'kamailio', ...args];
		this.proc = new Proc(this.name, this.dir, command, rest);
		try {
			await until('Kamailio', async () => {
				this.proc.assertAlive();
				return (await this.kamcmd('core.uptime')).includes('uptime');
			});
		} catch (e) {
			await this.stop();
			throw e;
		}
	}

	/** One RPC command; resolves with kamcmd's output. */
	kamcmd(...command) {
		return new Promise((resolve, reject) => {
			execFile('kamcmd', ['-s', `unixs:./${this.name}.ctl`, ...command.map(String)],
				{ cwd: this.dir, timeout: 5000, maxBuffer: 1 << 24 }, (e, out, err) => {
					if (e || /^error: /.test(out)) reject(new Error((out + err).trim() || e.message));
					else resolve(out);
				});
		});
	}

	/** A token of the web session (sub, sid), from the module itself. */
	async token(sub, sid, ttl_s) {
		const out = await this.kamcmd('call_resume.issue', sub, ...(sid ? [sid] : []),
			...(ttl_s ? [ttl_s] : []));
		return out.match(/[\w-]+\.[\w-]+\.[\w-]+/)[0];
	}

	/** As many tokens as there are [sub, sid], at once: kamcmd reads commands from its standard input. */
	tokens(sessions) {
		return new Promise((resolve, reject) => {
			const child = execFile('kamcmd', ['-s', `unixs:./${this.name}.ctl`], { cwd: this.dir, maxBuffer: 1 << 26 }, (e, out, err) => {
				const tokens = out.match(/[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}/g) ?? [];
				if (tokens.length === sessions.length) resolve(tokens);
				else reject(new Error(`${tokens.length} of ${sessions.length} tokens: ${err}`));
			});
			child.stdin.end(sessions.map(([sub, sid]) => `call_resume.issue ${sub} ${sid}\n`).join(''));
		});
	}

	/** The log without Kamailio's own start-up chatter. */
	log() {
		return this.proc.output();
	}

	/** The lines of it that match, from a place in it on; without what its processes say when they begin, some of them
	 * later than it answers. */
	logged(pattern, from = 0) {
		return this.log().slice(from).split('\n').filter((line) => pattern.test(line) && !/rtpp_test\(\): rtpengine instance \S+ found/.test(line));
	}

	/** What happens meanwhile Kamailio finds all at once: none of its processes runs. */
	async paused(what) {
		await this.proc.freeze();
		try {
			return await what();
		} finally {
			this.proc.thaw();
		}
	}

	/** Kamailio and all its children with SIGKILL. */
	kill() {
		return this.proc.kill('SIGKILL');
	}

	stop() {
		return this.proc.stop();
	}
}

/** A certificate for tests, of localhost and 127.0.0.1 and the names given; returns {cert, key}. */
export function makeCertificate(dir, names = []) {
	execFileSync(path.join(ROOT, 'tools/certificate'), [dir, ...names]);
	return { cert: path.join(dir, 'cert.pem'), key: path.join(dir, 'key.pem') };
}
