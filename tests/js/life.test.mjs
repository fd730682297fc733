// SPDX-License-Identifier: GPL-2.0-or-later
//
// The states of a call in its page: what each event makes of each state, and that the picture says so.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';

import * as life from '../../web/call-resume/life.js';

const { EVENTS, LIFE, move } = life;

/** What becomes of a state, in the order of EVENTS; a dot: nothing. */
const TABLE = `
	           dialled  rang   dropped  answered  apart  reached  resume     back  later   lost  hangUp     ended  end     joined  stopped
	ringing    early    early  .        up        .      .        .          .     .       .     .          gone   ending  .       gone
	early      .        .      kept     up        .      .        .          .     .       .     .          gone   ending  .       gone
	up         .        .      .        .         apart  .        moving     .     .       .     .          gone   ending  gone    gone
	apart      .        .      .        .         .      up       moving     .     .       .     .          gone   ending  gone    gone
	moving     .        .      .        .         .      .        .          up    cut     gone  hangingUp  .      ending  gone    gone
	cut        .        .      .        .         .      .        moving     .     .       .     .          gone   ending  gone    gone
	kept       .        .      .        .         .      .        returning  .     .       .     .          gone   ending  gone    gone
	returning  .        .      .        moving    .      .        .          .     kept    gone  hangingUp  .      ending  gone    gone
	hangingUp  .        .      .        .         .      .        .          .     hungUp  gone  .          .      ending  .       gone
	hungUp     .        .      .        .         .      .        hangingUp  .     .       .     .          gone   ending  .       gone
	ending     .        .      .        .         .      .        .          .     gone    gone  .          .      .       .       gone
	gone       .        .      .        .         .      .        .          .     .       .     .          .      .       .       .
`;
const [head, ...rows] = TABLE.trim().split('\n').map((line) => line.trim().split(/\s+/));

test('there are these states and events, and no others', () => {
	assert.deepEqual(EVENTS, head);
	assert.deepEqual(Object.keys(LIFE), rows.map(([state]) => state));
	for (const [state, row] of Object.entries(LIFE)) {
		for (const [event, next] of Object.entries(row)) assert.ok(head.includes(event) && LIFE[next], `${state}: ${event}`);
	}
});

for (const [state, ...nexts] of rows) {
	for (const [i, event] of head.entries()) {
		const next = nexts[i] === '.' ? state : nexts[i];
		test(`${state}, ${event}: ${next === state ? 'nothing' : next}`, () => {
			const record = { life: state };
			assert.equal(move(record, event), next !== state);
			assert.equal(record.life, next);
		});
	}
}

const DOCS = fs.readFileSync(new URL('../../web/README.md', import.meta.url), 'utf8');

test('the picture in the documentation has every step, but those that lead out of any state', () => {
	const [, picture] = DOCS.match(/```mermaid\nstateDiagram-v2\n([^]*?)```/);
	const drawn = [...picture.matchAll(/^\s*(\w+) --> (\w+): (.*)$/gm)].flatMap(([, from, to, events]) => events.split(', ').map((event) => `${from} ${event} ${to}`));
	const steps = Object.entries(LIFE).flatMap(([from, row]) => Object.entries(row)
		.filter(([event]) => !['end', 'stopped'].includes(event)).map(([event, to]) => `${from} ${event} ${to}`));
	assert.deepEqual(drawn.sort(), steps.sort());
});

/** The states for which that is so. */
const those = (is) => Object.keys(LIFE).filter((state) => is({ life: state })).join(' ');

test('what is so in which states', () => {
	assert.deepEqual(Object.fromEntries(['isStored', 'isComing', 'isWaiting', 'hasSession', 'isUp', 'isHangingUp', 'isGone'].map((name) => [name, those(life[name])])), {
		isStored: 'early up apart moving cut', isComing: 'moving returning hangingUp ending', isWaiting: 'cut kept hungUp',
		hasSession: 'early up apart cut', isUp: 'up apart', isHangingUp: 'hangingUp ending', isGone: 'gone',
	});
	// Of a call that there is not.
	for (const [name, is] of Object.entries(life)) if (/^(is|has)/.test(name)) assert.equal(is(undefined), false, name);
});

test('a call that its user has hung up, or the page has ended, is never up again, nor goes on as another one', () => {
	for (const first of ['hangingUp', 'ending']) {
		const reached = new Set([first]);
		for (const state of reached) for (const next of Object.values(LIFE[state])) reached.add(next);
		assert.deepEqual([...reached].filter((state) => !['hangingUp', 'hungUp', 'ending', 'gone'].includes(state)), []);
	}
	assert.ok(['hangingUp', 'hungUp', 'ending'].every((state) => !('joined' in LIFE[state])));
});

test('what is under way ends, and what waits can be tried', () => {
	for (const [state, row] of Object.entries(LIFE)) {
		const record = { life: state };
		assert.equal(life.isComing(record), 'later' in row, state);
		if (life.isWaiting(record)) assert.ok('resume' in row, state);
	}
});
