// SPDX-License-Identifier: GPL-2.0-or-later
// What a reload costs in a real browser: a table, and the same in
// build/bench-browser.json.
//
// Each round loads the JsSIP example page twice in one warm browser: first a page on which
// the button is pressed as soon as it is connected, then the same page again with that call in its
// storage. Times count from the start of the navigation.
//
// Then with a far end that is so and so many milliseconds away, there and back: each is asked by a
// re-INVITE, and not asked (RESUME_QUIET).
//
// BROWSER=firefox: in Firefox.
// usage: node bench/browser.mjs [--rounds=N] [--reloads=N] [--away=50,150] [--library=jssip|sipjs] [--out=FILE]

import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { Browser, FIREFOX } from '../tests/lib/browser.mjs';
import { ROOT } from '../tests/lib/kamailio.mjs';
import { Rtp } from '../tests/lib/rtp.mjs';
import { FarEnd } from '../tests/lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../tests/lib/stack.mjs';
import { until } from '../tests/lib/wait.mjs';
import { median, print, row } from './stats.mjs';

const { values } = parseArgs({
	options: {
		rounds: { type: 'string', default: '12' }, reloads: { type: 'string', default: '50' },
		away: { type: 'string', default: '50,150' }, library: { type: 'string', default: 'jssip' }, out: { type: 'string', default: 'build/bench-browser.json' },
	},
});

/** In the page: when its call got how far, in ms since the navigation began. */
function stopwatch() {
	const marks = window.marks = { answers: 0 };
	const mark = (name) => { marks[name] ??= performance.now(); };
	const Socket = window.WebSocket;
	window.WebSocket = class extends Socket {
		constructor(...args) {
			super(...args);
			mark('script');
			this.addEventListener('open', () => {
				mark('websocket');
				// The page fills the number in. This is who presses the button, when the library knows that it is connected.
				if (new URLSearchParams(location.search).has('dial')) setTimeout(() => document.getElementById('call').click());
			});
			this.addEventListener('message', ({ data }) => {
				if (!/^SIP\/2.0 [2-6]/.test(data)) return;
				if (/^CSeq: *\d+ INVITE/im.test(data)) mark('answer');
				else if (marks.invite === undefined) marks.answers++;
			});
		}

		send(data) {
			if (/^REGISTER /.test(data)) mark('register');
			if (/^INVITE /.test(data)) mark('invite');
			super.send(data);
		}
	};
	const Connection = window.RTCPeerConnection;
	window.RTCPeerConnection = class extends Connection {
		constructor(...args) {
			super(...args);
			mark('media');
			this.addEventListener('iceconnectionstatechange', () => this.iceConnectionState === 'connected' && mark('ice'));
			this.addEventListener('connectionstatechange', () => this.connectionState === 'connected' && mark('dtls'));
			const first = async () => {
				while (marks.rtp === undefined && this.connectionState !== 'closed') {
					for (const s of (await this.getStats()).values()) {
						if (s.type !== 'inbound-rtp' || !s.packetsReceived) continue;
						// Statistics are up to 50 ms old: when the last packet came they say, and before that one came every 20 ms.
						const last = s.lastPacketReceivedTimestamp - performance.timeOrigin;
						marks.rtp ??= last - 20 * (s.packetsReceived - 1) || performance.now();
					}
					await new Promise((resolve) => setTimeout(resolve, 2));
				}
			};
			first();
		}
	};
}

const STAGES = [
	['page and what it begins with', 'script'], ['WebSocket', 'websocket'], ['its scripts and sign-in by cookie, if not there yet', 'register'],
	['microphone and first candidate', 'invite'],
	['INVITE to 200', 'answer'], ['ICE', 'ice'], ['DTLS', 'dtls'], ['first RTP', 'rtp'],
];

async function marks(tab) {
	return until('audio in the page', () => tab.page.evaluate(() => window.marks?.rtp && window.marks), { timeout_ms: 15000, every_ms: 50 });
}

/** The far end heard nothing for so long around the last reload: the packets of silence that go in front of a page's
 * (RESUME_STEPS) are no sound. */
function gap(rtp, since) {
	let from;
	let to = -Infinity;
	let longest = 0;
	for (const g of rtp.gaps.filter((one) => one.to > since)) {
		if (g.from - to > 50) ({ from } = g);
		({ to } = g);
		longest = Math.max(longest, to - from);
	}
	return longest;
}

/** A far end whose answers, to SIP and to audio, come after so many milliseconds. */
async function farAway(stack, away) {
	const rtp = await Rtp.open({ ip: TRUNK_IP });
	rtp.socket.on('message', (m, from) => setTimeout(() => rtp.open && rtp.socket.send(m, from.port, from.address), away));
	rtp.open = true;
	const far = await FarEnd.open({
		ip: TRUNK_IP, port: stack.trunkPort, media: rtp.port, user: 'echo',
		answer: (m) => { setTimeout(() => far.accept(m), away); return false; },
	});
	const { reply } = far;
	far.reply = (m, status, reason, options) => reply.call(far, m, status, reason,
		{ ...options, headers: ['Allow: INVITE, ACK, BYE, CANCEL, UPDATE'] });
	return { far, rtp, close() { rtp.open = false; far.close(); rtp.close(); } };
}

/** One call through so many reloads; rows with that name. */
async function fromAfar(name, away, defines) {
	const stack = await Stack.start('bench-browser-away', { web: WEB, defines });
	let end;
	try {
		const password = stack.portal.add(`alice@${DOMAIN}`);
		end = await farAway(stack, away);
		const url = `${stack.web.url}/examples/${values.library}.html`;
		const tab = await browser.open(url);
		await tab.signIn('alice', password);
		await tab.registered();
		await tab.dial('echo');
		await tab.up();
		await tab.hears();
		const audio = [];
		const gaps = [];
		for (let i = 0; i < reloads; i++) {
			const since = performance.now();
			await tab.page.reload();
			const m = await marks(tab);
			await tab.up();
			await until('the far end to hear the page', () => end.rtp.last > since + 100 && performance.now() - end.rtp.last < 60);
			audio.push(m.rtp - m.invite);
			gaps.push(gap(end.rtp, since));
		}
		await tab.click('hangup');
		await stack.noMedia();
		await tab.page.close();
		rows.push(
			row(`far end ${away} ms away, ${name}: INVITE to first RTP`, audio, 'ms'),
			row(`far end ${away} ms away, ${name}: gap at the far end`, gaps, 'ms'),
		);
	} finally {
		end?.close();
		await stack.stop();
	}
}

const WEB = { values: { SESSION_RATE: '$binary_remote_addr zone=call_resume_session:1m rate=1000r/s' } };
const rounds = Number(values.rounds);
const reloads = Number(values.reloads);
const stack = await Stack.start('bench-browser', { web: WEB });
const rows = [];
let browser;
let rtp;
let far;
try {
	const password = stack.portal.add(`alice@${DOMAIN}`);
	rtp = await Rtp.open({ ip: TRUNK_IP, echo: true });
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, media: rtp.port, user: 'echo' });
	browser = await Browser.start();
	await browser.context.addInitScript(stopwatch);
	const plain = `${stack.web.url}/examples/${values.library}.html`;
	const tab = await browser.open(plain);
	await tab.signIn('alice', password);
	await tab.registered();

	const fresh = [];
	const resumed = [];
	for (let i = 0; i <= rounds; i++) {
		process.stderr.write(`bench: round ${i} of ${rounds}${i ? '' : ', to warm up'}\n`);
		await tab.page.goto(`${plain}?dial=echo`);
		const call = await marks(tab);
		await tab.up();
		// The same page again, but what is in the storage is all that it shall call.
		await tab.page.evaluate(() => history.replaceState(null, '', location.pathname));
		await tab.page.reload();
		const again = await marks(tab);
		await tab.up();
		if (i > 0) {
			fresh.push(call);
			resumed.push(again);
		}
		await tab.click('hangup');
		await stack.noMedia();
	}
	// How fast Firefox is is told, and is no target.
	rows.push(
		row('reload to first RTP / page load to first RTP of a new call', resumed.map((m, i) => m.rtp / fresh[i].rtp), 'ratio', FIREFOX ? undefined : 0.55),
		row('reload to first RTP', resumed.map((m) => m.rtp), 'ms'),
		row('page load to first RTP of a new call', fresh.map((m) => m.rtp), 'ms'),
		row('answers that came before the INVITE went, resume', resumed.map((m) => m.answers), '', Math.max(...fresh.map((m) => m.answers))),
		row('answers that came before the INVITE went, new call', fresh.map((m) => m.answers), ''),
	);
	for (const [name, list] of [['resume', resumed], ['new call', fresh]]) {
		let before = () => 0;
		for (const [stage, key] of STAGES) {
			const from = before;
			rows.push(row(`${name}: ${stage}`, list.map((m) => Math.max(0, m[key] - from(m))), 'ms'));
			before = (m) => Math.max(from(m), m[key]);
		}
	}

	await tab.page.goto(plain);
	await tab.registered();
	await tab.dial('echo');
	await tab.up();
	await tab.hears();
	const gaps = [];
	let back = 0;
	for (let i = 1; i <= reloads; i++) {
		if (i % 10 === 0) process.stderr.write(`bench: reload ${i} of ${reloads}\n`);
		const since = performance.now();
		await tab.page.reload();
		try {
			await marks(tab);
			await tab.up();
			await until('the far end to hear the page', () => rtp.last > since + 100 && performance.now() - rtp.last < 60);
			gaps.push(gap(rtp, since));
			back++;
		} catch (e) {
			process.stderr.write(`bench: reload ${i}: ${e.message}\n`);
		}
	}
	await tab.click('hangup');
	await stack.noMedia();
	rows.push(
		row(`of ${reloads} reloads of one call, not resumed`, reloads - back, '', 0),
		row('gap at the far end, median', median(gaps), 'ms'),
		row('gap at the far end, worst', Math.max(...gaps), 'ms'),
	);
	far.close();
	rtp.close();
	for (const away of values.away.split(',').filter(Boolean).map(Number)) {
		process.stderr.write(`bench: ${away} ms away\n`);
		await fromAfar('asked', away, { RESUME_QUIET: 0 });
		await fromAfar('not asked', away, { RESUME_QUIET: 1 });
	}
} finally {
	await browser?.close();
	far?.close();
	rtp?.close();
	await stack.stop();
}
const out = path.resolve(ROOT, values.out);
fs.mkdirSync(path.dirname(out), { recursive: true });
fs.writeFileSync(out, `${JSON.stringify(rows, null, '\t')}\n`);
if (FIREFOX) console.log('\nFirefox:');
print(rows);
