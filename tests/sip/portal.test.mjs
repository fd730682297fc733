// SPDX-License-Identifier: GPL-2.0-or-later
// The portal as a browser meets it, in nginx: signing in, the web session and its cookie, and
// who guesses passwords.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createHash } from 'node:crypto';

import { QUICK, Visitor, assertRefused, fetchJson } from '../lib/portal.mjs';
import { DOMAIN, Stack } from '../lib/stack.mjs';
import { TurnClient } from '../lib/turn.mjs';
import { until } from '../lib/wait.mjs';

// With characters that JSON, SQL, Kamailio's script and a shell could trip over.
const PASSWORD = 'p\u00e4"ss\' or 1=1;-- \\ $var(x) \u{1f511} {}\t%s';
const WRONG = 'guessed-by-somebody';
const SESSIONS_MAX = 4;

let stack, url, ca;
let open = [];
const keep = (x) => (open.push(x), x);

before(async () => {
	stack = await Stack.start('portal', {
		store: true, turn: true, web: { values: QUICK },
		defines: {
			PORTAL_NEW_SESSIONS_MAX: 1000,
			PORTAL_SESSIONS_MAX: SESSIONS_MAX, PORTAL_SWEEP: '"name=portal;interval=1;mode=1;"', PORTAL_ADDRESS_FAILURES_MAX: 40,
		},
	});
	({ web: { url }, certificate: { cert: ca } } = stack);
	stack.portal.add(`alice@${DOMAIN}`, PASSWORD);
});
afterEach(() => open.splice(0).forEach((x) => x.close()));
after(() => stack?.stop());

const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** Each test that fails to sign in does so from an address of its own, so that it does not count for others. */
let host = 10;
const elsewhere = () => ({ localAddress: `127.0.3.${host++}` });

const browser = () => new Visitor(url, { ca });
const signedIn = (b = browser()) => b.signedIn('alice', PASSWORD);

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
			/^__Host-call_resume=[0-9a-f-]{72}; HttpOnly; Secure; SameSite=Strict; Path=\/; Max-Age=604800$/);
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
		assert.equal(answer.headers['set-cookie'][0], '__Host-call_resume=; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=0');
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

	const linesOf = (from) => stack.kamailio.log().slice(from).split('\n').filter((l) => /NOTICE.*portal: .* from /.test(l));

	test('of one password for many users ends too, and so do the lines about it', async () => {
		const from = elsewhere();
		const seen = [], log = stack.kamailio.log().length;
		for (let i = 0; i < 60; i++) seen.push((await browser().signIn(`user${i}`, WRONG, from)).status);
		assert.deepEqual(seen, [...Array(40).fill(401), ...Array(20).fill(429)]);
		const lines = linesOf(log);
		assert.equal(lines.length, 41);
		assert.match(lines.at(-1), /refused from now on, Too many sign-ins failed/);
	});

	test('of many passwords for one user leaves one line when it is slowed down', async () => {
		const from = elsewhere();
		const log = stack.kamailio.log().length;
		for (let i = 0; i < MAX + 10; i++) await browser().signIn('alice', WRONG, from);
		assert.equal(linesOf(log).length, MAX + 1);
	});
});
