// SPDX-License-Identifier: GPL-2.0-or-later
// Chromium, headless, with a microphone that hums, and what tests ask its pages: what
// they hear, and what went through their media.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import { ROOT } from './kamailio.mjs';
import { Proc } from './proc.mjs';
import { until } from './wait.mjs';
import { writeTone } from './wav.mjs';

const { chromium, firefox } = createRequire(path.join(ROOT, 'tests/browser/'))('playwright-core');

/** Firefox instead, where BROWSER says so. Not all tests can: see docs/testing.md. */
export const FIREFOX = process.env.BROWSER === 'firefox';

/** A tone without end for the microphone: Chromium's own beeps are short and far between,
 * and become rare when several pages listen. @return its file */
function tone() {
	const file = path.join(ROOT, 'build/tone.wav');
	if (fs.existsSync(file)) return file;
	fs.mkdirSync(path.dirname(file), { recursive: true });
	fs.renameSync(writeTone(`${file}.${process.pid}`, { seconds: 1, rate: 48000, loudest: 16000 }), file);
	return file;
}

// Nothing leaves the machine: no look-ups of the browser's own, no QUIC.
const ARGS = [
	'--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
	'--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream',
	'--use-fake-ui-for-media-stream', `--use-file-for-fake-audio-capture=${tone()}`, '--autoplay-policy=no-user-gesture-required',
];

// A microphone and a camera that Firefox draws itself, without asking; ICE on the loopback interface; nothing leaves the machine.
const PREFS = {
	'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true, 'media.autoplay.default': 0, 'media.autoplay.blocking_policy': 0,
	'media.peerconnection.ice.loopback': true, 'media.peerconnection.ice.obfuscate_host_addresses': false,
	'media.gmp-manager.updateEnabled': false, 'network.captive-portal-service.enabled': false, 'network.connectivity-service.enabled': false,
	'app.update.enabled': false, 'datareporting.policy.dataSubmissionEnabled': false, 'toolkit.telemetry.enabled': false,
	'browser.safebrowsing.malware.enabled': false, 'services.settings.server': 'data:,', 'extensions.getAddons.cache.enabled': false,
	// Notifications that it draws itself: of a desktop there is none here.
	'alerts.useSystemBackend': false,
	// After it was killed it starts as always, with no old tabs.
	'toolkit.startup.max_resumed_crashes': -1, 'browser.sessionstore.resume_from_crash': false,
};

const firefoxOptions = (network) => ({
	channel: 'moz-firefox', executablePath: path.join(ROOT, 'tests/lib/firefox'), headless: true, firefoxUserPrefs: PREFS,
	env: { ...process.env, ...network && { NETWORK: String(network.holder.pid) } },
	handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false,
});

let taught = false;

/** The ESR does not know one of the commands that Playwright begins each context with, and no test needs it. */
function teach(browser) {
	if (taught) return;
	taught = true;
	const session = Object.getPrototypeOf(browser._connection.toImpl(browser)._browserSession);
	const { send } = session;
	session.send = function (command, ...rest) {
		return command === 'emulation.setMediaFeaturesOverride' ? Promise.resolve({}) : send.call(this, command, ...rest);
	};
}

/** Debian's own Firefox, by WebDriver BiDi. */
async function startFirefox(network) {
	const browser = await firefox.launch(firefoxOptions(network));
	teach(browser);
	return browser;
}

/** The process of a context's browser, as Playwright has started it: in a group of its own. */
const processOf = (context) => context._connection.toImpl(context)._browser.options.browserProcess;

/** Kill what renders the pages of that Firefox, which lives on. */
function crashPages({ process: { pid } }) {
	const read = (file) => {
		try {
			return fs.readFileSync(file, 'utf8');
		} catch {
			return ''; // it has ended meanwhile
		}
	};
	const ours = new RegExp(`[ \\0]-parentPid[ \\0]${pid}[ \\0].*[ \\0]tab\\0*$`, 's');
	const pages = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name) && ours.test(read(`/proc/${name}/cmdline`)));
	if (!pages.length) throw new Error('no page to crash');
	for (const page of pages) process.kill(Number(page), 'SIGKILL');
	return until('the pages to be gone', () => pages.every((page) => !ours.test(read(`/proc/${page}/cmdline`))));
}

/** One with a profile that stays: its context. */
async function startFirefoxIn(profile) {
	if (!taught) await (await startFirefox()).close();
	return firefox.launchPersistentContext(profile, { ...firefoxOptions(), ...CONTEXT });
}

/** What each user's browser has. Firefox takes no permissions: it asks for none. */
const CONTEXT = { ignoreHTTPSErrors: true, ...FIREFOX ? {} : { permissions: ['microphone', 'camera'] } };

/** In every page, before its own scripts: remember its connections, newest last; do not
 * take the echo of the tone for something to be cancelled; give a way into the storage;
 * and tell whether the page is shown as it was left. */
function instrument() {
	const { mediaDevices } = navigator;
	const capture = mediaDevices?.getUserMedia.bind(mediaDevices);
	if (capture) {
		const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
		mediaDevices.getUserMedia = ({ audio, ...others }) => capture({ ...others, audio: audio && { ...audio === true ? {} : audio, ...plain } });
	}
	addEventListener('pageshow', ({ persisted }) => { window.persisted = persisted; });
	window.inDatabase = (mode, act) => new Promise((resolve, reject) => {
		const opening = indexedDB.open('call-resume');
		opening.onupgradeneeded = () => opening.result.createObjectStore('calls');
		opening.onerror = () => reject(opening.error);
		opening.onsuccess = () => {
			const transaction = opening.result.transaction('calls', mode);
			const request = act(transaction.objectStore('calls'));
			transaction.oncomplete = () => { opening.result.close(); resolve(request.result); };
			transaction.onabort = () => reject(transaction.error);
		};
	});
	const Connection = window.RTCPeerConnection;
	window.connections = [];
	window.RTCPeerConnection = class extends Connection {
		constructor(...args) {
			super(...args);
			window.connections.push(this);
		}
	};
	// Not every browser tells the tests of its WebSockets.
	const Socket = window.WebSocket;
	Object.assign(window, { sockets: 0, opened: 0, frames: [] });
	window.WebSocket = class extends Socket {
		constructor(...args) {
			super(...args);
			window.sockets++;
			this.addEventListener('open', () => { window.opened++; });
			this.addEventListener('message', ({ data }) => window.frames.push(String(data)));
		}
	};
}

/** In each new page of a tab or a context: what the portal says of the web session is changed on its way to the page. (Of a
 * request in Firefox Playwright has no body, and so cannot ask in its place.)
 * @param change  (told, argument) => told; it runs in the page */
export const changeSession = (where, change, argument) => where.addInitScript({ content: `{
	const { fetch } = window;
	window.fetch = async (...how) => {
		const answer = await fetch(...how);
		if (answer.status !== 200 || !answer.url.endsWith('/session')) return answer;
		return Response.json((${change})(await answer.json(), ${JSON.stringify(argument)}));
	};
}` });

/** For addInitScript(): in the page, what it captures (captured), and which tracks are on: of its newest connection
 * (tracks()), and of its first one when it had both descriptions, from when on they are encoded (first). */
export function noteTracks() {
	const { mediaDevices } = navigator;
	const capture = mediaDevices.getUserMedia.bind(mediaDevices);
	const kinds = new Set();
	mediaDevices.getUserMedia = (constraints) => {
		for (const kind of ['audio', 'video']) if (constraints[kind]) kinds.add(kind);
		window.captured = [...kinds];
		return capture(constraints);
	};
	const said = (connection) => connection.getSenders().filter(({ track }) => track)
		.map(({ track }) => `${track.kind} ${track.enabled ? 'on' : 'off'}`).sort();
	// Of one that is closed Firefox has no senders.
	window.tracks = () => said(window.connections.findLast(({ connectionState }) => connectionState !== 'closed'));
	window.RTCPeerConnection = class extends window.RTCPeerConnection {
		setLocalDescription(...args) {
			if (this.signalingState === 'have-remote-offer') window.first ??= said(this);
			return super.setLocalDescription(...args);
		}

		setRemoteDescription(...args) {
			if (this.signalingState === 'have-local-offer') window.first ??= said(this);
			return super.setRemoteDescription(...args);
		}
	};
}

/** Switch the tracks of the page's newest connection on or off, and tell nobody. */
export const enable = (tab, enabled) => tab.page.evaluate((yes) => {
	for (const { track } of window.connections.at(-1).getSenders()) if (track) track.enabled = yes;
}, enabled);

export class Browser {
	/**
	 * @param profile  folder of the profile, to be used again by the next start; without
	 *                 it every start is a new browser
	 * @param network  a Network to live in, instead of the loopback interface
	 */
	static async start({ profile, args = [], network, ignoreDefaultArgs } = {}) {
		const self = new Browser();
		if (FIREFOX && (profile || args.length)) throw new Error('this test is for Chromium');
		const options = {
			executablePath: network?.chromium ?? '/usr/bin/chromium', headless: true, ignoreDefaultArgs,
			args: [...ARGS, ...network ? [] : ['--allow-loopback-in-peer-connection'], ...args],
			handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false,
		};
		if (profile) {
			self.context = await chromium.launchPersistentContext(profile, { ...options, ...CONTEXT });
		} else {
			self.browser = FIREFOX ? await startFirefox(network) : await chromium.launch(options);
			self.context = await self.browser.newContext(CONTEXT);
		}
		await self.context.addInitScript(instrument);
		return self;
	}

	/**
	 * One that can be killed, with all its processes.
	 * @param dir      of its log and profile; the next one in the same folder goes on with the profile
	 */
	static async spawn(dir, name) {
		const self = new Browser();
		const profile = path.join(dir, `${name}.profile`);
		if (FIREFOX) {
			self.context = await startFirefoxIn(profile);
			self.process = processOf(self.context);
			await self.context.addInitScript(instrument);
			return self;
		}
		const port = path.join(profile, 'DevToolsActivePort');
		fs.rmSync(port, { force: true });
		self.proc = new Proc(name, dir, '/usr/bin/chromium', [
			...ARGS, '--headless', '--allow-loopback-in-peer-connection', '--ignore-certificate-errors',
			'--password-store=basic', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank',
		]);
		const url = await until('Chromium', () => {
			self.proc.assertAlive();
			const [number, where] = fs.readFileSync(port, 'utf8').split('\n');
			return where && `ws://127.0.0.1:${number}${where}`;
		});
		self.browser = await chromium.connectOverCDP(url);
		[self.context] = self.browser.contexts();
		await self.context.addInitScript(instrument);
		return self;
	}

	/** As its user does; then everything is on the disk. */
	async quit() {
		if (FIREFOX) return this.context.close();
		const devtools = await this.browser.newBrowserCDPSession();
		devtools.send('Browser.close').catch(() => {});
		return this.proc.exited;
	}

	/** All its processes at once. */
	async kill() {
		if (FIREFOX) return this.process.kill();
		await this.proc.kill('SIGKILL');
		return this.browser.close();
	}

	/** Another user's browser in the same process: nothing is shared between them. */
	async another() {
		const other = new Browser();
		other.context = await this.browser.newContext(CONTEXT);
		await other.context.addInitScript(instrument);
		return other;
	}

	/** As a browser is that has not been asked yet: Chromium denies notifications where others than these are granted. */
	asksForNotifications() {
		return this.context.clearPermissions();
	}

	/** What a user says who is asked. */
	allowNotifications(url) {
		return this.context.grantPermissions([...CONTEXT.permissions ?? [], 'notifications'], { origin: new URL(url).origin });
	}

	/** A new tab. */
	async open(url) {
		const tab = new Tab(await this.context.newPage());
		await tab.page.goto(url);
		return tab;
	}

	async close() {
		if (this.proc ?? this.process) return this.kill();
		// What a test does with requests on their way would fail when the page is gone.
		for (const one of [this.context, ...this.context.pages()]) await one.unrouteAll({ behavior: 'ignoreErrors' });
		await this.context.close();
		return this.browser?.close();
	}
}

/** A tab with one of the example pages. */
class Tab {
	constructor(page) {
		this.page = page;
		this.console = [];
		page.on('console', (m) => this.console.push(`${m.type()}: ${m.text()}`));
		page.on('pageerror', (e) => this.console.push(`error: ${e.stack}`));
	}

	/** Sign in, unless the browser has a session already. */
	async signIn(user, password) {
		const form = await until('the page to know whether it is signed in', () => this.page.evaluate(() => (
			document.querySelector('#sign-in:not([hidden])') ? 'form' : document.title === 'registered' && 'session')))
			.catch((e) => { throw new Error(`${e.message}\n${this.console.join('\n')}`); });
		if (form !== 'form') return;
		await this.page.fill('#user', user);
		await this.page.fill('#password', password);
		await this.page.click('#sign-in button');
	}

	registered() {
		return until('the page to register', async () => await this.page.title() === 'registered', { timeout_ms: 30000 })
			.catch((e) => { throw new Error(`${e.message}\n${this.console.join('\n')}`); });
	}

	async dial(number) {
		await this.page.fill('#number', number);
		await this.page.click('#call');
	}

	/** Click a button of the only call, or of the N-th. */
	click(button, n = 0) {
		return this.page.locator(`#calls li .${button}`).nth(n).click();
	}

	/** The states that the page shows of its calls. */
	states() {
		return this.page.locator('#calls li span').allTextContents();
	}

	/** Wait until the page shows so many calls, all in that state; null: in any. */
	up(calls = 1, state = 'up') {
		return until(`${calls} calls ${state}`, async () => {
			const all = await this.states();
			return all.length === calls && all.every((s) => !state || s === state);
		}).catch(async (e) => {
			throw new Error(`${e.message}: ${await this.states()}, "${await this.line()}"\n${this.console.join('\n')}`);
		});
	}

	/** The pair of candidates that the page's media goes through: its local side. */
	route() {
		return this.page.evaluate(async () => {
			const stats = await window.connections.at(-1).getStats();
			const transport = [...stats.values()].find((s) => s.type === 'transport');
			const local = stats.get(stats.get(transport.selectedCandidatePairId).localCandidateId);
			return { type: local.candidateType, protocol: local.relayProtocol };
		});
	}

	/** The calls in the page's storage: their names, in both places where they are kept. */
	stored() {
		return this.page.evaluate(async () => {
			const kept = await window.inDatabase('readonly', (calls) => calls.getAllKeys());
			return [...kept, ...Object.keys(localStorage)].filter((key) => key.startsWith('call-resume '));
		});
	}

	/** What the page stores of its only call, as text. */
	record() {
		return this.page.evaluate(async () => (await window.inDatabase('readonly', (calls) => calls.getAll()))[0][1]);
	}

	/** Its only call rings at the far end, and the page has stored the state of that. */
	rings() {
		return until('a state of a call that rings', async () => /"state":/.test(await this.record().catch(() => '')));
	}

	/** Put a record into the page's storage, as if the page had. */
	plant(user, text) {
		return this.page.evaluate(([name, value]) => window.inDatabase('readwrite',
			(calls) => calls.put(['stolen', value], `call-resume ${name} stolen`)), [user, text]);
	}

	/** How many messages that match came over the page's WebSockets. */
	frames(pattern) {
		return this.page.evaluate(([source, flags]) => window.frames.filter((text) => new RegExp(source, flags).test(text)).length, [pattern.source, pattern.flags]);
	}

	/** Kill the process of the page. */
	async crash() {
		if (FIREFOX) return crashPages(processOf(this.page.context()));
		const crashed = new Promise((resolve) => { this.page.once('crash', resolve); });
		const devtools = await this.page.context().newCDPSession(this.page);
		devtools.send('Page.crash').catch(() => {});
		await crashed;
	}

	/** Another tab in front of it. */
	async putBehind() {
		const context = this.page.context();
		// In Chromium Playwright has each page believe that it is in front.
		if (!FIREFOX) await (await context.newCDPSession(this.page)).send('Emulation.setFocusEmulationEnabled', { enabled: false });
		await (await context.newPage()).bringToFront();
		await until('the page to be behind', () => this.page.evaluate(() => !document.hasFocus()));
	}

	close() {
		return this.page.close();
	}

	async line() {
		return this.page.locator('#line').textContent();
	}

	/** What went through the newest connection, or the n-th newest: packets both ways, level heard. */
	media(kind = 'audio', nth = 1) {
		return this.page.evaluate(async ([wanted, n]) => {
			const live = window.connections.filter((c) => c.connectionState !== 'closed');
			const now = { inbound: 0, outbound: 0, level: 0, frames: 0, ice: live.at(-n)?.iceConnectionState, count: live.length };
			for (const connection of live.slice(-n).slice(0, 1)) {
				for (const r of (await connection.getStats()).values()) {
					if (r.kind !== wanted) continue;
					if (r.type === 'inbound-rtp') {
						now.inbound += r.packetsReceived;
						now.level = Math.max(now.level, r.audioLevel ?? 0);
						now.frames += r.framesDecoded ?? 0;
					}
					if (r.type === 'outbound-rtp') now.outbound += r.packetsSent;
				}
			}
			return now;
		}, [kind, nth]);
	}

	/** Wait until audio comes for most of a second and none is sent. */
	async onlyHears() {
		let quiet = await this.media();
		await until('audio to the page only', async () => {
			const now = await this.media();
			if (now.outbound > quiet.outbound) quiet = now;
			return now.inbound - quiet.inbound > 40;
		}, { every_ms: 50 });
	}

	/** The far end sends back what it gets, but no one there asks for a whole picture when the first one was lost. (Firefox
	 * cannot be told to send one: there packets are all that is waited for.) */
	keyFrame() {
		return this.page.evaluate(async () => {
			for (const sender of window.connections.at(-1)?.getSenders() ?? []) {
				if (sender.track?.kind !== 'video') continue;
				const parameters = sender.getParameters();
				await sender.setParameters(parameters, { encodingOptions: parameters.encodings.map(() => ({ keyFrame: true })) }).catch(() => {});
			}
		});
	}

	/** Wait until media flows both ways and a tone was heard. */
	async hears({ kind = 'audio', nth, timeout_ms = 20000 } = {}) {
		let before = await this.media(kind, nth);
		let level = 0;
		return until(`${kind} both ways in the page`, async () => {
			const now = await this.media(kind, nth);
			// Another connection counts from its own beginning.
			if (now.outbound < before.outbound) before = now;
			if (kind === 'video' && now.frames === before.frames) await this.keyFrame();
			level = Math.max(level, now.level);
			return now.inbound - before.inbound > 20 && now.outbound - before.outbound > 20
				&& (kind === 'audio' ? level > 0.05 : FIREFOX || now.frames > before.frames) && { ...now, level };
		}, { timeout_ms, every_ms: 50 }).catch(async (e) => {
			throw new Error(`${e.message}: ${JSON.stringify(await this.media(kind, nth))}\n${this.console.join('\n')}`);
		});
	}
}
