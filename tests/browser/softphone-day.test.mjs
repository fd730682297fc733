// SPDX-License-Identifier: GPL-2.0-or-later
// What a day with the softphone needs besides calls: devices, notifications, the list of calls, video in the middle of a
// call, the keyboard, and that it can be installed.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FIREFOX } from '../lib/browser.mjs';
import { Phone, softphoneTests } from '../lib/softphone.mjs';
import { DOMAIN } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-softphone-day', FIREFOX ? {} : { chromium: { args: ['--use-fake-device-for-media-stream=device-count=2'] } });
softphoneTests();

/** What the page sends of a kind: the label of its device, and whether it is switched on. */
const sent = (phone, kind = 'audio') => phone.page.evaluate((wanted) => {
	const track = window.connections.at(-1).getSenders().map((s) => s.track).find((t) => t?.kind === wanted && t.readyState === 'live');
	return track && { label: track.label, enabled: track.enabled };
}, kind);

const line = (phone, name = 'echo') => phone.call(name).locator('.line');
const reads = (phone, what) => until(`the page to say ${what}`, async () => what.test(await line(phone).textContent()))
	.catch(async (e) => { throw new Error(`${e.message}, and not "${await line(phone).textContent()}"`); });

// ---- devices --------------------------------------------------------------

test('a microphone that is chosen in a call is used at once, muted as before, and after a reload', { skip: FIREFOX && 'it draws one microphone only' }, async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	await phone.click('echo', 'mute');
	const { label } = await sent(phone);
	await phone.page.click('#settings-open');
	const options = phone.page.locator('#audioinput option');
	await options.nth(1).waitFor({ state: 'attached' });
	const other = (await options.allTextContents()).slice(1).find((text) => text !== label && !label.includes(text));
	assert.ok(other, 'another microphone');
	await phone.page.selectOption('#audioinput', { label: other });
	await until('the other microphone', async () => (await sent(phone))?.label === other);
	assert.equal((await sent(phone)).enabled, false, 'muted as before');
	await phone.page.click('#settings .go');
	await phone.click('echo', 'mute');
	await phone.tab.hears();
	await phone.reload();
	await phone.up('echo');
	await phone.tab.hears();
	assert.equal((await sent(phone)).label, other);
	await phone.click('echo', 'hangup');
	await phone.gone();
});

test('loudspeaker and volume are what was chosen, also of the next call', { skip: FIREFOX && 'tells of one loudspeaker only' }, async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	await phone.page.click('#settings-open');
	await phone.page.locator('#audiooutput option').nth(1).waitFor({ state: 'attached' });
	const [, id] = await phone.page.locator('#audiooutput option').evaluateAll((all) => all.map((one) => one.value));
	await phone.page.selectOption('#audiooutput', id);
	await phone.page.fill('#volume', '40');
	const sounds = () => phone.page.locator('#sounds audio').evaluate((audio) => [audio.sinkId, audio.volume]);
	await until('the other loudspeaker', async () => `${await sounds()}` === `${[id, 0.4]}`);
	await phone.page.click('#settings .go');
	await phone.click('echo', 'hangup');
	await phone.gone();
	await phone.reload();
	await phone.registered();
	await phone.dialled('echo');
	await until('it again', async () => `${await sounds()}` === `${[id, 0.4]}`);
	await phone.click('echo', 'hangup');
	await phone.gone();
});

test('a microphone that is unplugged is replaced, or the page says that nothing is heard', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	await phone.tab.hears();
	// What a browser does then: the track is silent and tells that it has ended.
	const unplug = () => phone.page.evaluate(() => {
		const track = window.connections.at(-1).getSenders().map((s) => s.track).find((t) => t?.kind === 'audio');
		track.stop();
		track.dispatchEvent(new Event('ended'));
	});
	await unplug();
	await reads(phone, /^The microphone was unplugged\. Now it is: .+\.$/);
	await phone.tab.hears();
	await phone.page.evaluate(() => {
		const { mediaDevices } = navigator;
		window.plugIn = mediaDevices.getUserMedia;
		mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'));
	});
	await unplug();
	await reads(phone, /^The microphone was unplugged\. The other side cannot hear you\./);
	assert.match(await phone.page.locator('#alarm').textContent(), /cannot hear you/);
	await phone.page.evaluate(() => {
		navigator.mediaDevices.getUserMedia = window.plugIn;
		navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
	});
	await reads(phone, /^The microphone was unplugged\. Now it is/);
	await phone.tab.hears();
	await phone.click('echo', 'hangup');
	await phone.gone();
});

for (const [name, says] of [
	['NotReadableError', 'The microphone or camera is in use by another program.'],
	['NotFoundError', 'The microphone or camera is not there any more.'],
	['NotAllowedError', 'This page is not allowed to use the microphone or camera.'],
]) {
	test(`${name}: the page says what is true`, async () => {
		const phone = await Phone.signedIn();
		await phone.page.evaluate((what) => {
			navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', what));
		}, name);
		await phone.dial('echo');
		await phone.says('echo', new RegExp(`^${says}$`));
		const primary = phone.call('echo').locator('.buttons .go:visible');
		assert.deepEqual(await primary.allInnerTexts(), ['Call again']);
		await phone.click('echo', 'close');
		await phone.gone();
	});
}

// ---- video ----------------------------------------------------------------

test('a camera that the browser gives when the call is on hold by then is let go', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('100');
	// As long as the user thinks about it.
	await phone.page.evaluate(() => {
		const { mediaDevices } = navigator;
		const capture = mediaDevices.getUserMedia.bind(mediaDevices);
		mediaDevices.getUserMedia = async (what) => {
			if (!what.video) return capture(what);
			await new Promise((go) => { window.allow = go; });
			return window.given = await capture(what);
		};
	});
	await phone.click('100', 'camera');
	await until('the browser to ask', () => phone.page.evaluate(() => !!window.allow));
	await phone.dialled('200');
	await phone.says('100', /^On hold$/);
	await phone.page.evaluate(() => window.allow());
	await until('the camera to be let go', () => phone.page.evaluate(() => window.given?.getTracks().every(({ readyState }) => readyState === 'ended')));
	for (const name of ['200', '100']) await phone.click(name, 'hangup');
	await phone.gone();
});

test('video is started in a call, comes back after a reload, and is stopped', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	await phone.tab.hears();
	await phone.click('echo', 'camera');
	await phone.call('echo').locator('video.far:visible').waitFor();
	await phone.tab.hears({ kind: 'video' });
	const call = stack.echo.last;
	await call.hears('video');
	await phone.reload();
	await phone.up('echo');
	await phone.call('echo').locator('video.far:visible').waitFor();
	await phone.tab.hears({ kind: 'video' });
	await phone.tab.hears();
	await phone.click('echo', 'camera');
	await phone.call('echo').locator('video.own').waitFor({ state: 'hidden' });
	assert.equal(await sent(phone, 'video'), undefined, 'the camera is off');
	await until('the far end to know', () => call.media.find(({ kind }) => kind === 'video')?.direction !== 'sendrecv');
	await phone.tab.hears();
	await phone.reload();
	await phone.up('echo');
	await phone.tab.hears();
	assert.equal(await sent(phone, 'video'), undefined, 'the camera is off after a reload');
	await phone.click('echo', 'camera');
	await phone.call('echo').locator('video.own:visible').waitFor();
	await phone.tab.hears({ kind: 'video' });
	await phone.click('echo', 'hangup');
	await phone.gone();
	await stack.noMedia();
});

for (const [what, refuse] of [['takes none', (call) => { call.phone.video = false; }], ['refuses the offer', (call, reply) => {
	stack.echo.answer = (m) => !(m.method === 'INVITE' && m.tag('to') && m.body.includes('m=video')) || (m.answer(reply(m, 488, 'Not Acceptable Here')), false);
}]]) {
	test(`video that the other side ${what} is said to be, and the call goes on`, async () => {
		const { replyTo } = await import('../lib/sip.mjs');
		const phone = await Phone.signedIn();
		await phone.dialled('echo');
		try {
			refuse(stack.echo.last, replyTo);
			await phone.click('echo', 'camera');
			await reads(phone, /^The other side takes no video\.$/);
		} finally {
			stack.echo.video = true;
		}
		assert.equal(await sent(phone, 'video'), undefined, 'the camera is off');
		await phone.tab.hears();
		await phone.click('echo', 'hold');
		await phone.says('echo', /^On hold$/);
		await phone.click('echo', 'hold');
		await phone.says('echo', /^$/);
		await phone.tab.hears();
		await phone.click('echo', 'hangup');
		await phone.gone();
	});
}

// ---- the list of calls ----------------------------------------------------

test('the list has date and duration of each call, calls again, is each user\'s own, and can be cleared', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	await until('two seconds', async () => await phone.seconds('echo') >= 2);
	await phone.click('echo', 'hangup');
	await phone.gone();
	await phone.dial('999');
	await phone.call('999', 'over').waitFor();
	await phone.click('999', 'close');
	const missed = stack.echo.call('alice').catch(() => {});
	await phone.click('echo', 'reject');
	await missed;
	const rows = phone.page.locator('#recent li button');
	await until('three calls', async () => await rows.count() === 3);
	const labels = await rows.evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')));
	const year = new RegExp(`${new Date().getFullYear()}`);
	assert.match(labels[0], /^Call echo\. Called you .*, not answered$/);
	assert.match(labels[1], /^Call 999\. You called .*, not answered$/);
	assert.match(labels[2], /^Call echo\. You called .*, [2-5]\ss$/);
	for (const label of labels) assert.match(label, year);
	await phone.reload();
	await until('three calls', async () => await rows.count() === 3);
	await rows.nth(2).click();
	await phone.up('echo');
	await phone.click('echo', 'hangup');
	await phone.gone();
	await until('four calls', async () => await rows.count() === 4);
	await phone.page.click('#recent-clear');
	await phone.page.click('#clear [value=keep]');
	assert.equal(await rows.count(), 4);
	await phone.page.click('#recent-clear');
	await phone.page.click('#clear [value=clear]');
	await phone.page.locator('#recent').waitFor({ state: 'hidden' });
	assert.equal(await phone.page.evaluate((name) => localStorage.getItem(name), `softphone history alice@${DOMAIN}`), null);
});

// ---- being told -----------------------------------------------------------

/** Remember the page's notifications, and what the browser tells of each. */
function noteNotifications() {
	window.told = [];
	window.Notification = class extends Notification {
		constructor(...how) {
			super(...how);
			this.events = [];
			for (const event of ['show', 'error', 'close']) this.addEventListener(event, () => this.events.push(event));
			window.told.push(this);
		}
	};
}

test('a call is told by a notification when another window is in front; the permission is asked for by a click', async () => {
	const phone = await Phone.signedIn();
	await browser.asksForNotifications();
	await phone.page.addInitScript(noteNotifications);
	await phone.reload();
	await phone.registered();
	const told = (what) => until(`notifications: ${what}`, async () => String(await phone.page.evaluate(() => (
		window.told.map(({ title, body, events }) => `${title}: ${body} ${events.join(' ')}`)))) === what);
	await phone.page.locator('#notify:visible').waitFor();
	await browser.allowNotifications(stack.web.url);
	await phone.page.click('#notify-yes');
	await phone.page.locator('#notify').waitFor({ state: 'hidden' });
	let calling = stack.echo.call('alice').catch(() => {});
	await phone.call('echo', 'incoming').waitFor();
	await told('');
	await phone.click('echo', 'reject');
	await calling;
	await phone.gone();
	await phone.tab.putBehind();
	calling = stack.echo.call('alice').catch(() => {});
	await told('Incoming call: echo show');
	await phone.call('echo').locator('[data-do=reject]').evaluate((button) => button.click()); // and not by a pointer, which would bring it to the front
	await told('Incoming call: echo show close');
	await calling;
	await phone.gone();
	calling = stack.echo.call('alice').catch(() => {});
	await told('Incoming call: echo show close,Incoming call: echo show');
	// What the browser shows only a user can click.
	await phone.page.evaluate(() => window.told[1].dispatchEvent(new Event('click')));
	assert.equal(await phone.page.evaluate(() => document.activeElement.dataset.state), 'incoming');
	await told('Incoming call: echo show close,Incoming call: echo show close');
	await phone.click('echo', 'answer');
	await phone.up('echo');
	await calling;
	await phone.click('echo', 'hangup');
	await phone.gone();
});

// ---- the keyboard ---------------------------------------------------------

test('a call with the keyboard alone: what the focus is on is always to be seen, and said', async () => {
	const phone = await Phone.signedIn();
	const { page } = phone;
	/** Tab until something of that name has the focus. */
	const tabTo = async (name) => {
		for (let i = 0; i < 40; i++) {
			await page.keyboard.press('Tab');
			const now = await page.evaluate(() => {
				const { activeElement: e } = document;
				return { name: e.getAttribute('aria-label') ?? e.innerText?.trim(), seen: !!e.getClientRects().length };
			});
			if (now.name === name && now.seen) return;
		}
		throw new Error(`no ${name} by Tab`);
	};
	const focus = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.id);
	const said = (where, what) => until(`${what} to be said`, async () => what.test(await page.locator(`#${where}`).textContent()));

	await page.focus('#number');
	const calling = stack.echo.call('alice');
	await said('alarm', /^Incoming call from echo$/);
	assert.equal(await focus(), 'Incoming call from echo');
	await page.keyboard.press('Enter'); // whoever was typing has not answered
	assert.equal(await phone.call('echo', 'incoming').count(), 1);
	await tabTo('Answer');
	await page.keyboard.press('Enter');
	await phone.up('echo');
	await said('say', /^Connected with echo$/);
	assert.equal(await focus(), 'Call with echo');
	await calling;
	await tabTo('Mute');
	await page.keyboard.press('Space');
	await phone.says('echo', /^Muted$/);
	await page.keyboard.press('Space');
	await phone.says('echo', /^$/);
	await tabTo('Keypad');
	await page.keyboard.press('Enter');
	await page.keyboard.type('42');
	assert.equal(await phone.call('echo').locator('.digits').textContent(), '42');
	await page.keyboard.press('Escape');
	assert.equal(await phone.call('echo').locator('.pad').isVisible(), false);
	assert.equal(await page.evaluate(() => document.activeElement.dataset.do), 'pad');
	await tabTo('Transfer');
	await page.keyboard.press('Enter');
	assert.equal(await page.evaluate(() => document.activeElement.closest('form')?.getAttribute('aria-label')), 'Transfer this call');
	await page.keyboard.press('Escape');
	assert.equal(await page.evaluate(() => document.activeElement.dataset.do), 'transfer');
	await phone.reload();
	await phone.up('echo');
	await said('say', /^You are back in the call$/);
	await tabTo('Hang up');
	await page.keyboard.press('Enter');
	await phone.gone();
	await said('say', /^Call ended$/);
	// Not in a field where the pointer is none of a mouse's, as headless Firefox has it.
	assert.equal(await focus(), await page.evaluate(() => matchMedia('(pointer: fine)').matches) ? 'number' : 'Dial');
	await page.focus('#number');
	await page.keyboard.type('echo');
	await page.keyboard.press('Enter');
	await phone.up('echo');
	await phone.click('echo', 'hangup');
	await phone.gone();
});

// ---- installed ------------------------------------------------------------

test('the page can be installed: a browser finds nothing that is missing', { skip: FIREFOX && 'does not install pages' }, async () => {
	const phone = await Phone.signedIn();
	const devtools = await browser.context.newCDPSession(phone.page);
	const { url, errors, data } = await devtools.send('Page.getAppManifest');
	assert.match(url, /softphone\.webmanifest$/);
	assert.deepEqual(errors, []);
	const manifest = JSON.parse(data);
	for (const { src, sizes } of manifest.icons) {
		const size = await phone.page.evaluate(async (path) => {
			const image = new Image();
			image.src = path;
			await image.decode();
			return `${image.naturalWidth}x${image.naturalHeight}`;
		}, src);
		if (sizes !== 'any') assert.equal(size, sizes, src);
	}
	const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
	// The context of a test is as private as an incognito window, which installs nothing.
	assert.deepEqual(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito'), []);
	assert.equal(await phone.page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0, 'nothing serves old code');
});
