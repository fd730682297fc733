// SPDX-License-Identifier: GPL-2.0-or-later
// A page and what far ends send it: offers that it refuses, streams that no browser has, two answers to one INVITE, a
// 200 without Contact, tags with white space around them. After each the page is reloaded, and has its call.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FIREFOX } from '../lib/browser.mjs';
import { replyTo, sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('field');

const SESSION = (ip) => `v=0\r\no=- 7 50 IN IP4 ${ip}\r\ns=-\r\nc=IN IP4 ${ip}\r\nt=0 0\r\n`;
const AUDIO = (port) => `m=audio ${port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n`;
const G729 = (port) => `m=audio ${port} RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n`;
const VIDEO = (port) => `m=video ${port} RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n`;
const FAX = (port) => `m=image ${port} udptl t38\r\na=T38FaxVersion:0\r\n`;
const kinds = (body) => body.match(/^m=\w+ \d+/gm).map((line) => line.replace(/m=(\w+) (0?).*/, (_, kind, off) => (off === '0' ? `(${kind})` : kind)));

/** A re-INVITE or UPDATE of the far end. */
async function offer(call, body, method = 'INVITE') {
	const { dialog } = call.far;
	const reply = await dialog.request(method, { body, timeout_ms: 20000 });
	if (method !== 'INVITE') return reply;
	if (reply.status < 300) dialog.target = reply.contact ?? dialog.target;
	dialog.ack(reply.status < 300 ? {} : { via: dialog.branch });
	return reply;
}

const newest = (call) => call.far.requests.findLast((m) => m.method === 'INVITE');

for (const library of ['jssip', 'sipjs']) {
	const up = () => WebCall.up(stack, browser, { library });
	const comesBack = async (call) => {
		await call.tab.page.reload();
		await call.back();
	};

	for (const [what, streams] of [
		['a fax instead of audio', (port) => FAX(port)],
		['no audio and a fax', (port) => AUDIO(0) + FAX(port)],
		['video instead of audio', VIDEO],
		['G.729 alone, which no browser has,', G729],
	]) {
		test(`${library}: ${what} is refused: audio goes on, and a reload brings it back`, async () => {
			const call = await up();
			const before = JSON.parse(await call.tab.record()).media;
			const { status } = await offer(call, SESSION(stack.echo.ip) + streams(call.far.rtp.audio.port));
			assert.equal(status, 488);
			await call.talks();
			assert.deepEqual(JSON.parse(await call.tab.record()).media, before);
			await comesBack(call);
			assert.deepEqual(kinds(newest(call).body), ['audio']);
			await call.endsBy('far');
		});
	}

	test(`${library}: G.729 alone beside a video: the audio is off, and a reload brings it back`, async () => {
		const call = await up();
		const { port } = call.far.rtp.audio;
		const reply = await offer(call, SESSION(stack.echo.ip) + G729(port) + VIDEO(port + 2));
		assert.equal(reply.status, 200);
		assert.match(reply.body, /^m=audio 0 /m);
		await comesBack(call);
		assert.deepEqual(kinds(newest(call).body), ['audio', 'video']);
		await call.endsBy('far');
	});

	for (const [what, stream] of [['BFCP', (port) => `m=application ${port} UDP/BFCP *\r\na=floorctrl:c-s\r\na=setup:passive\r\n`], ['a fax', FAX]]) {
		test(`${library}: ${what} beside the audio keeps its place (RFC 3264 section 8), over two reloads`, async () => {
			const call = await up();
			const { port } = call.far.rtp.audio;
			const reply = await offer(call, SESSION(stack.echo.ip) + AUDIO(port) + stream(port + 2));
			if (FIREFOX) {
				// It does not read a description with such an m-line at all.
				assert.equal(reply.status, 488);
				await call.talks();
				await comesBack(call);
				return call.endsBy('far');
			}
			assert.equal(reply.status, 200);
			const wanted = kinds(reply.body);
			stack.echo.answer = (m, mine) => {
				if (m.method !== 'INVITE' || !mine || kinds(m.body).length >= wanted.length) return true;
				m.answer(replyTo(m, 488, 'Fewer m-lines than before'));
				return false;
			};
			try {
				for (const lives of [1, 2]) {
					await call.tab.page.reload();
					await call.back({ lives });
					assert.deepEqual(kinds(newest(call).body), wanted);
				}
				assert.equal((await offer(call, SESSION(stack.echo.ip) + AUDIO(port) + stream(port + 2))).status, 200);
				await call.talks();
				await call.endsBy('far');
			} finally { stack.echo.answer = () => true; }
			return undefined;
		});
	}

	for (const after of [400, 3000]) {
		test(`${library}: a second far end answers after ${after} ms: the first goes on`, async () => {
			const { echo } = stack;
			let ended = false;
			echo.answer = (m) => {
				if (m.method === 'INVITE' && !m.tag('to')) {
					setTimeout(() => m.answer(replyTo(m, 200, 'OK', {
						to: `${m.get('to')};tag=second`, body: sdp(echo.ip, 9), fields: [...m.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <sip:other@${echo.host}>`],
					})), after);
				}
				if (m.tag('to') !== 'second') return true;
				if (m.method === 'BYE') m.answer(replyTo(m, 200, 'OK'));
				ended ||= m.method === 'BYE';
				return false;
			};
			try {
				const call = await up();
				await until('the page to end the second', () => ended);
				await call.talks();
				await comesBack(call);
				await call.endsBy('far');
			} finally { echo.answer = () => true; }
		});
	}

	test(`${library}: the 200 to the resume has no Contact`, async () => {
		const { echo } = stack;
		const send = echo.send.bind(echo);
		const call = await up();
		echo.send = (text, to) => send(/^SIP\/2.0 200/.test(text) && /CSeq: \d+ INVITE/.test(text) ? text.replace(/^Contact: .*\r\n/m, '') : text, to);
		try {
			await comesBack(call);
		} finally { echo.send = send; }
		await call.endsBy('page');
	});

	test(`${library}: the far end hangs up with white space in front of the tag`, async () => {
		const call = await up();
		await comesBack(call);
		call.far.dialog.remote = call.far.dialog.remote.replace(';tag=', ' ; tag = ');
		assert.equal((await call.far.hangUp()).status, 200);
		await until('no call in the page', async () => (await call.tab.states()).length === 0);
	});
}
