// SPDX-License-Identifier: GPL-2.0-or-later
// The softphone in a tab, and what its tests look at besides: nothing goes to another origin, nothing is wrong in the console.

import assert from 'node:assert/strict';
import { afterEach, beforeEach } from 'node:test';

import { replyTo } from './sip.mjs';
import { until } from './wait.mjs';
import { browser, stack } from './webtests.mjs';

const open = [];
const foreign = [];

/** To be called once in a file, after webTests(). */
export function softphoneTests() {
	beforeEach(() => {
		// Nobody has this number.
		stack.echo.answer = (m) => !m.start.startsWith('INVITE sip:999@') || (m.answer(replyTo(m, 404, 'Not Found')), false);
	});
	afterEach(() => {
		const phones = open.splice(0);
		assert.deepEqual(foreign.splice(0), [], 'requests to other origins');
		const wrong = phones.flatMap((phone) => phone.tab.console).filter((line) => /^error: (?!Failed to load resource|(WebSocket|The) connection to|Firefox can.t establish a connection)|Refused|Content Security/.test(line));
		assert.deepEqual(wrong, [], 'errors in the console');
	});
}

/** The page in a tab. */
export class Phone {
	static async open(url = stack.web.url, where = browser) {
		const self = new Phone();
		self.tab = await where.open('about:blank');
		self.page = self.tab.page;
		self.page.setDefaultTimeout(30000);
		const own = stack?.web.url ?? new URL(url).origin; // without a test: of its caller's stack
		self.page.on('request', (r) => {
			if (!r.url().startsWith(`${own}/`)) foreign.push(r.url());
		});
		open.push(self);
		await self.page.goto(url);
		return self;
	}

	static async signedIn(user = 'alice', where = browser) {
		const self = await Phone.open(stack.web.url, where);
		await self.signIn(user, stack.passwords[user]);
		await self.registered();
		return self;
	}

	async signIn(user, password) {
		// A tab of the same browser is signed in already.
		await this.page.locator('#sign-in:visible, #status[data-is=on]').waitFor();
		if (!await this.page.locator('#sign-in').isVisible()) return;
		await this.page.fill('#user', user);
		await this.page.fill('#password', password);
		await this.page.click('#sign-in button');
	}

	registered() {
		return this.page.locator('#status[data-is=on]').waitFor();
	}

	/** The card of a call. */
	call(name, state) {
		return this.page.locator(`.call${state ? `[data-state=${state}]` : ''}`, { has: this.page.locator('.name', { hasText: name }) });
	}

	async up(name) {
		await this.call(name, 'up').waitFor().catch((e) => { throw new Error(`${e.message}\n${this.tab.console.join('\n')}`); });
	}

	async dial(number) {
		await this.page.fill('#number', number);
		await this.page.click('#call');
	}

	async dialled(number) {
		await this.dial(number);
		await this.up(number);
	}

	async click(name, what) {
		await this.call(name).locator(`[data-do=${what}]`).click();
	}

	async seconds(name) {
		const text = await this.call(name).locator('.timer').textContent();
		const [, m, s] = text.match(/(\d+):(\d\d)$/);
		return Number(m) * 60 + Number(s);
	}

	async reload() {
		await this.page.reload();
	}

	text(name) {
		return this.call(name).locator('.text').textContent();
	}

	says(name, what) {
		return until(`${name} to say ${what}`, async () => what.test(await this.text(name)));
	}

	async gone() {
		await until('no call in the page', async () => await this.page.locator('.call').count() === 0);
	}
}
