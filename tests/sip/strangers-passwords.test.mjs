// SPDX-License-Identifier: GPL-2.0-or-later
// Strangers who try passwords at the phones' door (cfg/digest.cfg), and what they can do to
// others by it. The portal's door is another one to the same passwords.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { execFileSync } from 'node:child_process';

import { firstHop } from '../lib/first-hop.mjs';
import { Phone, answerTo, fieldsOf, withPassword } from '../lib/phone.mjs';
import { QUICK, Visitor } from '../lib/portal.mjs';
import { FarEnd } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { freePort } from '../lib/ports.mjs';
import { Usage } from '../lib/usage.mjs';

const MAX = 5;
const ADDRESS_MAX = 8;
const HOME = `sip:${DOMAIN}`;
const PROXY_IP = '127.0.0.3';
const SIX = ['fd00:0:0:1::1', 'fd00:0:0:1::2:3', 'fd00:0:0:2::1', 'fd00::9'];
const six = process.env.CALL_RESUME_NETNS === 'own';

let stack, far, password, carols, sixPort, prometheus;
let open = [];
before(async () => {
	const dir = runFolder('strangers-passwords');
	if (six) for (const ip of SIX) execFileSync('ip', ['addr', 'replace', `${ip}/128`, 'dev', 'lo', 'nodad']);
	sixPort = await freePort();
	prometheus = await freePort();
	stack = await Stack.start('strangers-passwords', {
		dir, web: { values: QUICK }, kamailio: { args: six ? ['-l', `udp:[fd00::9]:${sixPort}`] : [] },
		defines: {
			RESUME_FIRST_HOP: `"${PROXY_IP}"`, WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${path.join(dir, 'portal.sqlite')}"`, PORTAL_ADDRESS_FAILURES_MAX: ADDRESS_MAX, STRANGERS_MAX: 1000,
			WITH_PROMETHEUS: true, LISTEN_PROMETHEUS: `tcp:127.0.0.1:${prometheus}`, PROMETHEUS_PORT: prometheus,
		},
	});
	password = stack.portal.add(`alice@${DOMAIN}`);
	carols = stack.portal.add(`carol@${DOMAIN}`);
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
});
afterEach(() => open.splice(0).forEach((p) => p.close()));
after(() => {
	// With such an address the system asks for every name's IPv6 too, of servers that there are not here.
	if (six) for (const ip of SIX) execFileSync('ip', ['addr', 'del', `${ip}/128`, 'dev', 'lo']);
});
after(async () => {
	far?.close();
	await stack?.stop();
});

/** Each test has addresses of its own. */
let host = 10;
const elsewhere = () => `127.0.4.${host++}`;

async function phone(ip, options) {
	const self = await Phone.open({ ip, password, to: { ip: stack.kamailio.ip, port: stack.kamailio.port }, ...options });
	open.push(self);
	return self;
}

async function register(ip, options) {
	return (await phone(ip, options)).register();
}

async function counter(name) {
	return Number(/\d+/.exec(await stack.kamailio.kamcmd('cnt.get', 'call_resume', `digest_${name}`))[0]);
}

/** Run; resolves with what the log has got by it. */
async function lines(run) {
	const at = stack.kamailio.log().length;
	await run();
	return stack.kamailio.log().slice(at).split('\n').filter((l) => l.includes('digest:'));
}

function assertLocked(reply) {
	assert.equal(reply.status, 503, reply.start);
	const wait = Number(reply.get('retry-after'));
	assert.ok(wait > 250 && wait <= 300, `Retry-After: ${wait}`);
}

async function guess(times, ip, options) {
	for (let i = 0; i < times; i++) assert.equal((await register(ip, { password: `guess ${i}`, ...options })).status, 401);
}

test('guesses: the fifth is the last, then the right password is refused too; other users and addresses go on', async () => {
	const ip = elsewhere();
	const before = { wrong: await counter('wrong'), locked: await counter('locked'), accepted: await counter('accepted') };
	const wrong = await lines(() => guess(MAX, ip));
	assert.equal(wrong.length, MAX);
	for (const l of wrong) assert.match(l, new RegExp(`NOTICE: .* digest: sip:alice@${DOMAIN} from ${ip}: wrong user or password$`));
	const locked = await lines(async () => assertLocked(await register(ip)));
	assert.equal(locked.length, 1);
	assert.match(locked[0], new RegExp(`digest: sip:alice@${DOMAIN} from ${ip}: too many wrong passwords$`));
	assertLocked(await register(ip, { password: 'another guess' }));
	assertLocked((await (await phone(ip)).call()).final);
	assert.equal((await register(ip, { user: 'carol', password: carols })).status, 200, 'another user from there');
	assert.equal((await register(elsewhere())).status, 200, 'the user from elsewhere');
	assert.deepEqual([await counter('wrong'), await counter('locked'), await counter('accepted')],
		[before.wrong + MAX, before.locked + 3, before.accepted + 2]);
	for (const secret of [password, carols, 'guess 1']) assert.ok(!stack.kamailio.log().includes(secret));
});

test('Prometheus gets the counters', async () => {
	const text = await (await fetch(`http://127.0.0.1:${prometheus}/metrics`)).text();
	for (const name of ['accepted', 'wrong', 'locked', 'other_uri', 'other_user', 'malformed', 'no_session', 'no_dialog']) {
		assert.equal(Number(new RegExp(`^kamailio_call_resume_digest_${name} (\\d+)`, 'm').exec(text)?.[1]), await counter(name), name);
	}
});

test('users that there are not: the same answers', async () => {
	const ip = elsewhere();
	await guess(MAX, ip, { user: 'nobody' });
	assertLocked(await register(ip, { user: 'nobody' }));
});

test('one password for many users ends too', async () => {
	const ip = elsewhere();
	for (let i = 0; i < ADDRESS_MAX; i++) await guess(1, ip, { user: `user${i}` });
	assertLocked(await register(ip, { user: 'another' }));
});

test('the right one in time starts anew', async () => {
	const ip = elsewhere();
	for (let round = 0; round < 2; round++) {
		await guess(3, ip);
		assert.equal((await register(ip)).status, 200);
	}
});

test('many at once are no way around', async () => {
	const ip = elsewhere();
	const all = await Promise.all(Array.from({ length: 40 }, (_, i) => phone(ip, { password: `guess ${i}` })));
	const seen = (await Promise.all(all.map((p) => p.register()))).map((r) => r.status);
	const wrong = seen.filter((s) => s === 401).length;
	// One more for each other process that had begun.
	assert.ok(wrong >= MAX && wrong < MAX + 2, seen.join());
	assert.equal(seen.filter((s) => s === 503).length, 40 - wrong);
	assertLocked(await register(ip));
});

test('the limits are those of the portal, one counts for the other', async () => {
	const visit = (localAddress, user, pw) => new Visitor(`https://127.0.0.1:${stack.web.port}`, { ca: stack.certificate.cert }).signIn(user, pw, { localAddress });
	const [one, two] = [elsewhere(), elsewhere()];
	for (let i = 0; i < MAX; i++) assert.equal((await visit(one, 'alice', `guess ${i}`)).status, 401);
	assertLocked(await register(one));
	await guess(MAX, two);
	assert.equal((await visit(two, 'alice', password)).status, 429);
	assert.equal((await visit(two, 'carol', carols)).status, 200);
});

test('a phone that is only challenged counts for nothing', async () => {
	const ip = elsewhere();
	const one = await phone(ip);
	for (let i = 0; i < 2 * ADDRESS_MAX; i++) assert.equal((await one.bare('REGISTER', HOME, { to: `sip:alice@${DOMAIN}` })).status, 401);
	assert.equal((await one.register()).status, 200);
});

/** What alice's phone sends behind a challenge, as a field; and who sent it. */
async function answered(ip, { method = 'REGISTER', uri = HOME, ...options } = {}) {
	const one = await phone(ip);
	const reply = await one.bare(method, uri, { to: `sip:alice@${DOMAIN}` });
	const [header, name] = fieldsOf(reply);
	const value = answerTo(reply.get(header), { user: 'alice', password, method, uri, ...options });
	return { one, name, value, send: (via = one, to = uri, more = []) => via.bare(method, to, { to: `sip:alice@${DOMAIN}`, headers: [...more, `${name}: ${value}`] }) };
}

test('a nonce is good once; a used one is stale, not wrong', async () => {
	const { send } = await answered(elsewhere());
	assert.equal((await send()).status, 200);
	const again = await send();
	assert.equal(again.status, 401);
	assert.match(again.get('www-authenticate'), /, stale=true/);
});

test('a nonce is good for its address: nobody can use up the guesses of another one', async () => {
	const [thief, victim] = [elsewhere(), elsewhere()];
	for (let i = 0; i < 2 * ADDRESS_MAX; i++) {
		const { send } = await answered(thief, { password: `guess ${i}` });
		// As if the address was forged: the one that the challenge did not go to.
		const reply = await send(await phone(victim));
		assert.equal(reply.status, 401);
		assert.match(reply.get('www-authenticate'), /, stale=true/);
	}
	assert.equal((await register(victim)).status, 200);
	// Nor with a nonce that is none.
	const made = `Digest username="alice", realm="${DOMAIN}", nonce="${'A'.repeat(44)}", uri="${HOME}", response="${'0'.repeat(32)}"`;
	for (let i = 0; i < 2 * ADDRESS_MAX; i++) {
		const r = await (await phone(victim)).bare('REGISTER', HOME, { to: `sip:alice@${DOMAIN}`, headers: [`Authorization: ${made}`] });
		assert.equal(r.status, 401);
	}
	assert.equal((await register(victim)).status, 200);
});

test('credentials for another Request-URI are refused, and nothing is called', async () => {
	const cheap = `sip:bob@${DOMAIN}`;
	const dear = `sip:+19005550000@${DOMAIN}`;
	const before = [await counter('other_uri'), far.requests.length];
	const { send, one } = await answered(elsewhere(), { method: 'INVITE', uri: cheap });
	const log = await lines(async () => assert.equal((await send(one, dear)).status, 400));
	assert.match(log.join('\n'), /credentials for another Request-URI/);
	// A field of another realm, or for another kind of challenge, that has the right URI does not hide it.
	for (const realm of ['x', DOMAIN]) {
		const decoy = `Digest username="x", realm="${realm}", nonce="x", uri="${dear}", response="${'0'.repeat(32)}"`;
		const hidden = await send(one, dear, [`Proxy-Authorization: ${decoy}`]);
		assert.notEqual(hidden.status, 200, hidden.start);
	}
	assert.deepEqual([await counter('other_uri'), far.requests.length], [before[0] + 1, before[1]]);
	const register = await answered(elsewhere(), { uri: 'sip:elsewhere.example' });
	const decoy = `Proxy-Authorization: Digest username="x", realm="${DOMAIN}", nonce="x", uri="${HOME}", response="${'0'.repeat(32)}"`;
	assert.notEqual((await register.send(register.one, HOME, [decoy])).status, 200);
});

test('the URI may be written in another way that means the same (RFC 3261 section 19.1.4)', async () => {
	const { send, one } = await answered(elsewhere(), { uri: `sip:${DOMAIN.toUpperCase()}` });
	assert.equal((await send(one, HOME)).status, 200);
});

test('its parameters do not count', async () => {
	const { send, one } = await answered(elsewhere(), { uri: `${HOME};transport=udp` });
	assert.equal((await send(one, `${HOME};x=y;lr`)).status, 200);
	const other = await answered(elsewhere(), { uri: `sip:a;b@${DOMAIN};x` });
	assert.equal((await other.send(other.one, `sip:a;c@${DOMAIN};x`)).status, 400);
});

test('and no memory is kept of them', async () => {
	const usage = new Usage(stack.kamailio);
	const one = await phone(elsewhere());
	const send = async (n) => {
		for (let i = 0; i < n; i++) {
			const uri = `${HOME}${';a'.repeat(450)}`;
			const value = `Digest username="alice", realm="${DOMAIN}", nonce="x", uri="${uri}", response="x"`;
			assert.equal((await one.bare('REGISTER', `${HOME}${';b'.repeat(400)}`, { to: `sip:alice@${DOMAIN}`, headers: [`Authorization: ${value}`] })).status, 401);
		}
	};
	await send(40);
	const before = await usage.processes();
	await send(40);
	const more = Object.entries(await usage.processes()).map(([pid, used]) => used - before[pid]);
	assert.ok(Math.max(...more) < 10000, more.join());
});

test('nor do credentials keep Kamailio busy for longer than their length does', async () => {
	const one = await phone(elsewhere());
	const took = async (more) => {
		const times = [];
		for (let i = 0; i < 10; i++) {
			const value = `Digest username="alice", realm="${DOMAIN}", nonce="x", uri="${HOME}", response="x", x=${more}`;
			const begun = performance.now();
			assert.equal((await one.bare('REGISTER', HOME, { to: `sip:alice@${DOMAIN}`, headers: [`Authorization: ${value}`] })).status, 401);
			times.push(performance.now() - begun);
		}
		return Math.min(...times);
	};
	const [plain, quotes] = [await took('x'.repeat(7700)), await took('""'.repeat(3850))];
	assert.ok(quotes < 4 * plain, `${quotes} ms, and ${plain} ms for others`);
});

test('a user of the same name in another domain is somebody else', async () => {
	const other = 'elsewhere.example';
	const own = stack.portal.add(`alice@${other}`);
	const before = await counter('other_user');
	const make = async (domain, pw) => {
		const one = await phone(elsewhere());
		const reply = await one.bare('REGISTER', HOME, { to: `sip:alice@${DOMAIN}` });
		const value = answerTo(reply.get('www-authenticate'), {
			user: `alice@${domain}`, password: pw, method: 'REGISTER', uri: HOME, ...(domain === other ? { realm: domain } : {}),
		}).replace(/realm="[^"]*"/, `realm="${DOMAIN}"`);
		return one.bare('REGISTER', HOME, { to: `sip:alice@${DOMAIN}`, headers: [`Authorization: ${value}`] });
	};
	assert.equal((await make(other, own)).status, 401);
	assert.equal(await counter('other_user'), before + 1);
	assert.equal((await make(DOMAIN, password)).status, 200, 'her own domain may be in the name');
});

test('a PRACK out of nowhere, which asks for no password, is nobody', async () => {
	const before = await counter('no_dialog');
	const ip = elsewhere();
	assert.equal((await (await phone(ip)).bare('PRACK', `sip:bob@${DOMAIN}`)).status, 481);
	assert.equal(await counter('no_dialog'), before + 1);
	assert.match(stack.kamailio.log(), new RegExp(`NOTICE: .*digest: sip:alice@${DOMAIN} from ${ip}: a PRACK of no call`));
});

test('the far end does not ask for one, and gets no answer that was for us', async () => {
	far.answer = (m) => {
		if (m.method === 'INFO') far.reply(m, 407, 'Proxy Authentication Required', { headers: [`Proxy-Authenticate: Digest realm="${DOMAIN}", nonce="PLANTED", qop="auth"`] });
		return m.method !== 'INFO';
	};
	const own = await (await phone(elsewhere())).call();
	assert.equal(own.final.status, 200);
	const digest = answerTo(`Digest realm="${DOMAIN}", nonce="n"`, { user: 'alice', password, method: 'INFO', uri: own.target });
	const reply = await own.request('INFO', { headers: [`Authorization: ${digest}`, `Proxy-Authorization: ${digest}`] });
	far.answer = () => true;
	assert.equal(reply.status, 407);
	assert.ok(!reply.text.includes('PLANTED'), reply.text);
	assert.doesNotMatch(far.requests.findLast((m) => m.method === 'INFO').text, /digest/i);
	assert.equal((await own.request('BYE')).status, 200);
});

// It is authenticated at two places of the script, and the nonce is good for one.
test('both ends of a call were lost: the one that calls again is asked once', async () => {
	const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const ip = elsewhere();
	const carol = await withPassword(FarEnd).open({ user: 'carol', password: carols, ip, to });
	open.push(carol);
	assert.equal((await carol.register()).status, 200);
	const { state } = await (await phone(ip)).call({ service: 'carol' });
	const { final } = await (await phone(ip)).call({ service: 'carol', state: `${state};again` });
	assert.equal(final.status, 200, final.start);
	assert.ok(carol.requests.findLast((m) => m.method === 'INVITE').get('call-state-id'));
});

test('a /64 of IPv6 is one address', { skip: !six && 'no network namespace' }, async () => {
	const to = { ip: SIX[3], port: sixPort };
	await guess(MAX, SIX[0], { to });
	assertLocked(await register(SIX[1], { to }));
	assert.equal((await register(SIX[2], { to })).status, 200, 'another network');
	// The portal counts by what its web server names.
	const sign = async (from, pw) => {
		const body = JSON.stringify({ user: 'alice', password: pw });
		const answer = await fetch(`http://127.0.0.1:${stack.kamailio.ws}/session`, {
			method: 'POST', body, headers: { 'content-type': 'application/json', 'x-forwarded-proto': 'https', 'x-forwarded-for': from },
		});
		return answer.status;
	};
	assert.equal(await sign(SIX[1], password), 429);
	assert.equal(await sign(SIX[2], password), 200);
	for (let i = 0; i < MAX; i++) assert.equal(await sign(`fd00:7::${i}`, `guess ${i}`), 401);
	for (let i = 0; i < MAX; i++) assert.equal(await sign('::ffff:192.0.2.7', `guess ${i}`), 401);
	assert.equal(await sign('192.0.2.7', password), 429);
	assert.equal(await sign('::ffff:192.0.2.8', password), 200);
	assert.equal(await sign('fd00:7::1:2:3:4', password), 429);
	assert.equal(await sign('fd00:7:0:1::5', password), 200);
});

/* ---- behind a proxy -------------------------------------------------------------------- */

// A proxy makes a 500 of a 503 (RFC 3261 section 16.7).
const LOCKED = 500;

/** @param work  gets what a phone behind it is opened with */
async function behind(work) {
	const proxy = await firstHop(stack.dir, { ip: PROXY_IP, gateway: `sip:${stack.gateway};transport=tcp` });
	try {
		await work({ to: { ip: PROXY_IP, port: proxy.port } });
	} finally {
		await proxy.stop();
	}
}

/** A phone that writes something behind its Via. */
async function writes(ip, via, options) {
	const self = await phone(ip, options);
	self.send = ((send) => (text, to) => send(text.replace(/^Via: [^\r]*/m, (line) => line + via), to))(self.send.bind(self));
	return self;
}

test('who guesses behind a proxy that is their first hop shuts out himself, and not the others there', () => behind(async (there) => {
	const [ip, other] = [elsewhere(), elsewhere()];
	for (let i = 0; i < ADDRESS_MAX; i++) await guess(1, ip, { user: `user${i}`, ...there });
	assert.equal((await register(ip, there)).status, LOCKED);
	assert.equal((await register(other, there)).status, 200);
	await guess(MAX, other, { user: 'carol', ...there });
	assert.equal((await register(other, { user: 'carol', password: carols, ...there })).status, LOCKED);
}));

for (const [what, via] of [
	['by `received` of his own', (ip) => `;received=${ip}`],
	['by two of them', (ip) => `;received=${ip};received=${ip}`],
	['in front of which there is a blank', (ip) => ` ; received = ${ip} ;Received=${ip};rport=5`],
]) {
	test(`nor has he others counted behind that proxy, ${what}`, () => behind(async (there) => {
		const [ip, other] = [elsewhere(), elsewhere()];
		for (let i = 0; i < ADDRESS_MAX; i++) {
			const self = await writes(ip, via(other), { user: `user${i}`, password: 'a guess', ...there });
			assert.ok([401, LOCKED, 503].includes((await self.register()).status));
		}
		assert.equal((await register(other, there)).status, 200);
	}));
}

test('nor over UDP, with the address of that proxy', () => behind(async (there) => {
	const other = elsewhere();
	for (let i = 0; i < ADDRESS_MAX; i++) {
		const self = await writes(PROXY_IP, `\r\nVia: SIP/2.0/UDP x.invalid;received=${other};branch=z9hG4bK1`, { user: `user${i}`, password: 'a guess' });
		assert.ok([401, LOCKED, 503].includes((await self.register()).status));
	}
	assert.equal((await register(other, there)).status, 200);
}));
