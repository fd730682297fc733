// SPDX-License-Identifier: GPL-2.0-or-later
// Where a message ends, and what is none: bytes behind a body, HTTP where SIP is spoken.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { DATAGRAM_MAX } from '../lib/kamailio.mjs';
import { Client, Endpoint, FarEnd, message, random } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const STRANGER_IP = '127.0.0.66';
let stack;
let open = [];
const keep = (x) => (open.push(x), x);
const at = (transport = 'udp') => ({ ip: stack.kamailio.ip, port: transport === 'ws' ? stack.kamailio.ws : stack.kamailio.port });
const token = (user) => stack.kamailio.token(`sip:${user}@${DOMAIN}`, `s-${user}`);
const stat = async (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(await stack.kamailio.kamcmd('call_resume.stats'))[1]);

before(async () => {
	stack = await Stack.start('strangers-framing', { web: true, defines: { STRANGERS_MAX: 1000000, RESUME_ALLOW_INSECURE: 1 } });
});
afterEach(async () => {
	open.splice(0).forEach((x) => x.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

/** A message of somebody who does not exist. */
const inner = (what) => message(`INVITE sip:${what}@${TRUNK_IP} SIP/2.0`, [
	`Via: SIP/2.0/TCP ${stack.gateway};branch=z9hG4bK${random()}`, 'Max-Forwards: 70', 'From: <sip:ceo@company.example>;tag=1',
	`To: <sip:${what}@${TRUNK_IP}>`, `Call-ID: inner-${random()}`, 'CSeq: 1 INVITE', 'Contact: <sip:ceo@127.0.0.1>',
	'P-Asserted-Identity: <sip:ceo@company.example>', `Call-State-Id: ${'0'.repeat(32)}`]);

/** A refusal with that behind it; its second Via names another transport, its length is as told. */
const refusal = (m, { proto, length, behind }) => ['SIP/2.0 486 Busy',
	...m.all('via').map((v, i) => `Via: ${i === 1 ? v.replace(/SIP\/2.0\/\w+/, `SIP/2.0/${proto}`) : v}`),
	`From: ${m.get('from')}`, `To: ${m.get('to')};tag=9`, `Call-ID: ${m.callId}`, `CSeq: ${m.get('cseq')}`, ...(length === undefined ? [] : [`Content-Length: ${length}`]), '', behind].join('\r\n');

describe('bytes behind a body are none of the message', () => {
	for (const proto of ['TCP', 'UDP']) {
		for (const length of [0, undefined]) {
			const name = `Via 2 says ${proto}, ${length === undefined ? 'no length' : 'length 0'}`;
			test(`in a refusal of a client, to the trunk over TCP; ${name}`, async () => {
				const alice = keep(await FarEnd.open({ user: 'alice', transport: 'ws', to: at('ws'), token: await token('alice'), answer: (m) => {
					if (m.method === 'INVITE') m.answer(refusal(m, { proto, length, behind: inner('+1900555') }));
					return m.method !== 'INVITE';
				} }));
				assert.equal((await alice.register()).status, 200);
				const trunk = keep(await Client.open({ ip: TRUNK_IP, transport: 'tcp', user: 'trunk', to: at() }));
				assert.equal((await trunk.outside('INVITE', `sip:alice@${DOMAIN}`)).status, 486);
				assert.deepEqual(trunk.inbox.filter((m) => !m.status).map((m) => m.start), []);
				assert.ok((await trunk.outside('OPTIONS', `sip:${DOMAIN}`)).status, 'the connection is in step');
			});
			test(`in a refusal of the far end, to a phone over TCP; ${name}`, async () => {
				const far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: at(), answer: (m) => {
					if (m.method === 'INVITE') far.send(refusal(m, { proto, length, behind: inner('alice') }));
					return false;
				} }));
				const phone = keep(await Client.open({ user: 'bob', transport: 'tcp', to: at(), token: await token('bob') }));
				assert.equal((await phone.outside('INVITE', `sip:100@${DOMAIN}`)).status, 486);
				assert.ok((await phone.outside('OPTIONS', `sip:${DOMAIN}`)).status, 'the connection is in step');
				assert.deepEqual(phone.inbox.filter((m) => !m.status).map((m) => m.start), []);
			});
		}
	}
});

describe('HTTP where SIP is spoken is nobody\'s message', () => {
	const HTTP = {
		'a request': 'GET /ws HTTP/1.1\r\nHost: an.example.org\r\n\r\n',
		'a sign-in in somebody\'s name': 'POST /session HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n'
			+ 'Content-Type: application/json\r\nContent-Length: 37\r\n\r\n{"user":"alice","password":"guessed"}',
		'a request that names SIP too': 'POST /session HTTP/1.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.66;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n',
		'a reply': 'HTTP/1.1 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.66;branch=z9hG4bK1\r\nCSeq: x\n 9(1) ERROR: <core>: FORGED\r\n\r\n',
		'one with fields of SIP': 'GET / HTTP/1.1\r\nCSeq: x\n 9(1) ERROR: <core>: FORGED \x1b[2J\r\n\r\n',
	};
	for (const [what, text] of Object.entries(HTTP)) {
		for (const transport of ['udp', 'ws']) {
			test(`${what}, over ${transport}: no answer, no line, counted`, async () => {
				const before = await stat('heads_malformed');
				const { length } = stack.kamailio.log();
				const stranger = keep(await Endpoint.open({ ip: STRANGER_IP, transport, to: at(transport) }));
				for (let i = 0; i < 20; i++) stranger.send(text);
				await until('them to be counted', async () => await stat('heads_malformed') === before + 20);
				assert.deepEqual(stranger.inbox, []);
				assert.deepEqual(stack.kamailio.logged(/./, length), []);
			});
		}
	}

	test('in a WebSocket through nginx, too', async () => {
		const before = await stat('heads_malformed');
		const { url } = stack.web;
		const stranger = keep(await Endpoint.open({ transport: 'wss', to: { ip: stack.web.ip, port: stack.web.port, host: new URL(url).host, path: '/ws', origin: url } }));
		for (let i = 0; i < 20; i++) stranger.send(HTTP["a sign-in in somebody's name"].replace('192.0.2.1', `192.0.2.${i}`));
		await until('them to be counted', async () => await stat('heads_malformed') === before + 20);
		assert.deepEqual(stranger.inbox, []);
		assert.doesNotMatch(await stack.kamailio.kamcmd('htable.dump', 'signins'), /192\.0\.2/);
	});
});

describe('a message of more fields than any has', () => {
	const MOST = 256;
	const ask = (s, n) => {
		const fields = [`Via: SIP/2.0/${s.transport.toUpperCase()} ${s.host};branch=z9hG4bK${random()};rport`, `From: <sip:e@${DOMAIN}>;tag=1`, `To: <sip:e@${DOMAIN}>`,
			`Call-ID: ${random()}`, 'CSeq: 1 OPTIONS', 'Max-Forwards: 70', 'Content-Length: 0'];
		s.send([`OPTIONS sip:${DOMAIN} SIP/2.0`, ...fields.slice(0, -1), ...Array.from({ length: n - fields.length }, () => 'Identity:'), fields.at(-1), '', ''].join('\r\n'));
	};
	for (const transport of ['udp', 'tcp', 'ws']) {
		test(`over ${transport}: nobody's; one with as many as that is answered`, async () => {
			const before = await stat('heads_malformed');
			const { length } = stack.kamailio.log();
			const s = keep(await Endpoint.open({ ip: STRANGER_IP, transport, to: at(transport) }));
			ask(s, MOST + 1);
			await until('it to be counted', async () => await stat('heads_malformed') === before + 1);
			assert.equal(s.inbox.length, 0);
			assert.deepEqual(stack.kamailio.logged(/./, length), []);
			const again = keep(await Endpoint.open({ ip: STRANGER_IP, transport, to: at(transport) }));
			ask(again, MOST);
			await again.take('an answer', (m) => m.status >= 400);
		});
	}

	for (const [what, end] of [['with CR LF', '\r\n'], ['with LF alone', '\n']]) {
		test(`over HTTP, lines that end ${what}: the same`, async () => {
			const before = await stat('heads_malformed');
			const s = keep(await Endpoint.open({ ip: STRANGER_IP, transport: 'tcp', to: at('ws') }));
			let got = '';
			s.socket.on('data', (d) => { got += d; });
			const get = (n) => s.socket.write(`GET /none HTTP/1.1${end}${`A: b${end}`.repeat(n)}${end}`);
			get(MOST);
			await until('an answer', () => /^HTTP\/1.1 404 /.test(got));
			got = '';
			get(MOST + 1);
			await until('it to be counted', async () => await stat('heads_malformed') === before + 1);
			assert.equal(got, '');
		});
	}
});

const PARTS_MAX = 2048; // semicolons and commas in a head

describe('a message of more parameters than any has', () => {
	const ask = (s, { to = '', via = '', route = '' }) => s.send([`OPTIONS sip:${DOMAIN} SIP/2.0`, `Via: SIP/2.0/${s.transport.toUpperCase()} ${s.host};branch=z9hG4bK${random()};rport${via}`,
		`Route: <sip:x.invalid;lr>${route}`, `From: <sip:e@${DOMAIN}>;tag=1`, `To: <sip:e@${DOMAIN}>${to}`, `Call-ID: ${random()}`, 'CSeq: 1 OPTIONS', 'Max-Forwards: 70', 'Content-Length: 0', '', ''].join('\r\n'));
	const of = (n) => ';a'.repeat(n);
	for (const [where, transport] of [['to', 'udp'], ['via', 'udp'], ['route', 'udp'], ['to', 'tcp'], ['via', 'ws']]) {
		test(`in ${where}, over ${transport}: nobody's; one with less is answered`, async () => {
			const before = await stat('heads_malformed');
			const { length } = stack.kamailio.log();
			const s = keep(await Endpoint.open({ ip: STRANGER_IP, transport, to: at(transport) }));
			ask(s, { [where]: of(PARTS_MAX + 1) });
			await until('it to be counted', async () => await stat('heads_malformed') === before + 1);
			assert.equal(s.inbox.length, 0);
			assert.deepEqual(stack.kamailio.logged(/./, length), []);
			const again = keep(await Endpoint.open({ ip: STRANGER_IP, transport, to: at(transport) }));
			ask(again, { [where]: of(PARTS_MAX - 10) });
			await again.take('an answer', (m) => m.status >= 400);
		});
	}
	test('over HTTP: the same', async () => {
		const before = await stat('heads_malformed');
		const s = keep(await Endpoint.open({ ip: STRANGER_IP, transport: 'tcp', to: at('ws') }));
		let got = '';
		s.socket.on('data', (d) => { got += d; });
		const get = (n) => s.socket.write(`GET /none HTTP/1.1\r\nVia: SIP/2.0/TCP x${of(n)}\r\n\r\n`);
		get(PARTS_MAX);
		await until('an answer', () => /^HTTP\/1.1 404 /.test(got));
		got = '';
		get(PARTS_MAX + 1);
		await until('it to be counted', async () => await stat('heads_malformed') === before + 1);
		assert.equal(got, '');
	});
});

describe('a message as long as there are is looked at in a moment', () => {
	const MOMENT_MS = 1000; // what takes the square of the longest length takes five times as long
	const LENGTH = DATAGRAM_MAX - 5000;
	const of = (unit) => unit.repeat(Math.floor(LENGTH / unit.length));
	/** As many parts as there may be. */
	const parts = (unit, filler = 'a') => of(unit.padEnd(Math.ceil(LENGTH / (PARTS_MAX - 50)), filler));
	const sdp = (body) => ({ body: `v=0\r\n${body}` });
	for (const [what, { fields = [], body = '', uri = `sip:bob@${DOMAIN}`, to = uri }] of Object.entries({
		'formats of a stream': sdp(`m=audio 9 RTP/AVP${of(' 1')}\r\n`),
		'blanks in a stream': sdp(`m=audio 9 RTP/AVP${of(' ')}1\r\n`),
		'streams': sdp(of('m=audio 9 RTP/AVP 1\r\n')),
		'candidates': sdp(`m=audio 9 RTP/SAVPF 8\r\na=ice-ufrag:a\r\n${of('a=candidate:1 1 UDP 1 127.0.0.1 5 typ host\r\n')}`),
		'formats by name': sdp(`m=audio 9 RTP/SAVPF 96\r\n${of('a=rtpmap:96 x/8000\r\n')}`),
		'parts': { fields: ['Content-Type: multipart/mixed;boundary=a'], body: of('--a\r\nContent-Type: application/sdp\r\n\r\nm=audio 9 RTP/AVP 8\r\n') },
		'parameters of a type': { fields: [`Content-Type: multipart/mixed${parts(';boundary=')}`], body: 'x' },
		'Vias': { fields: [`Via: ${parts(',SIP/2.0/UDP x').slice(1)},SIP/2.0/UDP x`] },
		'Contacts': { fields: [`Contact: <sip:a@b>${parts(',<sip:a@b>', ' ')}`] },
		'names in quotation marks': { fields: [`Contact: ${of('"a" ')}<sip:a@b>`] },
		'maps in a Contact': { fields: [`Contact: <sip:a@b${of(`;crm1=${'a'.repeat(60)}`)}>`] },
		'parameters of To': { to: `sip:bob@${DOMAIN}>${parts(';a=b')};a=<` },
		'a token': { fields: [`Authorization: Bearer ${of('a.')}`] },
		'credentials': { fields: [`Authorization: Digest username="x"${parts(', x=""', ' ')}`] },
		'a state': { fields: [`Call-State: ${parts(';a=b')}`] },
		'a Request-URI': { uri: `sip:a@b${parts(';a=b')}`, to: `sip:bob@${DOMAIN}` },
	})) {
		test(what, async () => {
			const one = keep(await Client.open({ ip: STRANGER_IP, user: 'x', to: at() }));
			const begun = performance.now();
			const answer = await one.outside('INVITE', uri, { to, headers: fields, body });
			const took = performance.now() - begun;
			assert.ok(answer.status >= 400, answer.start);
			assert.ok(took < MOMENT_MS, `${took} ms`);
		});
	}
});
