// SPDX-License-Identifier: GPL-2.0-or-later
// The whole stack of one test: rtpengine, Kamailio, and the parties of a call.
//
//	alice, a client (127.0.0.1) --- Kamailio + rtpengine (127.0.0.1) --- bob, the far end (127.0.0.2)

import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';

import { Coturn } from './coturn.mjs';
import { Kamailio, ROOT, makeCertificate, writeKeyRing } from './kamailio.mjs';
import { Nginx } from './nginx.mjs';
import { Portal } from './portal.mjs';
import { Redis } from './redis.mjs';
import { audioPort } from './rtp.mjs';
import { Rtpengine } from './rtpengine.mjs';
import { Sipp } from './sipp.mjs';
import { freePort } from './ports.mjs';
import { until } from './wait.mjs';

export const DOMAIN = 'example.org';
export const TRUNK_IP = '127.0.0.2';

/** A folder with nothing in it, for its owner alone. */
export function emptied(dir) {
	fs.rmSync(dir, { recursive: true, force: true });
	fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
	return dir;
}

/**
 * An empty folder, build/run/NAME.PID, so that two runs at once do not share logs; what is
 * left of runs that are over goes when the next one starts.
 */
export function runFolder(name) {
	const all = path.join(ROOT, 'build/run');
	fs.mkdirSync(all, { recursive: true });
	for (const other of fs.readdirSync(all)) {
		const pid = other.match(/^(.*)\.(\d+)$/);
		if (pid?.[1] === name && !fs.existsSync(`/proc/${pid[2]}`)) {
			fs.rmSync(path.join(all, other), { recursive: true, force: true });
		}
	}
	return emptied(path.join(all, `${name}.${process.pid}`));
}

export class Stack {
	/**
	 * @param name     names the run's folder, build/run/NAME.PID
	 * @param resume   with the module (tokens then pass over UDP as well)
	 * @param web      with nginx and the portal: stack.web (nginx), stack.portal; true, or what
	 *                 Nginx.start() takes. Tokens then pass over nginx and not in the clear.
	 * @param turn     with coturn, whose credentials the portal gives: stack.turn; only with web; true,
	 *                 or what Coturn.start() takes
	 * @param store    with Redis and the network store: stack.redis; only with web
	 * @param trunk    the trunk's address
	 * @param defines  for kamailio.cfg, see Kamailio.start()
	 */
	static async start(name, { resume = true, tls = false, web = false, turn = false, store = false, trunk = TRUNK_IP, defines = {}, dir, kamailio = {}, rtpengine = {} } = {}) {
		const self = new this();
		self.dir = dir ? emptied(dir) : runFolder(name);
		self.parties = [];
		try {
			self.rtpengine = await Rtpengine.start(self.dir, rtpengine);
			self.trunkIp = trunk;
			// One that is not here yet has all its ports.
			self.trunkPort = await freePort(trunk.startsWith('127.') ? trunk : undefined);
			const set = {
				DOMAIN: `"${DOMAIN}"`,
				TRUNK_IP: `"${trunk}"`,
				TRUNK_URI: `"sip:${trunk}:${self.trunkPort}"`,
				RTPENGINE: `"udp:${self.rtpengine.control}:${self.rtpengine.ng}"`,
				MEDIA_DENIED: '""', // Everything is on loopback here.
				RTPENGINE_TIMEOUT: 5000, // On a machine that stands still for a while nobody is silent.
			};
			if (resume) {
				self.keyRing = writeKeyRing(path.join(self.dir, 'keyring'));
				set.RESUME_KEY_RING = `"${self.keyRing}"`;
				set.RESUME_ALLOW_INSECURE = 1;
			} else {
				set.WITHOUT_RESUME = true;
				set.WITHOUT_AUTH = true;
			}
			if (web) {
				self.portal = Portal.create(self.dir);
				self.certificate = makeCertificate(self.dir, [kamailio.ip ?? '127.0.0.1']);
				Object.assign(set, self.portal.defines, {
					RESUME_ALLOW_INSECURE: 0, RESUME_TRUSTED_PROXY: `"${kamailio.ip ?? '127.0.0.1'}"`,
				});
			}
			if (turn) {
				const secret = randomBytes(32).toString('hex');
				const file = path.join(self.dir, 'turn.secret');
				fs.writeFileSync(file, `${secret}\n`, { mode: 0o600 });
				self.turn = await Coturn.start(self.dir, { ip: kamailio.ip, secret, ...turn });
				Object.assign(set, {
					RESUME_TURN_SECRET_FILE: `"${file}"`, PORTAL_TURN_URIS: `"${self.turn.url('udp')},${self.turn.url('tcp')}"`,
				});
			}
			if (store) {
				self.redis = await Redis.start(self.dir);
				Object.assign(set, { WITH_NETWORK_STORE: true, STORE_REDIS: `"${self.redis.server('calls')}"` });
			}
			if (tls) {
				const { cert, key } = self.certificate ??= makeCertificate(self.dir);
				Object.assign(set, {
					WITH_TLS: true, TLS_CERTIFICATE: `"${cert}"`, TLS_PRIVATE_KEY: `"${key}"`,
				});
			}
			self.kamailio = await Kamailio.start(self.dir, { ...kamailio, defines: { ...set, ...defines } });
			if (web) {
				self.web = await Nginx.start(self.dir, {
					ip: self.kamailio.ip, kamailio: `${self.kamailio.ip}:${self.kamailio.ws}`, certificate: self.certificate,
					...web,
				});
			}
		} catch (e) {
			await self.stop();
			throw e;
		}
		return self;
	}

	get gateway() {
		return `${this.kamailio.ip}:${this.kamailio.port}`;
	}

	/** A SIPp process of the client's side. */
	client(name, scenario, { keys = {}, ...options } = {}) {
		return this.#party(name, scenario, { to: this.gateway, ...options },
			{ user: 'alice', token: 'none', ...keys });
	}

	/** A SIPp process at the trunk's address; it echoes audio. */
	peer(name, scenario, { keys = {}, ...options } = {}) {
		return this.#party(name, scenario, {
			ip: TRUNK_IP, port: this.trunkPort, rtp_echo: true, ...options,
		}, { user: 'bob', ...keys });
	}

	async #party(name, scenario, options, keys) {
		const media_port = options.media_port ?? await freePort(options.ip);
		const party = await Sipp.start(this.dir, {
			name, scenario, ...options, media_port,
			keys: { domain: DOMAIN, audio_port: media_port, ...keys },
		});
		this.parties.push(party);
		return party;
	}

	/** Wait until rtpengine has no calls. */
	noMedia() {
		return until('rtpengine to have no calls', async () => (await this.rtpengine.calls()).length === 0);
	}

	/** End all calls at rtpengine, so that a test that failed does not fail the next. */
	async dropMedia() {
		for (const id of await this.rtpengine.calls()) {
			await this.rtpengine.ask({ command: 'delete', 'call-id': id, 'delete-delay': 0 });
		}
	}

	/** Wait until every tag of the call has sent that many more packets. */
	async audio(callId, more = 10, timeout_ms = 10000) {
		const before = await this.rtpengine.packets(callId);
		return until(`audio both ways in ${callId}`, async () => {
			const now = await this.rtpengine.packets(callId);
			const tags = Object.keys(now);
			return tags.length === 2 && tags.every((t) => now[t] - (before[t] ?? 0) >= more) && now;
		}, { timeout_ms });
	}

	/** Audio of a client by hand, see Rtp, through the call, and back to it. */
	async talk({ audio }, body, callId) {
		const { received } = audio;
		// rtpengine keeps its port, however often it is asked.
		if (!audio.timer) audio.send(audioPort(body), this.rtpengine.ip);
		await this.audio(callId);
		await until('the client to hear something', () => audio.received > received);
	}

	/** The only call that rtpengine has. */
	onlyCall() {
		return until('one call at rtpengine', async () => {
			const calls = await this.rtpengine.calls();
			return calls.length === 1 && calls[0];
		});
	}

	/** End the parties of one test, whatever became of them. */
	async hangUp() {
		await Promise.all(this.parties.splice(0).map((p) => p.kill()));
		for (const callId of await this.rtpengine?.calls().catch(() => []) ?? []) {
			await this.rtpengine.ask({ command: 'delete', 'call-id': callId, 'from-tag': '', 'delete-delay': 0 });
		}
	}

	async stop() {
		await this.hangUp();
		await this.web?.stop();
		await this.kamailio?.stop();
		await this.redis?.stop();
		await this.turn?.stop();
		await this.rtpengine?.stop();
	}
}
