// SPDX-License-Identifier: GPL-2.0-or-later
// The log, on stderr and as syslog gets it, whatever strangers, clients and the far end
// send: each line is one of ours, and none holds a secret.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';

import { Client, Endpoint, FarEnd, message, random, sdp } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { Syslog } from '../lib/syslog.mjs';
import { until } from '../lib/wait.mjs';

const FORGED = 'ERROR: <core>: FORGED';
const utf8 = (text) => Buffer.from(text).toString('latin1'); // as our SIP client sends its bytes

/** What may end a line, move the cursor, or turn the text around. */
const ODD = {
	'a fold': `\r\n 9(1) ${FORGED}`, 'a fold with a tab': `\r\n\t${FORGED}`, CR: `\r${FORGED}`, LF: `\n 9(1) ${FORGED}`, ESC: `\x1b[2J${FORGED}`, BEL: '\x07',
	BS: '\b\b\b', VT: `\v${FORGED}`, FF: `\f${FORGED}`, DEL: '\x7f', NEL: utf8(`\x85${FORGED}`), CSI: utf8(`\x9b2J${FORGED}`),
	'a line separator': utf8(`\u2028${FORGED}`), 'a paragraph separator': utf8(`\u2029${FORGED}`), 'right to left': utf8(`\u202e${FORGED}`),
};

/** Where it may be: a message for each. What Kamailio reads itself, before any script, is not ours to write here. */
const FIELDS = {
	'the Call-ID': (x) => ({ callId: `a${x}b` }),
	'the method': (x) => ({ method: `IN${x}FO` }),
	"From's URI": (x) => ({ from: `<sip:al${x}ice@${DOMAIN}>;tag=1` }),
	"From's name": (x) => ({ from: `"Al${x}ice" <sip:alice@${DOMAIN}>;tag=1` }),
	"From's name, not closed": (x) => ({ from: `"Al${x}ice <sip:alice@${DOMAIN}>;tag=1` }),
	"From's tag": (x) => ({ from: `<sip:alice@${DOMAIN}>;tag=1${x}2` }),
	"To's URI": (x) => ({ to: `<sip:bo${x}b@${DOMAIN}>` }),
	"To's name": (x) => ({ to: `"B${x}ob" <sip:bob@${DOMAIN}>` }),
	'the Request-URI': (x) => ({ uri: `sip:bo${x}b@${DOMAIN}` }),
	Contact: (x) => ({ contact: `<sip:al${x}ice@127.0.0.66:5060>` }),
	'User-Agent': (x) => ({ more: [`User-Agent: my${x}phone`] }),
	'P-Asserted-Identity': (x) => ({ more: [`P-Asserted-Identity: <sip:ce${x}o@${DOMAIN}>`] }),
	Authorization: (x) => ({ more: [`Authorization: Bearer a${x}.b.c`] }),
	'Call-State': (x) => ({ more: [`Call-State: a${x}b`] }),
	'Call-State-Fingerprint': (x) => ({ more: [`Call-State-Fingerprint: sha-256 a${x}b`] }),
	Subject: (x) => ({ more: [`Subject: hel${x}lo`] }),
	Expires: (x) => ({ more: [`Expires: 3${x}600`] }),
	'between the parameters of Contact': (x) => ({ contact: `<sip:alice@10.0.0.1>;z='a,${x} <sip:x@y>` }),
	'in a Route': (x) => ({ method: 'BYE', to: `<sip:bob@${DOMAIN}>;tag=1`, more: [`Route: sip:a@b;x,${x} <sip:x@y>`] }),
	"between the parameters of From": (x) => ({ from: `<sip:alice@${DOMAIN}>;x="\\";${x};tag=1` }),
	'Content-Type': (x) => ({ more: [`Content-Type: x${x}`] }),
	'Record-Route': (x) => ({ more: [`Record-Route: <sip:a;lr>;x='${x}`] }),
};

const request = (party, { callId = random(), method = 'INVITE', from = `<sip:alice@${DOMAIN}>;tag=1`, to = `<sip:bob@${DOMAIN}>`, uri = `sip:bob@${DOMAIN}`, contact = `<sip:alice@${party.host}>`, more = [], branch = random(), token } = {}) => message(`${method} ${uri} SIP/2.0`, [
	`Via: SIP/2.0/UDP ${party.host};branch=z9hG4bK${branch}`, 'Max-Forwards: 70', `From: ${from}`, `To: ${to}`, `Call-ID: ${callId}`,
	`CSeq: 1 ${method}`, token ? `Authorization: Bearer ${token}` : '', `Contact: ${contact}`, ...more,
], method === 'INVITE' ? sdp('127.0.0.1', 4000) : '');

for (const [where, possible] of [['stderr', true], ['syslog', Syslog.possible]]) {
	describe(where, { skip: !possible && 'no mount namespace' }, () => {
		let stack, syslog, far, stranger, token;
		before(async () => {
			if (where === 'syslog') syslog = await Syslog.start(runFolder('strangers-logs-socket'));
			stack = await Stack.start(`strangers-logs-${where}`, { kamailio: { syslog }, defines: { FR_TIMER: 1000, STRANGERS_MAX: 1000000 } });
			token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 's-1');
			const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
			stranger = await Endpoint.open({ ip: '127.0.0.66', to });
			far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
		});
		after(async () => {
			stranger?.close();
			far?.close();
			await stack?.stop();
			await syslog?.stop();
		});

		/** The log so far: lines of stderr, datagrams of syslog, byte by byte. */
		const lines = () => (syslog ? syslog.messages() : fs.readFileSync(stack.kamailio.proc.log, 'latin1').split('\n').slice(0, -1));

		/** Kamailio has worked off all that came before, and its log has arrived. */
		let fences = 0;
		async function settled(enough) {
			for (let i = 0; i < enough; i++) {
				const name = `fence-${++fences}`;
				stranger.send(request(stranger, { method: 'MESSAGE', from: `<sip:${name}@${DOMAIN}>;tag=1` }));
				await until('the fence in the log', () => lines().some((l) => l.includes(name)));
			}
		}

		/** Run; then all that the log has got by it is lines of ours. Six fences are more than there are processes: each gets some. */
		async function assertOwn(run, fences = 6) {
			const at = lines().length;
			await run();
			await settled(fences);
			for (const line of lines().slice(at)) {
				const text = syslog ? line.replace(/\n$/, '') : line;
				assert.match(text, syslog ? /^<\d+>\w+ +\d+ [\d:]+ \S*kamailio\[\d+\]: [A-Z]+: / : /^ *\d+\(\d+\) [A-Z]+: /, JSON.stringify(line));
				assert.doesNotMatch(text, /[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2(?:\x80[\xa8-\xae]|\x81[\xa6-\xa9])/, JSON.stringify(line)); // eslint-disable-line no-control-regex
			}
		}

		for (const [field, make] of Object.entries(FIELDS)) {
			test(`${field}, of a stranger`, () => assertOwn(() => {
				for (const odd of Object.values(ODD)) stranger.send(request(stranger, make(odd)));
			}));
			test(`${field}, of a client with a token`, () => assertOwn(() => {
				for (const odd of Object.values(ODD)) stranger.send(request(stranger, { token, ...make(odd) }));
			}));
			test(`${field}, of the far end`, () => assertOwn(() => {
				for (const odd of Object.values(ODD)) far.send(request(far, make(odd)));
			}));
		}

		test('lines that several processes write at the same time', async () => {
			const many = Array.from({ length: 40 }, (_, i) => `${i}-${'x'.repeat(100)}`);
			for (let round = 0; round < 50; round++) {
				await assertOwn(() => {
					for (const name of many) stranger.send(request(stranger, { method: 'MESSAGE', callId: name, from: `<sip:${name}@${DOMAIN}>;tag=1` }));
				}, 1);
			}
		});

		test('what the far end says when it refuses a resume', async () => {
			const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
			const one = await Client.open({ token, to });
			const { state, final } = await one.call();
			assert.equal(final.status, 200);
			await assertOwn(async () => {
				for (const odd of Object.values(ODD)) {
					// A line end would be the end of the line.
					if (/[\r\n]/.test(odd)) continue;
					far.answer = (m) => m.method !== 'INVITE' || (far.reply(m, 488, `Not${odd}Here`, { headers: [`Warning: 399 x "${odd}"`, `Server: ${odd}`] }), false);
					assert.equal((await one.call({ state })).final.status, 488);
				}
			});
			far.answer = () => true;
			one.close();
		});
	});
}

describe('no token, state or map is in the log, at the level of a service', () => {
	let stack, far, alice, stranger, first, call, token, secrets;
	before(async () => {
		stack = await Stack.start('strangers-logs-secrets', { defines: { FR_TIMER: 1000, STRANGERS_MAX: 1000000 } });
		const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
		token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 's-1');
		far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
		stranger = await Endpoint.open({ ip: '127.0.0.66', to });
		const one = await FarEnd.open({ user: 'alice', token, to });
		first = await one.call();
		one.close();
		alice = await FarEnd.open({ user: 'alice', token, to });
		call = await alice.call({ state: first.state });
		assert.equal(call.final.status, 200);
		const map = /crm1\.([a-z2-7]+)/.exec(call.remote)[1];
		secrets = [...token.split('.').slice(1), ...first.state.split('.').slice(3), ...call.state.split('.').slice(3), map].map((s) => s.slice(0, 24));
	});
	after(async () => {
		for (const p of [far, alice, stranger]) p?.close();
		await stack?.stop();
	});

	/** Messages with everything in them that should not be told, of a client. */
	const texts = () => {
		const mine = `SIP/2.0/UDP ${alice.host};branch=z9hG4bK${random()}`;
		return [
			call.text('INFO'), call.text('INVITE', { body: sdp('127.0.0.1', 4000) }),
			call.text('REFER', { headers: [`Authorization: Bearer ${token}`, `Refer-To: <sip:c@${DOMAIN}?Replaces=${encodeURIComponent(`${call.callId};to-tag=${/tag=(.*)/.exec(call.remote)[1]};from-tag=1`)}>`] }),
			request(alice, { token, more: [`Call-State: ${first.state}`] }),
			request(alice, { token, method: 'REGISTER', to: `<sip:alice@${DOMAIN}>` }),
			message('SIP/2.0 200 OK', [`Via: SIP/2.0/UDP ${stack.gateway};branch=z9hG4bK1`, `Via: ${mine};crm1=${secrets.at(-1)}`, `From: ${call.local}`, `To: ${call.remote}`,
				`Call-ID: ${call.callId}`, 'CSeq: 2 INVITE', `Call-State: ${first.state}`], sdp(TRUNK_IP, 4100)),
		];
	};
	const eachLine = (change) => (text) => {
		const [head, body] = text.split(/(?<=^[^]*?)\r\n\r\n/);
		const lines = head.split('\r\n');
		return lines.map((_, i) => [...lines.slice(0, i), change(lines[i]), ...lines.slice(i + 1)].join('\r\n') + `\r\n\r\n${body ?? ''}`);
	};
	const DAMAGE = {
		'no colon': eachLine((l) => l.replace(':', '')), 'another sign for the colon': eachLine((l) => l.replace(':', '#')),
		'a blank in the name': eachLine((l) => l.replace(/^(..)/, '$1 ')), 'a letter that is none in the name': eachLine((l) => l.replace(/^(..)/, '$1\xff')),
		'nothing but a value': eachLine((l) => l.replace(/^[^:]*:/, '')), 'a bare CR at the end': eachLine((l) => `${l}\rx`), 'a bare LF at the end': eachLine((l) => `${l}\nx`),
		'a NUL': eachLine((l) => l.replace(/^(.{12})/, '$1\0')), 'no line end': (text) => [text.slice(0, text.indexOf('\r\n\r\n'))],
		'cut off': (text) => Array.from({ length: 40 }, (_, i) => text.slice(0, Math.ceil(text.length * i / 40))),
		'two in one': eachLine((l) => `${l.slice(0, -4)}${l}`), twice: eachLine((l) => `${l}\r\n${l}`), 'no quote at the end': eachLine((l) => l.replace(': ', ': "')),
		'no bracket at the end': eachLine((l) => l.replace('>', '')), 'odd parameters': eachLine((l) => l.replace(';', ';;=')), 'a port that is none': eachLine((l) => l.replace(/(127[\d.]+):/g, '$1:x')),
		'a byte that is none in an address': eachLine((l) => l.replace(/127\./, '127\xff.')),
		'a first line that is none': (text) => [`x${text}`, ` ${text}`, `\0${text}`, text.replace(' SIP/2.0', ' SIP/3.0'), text.replace('SIP/2.0 200', 'SIP/2.0 2000')],
	};
	for (const [what, damage] of Object.entries(DAMAGE)) {
		test(what, async () => {
			const at = stack.kamailio.log().length;
			for (const text of texts()) {
				for (const bad of damage(text)) {
					alice.send(bad);
					stranger.send(bad);
					await new Promise((resolve) => { setImmediate(resolve); });
				}
			}
			for (let i = 0; i < 6; i++) {
				const name = `fence-${what.replaceAll(' ', '-')}-${i}`;
				stranger.send(request(stranger, { method: 'MESSAGE', from: `<sip:${name}@${DOMAIN}>;tag=1` }));
				await until('the fence in the log', () => stack.kamailio.log().slice(at).includes(name));
			}
			const told = stack.kamailio.log().slice(at).split('\n').filter((l) => secrets.some((s) => l.includes(s)));
			assert.deepEqual(told.slice(0, 3).map((l) => l.slice(0, 200)), [], `${told.length} lines`);
		});
	}
});

/** What a listener reads before there is a message, or that is none. */
const NO_MESSAGES = {
	'a length beyond all numbers': 'OPTIONS sip:x SIP/2.0\r\nContent-Length: 4294967295\r\nX: y\r\n 9(1) ERROR: <core>: FORGED\r\n\r\n',
	'no length': `OPTIONS sip:x SIP/2.0\r\nX: y\r\n 9(1) ${FORGED}\r\n\r\n`,
	'a length that is no number': `OPTIONS sip:x SIP/2.0\r\nContent-Length: x\r\n 9(1) ${FORGED}\r\n\r\n`,
	'more than a message may have': `\r\n 9(1) ${FORGED}\r\n`.repeat(4000),
	'HTTP with such a length': `POST / HTTP/1.1\r\nContent-Length: 3147483648\r\nX: y\r\n 9(1) ${FORGED}\r\n\r\n`,
	'HTTP with fields of SIP': `GET / HTTP/1.1\r\nRetry-After: x\n 9(1) ${FORGED}\nVia: y\r\nCSeq: z\r\n 9(1) ${FORGED}\r\n\r\n`,
	'another version of the WebSocket': `GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 8\r\n 9(1) ${FORGED}\r\n\r\n`,
	'HTTP with a chunk that is none': `POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n 9(1) ${FORGED}\r\n`,
};

test('what Kamailio reads before there is a message is not in the log, and what it says of messages is', async () => {
	const stack = await Stack.start('strangers-logs-connections', { defines: { STRANGERS_MAX: 1000000 } });
	try {
		const closed = (port, text) => new Promise((resolve) => {
			const s = net.connect(port, stack.kamailio.ip, () => s.write(text));
			s.setTimeout(300, () => s.destroy()).on('data', () => {}).on('error', () => {}).on('close', resolve);
		});
		const phone = await Endpoint.open({ ip: '127.0.0.66', transport: 'tcp', to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
		const at = stack.kamailio.log().length;
		const fence = async (name) => {
			phone.send(request(phone, { method: 'MESSAGE', from: `<sip:${name}@${DOMAIN}>;tag=1` }).replace('UDP', 'TCP'));
			await until('the fence in the log', () => stack.kamailio.log().includes(name));
		};
		for (let round = 0; round < 2; round++) { // as processes are after their start, and after messages
			for (const text of Object.values(NO_MESSAGES)) {
				for (const port of [stack.kamailio.port, stack.kamailio.ws]) await closed(port, text);
			}
			await fence(`fence-${round}`);
			// What is answered, and at last what is not, or is no HTTP for Kamailio's module.
			for (const start of ['GET / HTTP/1.1', 'ACK / HTTP/1.1', 'GET / SIP/3.0']) {
				for (let i = 0; i < 8; i++) await closed(stack.kamailio.ws, `${start}\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
			}
		}
		phone.close();
		// Of HTTP that reads well there is a line of ours, and Kamailio 6.1 says of its start what the
		// process of TCP comes to after others are ready.
		const expected = [/NOTICE: .*fence-\d/, /NOTICE: [^"]*: http: 127\.0\.0\.1: \d{3} [A-Z][A-Za-z ]+$/, /tcp_main_loop\(\): tcp main processing threads /, /rtpp_test\(\): rtpengine instance <[^>]*> found/];
		const said = stack.kamailio.log().slice(at).split('\n').filter((l) => l && !expected.some((e) => e.test(l)));
		assert.deepEqual(said, []);
	} finally {
		await stack.stop();
	}
});
