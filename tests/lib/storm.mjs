// SPDX-License-Identifier: GPL-2.0-or-later
// The day everybody comes back at once: many pages in calls, on WebSockets, that lose their gateway together. They wait
// and try again as the page helper does.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { Patience } from '../../web/call-resume/patience.js';
import { Client, DOMAIN, random } from './sip.mjs';
import { Stack, TRUNK_IP } from './stack.mjs';
import { sleep, until } from './wait.mjs';

const PER_ADDRESS = 100; // pages; a gateway closes those of one address that are too many
const AT_ONCE = 16; // are set up
const MB = 1 << 20;
const TIMER_F_MS = 32_000; // RFC 3261 section 17.1.2.2: so long a page's library waits for an answer

const FINGERPRINT = Array.from({ length: 32 }, (_, i) => (i * 7).toString(16).toUpperCase().padStart(2, '0').slice(-2)).join(':');

/** What Chromium offers for a call with audio. */
const offer = (port) => [
	'v=0', `o=- ${random(6).replace(/\D/g, '1')} 2 IN IP4 127.0.0.1`, 's=-', 't=0 0', 'a=group:BUNDLE 0', 'a=extmap-allow-mixed',
	'a=msid-semantic: WMS 8b7f2a', `m=audio ${port} UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126`, 'c=IN IP4 127.0.0.1', 'a=rtcp:9 IN IP4 0.0.0.0',
	`a=candidate:1467250027 1 udp 2122260223 127.0.0.1 ${port} typ host generation 0 network-id 1`, `a=ice-ufrag:${random(2)}`,
	`a=ice-pwd:${random(12)}`, 'a=ice-options:trickle', `a=fingerprint:sha-256 ${FINGERPRINT}`, 'a=setup:actpass', 'a=mid:0',
	'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level', 'a=sendrecv', 'a=msid:8b7f2a 1c2d', 'a=rtcp-mux', 'a=rtpmap:111 opus/48000/2',
	'a=rtcp-fb:111 transport-cc', 'a=fmtp:111 minptime=10;useinbandfec=1', 'a=rtpmap:63 red/48000/2', 'a=fmtp:63 111/111',
	'a=rtpmap:9 G722/8000', 'a=rtpmap:0 PCMU/8000', 'a=rtpmap:8 PCMA/8000', 'a=rtpmap:13 CN/8000', 'a=rtpmap:110 telephone-event/48000',
	'a=rtpmap:126 telephone-event/8000', 'a=ssrc:3735928559 cname:abcdefgh', '',
].join('\r\n');

const count = (table, key) => { table[key] = (table[key] ?? 0) + 1; };

class Page {
	constructor(storm, i, token) {
		Object.assign(this, { storm, i, token, user: `u${i}`, media: 20000 + (i % 10000) });
		this.ip = `127.1.${Math.floor(i / PER_ADDRESS / 250)}.${1 + Math.floor(i / PER_ADDRESS) % 250}`;
	}

	async connect() {
		const { transport, to } = this.storm.door;
		const client = await Client.open({ ip: this.ip, transport, to, user: this.user, token: this.token, media: this.media, session: this.session, timeout_ms: TIMER_F_MS });
		// As browsers do, where the server lets them.
		client.socket.on('session', (session) => { this.session = session; });
		client.handle = (m) => {
			if (!m.status && m.method !== 'ACK') m.answer(undefined);
			return m.status > 0 && m.status < 200;
		};
		client.socket.on('close', () => {
			if (this.client !== client) return;
			this.client = undefined;
			this.lost?.();
		});
		this.client = client;
	}

	async register() {
		const { status, start } = await this.client.register({ headers: ['Expires: 600'] });
		if (status !== 200) throw new Error(start);
	}

	/** A new call, or the one that it was in. @returns the final reply */
	async call(state) {
		const dialog = await this.client.call({ state, body: offer(this.media) });
		if (dialog.final.status === 200) Object.assign(this, { dialog, state: dialog.state ?? this.state });
		return dialog.final;
	}

	bye() {
		return this.dialog.request('BYE');
	}

	/** Connect, register and resume, as often as it takes; its place in the result. */
	async comeBack({ codes, back, lost }, begun, end) {
		const say = (what) => {
			count(codes, what);
			if (what.startsWith('503 ')) this.storm.told?.();
		};
		try {
			for (let attempt = 0; performance.now() < end; attempt++) {
				if (!this.client) await sleep(this.storm.pause(attempt));
				try {
					if (!this.client) await this.connect();
					await this.register();
					await this.resume(say, end);
					return void back.push(performance.now() - begun);
				} catch (e) {
					if (e.final) throw e;
					say(e.code ?? e.message.replace(/;.*/, ''));
				}
			}
			count(lost, 'out of time');
		} catch (e) {
			count(lost, e.message);
		}
	}

	async resume(say) {
		const patience = new Patience(30_000);
		for (let attempt = 0; ; attempt++) {
			const { status, start, get = () => {} } = await this.call(this.state).then((m) => Object.assign(m, { get: m.get.bind(m) }));
			say(start.slice(8));
			if (status === 200) return;
			const wait = status >= 500 || status === 491 ? patience.pause({ status, retryAfter: get('retry-after') }, attempt) : undefined;
			if (wait === undefined) throw Object.assign(new Error(start.slice(8)), { final: true });
			await sleep(wait);
		}
	}
}

/** A far end for many calls, at that port of the trunk: a process. */
export async function farEnd(port) {
	const far = fork(fileURLToPath(new URL('stormtrunk.mjs', import.meta.url)), [TRUNK_IP, String(port)]);
	await new Promise((resolve, reject) => {
		far.once('message', resolve);
		far.once('exit', () => reject(new Error('no far end')));
	});
	return far;
}

/**
 * So many pages with tokens of that gateway, each of another user.
 * @param of  (number) => {door: {transport, to}, pause: (attempt) => ms}: where that one connects to, and how long it waits before
 */
export async function pagesOf(of, kamailio, n) {
	const tokens = await kamailio.tokens(Array.from({ length: n }, (_, i) => [`sip:u${i}@${DOMAIN}`, `s${i}`]));
	return tokens.map((token, i) => new Page(of(i), i, token));
}

/** Each of these pages calls. */
export async function hold(pages) {
	const rest = [...pages];
	await Promise.all(Array.from({ length: AT_ONCE }, async () => {
		for (let page; (page = rest.pop());) {
			await page.connect();
			await page.register();
			const { start } = await page.call();
			if (!page.state) throw new Error(`page ${page.i}: ${start}`);
		}
	}));
}

/** How the page helper waits before it connects again. */
export const helperPause = (n) => Math.min(4000, 250 * 2 ** n) * (0.5 + Math.random() / 2);

export class Storm extends Stack {
	/**
	 * @param pages   how many
	 * @param over    'ws', 'wss' at Kamailio itself, or 'nginx'
	 * @param shm     Kamailio's shared memory, MB
	 * @param per_s   INVITEs that the trunk takes in a second, 0: all
	 * @param pause   how long a page waits before it connects again: (attempt) => ms
	 */
	static async start(name, { pages, over = 'ws', shm = 64, per_s = 0, pause = helperPause, defines = {}, args = [], ...options }) {
		const self = await super.start(name, {
			...(over === 'wss' ? { tls: true } : {}), ...(over === 'nginx' ? { web: true } : {}), ...options,
			kamailio: { args: ['-m', String(shm), ...args] }, defines: { CHILDREN: 4, TCP_CHILDREN: 4, ...defines },
		});
		try {
			await self.#begin(pages, over, pause);
			await self.trunk({ per_s });
		} catch (e) {
			await self.stop();
			throw e;
		}
		return self;
	}

	async #begin(pages, over, pause) {
		const { ip, ws, wss } = this.kamailio;
		this.pause = pause;
		this.door = {
			ws: () => ({ transport: 'ws', to: { ip, port: ws } }),
			wss: () => ({ transport: 'wss', to: { ip, port: wss } }),
			nginx: () => ({ transport: 'wss', to: { ip, port: this.web.port, host: `localhost:${this.web.port}`, path: '/ws' } }),
		}[over]();
		this.far = await farEnd(this.trunkPort);
		this.pages = await pagesOf(() => this, this.kamailio, pages);
	}

	/** What the far end has seen; {ask: 'reset'} begins anew, {per_s} changes what it takes. */
	trunk(command = {}) {
		return new Promise((resolve) => {
			this.far.once('message', resolve);
			this.far.send(command);
		});
	}

	/** Every page calls. */
	hold() {
		return hold(this.pages);
	}

	/** Kamailio's shared memory, MB: {used, most, all} */
	async memory() {
		const text = await this.kamailio.kamcmd('core.shmmem');
		const of = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(text)[1]) / MB;
		return { used: of('real_used'), most: of('max_used'), all: of('total') };
	}

	/** Seconds of CPU so far: {kamailio: {pid, s}, rtpengine} */
	cpu() {
		return Object.fromEntries(['kamailio', 'rtpengine'].map((who) => [who, { pid: this[who].proc.pid, s: this[who].proc.cpu_ms() / 1000 }]));
	}

	/** The next page that is told to come again. */
	refusal() {
		return new Promise((resolve) => { this.told = resolve; });
	}

	/**
	 * Something happens to all of them at once, and they come back.
	 * @param fault  what happens; resolves when it has
	 * @param limit_ms  after that what is not back is lost
	 * @returns {back: [ms after the fault, of each], lost: {why: pages}, codes: {reply: how often}, cpu: {who: s}, before, after: memory(), trunk}
	 */
	async lose(fault, { limit_ms = 60_000 } = {}) {
		const result = { back: [], lost: {}, codes: {}, before: await this.memory() };
		await this.trunk({ ask: 'reset' });
		const begun = performance.now();
		const coming = [];
		for (const page of this.pages) {
			page.lost = () => {
				page.lost = undefined;
				coming.push(page.comeBack(result, begun, begun + limit_ms));
			};
		}
		const before = this.cpu();
		await fault(this);
		await until('all pages to have lost their connection', () => coming.length === this.pages.length, { timeout_ms: limit_ms });
		await Promise.all(coming);
		// One that has been started anew began with nothing.
		const cpu = Object.fromEntries(Object.entries(this.cpu()).map(([who, { pid, s }]) => [who, s - (pid === before[who].pid ? before[who].s : 0)]));
		return Object.assign(result, { cpu, after: await this.memory(), trunk: await this.trunk() });
	}

	async stop() {
		for (const page of this.pages ?? []) {
			page.lost = undefined;
			page.client?.close();
		}
		this.far?.kill();
		await super.stop();
	}
}

export const KILLED = async ({ kamailio }) => {
	await kamailio.kill();
	await kamailio.boot();
};
export const CUT = ({ pages }) => {
	for (const { client } of pages) client.close();
};
export const NGINX_RESTARTED = async ({ web }) => {
	await web.stop();
	await web.boot();
};
