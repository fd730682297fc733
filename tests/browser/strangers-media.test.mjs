// SPDX-License-Identifier: GPL-2.0-or-later
// A stranger sends RTP, RTCP, STUN and DTLS to every port of rtpengine while browsers call, talk and come back: he
// hears nothing and is not heard. Phones are in tests/sip.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { replyTo } from '../lib/sip.mjs';
import { Stranger } from '../lib/stranger.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, chromium, stack, webTests } from '../lib/webtests.mjs';

const PORTS = { ip: '127.0.0.1', first: 30000, last: 30098 };
webTests('browser-strangers-media', { rtpengine: { args: [`--port-min=${PORTS.first}`, `--port-max=${PORTS.last}`] } });

const QUIET = ['rtp', 'rtcp', 'stun'];
let stranger;
afterEach(() => stranger?.close());

async function sprays(kinds) {
	await stranger?.close();
	stranger = await Stranger.open({ to: PORTS });
	stranger.start(kinds);
	await until('every port to have got something', () => stranger.seq > 8);
}

/** The far end counts the stranger's media: what has his SSRC (RFC 3550 section 5.1). RTCP is shorter; see docs/limits.md. */
function countStrangers({ rtp: { audio } }) {
	audio.strangers = 0;
	audio.socket.on('message', (m) => { if (m.length >= 12 && m.readUInt32BE(8) === 0xbadbad) audio.strangers++; });
}

for (const kinds of [['rtp', 'rtcp'], ['stun']]) {
	test(`a page calls, talks and is reloaded under ${kinds}`, async () => {
		await sprays(kinds);
		const call = await WebCall.up(stack, browser, { library: 'jssip' });
		countStrangers(call.far);
		await call.talks();
		await call.tab.page.reload();
		await call.back();
		await call.talks();
		assert.equal(call.far.rtp.audio.strangers, 0, 'the far end does not hear him');
		assert.equal(stranger.heard, 0, 'he hears nothing');
		await stranger.close();
		await call.endsBy('page');
	});
}

test('a page that is called, and comes back, under RTP, RTCP and STUN', async () => {
	await sprays(QUIET);
	const call = await WebCall.up(stack, browser, { library: 'sipjs', role: 'callee' });
	countStrangers(call.far);
	await call.tab.page.reload();
	await call.back();
	assert.equal(call.far.rtp.audio.strangers, 0);
	assert.equal(stranger.heard, 0);
	await stranger.close();
	await call.endsBy('far');
});

test('a page hears what is played before the answer, and is reloaded meanwhile, under RTP, RTCP and STUN', async () => {
	let invite;
	const { answer } = stack.echo;
	stack.echo.answer = (m) => {
		if (m.method !== 'INVITE' || m.tag('to')) return true;
		invite ??= m;
		return false;
	};
	try {
		await sprays(QUIET);
		const tab = await stack.signedIn(browser, 'jssip');
		await tab.dial('echo');
		await until('the far end to be called', () => invite);
		const far = await stack.echo.play(invite);
		countStrangers(far);
		const hears = () => Promise.all([tab.hears(), far.hears()]);
		await hears();
		await tab.page.reload();
		await hears();
		assert.equal(far.rtp.audio.strangers, 0);
		assert.equal(stranger.heard, 0);
		await stranger.close();
		invite.answer(replyTo(invite, 486, 'Busy Here', { to: `${invite.get('to')};tag=busy` }));
		await tab.up(0);
		await stack.noMedia();
	} finally {
		stack.echo.answer = answer;
	}
});

// rtpengine takes the first ClientHello for the browser's, and waits for the rest of it. That keeps the call silent, for both;
// a reload begins anew.
test('DTLS while a page calls: he hears nothing and is not heard; without him the reloaded page talks', async () => {
	await sprays(['dtls']);
	const tab = await stack.signedIn(browser, 'jssip');
	await tab.dial('echo');
	await tab.up();
	const far = await until('the far end to be called', () => stack.echo.calls.at(-1));
	const { seq } = stranger;
	await until('him to try for a while', () => stranger.seq - seq > 100);
	assert.equal(stranger.heard, 0);
	await stranger.close();
	await tab.page.reload();
	await tab.up();
	await Promise.all([tab.hears(), far.hears()]);
	await tab.click('hangup');
	await stack.noMedia();
});

test('DTLS in a call that is up does nothing', async () => {
	const call = await WebCall.up(stack, browser, { library: 'jssip' });
	await sprays(['dtls']);
	await call.talks();
	await call.talks();
	await stranger.close();
	await call.endsBy('page');
});

test('two pages call each other, and each comes back, under RTP, RTCP and STUN', async () => {
	const other = await chromium.another();
	try {
		const tabs = [await stack.signedIn(browser, 'jssip'), await stack.signedIn(other, 'sipjs', { user: 'bob' })];
		await sprays(QUIET);
		await tabs[0].dial('bob');
		await tabs[1].click('answer');
		for (const tab of tabs) await tab.up();
		await Promise.all(tabs.map((tab) => tab.hears()));
		for (const tab of tabs) {
			await tab.page.reload();
			await tab.up();
			await Promise.all(tabs.map((one) => one.hears()));
		}
		assert.equal(stranger.heard, 0);
		await stranger.close();
		await tabs[0].click('hangup');
		for (const tab of tabs) await tab.up(0);
		await stack.noMedia();
	} finally {
		await other.close();
	}
});
