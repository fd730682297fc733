// SPDX-License-Identifier: GPL-2.0-or-later
// What strangers, and users who want more than their own, try at the portal and its users: names that are not theirs, sessions
// that are over, headers that Kamailio takes for SIP's, stores that others pay for.

import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import path from 'node:path';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';

import { Nginx } from '../lib/nginx.mjs';
import { Phone } from '../lib/phone.mjs';
import { freePort } from '../lib/ports.mjs';
import { QUICK, Visitor, assertRefused, fetchJson } from '../lib/portal.mjs';
import { Client, FarEnd, sdp } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { variant } from '../lib/variant.mjs';
import { sleep, until } from '../lib/wait.mjs';

const SESSIONS_MAX = 3;
const NEW_SESSIONS_MAX = 12;

let stack, url, ca;
let open = [];
const keep = (x) => (open.push(x), x);

before(async () => {
	stack = await Stack.start('strangers-portal', {
		store: true, web: { values: QUICK },
		// Clients over UDP may have tokens too: nothing here shall hang on that they may not.
		defines: {
			RESUME_ALLOW_INSECURE: 1, PORTAL_SESSIONS_MAX: SESSIONS_MAX, PORTAL_NEW_SESSIONS_MAX: NEW_SESSIONS_MAX, STORE_SESSIONS_MAX: 3,
			PORTAL_SWEEP: '"name=portal;interval=1;mode=1;"',
		},
	});
	({ web: { url }, certificate: { cert: ca } } = stack);
});
afterEach(async () => {
	open.splice(0).forEach((x) => x.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

const gateway = () => ({ ip: stack.kamailio.ip, port: stack.kamailio.port });
const connected = async (user, token, Kind = Client, transport = 'ws') => {
	const to = transport === 'ws' ? { ip: stack.kamailio.ip, port: stack.kamailio.ws } : gateway();
	const party = keep(await Kind.open({ user, token, transport, to }));
	assert.equal((await party.register()).status, 200);
	return party;
};
const page = async (user, Kind) => connected(user, await stack.kamailio.token(`sip:${user}@${DOMAIN}`, `session-of-${user}`), Kind);

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const browser = () => new Visitor(url, { ca });
/** A user of a test's own, and its password. */
let users = 0;
const newUser = () => {
	const user = `user${++users}`;
	return { user, aor: `${user}@${DOMAIN}`, password: stack.portal.add(`${user}@${DOMAIN}`) };
};
const store = ({ token }, method, id, body) => browser().session(method, {
	path: id ? `/session/calls/${id}` : '/session/calls', body, headers: { 'content-type': 'text/plain', authorization: `Bearer ${token}` },
});
const isRegistered = async (aor) => /Address:/.test(await stack.kamailio.kamcmd('ul.lookup', 'location', aor).catch(() => ''));
const stored = ({ user, sid }) => stack.redis.cli('EXISTS', `call_resume:calls:${sha256(`${user} ${sid}`)}`) === '1';

/** The process of Kamailio's that reads what comes over that connection. */
async function readerOf(socket) {
	const hex = (port) => port.toString(16).toUpperCase().padStart(4, '0');
	const row = fs.readFileSync('/proc/net/tcp', 'latin1').split('\n').map((line) => line.trim().split(/\s+/))
		.find(([, mine, theirs]) => mine?.endsWith(`:${hex(socket.remotePort)}`) && theirs.endsWith(`:${hex(socket.localPort)}`));
	const readers = [...(await stack.kamailio.kamcmd('core.psx')).matchAll(/PID: (\d+)\s[^}]*?DSC: tcp receiver/g)].map(([, pid]) => Number(pid));
	return readers.find((pid) => fs.readdirSync(`/proc/${pid}/fd`).some((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${row[9]}]`));
}

/** A session with all that can hang on it. */
async function inUse({ user, password }, transport) {
	const b = await browser().signedIn(user, password);
	assert.equal((await store(b, 'PUT', 'c', 'x')).status, 204);
	return Object.assign(b, { phone: await connected(user, b.token, FarEnd, transport) });
}

async function assertOver(b, aor) {
	await until('the connection to be closed', () => b.phone.sockets.size === 0);
	await until('the binding to go', async () => !await isRegistered(aor));
	await until('the states to go', () => !stored(b));
	assertRefused(await store(b, 'GET'), 401, /^Token revoked$/);
	assertRefused(await b.renew(), 401, /^Sign in$/);
	const again = keep(await Client.open({ user: b.phone.user, token: b.token, to: gateway() }));
	assert.equal((await again.register()).status, 401);
	// Nobody is called where somebody was.
	const far = keep(await Client.open({ ip: TRUNK_IP, user: 'far', to: gateway() }));
	assert.equal((await far.outside('INVITE', `sip:${aor}`, { body: sdp(TRUNK_IP, 4100) })).status, 480);
}

describe('what hangs on a session', () => {
	for (const transport of ['ws', 'tcp']) {
		test(`ends when the user signs out: token, binding, connection over ${transport}, stored states`, async () => {
			const alice = newUser();
			const b = await inUse(alice, transport);
			assert.equal((await b.signOut()).status, 204);
			await assertOver(b, alice.aor);
		});
	}

	test('ends when the user signs out, also where another binding of his stands in front of it', async () => {
		const alice = newUser();
		const b = await inUse(alice);
		// As two nodes of a cluster have them that could not reach each other.
		await stack.kamailio.kamcmd('ul.add', 'location', alice.aor, 'sip:other@127.0.0.99', '3600', '1.0', '.', '0', '0', '0');
		assert.equal((await b.signOut()).status, 204);
		await until('the binding to end', async () => !(await stack.kamailio.kamcmd('ul.lookup', 'location', alice.aor)).includes(b.phone.uri));
		assert.ok((await stack.kamailio.kamcmd('ul.lookup', 'location', alice.aor)).includes('sip:other@'));
		await until('the connection to be closed', () => b.phone.sockets.size === 0);
	});

	test('ends also for who does not close his side of the WebSocket', async () => {
		const alice = newUser();
		const b = await inUse(alice);
		b.phone.socket.end = () => {};
		const closed = once(b.phone.socket, 'end');
		assert.equal((await b.signOut()).status, 204);
		await closed;
	});

	test('ends also for who breaks the WebSocket in that moment, and who signs out has an answer', async () => {
		const alice = newUser();
		const b = await inUse(alice);
		const first = await readerOf(b.phone.socket);
		// One that the other reader has.
		const agents = [];
		let agent;
		for (let i = 0; i < 20 && !agent; i++) {
			agents.push(new http.Agent({ keepAlive: true, maxSockets: 1 }));
			assert.equal(await direct({}, { body: '', agent: agents[i] }), 401);
			if (await readerOf(Object.values(agents[i].freeSockets)[0][0]) !== first) agent = agents[i];
		}
		assert.ok(agent, 'there are two');
		process.kill(first, 'SIGSTOP');
		try {
			b.phone.socket.resetAndDestroy();
			const cookie = `__Host-call_resume=${b.cookie}`;
			assert.equal(await direct({ cookie }, { method: 'DELETE', body: '', agent }), 204);
			assert.equal(stack.portal.sql(`select count(*) from web_ended where sub = 'sip:${alice.aor}' and not revoked`), '0');
		} finally {
			process.kill(first, 'SIGCONT');
			agents.forEach((a) => a.destroy());
		}
		await assertOver(b, alice.aor);
	});

	for (const [what, change] of [
		['gets another password', ({ aor }) => stack.portal.add(aor)],
		['is removed', ({ aor }) => stack.portal.remove(aor)],
		['gets another password by another tool', ({ user }) => stack.portal.sql(`update subscriber set ha1 = 'x' where username = '${user}'`)],
	]) {
		test(`ends when the user ${what}`, async () => {
			const alice = newUser();
			const b = await inUse(alice);
			change(alice);
			await assertOver(b, alice.aor);
		});
	}

	test('does not begin with the old password while the new one is being written', async () => {
		const alice = newUser();
		const b = browser();
		// A writer that takes its time, as on a slow disk.
		const writer = spawn('sqlite3', ['-batch', '-cmd', '.timeout 5000', stack.portal.file], { stdio: ['pipe', 'pipe', 'inherit'] });
		writer.stdin.write(`begin immediate; update subscriber set ha1 = 'x' where username = '${alice.user}'; select 'written';\n`);
		await once(writer.stdout, 'data');
		const signing = b.signIn(alice.user, alice.password);
		await sleep(500);
		writer.stdin.end('commit;\n');
		await once(writer, 'exit');
		assertRefused(await signing, 401, /^Wrong user or password$/);
		assert.equal(stack.portal.sql(`select count(*) from web_session where sub = 'sip:${alice.aor}'`), '0');
	});

	test('ends when another password is given to a user of a phone that has no session', async () => {
		const alice = newUser();
		const phone = await page(alice.user);
		stack.portal.add(alice.aor);
		await until('the connection to be closed', () => phone.sockets.size === 0);
		await until('the binding to go', async () => !await isRegistered(alice.aor));
	});

	test('ends when the session is too old', async () => {
		const alice = newUser();
		const b = await inUse(alice);
		stack.portal.sql(`update web_session set expires = strftime('%s') where sub = '${b.user}'`);
		await assertOver(b, alice.aor);
	});

	test('ends when there are too many: the token of one that had to go writes nothing any more', async () => {
		const alice = newUser();
		const first = await inUse(alice);
		for (let i = 0; i < SESSIONS_MAX; i++) await browser().signedIn(alice.user, alice.password);
		assertRefused(await store(first, 'PUT', 'c', 'y'), 401, /^Token revoked$/);
		await assertOver(first, alice.aor);
	});

	test('stays when another session of the user ends, and when the user signs in again', async () => {
		const alice = newUser();
		const other = await browser().signedIn(alice.user, alice.password);
		const b = await inUse(alice);
		assert.equal((await other.signOut()).status, 204);
		await b.signedIn(alice.user, alice.password);
		await until('nothing to be done', () => stack.portal.sql('select count(*) from web_ended') === '0');
		assert.equal((await store(b, 'GET')).json.c, 'x');
		assert.ok(await isRegistered(alice.aor));
		assert.equal((await b.phone.register()).status, 200);
	});

	test('stays when it was begun with the new password', async () => {
		const alice = newUser();
		const password = stack.portal.add(alice.aor);
		const b = await inUse({ ...alice, password });
		await until('nothing to be done', () => stack.portal.sql('select count(*) from web_ended') === '0');
		assert.ok(await isRegistered(alice.aor));
		assert.equal((await b.phone.register()).status, 200);
	});

	test('ends all the same where Redis does not answer, and what was stored when it does', async () => {
		const alice = newUser();
		const b = await inUse(alice);
		// Deaf, and not gone: it keeps what it has.
		await stack.redis.proc.freeze();
		try {
			assert.equal((await b.signOut()).status, 204);
			await until('the connection to be closed', () => b.phone.sockets.size === 0);
			assert.notEqual(stack.portal.sql('select count(*) from web_ended'), '0');
			// However many wait for Redis, the next one that signs out is out at once.
			stack.portal.sql(`insert into web_ended (sub, sid, revoked) select 'sip:nobody', 'none', 1 from generate_series(1, 60)`);
			const bob = newUser();
			const c = await browser().signedIn(bob.user, bob.password);
			const phone = await connected(bob.user, c.token);
			assert.equal((await c.signOut()).status, 204);
			await until('the connection to be closed', () => phone.sockets.size === 0);
		} finally {
			stack.redis.proc.thaw();
		}
		await until('the states to go', () => !stored(b), { timeout_ms: 20000, every_ms: 200 });
		await until('nothing to be done', () => stack.portal.sql('select count(*) from web_ended') === '0');
	});
});

describe('a REGISTER that is under way', () => {
	let own;
	before(async () => {
		const dir = runFolder('strangers-portal-late');
		// What another process does while this one has looked at token or password, and has no binding yet. Stack.start()
		// empties its folder.
		const cfg = path.join(`${dir}-cfg`, 'gateway.cfg');
		fs.mkdirSync(path.dirname(cfg), { recursive: true });
		process.once('exit', () => fs.rmSync(path.dirname(cfg), { recursive: true, force: true }));
		variant(path.dirname(cfg), 'gateway', 'REGISTER', [
			'if ($hdr(X-Late) == "signs out") sql_query("portal", "delete from web_session where sid=$(resume(sid){sql.val})");',
			'if ($hdr(X-Late) == "another password") sql_query("portal", "update subscriber set ha1=\'x\' where username=$(fU{sql.val})");',
			'if ($hdr(X-Late) != $null) route(PORTAL_END);',
		].join('\n'));
		own = await Stack.start('strangers-portal-late', {
			dir, web: { values: QUICK }, kamailio: { cfg },
			defines: { WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${path.join(dir, 'portal.sqlite')}"`, PORTAL_LOOK: '"name=portal_ended;interval=60;mode=1;"' },
		});
	});
	after(() => own?.stop());

	const bindings = async (aor) => (await own.kamailio.kamcmd('ul.lookup', 'location', aor).catch(() => '')).match(/Address:.*/g) ?? [];
	const phoned = async (aor) => keep(await Phone.open({
		user: 'bob', password: own.portal.add(aor), transport: 'tcp', to: { ip: own.kamailio.ip, port: own.kamailio.port },
	}));

	test('when its user signs out leaves no binding, and no connection', async () => {
		const aor = `alice@${DOMAIN}`;
		const b = await new Visitor(own.web.url, { ca: own.certificate.cert }).signedIn('alice', own.portal.add(aor));
		const page = keep(await Client.open({ user: 'alice', token: b.token, transport: 'ws', to: { ip: own.kamailio.ip, port: own.kamailio.ws } }));
		await page.register({ headers: ['X-Late: signs out'] });
		await until('the binding to go', async () => (await bindings(aor)).length === 0);
		await until('the connection to be closed', () => page.sockets.size === 0);
	});

	test('when its user gets another password leaves none of a phone with the old one', async () => {
		const aor = `bob@${DOMAIN}`;
		const phone = await phoned(aor);
		await phone.register({ headers: ['X-Late: another password'] });
		await until('the binding to go', async () => (await bindings(aor)).length === 0);
		await until('the connection to be closed', () => phone.sockets.size === 0);
		assert.equal((await (await phoned(aor)).register()).status, 200);
		assert.equal((await bindings(aor)).length, 1, 'that of the new one stays');
	});
});

describe('what a user can fill', () => {
	test('new sessions are counted, and nobody else is shut out', async () => {
		const alice = newUser();
		const b = await browser().signedIn(alice.user, alice.password);
		for (let i = 1; i < NEW_SESSIONS_MAX; i++) await browser().signedIn(alice.user, alice.password);
		const answer = await browser().signIn(alice.user, alice.password);
		assertRefused(answer, 429, /^Too many new sessions/);
		const wait = Number(answer.headers['retry-after']);
		assert.ok(wait > 200 && wait <= 300, `Retry-After: ${wait}`);
		const bob = newUser();
		assert.equal((await b.signIn(bob.user, bob.password)).status, 200, 'another user');
		assert.equal(stack.portal.sql(`select count(*) from web_session where sub = 'sip:${alice.aor}'`), String(SESSIONS_MAX));
	});

	test('who stays in a session does not begin one', async () => {
		const alice = newUser();
		const b = await browser().signedIn(alice.user, alice.password);
		for (let i = 0; i < NEW_SESSIONS_MAX + 2; i++) await b.signedIn(alice.user, alice.password);
	});

	test('the store takes three sessions of a user, and forgets what was written longest ago', async () => {
		const { aor } = newUser();
		const sub = `sip:${aor}`;
		const keyOf = (sid) => ({ user: sub, sid });
		for (let i = 0; i < 5; i++) {
			const token = await stack.kamailio.token(sub, `s${i}`);
			assert.equal((await store({ token }, 'PUT', 'c', 'x')).status, 204);
			// Redis' clock counts seconds here.
			stack.redis.cli('ZINCRBY', `call_resume:sessions:${sha256(sub)}`, i - 10, `call_resume:calls:${sha256(`${sub} s${i}`)}`);
		}
		assert.deepEqual([0, 1, 2, 3, 4].map((i) => stored(keyOf(`s${i}`))), [false, false, true, true, true]);
	});

	test('a Redis without a limit is told of', async () => {
		await until('the warning', () => /WARNING: .*store: Redis has no maxmemory/.test(stack.kamailio.log()));
		const told = () => stack.kamailio.log().split('has no maxmemory').length;
		const before = told();
		assert.equal(before, 2, 'once');
		stack.redis.cli('CONFIG', 'SET', 'maxmemory', '64mb');
		await stack.kamailio.kill();
		await stack.kamailio.boot();
		const alice = newUser();
		const b = await inUse(alice);
		await b.signOut();
		await assertOver(b, alice.aor);
		assert.equal(told(), before);
	});
});

describe('cookies', () => {
	const asked = (cookie) => fetchJson(`${url}/session`, { method: 'POST', ca, headers: { cookie } });

	test('of the same name there may not be two', async () => {
		const alice = newUser();
		const { cookie } = await browser().signedIn(alice.user, alice.password);
		const [mine, planted] = [`__Host-call_resume=${cookie}`, `__Host-call_resume=${'0'.repeat(72)}`];
		assert.equal((await asked(mine)).status, 200);
		for (const both of [`${mine}; ${planted}`, `${planted}; ${mine}`, `${mine};${mine}`, `${mine}; x=y; __Host-call_resume =x`, [mine, planted], [planted, mine]]) {
			assertRefused(await asked(both), 400, /^Two cookies/);
		}
		assert.equal((await asked(mine)).status, 200);
	});

	test('of another name, or of the one before, are none', async () => {
		const alice = newUser();
		const { cookie } = await browser().signedIn(alice.user, alice.password);
		for (const name of ['call_resume', '__Secure-call_resume', 'x__Host-call_resume', '__Host-call_resume2', '__HOST-CALL_RESUME', '__Host-call_resume ']) {
			assertRefused(await asked(`${name}=${cookie}`), 401, /^Sign in/);
		}
		assertRefused(await asked(`__Host-call_resume="${cookie}"`), 401, /^Sign in/);
	});

	// Browsers take a cookie without a name (RFC 6265bis section 5.7), of any host of the domain, for all of it.
	test('without a name are none, whatever stands in them', async () => {
		const alice = newUser();
		const { cookie } = await browser().signedIn(alice.user, alice.password);
		for (const planted of [cookie, `=${cookie}`, ` ${cookie}`, `${cookie};`, `; ${cookie}`, `a=b; ${cookie}`, `__HOST-CALL_RESUME=; ${cookie}`]) {
			assertRefused(await asked(planted), 401, /^Sign in/);
		}
		assert.equal((await asked(`x; __Host-call_resume=${cookie}; ${'0'.repeat(72)}`)).status, 200);
	});

	test('come in several fields over HTTP/2, and the right one is found', async () => {
		const alice = newUser();
		const { cookie } = await browser().signedIn(alice.user, alice.password);
		const session = http2.connect(url, { ca: fs.readFileSync(ca) });
		try {
			for (const [fields, status] of [
				[['a=b', `__Host-call_resume=${cookie}`, 'c=d'], 200], [[`__Host-call_resume=${cookie}`], 200], [['a=b'], 401],
				[[`__Host-call_resume=${cookie}`, 'a=b', `__Host-call_resume=${cookie}`], 400],
			]) {
				const stream = session.request({ ':method': 'POST', ':path': '/session', cookie: fields });
				const [headers] = await once(stream.end(), 'response');
				stream.resume();
				assert.equal(headers[':status'], status, fields.join('; '));
			}
		} finally {
			session.close();
		}
	});
});

describe('cookies of somebody who has none of ours', () => {
	test('leave no line, however many there are', async () => {
		const before = stack.kamailio.log().length;
		const session = http2.connect(url, { ca: fs.readFileSync(ca) });
		try {
			const stream = session.request({ ':method': 'POST', ':path': '/session', cookie: [`a=${'x'.repeat(7000)}`, `b=${'x'.repeat(7000)}`] });
			const [headers] = await once(stream.end(), 'response');
			stream.resume();
			assert.equal(headers[':status'], 400);
			assert.deepEqual(stack.kamailio.logged(/./, before), []);
		} finally {
			session.close();
		}
	});

	test('leave no line by their name, however long they are', async () => {
		const before = stack.kamailio.log().length;
		const name = '__Host-call_resume=';
		for (const cookie of [name + 'a'.repeat(7000), name + '0'.repeat(1100), `${name + '0'.repeat(73)}; x`, `x; ${name}${'0'.repeat(72)} ; y`, name,
			`${name.toUpperCase()}${'0'.repeat(72)}; ${'x'.repeat(7000)}`, `x=${'y'.repeat(3000)}; ${name}${'0'.repeat(72)}; z=${'y'.repeat(3000)}`]) {
			assert.equal(await direct({ 'x-forwarded-for': '192.0.2.78', cookie }, { body: '' }), 401, cookie.slice(0, 120));
		}
		assert.deepEqual(stack.kamailio.logged(/WARNING|ERROR/, before), []);
	});

	test('keep Kamailio busy for no longer than their length does', async () => {
		const took = async (cookie) => {
			const times = [];
			for (let i = 0; i < 10; i++) {
				const begun = performance.now();
				assert.equal(await direct({ 'x-forwarded-for': '192.0.2.77', cookie }, { body: '' }), 401);
				times.push(performance.now() - begun);
			}
			return Math.min(...times);
		};
		const name = '__Host-call_resume=';
		const [plain, ours] = [await took('x'.repeat(7980)), await took(name.repeat(420))];
		assert.ok(ours < 4 * plain, `${ours} ms, and ${plain} ms for others`);
	});
});

describe('passwords that somebody makes up', () => {
	// With =~ a letter is one in capitals too: what JSON has an escape for, and what it has none for.
	test('get neither there nor into the log, in JSON whose escapes are none', async () => {
		const before = stack.kamailio.log().length;
		for (const escape of ['U0041', 'N', 'B', 'F', 'R', 'T']) {
			const body = `{"user":"alice",${'\n'.repeat(20)}"password":"\u009bsecret-${escape}\\${escape}"}`;
			const answer = await browser().session('POST', { body, localAddress: '127.0.5.2' });
			assertRefused(answer, 400, /^A JSON object of user and password/);
		}
		assert.deepEqual(stack.kamailio.logged(/./, before), []);
	});
});

/** As a web server asks Kamailio, or somebody who would be one. */
const direct = (headers, {
	from = '127.0.0.1', user = 'nobody', password = 'guessed', body = JSON.stringify({ user, password }), to = stack.kamailio, method = 'POST', agent = false,
} = {}) => new Promise((resolve, reject) => {
	const request = http.request({
		host: to.ip, port: to.ws, localAddress: from, path: '/session', method, agent, signal: AbortSignal.timeout(10000),
		headers: { host: 'localhost', 'x-forwarded-proto': 'https', 'content-type': 'application/json', 'content-length': body.length, ...headers },
	}, (response) => {
		response.resume();
		resolve(response.statusCode);
	});
	request.on('error', reject);
	request.end(body);
});

/** The handshake of a WebSocket as a web server passes it on, with other fields; undefined: without that one. */
const handshake = (headers) => new Promise((resolve, reject) => {
	const request = http.request({
		host: stack.kamailio.ip, port: stack.kamailio.ws, path: '/ws', agent: false, headers: Object.fromEntries(Object.entries({
			Host: new URL(url).host, Upgrade: 'websocket', Connection: 'Upgrade', Origin: url, 'Sec-WebSocket-Protocol': 'sip', 'Sec-WebSocket-Version': '13',
			'Sec-WebSocket-Key': randomBytes(16).toString('base64'), ...headers,
		}).filter(([, value]) => value !== undefined)),
	});
	request.on('upgrade', (response, socket) => {
		socket.destroy();
		resolve(response.statusCode);
	}).on('response', (response) => {
		response.resume();
		resolve(response.statusCode);
	}).on('error', reject);
	request.end();
});

describe('who asks', () => {
	test('of the fields that Kamailio reads itself, it gets what nginx writes', async () => {
		const at = stack.kamailio.log().length;
		const odd = 'x<FORGED>';
		const shaken = await new Promise((resolve, reject) => {
			const request = https.request(`${url}/ws`, {
				ca: fs.readFileSync(ca), agent: false, headers: {
					Upgrade: 'websocket', Connection: 'Upgrade', Origin: url, 'Sec-WebSocket-Protocol': 'sip', 'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
					'Sec-WebSocket-Version': odd, 'Retry-After': odd,
				},
			});
			request.on('upgrade', (response, socket) => {
				socket.destroy();
				resolve(response.statusCode);
			}).on('response', (response) => resolve(response.statusCode)).on('error', reject);
			request.end();
		});
		assert.equal(shaken, 101);
		assertRefused(await fetchJson(`${url}/session`, { method: 'POST', ca, headers: { origin: url, 'Retry-After': odd } }), 401, /^Sign in/);
		assert.deepEqual(stack.kamailio.logged(/FORGED|WARNING|ERROR/, at), []);
	});

	test('X-Forwarded-* is believed of the web server only, also where tokens may pass in the clear', async () => {
		const alice = newUser();
		assert.equal(await direct({ 'x-forwarded-for': '192.0.2.1' }, { from: '127.0.0.66', ...alice }), 403);
		assert.equal(await direct({ 'x-forwarded-for': '192.0.2.1' }, alice), 200);
	});

	test('X-Forwarded-For that is no address is refused, and becomes a name in no table', async () => {
		const none = ['f'.repeat(46), '9.'.padEnd(7000, 'f'), 'unknown', '192.0.2.1, 192.0.2.2', '2001:db8::1%eth0', '[::1]', '"'];
		const shakes = [];
		for (const address of none) {
			assert.equal(await direct({ 'x-forwarded-for': address }), 400, address);
			shakes.push(await handshake({ 'X-Forwarded-For': address }));
		}
		assert.deepEqual(shakes, none.map(() => 400));
		assert.equal(await direct({ 'x-forwarded-for': '2001:0db8:0000:0000:0000:ffff:192.168.100.228' }), 401, 'the longest that is one');
		for (const table of ['signins', 'clients']) assert.doesNotMatch(await stack.kamailio.kamcmd('htable.dump', table), /f{20}|unknown|eth0|,|\[/, table);
	});

	test('what is no handshake is refused before a line is written about it', async () => {
		const at = stack.kamailio.log().length;
		const key = randomBytes(16).toString('base64');
		for (const [why, headers] of [
			['no key', { 'Sec-WebSocket-Key': undefined }], ['a short one', { 'Sec-WebSocket-Key': 'AAAA' }], ['a long one', { 'Sec-WebSocket-Key': randomBytes(4000).toString('base64') }],
			['two of them', { 'Sec-WebSocket-Key': [key, key] }], ['no protocol', { 'Sec-WebSocket-Protocol': undefined }], ['another', { 'Sec-WebSocket-Protocol': 'chat' }],
			['two origins', { Origin: [url, url] }], ['two versions', { 'Sec-WebSocket-Version': ['13', '13'] }],
			['an empty key and another', { 'Sec-WebSocket-Key': ['', key] }], ['a key and an empty one', { 'Sec-WebSocket-Key': [key, ''] }],
			['an empty version and another', { 'Sec-WebSocket-Version': ['', '13'] }], ['an empty origin and another', { Origin: ['', url] }],
		]) {
			const status = await handshake(headers);
			assert.ok([400, 403, 426].includes(status), `${why}: ${status}`);
		}
		for (const protocol of ['sip', 'SIP', 'msrp, sip', ['', 'sip'], ['msrp', 'sip']]) assert.equal(await handshake({ 'Sec-WebSocket-Protocol': protocol }), 101, protocol);
		assert.deepEqual(stack.kamailio.logged(/WARNING|ERROR/, at), []);
	});

	// Of each line the first six are one address.
	for (const [what, addresses, others] of [
		['written with ::', ['2001:db8::1', '2001:db8::2', '2001:db8::a:b:c:d', '2001:db8:0:0:a::', '2001:db8::ffff', '2001:DB8:0:0:0:0:0:7'], ['2001:db8:0:1::1', '2001:db8:1::1']],
		['with its fourth group', ['2001:db8:1:2::1', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::', '2001:db8:1:2:0:1::', '2001:DB8:1:2:0:0:0:1', '2001:db8:1:2::f'], ['2001:db8:1:3::1']],
		['with a nought there', ['2001:db8:9::1', '2001:db8:9:0:1:2:3:4', '2001:db8:9:0:1::2', '2001:db8:9::', '2001:db8:9::1:2', '2001:db8:9:0:f::'], ['2001:db8:9:1::1']],
		['that begins with noughts', ['2002::5:1:2:3:4', '2002::5:f:0:0:1', '2002:0:0:5::1', '2002:0:0:5::', '2002:0:0:5:1::', '2002:0:0:5:0:0:0:9'], ['2002::1:2:3:4', '2002::6:1:2:3:4']],
	]) {
		test(`a /64 of IPv6 is one address: ${what}`, async () => {
			const seen = [];
			for (const address of addresses) seen.push(await direct({ 'x-forwarded-for': address }));
			assert.deepEqual(seen, [401, 401, 401, 401, 401, 429]);
			for (const address of others) assert.equal(await direct({ 'x-forwarded-for': address }), 401, address);
		});
	}

	test('nginx counts a /64 as one address too', { skip: process.env.CALL_RESUME_NETNS !== 'own' && 'no network of its own' }, async () => {
		const own = Array.from({ length: 5 }, (_, i) => `2001:db8:64:0:${i}::1`);
		const next = '2001:db8:64:1::1';
		const addresses = (what) => [...own, next].forEach((address) => execFileSync('ip', ['-6', 'addr', what, `${address}/128`, 'dev', 'lo']));
		addresses('replace');
		const port = await freePort();
		const nginx = await Nginx.start(stack.dir, {
			name: 'nginx6', kamailio: `${stack.kamailio.ip}:${stack.kamailio.ws}`, certificate: stack.certificate,
			values: { LISTEN_HTTPS: `[::]:${port} ssl http2` },
		});
		try {
			const ask = (localAddress) => fetchJson(`https://[${own[0]}]:${port}/session`, { method: 'POST', localAddress, rejectUnauthorized: false });
			// An address may send 100 at once: none of these does.
			const seen = await Promise.all(Array.from({ length: 400 }, (_, i) => ask(own[i % own.length])));
			const refused = seen.filter((answer) => answer.status === 429).length;
			assert.ok(refused > 50 && refused <= 300, `${refused} refused`);
			assert.equal((await ask(next)).status, 401, 'the next /64');
		} finally {
			await nginx.stop();
			addresses('del');
		}
	});

	test('addresses of IPv4 are counted one by one, also those that are written as IPv6', async () => {
		for (const address of ['198.51.100.1', '198.51.100.2', '::ffff:198.51.100.3', '::ffff:198.51.100.4', '198.51.100.5', '::1', '198.51.100.7']) {
			assert.equal(await direct({ 'x-forwarded-for': address }), 401, address);
		}
	});
});

describe('guesses from many addresses', () => {
	const ADDRESSES = 6;
	const USERS = 15;
	const FAILURES = 8;
	let own, password;
	before(async () => {
		const dir = runFolder('strangers-portal-many');
		own = await Stack.start('strangers-portal-many', {
			dir, web: { values: QUICK },
			defines: {
				WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${path.join(dir, 'portal.sqlite')}"`, STRANGERS_MAX: 1000, PORTAL_NEW_SESSIONS_MAX: 1000,
				SIGNINS_ADDRESSES: ADDRESSES, SIGNINS_USERS: USERS, PORTAL_ADDRESS_FAILURES_MAX: FAILURES,
			},
		});
		password = own.portal.add(`alice@${DOMAIN}`);
	});
	after(() => own?.stop());
	/* Addresses are few here: each test begins with none. */
	beforeEach(() => own?.kamailio.kamcmd('htable.flush', 'signins'));

	const guess = (address, user = 'alice', pw = 'guessed') => direct({ 'x-forwarded-for': address }, { user, password: pw, to: own.kamailio });
	const names = async () => [...(await own.kamailio.kamcmd('htable.dump', 'signins')).matchAll(/name: (.*)/g)].map(([, name]) => name.trim());
	const v6 = (i) => `2001:db8:6:${i.toString(16)}::1`;

	test('fill no memory: so many are counted apart, others together, and of IPv4 and IPv6 each', async () => {
		for (let i = 0; i < 40; i++) for (const user of ['x', 'y']) assert.ok([401, 429].includes(await guess(v6(i), `${user}${i}`.padEnd(64, 'z'))));
		const all = await names();
		assert.ok(all.length > ADDRESSES && all.length <= ADDRESSES + 1 + USERS + 3, `${all.length} names`);
		assert.equal(await guess(v6(0), 'x'), 401, 'one that is counted apart has its own limits');
		assert.equal(await guess(v6(99), 'alice', password), 429, 'the others have theirs');
		assert.equal(await guess('192.0.2.1', 'alice', password), 200, 'IPv4 is not concerned');
		assert.equal(await guess('192.0.2.2', 'bob'), 401);
	});

	test('shut out nobody where clients are', async () => {
		for (let i = 0; i < 40; i++) await guess(`198.51.100.${i}`, `x${i}`);
		const sign = (localAddress, pw = password) => new Visitor(own.web.url, { ca: own.certificate.cert }).signIn('alice', pw, { localAddress });
		assert.equal((await sign('127.0.8.1')).status, 429);
		const token = await own.kamailio.token(`sip:alice@${DOMAIN}`, 's-1');
		const client = keep(await Client.open({ transport: 'wss', token, ip: '127.0.8.2', to: { ip: own.web.ip, port: own.web.port, host: new URL(own.web.url).host, path: '/ws' } }));
		assert.equal((await client.register()).status, 200);
		assert.equal((await sign('127.0.8.2')).status, 200);
		// And they may guess as often as anybody.
		for (let i = 0; i < 5; i++) assert.equal((await sign('127.0.8.2', 'wrong')).status, 401);
		assert.equal((await sign('127.0.8.2')).status, 429);
	});

	test('a user whose names are not counted any more is guessed as often as his address may fail', async () => {
		for (let i = 0; i < USERS; i++) await guess(v6(i % 3), `x${i}`);
		const seen = [];
		for (let i = 0; i <= FAILURES; i++) seen.push(await guess(v6(4)));
		assert.deepEqual(seen, [...Array(FAILURES).fill(401), 429]);
		assert.ok(!(await names()).some((name) => name.endsWith(' alice')));
	});

	test('who signs in leaves room for others', async () => {
		for (let i = 0; i < 3 * USERS; i++) assert.equal(await guess(v6(0), 'alice', password), 200);
		for (let i = 0; i < 5; i++) assert.equal(await guess(v6(0)), 401);
		assert.equal(await guess(v6(0)), 429);
	});

	test('the same at the phones\' door, and with a name of any length', async () => {
		const phone = async (ip, options) => {
			const self = keep(await Phone.open({ ip, password, to: { ip: own.kamailio.ip, port: own.kamailio.port }, ...options }));
			return (await self.register()).status;
		};
		assert.equal(await phone('127.0.9.1', { user: 'x'.repeat(300), password: 'guessed' }), 401);
		assert.ok((await names()).every((name) => name.length < 90), 'no name is longer than a user can be');
		for (let i = 2; i < 30; i++) assert.ok([401, 503].includes(await phone(`127.0.9.${i}`, { user: `x${i}`, password: 'guessed' })));
		const all = await names();
		assert.ok(all.length <= ADDRESSES + 1 + USERS + 3, `${all.length} names`);
		assert.equal(await phone('127.0.9.99'), 503);
		assert.equal(await phone('127.0.9.1'), 200);
		assert.equal(await guess('127.0.9.98', 'alice', password), 429, 'one count for both doors');
	});
});

describe('HTTP that Kamailio takes for SIP', () => {
	const NAMES = ['Via', 'From', 'To', 'CSeq', 'Call-ID', 'Contact', 'Route', 'Record-Route', 'Max-Forwards', 'Expires', 'Proxy-Authorization', 'Event',
		'Refer-To', 'Diversion', 'Remote-Party-ID', 'P-Asserted-Identity', 'RAck', 'Subject', ...'abcdefijklmnorstuvxyFTVIMLCS'];

	test('gets neither there nor into the log, and what is beside it neither', async () => {
		const alice = newUser();
		const b = await browser().signedIn(alice.user, alice.password);
		for (const value of ['"', 'x', '<<<', 'SIP/2.0/UDP 127.0.0.1:9;branch=x', 'a} ERROR: forged']) {
			for (const name of NAMES) {
				const answer = await b.signIn(alice.user, `secret-${name}`, { localAddress: '127.0.5.1', headers: { [name]: value } });
				assert.ok([401, 429].includes(answer.status), `${name}: ${value}: ${answer.status} ${answer.text}`);
			}
		}
		assert.equal((await b.renew({ headers: { cseq: 'x', to: '"', via: '', l: '9' } })).status, 200);
		const log = stack.kamailio.log();
		for (const secret of ['secret-', b.cookie.slice(0, 20), b.token.slice(-20), 'forged']) assert.ok(!log.includes(secret), `${secret} is in the log`);
	});

	test('a WebSocket and the store do not get the cookie, nor a page the token', async () => {
		const alice = newUser();
		const b = await browser().signedIn(alice.user, alice.password);
		const log = stack.kamailio.log().length;
		for (const [method, path] of [['GET', '/ws'], ['GET', '/session/calls'], ['POST', '/session']]) {
			const answer = await b.session(method, { path, headers: { cseq: 'x', to: '"', v: 'x', authorization: `Bearer ${b.token}` } });
			assert.ok(answer.status, path);
		}
		const said = stack.kamailio.log().slice(log);
		for (const secret of [b.cookie.slice(0, 20), b.token.slice(-20)]) assert.ok(!said.includes(secret), said);
	});
});

describe('names', () => {
	for (const name of ['"bob" ', 'bob ', '"<sip:bob@example.org>" ', '"a \\"bob\\" <" ', '\t"bob"\t', '']) {
		test(`a user who calls himself ${JSON.stringify(name)} rings without a name`, async () => {
			const [mallory, alice] = [await page('mallory'), await page('alice', FarEnd)];
			const from = `${name}<sip:mallory@${DOMAIN}>`;
			const answer = await mallory.outside('INVITE', `sip:alice@${DOMAIN}`, { from, body: sdp('127.0.0.1', 4000) });
			assert.equal(answer.status, 200);
			const [invite] = alice.requests;
			assert.match(invite.get('from'), new RegExp(`^<sip:mallory@${DOMAIN}>;tag=\\w+$`));
		});
	}

	test('the name that a trunk gives passes, and so does that of a user to the trunk', async () => {
		const alice = await page('alice', FarEnd);
		const bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
		const from = `"Bob" <sip:bob@${DOMAIN}>`;
		assert.equal((await bob.outside('INVITE', `sip:alice@${DOMAIN}`, { from, body: sdp(TRUNK_IP, 4100) })).status, 200);
		assert.match(alice.requests[0].get('from'), /^"Bob" <sip:bob@/);
		assert.equal((await alice.call({ from: `"Alice" <sip:alice@${DOMAIN}>` })).final.status, 200);
		assert.match(bob.requests.at(-1).get('from'), /^"Alice" <sip:alice@/);
	});
});
