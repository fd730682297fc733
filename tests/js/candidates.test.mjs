// SPDX-License-Identifier: GPL-2.0-or-later
//
// When an offer may go: not before each of its m-lines can be sent to.

import test from 'node:test';
import assert from 'node:assert/strict';

import { hasCandidates } from '../../web/call-resume/shared.js';

const HEAD = 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n';
const CANDIDATE = 'a=candidate:0 1 UDP 2122252543 192.0.2.2 59329 typ host\r\n';
const line = (kind, port, rest = '') => `m=${kind} ${port} UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\n${rest}`;

for (const [what, lines, may] of [
	['one m-line without a candidate', [line('audio', 9)], false],
	['one m-line with one', [line('audio', 59329, CANDIDATE)], true],
	['two, and the second without one', [line('audio', 59329, CANDIDATE), line('video', 9)], false],
	['two, and the first without one', [line('audio', 9), line('video', 59330, CANDIDATE)], false],
	['two with one each', [line('audio', 59329, CANDIDATE), line('video', 59330, CANDIDATE)], true],
	['a rejected one', [line('audio', 59329, CANDIDATE), line('video', 0)], true],
	['one that goes with the first', [line('audio', 59329, CANDIDATE), line('video', 0, 'a=bundle-only\r\n')], true],
	['one that only says that it had one', [line('audio', 9, 'a=x a=candidate:\r\n')], false],
]) {
	test(`${what}: ${may ? 'goes' : 'waits'}`, () => assert.equal(hasCandidates({ localDescription: { sdp: HEAD + lines.join('') } }), may));
}
