// SPDX-License-Identifier: GPL-2.0-or-later
// Pages with SIP.js' SessionManager and SimpleUser: a call that came back is managed as any other, and a lost
// WebSocket ends none.

import assert from 'node:assert/strict';
import path from 'node:path';
import { beforeEach, test } from 'node:test';

import { ROOT } from '../lib/kamailio.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-manager');

// The example's page, with another script where its address says so.
beforeEach(() => browser.context.route('**/examples/session-manager.js', (route) => (route.request().frame().url().includes('?simple')
	? route.fulfill({ path: path.join(ROOT, 'tests/browser/pages/simple-user.js') })
	: route.continue())));

const library = 'session-manager';

/** The page plays what it hears in the element that it has given for that. */
const plays = (call) => until('the page to play the call', () => call.tab.page.evaluate(
	() => [...document.querySelectorAll('audio')].some(({ paused, srcObject }) => !paused && srcObject?.getAudioTracks().some((track) => track.readyState === 'live'))));

for (const [name, query] of [['SessionManager', ''], ['SimpleUser', '?simple']]) {
	for (const [role, by] of [['caller', 'page'], ['callee', 'far']]) {
		test(`${name}, ${role}: reloaded twice, held and taken off hold, then ${by === 'far' ? 'the far end' : 'the page'} hangs up`, async () => {
			const call = await WebCall.up(stack, browser, { library, query, role });
			for (const lives of [1, 2]) {
				await call.tab.page.reload();
				await call.back({ lives });
				await plays(call);
			}
			await call.tab.click('hold');
			await call.tab.up(1, 'held');
			await call.far.hearsSilence();
			await call.tab.click('hold');
			await call.tab.up();
			await call.talks();
			await call.endsBy(by);
		});
	}

	test(`${name}: reloaded on hold and muted, it is both, and the manager can undo them`, async () => {
		const call = await WebCall.up(stack, browser, { library, query });
		await call.tab.click('mute');
		await call.far.hearsSilence();
		await call.tab.click('hold');
		await call.tab.up(1, 'held');
		await call.far.hearsSilence();
		const { loud } = call.far.rtp.audio;
		await call.tab.page.reload();
		await call.tab.up(1, 'held');
		await call.far.hearsSilence();
		await call.tab.click('hold');
		await call.tab.up();
		await call.far.hearsSilence();
		assert.equal(call.far.rtp.audio.loud, loud, 'not a sound of the page since');
		await call.tab.click('mute');
		await call.talks();
		await call.endsBy('page');
	});

	test(`${name}: the WebSocket is lost, the call goes on and is managed`, async () => {
		const call = await WebCall.up(stack, browser, { library, query });
		const { count } = await call.tab.media();
		await stack.web.stop();
		await call.talks();
		await stack.web.boot();
		await until('the call to be refreshed', () => call.far.reinvites === 1, { timeout_ms: 40000 });
		await call.talks();
		assert.equal((await call.tab.media()).count, count, 'the same connection for media');
		assert.deepEqual(await call.tab.states(), ['up']);
		await call.tab.click('hold');
		await call.tab.up(1, 'held');
		await call.tab.click('hold');
		await call.tab.up();
		await call.endsBy('page');
	});

	test(`${name}: the media is lost, the call comes back without a reload and is managed`, async () => {
		const call = await WebCall.up(stack, browser, { library, query });
		await stack.rtpengine.kill();
		await stack.rtpengine.boot();
		await until('the call to be back', async () => /^Resumed/.test(await call.tab.line()), { timeout_ms: 40000 });
		await call.tab.up();
		await call.talks();
		await plays(call);
		await call.tab.click('hold');
		await call.tab.up(1, 'held');
		await call.tab.click('hold');
		await call.tab.up();
		await call.endsBy('page');
	});
}

test('one that would hang up when its page is left is refused, and told how to be made', async () => {
	const tab = await browser.open(stack.page(library, '?simple&graceful'));
	await tab.signIn('alice', stack.passwords.alice);
	await until('the page to say why', async () => /This SimpleUser hangs up when its page is left\. Make it with userAgentOptions/.test(await tab.line()));
	const said = await tab.page.evaluate(async () => {
		const [{ Inviter, Web }, { resumeSessionManager }, { resumeSIPjs }] = await Promise.all(
			['/bundle/sip.js', '/session-manager.js', '/call-resume.js'].map((file) => import(file)));
		const manager = new Web.SessionManager('wss://localhost/ws', { aor: 'sip:alice@example.org' });
		return [() => resumeSessionManager(manager), () => resumeSIPjs(manager, { Inviter })].map((act) => {
			try {
				return act();
			} catch (e) {
				return `${e.name}: ${e.message}`;
			}
		});
	});
	assert.deepEqual(said, [
		'TypeError: This SessionManager hangs up when its page is left. Make it with autoStop: false.',
		'TypeError: No UserAgent. For a SessionManager or a SimpleUser there is resumeSessionManager().',
	]);
});
