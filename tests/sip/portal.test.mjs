// SPDX-License-Identifier: GPL-2.0-or-later
// The secure origin as a browser meets it: nginx in front, in it the portal with its cookie,
// and the WebSocket, on which Kamailio sees nothing but plain connections from loopback.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';
import { once } from 'node:events';

import { Visitor, fetchJson } from '../lib/portal.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { Client, FarEnd } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { TurnClient } from '../lib/turn.mjs';
import { until } from '../lib/wait.mjs';

// With characters that JSON, SQL, Kamailio's script and a shell could trip over.
const PASSWORD = 'p\u00e4"ss\' or 1=1;-- \\ $var(x) \u{1f511} {}\t%s';
const WRONG = 'guessed-by-somebody';
const SESSIONS_MAX = 4;

let dir, root, stack, url, ca;
let open = [];
const keep = (x) => (open.push(x), x);

before(async () => {
	dir = runFolder('portal');
	root = `${dir}.web`;
	fs.rmSync(root, { recursive: true, force: true });
	fs.mkdirSync(path.join(root, 'bundle'), { recursive: true });
	fs.writeFileSync(path.join(root, 'index.html'), '<!doctype html><title>page</title>');
	fs.writeFileSync(path.join(root, 'app.mjs'), 'export {};');
	fs.writeFileSync(path.join(root, 'bundle/all.mjs'), 'export {};');
	stack = await Stack.start('portal', {
		dir, tls: true, store: true, turn: true,
		// All tests come from one address, and quickly.
		web: { root, bundle: path.join(root, 'bundle'), values: Object.fromEntries(['session', 'calls'].map((zone) =>
			[`${zone.toUpperCase()}_RATE`, `$binary_remote_addr zone=call_resume_${zone}:1m rate=900r/s`])) },
		defines: {
			WITH_REVOCATION: true,
			PORTAL_SESSIONS_MAX: SESSIONS_MAX, PORTAL_SWEEP: '"name=portal;interval=1;mode=1;"',
			PORTAL_ADDRESS_FAILURES_MAX: 40, WITH_SLOW_DOWN: true, SLOW_DOWN_AFTER: 3,
		},
	});
	({ web: { url }, certificate: { cert: ca } } = stack);
	stack.portal.add(`alice@${DOMAIN}`, PASSWORD);
});
afterEach(async () => {
	open.splice(0).forEach((x) => x.close());
	await stack?.dropMedia();
});
after(async () => {
	await stack?.stop();
	if (root) fs.rmSync(root, { recursive: true, force: true });
});

const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** Each test that fails to sign in does so from an address of its own, so that it does not count for others. */
let host = 10;
const elsewhere = () => ({ localAddress: `127.0.3.${host++}` });

const browser = (origin = url) => new Visitor(origin, { ca });

async function signedIn(b = browser()) {
	const { status, json, text } = await b.signIn('alice', PASSWORD);
	assert.equal(status, 200, text);
	return Object.assign(b, json);
}

const assertRefused = (answer, status, error) => {
	assert.equal(answer.status, status, answer.text);
	assert.equal(answer.headers['content-type'], 'application/json');
	assert.deepEqual(Object.keys(answer.json), ['error']);
	assert.match(answer.json.error, error);
	assert.equal(answer.headers['set-cookie'], undefined);
};

describe('signing in', () => {
	test('gives a token, who it is for, where to connect, and a cookie that no script can read', async () => {
		const b = browser();
		const { status, headers, json, text } = await b.signIn('alice', PASSWORD);
		assert.equal(status, 200, text);
		assert.deepEqual(Object.keys(json), ['token', 'expires', 'user', 'sid', 'websocket', 'ice_servers']);
		assert.equal(json.user, `sip:alice@${DOMAIN}`);
		assert.equal(json.websocket, `wss://localhost:${stack.web.port}/ws`);
		const { sub, sid, exp } = claims(json.token);
		assert.equal(sub, json.user);
		assert.equal(sid, json.sid);
		assert.ok(Math.abs(exp - json.expires) <= 1);
		assert.equal(headers['content-type'], 'application/json');
		assert.equal(headers['cache-control'], 'no-store');
		assert.match(headers['set-cookie'][0],
			/^call_resume=[0-9a-f-]{72}; HttpOnly; Secure; SameSite=Strict; Path=\/session; Max-Age=604800$/);
	});

	test('gives TURN credentials that coturn will take', async () => {
		const { ice_servers: [ice, ...rest], user } = await signedIn();
		assert.deepEqual(rest, []);
		assert.deepEqual(Object.keys(ice), ['urls', 'username', 'credential']);
		assert.deepEqual(ice.urls, ['udp', 'tcp'].map((t) => `turn:127.0.0.1:${stack.turn.port}?transport=${t}`));
		assert.match(ice.username, new RegExp(`^\\d+:${user}$`));
		for (const [password, good] of [[ice.credential, true], ['x', false]]) {
			const relay = keep(await TurnClient.open({ to: stack.turn, user: ice.username, pass: password }));
			assert.equal((await relay.allocate()).status, good ? 200 : 401);
		}
	});

	test('takes any spelling of the user and of the JSON', async () => {
		const b = browser();
		const escaped = JSON.stringify(PASSWORD).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
		for (const body of [
			{ user: 'ALICE', password: PASSWORD }, { password: PASSWORD, user: 'Alice' },
			`\r\n{\t"user" : "alice" ,\n "password":${escaped} } `,
		]) {
			const { status, json, text } = await b.session('POST', { body, headers: { 'content-type': 'application/json; charset=utf-8' } });
			assert.equal(status, 200, text);
			assert.equal(json.user, `sip:alice@${DOMAIN}`);
		}
	});

	test('a wrong password and a user that does not exist get the same answer', async () => {
		const from = elsewhere();
		const answers = [];
		for (const user of ['alice', 'nobody']) {
			const answer = await browser().signIn(user, WRONG, from);
			assertRefused(answer, 401, /^Wrong user or password$/);
			delete answer.headers.date;
			answers.push(answer);
		}
		assert.deepEqual(answers[0], answers[1]);
		assertRefused(await browser().signIn('alice', 'nobody', from), 401, /^Wrong/);
		// What the database has for a user without a password, and what is compared when there is no user.
		for (const password of ['', 'none']) assertRefused(await browser().signIn('nobody', password, elsewhere()), 401, /^Wrong/);
	});

	test('what is no request of a page is refused, and says why', async () => {
		const b = browser();
		const from = elsewhere();
		const credentials = { user: 'alice', password: PASSWORD };
		const type = (t) => ({ body: credentials, headers: { 'content-type': t } });
		const bad = (body) => ['POST', { body }, 400, /JSON object of user and password/];
		for (const [method, options, status, error] of [
			['GET', {}, 405, /Use POST or DELETE/], ['PUT', { body: credentials }, 405, /Use/], ['OPTIONS', {}, 405, /Use/],
			['POST', type('text/plain'), 415, /Content-Type/], ['POST', type('application/jsonx'), 415, /Content-Type/],
			['POST', type('application/x-www-form-urlencoded'), 415, /Content-Type/],
			bad('{'), bad('null'), bad('[]'), bad('"alice"'), bad('{}'), bad({ user: 'alice' }), bad({ password: PASSWORD }),
			bad({ user: 'alice', password: 5 }), bad({ user: ['alice'], password: PASSWORD }), bad({ user: '', password: PASSWORD }),
			bad({ user: "alice' or '1'='1", password: PASSWORD }), bad({ user: 'al ice', password: PASSWORD }),
			bad({ user: 'alice"', password: PASSWORD }), bad({ user: '$var(x)', password: PASSWORD }), bad({ user: 'a'.repeat(65), password: 'x' }),
			bad({ ...credentials, more: 1 }), bad({ user: 'alice', password: 'nul\0' }),
			bad('{"user":"alice","password":"x","user":"bob"}'), bad('{"user":"alice","password":"x"}}'), bad('{"user":"alice","password":"x",}'),
			bad('{"user":"alice","password":"\\ud83d"}'), bad('{"user":"alice","password":"\\q"}'), bad('{"user":"alice","password":"a\nb"}'),
			['POST', { body: { user: 'alice', password: 'x'.repeat(2048) } }, 413, /2048 bytes/],
			['POST', { body: 'x'.repeat(17000) }, 413, /Too large/],
			['POST', { ...type('application/json'), path: '/session/more' }, 404, /nothing here/],
			['POST', { body: credentials, headers: { origin: 'https://evil.example' } }, 403, /other origins/],
			['POST', { body: credentials, headers: { origin: url.replace('https', 'http') } }, 403, /other origins/],
			['POST', { body: credentials, headers: { origin: 'null' } }, 403, /other origins/],
		]) {
			const answer = await b.session(method, { ...options, ...from });
			assertRefused(answer, status, error);
			assert.equal(answer.headers.allow, status === 405 ? 'POST, DELETE' : undefined);
		}
		// Bytes that are no UTF-8.
		const bytes = Buffer.from('{"user":"alice","password":"\xe4"}', 'latin1');
		assertRefused(await fetchJson(`${url}/session`, {
			method: 'POST', body: bytes, ca, headers: { 'content-type': 'application/json' }, ...from,
		}), 400, /JSON object/);
	});

	test('passwords, tokens and cookies are in no log', async () => {
		const b = await signedIn();
		await b.session('POST', { body: `{"user":"alice","password":"${WRONG}"`, ...elsewhere() });
		await b.session('GET', { path: '/session/calls', headers: { authorization: `Bearer ${b.token}` } });
		const logs = ['kamailio.log', 'nginx.log', 'nginx.access.log', 'redis.log'].map((f) => fs.readFileSync(path.join(stack.dir, f), 'utf8')).join('');
		assert.match(logs, /portal: alice from 127\.0\.0\.1 has signed in/);
		assert.match(logs, /"POST \/session HTTP\/1\.1" 200/);
		for (const secret of [WRONG, 'or 1=1', b.token.slice(-30), b.cookie.slice(0, 20), b.ice_servers[0].credential]) {
			assert.ok(!logs.includes(secret), `${secret} is in a log`);
		}
		const database = stack.portal.sql('select * from web_session; select * from subscriber');
		assert.ok(!database.includes(b.cookie) && database.includes(sha256(b.cookie)), 'the hash of the cookie only');
	});
});

describe('the session', () => {
	test('stays the same over reloads, with a fresh token each time', async () => {
		const b = await signedIn();
		const tokens = new Set([b.token]);
		for (let i = 0; i < 3; i++) {
			const { status, headers, json } = await b.renew();
			assert.equal(status, 200);
			assert.deepEqual([json.sid, json.user, json.websocket], [b.sid, b.user, b.websocket]);
			assert.equal(claims(json.token).sid, b.sid);
			assert.equal(headers['set-cookie'], undefined, 'the cookie lives no longer for it');
			tokens.add(json.token);
		}
		// From whichever process of Kamailio they come.
		assert.equal(new Set([...tokens].map((t) => claims(t).jti)).size, 4);
	});

	test('survives a restart of Kamailio', async () => {
		const b = await signedIn();
		await stack.kamailio.kill();
		await stack.kamailio.boot();
		assert.equal((await b.renew()).json.sid, b.sid);
	});

	test('is not there without its cookie', async () => {
		const b = await signedIn();
		const { cookie } = b;
		const row = sha256(cookie);
		for (const value of [
			undefined, '', 'x', row, cookie.slice(1), `${cookie}0`, `0${cookie.slice(1)}` === cookie ? '1' : `0${cookie.slice(1)}`,
			"' or 1=1 or hash='", '0'.repeat(72),
		]) {
			if (value === cookie) continue;
			b.cookie = value;
			const answer = await b.renew();
			assertRefused(answer, 401, /^Sign in$/);
			assert.equal(answer.headers['www-authenticate'], 'Session');
		}
		b.cookie = cookie;
		assert.equal((await b.renew()).status, 200);
	});

	test('of one browser is not that of another', async () => {
		const [one, two] = [await signedIn(), await signedIn()];
		assert.notEqual(one.sid, two.sid);
		assert.notEqual(one.cookie, two.cookie);
	});

	test('stays the same for who signs in again in the same browser, under another cookie', async () => {
		const b = await signedIn();
		const { cookie, sid } = b;
		await signedIn(b);
		assert.equal(b.sid, sid);
		assert.notEqual(b.cookie, cookie);
		const old = Object.assign(browser(), { cookie });
		assertRefused(await old.renew(), 401, /Sign in/);
	});

	test('is another one for another user in the same browser', async () => {
		const password = stack.portal.add(`carol@${DOMAIN}`);
		const b = await signedIn();
		const { json } = await b.signIn('carol', password);
		assert.equal(json.user, `sip:carol@${DOMAIN}`);
		assert.notEqual(json.sid, b.sid);
		assert.equal((await b.renew()).json.user, `sip:carol@${DOMAIN}`);
	});

	test('ends with signing out: the cookie and the tokens are no longer good', async () => {
		const b = await signedIn();
		const { cookie } = b;
		const answer = await b.signOut();
		assert.equal(answer.status, 204);
		assert.equal(answer.headers['set-cookie'][0], 'call_resume=; HttpOnly; Secure; SameSite=Strict; Path=/session; Max-Age=0');
		assert.equal(stack.portal.sql(`select count(*) from web_session where hash = '${sha256(cookie)}'`), '0');
		assertRefused(await Object.assign(browser(), { cookie }).renew(), 401, /Sign in/);
		const calls = await b.session('GET', { path: '/session/calls', headers: { authorization: `Bearer ${b.token}` } });
		assertRefused(calls, 401, /^Token revoked$/);
		assert.equal((await b.signOut()).status, 204, 'once more does no harm');
		const other = await signedIn();
		await Object.assign(browser(), { cookie }).signOut();
		assert.equal((await other.renew()).status, 200, 'other sessions stay');
	});

	test('is not ended by another page', async () => {
		const b = await signedIn();
		assertRefused(await b.signOut({ headers: { origin: 'https://evil.example' } }), 403, /other origins/);
		assert.equal((await b.renew()).status, 200);
	});

	test('ends when it is over, and is removed then', async () => {
		const b = await signedIn();
		const other = await signedIn();
		const left = Number(stack.portal.sql(`select expires - strftime('%s') from web_session where hash = '${sha256(b.cookie)}'`));
		assert.ok(left > 604700 && left <= 604800, `${left} s`);
		stack.portal.sql(`update web_session set expires = strftime('%s') where hash = '${sha256(b.cookie)}'`);
		assertRefused(await b.renew(), 401, /Sign in/);
		await until('the row to be removed', () =>
			stack.portal.sql(`select count(*) from web_session where hash = '${sha256(b.cookie)}'`) === '0');
		assert.equal((await other.renew()).status, 200);
	});

	test('ends when the user is removed or gets another password', async () => {
		const aor = `bob@${DOMAIN}`;
		for (const change of [() => stack.portal.add(aor), () => stack.portal.sql("delete from subscriber where username = 'bob'")]) {
			const password = stack.portal.add(aor);
			const b = browser();
			assert.equal((await b.signIn('bob', password)).status, 200);
			assert.equal((await b.renew()).status, 200);
			change();
			assertRefused(await b.renew(), 401, /Sign in/);
			assertRefused(await b.signIn('bob', password, elsewhere()), 401, /Wrong/);
		}
	});

	test(`of a user there are ${SESSIONS_MAX}, the newest`, async () => {
		const all = [];
		for (let i = 0; i <= SESSIONS_MAX; i++) all.push(await signedIn());
		const alive = await Promise.all(all.map(async (b) => (await b.renew()).status));
		assert.deepEqual(alive, [401, ...Array(SESSIONS_MAX).fill(200)]);
	});

	test('many at once are all served', async () => {
		const all = await Promise.all(Array.from({ length: 24 }, () => browser().signIn('alice', PASSWORD)));
		assert.deepEqual(all.map((a) => a.status).filter((s) => s !== 200), []);
	});
});

describe('guessing passwords', () => {
	const MAX = 5;

	test('is slowed down, for this user and from this address', async () => {
		const from = elsewhere();
		const password = stack.portal.add(`carol@${DOMAIN}`);
		for (let i = 0; i < MAX; i++) assertRefused(await browser().signIn('alice', `${WRONG}${i}`, from), 401, /Wrong/);
		for (const guess of [WRONG, PASSWORD]) {
			// The address that the client claims to have does not count.
			const answer = await browser().signIn('alice', guess, { ...from, headers: { 'x-forwarded-for': '192.0.2.1' } });
			assertRefused(answer, 429, /Too many sign-ins failed/);
			const wait = Number(answer.headers['retry-after']);
			assert.ok(wait > 250 && wait <= 300, `Retry-After: ${wait}`);
		}
		assert.equal((await browser().signIn('carol', password, from)).status, 200, 'another user from there');
		assert.equal((await browser().signIn('alice', PASSWORD, elsewhere())).status, 200, 'the user from elsewhere');
	});

	test('is not a way to learn which users there are', async () => {
		const from = elsewhere();
		for (let i = 0; i < MAX; i++) assertRefused(await browser().signIn('nobody', WRONG, from), 401, /Wrong/);
		assertRefused(await browser().signIn('nobody', WRONG, from), 429, /Too many/);
	});

	test('many at once is no way around', async () => {
		const from = elsewhere();
		const all = await Promise.all(Array.from({ length: 20 }, () => browser().signIn('alice', WRONG, from)));
		const count = (s) => all.filter((a) => a.status === s).length;
		assert.deepEqual([count(401), count(429)], [MAX, 20 - MAX]);
	});

	test('one who remembers the password in time starts anew', async () => {
		const from = elsewhere();
		for (let round = 0; round < 2; round++) {
			for (let i = 0; i < MAX - 1; i++) assertRefused(await browser().signIn('alice', WRONG, from), 401, /Wrong/);
			assert.equal((await browser().signIn('alice', PASSWORD, from)).status, 200);
		}
	});

	test('of one password for many users ends too', async () => {
		const from = elsewhere();
		const seen = [];
		for (let i = 0; i < 41; i++) seen.push((await browser().signIn(`user${i}`, WRONG, from)).status);
		assert.deepEqual(seen, [...Array(40).fill(401), 429]);
	});
});

describe('nginx', () => {
	test('serves the page with what keeps it safe', async () => {
		const page = await fetchJson(url, { ca });
		assert.equal(page.status, 200);
		assert.match(page.text, /<title>page/);
		assert.equal(page.headers['strict-transport-security'], 'max-age=31536000');
		assert.match(page.headers['content-security-policy'], /default-src 'none'; script-src 'self';.*connect-src 'self';.*frame-ancestors 'none'/);
		assert.doesNotMatch(page.headers['content-security-policy'], /unsafe/);
		assert.equal(page.headers['x-content-type-options'], 'nosniff');
		assert.equal(page.headers.server, 'nginx');
		for (const script of ['/app.mjs', '/bundle/all.mjs']) {
			const { status, headers } = await fetchJson(url + script, { ca });
			assert.equal(status, 200, script);
			assert.equal(headers['content-type'], 'text/javascript');
		}
		for (const hidden of ['/package.json', '/node_modules/x/y.js', '/.git/config', '/bundle/.x']) {
			fs.mkdirSync(path.dirname(root + hidden), { recursive: true });
			fs.writeFileSync(root + hidden, 'x');
			assert.equal((await fetchJson(url + hidden, { ca })).status, 404, hidden);
		}
		const none = await fetchJson(`${url}/none`, { ca });
		assert.equal(none.status, 404);
		assert.match(none.headers['content-security-policy'], /default-src 'none'/, 'on errors too');
	});

	test('answers of the portal have them too, and nothing of Kamailio', async () => {
		const { headers } = await browser().renew();
		assert.match(headers['content-security-policy'], /default-src 'none'/);
		assert.deepEqual(Object.keys(headers).filter((h) => /sia|via|retry-after/.test(h)), []);
	});

	test('sends who comes without TLS to where there is TLS', async () => {
		const answer = await (await fetch(`http://127.0.0.1:${stack.web.http}/session?x`, { redirect: 'manual', method: 'POST' }));
		assert.equal(answer.status, 308);
		assert.equal(answer.headers.get('location'), 'https://127.0.0.1/session?x');
	});

	for (const [version, good] of [['TLSv1.1', false], ['TLSv1.2', true], ['TLSv1.3', true]]) {
		test(`${version} is ${good ? 'spoken' : 'refused'}`, async () => {
			const socket = keep(tls.connect({
				host: '127.0.0.1', port: stack.web.port, ca: fs.readFileSync(ca), servername: 'localhost', minVersion: version, maxVersion: version,
				ciphers: 'DEFAULT@SECLEVEL=0',
			}));
			socket.close = socket.destroy;
			const happened = await Promise.race([once(socket, 'secureConnect').then(() => true), once(socket, 'error').then(() => false)]).catch(() => false);
			assert.equal(happened, good);
		});
	}

	test('is the only way to the portal', async () => {
		const { ip, ws, wss } = stack.kamailio;
		const body = JSON.stringify({ user: 'alice', password: PASSWORD });
		const ask = (port, headers, from = '127.0.0.1') => new Promise((resolve, reject) => {
			const socket = net.connect({ host: ip, port, localAddress: from });
			socket.on('error', reject);
			socket.once('data', (d) => {
				socket.destroy();
				resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(d)[1]));
			});
			socket.write(['POST /session HTTP/1.1', 'Host: localhost', 'Content-Type: application/json',
				`Content-Length: ${Buffer.byteLength(body)}`, ...headers, '', body].join('\r\n'));
		});
		assert.equal(await ask(ws, []), 403, 'who says nothing of TLS');
		assert.equal(await ask(ws, ['X-Forwarded-Proto: http']), 403);
		assert.equal(await ask(ws, ['X-Forwarded-Proto: https']), 200, 'the proxy');
		assert.equal(await ask(ws, ['X-Forwarded-Proto: https'], '127.0.0.9'), 403, 'who is not the proxy');
		assert.equal(await ask(stack.kamailio.port, ['X-Forwarded-Proto: https']), 403, 'on the port of SIP');
		// Kamailio's own TLS is as good.
		const direct = `https://localhost:${wss}`;
		const b = browser(direct);
		const answer = await b.signIn('alice', PASSWORD, { headers: { 'x-forwarded-for': '192.0.2.7' } });
		assert.equal(answer.status, 200, answer.text);
		assert.equal(answer.json.websocket, `wss://localhost:${wss}/ws`);
		assert.doesNotMatch(stack.kamailio.log(), /from 192\.0\.2\.7/, 'only the proxy says whom it speaks for');
		// Nothing listens for it anywhere else.
		await assert.rejects(once(net.connect({ host: '127.0.0.8', port: ws }), 'connect'), /ECONNREFUSED/);
	});

	test('a Host that is none does not get into the answer', async () => {
		const answer = await fetchJson(`${url}/session`, { method: 'POST', ca, servername: 'localhost', headers: { host: 'a"b', 'content-type': 'application/json' }, body: '{}' });
		assert.equal(answer.status, 400);
	});
});

describe('the WebSocket behind nginx', () => {
	const to = (more) => ({ ip: stack.web.ip, port: stack.web.port, host: new URL(url).host, path: '/ws', ...more });
	const page = async (token, more) => keep(await FarEnd.open({ user: 'alice', transport: 'wss', token, to: to(more) }));

	test('is a secure one: a REGISTER with the token brings the client key', async () => {
		const { token, expires } = await signedIn();
		const ok = await (await page(token)).register();
		assert.equal(ok.status, 200);
		const [, key, exp] = /key=([\w-]{43});exp=(\d+)/.exec(ok.get('call-state-key'));
		assert.ok(Math.abs(exp - expires) <= 1);
		const again = await (await page(token)).register();
		assert.ok(again.get('call-state-key').includes(key));
	});

	test('a call is lost with its page and resumed by the next, which has the cookie alone', async () => {
		const bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } }));
		const b = await signedIn();
		const one = await page(b.token);
		assert.equal((await one.register()).status, 200);
		const first = await one.call();
		assert.equal(first.final.status, 200);
		one.close();

		const { json: { token } } = await b.renew();
		const two = await page(token);
		assert.equal((await two.register()).status, 200);
		const second = await two.call({ state: first.state });
		assert.equal(second.final.status, 200);
		await bob.take('the ACK', (m) => m.method === 'ACK' && m.cseq > 100 && m.callId === first.callId);
		assert.equal((await bob.dialog(first.callId).request('BYE')).status, 200);
		await two.take('the BYE', (m) => m.method === 'BYE' && m.callId === second.callId);
		await stack.noMedia();
	});

	test('is for pages of any https origin, unless WS_ORIGIN says else, and only there', async () => {
		const { token } = await signedIn();
		await assert.rejects(page(token, { origin: 'file://' }), /HTTP\/1\.1 403/);
		await assert.rejects(page(token, { path: '/other' }), /HTTP\/1\.1 404/);
		await assert.rejects(page(token, { path: '/session' }), /HTTP\/1\.1 405/);
	});

	test('who forges states waits, and nobody else who comes through nginx', async () => {
		const { token } = await signedIn();
		const forge = async (ip, state) => {
			const client = keep(await Client.open({ transport: 'wss', token, ip, to: to() }));
			return (await client.call({ state })).final.status;
		};
		const tried = [];
		for (let i = 0; i < 5; i++) tried.push(await forge('127.0.3.3', 'forged'));
		assert.deepEqual(tried, [400, 400, 400, 503, 503]);
		assert.equal(await forge('127.0.3.4', 'forged'), 400);
	});

	test('plain WebSocket and SIP from elsewhere stay insecure', async () => {
		const { token } = await signedIn();
		const { ip, ws, port } = stack.kamailio;
		for (const [transport, from, where, status] of [
			['ws', '127.0.0.1', ws, 200], ['ws', '127.0.0.9', ws, 403], ['udp', '127.0.0.1', port, 403], ['tcp', '127.0.0.1', port, 403],
		]) {
			const client = keep(await Client.open({ transport, ip: from, token, to: { ip, port: where } }));
			const answer = await client.register();
			assert.equal(answer.status, status, `${transport} from ${from}`);
			assert.equal(Boolean(answer.get('call-state-key')), status === 200);
			if (status === 403) assert.match(answer.start, /Secure Transport Required/);
		}
	});

	test("Kamailio's own secure WebSocket does as well", async () => {
		const { token } = await signedIn();
		const client = keep(await Client.open({
			transport: 'wss', token, to: { ip: stack.kamailio.ip, port: stack.kamailio.wss, path: '/ws' },
		}));
		assert.ok((await client.register()).get('call-state-key'));
	});
});

describe('the network store', () => {
	const VALUE = `${'e'.repeat(40)}..${'s"\\\u00e4'.repeat(20)};tag=%s $var(x)`;
	const store = (b, method, id, options = {}) => b.session(method, {
		path: id === undefined ? '/session/calls' : `/session/calls/${id}`,
		headers: { 'content-type': 'text/plain', ...(b.token ? { authorization: `Bearer ${b.token}` } : {}) }, ...options,
	});

	async function empty() {
		const b = await signedIn();
		const { status, json } = await store(b, 'GET');
		assert.equal(status, 200);
		assert.deepEqual(json, {});
		return b;
	}

	test('keeps what is put into it, for all tokens of the session', async () => {
		const b = await empty();
		const put = await store(b, 'PUT', 'call-1', { body: VALUE });
		assert.equal(put.status, 204, put.text);
		await store(b, 'PUT', 'Call_2', { body: 'two' });
		assert.deepEqual((await store(b, 'GET')).json, { 'call-1': VALUE, Call_2: 'two' });
		Object.assign(b, (await b.renew()).json);
		await store(b, 'PUT', 'call-1', { body: 'new' });
		assert.deepEqual((await store(b, 'GET')).json, { 'call-1': 'new', Call_2: 'two' });
		assert.equal((await store(b, 'DELETE', 'call-1')).status, 204);
		assert.equal((await store(b, 'DELETE', 'call-1')).status, 204);
		assert.deepEqual((await store(b, 'GET')).json, { Call_2: 'two' });
		await store(b, 'DELETE', 'Call_2');
		assert.deepEqual((await store(b, 'GET')).json, {});
	});

	test('is closed to other sessions and users, and to who has no token', async () => {
		const b = await empty();
		await store(b, 'PUT', 'mine', { body: VALUE });
		const password = stack.portal.add(`carol@${DOMAIN}`);
		const carol = browser();
		Object.assign(carol, (await carol.signIn('carol', password)).json);
		for (const other of [await signedIn(), carol]) {
			assert.deepEqual((await store(other, 'GET')).json, {});
			await store(other, 'DELETE', 'mine');
			await store(other, 'PUT', 'mine', { body: 'theirs' });
		}
		assert.deepEqual((await store(b, 'GET')).json, { mine: VALUE });
		for (const [token, error] of [[undefined, /missing/], ['x', /malformed/], [`${b.token.slice(0, -4)}AAAA`, /forged/]]) {
			const thief = Object.assign(browser(), { token, cookie: b.cookie });
			for (const [method, id] of [['GET'], ['PUT', 'x'], ['DELETE', 'mine']]) {
				const answer = await store(thief, method, id, method === 'PUT' ? { body: 'x' } : {});
				assertRefused(answer, 401, error);
				assert.equal(answer.headers['www-authenticate'], 'Bearer');
			}
		}
		assert.deepEqual((await store(b, 'GET')).json, { mine: VALUE });
	});

	test('lapses with the states in it', async () => {
		const b = await empty();
		const key = `call_resume:calls:${sha256(`${b.user} ${b.sid}`)}`;
		await store(b, 'PUT', 'x', { body: 'y' });
		const left = Number(stack.redis.cli('TTL', key));
		assert.ok(left > 86300 && left <= 86400, `${left} s`);
	});

	test('has bounds: 16 calls of 8 KiB, and text only', async () => {
		const b = await empty();
		const full = 'x'.repeat(8192);
		for (let i = 0; i < 16; i++) assert.equal((await store(b, 'PUT', `c${i}`, { body: full })).status, 204);
		assertRefused(await store(b, 'PUT', 'c16', { body: 'x' }), 409, /At most 16/);
		assert.equal((await store(b, 'PUT', 'c15', { body: full.replaceAll('x', 'y') })).status, 204);
		for (let i = 0; i < 20; i++) await store(b, 'GET');
		const { json } = await store(b, 'GET');
		assert.deepEqual(Object.values(json).map((v) => v.length), Array(16).fill(8192));
		assert.equal(json.c15, full.replaceAll('x', 'y'));
		for (const [id, body, status, error] of [
			['c1', `${full}x`, 413, /8192 bytes/], ['c1', '"'.repeat(4097), 413, /8192 bytes/], ['c1', '', 400, /text/], ['c1', 'a\nb', 400, /text/],
			['c1', Buffer.from([0xff, 0x41]), 400, /text/], ['c1', 'a\0b', 400, /text/],
			['a.b', 'x', 404, /id is/], ['a'.repeat(65), 'x', 404, /id is/], ['', 'x', 404, /id is/], ['a%20b', 'x', 404, /id is/],
		]) {
			const answer = await fetchJson(`${url}/session/calls/${id}`, { method: 'PUT', body, ca, headers: { authorization: `Bearer ${b.token}` } });
			assertRefused(answer, status, error);
		}
		assertRefused(await store(b, 'POST', 'c1', { body: 'x' }), 405, /Use PUT, DELETE/);
		assertRefused(await store(b, 'DELETE'), 405, /Use GET/);
	});

	test('without Redis says so, and the gateway goes on; it comes back by itself', async () => {
		const b = await empty();
		await stack.redis.stop();
		for (const [method, id] of [['GET'], ['PUT', 'x'], ['DELETE', 'x']]) {
			assertRefused(await store(b, method, id, method === 'PUT' ? { body: 'x' } : {}), 503, /store does not answer/);
		}
		assert.equal((await b.renew()).status, 200);
		await stack.redis.boot();
		await until('the store', async () => (await store(b, 'GET')).status === 200, { timeout_ms: 20000, every_ms: 200 });
	});

	test('Redis may be down when Kamailio starts', async () => {
		const b = await empty();
		await stack.redis.stop();
		await stack.kamailio.kill();
		await stack.kamailio.boot();
		assertRefused(await store(b, 'GET'), 503, /store does not answer/);
		await stack.redis.boot();
		await until('the store', async () => (await store(b, 'GET')).status === 200, { timeout_ms: 20000, every_ms: 200 });
	});
});

describe('the tools', () => {
	const tool = (name, args, input) => spawnSync(path.join(ROOT, 'tools', name), args, { input, encoding: 'utf8' });

	test('portal-user makes the tables that Kamailio has', () => {
		const file = path.join(root, 'users.sqlite');
		assert.equal(tool('portal-user', [file]).status, 0);
		assert.equal(fs.statSync(file).mode & 0o777, 0o600);
		const schema = '/usr/share/kamailio/db_sqlite';
		const theirs = execFileSync('sqlite3', [':memory:', '-cmd', `.read ${schema}/standard-create.sql`, '-cmd', `.read ${schema}/auth_db-create.sql`,
			'pragma table_info(subscriber); select table_version from version where table_name = \'subscriber\''], { encoding: 'utf8' });
		const ours = execFileSync('sqlite3', [file, 'pragma table_info(subscriber); select table_version from version where table_name = \'subscriber\''],
			{ encoding: 'utf8' });
		assert.equal(ours, theirs);
		assert.equal(tool('portal-user', [file, 'dave@example.org'], 'pass word \\1\n').status, 0);
		const md5 = (text) => createHash('md5').update(text).digest('hex');
		assert.equal(execFileSync('sqlite3', [file, 'select password, ha1, ha1b from subscriber'], { encoding: 'utf8' }).trim(),
			`|${md5('dave:example.org:pass word \\1')}|${md5('dave@example.org:example.org:pass word \\1')}`);
	});

	test('portal-user takes no bad names and no short passwords', () => {
		const file = path.join(root, 'users.sqlite');
		for (const [args, input, message] of [
			[[file, 'Dave@example.org'], 'long enough', /a user's name/], [[file, "d'@example.org"], 'long enough', /a user's name/],
			[[file, "dave@x';"], 'long enough', /a domain/], [[file, 'dave'], 'long enough', /usage/], [[file, 'dave@example.org'], 'short', /8 bytes/],
			[[file, 'dave@example.org'], '', /no password/], [['-d', file], '', /usage/], [[], '', /usage/],
		]) {
			const { status, stderr } = tool('portal-user', args, input);
			assert.notEqual(status, 0, args.join(' '));
			assert.match(stderr, message);
		}
	});

	test('certificate: a private key of its own for localhost and what is asked for, made once', () => {
		const where = path.join(root, 'tls');
		const make = (...names) => {
			assert.equal(tool('certificate', [where, ...names]).status, 0);
			return new X509Certificate(fs.readFileSync(path.join(where, 'cert.pem')));
		};
		const one = make('192.0.2.1', 'www.example.org');
		assert.match(one.subjectAltName, /DNS:localhost.*IP Address:127\.0\.0\.1.*IP Address:192\.0\.2\.1.*DNS:www\.example\.org/);
		assert.equal(one.publicKey.asymmetricKeyDetails.namedCurve, 'prime256v1');
		assert.equal(fs.statSync(path.join(where, 'key.pem')).mode & 0o777, 0o600);
		assert.equal(make('192.0.2.1', 'www.example.org').fingerprint, one.fingerprint);
		assert.notEqual(make('192.0.2.1').fingerprint, one.fingerprint);
	});
});

describe('as it comes', () => {
	let plain;
	before(async () => {
		plain = await Stack.start('portal-plain', { web: { root } });
	});
	after(() => plain?.stop());

	test('no TURN server, no store; floods are stopped in nginx', async () => {
		const b = new Visitor(plain.web.url, { ca: plain.certificate.cert });
		const password = plain.portal.add(`alice@${DOMAIN}`);
		const { json } = await b.signIn('alice', password);
		assert.deepEqual(json.ice_servers, []);
		assert.equal((await b.session('GET', { path: '/session/calls', headers: { authorization: `Bearer ${json.token}` } })).status, 404);

		const all = await Promise.all(Array.from({ length: 30 }, () => b.renew()));
		const slow = all.filter((a) => a.status === 429);
		assert.ok(slow.length >= 5, `${slow.length} of 30 refused`);
		assert.ok(all.filter((a) => a.status === 200).length >= 15);
		assertRefused(slow[0], 429, /Too many requests/);
		assert.equal(slow[0].headers['retry-after'], '2');
		assert.match(slow[0].headers['content-security-policy'], /default-src/);
	});

	test('without Kamailio there is the page, and a clear answer from the rest', async () => {
		await plain.kamailio.stop();
		const b = new Visitor(plain.web.url, { ca: plain.certificate.cert });
		assertRefused(await until('room in the rate limit', async () => {
			const answer = await b.renew();
			return answer.status !== 429 && answer;
		}, { every_ms: 200 }), 503, /gateway does not answer/);
		assert.equal((await fetchJson(plain.web.url, { ca: plain.certificate.cert })).status, 200);
	});
});
