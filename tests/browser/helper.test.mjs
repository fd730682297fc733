// SPDX-License-Identifier: GPL-2.0-or-later
// call-resume.js without a gateway: its size, its types, and what it makes of answers
// and of a storage that is full.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { Browser } from '../lib/browser.mjs';
import { ROOT } from '../lib/kamailio.mjs';

const WEB = path.join(ROOT, 'web');
const tool = (name, ...args) => execFileSync(path.join(WEB, 'node_modules/.bin', name), args, { cwd: WEB });
const SIZE_MAX = 9 * 1024;
const PATIENCE_MS = 30_000;

/** A message as the gateway sends it, of the call c1 to alice unless the fields say else. */
const sip = (start, cseq, fields = [], { from = '<sip:bob@example.org>;tag=b', to = '<sip:alice@example.org>', callId = 'c1' } = {}) => [
	start, 'Via: SIP/2.0/WSS a.invalid;branch=z9hG4bK1', `From: ${from}`, `To: ${to}`, `Call-ID: ${callId}`, `CSeq: ${cseq}`, ...fields, '', '',
].join('\r\n');
const INVITE = 'INVITE sip:alice@a.invalid SIP/2.0';
const OK = 'SIP/2.0 200 OK';

/** What is run in the page, and waits there for what never comes, fails. */
function bounded(page) {
	const evaluate = page.evaluate.bind(page);
	page.evaluate = (...args) => Promise.race([evaluate(...args), new Promise((_, reject) => {
		setTimeout(() => reject(new Error(`the page is not done after ${PATIENCE_MS} ms`)), PATIENCE_MS).unref();
	})]);
}

for (const library of ['resumeJsSIP', 'resumeSIPjs']) {
	test(`a page with ${library}() gets less than 9 KB, minified and gzipped`, () => {
		const page = path.join(WEB, `.size-${process.pid}.js`);
		try {
			fs.writeFileSync(page, `export { ${library} } from './call-resume.js';`);
			const size = gzipSync(tool('esbuild', page, '--bundle', '--format=esm', '--minify'), { level: 9 }).length;
			assert.ok(size < SIZE_MAX, `${size} bytes`);
		} finally {
			fs.rmSync(page, { force: true });
		}
	});
}

/** A page's code with both libraries; what has to be an error is marked. */
const TYPED = `
import { UA, WebSocketInterface } from 'jssip';
import type { RTCSession } from 'jssip/lib/RTCSession';
import { Inviter, Registerer, Session, UserAgent } from 'sip.js';
import { CallResume, ResumeError, Store, browserStore, resumeJsSIP, resumeSIPjs } from '../call-resume.js';
import { keptCalls } from '../kept-calls.js';
import { networkStore } from '../network-store.js';

const ua = new UA({ sockets: [new WebSocketInterface('wss://localhost/ws')], uri: 'sip:alice@example.org' });
const bare = resumeJsSIP(ua); // with a password
void bare;
const one = resumeJsSIP(ua, { call: { mediaConstraints: { audio: true } }, token: async () => 'token', patience: 1000 });
one.addEventListener('resumed', ({ detail }) => {
	const session: RTCSession = detail.session;
	session.terminate();
	const away: number | undefined = detail.away;
	console.log(away, detail.held && detail.muted, detail.id.length);
});
one.addEventListener('failed', ({ detail: { error } }) => {
	const typed: ResumeError = error;
	if (typed.reason === 'ended') console.log(typed.status, typed.final);
	// @ts-expect-error no such reason
	if (typed.reason === 'bored') console.log();
});
// @ts-expect-error no such event
one.addEventListener('resumd', () => {});
// @ts-expect-error patience is a number
resumeJsSIP(ua, { patience: '1 s' });

const agent = new UserAgent({ uri: UserAgent.makeURI('sip:alice@example.org') });
const other: CallResume<Session> = resumeSIPjs<Inviter, Session>(agent, {
	Inviter, registerer: new Registerer(agent), token: 'token', store: networkStore('/session/calls', () => 'token'),
});
other.addEventListener('resumed', ({ detail }) => { detail.session.bye(); other.remember(detail.session, { muted: true, videoMuted: detail.videoMuted, data: detail.screen }); });
other.addEventListener('resuming', ({ detail: { held, muted, videoMuted, screen, start } }) => console.log(held && muted && videoMuted && screen, start?.getTime()));
// @ts-expect-error the class is needed
resumeSIPjs(agent, {});
const store: Store = browserStore('alice');
store.load().then((all) => all.map(([id, text]) => id + text));
other.end('one');
const again: boolean = other.retry('one');
keptCalls('alice@example.org').map(({ id, data, start, screen }) => [id, data, start?.getTime(), screen && again]);
other.stored().then((all) => all.map((call) => call.start.getTime() + call.media.length));
`;

test('its types fit those of JsSIP and SIP.js', () => {
	// Inside of web/, where the libraries are found.
	const dir = fs.mkdtempSync(path.join(WEB, '.types-'));
	try {
		fs.writeFileSync(path.join(dir, 'page.ts'), TYPED);
		tool('tsc', '--noEmit', '--strict', '--target', 'es2022', '--module', 'esnext',
			'--moduleResolution', 'bundler', path.join(dir, 'page.ts'));
	} catch (e) {
		assert.fail(String(e.stdout ?? e));
	} finally {
		fs.rmSync(dir, { recursive: true });
	}
});

test('no script of web/ uses a name that it does not have', () => {
	const scripts = ['', 'call-resume', 'softphone', 'examples'].flatMap((dir) => fs.readdirSync(path.join(WEB, dir))
		.filter((name) => name.endsWith('.js')).map((name) => path.join(dir, name)));
	assert.ok(scripts.length > 12);
	let said = '';
	try {
		tool('tsc', '--allowJs', '--checkJs', '--noEmit', '--target', 'es2022', '--module', 'esnext',
			'--moduleResolution', 'bundler', '--lib', 'es2023,dom,dom.iterable', ...scripts);
	} catch (e) {
		said = String(e.stdout); // it wants types everywhere, which these do not have
	}
	assert.deepEqual(said.split('\n').filter((line) => /TS2304|TS2552|TS2305|TS2724/.test(line)), []);
});

let browser;
let page;

before(async () => {
	browser = await Browser.start();
	await browser.context.route('https://page.test/**', (route) => {
		const file = path.join(WEB, new URL(route.request().url()).pathname);
		return file.endsWith('.js') ? route.fulfill({ path: file })
			: route.fulfill({ contentType: 'text/html', body: '<!doctype html>' });
	});
	({ page } = await browser.open('https://page.test/'));
	bounded(page);
	await page.evaluate(`window.sip = ${sip}; window.bothLost = ${bothLost};`);
	// A library that answers as a test says; log: the events of the helper.
	await page.evaluate(async () => {
		const { CallResume } = await import('/call-resume.js');
		window.helper = ({ answers = [], online = true, kept = [], tokenFails, ...options }) => {
			if (tokenFails) options.token = async () => { throw new Error('not now'); };
			const log = [];
			const phone = {
				user: 'alice', calls: 0,
				attach(report) { phone.report = report; },
				connected: () => online,
				async prepare() {}, prepared() {}, connection() {}, paused() {}, useToken() {}, drop() {}, hangUp() { phone.hungUp = true; },
				async call(how, started) {
					phone.calls++;
					phone.media = how.media;
					started(`call ${phone.calls}`);
					const answer = answers.shift() ?? { status: 500 };
					if (answer === 200) return {};
					throw answer;
				},
			};
			const store = {
				local: true, all: new Map(kept.map((one) => (typeof one === 'string' ? [one, '{"state":"x"}'] : one))),
				async load() { return [...this.all]; },
				async save(id, text) { this.all.set(id, text); },
				async remove(id) { this.all.delete(id); },
			};
			const calls = new CallResume(phone, { store, patience: 0, ...options });
			for (const type of ['resuming', 'resumed', 'failed', 'storeerror', 'tokenerror']) {
				calls.addEventListener(type, ({ detail }) => log.push({ type, detail }));
			}
			return { calls, phone, store: options.store ?? store, log };
		};
	});
});
after(() => browser?.close());

for (const [what, options, reason, { kept = 0, calls = 1, extra = [], says = /^[A-Z].*\.$/ } = {}] of [
	['481', { answers: [{ status: 481 }] }, 'ended'],
	['408', { answers: [{ status: 408 }] }, 'ended'],
	['410', { answers: [{ status: 410 }] }, 'expired'],
	['403', { answers: [{ status: 403 }] }, 'refused'],
	['401 twice', { answers: [{ status: 401 }, { status: 401 }], token: 'token' }, 'refused', { calls: 2 }],
	['401 to a password', { answers: [{ status: 401 }, 200] }, 'password', { kept: 1, says: /password/ }],
	['407 to a password', { answers: [{ status: 407 }, 200] }, 'password', { kept: 1, says: /password/ }],
	['403 to a password', { answers: [{ status: 403 }] }, 'refused'],
	['401, and no token to be had', { answers: [{ status: 401 }], tokenFails: true }, 'failed', { kept: 1, extra: ['tokenerror'] }],
	['401, then 200', { answers: [{ status: 401 }, 200], token: 'token' }, undefined, { kept: 1, calls: 2 }],
	['491, then 200', { answers: [{ status: 491 }, 200], patience: 5000 }, undefined, { kept: 1, calls: 2 }],
	['503 with Retry-After, then 481', { answers: [{ status: 503, retryAfter: '1 (soon);duration=9' }, { status: 481 }], patience: 5000 }, 'ended', { calls: 2 }],
	...['-1', '-1e300', '0.001', '0', '1e-9', 'x'].map((retryAfter) => (
		[`503 with a Retry-After that is none, ${retryAfter}`, { answers: Array(20).fill({ status: 503, retryAfter }), patience: 300 }, 'failed', { kept: 1, calls: [1, 2, 3] }])),
	['503 with a Retry-After beyond its patience', { answers: [{ status: 503, retryAfter: '9' }, 200], patience: 5000 }, 'failed', { kept: 1, calls: 1 }],
	['488', { answers: [{ status: 488 }] }, 'failed'],
	['500 for too long', { answers: [{ status: 500 }] }, 'failed', { kept: 1 }],
	['nobody answers', { answers: [{}] }, 'no-network', { kept: 1 }],
	['no connection', { online: false }, 'no-network', { kept: 1, calls: 0 }],
	['no microphone', { answers: [{ cause: { name: 'NotFoundError' } }] }, 'no-media', { kept: 1 }],
	['a forbidden microphone', { answers: [{ cause: { name: 'NotAllowedError' } }] }, 'no-media', { kept: 1, says: /not allowed/ }],
	['a microphone that is gone', { answers: [{ cause: { name: 'OverconstrainedError' } }], patience: 5000 }, 'no-media', { kept: 1, says: /not there/ }],
	['a microphone that is in use', { answers: Array(9).fill({ cause: { name: 'NotReadableError' } }), patience: 9000 }, 'no-media', { kept: 1, calls: 4, says: /in use/ }],
	['a microphone that is in use for longer than one waits', { answers: [{ cause: { name: 'NotReadableError' } }] }, 'no-media', { kept: 1, says: /in use/ }],
	['a microphone that is in use for a moment', { answers: [{ cause: { name: 'NotReadableError' } }, 200], patience: 5000 }, undefined, { kept: 1, calls: 2 }],
]) {
	test(`${what}: ${reason ?? 'resumed'}, ${kept ? 'and the state is kept' : 'and the state is gone'}`, async () => {
		const seen = await page.evaluate(async (given) => {
			const { calls, log, store, phone } = window.helper({ ...given, kept: ['one'] });
			await new Promise((resolve) => {
				for (const type of ['resumed', 'failed']) calls.addEventListener(type, resolve);
			});
			calls.stop();
			const { error } = log.at(-1).detail;
			return {
				types: log.map((l) => l.type), reason: error?.reason, message: error?.message, final: error?.final,
				name: error?.name, kept: store.all.size, calls: phone.calls,
			};
		}, options);
		assert.deepEqual(seen.types, ['resuming', ...extra, reason ? 'failed' : 'resumed']);
		assert.equal(seen.reason, reason);
		assert.equal(seen.kept, kept);
		assert.ok([calls].flat().includes(seen.calls), `${seen.calls} calls`);
		if (!reason) return;
		assert.equal(seen.name, 'ResumeError');
		assert.equal(seen.final, kept === 0);
		assert.match(seen.message, /^[A-Z].*\.$/);
		assert.match(seen.message, says);
	});
}

test('a storage that is full is told, and the call goes on', async () => {
	const devtools = await browser.context.newCDPSession(page);
	await devtools.send('Storage.overrideQuotaForOrigin', { origin: 'https://page.test', quotaSize: 1 });
	const seen = await page.evaluate(async () => {
		const { browserStore } = await import('/call-resume.js');
		for (let size = 1 << 20; size; size >>= 1) {
			try {
				for (;;) localStorage.setItem(`filled ${Math.random()}`, 'x'.repeat(size));
			} catch { /* no more of that size */ }
		}
		const { calls, log, phone } = window.helper({ store: browserStore('alice') });
		const told = new Promise((resolve) => { calls.addEventListener('storeerror', resolve); });
		const session = {};
		phone.report.began('c1', session);
		phone.report.receive(window.sip('SIP/2.0 200 OK', '1 INVITE', ['Call-State: x']));
		await told;
		calls.remember(session, { muted: true });
		phone.report.ended('c1');
		calls.stop();
		localStorage.clear();
		return { types: [...new Set(log.map((l) => l.type))], cause: log[0].detail.cause.name };
	});
	assert.deepEqual(seen, { types: ['storeerror'], cause: 'QuotaExceededError' });
	await devtools.send('Storage.overrideQuotaForOrigin', { origin: 'https://page.test' });
});

for (const [what, text, reason] of [
	['of an earlier version, with nothing in some fields', '{"state":"x","update":null,"tag":null,"media":null,"sends":null,"held":null,"muted":null,"data":null,"seen":null}'],
	['of an earlier version, with a state alone', '{"state":"x"}'],
	['cut off', '{"state":"x","media":[{"kind":', 'damaged'],
	['without a state', '{"media":[]}', 'damaged'],
	['with a list that is none', '{"state":"x","sends":"audio"}', 'damaged'],
	['with an m-line that is none', '{"state":"x","media":[null]}', 'damaged'],
	['with a line in its state', '{"state":"x\\r\\nContact: <sip:mallory@example.org>"}', 'damaged'],
	['that is null', 'null', 'damaged'],
	['that is no text', { state: 'x' }, 'damaged'],
	['that says that it is resumed already', '{"state":"x","resuming":true,"session":{},"up":true,"over":true}'],
]) {
	test(`a record ${what}: ${reason ? 'is said to be damaged, is gone, and stops no other call' : 'comes back'}`, async () => {
		const seen = await page.evaluate(async (kept) => {
			const { calls, log, store } = window.helper({ answers: [200, 200], kept: [['one', kept], ['two', '{"state":"y"}']] });
			const ends = () => log.filter(({ type }) => type === 'resumed' || type === 'failed');
			for (let i = 0; ends().length < 2 && i < 60; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
			const ids = [...store.all.keys()];
			calls.stop();
			return [ids.join(), ends().map(({ type, detail: { id, error } }) => [id, type, error?.reason, error?.final, error?.message].join(' ')).sort()];
		}, text);
		assert.deepEqual(seen, [reason ? 'two' : 'one,two',
			[reason ? 'one failed damaged true What was stored of the call is damaged.' : 'one resumed   ', 'two resumed   ']]);
	});
}

test('what the browser has stored under a call\'s name and is no call is said to be damaged, and is gone', async () => {
	const seen = await page.evaluate(async () => {
		const { browserStore } = await import('/call-resume.js');
		for (const [id, value] of [['a', 7], ['b', ['x']], ['c', [null, '{"state":"x"}']], ['d', { 1: {} }]]) {
			await window.inDatabase('readwrite', (calls) => calls.put(value, `call-resume alice ${id}`));
		}
		const { calls, log } = window.helper({ store: browserStore('alice'), answers: [200] });
		for (let i = 0; log.filter(({ type }) => type === 'resumed' || type === 'failed').length < 4 && i < 150; i++) await new Promise((resolve) => { setTimeout(resolve, 20); });
		const kept = (await window.inDatabase('readonly', (all) => all.getAllKeys())).join();
		calls.stop();
		await browserStore('alice').remove('c');
		return [kept, log.filter(({ type }) => type !== 'resuming').map(({ type, detail: { id, error } }) => [id, type, error?.reason].join(' ')).sort()];
	});
	assert.deepEqual(seen, ['call-resume alice c', ['a failed damaged', 'b failed damaged', 'c resumed ', 'd failed damaged']]);
});

test('a call that was kept is tried again when the page says so, once at a time, and no other is', async () => {
	const seen = await page.evaluate(async () => {
		const { calls, log, phone } = window.helper({ answers: [{ cause: { name: 'NotFoundError' } }, { status: 500 }, 200, { status: 481 }], kept: ['one'] });
		const told = (type) => new Promise((resolve) => { calls.addEventListener(type, resolve, { once: true }); });
		const said = [];
		await told('resuming');
		said.push(calls.retry('one'));
		await told('failed');
		said.push(calls.retry('another'));
		// In the event itself.
		calls.addEventListener('failed', () => said.push(calls.retry('one'), calls.retry('one')), { once: true });
		said.push(calls.retry('one'));
		await told('resumed');
		said.push(calls.retry('one'));
		calls.stop();
		return [said.join(), log.map(({ type }) => type).join(), phone.calls];
	});
	assert.deepEqual(seen, ['false,false,true,true,false,false', 'resuming,failed,resuming,failed,resuming,resumed', 3]);
});

test('names of stored calls have the domain, and those that an earlier version has given are read', async () => {
	const seen = await page.evaluate(async () => {
		const { browserStore } = await import('/call-resume.js');
		const [one, other, before] = ['alice@one.example', 'alice@other.example', 'alice'].map(browserStore);
		const names = async () => [...await window.inDatabase('readonly', (calls) => calls.getAllKeys()), ...Object.keys(localStorage)].sort().join();
		const found = [];
		await before.save('1', 'old');
		await other.save('2', 'other');
		await one.save('3', 'one');
		found.push(await one.load());
		await one.save('1', 'new');
		found.push(await one.load(), await other.load(), await before.load(), await names());
		await before.save('1', 'older');
		found.push([...new Map(await one.load())]);
		for (const id of ['1', '3']) await one.remove(id);
		await other.remove('2');
		found.push(await names());
		const { open } = IDBFactory.prototype;
		IDBFactory.prototype.open = () => { throw new DOMException('not here', 'SecurityError'); };
		localStorage.setItem('call-resume alice 4', 'old');
		const without = browserStore('alice@one.example');
		IDBFactory.prototype.open = open;
		found.push(await without.load());
		await without.save('4', 'new');
		found.push(await without.load(), Object.keys(localStorage).join());
		await without.remove('4');
		return found;
	});
	const [one, other] = ['call-resume alice@one.example', 'call-resume alice@other.example'];
	assert.deepEqual(seen, [
		[['1', 'old'], ['3', 'one']],
		[['1', 'new'], ['3', 'one']], [['2', 'other']], [], [`${one} 1`, `${one} 1`, `${one} 3`, `${one} 3`, `${other} 2`, `${other} 2`].join(),
		[['1', 'new'], ['3', 'one']],
		'', [['4', 'old']], [['4', 'new']], `${one} 4`,
	]);
});

test('the calls that will come back are there at once, before anything is waited for', async () => {
	const seen = await page.evaluate(async () => {
		const { keptCalls } = await import('/kept-calls.js');
		const { browserStore } = await import('/call-resume.js');
		const store = browserStore('alice@one.example');
		await store.save('1', '{"state":"x","held":true,"sends":["audio","video"],"off":["video"],"start":5,"data":{"name":"Bob"}}');
		await store.save('2', '{"state":"x","sends":"audio"}');
		localStorage.setItem('call-resume alice 3', '{"state":"x","muted":true}');
		localStorage.setItem('call-resume alice@other.example 4', '{"state":"x"}');
		const found = keptCalls('alice@one.example').map(({ start, ...call }) => ({ ...call, start: start?.getTime() }));
		const { getItem } = Storage.prototype;
		Storage.prototype.getItem = () => { throw new DOMException('not here', 'SecurityError'); };
		found.push(keptCalls('alice@one.example').length);
		Storage.prototype.getItem = getItem;
		for (const id of ['1', '2', '3']) await store.remove(id);
		localStorage.clear();
		return found;
	});
	const none = { held: false, muted: false, videoMuted: false, screen: false, data: undefined, start: undefined };
	assert.deepEqual(seen, [
		{ ...none, id: '3', muted: true }, { ...none, id: '1', held: true, videoMuted: true, start: 5, data: { name: 'Bob' } }, 0,
	]);
});

test('the storage has the calls of one user only, and they are found without IndexedDB too', async () => {
	const seen = await page.evaluate(async () => {
		const { browserStore } = await import('/call-resume.js');
		const [alice, al] = [browserStore('alice'), browserStore('al')];
		await alice.save('1', 'one');
		await al.save('2', 'two');
		const both = [await alice.load(), await al.load()];
		const { open } = IDBFactory.prototype;
		IDBFactory.prototype.open = () => { throw new DOMException('not here', 'SecurityError'); };
		const without = browserStore('alice');
		IDBFactory.prototype.open = open;
		both.push(await without.load());
		await without.save('3', 'three');
		both.push((await without.load()).length);
		await without.remove('3');
		await alice.remove('1');
		both.push(await alice.load(), await without.load());
		return both;
	});
	assert.deepEqual(seen, [[['1', 'one']], [['2', 'two']], [['1', 'one']], 2, [], []]);
});

const ID = 'Call-State-Id: abc';
const ANSWER = sip(OK, '1 INVITE', ['Call-State: x']);
const CALLED = sip(INVITE, '1 INVITE', ['Call-State: x']);
const ACK = sip('ACK sip:alice@a.invalid SIP/2.0', '1 ACK', [], { to: '<sip:alice@example.org>;tag=1' });

test('who has hung up while the call came back has hung up, however long that takes', async () => {
	const seen = await page.evaluate(async () => {
		const { calls, log, phone, store } = window.helper({ answers: [{ canceled: true }, 200], kept: ['one'] });
		const told = () => new Promise((resolve) => { calls.addEventListener('failed', resolve, { once: true }); });
		const first = told();
		phone.connected = () => phone.calls === 0;
		await first;
		phone.connected = () => true;
		const second = told();
		phone.report.online();
		await second;
		calls.stop();
		return { types: log.map((l) => l.type), reason: log.at(-1).detail.error.reason, hungUp: phone.hungUp, kept: store.all.size };
	});
	assert.deepEqual(seen, { types: ['resuming', 'failed', 'resuming', 'failed'], reason: 'canceled', hungUp: true, kept: 0 });
});

test('who has hung up on a call whose media was lost is not in it again, when the gateway is back on the same network', async () => {
	const seen = await page.evaluate(async ([ANSWER, sendingTracks]) => {
		const { calls, phone, connection, log, store } = await eval(sendingTracks)(ANSWER, [], { patience: 0 });
		const did = [];
		Object.assign(phone, {
			probe: async () => true, refresh: () => did.push('refresh'), drop: () => did.push('drop'), connected: () => !did.includes('hung up'),
			async call(how, started) {
				started('n2');
				did.push('hung up');
				throw { canceled: true };
			},
		});
		const told = (type) => new Promise((resolve) => { calls.addEventListener(type, resolve, { once: true }); });
		const first = told('failed');
		connection.iceConnectionState = 'failed';
		connection.dispatchEvent(new Event('iceconnectionstatechange'));
		await first;
		const second = told('failed');
		phone.connected = () => true;
		phone.call = async (how, started) => { started('n3'); return {}; };
		phone.report.online();
		await Promise.race([second, new Promise((resolve) => { setTimeout(resolve, 2000); })]);
		calls.stop();
		return [did.join(), log.map(({ type, detail: { error } }) => [type, error?.reason].join(' ')).join(), !!phone.hungUp, store.all.size];
	}, [ANSWER, `(${sendingTracks})`]);
	assert.deepEqual(seen, ['hung up,drop', 'resuming ,failed no-network,resuming ,failed canceled', true, 0]);
});

test('a call that rings, and of which the page has not told, is not called when the transport is back', async () => {
	const placed = await page.evaluate(async (CALLED) => {
		const { calls, phone, log } = window.helper({});
		phone.report.receive(CALLED);
		phone.report.online();
		await new Promise((resolve) => { setTimeout(resolve, 50); });
		calls.stop();
		return [phone.calls, log.length];
	}, CALLED);
	assert.deepEqual(placed, [0, 0]);
});

for (const [what, answers, { calls, hungUp }] of [
	['is hung up on at the far end, with no microphone', [200], { calls: 2, hungUp: true }],
	['is gone here when the gateway cannot be reached either', [{}], { calls: 2 }],
	['is gone when the far end has hung up', [{ status: 481 }], { calls: 2 }],
]) {
	test(`a call that could not come back, and is ended, ${what}`, async () => {
		const seen = await page.evaluate(async (then) => {
			const { calls, log, phone, store } = window.helper({ answers: [{ cause: { name: 'NotFoundError' } }, ...then], kept: ['one'] });
			await new Promise((resolve) => { calls.addEventListener('failed', resolve); });
			// Once a state arrives it would be stored again.
			const { call } = phone;
			phone.call = async (how, started) => {
				const session = await call(how, started);
				phone.report.receive(window.sip('SIP/2.0 200 OK', '1 INVITE', ['Call-State: y'], { callId: `call ${phone.calls}` }));
				return session;
			};
			const heartbeat = new Promise((resolve) => { setTimeout(resolve, 1100); });
			calls.end('one');
			const kept = [store.all.size];
			await heartbeat;
			phone.report.online();
			kept.push(store.all.size);
			await null;
			calls.stop();
			return { kept, types: log.map((l) => l.type), media: phone.media, calls: phone.calls, hungUp: phone.hungUp };
		}, answers);
		assert.deepEqual(seen, {
			kept: [0, 0], types: ['resuming', 'failed'], media: [{ kind: 'audio', rejected: true }], calls, hungUp,
		});
	});
}

test('a call that is ended while it comes back is hung up on, and one that nobody knows is nobody\'s business', async () => {
	const seen = await page.evaluate(async () => {
		const { calls, log, phone, store } = window.helper({ answers: [{ status: 491 }, 200], patience: 5000, kept: ['one'] });
		await new Promise((resolve) => { calls.addEventListener('resuming', resolve); });
		calls.end('another');
		calls.end('one');
		const kept = store.all.size;
		while (!phone.hungUp) await new Promise((resolve) => { setTimeout(resolve, 5); });
		calls.stop();
		return { kept, types: log.map((l) => l.type), calls: phone.calls };
	});
	assert.deepEqual(seen, { kept: 0, types: ['resuming'], calls: 2 });
});

test('a call that a page of SIP.js refuses without a word is not kept; one that it takes is', async () => {
	const kept = await page.evaluate(async ([CALLED, ACK]) => {
		const sizes = [];
		for (const session of [undefined, {}]) {
			const { calls, phone, store } = window.helper({});
			phone.report.receive(CALLED);
			if (session) phone.report.began('c1', session);
			phone.report.receive(ACK);
			sizes.push(store.all.size);
			calls.stop();
		}
		return sizes;
	}, [CALLED, ACK]);
	assert.deepEqual(kept, [0, 1]);
});

for (const [what, answer] of [['the library cancels it', { canceled: true }], ['it is refused', { status: 481 }]]) {
	test(`a helper that is stopped while a call comes back leaves it to the next one: ${what}`, async () => {
		const seen = await page.evaluate(async (failure) => {
			const first = window.helper({ kept: ['one'] });
			let fail;
			const tried = new Promise((resolve) => {
				first.phone.call = (how, started) => {
					started('n1');
					resolve();
					return new Promise((_, reject) => { fail = reject; });
				};
			});
			await tried;
			first.calls.stop();
			const next = window.helper({ store: first.store, answers: [200] });
			const back = new Promise((resolve) => { next.calls.addEventListener('resumed', resolve); });
			fail(failure);
			await back;
			await new Promise((resolve) => { setTimeout(resolve, 50); });
			const kept = first.store.all.size;
			next.calls.stop();
			return [first.log.map(({ type }) => type).join(), kept];
		}, answer);
		assert.deepEqual(seen, ['resuming', 1]);
	});
}

test('after stop() nothing is stored', async () => {
	const kept = await page.evaluate(async (ANSWER) => {
		const { calls, phone, store } = window.helper({});
		calls.stop();
		phone.report.receive(ANSWER);
		return store.all.size;
	}, ANSWER);
	assert.equal(kept, 0);
});

test('a store on the network that fails is asked again', async () => {
	const seen = await page.evaluate(async (ANSWER) => {
		let down = true;
		const all = new Map([['one', '{"state":"x"}']]);
		const fails = () => { if (down) throw new Error('down'); };
		const store = {
			local: false,
			async load() { fails(); return [...all]; },
			async save(id, text) { fails(); all.set(id, text); },
			async remove(id) { all.delete(id); },
		};
		const { calls, phone, log } = window.helper({ store, answers: [200] });
		const resumed = new Promise((resolve) => { calls.addEventListener('resumed', resolve); });
		phone.report.began('c1', {});
		phone.report.receive(ANSWER);
		await null;
		down = false;
		await resumed;
		for (let i = 0; all.size < 2 && i < 100; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
		calls.stop();
		return [all.size, log.filter((l) => l.type === 'storeerror').length];
	}, ANSWER);
	assert.deepEqual(seen, [2, 2]);
});

test('calls are found in localStorage when the database opens and then fails, and without locks', async () => {
	const seen = await page.evaluate(async () => {
		const { browserStore } = await import('/call-resume.js');
		const store = browserStore('alice');
		await store.save('1', '{"state":"x"}');
		const { transaction } = IDBDatabase.prototype;
		const { request } = LockManager.prototype;
		IDBDatabase.prototype.transaction = () => { throw new DOMException('closing', 'InvalidStateError'); };
		LockManager.prototype.request = async () => { throw new DOMException('not here', 'SecurityError'); };
		const { calls } = window.helper({ store, answers: [200] });
		await new Promise((resolve) => { calls.addEventListener('resumed', resolve); });
		calls.stop();
		Object.assign(IDBDatabase.prototype, { transaction });
		Object.assign(LockManager.prototype, { request });
		await store.remove('1');
		return true;
	});
	assert.ok(seen);
});

test('JsSIP: a handler of the page that throws does not stop a call that is back', async () => {
	const seen = await page.evaluate(async () => {
		const { resumeJsSIP } = await import('/call-resume.js');
		const listeners = {};
		const ua = {
			get: () => 'alice', isConnected: () => true, on(type, act) { listeners[type] = act; },
			call(target, { eventHandlers }) {
				const session = { on() {}, isEnded: () => false, local_identity: { uri: {} }, connection: new RTCPeerConnection() };
				listeners.newRTCSession({ session, request: { getHeader: () => 'n1' } });
				Promise.resolve().then(() => eventHandlers.confirmed({})).catch(() => {});
				return session;
			},
		};
		const store = { local: true, load: async () => [['one', '{"state":"x"}']], async save() {}, async remove() {} };
		addEventListener('unhandledrejection', (e) => e.preventDefault(), { once: true });
		const calls = resumeJsSIP(ua, { store, call: {
			mediaStream: new MediaStream(), eventHandlers: { confirmed() { throw new Error('of the page'); } },
		} });
		const event = await new Promise((resolve) => { calls.addEventListener('resumed', resolve); });
		calls.stop();
		return event.type;
	});
	assert.equal(seen, 'resumed');
});

test('JsSIP: a token that could not be renewed is asked for again', async () => {
	const seen = await page.evaluate(async () => {
		const { resumeJsSIP } = await import('/call-resume.js');
		const { setTimeout: real } = window;
		window.setTimeout = (act, ms) => real(act, ms / 1000);
		const listeners = {};
		let asked = 0;
		let registered = 0;
		const ua = { get: () => 'alice', isConnected: () => true, set() {}, on(type, act) { listeners[type] = act; }, register() { registered++; } };
		const store = { local: true, load: async () => [], async save() {}, async remove() {} };
		const calls = resumeJsSIP(ua, { store, token: async () => { if (++asked === 1) throw new Error('not now'); return 'token'; } });
		for (let i = 0; i < 2; i++) await listeners.registrationFailed({ response: { status_code: 401 } });
		window.setTimeout = real;
		calls.stop();
		return { asked, registered };
	});
	assert.deepEqual(seen, { asked: 2, registered: 2 });
});

test('JsSIP: a wrong password is not tried again', async () => {
	const registered = await page.evaluate(async () => {
		const { resumeJsSIP } = await import('/call-resume.js');
		const listeners = {};
		let asked = 0;
		const ua = {
			get: (what) => (what === 'authorization_user' ? 'alice' : undefined), on(type, act) { listeners[type] = act; }, register() { asked++; },
		};
		const calls = resumeJsSIP(ua, { store: { local: true, load: async () => [], async save() {}, async remove() {} } });
		await listeners.registrationFailed({ response: { status_code: 401 } });
		calls.stop();
		return asked;
	});
	assert.equal(registered, 0);
});

test('the name of a session: made once, also by two tabs at once, in what each REGISTER and INVITE says, and in nothing else', async () => {
	const seen = await page.evaluate(async () => {
		const { sessionName } = await import('/call-resume/store.js');
		const { nameSession } = await import('/call-resume/shared.js');
		const [one, two] = await Promise.all([sessionName('alice@x'), sessionName('alice@x')]);
		const other = await sessionName('bob@x');
		const sent = [];
		const transport = { send(text) { sent.push(text); return true; } };
		nameSession(transport, Promise.resolve('n'));
		nameSession(transport, 'another'); // a second helper of the same user agent
		const messages = ['REGISTER sip:x SIP/2.0', 'INVITE sip:x SIP/2.0', 'ACK sip:x SIP/2.0', 'SIP/2.0 200 OK'];
		for (const start of messages) await transport.send({ toString: () => `${start}\r\nCSeq: 1 INVITE\r\n\r\nINVITE \r\n` });
		const kept = localStorage.getItem('call-resume-session alice@x');
		localStorage.setItem('call-resume-session alice@x', 'no name');
		const again = await sessionName('alice@x');
		return { one, two, other, sent: sent.map(String), kept, again };
	});
	assert.match(seen.one, /^[\w.-]{1,64}$/);
	assert.deepEqual([seen.two, seen.kept, seen.again], [seen.one, seen.one, seen.one]);
	assert.notEqual(seen.other, seen.one);
	const rest = 'CSeq: 1 INVITE\r\n\r\nINVITE \r\n';
	assert.deepEqual(seen.sent, [
		`REGISTER sip:x SIP/2.0\r\nCall-State-Session: n\r\n${rest}`, `INVITE sip:x SIP/2.0\r\nCall-State-Session: n\r\n${rest}`,
		`ACK sip:x SIP/2.0\r\n${rest}`, `SIP/2.0 200 OK\r\n${rest}`,
	]);
});

/** In the page: a call of alice with bob that both ends have lost, whose state this web session can open. Its resume is
 * refused for a while, because the other page is away too. */
const bothLost = async ({ keyed = true, peer = 'sip:bob@example.org' } = {}) => {
	const b64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
		.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
	const utf8 = (text) => new TextEncoder().encode(text);
	const raw = crypto.getRandomValues(new Uint8Array(32));
	const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt']);
	const head = b64(utf8('{"alg":"dir","enc":"A256GCM","kid":"k1"}'));
	const iv = new Uint8Array(12);
	const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: utf8(head) }, key,
		utf8(JSON.stringify({ id: 'abc', remote_uri: peer ?? undefined, start: 1, exp: 2 }))));
	const jwe = [head, '', b64(iv), b64(sealed.slice(0, -16)), b64(sealed.slice(-16))].join('.');
	const store = {
		local: true, all: new Map([['one', JSON.stringify({ state: jwe, held: true })]]),
		async load() { return [...this.all]; }, async save(id, text) { this.all.set(id, text); }, async remove(id) { this.all.delete(id); },
	};
	const answers = Array(99).fill({ status: 491, away: true });
	const helper = window.helper({ store, patience: 20_000, answers });
	const keys = `Call-State-Key: kid=k1;key=${b64(raw)};exp=9`;
	if (keyed) helper.phone.report.receive(window.sip('SIP/2.0 200 OK', '1 REGISTER', [keys], { callId: 'r' }));
	while (!helper.log.some(({ type }) => type === 'resuming')) await new Promise((resolve) => { setTimeout(resolve, 5); });
	return { ...helper, jwe, keys };
};

// What becomes of an answer to a call that goes on with it.
for (const [what, answers, expected] of [
	['is taken', true, { type: 'resumed', kept: 1 }],
	['cannot be taken', false, { type: 'failed', reason: 'failed', kept: 0 }],
]) {
	test(`a call that both ends had lost ${what}`, async () => {
		const seen = await page.evaluate(async (works) => {
			const { calls, phone, log, store, jwe } = await window.bothLost();
			phone.answer = async (session, how) => {
				phone.held = how.held;
				if (works) phone.report.receive(window.sip('ACK sip:a SIP/2.0', '1 ACK', [], { callId: 'n2', to: '<sip:a>;tag=t' }));
				else phone.report.ended('n2');
				if (!works) throw new Error('no microphone');
			};
			phone.report.began('n2', {});
			phone.report.receive(window.sip('INVITE sip:a SIP/2.0', '1 INVITE', [`Call-State: ${jwe}`, 'Call-State-Id: abc'], { callId: 'n2' }));
			while (!log.some(({ type }) => type === 'resumed' || type === 'failed')) await new Promise((resolve) => { setTimeout(resolve, 5); });
			const { type, detail } = log.find((one) => one.type === 'resumed' || one.type === 'failed');
			await new Promise((resolve) => { setTimeout(resolve, 50); });
			calls.stop();
			return { type, id: detail.id, held: phone.held, reason: detail.error?.reason, kept: store.all.size };
		}, answers);
		assert.deepEqual(seen, { id: 'one', held: true, reason: undefined, ...expected });
	});
}

test('a call that both ends had lost, and the page has ended since, is not answered', async () => {
	const seen = await page.evaluate(async ([INVITE, ID]) => {
		const { calls, phone, log, jwe } = await window.bothLost();
		let answered = 0;
		phone.answer = async () => { answered++; };
		calls.end('one');
		phone.report.began('n2', {});
		phone.report.receive(window.sip(INVITE, '1 INVITE', [`Call-State: ${jwe}`, ID], { callId: 'n2' }));
		await new Promise((resolve) => { setTimeout(resolve, 100); });
		calls.stop();
		return [answered, log.map(({ type }) => type).join()];
	}, [INVITE, ID]);
	assert.deepEqual(seen, [0, 'resuming']);
});

for (const [what, fields, who, start = INVITE] of [
	['somebody else', [ID], { from: '<sip:mallory@example.org>;tag=1' }],
	['somebody else, with its name as display name', [ID], { from: '"<sip:bob@example.org>" <sip:mallory@example.org>;tag=1' }],
	['nobody whom one could name', [ID], { from: '"open <sip:bob@example.org>' }],
	['itself, by an id behind a bare CR', [`Subject: x\r${ID}`]],
	['itself, by an id behind a bare LF', [`Subject: x\n${ID}`]],
	['itself, by an id behind U+2028', [`Subject: x\u2028${ID}`]],
	['itself, by an id in a folded line', [`Subject: x\r\n ${ID}`]],
	['itself, by two ids', [ID, 'Call-State-Id: def']],
	['itself, within a dialog', [ID], { to: '<sip:alice@example.org>;tag=1' }],
	['itself, by a message that is no INVITE', [ID], {}, 'MESSAGE sip:alice@a.invalid SIP/2.0'],
]) {
	test(`a call that both ends had lost is not answered for ${what}`, async () => {
		const seen = await page.evaluate(async (given) => {
			const { calls, phone, store, jwe } = await window.bothLost();
			const answered = [];
			phone.answer = async (session) => { answered.push(session); };
			phone.report.began('n2', { name: 'n2' });
			phone.report.receive(window.sip(given.start, `1 ${given.start.split(' ')[0]}`, [`Call-State: ${jwe}`, ...given.fields], { callId: 'n2', ...given.who }));
			// The true one is taken all the same, after it.
			phone.report.began('n3', { name: 'n3' });
			phone.report.receive(window.sip(given.INVITE, '1 INVITE', [`Call-State: ${jwe}`, given.ID], { callId: 'n3' }));
			while (!answered.length) await new Promise((resolve) => { setTimeout(resolve, 5); });
			await new Promise((resolve) => { setTimeout(resolve, 50); });
			calls.stop();
			return { answered: answered.map(({ name }) => name), kept: store.all.size };
		}, { fields, who, start, ID, INVITE });
		assert.deepEqual(seen, { answered: ['n3'], kept: 1 });
	});
}

test('a state that says not with whom the call is goes on with no other call', async () => {
	const answered = await page.evaluate(async ([INVITE, ID]) => {
		const { calls, phone } = await window.bothLost({ peer: null });
		let count = 0;
		phone.answer = async () => { count++; };
		phone.report.began('n2', {});
		phone.report.receive(window.sip(INVITE, '1 INVITE', [ID], { callId: 'n2', from: '<>' }));
		await new Promise((resolve) => { setTimeout(resolve, 100); });
		calls.stop();
		return count;
	}, [INVITE, ID]);
	assert.equal(answered, 0);
});

test('the client key is that of the 200 to REGISTER, whatever other messages say', async () => {
	const opened = await page.evaluate(async ([INVITE, OK]) => {
		const { calls, phone, keys } = await window.bothLost({ keyed: false });
		const other = `Call-State-Key: kid=k1;key=${'A'.repeat(43)};exp=1`;
		phone.report.receive(window.sip(OK, '1 REGISTER', [keys], { callId: 'r' }));
		for (const [start, cseq] of [[INVITE, '1 INVITE'], [OK, '1 INVITE'], [OK, '1 OPTIONS'], ['SIP/2.0 202 Accepted', '1 REGISTER'],
			['REGISTER sip:a SIP/2.0', '1 REGISTER'], ['NOTIFY sip:a SIP/2.0', '1 NOTIFY'], ['SIP/2.0 183 x', '1 INVITE']]) {
			phone.report.receive(window.sip(start, cseq, [other]));
		}
		for (const before of ['\r', '\n', '\u2028', '\u2029']) phone.report.receive(window.sip(OK, '2 REGISTER', [`Server: x${before}${other}`]));
		await new Promise((resolve) => { setTimeout(resolve, 50); });
		const stored = await calls.stored();
		calls.stop();
		return stored.map(({ peer }) => peer);
	}, [INVITE, OK]);
	assert.deepEqual(opened, ['sip:bob@example.org']);
});

test('the state of a call is read where the gateway writes it, and nowhere else', async () => {
	const seen = await page.evaluate(async ([ANSWER, ACK, CALLED, INVITE, OK]) => {
		const within = { to: '<sip:alice@example.org>;tag=1' };
		const states = [];
		for (const [start, cseq, fields, who] of [
			['SIP/2.0 183 x', '2 INVITE', ['Call-State: no']], ['SIP/2.0 486 x', '2 INVITE', ['Call-State: no']], [OK, '2 REGISTER', ['Call-State: no']],
			['MESSAGE sip:a SIP/2.0', '2 MESSAGE', ['Call-State: no']], ['INFO sip:a SIP/2.0', '2 INFO', ['Call-State: no'], within],
			['NOTIFY sip:a SIP/2.0', '2 NOTIFY', ['Call-State: no', 'Event: refer'], within], ['ACK sip:a SIP/2.0', '2 ACK', ['Call-State: no'], within],
			[OK, '2 INVITE', ['Server: x\rCall-State: no']], [OK, '2 INVITE', ['Server: x\u2028Call-State: no']], [OK, '2 INVITE', ['Call-State: no', 'Call-State: no']],
			// Another call with the same Call-ID.
			[INVITE, '2 INVITE', ['Call-State: no']],
			[OK, '2 INVITE', ['Call-State: 200']], [OK, '2 UPDATE', ['Call-State: update']], [INVITE, '3 INVITE', ['Call-State: re;update'], within],
		]) {
			const { calls, phone, store } = window.helper({});
			phone.report.began('c1', {});
			phone.report.receive(start === INVITE ? CALLED : ANSWER);
			if (start === INVITE) phone.report.receive(ACK);
			phone.report.receive(window.sip(start, cseq, fields, who));
			await null;
			states.push([...store.all.values()].map((text) => JSON.parse(text)).map(({ state, update }) => update ?? state).join());
			calls.stop();
		}
		return states;
	}, [ANSWER, ACK, CALLED, INVITE, OK]);
	assert.deepEqual(seen, [...Array(11).fill('x'), '200', 'update', 're']);
});

test('another call with the Call-ID of one takes nothing from it', async () => {
	const seen = await page.evaluate(async ([ACK, INVITE, OK]) => {
		const found = [];
		for (const role of ['caller', 'callee']) {
			const { calls, phone, store } = window.helper({});
			const session = {};
			const theirs = { from: '<sip:bob@example.org>;tag=theirs', to: '<sip:alice@example.org>;tag=1' };
			phone.report.began('c1', session);
			if (role === 'caller') phone.report.receive(window.sip(OK, '1 INVITE', ['Call-State: x'], { from: '<sip:alice@example.org>;tag=1', to: '<sip:bob@example.org>;tag=b' }));
			else phone.report.receive(window.sip(INVITE, '1 INVITE', ['Call-State: x']));
			if (role === 'callee') phone.report.receive(ACK);
			// A stranger's, from its beginning to its end.
			const other = {};
			phone.report.began('c1', other);
			phone.report.receive(window.sip(INVITE, '1 INVITE', ['Call-State: no'], { from: theirs.from }));
			phone.report.receive(window.sip('ACK sip:a SIP/2.0', '1 ACK', [], theirs));
			phone.report.receive(window.sip(INVITE, '2 INVITE', ['Call-State: no;update'], theirs));
			phone.report.receive(window.sip(OK, '7 INVITE', ['Call-State: no'], { from: theirs.to, to: theirs.from }));
			phone.report.changed('c1', { held: true, muted: true }, other);
			phone.report.receive(window.sip('BYE sip:a SIP/2.0', '3 BYE', [], theirs));
			phone.report.receive(window.sip('CANCEL sip:a SIP/2.0', '1 CANCEL', [], { from: theirs.from }));
			phone.report.ended('c1', other);
			await null;
			const kept = [...store.all.values()].map((text) => JSON.parse(text));
			// Its own messages are its own.
			phone.report.receive(window.sip(INVITE, '2 INVITE', ['Call-State: y;update'], { to: '<sip:alice@example.org>;tag=1' }));
			await null;
			kept.push(...[...store.all.values()].map((text) => JSON.parse(text)));
			phone.report.ended('c1', session);
			await null;
			found.push(...kept.map(({ state, update, held }) => [state, update, held].join(' ')), store.all.size);
			calls.stop();
		}
		return found;
	}, [ACK, INVITE, OK]);
	assert.deepEqual(seen, [...Array(2)].flatMap(() => ['x  ', 'x y ', 0]));
});

test('an answer to a call that the page has not placed is of no call', async () => {
	const kept = await page.evaluate(async (ANSWER) => {
		const { calls, phone, store } = window.helper({});
		phone.report.receive(ANSWER);
		await null;
		calls.stop();
		return store.all.size;
	}, ANSWER);
	assert.equal(kept, 0);
});

const BOTH = [{ kind: 'audio', direction: 'sendrecv' }, { kind: 'video', direction: 'sendrecv' }];
for (const [what, record, captured, directions] of [
	['audio and video', { sends: ['audio', 'video'] }, 'audio,video', 'sendrecv,sendrecv'],
	['audio alone', { sends: ['audio'] }, 'audio', 'sendrecv,recvonly'],
	['nothing', { sends: [] }, '', 'recvonly,recvonly'],
	['audio alone, and is on hold', { sends: ['audio'], held: true }, 'audio', 'sendonly,inactive'],
	['nobody knows what, as an earlier version kept it', {}, 'audio', 'sendrecv,recvonly'],
	['nobody knows what, and the record says null', { sends: null }, 'audio', 'sendrecv,recvonly'],
	['nobody knows what, nor in which m-lines', { sends: null, media: null }, 'audio', 'sendrecv'],
]) {
	for (const library of ['JsSIP', 'JsSIP with a stream of the page\'s', 'SIP.js']) {
		test(`${library}: a call with video, in which the page sent ${what}: just that is captured`, async () => {
			const seen = await page.evaluate(async ([library, kept]) => {
				const { resumeJsSIP, resumeSIPjs } = await import('/call-resume.js');
				const { mediaDevices } = navigator;
				const capture = mediaDevices.getUserMedia.bind(mediaDevices);
				const whole = await capture({ audio: true, video: true });
				const store = { local: true, load: async () => [['one', JSON.stringify(kept)]], async save() {}, async remove() {} };
				const asked = new Set();
				mediaDevices.getUserMedia = async (wanted) => {
					for (const kind of ['audio', 'video']) if (wanted[kind]) asked.add(kind);
					return new MediaStream();
				};
				const connection = new RTCPeerConnection();
				let given;
				const tried = new Promise((resolve) => {
					const listeners = {};
					const ua = {
						get: () => 'alice', isConnected: () => true, on(type, act) { listeners[type] = act; },
						call(target, { mediaConstraints, mediaStream, eventHandlers }) {
							// The library captures what it was not given.
							if (!mediaStream) mediaDevices.getUserMedia(mediaConstraints);
							given = mediaStream;
							const session = { on() {}, isEnded: () => false, local_identity: { uri: {} }, connection };
							listeners.newRTCSession({ session, request: { getHeader: () => 'n1' } });
							setTimeout(() => { resolve(); eventHandlers.failed({ cause: 'x', message: { status_code: 481, getHeader() {} } }); });
							return session;
						},
					};
					class Inviter {
						request = { callId: 'n1' };
						stateChange = { addListener() {} };
						async invite({ sessionDescriptionHandlerOptions: { constraints }, requestDelegate }) {
							mediaDevices.getUserMedia(constraints);
							this.delegate.onSessionDescriptionHandler({ peerConnection: connection });
							resolve();
							requestDelegate.onReject({ message: { statusCode: 481, data: 'x', getHeader() {} } });
						}
					}
					const agent = {
						configuration: { uri: { user: 'alice', clone: () => ({}) } }, state: 'Started', isConnected: () => true,
						transport: { onMessage() {}, stateChange: { addListener() {} } },
					};
					const mediaStream = library.includes('stream') ? whole : undefined;
					window.calls = library === 'SIP.js' ? resumeSIPjs(agent, { Inviter, store, token: 'token' }) : resumeJsSIP(ua, { store, call: { mediaStream } });
				});
				await tried;
				window.calls.stop();
				mediaDevices.getUserMedia = capture;
				const kinds = (stream) => stream.getTracks().map(({ kind }) => kind).sort().join();
				const found = [library.includes('stream') ? kinds(given) : [...asked].join(), connection.getTransceivers().map((t) => t.direction).join(), kinds(whole)];
				whole.getTracks().forEach((track) => track.stop());
				return found;
			}, [library, { state: 'x', media: BOTH, ...record }]);
			assert.deepEqual(seen, [captured, directions, 'audio,video']);
		});
	}
}

test('what the page sends is kept with its call, as it changes, and is not what a connection sends that is none yet or any more', async () => {
	const seen = await page.evaluate(async (ANSWER) => {
		const all = new Map();
		const store = { local: false, load: async () => [], async save(id, text) { all.set(id, text); }, async remove(id) { all.delete(id); } };
		const { calls, phone } = window.helper({ store, answers: [] });
		const { deviceId } = (await navigator.mediaDevices.enumerateDevices()).find(({ kind }) => kind === 'videoinput');
		const fake = (kind, readyState) => ({ track: { kind, readyState, enabled: true, getSettings: () => ({ deviceId }) } });
		const [audio, video] = ['audio', 'video'].map((kind) => fake(kind, 'live'));
		const senders = [audio, video, { track: null }];
		let iceChanged;
		const connection = { signalingState: 'stable', getSenders: () => senders, addEventListener(type, act) { iceChanged = act; } };
		const session = {};
		const fresh = { ...connection, getSenders: () => [] };
		phone.connection = (one) => one && (one === session ? connection : fresh);
		const sends = () => JSON.parse([...all.values()][0]).sends.join();
		const changed = async (what) => {
			for (let i = 0; sends() !== what && i < 60; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
			return sends();
		};
		phone.report.began('c1', session);
		phone.report.receive(ANSWER);
		const found = [sends()];
		// The page says nothing: the heartbeat sees it.
		video.track.readyState = 'ended';
		found.push(await changed('audio'));
		audio.track = null;
		found.push(await changed(''));
		Object.assign(audio, fake('audio', 'ended'));
		Object.assign(video.track, { readyState: 'live' });
		found.push(await changed('audio,video'));
		connection.signalingState = 'closed';
		senders.length = 0;
		calls.remember(session, { data: 1 });
		found.push(sends());
		// It comes back: the new connection has no track yet when the state of the call arrives.
		connection.iceConnectionState = 'failed';
		phone.probe = async () => true;
		const back = new Promise((resolve) => { calls.addEventListener('resumed', resolve); });
		phone.call = async (how, started) => {
			const other = {};
			started('n2');
			phone.report.began('n2', other);
			phone.report.receive(ANSWER.replace('c1', 'n2'));
			found.push(how.sends.join(), sends());
			return other;
		};
		iceChanged();
		await back;
		calls.stop();
		return found;
	}, ANSWER);
	assert.deepEqual(seen, ['audio,video', 'audio', '', 'audio,video', 'audio,video', 'audio,video', 'audio,video']);
});

/** In the page: a call that is up, whose connection has these tracks; of(names) is what its record has of them. */
const sendingTracks = async (ANSWER, tracks, kept = {}) => {
	const helper = window.helper({ answers: [], ...kept });
	const connection = Object.assign(new EventTarget(), {
		signalingState: 'stable', iceConnectionState: 'connected', getSenders: () => tracks.map((track) => ({ track })),
	});
	const session = {};
	helper.phone.connection = (one) => (one === session ? connection : undefined);
	helper.phone.report.began('c1', session);
	helper.phone.report.receive(ANSWER);
	const of = () => {
		helper.calls.remember(session, {});
		const { sends, off, screen, muted, videoMuted, held } = JSON.parse([...helper.store.all.values()][0]);
		return [sends.join(), off.join(), screen, muted, videoMuted, held].map((one) => one || '-').join(' ');
	};
	return { ...helper, connection, session, of };
};

test('a picture that is not a camera\'s is not captured again, whoever the browser says it is from', async () => {
	const seen = await page.evaluate(async ([ANSWER, sendingTracks]) => {
		const up = eval(sendingTracks);
		const canvas = Object.assign(document.createElement('canvas'), { width: 9 });
		canvas.getContext('2d');
		const streams = {
			camera: await navigator.mediaDevices.getUserMedia({ audio: true, video: true }),
			screen: await navigator.mediaDevices.getDisplayMedia({ video: true }),
			canvas: canvas.captureStream(),
			away: new RTCPeerConnection().addTransceiver('video').receiver,
		};
		const found = {};
		for (const [name, from] of Object.entries(streams)) {
			const { calls, of } = await up(ANSWER, from.track ? [from.track] : from.getTracks());
			const wanted = name === 'camera' ? '-' : 'true';
			for (let i = 0; of().split(' ')[2] !== wanted && i < 60; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
			found[name] = of();
			calls.stop();
			from.getTracks?.().forEach((track) => track.stop());
		}
		// As a browser tells it that does not know of displaySurface.
		const { calls, of } = await up(ANSWER, [{ kind: 'video', readyState: 'live', enabled: true, getSettings: () => ({ deviceId: 'screen' }) }]);
		const first = of();
		for (let i = 0; of() === first && i < 60; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
		calls.stop();
		return { ...found, untold: [first, of()] };
	}, [ANSWER, `(${sendingTracks})`]);
	assert.deepEqual(seen, {
		camera: 'audio,video - - - - -', screen: '- - true - - -', canvas: '- - true - - -', away: '- - true - - -',
		untold: ['video - - - - -', '- - true - - -'],
	});
});

test('what is switched off is kept as it changes; on hold, where all is, as it was before and as the page says', async () => {
	const seen = await page.evaluate(async ([ANSWER, sendingTracks]) => {
		const { deviceId } = (await navigator.mediaDevices.enumerateDevices()).find(({ kind }) => kind === 'videoinput');
		const [audio, video] = ['audio', 'video'].map((kind) => ({ kind, readyState: 'live', enabled: true, getSettings: () => ({ deviceId }) }));
		const { calls, phone, of, session } = await eval(sendingTracks)(ANSWER, [audio, video]);
		const found = [of()];
		video.enabled = false;
		found.push(of());
		// By the library, because the far end holds.
		phone.paused = () => true;
		audio.enabled = false;
		found.push(of());
		phone.paused = () => false;
		audio.enabled = true;
		found.push(of());
		// By the page.
		audio.enabled = false;
		calls.remember(session, { held: true });
		found.push(of());
		calls.remember(session, { muted: true });
		calls.remember(session, { muted: false, videoMuted: false });
		found.push(of());
		calls.stop();
		return found;
	}, [ANSWER, `(${sendingTracks})`]);
	assert.deepEqual(seen, [
		'audio,video - - - - -', 'audio,video video - - - -', 'audio,video video - - - -', 'audio,video video - - - -',
		'audio,video video - - - true', 'audio,video - - - - true',
	]);
});

test('a connection that is lost is replaced by one that sends no more than it, and the page is told what that is', async () => {
	const seen = await page.evaluate(async ([ANSWER, sendingTracks]) => {
		const { deviceId } = (await navigator.mediaDevices.enumerateDevices()).find(({ kind }) => kind === 'videoinput');
		const [audio, video] = ['audio', 'video'].map((kind) => ({ kind, readyState: 'live', enabled: true, getSettings: () => ({ deviceId }) }));
		const { calls, phone, connection, log } = await eval(sendingTracks)(ANSWER, [audio, video]);
		phone.probe = async () => true;
		// No heartbeat sees it.
		video.enabled = false;
		const back = new Promise((resolve) => { calls.addEventListener('resumed', resolve); });
		phone.call = async (how, started) => {
			started('n2');
			phone.how = `${how.sends} ${how.off}`;
			return {};
		};
		connection.iceConnectionState = 'failed';
		connection.dispatchEvent(new Event('iceconnectionstatechange'));
		await back;
		calls.stop();
		return [phone.how, ...log.map(({ type, detail }) => [type, detail.held, detail.muted, detail.videoMuted, detail.screen, detail.start instanceof Date].join(' '))];
	}, [ANSWER, `(${sendingTracks})`]);
	assert.deepEqual(seen, ['audio,video video', 'resuming false false true false true', 'resumed false false true false true']);
});

test('SIP.js: who asks again after the WebSocket was lost captures nothing more', async () => {
	const seen = await page.evaluate(async (ANSWER) => {
		const { resumeSIPjs } = await import('/call-resume.js');
		let changed;
		const agent = {
			configuration: { uri: { user: 'alice' } }, state: 'Started', isConnected: () => true,
			transport: { onMessage() {}, async send() {}, stateChange: { addListener(act) { changed = act; } } },
		};
		const store = { local: true, load: async () => [], async save() {}, async remove() {} };
		const calls = resumeSIPjs(agent, { Inviter: class {}, store, call: { sessionDescriptionHandlerOptions: { constraints: { audio: true, video: true } } } });
		const asked = new Promise((resolve) => {
			calls.add({ request: { callId: 'c1' }, stateChange: { addListener() {} }, invite: async (options) => resolve(options) });
		});
		agent.transport.onMessage(ANSWER);
		changed('Disconnected');
		changed('Connected');
		const { sessionDescriptionHandlerOptions: { constraints } } = await asked;
		calls.stop();
		return constraints ?? 'those that there are';
	}, ANSWER);
	assert.equal(seen, 'those that there are');
});

for (const [what, message, reason] of [
	['nobody answered', { statusCode: 408 }, 'no-network'],
	['the gateway says 408', { statusCode: 408, data: 'SIP/2.0 408 Request Timeout' }, 'ended'],
]) {
	test(`SIP.js: ${what}`, async () => {
		const seen = await page.evaluate(async (message) => {
			const { resumeSIPjs } = await import('/call-resume.js');
			class Inviter {
				request = { callId: 'n1' };
				stateChange = { addListener() {} };
				async invite({ requestDelegate }) { requestDelegate.onReject({ message: { ...message, getHeader() {} } }); }
			}
			const agent = {
				configuration: { uri: { user: 'alice', clone: () => ({}) } }, state: 'Started', isConnected: () => true,
				transport: { onMessage() {}, stateChange: { addListener() {} } },
			};
			const store = { local: true, load: async () => [['one', '{"state":"x"}']], async save() {}, async remove() {} };
			const calls = resumeSIPjs(agent, { Inviter, store, patience: 0, token: 'token' });
			const { detail } = await new Promise((resolve) => { calls.addEventListener('failed', resolve); });
			calls.stop();
			return detail.error.reason;
		}, message);
		assert.equal(seen, reason);
	});
}

test('what is said of a call reaches the store on the network in order, also after a failure', async () => {
	const seen = await page.evaluate(async () => {
		const { networkStore } = await import('/network-store.js');
		const { fetch } = window;
		const asked = [];
		window.fetch = async (url, { method }) => {
			const first = asked.length === 0;
			asked.push(`${method} ${url}`);
			if (first) await new Promise((resolve) => { setTimeout(resolve, 200); });
			asked.push('answered');
			return new Response('', { status: first ? 500 : 200 });
		};
		const store = networkStore('/calls', () => 'token');
		const all = await Promise.allSettled([store.save('1', 'x'), store.remove('1')]);
		window.fetch = fetch;
		return [...asked, ...all.map((one) => one.status)];
	});
	assert.deepEqual(seen, ['PUT /calls/1', 'answered', 'DELETE /calls/1', 'answered', 'rejected', 'fulfilled']);
});

/** What patientFetch() answers, and after how many requests, where the server has these answers: [status, Retry-After], [0] for none. */
const patiently = (...answers) => page.evaluate(async (them) => {
	const { patientFetch } = await import('/patient-fetch.js');
	const { fetch } = window;
	let asked = 0;
	window.fetch = async () => {
		const [status, after] = them[Math.min(asked++, them.length - 1)];
		if (!status) throw new TypeError('Failed to fetch');
		return new Response(null, { status, headers: after === undefined ? {} : { 'Retry-After': after } });
	};
	const answer = await patientFetch('/session', { method: 'POST' }).catch((e) => ({ status: e.name }));
	window.fetch = fetch;
	return [answer.status, asked];
}, answers);

test('a request is sent again when the answer says when, and only then', async () => {
	assert.deepEqual(await patiently([503, '1'], [429, '1'], [200]), [200, 3]);
	for (const answer of [[503], [503, '0'], [429, '300'], [429, 'Mon, 23 Nov 2026 08:00:00 GMT'], [401, '1'], [204]]) {
		assert.deepEqual(await patiently(answer, [200]), [answer[0], 1]);
	}
	assert.deepEqual(await patiently([503, '0.01']), [503, 10]);
});

test('a request that the network lost is sent again, a few times', async () => {
	assert.deepEqual(await patiently([0], [0], [0], [204]), [204, 4]);
	assert.deepEqual(await patiently([0]), ['TypeError', 4]);
});

test('a network that changes while the page connects is no reason not to look the next time', async () => {
	const seen = await page.evaluate(async () => {
		const { calls, phone } = window.helper({});
		const did = [];
		let up = false;
		Object.assign(phone, {
			connected: () => up, reset: () => did.push('reset'), probe: async () => { did.push('probe'); return up; },
		});
		for (up of [false, true]) {
			window.dispatchEvent(new Event('online'));
			await new Promise((resolve) => { setTimeout(resolve, 50); });
		}
		calls.stop();
		return did;
	});
	assert.deepEqual(seen, ['reset', 'probe']);
});
