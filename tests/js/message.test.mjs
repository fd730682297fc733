// SPDX-License-Identifier: GPL-2.0-or-later
//
// The reader of the browser helper beside the gateway's: random messages, with every line
// separator that JavaScript knows in them. The C code runs as build/unit/tool_fields:
// make -C tests/unit first.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { addressOf, mediaOf, partsOf, readMessage, refusal } from '../../web/call-resume/message.js';
import { random } from './random.mjs';

const tool = fileURLToPath(new URL('../../build/unit/tool_fields', import.meta.url));
const MESSAGES = Number(process.env.MESSAGES ?? 20_000);

/** What the C code sees in each of the messages. */
function seenByC(messages) {
	assert.ok(existsSync(tool), 'build it first: make -C tests/unit');
	const { status, stdout, stderr } = spawnSync(tool, {
		input: messages.map((text) => `${Buffer.from(text).toString('hex')}\n`).join(''), encoding: 'utf8', maxBuffer: 1 << 28,
	});
	assert.equal(status, 0, stderr);
	return stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
}

const text = (hex) => Buffer.from(hex, 'hex').toString();
const unfolded = (value) => value.replace(/\r\n[ \t]+/g, ' ');

/** The same as seenByC(), of the fields that C knows. */
const KNOWN = ['via', 'from', 'to', 'call-id', 'cseq', 'contact', 'route', 'record-route', 'rack', 'event', 'replaces', 'join', 'refer-to', 'target-dialog',
	'authorization', 'call-state', 'call-state-fingerprint'];

// LF and CR alone, NUL, vertical tab, form feed, next line, line and paragraph separator, and ends of line in odd places.
const SEPARATORS = ['\r', '\n', '\r\n', '\r\n ', '\r\n\t', '\n ', '\r ', '\0', '\v', '\f', '\x85', '\u2028', '\u2029', '\n\r', '\r\r\n', '\r\n\r\n', ' ', '\t', '\u00a0', '\ufeff'];
const OURS = ['Call-State', 'Call-State-Id', 'Call-State-Key', 'Call-State-Fingerprint'];
// With letters that become others in lower or upper case.
const NAMES = [...OURS, 'CALL-STATE-KEY', 'Call-State-\u212aey', 'Call-\u017ftate', 'call-\u0130d', 'Subject', 'Server', 'Contact', 'm', 'Via', 'V', 'Route', 'Event', 'o', 'X', '__proto__', 'constructor', ''];
const WORDS = ['x', 'eyJ', ':', ';', '"', '<', '>', ',', '\\', '=', ';tag=1', 'sip:bob@example.org', '<sip:mallory@example.org>', '"<sip:ceo@x>"', 'Call-State-Id: 0', 'kid=k1;key=AAAA', '\u00e4', '\u{1f511}'];

/** A message that is right but for what chance puts into it. */
function message(seed) {
	const { below, one, chance } = random(seed);
	const spoilt = (value, p = 0.05) => [...value].map((c) => (chance(p) ? c + one(SEPARATORS) : c)).join('');
	const value = () => Array.from({ length: 1 + below(5) }, () => one(WORDS) + (chance(0.25) ? one(SEPARATORS) : '')).join('');
	const name = () => one(['', '', '', ' ', '\t', '\r\n ']) + one(NAMES) + one(['', '', '', ' ', '\t', '\r\n ', '\u2028']);
	const address = () => one(['"bob" ', '"\\"<" ', 'bob ', '', '";tag=9" ', '"', value()]) + one(['<sip:bob@example.org>', 'sip:bob@example.org', '<sip:b@x;y=";">'])
		+ one(['', ';tag=1', ';TAG=t', ';x=";tag=5";tag=2', '; tag=3', ';tag', ';tag="q"']);
	const rest = [
		'Via: SIP/2.0/WSS a.invalid;branch=z9hG4bK1', `${one(['From', 'f'])}: ${address()}`, `To${one(['', ' '])}: ${address()}`, `${one(['Call-ID', 'i'])}: c1`,
		`CSeq: ${one(['1', '2147483647', '2147483648', '12345678901', '1x', '\u0661'])}${one([' ', '\t', '\r\n ', '\u00a0', ''])}${one(['INVITE', 'REGISTER'])}`,
	].map((field) => (chance(0.05) ? spoilt(field, 0.02) : field)).filter(() => !chance(0.01));
	for (let i = below(5); i > 0; i--) rest.splice(below(rest.length + 1), 0, `${name()}:${one(['', ' '])}${value()}`);
	if (chance(0.02)) rest.push(one(rest));
	const start = one(['INVITE sip:alice@example.org SIP/2.0', 'SIP/2.0 200 OK', 'sip/2.0 183 x', 'SIP/2.0 099 x', 'SIP/2.0  200', 'A B C', 'M u sip/2.0 ', 'M  u SIP/2.0']
		.slice(0, chance(0.9) ? 2 : 8));
	const body = ['v=0', 's=x', ...Array.from({ length: below(8) }, () => one(['m=audio 9 RTP', 'm=video 0 RTP', 'm=video 9 RTP', 'm=audio', 'a=sendonly', 'a=recvonly ', 'a=inactive', 'a=sendrecv', 'b=x'])
		+ (chance(0.1) ? one(SEPARATORS) + one(['m=video 9 RTP', 'a=inactive', '']) : ''))].join(chance(0.9) ? '\r\n' : '\n');
	return `${chance(0.02) ? one(SEPARATORS) : ''}${chance(0.05) ? spoilt(start) : start}\r\n${rest.join('\r\n')}\r\n\r\n${body}`;
}

test('random messages: the page sees the fields that the gateway sees, or nothing', () => {
	const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
	const messages = Array.from({ length: MESSAGES }, (_, i) => message(seed + i));
	const theirs = seenByC(messages);
	const count = { same: 0, refused: 0, ignored: 0 };
	messages.forEach((given, i) => {
		const what = `SEED=${seed + i} MESSAGES=1: ${JSON.stringify(given)}`;
		const mine = readMessage(given);
		const head = given.replace(/^[ \t\r\n]+/, '').split('\r\n\r\n', 1)[0];
		if (/[\r\n\0]/.test(head.replaceAll('\r\n', ''))) {
			count.ignored++;
			return assert.equal(mine, undefined, what);
		}
		if (!theirs[i]) {
			count.refused++;
			return assert.equal(mine, undefined, what);
		}
		count.same++;
		assert.ok(mine, what);
		const { status, method, fields, from, to, media } = theirs[i];
		assert.equal(mine.status ?? 0, status, what);
		assert.equal(mine.method, unfolded(text(method)), what);
		for (const name of KNOWN) {
			assert.deepEqual(mine.all(name), fields.filter((f) => f[0] === name).map((f) => unfolded(text(f[1]))), `${name}, ${what}`);
		}
		// What the page takes for an address is one, and that one.
		for (const [name, seen] of [['from', from], ['to', to]]) {
			const { uri, tag } = addressOf(mine.one(name));
			if (!uri) continue;
			assert.equal(uri, unfolded(text(seen[0])), what);
			// A tag is a token (RFC 3261 section 25.1): another one is none here.
			if (tag || /^[\w.!%*+`'~-]*$/.test(text(seen[1]))) assert.equal(tag ?? '', text(seen[1]), what);
		}
		const seen = mediaOf(mine.body)?.map(({ kind, direction, rejected }) => [kind, rejected ? 'inactive' : direction]) ?? [];
		assert.deepEqual(seen, media.map(([kind, direction]) => [text(kind), direction]), what);
		return undefined;
	});
	// Not a test of nothing.
	for (const [what, n] of Object.entries(count)) assert.ok(n > MESSAGES / 50 || MESSAGES < 1000, `${n} of ${MESSAGES} ${what}`);
});

const HEAD = 'INVITE sip:alice@example.org SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid\r\nFrom: <sip:bob@example.org>;tag=1\r\nTo: <sip:alice@example.org>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n';

for (const [name, separator] of [['a bare CR', '\r'], ['a bare LF', '\n'], ['a NUL', '\0']]) {
	test(`${name} in the head: the message is none`, () => {
		for (const field of [`Subject: x${separator}Call-State-Id: 1`, `Subject${separator}: x`, `Subject: x${separator}`]) {
			assert.equal(readMessage(`${HEAD}${field}\r\n\r\n`), undefined, JSON.stringify(field));
		}
		assert.ok(readMessage(`${HEAD}\r\nx${separator}y`), 'the body is the body\'s business');
	});
}

for (const [name, separator] of [['U+2028', '\u2028'], ['U+2029', '\u2029'], ['U+0085', '\x85'], ['a vertical tab', '\v'], ['a form feed', '\f']]) {
	test(`${name} begins no line`, () => {
		const m = readMessage(`${HEAD}Subject: x${separator}Call-State-Id: 1\r\n\r\n`);
		assert.deepEqual([m.all('call-state-id'), m.one('subject')], [[], `x${separator}Call-State-Id: 1`]);
	});
}

test('a folded line is one field, and a name is of ASCII', () => {
	const m = readMessage(`${HEAD}Subject: x\r\n Call-State-Id: 1\r\n\tCall-State: y\r\nCall-State-\u212aey: z\r\ncall-state\r\n : a\r\n\r\n`);
	assert.equal(m.one('subject'), 'x Call-State-Id: 1 Call-State: y');
	assert.deepEqual(['call-state-id', 'call-state-key', 'call-state'].map((name) => m.all(name)), [[], [], ['a']]);
});

test('a caller is named by the URI, not by the display name', () => {
	for (const [value, uri, tag] of [
		['"<sip:bob@x>;tag=1" <sip:mallory@x>;tag=2', 'sip:mallory@x', '2'], ['"a\\"<sip:bob@x>" <sip:m@x>', 'sip:m@x', undefined],
		['sip:m@x;tag=3', 'sip:m@x', '3'], ['<sip:m@x;tag=9>', 'sip:m@x;tag=9', undefined], ['"open <sip:bob@x>', undefined, undefined],
		// SEMI and EQUAL (RFC 3261 section 25.1).
		['<sip:m@x> ; tag = 4', 'sip:m@x', '4'], ['sip:m@x ;\ttag =5', 'sip:m@x', '5'], ['<sip:m@x>;x="; tag=6"; tag=7 ; y', 'sip:m@x', '7'],
		['<sip:m@x>;tag\v=1;tag=8', 'sip:m@x', '8'], ['<sip:m@x>;tagged=1;tag=9', 'sip:m@x', '9'],
	]) assert.deepEqual(addressOf(value), { uri, tag }, value);
});

test('user and host of a URI', () => {
	for (const [uri, user, host] of [
		['sip:alice@example.org;transport=ws', 'alice', 'example.org'], ['sips:a@b@example.org:5061', 'a@b', 'example.org'], ['sip:example.org', undefined, undefined], ['', undefined, undefined],
	]) assert.deepEqual(partsOf(uri), { user, host }, uri);
});

/** How long it takes at best, in milliseconds. */
function time(read, given) {
	let best = Infinity;
	for (let i = 0; i < 5; i++) {
		const from = performance.now();
		read(given);
		best = Math.min(best, performance.now() - from);
	}
	return best;
}

test('in a refusal a field is one of ours when its name is', () => {
	const data = (...fields) => ({ data: `${HEAD.replace(/^[^\r]*/, 'SIP/2.0 503 x')}${fields.join('\r\n')}\r\n\r\n` });
	const none = { retryAfter: undefined, state: undefined };
	assert.deepEqual(refusal(data('Call-State: a', 'retry-after : 5')), { retryAfter: '5', state: 'a' });
	assert.deepEqual(refusal(data('Call_State: a', 'CALL_STATE: b', 'Retry_After: 5', 'Subject: x\r\n Call-State: c')), none);
	assert.deepEqual(refusal(data('Call_State: a', 'Call-State: b')), { ...none, state: 'b' });
	assert.deepEqual(refusal(data('Call-State: a', 'Call-State: b')), none);
	assert.deepEqual([{}, { data: '' }].map(refusal), [none, none]);
});

// What the network sends is read in the page's only thread: in a time that grows as its length does, and not as its square.
const field = (value) => readMessage(`${HEAD}${value}\r\n\r\n`);
const start = (line) => readMessage(HEAD.replace(/^[^\r]*/, line));
const readers = [
	['a field of blanks', field, (n) => `Subject: a${' '.repeat(n)}b`], ['blanks around a name', field, (n) => `a${'\t'.repeat(n)}b: x`],
	['blanks around a value', field, (n) => `X:${' '.repeat(n)}x${'\t '.repeat(n / 2)}`], ['folds', field, (n) => `X: x${'\r\n '.repeat(n)}`],
	['folds of blanks', field, (n) => `X: x\r\n${' '.repeat(n)}x`], ['many fields', field, (n) => `a: b${'\r\na: b'.repeat(n / 4)}`],
	['blanks in front of a message', readMessage, (n) => `${' \r\n'.repeat(n)}x`], ['no end of a head', readMessage, (n) => '\r\n'.repeat(n)],
	['a start line of blanks', start, (n) => `INVITE sip:x SIP/2.0${' '.repeat(n)}x`], ['a start line of words', start, (n) => 'x '.repeat(n)],
	['a status of digits', start, (n) => `SIP/2.0 ${'2'.repeat(n)}`], ['a start line without blanks', start, (n) => 'x'.repeat(n)],
	['a CSeq of blanks', (value) => readMessage(HEAD.replace('1 INVITE', value)), (n) => `1${' '.repeat(n)}x`],
	['a CSeq of digits', (value) => readMessage(HEAD.replace('1 INVITE', value)), (n) => '1'.repeat(n)],
	...['"', '"a', '\\', '"\\', '<', '>', '<>', '" "', ' ', ';', ';tag', ';tag=', ';tag=a"', 'a', 'a;', '";tag=1" ', '\t<'].flatMap((part) => ['', '"', '<sip:a@b>', '<sip:a@b>;tag=', 'a', '"a" <'].map(
		(begin) => [`an address of ${begin} and many ${part}`, addressOf, (n) => `${begin}${part.repeat(n)}`])),
	...[':', '@', 'sip:', ':@', ';'].map((part) => [`a URI of many ${part}`, partsOf, (n) => part.repeat(n)]),
	['a line of blanks in SDP', mediaOf, (n) => `v=0\r\na=${' '.repeat(n)}x`], ['a kind of blanks', mediaOf, (n) => `v=0\r\nm=${' '.repeat(n)}x`],
	['a kind without blanks', mediaOf, (n) => `v=0\r\nm=${'x'.repeat(n)}`], ['many m-lines', mediaOf, (n) => `v=0${'\nm=audio 9'.repeat(n / 4)}`],
	['many directions', mediaOf, (n) => `v=0${'\na=sendonly'.repeat(n / 4)}`], ['lines of blanks', mediaOf, (n) => `v=0${'\n   '.repeat(n / 4)}`],
];
for (const [what, read, of] of readers) {
	test(`${what}: four times as long takes no sixteen times as long`, () => {
		const [short, long] = [15_000, 60_000].map((n) => time(read, of(n)));
		assert.ok(long < 12 * short + 30, `${short} and ${long} ms`);
	});
}
