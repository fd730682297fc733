// SPDX-License-Identifier: GPL-2.0-or-later
// Signing in to the softphone and out of it, its tabs, and what becomes of calls meanwhile.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { changeSession } from '../lib/browser.mjs';
import { Phone, softphoneTests } from '../lib/softphone.mjs';
import { DOMAIN } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-softphone-session');
softphoneTests();

test('a wrong password is refused, the right one opens the phone, and the name stays over a reload', async () => {
	const phone = await Phone.open();
	await phone.signIn('alice', 'not this one');
	await until('the refusal', async () => (await phone.page.locator('#sign-in-error').textContent()) === 'Wrong user or password.');
	await phone.page.fill('#password', stack.passwords.alice);
	await phone.page.click('#sign-in button');
	await phone.registered();
	assert.equal(await phone.page.locator('#status').innerText(), 'alice');
	await phone.reload();
	await phone.registered();
	assert.equal(await phone.page.locator('#sign-in').isVisible(), false);
});

test('what is typed before the scripts are here is not sent by the browser, and not lost', async () => {
	const phone = await Phone.open('about:blank');
	let release;
	const released = new Promise((resolve) => { release = resolve; });
	await phone.page.route('**/softphone.js', async (route) => {
		await released;
		await route.continue();
	});
	await phone.page.goto(stack.web.url, { waitUntil: 'commit' });
	await phone.page.fill('#user', 'alice');
	await phone.page.fill('#password', stack.passwords.alice);
	await phone.page.press('#password', 'Enter');
	await phone.page.click('#sign-in button', { force: true });
	release();
	await phone.page.click('#sign-in button');
	await phone.registered();
	assert.equal(phone.page.url(), `${stack.web.url}/`);
	assert.ok(!fs.readFileSync(stack.web.accessLog, 'utf8').includes('password='), 'no password in an address');
});

test('who gets another password is asked to sign in, without a reload', async () => {
	const phone = await Phone.signedIn('bob');
	stack.passwords.bob = stack.portal.add(`bob@${DOMAIN}`);
	await phone.page.locator('#sign-in:visible').waitFor();
	assert.equal(await phone.page.locator('#sign-in-why').textContent(), 'Your last session is over.');
	await phone.signIn('bob', stack.passwords.bob);
	await phone.registered();
});

test('who signs out leaves no call in the storage', async () => {
	const phone = await Phone.signedIn();
	await phone.tab.plant('alice', '{"state":"x"}');
	assert.equal((await phone.tab.stored()).length, 1);
	await phone.page.click('#sign-out');
	await phone.page.locator('#sign-in:visible').waitFor();
	assert.deepEqual(await phone.tab.stored(), []);
	assert.deepEqual(await browser.context.cookies(), []);
});

for (const library of ['jssip', 'plain-jssip', 'sipjs']) {
	test(`a link to the example page of ${library} fills the number in, and calls nobody`, async () => {
		const before = stack.echo.calls.length;
		const tab = await stack.signedIn(browser, library, { query: '?dial=666' });
		assert.equal(await tab.page.inputValue('#number'), '666');
		await tab.dial('echo');
		await tab.up();
		await until('the ACK', () => stack.echo.last.requests.length);
		assert.deepEqual(stack.echo.calls.slice(before).map((call) => call.requests[0].uri.split(/[:@]/)[1]), ['echo']);
		await tab.click('hangup');
		await stack.noMedia();
	});
}

test('a page of another origin that has opened it can neither send it elsewhere nor close it', async () => {
	await browser.context.route('https://other.test/**', (route) => route.fulfill({ contentType: 'text/html', body: '<title>other</title>' }));
	const { page: other } = await browser.open('https://other.test/');
	const [opened] = await Promise.all([browser.context.waitForEvent('page'), other.evaluate((url) => { window.phone = window.open(url); }, stack.web.url)]);
	await opened.locator('#sign-in:visible').waitFor();
	await other.evaluate(() => { window.phone.location = 'https://other.test/phone'; });
	await until('the opener to have no hold of it, or to send it elsewhere', async () => await other.evaluate(() => window.phone.closed) || opened.url().startsWith('https://other.test/'));
	await other.evaluate(() => window.phone.close());
	assert.equal(opened.isClosed(), false);
	assert.ok(opened.url().startsWith(`${stack.web.url}/`), opened.url());
	assert.equal(await opened.evaluate(() => window.opener), null);
});

test('a second tab says whose call is in the first one, and has it when that is closed', async () => {
	const first = await Phone.signedIn();
	await first.dialled('echo');
	const second = await Phone.signedIn();
	await second.call('echo', 'waiting').waitFor();
	assert.match(await second.text('echo'), /^This call is in another tab/);
	assert.equal(await second.page.locator('#dialer').isVisible(), true);
	await first.page.close();
	await second.up('echo');
	await second.tab.hears();

	// Once more; but now the call ends where it is.
	const third = await Phone.signedIn();
	await third.call('echo', 'waiting').waitFor();
	await second.click('echo', 'hangup');
	await third.gone();
});

test('calls ring in the tab that was in front last', async () => {
	const first = await Phone.signedIn();
	const second = await Phone.signedIn();
	const registrations = () => first.tab.frames(/^CSeq: \d+ REGISTER/m);
	const before = await registrations();
	// What a tab gets when it comes to the front; without a head all are in front.
	await first.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
	await until('it to register again', async () => await registrations() > before);
	const call = stack.echo.call('alice');
	await first.click('echo', 'answer');
	await first.up('echo');
	await call;
	assert.equal(await second.page.locator('.call').count(), 0);
	await first.click('echo', 'hangup');
	await first.gone();
});

test('of two windows the older one says that it does not ring, and does when the newer one is closed', async () => {
	// What is gone stays in the list for a while.
	const contact = async () => {
		const users = (await stack.kamailio.kamcmd('ul.dump')).split('AoR: ');
		return /Address: (\S+?);\S+\s+Expires: \d/.exec(users.find((one) => one.startsWith('alice@')))?.[1];
	};
	const first = await Phone.signedIn();
	const its = await contact();
	const second = await Phone.signedIn();
	await first.page.locator('#status[data-is=elsewhere]').waitFor();
	assert.equal(await first.page.locator('#status').innerText(), 'alice, rings in another window');
	assert.notEqual(await contact(), its);
	await second.page.close();
	await first.registered();
	// It says so when it has asked for that.
	await until('it to ring', async () => await contact() === its);
	const call = stack.echo.call('alice');
	await first.click('echo', 'answer');
	await first.up('echo');
	await call;
	await first.click('echo', 'hangup');
	await first.gone();
});

test('an older window does not take the ringing back when its registration would be renewed', async () => {
	const first = await Phone.open();
	await first.page.addInitScript(() => {
		const { setTimeout } = window;
		const late = [];
		window.setTimeout = (what, ms, ...args) => (ms > 100_000 ? late.push(what) : setTimeout(what, ms, ...args));
		window.minutesPass = () => late.splice(0).map((what) => what()).length;
	});
	await first.reload();
	await first.signIn('alice', stack.passwords.alice);
	await first.registered();
	const second = await Phone.signedIn();
	await first.page.locator('#status[data-is=elsewhere]').waitFor();
	assert.ok(await first.page.evaluate(() => window.minutesPass()) > 0);
	assert.equal(await first.page.locator('#status').getAttribute('data-is'), 'elsewhere');
	const call = stack.echo.call('alice');
	await second.click('echo', 'answer');
	await call;
	assert.equal(await second.page.locator('#status').getAttribute('data-is'), 'on');
	await second.click('echo', 'hangup');
	await second.gone();
});

test('the token is renewed before it expires', async () => {
	const phone = await Phone.open();
	await changeSession(phone.page, (told) => {
		window.asked = (window.asked ?? 0) + 1;
		return { ...told, expires: Date.now() / 1000 + (window.asked < 3 ? 2 : 3600) };
	});
	await phone.reload();
	await phone.signIn('alice', stack.passwords.alice);
	await phone.registered();
	await until('the page to have asked again', () => phone.page.evaluate(() => window.asked >= 3));
});

test('whose web session is over is asked to sign in, and gets to that after the call', async () => {
	const phone = await Phone.open();
	await changeSession(phone.page, (told) => ({ ...told, expires: Date.now() / 1000 + 3 }));
	await phone.reload();
	await phone.signIn('alice', stack.passwords.alice);
	await phone.dialled('echo');
	await browser.context.clearCookies();
	await until('the page to know', async () => (await phone.page.locator('#status').innerText()) === 'Signed out');
	await phone.tab.hears();
	await phone.click('echo', 'hangup');
	await phone.page.locator('#sign-in').waitFor();
	assert.equal(await phone.page.locator('#sign-in-why').textContent(), 'Your last session is over.');
	await stack.noMedia();
});

test('who signs out hangs up on a call that the library does not find any more', async () => {
	await browser.context.route('**/bundle/jssip.js', async (route) => {
		const response = await route.fetch();
		const text = await response.text();
		const body = text.replace(/this\._sessions\[(\w+)\.id\]=\1/, 'void 0');
		assert.notEqual(body, text);
		await route.fulfill({ response, body });
	});
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	const far = stack.echo.last;
	await far.hears();
	await phone.page.click('#sign-out');
	await phone.page.click('#leave [value=leave]');
	await until('the BYE', () => far.bye);
	await phone.page.locator('#sign-in').waitFor();
});

test('who signs out in a call is asked; then call, web session and names are gone', async () => {
	const phone = await Phone.signedIn('bob');
	await phone.dialled('echo');
	await phone.page.click('#sign-out');
	await phone.page.click('#leave [value=stay]');
	await phone.tab.hears();
	await phone.page.click('#sign-out');
	await phone.page.click('#leave [value=leave]');
	await phone.page.locator('#sign-in').waitFor();
	await stack.noMedia();
	assert.deepEqual(await phone.page.evaluate(() => Object.keys(localStorage)), []);
	assert.deepEqual(await browser.context.cookies(stack.web.url), []);
});
