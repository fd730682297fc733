// SPDX-License-Identifier: GPL-2.0-or-later
// call-resume.js as a bundler and TypeScript see it: its size, its types, and the names that it uses.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { ROOT } from '../lib/kamailio.mjs';

const WEB = path.join(ROOT, 'web');
const tool = (name, ...args) => execFileSync(path.join(WEB, 'node_modules/.bin', name), args, { cwd: WEB });
const SIZE_MAX = 12 * 1024;

for (const library of ['resumeJsSIP', 'resumeSIPjs']) {
	test(`a page with ${library}() gets less than 12 KB, minified and gzipped`, () => {
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
import { Inviter, Registerer, Session, UserAgent, Web } from 'sip.js';
import { CallResume, ResumeError, Store, browserStore, resumeJsSIP, resumeSIPjs } from '../call-resume.js';
import { keptCalls } from '../kept-calls.js';
import { networkStore } from '../network-store.js';
import { resumeSessionManager } from '../session-manager.js';

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
// What its sessions are, the user agent says; and a manager too.
const told: CallResume<Session> = resumeSIPjs(agent, { Inviter, call: async () => ({ earlyMedia: true }) });
told.addEventListener('resumed', ({ detail }) => { detail.session.bye(); });
const managed: CallResume<Session> = resumeSessionManager(new Web.SessionManager('wss://localhost/ws', { autoStop: false }), { token: 'token' });
managed.stored().then((all) => all.forEach(({ id, callSessionId }) => (callSessionId ? managed.end(id) : managed.retry(id))));
resumeSessionManager(new Web.SimpleUser('wss://localhost/ws')).addEventListener('resumed', ({ detail }) => console.log(detail.away));
// @ts-expect-error it is no manager
resumeSessionManager(agent);
resumeJsSIP(ua, { call: () => ({ mediaConstraints: { audio: true } }) });
// @ts-expect-error JsSIP has no such option
resumeJsSIP(ua, { call: async () => ({ mediaConstraints: 1 }) });
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

/** The modules that a page of web/ is made of, as the browser will find them one after the other. */
function modulesOf(file, found = new Set()) {
	for (const [, name] of fs.readFileSync(path.join(WEB, file), 'utf8').matchAll(/^(?:import|export) (?:[^'(]* from )?'([^']+)';/gm)) {
		const module = path.posix.resolve('/', path.posix.dirname(file), name);
		if (found.has(module)) continue;
		found.add(module);
		if (!module.startsWith('/bundle/')) modulesOf(module.slice(1), found);
	}
	return found;
}

for (const page of ['index.html', 'examples/jssip.html', 'examples/sipjs.html', 'examples/session-manager.html']) {
	test(`${page} names all its modules, each once, so that none is found later`, () => {
		const html = fs.readFileSync(path.join(WEB, page), 'utf8');
		const named = (pattern) => [...html.matchAll(pattern)].map(([, name]) => path.posix.resolve('/', path.posix.dirname(page), name));
		const scripts = named(/<script type="module"[^>]* src="([^"]+)"/g);
		const all = new Set(scripts.flatMap((script) => [...modulesOf(script.slice(1))]));
		const preloaded = named(/<link rel="modulepreload" href="([^"]+)"/g);
		assert.deepEqual([...preloaded].sort(), [...all].filter((module) => !scripts.includes(module)).sort());
	});
}
