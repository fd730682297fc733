// SPDX-License-Identifier: GPL-2.0-or-later
// resume.pml searched by spin: every order of events within the bounds named
// here. Then each property is shown able to fail: a mutation of the model is
// searched too, and has to violate it.
//
// MODEL_FULL=1 searches wider, some minutes and 4 GB.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import { ROOT } from '../lib/kamailio.mjs';
import { runFolder } from '../lib/stack.mjs';

const MODEL = path.join(ROOT, 'tests/model/resume.pml');
const FULL = Boolean(process.env.MODEL_FULL);
const run = promisify(execFile);

const PROPERTIES = {
	ends_agree: 'in the end both ends have the call, or neither',
	names_and_media_agree: 'in the end signalling and media are those of one client, the newest',
	nothing_pending: 'nobody waits for ever',
	no_takeover: 'another session with a stolen state never gets into the call',
	bye_ends_both: 'a BYE of either end ends the call at both',
	older_tab_is_out: 'no request of an older tab is taken once a newer one is in',
	older_tab_ends_nothing: 'an older tab does not end the call of a newer one by its BYE',
};

const SEARCHES = FULL ? {
	'two lives, losses, reordering': ['LIVES=2'],
	'three lives, no losses': ['LIVES=3', 'LOSSES=0', 'SWAPS=0', 'REFRESHES=1'],
	'two lives and a thief': ['LIVES=2', 'WITH_THIEF', 'REFRESHES=1'],
	'a gateway that answers 491 for a client that is away': ['LIVES=2', 'AWAY_INVITE=491'],
} : {
	'two lives, losses, reordering': ['LIVES=2', 'REFRESHES=1', 'FLIGHT=2'],
	'three lives, no losses': ['LIVES=3', 'LOSSES=0', 'SWAPS=0', 'REFRESHES=1', 'FLIGHT=2'],
	'two lives and a thief': ['LIVES=2', 'LOSSES=0', 'SWAPS=0', 'REFRESHES=1', 'WITH_THIEF'],
	'a gateway that answers 491 for a client that is away': ['LIVES=2', 'REFRESHES=1', 'LOSSES=0', 'AWAY_INVITE=491'],
};

/* What is broken, what has to be found for it, and the bounds of that search. */
const SMALL = ['LIVES=2', 'REFRESHES=1', 'FLIGHT=2'];
const MUTATIONS = [
	['the gateway does not look whose state it is', 'no_takeover', ['MUTATE_NO_SESSION_CHECK', 'WITH_THIEF', ...SMALL]],
	['no jump in CSeq', 'older_tab_is_out', ['MUTATE_NO_CSEQ_JUMP', ...SMALL]],
	['an older tab sends more requests than 64 ms have passed', 'older_tab_is_out', ['MUTATE_CLOSE_RESUMES', 'LIVES=3', 'REFRESHES=1', 'FLIGHT=2']],
	['media end with a BYE, not with its answer', 'older_tab_ends_nothing', ['MUTATE_DELETE_AT_BYE', ...SMALL]],
	['a BYE to a client that is away gets 500', 'bye_ends_both', ['MUTATE_BYE_500', ...SMALL]],
	['no transaction timer', 'nothing_pending', ['MUTATE_NO_TIMEOUT', ...SMALL]],
	['a peer without session timer and media timeout', 'names_and_media_agree', ['MUTATE_NO_PEER_TIMERS', ...SMALL]],
	['a client without session timer and ICE consent', 'ends_agree', ['MUTATE_NO_CLIENT_TIMERS', ...SMALL]],
	['media timeout and ICE consent, but no session timers', 'ends_agree', ['MUTATE_NO_SESSION_TIMERS', ...SMALL]],
	['the last life can be in the call in the end', 'not_reached', ['REACH', 'LIVES=3', 'REFRESHES=1', 'FLIGHT=2']],
];

/* What is known not to hold: docs/limits.md. */
const KNOWN = [
	['tabs that resume from states of different age at once', 'older_tab_is_out', ['KNOWN_TABS', 'LIVES=3', 'LOSSES=0', 'SWAPS=0']],
	['a peer that ends the call for an older 200 without ACK', 'newer_one_goes_on', ['KNOWN_UNACKED', 'LIVES=3', 'REFRESHES=1', 'FLIGHT=2']],
];

let dir;
let n = 0;
before(() => {
	dir = runFolder('model');
});
after(() => fs.rmSync(dir, { recursive: true, force: true }));

/** Search the model: {violated: the property's name, complete, states, text}. */
async function search(defines, optimize = '-O1', model = MODEL) {
	const cwd = path.join(dir, String(n++));
	const limit = FULL ? 4096 : 1024;
	fs.mkdirSync(cwd);
	await run('spin', ['-a', ...defines.map((d) => `-D${d}`), model], { cwd });
	await run('gcc', [optimize, '-w', '-DSAFETY', '-DCOLLAPSE', `-DMEMLIM=${limit}`, '-o', 'pan', 'pan.c'], { cwd });
	const { stdout } = await run('./pan', ['-m100000'], { cwd, timeout: FULL ? 1800e3 : 300e3, maxBuffer: 1 << 24 });
	return {
		violated: /assertion violated \(*!?(\w+)/.exec(stdout)?.[1] ?? /pan:1: (.*)/.exec(stdout)?.[1],
		complete: !/Search not completed|max search depth|MEMLIM|out of memory/i.test(stdout),
		states: Number(/(\d+) states, stored/.exec(stdout)?.[1]),
		text: stdout,
	};
}

let searched;
/** The searches of the model as it is, once. */
function unbroken() {
	searched ??= (async () => {
		const found = [];
		for (const [name, defines] of Object.entries(SEARCHES)) found.push({ name, ...await search(defines, '-O2') });
		return found;
	})();
	return searched;
}

for (const [property, what] of Object.entries(PROPERTIES)) {
	test(what, async () => {
		for (const s of await unbroken()) {
			assert.equal(s.violated, undefined, `${s.name}: ${s.text}`);
			assert.ok(s.complete && s.states > 10000, `${s.name}: ${s.text}`);
			if (property === 'ends_agree') console.log(`     ${s.name}: ${s.states} states`);
		}
		// The name is one that the model knows.
		assert.match(fs.readFileSync(MODEL, 'utf8'), new RegExp(`ALWAYS\\(${property},`));
	});
}

for (const [what, property, defines] of MUTATIONS) {
	test(`can fail: ${what}`, async () => {
		assert.equal((await search(defines)).violated, property);
	});
}

for (const [what, property, defines] of KNOWN) {
	test(`known: ${what}`, async () => {
		assert.equal((await search(defines)).violated, property);
	});
}

// ---- a call that nobody has answered yet

const RINGING = path.join(ROOT, 'tests/model/ringing.pml');
const RINGING_MUTATIONS = [
	['the answer of another fork is acknowledged, and left', 'no_orphan', 'MUTATE_FORK_IS_LEFT'],
	['the state of an answer that nobody heard is not kept', 'no_call_is_lost', 'MUTATE_NO_STATE_KEPT'],
	['whoever names his INVITE is told that it is over when the call was answered', 'no_call_is_lost', 'MUTATE_DIALLED_IS_OVER'],
	['nobody hangs up for a caller that does not come back', 'no_orphan', 'MUTATE_NOBODY_HANGS_UP'],
	['the BYE for one that does not come back has a CSeq above that of a resume', 'up_at_both', 'MUTATE_BYE_ABOVE'],
];

for (const lives of FULL ? [2, 3] : [2]) {
	test(`while it rings, ${lives} lives: no phone is left alone, and no call that was answered is lost`, async () => {
		const { violated, complete, states, text } = await search([`LIVES=${lives}`], '-O2', RINGING);
		assert.equal(violated, undefined, text);
		assert.ok(complete && states > 10000, text);
		console.log(`     while it rings, ${lives} lives: ${states} states`);
	});
}

for (const [what, property, define] of RINGING_MUTATIONS) {
	test(`while it rings, can fail: ${what}`, async () => {
		assert.equal((await search(['LIVES=2', define], '-O1', RINGING)).violated, property);
	});
}

test('every mutation of a ringing call is tried', () => {
	const named = new Set(fs.readFileSync(RINGING, 'utf8').match(/\bMUTATE_\w+/g));
	assert.deepEqual(RINGING_MUTATIONS.map(([, , define]) => define).sort(), [...named].filter((d) => d !== 'MUTATE_').sort());
});

test('every mutation is one of the model', () => {
	const model = fs.readFileSync(MODEL, 'utf8');
	const named = new Set([...model.matchAll(/\b(?:MUTATE|KNOWN)_\w+/g)].map((m) => m[0]));
	const tried = new Set([...MUTATIONS, ...KNOWN].flatMap(([, , d]) => d).filter((d) => /^(MUTATE|KNOWN)_/.test(d)));
	assert.deepEqual([...tried].sort(), [...named].filter((d) => d !== 'MUTATE_').sort());
});
