// SPDX-License-Identifier: GPL-2.0-or-later
// Pages with a SIP password and no portal: digest authentication over secure WebSocket, and a web session that
// the page has named.

import assert from 'node:assert/strict';
import path from 'node:path';
import { afterEach, test } from 'node:test';

import { ROOT } from '../lib/kamailio.mjs';
import { DOMAIN, runFolder } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, chromium, stack, webTests } from '../lib/webtests.mjs';

const dir = runFolder('browser-password');
webTests('browser-password', { dir, defines: { WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${dir}/portal.sqlite"` } });

const LIBRARIES = ['jssip', 'sipjs'];
const REFUSED = /^You are not allowed to come back into this call/;
const NAME = `call-resume-session alice@${DOMAIN}`;

let other; // another browser
afterEach(async () => {
	await other?.close();
	other = undefined;
});

/** A tab that is registered; its helper is window.calls. */
async function signedIn(where, library, user = 'alice') {
	await where.context.route(`**/password-${library}.js`, async (route) => {
		const response = await route.fetch();
		const body = (await response.text()).replace('const calls =', 'const calls = window.calls =');
		return route.fulfill({ response, body });
	});
	const tab = await where.open(stack.page(`password-${library}`));
	await tab.signIn(`${user}@${DOMAIN}`, stack.passwords[user]);
	await tab.registered();
	return tab;
}

const inCall = async (library, how) => WebCall.up(stack, browser, { library, tab: await signedIn(browser, library), ...how });
const says = (tab, what) => until(`the page to say ${what}`, async () => what.test(await tab.line()));
const counter = async (name) => Number(/= (\d+)/.exec(await stack.kamailio.kamcmd('cnt.get', 'call_resume', name))?.[1]);
const useAccount = (tab, password) => tab.page.evaluate((one) => sessionStorage.setItem('account', JSON.stringify(one)), { user: `alice@${DOMAIN}`, password });
const name = (tab) => tab.page.evaluate((key) => localStorage.getItem(key), NAME);
const nameInDatabase = (tab) => tab.page.evaluate((key) => window.inDatabase('readonly', (calls) => calls.get(key)), NAME);

for (const library of LIBRARIES) {
	for (const [role, reloads, by] of [['caller', 2, 'page'], ['caller', 1, 'far'], ['callee', 2, 'far'], ['callee', 1, 'page']]) {
		test(`${library}, ${role}: ${reloads} reloads, then ${by === 'far' ? 'the far end' : 'the page'} hangs up`, async () => {
			const call = await inCall(library, { role });
			const session = await name(call.tab);
			assert.match(session, /^[\w.-]{1,64}$/);
			for (let lives = 1; lives <= reloads; lives++) {
				await call.tab.page.reload();
				await call.back({ lives });
			}
			assert.equal(await name(call.tab), session);
			await call.endsBy(by);
		});
	}

	test(`${library}: the page has the key of its states, and another browser of the user neither that nor the call`, async () => {
		const call = await inCall(library);
		const [{ role, peer }] = await call.tab.page.evaluate(() => window.calls.stored());
		assert.deepEqual([role, peer], ['caller', `sip:echo@${DOMAIN}`]);
		other = await chromium.another();
		const tab = await signedIn(other, library);
		assert.notEqual(await name(tab), await name(call.tab));
		await tab.plant(`alice@${DOMAIN}`, await call.tab.record());
		assert.deepEqual(await tab.page.evaluate(() => window.calls.stored()), []);
		await tab.page.reload();
		await says(tab, REFUSED);
		await until('nothing in the storage', async () => (await tab.stored()).length === 0);
		await call.talks();
		await call.endsBy('page');
	});

	test(`${library}: a wrong password says so and costs two guesses; the call stays, and is back with the right one`, async () => {
		const call = await inCall(library);
		const before = await counter('digest_wrong');
		await useAccount(call.tab, 'wrong');
		await call.tab.page.reload();
		await says(call.tab, /^The service does not accept the user name or the password\.$/);
		await until('the page to know that it is not registered', async () => /Authentication Error|Unauthorized/.test(await call.tab.page.title()));
		assert.equal((await call.tab.stored()).length, 2);
		assert.equal(await counter('digest_wrong'), before + 2);
		assert.notEqual(call.far.state, 'ended');
		assert.equal(call.far.reinvites, 0);
		await useAccount(call.tab, stack.passwords.alice);
		await call.tab.page.reload();
		await call.back();
		await call.endsBy('page');
	});

	test(`${library}: nginx is stopped and started, and the page registers again and goes on, also after a reload`, async () => {
		const call = await inCall(library);
		await stack.web.stop();
		await call.talks();
		await stack.web.boot();
		await until('the call to be refreshed', () => call.far.reinvites === 1, { timeout_ms: 40000 });
		await call.talks();
		await call.tab.page.reload();
		await call.back({ lives: 2 });
		await call.endsBy('far');
	});

	test(`${library}: the name is on the disk before the browser writes localStorage there; without it the states are lost`, async () => {
		const call = await inCall(library);
		const session = await name(call.tab);
		assert.equal(await nameInDatabase(call.tab), session);
		await call.tab.page.evaluate(() => localStorage.clear());
		await call.tab.page.reload();
		await call.back();
		assert.equal(await name(call.tab), session);
		await call.tab.page.evaluate(async (key) => {
			localStorage.removeItem(key);
			await window.inDatabase('readwrite', (calls) => calls.delete(key));
		}, NAME);
		await call.tab.page.reload();
		await says(call.tab, REFUSED);
		await until('nothing in the storage', async () => (await call.tab.stored()).length === 0);
		assert.notEqual(await name(call.tab), session);
		assert.equal((await call.far.hangUp()).status, 200);
		await stack.noMedia();
	});
}

test('two pages with passwords, reloaded at once', async () => {
	other = await chromium.another();
	const tabs = [await signedIn(browser, 'jssip'), await signedIn(other, 'sipjs', 'bob')];
	await tabs[0].dial('bob');
	await tabs[1].click('answer');
	const talk = async () => {
		for (const tab of tabs) await tab.up();
		await Promise.all(tabs.map((tab) => tab.hears()));
	};
	await talk();
	await Promise.all(tabs.map((tab) => tab.page.reload()));
	await talk();
	for (const tab of tabs) await says(tab, /^Resumed/);
	await tabs[1].click('hangup');
	for (const tab of tabs) {
		await tab.up(0);
		await until('nothing in the storage', async () => (await tab.stored()).length === 0);
	}
	await stack.noMedia();
});

test('a page with a user agent of each of two users: each call comes back in its own', async () => {
	await browser.context.route('**/examples/password-jssip.js', (route) => route.fulfill({ path: path.join(ROOT, 'tests/browser/pages/two-agents.js') }));
	const accounts = ['alice', 'bob'].map((user) => ({ user: `${user}@${DOMAIN}`, password: stack.passwords[user] }));
	await browser.context.addInitScript((all) => sessionStorage.setItem('accounts', all), JSON.stringify(accounts));
	const tab = await browser.open(stack.page('password-jssip'));
	await tab.registered();
	const one = await WebCall.up(stack, browser, { tab });
	const other = await WebCall.up(stack, browser, { tab, role: 'callee', user: 'bob' });
	const who = new Set((await tab.stored()).map((key) => key.split(' ')[1]));
	assert.deepEqual([...who].sort(), accounts.map(({ user }) => user));
	await tab.page.reload();
	await until('both to be back', async () => /^Resumed, .*: alice,bob$/.test(await tab.line()));
	await tab.up(2);
	for (const { far } of [one, other]) {
		await far.hears();
		assert.equal(far.reinvites, 1);
	}
	// The BYE of each goes to its own call.
	assert.equal((await other.far.hangUp()).status, 200);
	await tab.up(1);
	await tab.click('hangup');
	await until('the BYE to reach the far end', () => one.far.bye);
	await one.gone();
});
