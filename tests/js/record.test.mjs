// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a page reads of its storage: all that it has written itself, and of anything else
// a call that can be resumed, or nothing.

import test from 'node:test';
import assert from 'node:assert/strict';

import { claim, dialledBy, readAll, readRecord, writeRecord } from '../../web/call-resume/record.js';
import { mediaOf } from '../../web/call-resume/message.js';
import { random } from './random.mjs';

const ROUNDS = Number(process.env.ROUNDS ?? 20_000);
const DIALLED = { callId: 'a.b-c', tag: 'x1', cseq: 7, peer: 'sip:bob@example.org' };
const WHOLE = {
	state: 'eyJh.x-_.y', dialled: undefined, update: 'eyJi', tag: "a~.!%*_+`'-", media: [{ kind: 'audio', direction: 'sendrecv' }, { kind: 'video', rejected: true }, { kind: 'text' }],
	sends: ['audio', 'video'], off: ['video'], screen: true, early: true, held: true, muted: false, videoMuted: true, data: { name: 'Bob', list: [1, null] }, start: 1, seen: 2,
};
const FIELDS = Object.keys(WHOLE);
const read = (record) => readRecord(JSON.stringify(record));

test('what is written is read again', () => {
	const { seen, ...rest } = readRecord(writeRecord({ ...WHOLE, id: 'one', session: {}, release() {}, up: true, over: true }));
	assert.ok(Math.abs(seen - Date.now()) < 10_000);
	assert.deepEqual({ ...rest, seen: WHOLE.seen }, WHOLE);
});

test('a call that has been dialled has the names of its INVITE, until there is a state', () => {
	assert.deepEqual(readRecord(writeRecord({ dialled: DIALLED, early: true })).dialled, DIALLED);
	assert.equal(claim({ dialled: DIALLED }), 'dialled;call-id=a.b-c;tag=x1;cseq=7');
	assert.equal(claim({ ...WHOLE, dialled: DIALLED, again: true }), `${WHOLE.state};update=${WHOLE.update};tag=${WHOLE.tag};again`);
	assert.deepEqual(dialledBy({ method: 'INVITE', cseq: 7 }, 'a.b-c', { tag: 'x1' }, { uri: DIALLED.peer }), DIALLED);
	for (const [method, callId, to] of [['BYE', 'a', {}], ['INVITE', 'a@b', {}], ['INVITE', 'a', { tag: 'y' }]]) {
		assert.equal(dialledBy({ method, cseq: 7 }, callId, { tag: 'x1' }, { uri: DIALLED.peer, ...to }), undefined);
	}
});

test('also the media of any description that a far end sends', () => {
	for (const body of ['v=0\r\nm=\r\n', 'v=0\r\nm=audio 0 x\r\na=inactive\r\nm=\u2028"\\ 9\r\na=sendonly\r\n', `v=0\r\n${'m=audio 9 RTP/AVP 8\r\n'.repeat(999)}`]) {
		assert.equal(JSON.stringify(readRecord(writeRecord({ state: 'x', media: mediaOf(body) })).media), JSON.stringify(mediaOf(body)));
	}
});

test('a field that is not there or null is undefined, and without a state there is no call', () => {
	for (const name of FIELDS) {
		for (const without of [null, undefined]) {
			const record = read({ ...WHOLE, [name]: without });
			assert.equal(record?.[name], undefined, name);
			assert.equal(!!record, name !== 'state', name);
		}
	}
	assert.deepEqual(read({ state: 'x', media: null, sends: null, data: null }), { ...Object.fromEntries(FIELDS.map((name) => [name, undefined])), state: 'x' });
});

for (const [name, values] of Object.entries({
	state: ['', 'a b', 'x\r\nContact: sip:mallory@example.org', 'x;again', 'x\u2028', 'x\n', 7, true, {}, ['x'], 'x'.repeat(8193)],
	dialled: ['x', 1, {}, ...[{ callId: '' }, { callId: 'a@b' }, { callId: 'a;b' }, { callId: 'a'.repeat(256) }, { tag: '' }, { tag: '\r\n' }, { cseq: '7' }, { cseq: -1 }, { cseq: 1.5 },
		{ peer: 'sip:x\r\nVia: y' }, { peer: 'sip:a>b' }, { peer: 'tel:1' }].map((one) => ({ ...DIALLED, ...one }))],
	update: ['', 'x;tag=1', 'x\r\n', 1, []],
	tag: ['a;b', 'a b', 'a\r\nb', '"', 1, {}],
	media: ['audio', {}, [null], [undefined], ['audio'], [{}], [{ kind: 1 }], [{ kind: 'audio', direction: 'up' }], [{ kind: 'audio', direction: null }], [{ kind: 'audio', rejected: 1 }], [[]]],
	sends: ['audio', {}, [null], ['screen'], [['audio']], 1, true],
	off: ['video', [0], {}],
	screen: ['', 0, {}], early: ['', 1], held: ['no', 0, []], muted: [1, 'true'], videoMuted: [1],
	start: ['1', [], true, {}], seen: ['1', true],
})) {
	test(`${name}: of another kind the record is damaged`, () => {
		for (const value of values) assert.equal(read({ ...WHOLE, [name]: value }), undefined, JSON.stringify(value));
	});
}

test('a storage with anything in it', () => {
	for (const text of ['', 'null', '1', '"x"', '[]', '{}', '{', '{"state":"x"', undefined, null, 7, {}, [], Symbol.iterator, () => 'x']) {
		assert.equal(readRecord(text), undefined, String(text));
	}
	// No field of an object that the text makes is ours but by its own name.
	const record = readRecord('{"__proto__":{"held":true,"state":"y"},"constructor":1,"resuming":true,"over":true,"session":{},"id":"z","state":"x"}');
	assert.deepEqual(Object.keys(record).sort(), [...FIELDS].sort());
	assert.equal(record.held, undefined);
	assert.equal({}.held, undefined);
	const all = readAll([['one', 'x'], null, undefined, 7, 'ab', [], [1, 'x'], [null], ['two'], ['three', {}]]);
	assert.deepEqual([...all], [['one', 'x'], ['two', undefined], ['three', {}]]);
});

/** Anything that JSON can say. */
function anything(r, depth = 3) {
	const leaf = () => r.one([null, true, false, 0, -1, 1e99, '', 'x', 'audio', 'sendrecv', '\r\n', '__proto__', 'x;again', '\u2028']);
	if (!depth || r.chance(0.4)) return leaf();
	if (r.chance(0.5)) return Array.from({ length: r.below(4) }, () => anything(r, depth - 1));
	return Object.fromEntries(Array.from({ length: r.below(4) }, () => [r.one([...FIELDS, 'kind', 'direction', 'rejected', '__proto__', 'length']), anything(r, depth - 1)]));
}

/** What all others of the page may take for granted. */
function check(record, about) {
	assert.match(record.state, /^[\w.-]+$/, about);
	for (const name of ['update', 'tag']) if (record[name] !== undefined) assert.match(record[name], /^[\w.!%*+`'~-]*$/, about);
	for (const name of ['sends', 'off']) assert.ok((record[name] ?? []).every((kind) => kind === 'audio' || kind === 'video'), about);
	for (const { kind, direction = 'inactive' } of record.media ?? []) assert.ok(typeof kind === 'string' && typeof direction === 'string', about);
	for (const name of ['screen', 'held', 'muted', 'videoMuted']) assert.ok([true, false, undefined].includes(record[name]), about);
	for (const name of ['start', 'seen']) assert.ok(record[name] === undefined || Number.isFinite(record[name]), about);
	assert.deepEqual(Object.keys(record).sort(), [...FIELDS].sort(), about);
}

test(`${ROUNDS} damaged records: a call as it should be, or none`, () => {
	let calls = 0;
	for (let seed = 0; seed < ROUNDS; seed++) {
		const r = random(seed);
		const record = { ...WHOLE };
		for (let i = r.below(3); i >= 0; i--) record[r.one(FIELDS)] = anything(r);
		let text = JSON.stringify(record);
		// Cut, or a byte of it another one.
		if (r.chance(0.2)) text = text.slice(0, r.below(text.length));
		const at = r.below(text.length);
		if (r.chance(0.3)) text = text.slice(0, at) + String.fromCharCode(r.below(128)) + text.slice(at + 1);
		const found = readRecord(text);
		if (!found) continue;
		calls++;
		check(found, `seed ${seed}: ${text}`);
		assert.deepEqual({ ...readRecord(writeRecord(found)), seen: 0 }, { ...found, seen: 0 }, `seed ${seed}`);
	}
	assert.ok(calls > ROUNDS / 50 && calls < ROUNDS * 0.9, `${calls} calls`);
});
