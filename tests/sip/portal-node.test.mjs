// SPDX-License-Identifier: GPL-2.0-or-later
// The portal of examples/portal, in place of Kamailio's: it signs tokens with its own key, of
// which Kamailio has the public half.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';

import { Visitor, fetchJson } from '../lib/portal.mjs';
import { Client } from '../lib/sip.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { DOMAIN, Stack, runFolder } from '../lib/stack.mjs';
import { freePort } from '../lib/ports.mjs';
import { Proc } from '../lib/proc.mjs';
import { until } from '../lib/wait.mjs';

const EXAMPLE = path.join(ROOT, 'examples/portal');
const PASSWORD = 'correct horse \u00e4 "\\';
const ISSUER = 'https://portal.example.org';
const TURN = ['turn:turn.example.org?transport=udp', 'turn:turn.example.org?transport=tcp'];
const secret = randomBytes(16).toString('hex');

let dir, port, stack, portal, url, ca;
let open = [];

const file = (name) => path.join(dir, name);

function newKey() {
	const { privateKey, publicKey } = generateKeyPairSync('ed25519');
	fs.writeFileSync(file('portal.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
	return publicKey.export({ type: 'spki', format: 'pem' });
}

async function startPortal() {
	portal = new Proc('portal', dir, process.execPath, [path.join(EXAMPLE, 'portal.mjs')], {
		env: {
			PORTAL_PORT: String(port), PORTAL_KEY: file('portal.key'), PORTAL_ISSUER: ISSUER, PORTAL_AUDIENCE: 'calls', PORTAL_DOMAIN: DOMAIN,
			PORTAL_USERS: file('users.json'), PORTAL_SESSIONS: file('sessions.json'),
			PORTAL_TURN_SECRET: file('turn.secret'), PORTAL_TURN_URIS: TURN.join(','),
		},
	});
	await until('the portal', () => {
		portal.assertAlive();
		return fetch(`http://127.0.0.1:${port}/session`);
	});
}

const addUser = (user, password) => execFileSync(process.execPath, [path.join(EXAMPLE, 'add-user.mjs'), file('users.json'), user], { input: `${password}\n` });

before(async () => {
	dir = `${runFolder('portal-node')}.portal`;
	fs.rmSync(dir, { recursive: true, force: true });
	fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
	fs.writeFileSync(file('portal.pem'), newKey());
	fs.writeFileSync(file('turn.secret'), `${secret}\n`);
	addUser('alice', PASSWORD);
	port = await freePort();
	await startPortal();
	stack = await Stack.start('portal-node', {
		web: {
			portal: `127.0.0.1:${port}`,
			values: { SESSION_RATE: '$binary_remote_addr zone=call_resume_session:1m rate=900r/s' },
		},
		defines: { WITH_PORTAL: false, RESUME_ISSUER: `"iss=${ISSUER};keys=${file('portal.pem')};aud=calls"` },
	});
	({ web: { url }, certificate: { cert: ca } } = stack);
});
afterEach(() => open.splice(0).forEach((x) => x.close()));
after(async () => {
	await stack?.stop();
	await portal?.stop();
	if (dir) fs.rmSync(dir, { recursive: true, force: true });
});

const browser = () => new Visitor(url, { ca });

const signedIn = (b = browser()) => b.signedIn('alice', PASSWORD);

async function register(token) {
	const client = await Client.open({
		transport: 'wss', token, to: { ip: stack.web.ip, port: stack.web.port, host: new URL(url).host, path: '/ws' },
	});
	open.push(client);
	return client.register();
}

test('who signs in there registers here, with a token that Kamailio could not have made', async () => {
	const b = await signedIn();
	assert.equal(JSON.parse(Buffer.from(b.token.split('.')[0], 'base64url')).alg, 'EdDSA');
	const ok = await register(b.token);
	assert.equal(ok.status, 200);
	const [key] = /key=[\w-]{43}/.exec(ok.get('call-state-key'));

	const { json } = await b.renew();
	assert.notEqual(json.token, b.token);
	assert.equal(json.sid, b.sid);
	assert.ok((await register(json.token)).get('call-state-key').includes(key), 'the same session, the same client key');
	assert.ok(!(await register((await signedIn()).token)).get('call-state-key').includes(key), 'another session, another one');
});

test('a token of another key, or changed, is refused', async () => {
	const { token } = await signedIn();
	const [head, body, signature] = token.split('.');
	const claims = JSON.parse(Buffer.from(body, 'base64url'));
	const bob = Buffer.from(JSON.stringify({ ...claims, sub: `sip:bob@${DOMAIN}` })).toString('base64url');
	assert.equal((await register(`${head}.${bob}.${signature}`)).status, 401);
	await portal.stop();
	newKey();
	await startPortal();
	assert.equal((await register((await signedIn()).token)).status, 401);
	assert.equal((await register(token)).status, 200);
});

test('the answer is that of the portal in Kamailio', async () => {
	const b = browser();
	const { headers, json } = await b.signIn('ALICE', PASSWORD);
	assert.deepEqual(Object.keys(json), ['token', 'expires', 'user', 'sid', 'websocket', 'ice_servers']);
	assert.equal(json.user, `sip:alice@${DOMAIN}`);
	assert.equal(json.websocket, `wss://localhost:${stack.web.port}/ws`);
	const [ice] = json.ice_servers;
	assert.deepEqual(ice, {
		urls: TURN, username: `${json.expires}:${json.user}`, credential: createHmac('sha1', secret).update(ice.username).digest('base64'),
	});
	assert.match(headers['set-cookie'][0], /^__Host-call_resume=[\w-]{43}; HttpOnly; Secure; SameSite=Strict; Path=\/; Max-Age=604800$/);
	assert.equal(headers['cache-control'], 'no-store');
	assert.ok(!fs.readFileSync(file('sessions.json'), 'utf8').includes(b.cookie), 'the hash of the cookie only');
	assert.equal(fs.statSync(file('sessions.json')).mode & 0o777, 0o600);
	assert.equal(fs.statSync(file('users.json')).mode & 0o777, 0o600);
});

test('the session outlives the portal, and ends with signing out or another password', async () => {
	const b = await signedIn();
	const { cookie, sid } = b;
	await portal.stop();
	await startPortal();
	assert.equal((await b.renew()).json.sid, sid);
	await signedIn(b);
	assert.equal(b.sid, sid, 'who signs in again in the same browser stays in the session');
	assert.equal((await Object.assign(browser(), { cookie }).renew()).status, 401, 'under another cookie');

	const out = await b.signOut();
	assert.equal(out.status, 204);
	assert.match(out.headers['set-cookie'][0], /^__Host-call_resume=; .*Max-Age=0$/);
	assert.deepEqual((await b.renew()).json, { error: 'Sign in' });

	addUser('carol', 'first password');
	const carol = browser();
	assert.equal((await carol.signIn('carol', 'first password')).status, 200);
	addUser('carol', 'second password');
	assert.equal((await carol.renew()).status, 401);
});

test('what is wrong is refused, and guessing is slowed down', async () => {
	const b = browser();
	const credentials = { user: 'alice', password: PASSWORD };
	for (const [method, options, status] of [
		['GET', {}, 405], ['POST', {}, 401], ['POST', { body: '{' }, 400], ['POST', { body: { ...credentials, more: 1 } }, 400],
		['POST', { body: { user: '__proto__', password: PASSWORD } }, 401], ['POST', { body: { user: ['alice'], password: PASSWORD } }, 400],
		['POST', { body: credentials, headers: { 'content-type': 'text/plain' } }, 415],
		['POST', { body: credentials, headers: { origin: 'https://evil.example' } }, 403],
		['POST', { body: { user: 'alice', password: 'x'.repeat(3000) } }, 413],
	]) {
		const answer = await b.session(method, options);
		assert.equal(answer.status, status, answer.text);
		assert.deepEqual(Object.keys(answer.json), ['error']);
	}
	const from = { localAddress: '127.0.4.1' };
	const answers = [];
	for (const user of ['alice', 'nobody']) {
		for (let i = 0; i < 6; i++) answers.push(await b.signIn(user, `guess ${i}`, from));
	}
	assert.deepEqual(answers.map((a) => a.status), [401, 401, 401, 401, 401, 429, 401, 401, 401, 401, 401, 429]);
	assert.ok(Number(answers[5].headers['retry-after']) > 200);
	assert.equal((await b.signIn('alice', PASSWORD, from)).status, 429);
	await signedIn();
	assert.doesNotMatch(portal.output(), /guess|correct/);
});

test('of two cookies of its name none is taken, nor one of the name before', async () => {
	const { cookie } = await signedIn();
	const asked = (value) => fetchJson(`${url}/session`, { method: 'POST', ca, headers: { cookie: value } });
	const [mine, planted] = [`__Host-call_resume=${cookie}`, `__Host-call_resume=${'0'.repeat(43)}`];
	assert.equal((await asked(`x=y; ${mine}`)).status, 200);
	for (const both of [`${mine}; ${planted}`, `${planted};${mine}`]) {
		assert.deepEqual((await asked(both)).json, { error: 'Two cookies of one name' });
	}
	for (const name of ['call_resume', '__Host-call_resume2']) assert.equal((await asked(`${name}=${cookie}`)).status, 401, name);
});

test('a session of the old password does not outlive a new one that comes while the old one is looked at', async () => {
	addUser('frieda', 'the old password');
	const { Portal } = await import('../../examples/portal/portal.mjs');
	const one = await Portal.create({
		key: fs.readFileSync(file('portal.key'), 'utf8'), issuer: ISSUER, audience: 'calls', domain: DOMAIN, users: file('users.json'), sessions: file('sessions-2.json'),
	});
	const { users } = one;
	const check = users.check.bind(users);
	users.check = async (...credentials) => {
		const answer = await check(...credentials);
		addUser('frieda', 'the new password');
		return answer;
	};
	const server = http.createServer((request, response) => one.listener(request, response)).listen(0, '127.0.0.1');
	open.push(server);
	await until('it to listen', () => server.listening);
	const ask = (headers, body) => fetch(`http://127.0.0.1:${server.address().port}/session`, {
		method: 'POST', body, headers: { 'content-type': 'application/json', 'x-forwarded-proto': 'https', 'x-forwarded-for': '192.0.2.77', ...headers },
	});
	const answer = await ask({}, JSON.stringify({ user: 'frieda', password: 'the old password' }));
	assert.equal(answer.status, 401);
	assert.equal(answer.headers.get('set-cookie'), null);
	assert.ok(!fs.existsSync(file('sessions-2.json')));
	users.check = check;
	assert.equal((await ask({}, JSON.stringify({ user: 'frieda', password: 'the new password' }))).status, 200);
});

test('X-Forwarded-For that is no address is refused; of many addresses so many are counted apart', async () => {
	const from = (address) => fetch(`http://127.0.0.1:${port}/session`, {
		method: 'POST', body: JSON.stringify({ user: 'nobody', password: 'guessed' }),
		headers: { 'content-type': 'application/json', 'x-forwarded-proto': 'https', 'x-forwarded-for': address },
	});
	for (const address of ['f'.repeat(46), '9.'.padEnd(7000, 'f'), 'unknown', '192.0.2.1, 192.0.2.2', `fe80::1%${'x'.repeat(1000)}`, 'fe80::1%eth0']) {
		assert.equal((await from(address)).status, 400, address);
	}
	assert.equal((await from('2001:0db8:0064:0000:0000:ffff:192.168.100.228')).status, 401);

	const { Failures } = await import('../../examples/portal/failures.mjs');
	const failures = new Failures({ max: 2, names: 3 });
	const waits = (name) => failures.attempt(name) > 0;
	assert.deepEqual(['a', 'b', 'c', 'd', 'e', 'f', 'a', 'a'].map(waits), [false, false, false, false, false, true, false, true]);
	assert.equal(failures.counts.size, 4);
	// Who signs in and is counted with others does not take off what others have tried.
	assert.deepEqual(['g', 'h'].map(waits), [true, true]);
	failures.forgive('i');
	assert.deepEqual(['j', 'a'].map(waits), [true, true]);
});

test('guesses from many addresses keep nobody who has signed in from a token, nor for long who signs in', async () => {
	const { cookie } = await signedIn();
	const asked = async (address, { body, headers } = {}) => {
		const answer = await fetch(`http://127.0.0.1:${port}/session`, {
			method: 'POST', body, headers: { 'content-type': 'application/json', 'x-forwarded-proto': 'https', 'x-forwarded-for': address, ...headers },
		});
		return { status: answer.status, wait: Number(answer.headers.get('retry-after')) };
	};
	let looked = 0;
	const guesses = [...Array(40).keys()].flatMap((i) => [...Array(5).keys()].map((j) => asked(`2001:db8:40:${i}::1`, { body: JSON.stringify({ user: `user${j}`, password: 'guessed' }) })
		.then((answer) => (looked += answer.status === 401, answer))));
	await guesses[0];
	const renewed = await asked('192.0.2.78', { headers: { cookie: `__Host-call_resume=${cookie}` } });
	assert.equal(renewed.status, 200);
	assert.ok(looked < 25, `${looked} guesses were looked at first`);
	const answers = await Promise.all(guesses);
	assert.ok(answers.every(({ status, wait }) => status === 401 || (status === 503 && wait > 0)));
	// What is not looked at does not count.
	const from = answers.findIndex(({ status }, i) => status === 503 && i % 5 === 0) / 5;
	assert.ok(from >= 0, 'all were looked at');
	// 50 wait for their turn, and some more have had theirs while the others came.
	assert.ok(looked < 120, `${looked} of ${answers.length}`);
	for (let i = 0; i < 5; i++) assert.equal((await asked(`2001:db8:40:${from}::1`, { body: JSON.stringify({ user: 'user0', password: 'guessed' }) })).status, 401);
	await signedIn();
});

test('a /64 of IPv6 is one address, and a user begins no more than twenty sessions', async () => {
	const direct = (address, credentials = { user: 'nobody', password: 'guessed' }) => new Promise((resolve, reject) => {
		const request = http.request({
			host: '127.0.0.1', port, path: '/session', method: 'POST', agent: false,
			headers: { host: 'localhost', 'content-type': 'application/json', 'x-forwarded-proto': 'https', 'x-forwarded-for': address },
		}, (response) => {
			response.resume();
			resolve(response.statusCode);
		});
		request.on('error', reject);
		request.end(JSON.stringify(credentials));
	});
	const seen = [];
	for (const address of ['2001:db8::1', '2001:db8:0:0:1::', '2001:db8::a:b:c:d', '2001:DB8::2', '2001:db8::', '2001:db8:0:0:0:1::']) seen.push(await direct(address));
	assert.deepEqual(seen, [401, 401, 401, 401, 401, 429]);
	for (const address of ['2001:db8:0:1::1', '::1', '::ffff:192.0.2.1', '::ffff:192.0.2.2', '192.0.2.1']) assert.equal(await direct(address), 401, address);

	addUser('dora', 'a good password');
	const dora = { user: 'dora', password: 'a good password' };
	const many = [];
	for (let i = 0; i < 21; i++) many.push(await direct('192.0.2.9', dora));
	assert.deepEqual(many.map((status) => status === 200), [...Array(20).fill(true), false]);
	assert.equal(many[20], 429);
});
