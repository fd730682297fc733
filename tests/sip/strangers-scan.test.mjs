// SPDX-License-Identifier: GPL-2.0-or-later
// Strangers who scan, and what they can do to others by it: limits by address must not
// count what anybody can forge.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import fs from 'node:fs';
import net from 'node:net';
import { once } from 'node:events';
import path from 'node:path';

import { DATAGRAM_MAX } from '../lib/kamailio.mjs';
import { Phone } from '../lib/phone.mjs';
import { Portal } from '../lib/portal.mjs';
import { Client, Endpoint, FarEnd, message, random, replyTo, sdp } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { Usage } from '../lib/usage.mjs';
import { sleep, until } from '../lib/wait.mjs';

const SUB = `sip:alice@${DOMAIN}`;
let open = [];
const keep = (x) => (open.push(x), x);
afterEach(() => open.splice(0).forEach((x) => x.close()));

const at = (stack, transport = 'udp') => ({ ip: stack.kamailio.ip, port: transport === 'ws' ? stack.kamailio.ws : stack.kamailio.port });
const client = async (stack, { transport = 'udp', ...options } = {}) => keep(await Client.open({ transport, to: at(stack, transport), ...options }));

describe('WITH_SLOW_DOWN', () => {
	const AFTER = 3;
	let stack, far, token;
	before(async () => {
		stack = await Stack.start('strangers-slow', {
			defines: { RESUME_ALLOW_INSECURE: 0, WITH_SLOW_DOWN: true, SLOW_DOWN_AFTER: AFTER, RESUME_TRUSTED_PROXY: '"127.0.0.1, 127.0.0.70"' },
		});
		token = await stack.kamailio.token(SUB, 's-1');
		far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: at(stack) });
	});
	after(async () => {
		far?.close();
		await stack?.stop();
	});

	const page = () => client(stack, { transport: 'ws', token });
	const forged = (state) => `${state.slice(0, -9)}AAAAAAAAA`;

	/** The true user's page calls, is lost, and comes back. */
	async function comesBack(meanwhile) {
		const one = await page();
		const { state } = await one.call();
		one.close();
		await meanwhile(state);
		const back = await (await page()).call({ state });
		assert.equal(back.final.status, 200, back.final.start);
		assert.equal((await back.request('BYE')).status, 200);
	}

	test('packets from a forged address keep nobody from resuming', () => comesBack(async () => {
		const forger = await client(stack, { token: 'x' });
		for (let i = 0; i < 2 * AFTER; i++) assert.equal((await forger.call({ state: 'x' })).final.status, 403);
	}));

	test('nor does a client without TLS, whose token is not taken', () => comesBack(async (state) => {
		const plain = await client(stack, { transport: 'tcp', token });
		for (let i = 0; i < 2 * AFTER; i++) assert.match((await plain.call({ state })).final.start, / 403 Secure Transport Required/);
	}));

	test('nor do others behind a web server that does not say for whom it asks', () => comesBack(async (state) => {
		const other = await page();
		for (let i = 0; i < 2 * AFTER; i++) assert.equal((await other.call({ state: forged(state) })).final.status, 403);
	}));
});

test('WITH_SLOW_DOWN: forged states from many addresses take no more memory than some', async () => {
	const PLACES = 3;
	const stack = await Stack.start('strangers-forged', { defines: { WITH_SLOW_DOWN: true, SLOW_DOWN_AFTER: 2, SLOW_DOWN_ADDRESSES: PLACES } });
	try {
		const token = await stack.kamailio.token(SUB, 's-1');
		const forges = async (n) => (await (await client(stack, { transport: 'tcp', ip: `127.0.8.${n}`, token })).call({ state: 'abc' })).final.status;
		for (let n = 1; n <= 3 * PLACES; n++) assert.equal(await forges(n), 400);
		const entries = (await stack.kamailio.kamcmd('htable.dump', 'forged')).match(/name: .*/g);
		assert.deepEqual(entries.sort(), ['name: 127.0.8.1', 'name: 127.0.8.2', 'name: 127.0.8.3']);
		// Who is counted waits after the next one; who is not makes nobody wait.
		assert.deepEqual([await forges(1), await forges(1)], [400, 503]);
		for (let i = 0; i < 4; i++) assert.equal(await forges(3 * PLACES), 400);
	} finally {
		await stack.stop();
	}
});

/** What no phone sends, and Kamailio would write a line about. */
const realm = `realm="${DOMAIN}"`;
const most = `Digest username="100", ${realm}, nonce="x", uri="sip:${DOMAIN}"`;
const CREDENTIALS = {
	'of another scheme': 'Basic eDp5', 'without an end': `Digest username="100", ${realm}, nonce="x`, 'that are empty': 'Digest ',
	'without a user': `Digest ${realm}, nonce="x", uri="sip:${DOMAIN}", response="x"`, 'without a nonce': `Digest username="100", ${realm}, uri="sip:${DOMAIN}", response="x"`,
	'without a URI': `Digest username="100", ${realm}, nonce="x", response="x"`, 'without a response': most,
	'of qop, without a number': `${most}, response="x", qop=auth, cnonce="x"`, 'of qop, without a nonce of theirs': `${most}, response="x", qop=auth, nc=1`,
	'whose number is in another value': `${most}, response="x", cnonce="x", qop=auth, opaque=", nc=1"`, 'whose number is behind a value': `${most}, response="x", cnonce="x", qop=auth nc=1`,
	'whose number is behind no comma': `${most}, response="x", cnonce="x", qop=auth \\, nc=1`, 'that are very long': `${most}, response="x"${', a="b"'.repeat(1200)}`,
	'of a very long URI': `Digest username="100", ${realm}, nonce="x", uri="sip:${'x'.repeat(1100)};x", response="x"`,
};

describe('scanners', () => {
	const MAX = 20;
	const ADDRESSES = 12;
	const PLACES = 4;
	const TRUNK_MAX = 150;
	const SECONDS = 5;
	let stack, password, far;
	before(async () => {
		const dir = runFolder('strangers-scan');
		const users = fs.mkdtempSync(`${dir}-users-`);
		process.once('exit', () => fs.rmSync(users, { recursive: true, force: true }));
		const portal = Portal.create(users);
		password = portal.add(`alice@${DOMAIN}`);
		stack = await Stack.start('strangers-scan', {
			dir, defines: {
				WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${path.join(users, 'portal.sqlite')}"`, STRANGERS_MAX: MAX, TRUNK_REQUESTS_MAX: TRUNK_MAX, USER_REQUESTS_MAX: TRUNK_MAX, RESUMES_MAX: 0, STRANGERS_ADDRESSES: ADDRESSES, FAMILIAR_ADDRESSES: PLACES,
				STRANGERS_TABLE: `"strangers=>size=4;autoexpire=${SECONDS};updateexpire=0;initval=0;"`, MONITOR_IP: '"127.0.6.1 127.0.6.2"',
			},
		});
		far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: at(stack) });
	});
	after(async () => {
		far?.close();
		await stack?.stop();
	});

	let host = 10;
	const elsewhere = () => `127.0.5.${host++}`;
	/* Addresses are few here: each test begins with none. */
	async function forgotten() {
		for (const table of ['strangers', 'familiar']) await stack.kamailio.kamcmd('htable.flush', table);
	}
	const log = () => stack.kamailio.log();

	/** So many messages of a scanner, and what it was answered. */
	async function scan(times, { ip = elsewhere(), transport = 'udp', method = 'REGISTER', tag = '', from = '100', domain = DOMAIN, hops = 70, uri = `sip:${DOMAIN}`, cseq = `1 ${method}`, fromTag = ';tag=1', via = '', contact, more = [], hasLength = true, body = '', answers = MAX } = {}) {
		const scanner = keep(await Endpoint.open({ ip, transport, to: at(stack, transport) }));
		for (let i = 0; i < times; i++) {
			scanner.send(message(`${method} ${uri} SIP/2.0`, [`Via: SIP/2.0/${transport.toUpperCase()} ${scanner.host};branch=z9hG4bK${random()}${via}`, `Max-Forwards: ${hops}`,
				`From: <sip:${from && `${from}@`}${domain}>${fromTag}`, `To: <sip:${from || 'x'}@${DOMAIN}>${tag}`, `Call-ID: ${random()}`, `CSeq: ${cseq}`, 'User-Agent: friendly-scanner', `Contact: ${contact ?? `<sip:${from || 'x'}@${scanner.host}>`}`, ...more], body).replace(hasLength ? '' : /Content-Length:.*\r\n/, ''));
			await new Promise((resolve) => { setImmediate(resolve); });
		}
		// What the far end says is answered when all of it is.
		assert.equal((await far.outside('OPTIONS', `sip:${DOMAIN}`)).status, 200);
		await until('the answers', async () => scanner.inbox.length >= Math.min(times, answers));
		return { ip, answers: scanner.inbox };
	}

	for (const transport of ['udp', 'tcp', 'ws']) {
		test(`over ${transport} get ${MAX} answers, and one line more`, async () => {
			await forgotten();
			const before = log().length;
			const name = `scan${transport}`;
			const { ip, answers } = await scan(10 * MAX, { transport, from: name });
			assert.equal(answers.length, MAX);
			const of = log().slice(before).split('\n').filter((l) => l.includes(ip));
			assert.equal(of.filter((l) => l.includes('ask too often')).length, 1);
			assert.ok(of.length <= MAX + 1, of.join('\n'));
			const again = keep(await Client.open({ ip, transport, to: at(stack, transport), user: name }));
			await until('the window to be over', () => Promise.race([again.register().then(() => true), sleep(300)]));
		});
	}

	test('with requests in dialogs that there are not', async () => {
		await forgotten();
		assert.equal((await scan(5 * MAX, { method: 'BYE', tag: ';tag=2' })).answers.length, MAX);
	});

	for (const [what, options] of Object.entries({
		'a tag that looks like ours': { method: 'BYE', tag: ';tag=a.crm1.b' }, 'the end of a session that there is not': { method: 'BYE', tag: ';tag=2', more: ['Call-State: replaced'] },
		'no length': { method: 'OPTIONS', hasLength: false }, 'a body of no type': { method: 'INVITE', more: ['Content-Type: '], body: 'x' },
		'a body of several types': { method: 'INVITE', more: ['Content-Type: application/sdp;a=b,text/plain'], body: 'x' }, 'no hops left': { hops: 0 }, 'a Request-URI that is too long': { method: 'OPTIONS', uri: `sip:${'x'.repeat(900)}@${DOMAIN}` }, 'a Contact that is no address': { method: 'OPTIONS', contact: '<tel:1>' }, 'a PRACK of no call': { method: 'PRACK' },
		'a From without a user': { method: 'OPTIONS', from: '' }, 'a CSeq of another method': { method: 'OPTIONS', cseq: '1 FOO' }, 'an address of another scheme': { method: 'OPTIONS', uri: 'foo:bar' },
		'a From without a tag': { method: 'OPTIONS', fromTag: '' }, 'a Contact that Kamailio cannot read': { method: 'OPTIONS', contact: '<sip:x@127.0.0.1>;a="\\""' },
		'a Contact that is no address for Kamailio': { method: 'OPTIONS', contact: '<sip:]x@127.0.0.1>' }, 'a Route that Kamailio cannot read': { method: 'BYE', tag: ';tag=2', more: [`Route: <sip:${DOMAIN};lr>;a="\\""`] },
		'a Route that is no address': { method: 'BYE', tag: ';tag=2', more: ['Route: <sip:1:27.0.0.1;lr>'] },
		'credentials that are longer than Kamailio\'s buffer, in a dialog': { method: 'BYE', tag: ';tag=2', more: [`Route: <sip:${DOMAIN};lr>`, `Authorization: ${'x'.repeat(Math.min(40_000, DATAGRAM_MAX - 1000))}`] },
		'a call to come back to': { method: 'INVITE', more: ['Call-State: x'] }, 'a call to come back to that both ends have lost': { method: 'INVITE', more: ['Call-State: x;again'] },
		...Object.fromEntries(['999999999', '70 (x)', '7 0', '-1', ''].map((hops) => [`Max-Forwards: ${hops}`, { method: 'OPTIONS', hops }])),
		...Object.fromEntries(Object.entries(CREDENTIALS).map(([which, value]) => [`credentials ${which}`, { method: 'INVITE', more: [`Proxy-Authorization: ${value}`] }])),
	})) {
		test(`with ${what}`, async () => {
			await forgotten();
			const before = log().length;
			const { answers } = await scan(5 * MAX, options);
			assert.equal(answers.length, MAX);
			for (const answer of answers) assert.ok(answer.status >= 400, answer.start);
			const lines = log().slice(before).split('\n');
			assert.ok(lines.length <= MAX + 2, `${lines.length} lines: ${lines[0]}`);
		});
	}

	/** So many requests over HTTP, each on a connection of its own: what each was answered, 0 for nothing. */
	async function browse(times, { ip, port = stack.kamailio.ws, path: at_path = '/nothing', fields = '' }) {
		const answers = [];
		for (let i = 0; i < times; i++) {
			const socket = net.connect({ host: stack.kamailio.ip, port, localAddress: ip });
			let got = '';
			socket.on('data', (d) => {
				got += d;
				if (got.includes('\r\n\r\n')) socket.destroy();
			}).on('error', () => {}).on('connect', () => socket.write(`GET ${at_path} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`));
			await once(socket, 'close');
			answers.push(Number(/^HTTP\/1\.1 (\d+)/.exec(got)?.[1] ?? 0));
		}
		return answers;
	}
	const refusedOverHttp = async () => Number(/\d+/.exec(await stack.kamailio.kamcmd('cnt.get', 'call_resume', 'http_refused'))[0]);
	const upgrade = 'Upgrade: websocket\r\nConnection: Upgrade\r\n';
	const shaken = `${upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n`;

	for (const [what, status, options] of [
		['nothing', 404, {}], ['no WebSocket', 404, { path: '/ws' }], ['a version of it that there is not', 426, { path: '/ws', fields: upgrade }],
		['a handshake that is none', 400, { path: '/ws', fields: `${upgrade}Sec-WebSocket-Version: 13\r\n` }],
		...Object.entries({ Key: 400, Version: 426 }).map(([name, status]) => [`an empty Sec-WebSocket-${name} in front of the real one`, status, { path: '/ws', fields: shaken.replace(`Sec-WebSocket-${name}`, `Sec-WebSocket-${name}: \r\n$&`) }]),
		['an empty Origin in front of another', 403, { path: '/ws', fields: `${shaken}Origin: \r\nOrigin: http://x\r\n` }],
		['a page that may not', 403, { path: '/ws', fields: `${upgrade}Origin: ftp://x\r\n` }], ['the port of SIP', 403, { port: 'sip' }],
		['a page of a very long name', 403, { path: '/ws', fields: `${upgrade}Origin: https://${'x'.repeat(9000)}\r\n` }],
	]) {
		test(`over HTTP, with ${what}: ${MAX} answers and lines, then the connection is closed without one`, async () => {
			await forgotten();
			const [before, counted, ip] = [log().length, await refusedOverHttp(), elsewhere()];
			const answers = await browse(3 * MAX, { ip, ...options, port: options.port === 'sip' ? stack.kamailio.port : stack.kamailio.ws });
			assert.deepEqual(answers, [...Array(MAX).fill(status), ...Array(2 * MAX).fill(0)]);
			assert.equal(await refusedOverHttp() - counted, 3 * MAX);
			const lines = log().slice(before).split('\n').filter((l) => l.includes(ip));
			assert.equal(lines.filter((l) => new RegExp(`NOTICE: .*http: ${ip}: ${status} [A-Z][a-z]+`).test(l)).length, MAX);
			assert.equal(lines.length, MAX + 1, lines.at(-1));
			assert.doesNotMatch(log().slice(before), /ERROR/);
			// Who has something to show comes in.
			const token = await stack.kamailio.token(SUB, 's-1');
			const page = await client(stack, { ip, transport: 'ws', token });
			assert.equal((await page.register()).status, 200);
			assert.deepEqual(await browse(2, { ip }), [404, 404], 'and then refusals are answered, without a line');
			assert.equal(log().slice(before).split('\n').filter((l) => l.includes(ip)).length, MAX + 1);
		});
	}

	test('who forge the address of the trunk, with offers that rtpengine does not take, leave so many lines', async () => {
		await forgotten();
		const phone = keep(await Phone.open({ ip: elsewhere(), password, to: at(stack) }));
		assert.equal((await phone.register()).status, 200);
		const before = log().length;
		const forger = keep(await Endpoint.open({ ip: TRUNK_IP, to: at(stack) }));
		const calls = Array.from({ length: 5 * MAX }, () => random());
		for (const callId of calls) {
			forger.send(message(`INVITE sip:alice@${DOMAIN} SIP/2.0`, [`Via: SIP/2.0/UDP ${forger.host};branch=z9hG4bK${callId}`, 'Max-Forwards: 70', `From: <sip:x@${DOMAIN}>;tag=1`,
				`To: <sip:alice@${DOMAIN}>`, `Call-ID: ${callId}`, 'CSeq: 1 INVITE', `Contact: <sip:x@${forger.host}>`], 'v=0\r\n'));
			await sleep(5);
		}
		await until('all to be refused', () => calls.every((callId) => forger.inbox.some((m) => m.callId === callId && m.status === 503)));
		const lines = log().slice(before).trim().split('\n');
		assert.ok(lines.length <= MAX, `${lines.length} lines: ${lines.at(-1)}`);
		assert.match(lines[0], /proxy replied with error/);
	});

	test('who forge the address of the trunk have so many transactions a minute, and no more memory', async () => {
		await forgotten();
		const phone = keep(await Phone.open({ ip: elsewhere(), password, to: at(stack) }));
		assert.equal((await phone.register()).status, 200);
		const usage = new Usage(stack.kamailio);
		const before = [await usage.transactions(), await usage.shared()];
		const forger = keep(await Endpoint.open({ ip: TRUNK_IP, to: at(stack) }));
		const calls = Array.from({ length: 3 * TRUNK_MAX }, () => random());
		for (const [i, callId] of calls.entries()) {
			const method = i % 2 ? 'INVITE' : 'MESSAGE';
			forger.send(message(`${method} sip:alice@${DOMAIN} SIP/2.0`, [`Via: SIP/2.0/UDP ${forger.host};branch=z9hG4bK${callId}`, 'Max-Forwards: 70', `From: <sip:x@${DOMAIN}>;tag=1`,
				`To: <sip:alice@${DOMAIN}>`, `Call-ID: ${callId}`, `CSeq: 1 ${method}`, `Contact: <sip:x@${forger.host}>`], method === 'INVITE' ? 'v=0\r\n' : ''));
			await sleep(2);
		}
		const many = () => forger.inbox.filter((m) => m.start === 'SIP/2.0 503 Too Many Requests');
		// Some may get lost.
		await until('the others to be refused', () => many().length >= TRUNK_MAX);
		assert.ok(many().every((m) => m.get('retry-after') === '60'));
		assert.ok(await usage.transactions() - before[0] <= TRUNK_MAX);
		assert.ok(await usage.shared() - before[1] < 20000 * TRUNK_MAX, `${await usage.shared() - before[1]} bytes`);
		// Over TCP nobody forges it, and clients call as ever.
		const trunk = keep(await Client.open({ ip: TRUNK_IP, transport: 'tcp', user: 'x', to: at(stack, 'tcp') }));
		assert.notEqual((await trunk.outside('INVITE', `sip:nobody@${DOMAIN}`)).status, 503);
		assert.equal((await phone.call()).final.status, 200);
	});

	test('a user has so many transactions a minute, and no more memory, and the others call as ever', async () => {
		await forgotten();
		const silent = keep(await Phone.open({ ip: elsewhere(), password, to: at(stack) }));
		assert.equal((await silent.register()).status, 200);
		silent.answer = () => false;
		const mallory = keep(await Client.open({ ip: elsewhere(), transport: 'tcp', user: 'mallory', token: await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 's-mallory'), to: at(stack, 'tcp') }));
		const usage = new Usage(stack.kamailio);
		const before = [await usage.transactions(), await usage.shared()];
		const refused = [];
		for (let i = 0; i < 3 * TRUNK_MAX; i++) {
			mallory.outside('MESSAGE', `sip:alice@${DOMAIN}`).then((m) => { if (m.start === 'SIP/2.0 503 Too Many Requests') refused.push(m); }, () => {});
		}
		await until('the others to be refused', () => refused.length >= 2 * TRUNK_MAX);
		assert.ok(refused.length === 2 * TRUNK_MAX && refused.every((m) => m.get('retry-after') === '60'));
		assert.ok(await usage.transactions() - before[0] <= TRUNK_MAX);
		assert.ok(await usage.shared() - before[1] < 20000 * TRUNK_MAX, `${await usage.shared() - before[1]} bytes`);
		const phone = keep(await Client.open({ ip: elsewhere(), transport: 'tcp', user: 'carol', token: await stack.kamailio.token(`sip:carol@${DOMAIN}`, 's-carol'), to: at(stack, 'tcp') }));
		assert.equal((await phone.call()).final.status, 200);
	});

	/** Nobody but the module writes this into a Via, and what nobody can open is sent to nobody. */
	for (const [what, options, hasToken] of [
		['who forge the address of the trunk', { ip: TRUNK_IP, method: 'OPTIONS' }], ['who forge the address of the trunk, in no dialog', { ip: TRUNK_IP, method: 'BYE', tag: ';tag=2' }],
		['a user with a token', { method: 'OPTIONS', from: 'mallory' }, true], ['a user with a token, by another method', { method: 'SUBSCRIBE', from: 'mallory' }, true], ['a stranger', { method: 'OPTIONS' }],
	]) {
		test(`${what}: with a map in their Via have no answer and leave no lines`, async () => {
			await forgotten();
			const more = hasToken ? [`Authorization: Bearer ${await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 's-mallory')}`] : [];
			const before = log().length;
			const started = Date.now();
			const refused = async () => Number(/maps_malformed: (\d+)/.exec(await stack.kamailio.kamcmd('call_resume.stats'))[1]);
			const first = await refused();
			const { answers } = await scan(5 * MAX, { via: ';crm1=aa', more, answers: 0, ...options });
			await until('all of them to be refused', async () => await refused() - first === 5 * MAX);
			assert.deepEqual(answers, []);
			const lines = log().slice(before).split('\n').filter((l) => l);
			assert.doesNotMatch(lines.join('\n'), /ERROR/);
			// Ours is one a second, of each process.
			const most = Math.ceil((Date.now() - started) / 1000 + 1) * 4;
			assert.ok(lines.length <= most && lines.every((l) => /call_resume.*map refused/.test(l)), `${lines.length} lines: ${lines[0]}`);
		});
	}

	test('a user who writes the name of that map in capitals has his answers, and leaves no line', async () => {
		await forgotten();
		const more = [`Authorization: Bearer ${await stack.kamailio.token(SUB, 's-1')}`];
		const before = log().length;
		const { answers } = await scan(MAX, { transport: 'tcp', from: 'alice', via: ';CRM1=aa', more });
		assert.ok(answers.length === MAX && answers.every((m) => m.status === 200 && m.get('call-state-key')), answers[0]?.text);
		assert.doesNotMatch(log().slice(before), /ERROR|map refused/);
	});

	const other = { from: `<sip:carol@${DOMAIN}>` };
	for (const [what, status, ask, Party = Client] of [
		['a REGISTER in the name of another one', 403, (mallory) => mallory.register(other)],
		['an INVITE in the name of another one', 403, (mallory) => mallory.outside('INVITE', `sip:bob@${DOMAIN}`, other)],
		['a state that is none', 400, (mallory) => mallory.outside('INVITE', `sip:bob@${DOMAIN}`, { headers: ['Call-State: abc'] })],
		['a state that is none, of a call that both ends have lost', 400, (mallory) => mallory.outside('INVITE', `sip:bob@${DOMAIN}`, { headers: ['Call-State: abc;again'] })],
		['a REGISTER whose number is older', 400, async (mallory) => {
			const callId = `registers-${mallory.host}`;
			if (!mallory.newest) mallory.newest = await mallory.register({ callId, cseq: 9 });
			return mallory.register({ callId, cseq: 1 });
		}],
		['a REGISTER with methods that are none', 200, (mallory) => mallory.register({ headers: ['Allow: ,,'] })],
		['a REGISTER whose Call-ID is longer than the registrar takes', 400, (mallory) => mallory.register({ callId: 'x'.repeat(256) })],
		['a password, and a session that has no name', 403, (mallory) => mallory.register({ headers: ['Call-State-Session: <'] }), Phone],
	]) {
		test(`a user who is refused fills no log, by ${what}; his answers he gets`, async () => {
			await forgotten();
			const user = Party === Phone ? 'alice' : 'mallory';
			const opened = async (name, token) => keep(await Party.open({ ip: elsewhere(), transport: 'tcp', user: name, token, password, to: at(stack, 'tcp') }));
			const mallory = await opened(user, Party === Phone ? undefined : await stack.kamailio.token(`sip:${user}@${DOMAIN}`, 's-mallory'));
			assert.equal((await mallory.register()).status, 200);
			const before = log().length;
			const started = Date.now();
			for (let i = 0; i < 3 * MAX; i++) assert.equal((await ask(mallory)).status, status);
			const windows = Math.ceil((Date.now() - started) / 1000 / SECONDS) + 1;
			const lines = log().slice(before).trim().split('\n');
			assert.ok(lines.length <= windows * (MAX + 2), `${lines.length} lines: ${lines[0]}`);
			if (status !== 200) assert.equal(lines.filter((l) => l.includes(`refusals of ${Party === Phone ? '' : 'sip:'}${user}@${DOMAIN}: too many`)).length, 1);
			assert.equal((await mallory.register()).status, 200);
		});
	}

	test('a user who asks for a name with an escape of no letter gets 484, and leaves no line; names of other domains go on', async () => {
		await forgotten();
		const mallory = keep(await Client.open({ ip: elsewhere(), transport: 'tcp', user: 'mallory', token: await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 's-mallory'), to: at(stack, 'tcp') }));
		const before = log().length;
		for (const method of ['MESSAGE', 'OPTIONS', 'INVITE']) {
			for (const name of ['%00b', '%0a', '%7F', 'x%c3%a9', '%61lice%Fa']) {
				assert.equal((await mallory.outside(method, `sip:${name}@${DOMAIN}`)).status, 484, `${method} ${name}`);
				assert.equal((await mallory.outside(method, `sip:${name}@other.invalid`)).status, 200, `${method} ${name}`);
			}
			assert.notEqual((await mallory.outside(method, `sip:%61lice%3A%7e@${DOMAIN}`)).status, 484);
		}
		const lines = log().slice(before).split('\n').filter((l) => l);
		assert.deepEqual(lines, []);
	});

	test('a user fills no log by requests in a call of his own, to places that nothing can be sent to', async () => {
		await forgotten();
		const mallory = keep(await Client.open({ ip: elsewhere(), transport: 'tcp', user: 'mallory', token: await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 's-mallory'), to: at(stack, 'tcp') }));
		const call = await mallory.call();
		assert.equal(call.final.status, 200);
		for (const target of [`sip:x@${far.host};transport=sctp`, `sip:x@${far.host};transport=tcp`, 'sip:x@[::1]', 'sip:x@127.0.0.77:5060;transport=tcp', 'sip:x@x.invalid;alias=127.0.0.2~99999~1', 'sip:x@x.invalid;alias=127.0.0.2~5080~9']) {
			await stack.kamailio.kamcmd('htable.flush', 'strangers');
			const before = log().length;
			for (const body of ['', sdp(mallory.ip, mallory.media)]) {
				for (let i = 0; i < 4 * MAX; i++) call.ack({ target, body });
			}
			assert.equal((await mallory.outside('OPTIONS', `sip:${DOMAIN}`)).status, 200);
			await sleep(300);
			const lines = log().slice(before).trim().split('\n');
			assert.ok(lines.length <= 12 * (MAX + 4), `${target}: ${lines.length} lines: ${lines.at(-1)}`);
		}
		assert.equal((await call.request('BYE')).status, 200);
	});

	for (const [what, type, body] of [['a type that is none', 'a', 'x'], ['a description that rtpengine does not take', 'application/sdp', 'v=0\r\no=x\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVPF 111\r\n']]) {
		test(`a user who is called fills no log by answers, without end, of ${what}`, async () => {
			await forgotten();
			const opened = async (user, options) => keep(await FarEnd.open({ ip: elsewhere(), transport: 'tcp', user, token: await stack.kamailio.token(`sip:${user}@${DOMAIN}`, `s-${user}`), to: at(stack, 'tcp'), ...options }));
			const mallory = await opened('mallory', { answer: () => false });
			assert.equal((await mallory.register()).status, 200);
			const caller = await opened('carol');
			const call = caller.call({ service: 'mallory' });
			const invite = await mallory.take('the INVITE', (m) => m.method === 'INVITE' && !m.status);
			const before = log().length;
			for (let i = 0; i < 10 * MAX; i++) {
				mallory.send(replyTo(invite, 183, 'X', { to: `${invite.get('to')};tag=1`, body, fields: [`Contact: <${mallory.uri}>`, `Content-Type: ${type}`] }));
				await sleep(2);
			}
			mallory.send(replyTo(invite, 486, 'Busy Here', { to: `${invite.get('to')};tag=1` }));
			assert.equal((await call).final.status, 486);
			const lines = log().slice(before).trim().split('\n');
			assert.ok(lines.length <= 2 * (MAX + 4), `${lines.length} lines: ${lines.at(-1)}`);
		});
	}

	for (const { what, length = 0, each = 1, body = 'x'.repeat(length), ask = (_, call) => call.request('INFO', { headers: ['Content-Type: text/plain'], body }) } of [
		{ what: 'requests' },
		{ what: 'requests that are long', length: 12500, each: 4 },
		{
			what: 'coming back to it, again and again', each: 4,
			ask: (mallory, call) => mallory.call({ service: 'mel', state: call.state, body: `${sdp(mallory.ip, mallory.media)}a=x:${'y'.repeat(12500)}\r\n` }).then(({ final }) => final),
		},
	]) {
		test(`nor has a user more in a call with a client that answers nothing, by ${what}`, async () => {
			await forgotten();
			const silent = keep(await FarEnd.open({ ip: elsewhere(), transport: 'tcp', user: 'mel', token: await stack.kamailio.token(`sip:mel@${DOMAIN}`, 's-mel'), to: at(stack, 'tcp') }));
			assert.equal((await silent.register()).status, 200);
			const mallory = keep(await Client.open({ ip: elsewhere(), transport: 'tcp', user: 'mallory', token: await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 's-mallory'), to: at(stack, 'tcp') }));
			const call = await mallory.call({ service: 'mel' });
			assert.equal(call.final.status, 200);
			silent.answer = () => false;
			const usage = new Usage(stack.kamailio);
			const before = [await usage.transactions(), await usage.shared()];
			const refused = [];
			const n = Math.floor(TRUNK_MAX / each);
			for (let i = 0; i < 3 * n; i++) ask(mallory, call).then((m) => { if (m.start === 'SIP/2.0 503 Too Many Requests') refused.push(m); }, () => {});
			await until('the others to be refused', () => refused.length >= 2 * n);
			// Of long ones the share of a call, and what is more, end one request earlier.
			assert.ok(refused.length - 2 * n <= (length ? 1 : 0) && refused.every((m) => m.get('retry-after') === '60'));
			assert.ok(await usage.transactions() - before[0] <= n);
			assert.ok(await usage.shared() - before[1] < 25000 * TRUNK_MAX, `${await usage.shared() - before[1]} bytes`);
			const phone = keep(await Client.open({ ip: elsewhere(), transport: 'tcp', user: 'carol', token: await stack.kamailio.token(`sip:carol@${DOMAIN}`, 's-carol'), to: at(stack, 'tcp') }));
			const other = await phone.call();
			assert.equal((await other.request('INFO')).status, 200);
			assert.equal((await other.request('BYE')).status, 200);
		});
	}

	test('with messages that are none', async () => {
		await forgotten();
		assert.equal((await scan(5 * MAX, { from: 'a\x1b' })).answers.length, MAX);
	});

	test('at the address of a client with a token do not concern it, wherever it is', async () => {
		await forgotten();
		const { ip } = await scan(5 * MAX, {});
		await scan(5 * MAX, { ip, transport: 'tcp' });
		const token = await stack.kamailio.token(SUB, 's-1');
		const one = await client(stack, { ip, transport: 'tcp', token });
		assert.equal((await one.register()).status, 200);
		const call = await one.call();
		assert.equal(call.final.status, 200);
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('who forge the address of a phone that is registered do not shut it out', async () => {
		await forgotten();
		const ip = elsewhere();
		const phone = keep(await Phone.open({ ip, password, to: at(stack) }));
		assert.equal((await phone.register()).status, 200);
		const before = log().length;
		const { answers } = await scan(5 * MAX, { ip });
		await until('all the answers: there are clients, and so as ever', () => answers.length === 5 * MAX);
		assert.equal((await phone.register()).status, 200);
		assert.equal((await phone.call()).final.status, 200);
		assert.equal(log().slice(before).split('\n').filter((l) => l.includes('ask too often')).length, 1);
	});

	test('who forge the address of a new phone do not shut it out over TCP', async () => {
		await forgotten();
		const { ip } = await scan(5 * MAX);
		const phone = keep(await Phone.open({ ip, password, transport: 'tcp', to: at(stack) }));
		assert.equal((await phone.register()).status, 200);
	});

	test('who forge many addresses take no more memory than some; nor do they use up what connections have', async () => {
		await forgotten();
		for (let i = 1; i <= ADDRESSES + MAX / 2; i++) await scan(1, { ip: `127.0.7.${i}` });
		const entries = (await stack.kamailio.kamcmd('htable.dump', 'strangers')).match(/name: .*/g);
		assert.equal(entries.length, ADDRESSES + 2, entries.join());
		assert.equal((await scan(2, { transport: 'tcp', ip: '127.0.7.99' })).answers.length, 2);
		assert.match(await stack.kamailio.kamcmd('htable.dump', 'strangers'), /name: 127\.0\.7\.99 by connections/);
	});

	test('a user who is everywhere takes no more memory than some; who was there before stays known, and others are strangers like all', async () => {
		await forgotten();
		const first = elsewhere();
		const registers = async (ip) => {
			const phone = keep(await Phone.open({ ip, password, to: at(stack) }));
			assert.equal((await phone.register()).status, 200);
		};
		await registers(first);
		for (let i = 1; i <= 2 * PLACES; i++) await registers(`127.0.9.${i}`);
		await registers(first);
		const known = (await stack.kamailio.kamcmd('htable.dump', 'familiar')).match(/name: .*/g);
		assert.deepEqual(known.sort(), [`name: ${first}`, ...[1, 2, 3].map((i) => `name: 127.0.9.${i}`)]);
		await stack.kamailio.kamcmd('htable.flush', 'strangers');
		const { answers } = await scan(3 * MAX, { ip: first });
		await until('all the answers, where a client is', () => answers.length === 3 * MAX);
		assert.equal((await scan(3 * MAX, { ip: `127.0.9.${2 * PLACES}` })).answers.length, MAX);
		await stack.kamailio.kamcmd('htable.flush', 'strangers');
		await registers(`127.0.9.${2 * PLACES}`);
	});

	test('a From with a domain of 2 KB gets an answer, and no ERROR line', async () => {
		await forgotten();
		const before = log().length;
		const { answers: [answer] } = await scan(1, { domain: 'a'.repeat(2000) });
		assert.equal(answer.status, 400);
		const { answers: [another] } = await scan(1, { domain: `${'a.'.repeat(127)}org` });
		assert.equal(another.status, 400);
		assert.doesNotMatch(log().slice(before), /ERROR|WARNING/);
	});

	test('a monitor asks by OPTIONS without a token, and may do nothing else', async () => {
		const before = log().length;
		for (const ip of ['127.0.6.1', '127.0.6.2']) {
			const monitor = await client(stack, { ip, user: 'sipsak' });
			for (const uri of [`sip:${DOMAIN}`, `sip:${stack.gateway}`, `sip:ping@${DOMAIN}`]) assert.equal((await monitor.outside('OPTIONS', uri)).status, 200);
		}
		assert.doesNotMatch(log().slice(before), /sipsak/);
		const monitor = await client(stack, { ip: '127.0.6.1' });
		assert.equal((await monitor.outside('MESSAGE', `sip:bob@${DOMAIN}`)).status, 407);
		assert.equal((await monitor.register()).status, 401);
		for (const ip of ['127.0.6.3', '127.0.6.11', '127.0.6.21']) assert.equal((await (await client(stack, { ip })).outside('OPTIONS', `sip:${DOMAIN}`)).status, 407);
	});
});

/** As short as they can be, and get an answer over UDP. Each has a Call-ID of its own, or is taken for a copy of the one before. */
const SHORTEST = [
	`OPTIONS sip:a SIP/2.0\r\nv:SIP/2.0/UDP h\r\nf:sip:a;tag=1\r\nt:sip:a\r\ni:a\r\nCSeq:1 OPTIONS\r\n\r\n`,
	`X sip:a SIP/2.0\r\nv:SIP/2.0/UDP h;rport\r\nf:sip:a;tag=1\r\nt:sip:a\r\ni:b\r\nCSeq:1 X\r\n\r\n`,
	`X sip:a SIP/2.0\r\nv:SIP/2.0/UDP h;rport\r\nf:sip:a;tag=1\r\nt:sip:a;tag=1\r\ni:c\r\nCSeq:1 X\r\n\r\n`,
	`X sip:a SIP/2.0\r\nv:SIP/2.0/UDP h;rport\r\nf:sip:a@${DOMAIN};tag=1\r\nt:sip:a\r\ni:d\r\nCSeq:1 X\r\n\r\n`,
	`REGISTER sip:a SIP/2.0\r\nv:SIP/2.0/UDP h;rport\r\nf:sip:a;tag=1\r\nt:sip:a\r\ni:e\r\nCSeq:1 REGISTER\r\n\r\n`,
	`REGISTER sip:a SIP/2.0\r\nv:SIP/2.0/UDP h;rport\r\nf:sip:a@${DOMAIN};tag=1\r\nt:sip:a\r\ni:f\r\nCSeq:1 REGISTER\r\n\r\n`,
	`INVITE sip:a SIP/2.0\r\nv:SIP/2.0/UDP h;rport\r\nf:sip:a@${DOMAIN};tag=1\r\nt:sip:a\r\ni:g\r\nCSeq:1 INVITE\r\n\r\n`,
];

for (const [what, most, digest] of [['a token', 2.7, false], ['a password', 4.2, true]]) {
	test(`an answer over UDP is at most ${most} times as long as its request, where ${what} is asked for`, async () => {
		const dir = runFolder('strangers-length');
		Portal.create(dir);
		const stack = await Stack.start('strangers-length-own', { defines: digest ? { WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${path.join(dir, 'portal.sqlite')}"` } : {} });
		try {
			for (const text of SHORTEST) {
				const stranger = keep(await Endpoint.open({ ip: '127.0.0.66', to: at(stack) }));
				stranger.send(text);
				const answer = await stranger.take('an answer', (m) => m.status);
				assert.ok(answer.text.length <= most * text.length, `${text.length} bytes, ${answer.text.length}: ${answer.text}`);
			}
		} finally {
			await stack.stop();
		}
	});
}

test('no answer and no request of ours tells the version', async () => {
	const stack = await Stack.start('strangers-version', { defines: { RESUME_PUSH: true, STRANGERS_MAX: 1000 } });
	const texts = [];
	const take = (p) => {
		const { handle } = p;
		p.handle = (m) => (texts.push(m.text), handle?.(m) ?? false);
		return keep(p);
	};
	try {
		const token = await stack.kamailio.token(SUB, 's-1');
		const far = take(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: at(stack) }));
		const alice = take(await FarEnd.open({ user: 'alice', token, to: at(stack) }));
		const nobody = take(await Client.open({ ip: '127.0.0.66', to: at(stack) }));
		await alice.register();
		const call = await far.call({ service: 'alice' });
		await alice.take('the NOTIFY of resume_push()', (m) => m.method === 'NOTIFY');
		await call.request('BYE');
		const own = await alice.call();
		await alice.call({ state: own.state });
		await alice.call({ state: 'abc' });
		await far.call({ service: 'nobody' });
		for (const method of ['OPTIONS', 'REGISTER', 'INVITE', 'SUBSCRIBE', 'BYE', 'FOO']) await nobody.outside(method, `sip:${DOMAIN}`);
		await nobody.outside('BYE', `sip:${DOMAIN}`, { to: `sip:x@${DOMAIN}>;tag=1;x=<y` }).catch(() => {});
		for (const header of ['Require: x', 'Max-Forwards: 0', 'Content-Length: x', `X: ${'\x1b'}`]) {
			await Promise.race([nobody.outside('INVITE', `sip:${'x'.repeat(1000)}@${DOMAIN}`), nobody.outside('OPTIONS', `sip:${DOMAIN}`, { headers: [header] })]);
		}
		// HTTP, on both kinds of port.
		const http = (port, text) => new Promise((resolve) => {
			let got = '';
			const s = net.connect(port, '127.0.0.1', () => s.write(text));
			s.on('data', (d) => {
				got += d;
				if (got.includes('\r\n\r\n')) s.destroy();
			});
			s.on('close', () => resolve(got));
			s.on('error', () => {});
		});
		const ws = 'Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n';
		for (const [port, text] of [
			[stack.kamailio.ws, 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n'], [stack.kamailio.ws, `GET /ws HTTP/1.1\r\n${ws}Origin: ftp://x\r\n\r\n`],
			[stack.kamailio.ws, `GET /ws HTTP/1.1\r\n${ws}\r\n`], [stack.kamailio.ws, `GET /ws HTTP/1.1\r\n${ws}Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`],
			[stack.kamailio.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
		]) {
			const got = await http(port, text);
			assert.match(got, /^HTTP\/1\.1 \d+ /);
			texts.push(got);
		}
		assert.ok(texts.length > 25);
		for (const text of texts) assert.doesNotMatch(text, /kamailio|^server:|^user-agent:|\b5\.\d+\.\d+\b(?!:)/im, text);
	} finally {
		await stack.stop();
	}
});

test('scanners leave no process silent while somebody debugs', async () => {
	const stack = await Stack.start('strangers-debug', { defines: { DEBUG_LEVEL: 3, CHILDREN: 1, STRANGERS_MAX: 2 } });
	try {
		const scan = async (ip) => {
			const scanner = await Endpoint.open({ ip, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
			try {
				for (let i = 0; i < 6; i++) {
					scanner.send(message(`REGISTER sip:${DOMAIN} SIP/2.0`, [`Via: SIP/2.0/UDP ${scanner.host};branch=z9hG4bK${random()}`, 'Max-Forwards: 70', `From: <sip:x@${DOMAIN}>;tag=1`,
						`To: <sip:x@${DOMAIN}>`, `Call-ID: ${random()}`, 'CSeq: 1 REGISTER']));
				}
				await until('two answers', () => scanner.inbox.length === 2);
				await sleep(200);
			} finally {
				scanner.close();
			}
		};
		await scan('127.0.5.1');
		const { length } = stack.kamailio.log();
		await scan('127.0.5.2');
		await until('a line about each', () => stack.kamailio.log().slice(length).match(/DEBUG: .*received on udp socket/g)?.length === 6);
	} finally {
		await stack.stop();
	}
});
