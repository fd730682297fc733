// SPDX-License-Identifier: GPL-2.0-or-later
// The softphone in each state that it can be in, one after the other: for what has to be true in all of them.

import { replyTo } from './sip.mjs';
import { DOMAIN } from './stack.mjs';
import { until } from './wait.mjs';

const YESTERDAY = 86_400_000;

/** A list of calls as the page keeps it. */
function history(now) {
	const of = (name, minutes, more) => ({ name, number: name, address: name, at: now - minutes * 60_000, ...more });
	return [
		of('carol', 12, { seconds: 184 }), of('+49 30 901820', 47, { incoming: true, missed: true }), of('bob', 95, { incoming: true, seconds: 22 }),
		of('echo', 100), of('dave@sip.example', 300, { seconds: 1440 }), of('conference', 320, { seconds: 3012 }),
		of('carol', YESTERDAY / 60_000, { seconds: 61 }), of('bob', 3 * YESTERDAY / 60_000, { seconds: 900 }),
	];
}

/**
 * @param phone  the page, before it is signed in
 * @param stack  with an Echo
 * @param another  () => another Phone of the same browser
 * @yields {string} the state's name
 */
export async function* states(phone, stack, another) {
	const { page } = phone;
	const { echo } = stack;
	const rings = new Set();
	echo.answer = (m, call) => {
		const user = m.start.match(/^INVITE sip:([^@;]+)@/)?.[1];
		if (call || m.method !== 'INVITE') return m.method !== 'CANCEL' || cancelled(m);
		if (user === 'nobody') return m.answer(replyTo(m, 404, 'Not Found')), false;
		if (user !== 'dave') return true;
		rings.add(m);
		return m.answer(replyTo(m, 180, 'Ringing', { to: `${m.get('to')};tag=rings` })), false;
	};
	const cancelled = (m) => {
		m.answer(replyTo(m, 200, 'OK'));
		for (const invite of rings) invite.answer(replyTo(invite, 487, 'Request Terminated', { to: `${invite.get('to')};tag=rings` }));
		rings.clear();
		return false;
	};

	// Chromium denies notifications where others than these are granted.
	await page.context().clearPermissions();
	await page.reload();
	await page.locator('#sign-in button:enabled').waitFor();
	yield 'sign-in';
	await phone.signIn('alice', 'not this one');
	await page.locator('#sign-in-error:not(:empty)').waitFor();
	yield 'sign-in-refused';
	await page.evaluate(([name, list]) => localStorage.setItem(name, JSON.stringify(list)), [`softphone history alice@${DOMAIN}`, history(Date.now())]);
	await phone.signIn('alice', stack.passwords.alice);
	await phone.registered();
	await page.locator('#recent li').first().waitFor();
	await page.locator('#notify:visible').waitFor();
	yield 'notifications';
	await page.click('#notify-no');
	yield 'idle';
	await page.click('#recent-all');
	yield 'history';
	await page.click('#recent-clear');
	yield 'history-clear';
	await page.click('#clear [value=keep]');
	await page.click('#settings-open');
	await page.locator('#audioinput option:nth-child(2)').waitFor({ state: 'attached' });
	yield 'settings';
	await page.click('#settings .go');

	await phone.dial('dave');
	await phone.call('dave', 'ringing').waitFor();
	yield 'ringing';
	await phone.click('dave', 'hangup');
	await phone.gone();
	await phone.dial('nobody');
	await phone.call('nobody', 'over').waitFor();
	yield 'failed';
	await phone.click('nobody', 'close');

	const first = echo.call('alice').then((call) => call, () => undefined);
	await phone.call('echo', 'incoming').waitFor();
	yield 'incoming';
	await phone.click('echo', 'answer');
	await phone.up('echo');
	await phone.tab.hears();
	yield 'up';
	await phone.click('echo', 'pad');
	await page.keyboard.type('12#');
	yield 'keypad';
	await phone.click('echo', 'pad');
	await phone.click('echo', 'transfer');
	yield 'transfer';
	await page.keyboard.press('Escape');
	await (await first).request('REFER', { headers: [`Refer-To: <sip:carol@${DOMAIN}>`] });
	await phone.call('echo').locator('.ask:visible').waitFor();
	yield 'transfer-asked';
	await phone.click('echo', 'decline');
	await phone.click('echo', 'mute');
	await phone.click('echo', 'hold');
	await phone.says('echo', /^On hold · Muted$/);
	yield 'held';
	await phone.click('echo', 'mute');
	await phone.click('echo', 'hold');
	await phone.says('echo', /^$/);

	const second = echo.call('alice').catch(() => {});
	await phone.call('echo', 'incoming').waitFor();
	yield 'incoming-in-call';
	await page.locator('.call[data-state=incoming] [data-do=reject]').click();
	await second;
	await until('one call', async () => await page.locator('.call').count() === 1);
	if (!await page.locator('#dialer').isVisible()) await page.click('#add-call');
	yield 'add-call';
	await phone.dialled('carol');
	await phone.says('echo', /^On hold$/);
	yield 'two-calls';
	await phone.click('carol', 'transfer');
	yield 'transfer-attended';
	await page.keyboard.press('Escape');
	await phone.click('carol', 'hangup');
	await until('one call', async () => await page.locator('.call').count() === 1);
	await phone.click('echo', 'hold');
	await phone.says('echo', /^$/);

	let release;
	const released = new Promise((resolve) => { release = resolve; });
	await page.route('**/session', async (route) => {
		await released;
		await route.continue();
	}, { times: 1 });
	await page.reload({ waitUntil: 'commit' });
	await phone.call('echo', 'resuming').waitFor();
	yield 'resuming';
	release();
	await phone.up('echo');
	await until('how long it was away', async () => /^Back/.test(await phone.call('echo').locator('.line').textContent()));
	yield 'back';
	const window = await another();
	await window.call('echo', 'waiting').waitFor();
	await page.locator('#status[data-is=elsewhere]').waitFor();
	yield 'rings-elsewhere';
	await window.page.close();
	await phone.registered();
	await page.click('#sign-out');
	yield 'leave';
	await page.click('#leave [value=stay]');
	await phone.click('echo', 'hangup');
	await phone.gone();

	await page.fill('#number', 'video');
	await page.click('#video-call');
	await phone.up('video');
	await phone.call('video').locator('video.far:visible').waitFor();
	await phone.tab.hears({ kind: 'video' });
	yield 'video';
	// No microphone any more.
	await page.addInitScript(() => {
		navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'));
	});
	await page.reload();
	await phone.call('video', 'over').waitFor();
	yield 'failed-to-resume';
	await phone.click('video', 'close');
	await phone.gone();
}
