// SPDX-License-Identifier: GPL-2.0-or-later
// A page with a call is reloaded, and has its call again.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { enable, FIREFOX, noteTracks } from '../lib/browser.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-reload');

for (const library of ['jssip', 'sipjs']) {
	for (const [role, reloads, by] of [
		['caller', 3, 'far'], ['caller', 1, 'page'], ['callee', 3, 'page'], ['callee', 1, 'far'],
	]) {
		test(`${library}, ${role}: ${reloads} reloads, then ${by === 'far' ? 'the far end' : 'the page'} hangs up`, async () => {
			const call = await WebCall.up(stack, browser, { library, role });
			for (let lives = 1; lives <= reloads; lives++) {
				await call.tab.page.reload();
				await call.back({ lives });
			}
			await call.endsBy(by);
		});
	}
}

/** How a call is silenced: what is done, what the page shows then, and how it is undone. */
const silenced = {
	'muted by the page': {
		how: (call) => call.tab.click('mute'), shows: 'up', undo: (call) => call.tab.click('mute'),
		after: (call) => call.far.hearsSilence(),
	},
	'held by the page': {
		how: (call) => call.tab.click('hold'), shows: 'held', undo: (call) => call.tab.click('hold'),
		after: (call) => call.far.hearsSilence(),
	},
	'held by the far end': {
		how: (call) => call.far.reinvite('sendonly'), undo: (call) => call.far.reinvite('sendrecv'),
		after: async (call) => { call.far.plays(); await call.tab.onlyHears(); },
	},
};

/** How microphone and camera are switched off and on. */
const switchedOff = {
	'microphone and camera muted': {
		async off(tab) { for (const what of ['mute', 'camera']) await tab.click(what); },
		async on(tab) { for (const what of ['mute', 'camera']) await tab.click(what); },
	},
	'the tracks of microphone and camera disabled': { off: (tab) => enable(tab, false), on: (tab) => enable(tab, true) },
};

/** Every other call of a table is one to the page. */
const takeTurns = (n) => (n % 2 ? { role: 'callee', by: 'page' } : { role: 'caller', by: 'far' });

for (const [i, library] of ['jssip', 'sipjs'].entries()) {
	for (const [j, [what, { how, shows, undo, after: quiet }]] of Object.entries(silenced).entries()) {
		const { role, by } = takeTurns(i + j);
		test(`${library}, ${role}: reloaded while ${what}`, async () => {
			const call = await WebCall.up(stack, browser, { library, role });
			await how(call);
			await quiet(call);
			const { loud } = call.far.rtp.audio;
			await call.tab.page.reload();
			await call.tab.up(1, shows);
			await quiet(call);
			assert.equal(call.far.rtp.audio.loud, loud, 'not a sound of the page since');
			await undo(call);
			await call.tab.up();
			await call.talks();
			await call.endsBy(by);
		});
	}

	test(`${library}: reloaded on hold, which the far end was asked for late, and heard again`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		await call.tab.page.evaluate(() => {
			const connection = window.connections.at(-1);
			const set = connection.setLocalDescription.bind(connection);
			connection.setLocalDescription = async (...description) => {
				// The page stores what it sends meanwhile, once a second.
				await new Promise((resolve) => { setTimeout(resolve, 2500); });
				return set(...description);
			};
		});
		const { reinvites } = call.far;
		await call.tab.click('hold');
		await until('the far end to be asked', () => call.far.reinvites > reinvites);
		await call.tab.up(1, 'held');
		await call.tab.page.reload();
		await call.tab.up(1, 'held');
		await call.tab.click('hold');
		await call.tab.up();
		await call.talks();
		await call.endsBy('page');
	});

	for (const [role, by] of [['caller', 'page'], ['callee', 'far']]) {
		test(`${library}, ${role}: audio and video, reloaded`, async () => {
			const kinds = ['audio', 'video'];
			const call = await WebCall.up(stack, browser, { library, role, query: '?video', kinds });
			await call.tab.page.reload();
			await call.back({ kinds });
			await call.endsBy(by);
		});
	}

	for (const role of ['caller', 'callee']) {
		for (const [what, { off, on }] of Object.entries(switchedOff)) {
			test(`${library}, ${role}: reloaded with ${what}`, async () => {
				const call = await WebCall.up(stack, browser, { library, role, query: '?video', kinds: ['audio', 'video'] });
				const { page } = call.tab;
				await off(call.tab);
				await call.far.hearsSilence();
				const { loud } = call.far.rtp.audio;
				await page.addInitScript(noteTracks);
				await page.reload();
				await call.tab.up();
				await call.far.hearsSilence();
				assert.equal(call.far.rtp.audio.loud, loud, 'not a sound of the page since');
				assert.deepEqual(await page.evaluate(() => [...window.first, ...window.tracks()]), Array(2).fill(['audio off', 'video off']).flat());
				// It comes back as often as it likes.
				await page.reload();
				await call.tab.up();
				assert.deepEqual(await page.evaluate(() => window.tracks()), ['audio off', 'video off']);
				await on(call.tab);
				await call.talks({ kinds: ['audio', 'video'] });
				await page.reload();
				await call.tab.up();
				assert.deepEqual(await page.evaluate(() => window.tracks()), ['audio on', 'video on']);
				await call.endsBy('page');
			});
		}

		test(`${library}, ${role}: reloaded while the screen is shared`, { skip: FIREFOX && 'a user has to choose the screen' }, async () => {
			const call = await WebCall.up(stack, browser, { library, role, query: '?video', kinds: ['audio', 'video'] });
			const { page } = call.tab;
			const media = () => call.far.media.map(({ kind, direction }) => `${kind} ${direction}`).join();
			const shows = () => page.evaluate(() => window.connections.at(-1).getSenders()
				.filter(({ track }) => track?.kind === 'video').map(({ track }) => track.getSettings().displaySurface));
			await call.tab.click('screen');
			await until('the screen to be shared', async () => (await shows())[0]);
			await page.addInitScript(noteTracks);
			for (let lives = 1; lives <= 3; lives += 2) {
				await page.reload();
				await call.back({ lives });
				assert.deepEqual(await page.evaluate(() => window.captured), ['audio']);
				assert.match(await call.tab.line(), /Your screen is not shared any more/);
				assert.equal(media(), 'audio sendrecv,video recvonly');
				const { received } = call.far.rtp.video;
				await call.far.hears();
				assert.equal(call.far.rtp.video.received, received, 'packets with video');
				// Again, by a click.
				if (lives > 1) break;
				await call.tab.click('screen');
				await call.talks({ kinds: ['audio', 'video'] });
				assert.deepEqual(await shows(), ['monitor']);
			}
			// Nothing is shared now.
			await page.reload();
			await call.back({ lives: 4 });
			assert.doesNotMatch(await call.tab.line(), /screen/);
			await call.endsBy('page');
		});
	}

	// The page wants video, and its far end did not until it had nothing of it any more.
	test(`${library}: reloaded after the far end has offered video, which the page does not send, and on hold`, async (t) => {
		stack.echo.video = false;
		t.after(() => { stack.echo.video = true; });
		const call = await WebCall.up(stack, browser, { library, query: '?video' });
		stack.echo.video = true;
		assert.equal((await call.far.reinvite()).status, 200);
		assert.ok(call.far.rtp.video, 'the page has taken video');
		await call.talks();
		const { page } = call.tab;
		await page.addInitScript(() => {
			const { mediaDevices } = navigator;
			const capture = mediaDevices.getUserMedia.bind(mediaDevices);
			mediaDevices.getUserMedia = (constraints) => {
				if (constraints.video) window.camera = true;
				return capture(constraints);
			};
		});
		await page.reload();
		await call.back();
		assert.equal(await page.evaluate(() => window.camera), undefined, 'the camera');
		const media = () => call.far.media.map(({ kind, direction }) => `${kind} ${direction}`).join();
		assert.equal(media(), 'audio sendrecv,video recvonly');
		await call.tab.click('hold');
		await call.far.hearsSilence();
		await page.reload();
		await call.tab.up(1, 'held');
		assert.equal(media(), 'audio sendonly,video inactive');
		await call.tab.click('hold');
		await call.tab.up();
		await call.talks();
		assert.equal(media(), 'audio sendrecv,video recvonly');
		assert.equal(await page.evaluate(() => window.camera), undefined, 'the camera');
		assert.equal(call.far.rtp.video.received, 0, 'packets with video at the far end');
		await call.endsBy('page');
	});

	test(`${library}: audio and video, reloaded on hold`, async () => {
		const kinds = ['audio', 'video'];
		const call = await WebCall.up(stack, browser, { library, query: '?video', kinds });
		await call.tab.click('hold');
		await call.far.hearsSilence();
		await call.tab.page.reload();
		await call.tab.up(1, 'held');
		await call.far.hearsSilence();
		await call.tab.click('hold');
		await call.tab.up();
		await call.talks({ kinds });
		await call.endsBy('far');
	});

	test(`${library}: reloaded when the portal is asked too often`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		const { page } = call.tab;
		let asked = 0;
		await page.route('**/session', (route) => {
			if (asked++ >= 2) return route.continue();
			return route.fulfill({ status: 429, headers: { 'Retry-After': '1' }, json: { error: 'Too many requests, try later' } });
		});
		await page.reload();
		await call.back();
		assert.ok(asked > 2);
		await call.endsBy('far');
	});

	test(`${library}: a call that was stored by the user's name alone comes back, and has the domain then`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		const { page } = call.tab;
		const back = page.url();
		await page.goto(`${stack.web.url}/examples/view.js`);
		await page.evaluate(async () => {
			const [[name], [value]] = [await window.inDatabase('readonly', (calls) => calls.getAllKeys()), await window.inDatabase('readonly', (calls) => calls.getAll())];
			await window.inDatabase('readwrite', (calls) => { calls.delete(name); return calls.put(value, name.replace(/@[^ ]*/, '')); });
			localStorage.clear();
		});
		assert.match((await call.tab.stored()).join(), /^call-resume alice [^ ]*$/);
		await page.goto(back);
		await call.back();
		assert.match((await call.tab.stored()).join(), /^(call-resume alice@[^ ,]+ [^ ,]+(,|$)){2}$/);
		await call.endsBy('page');
	});

	test(`${library}: two calls, one of them held, reloaded`, async () => {
		const held = await WebCall.up(stack, browser, { library });
		const { tab } = held;
		await tab.click('hold');
		await held.far.hearsSilence();
		const call = await WebCall.up(stack, browser, { library, role: 'callee', tab });
		await tab.page.reload();
		const states = await until('both calls', async () => {
			const now = await tab.states();
			return now.includes('up') && now.includes('held') && now;
		});
		await Promise.all([call.far.hears(), stack.audio(call.far.id), held.far.hearsSilence()]);
		await tab.click('hold', states.indexOf('held'));
		await tab.up(2);
		for (const each of [call, held]) await Promise.all([each.far.hears(), stack.audio(each.far.id)]);
		for (const nth of [1, 2]) await tab.hears({ nth });
		assert.equal(await call.far.hangUp().then((m) => m.status), 200);
		await tab.up(1);
		await held.endsBy('page');
	});
}
