// SPDX-License-Identifier: GPL-2.0-or-later
// One call of a page with the far end of echo.mjs, through the lives of the page.

import assert from 'node:assert/strict';

import { until } from './wait.mjs';

export class WebCall {
	/**
	 * A call that is up, with audio both ways.
	 * @param role  of the page: caller or callee
	 * @param tab   a page that is signed in, as user; without it a new tab of alice's
	 */
	static async up(stack, browser, { library, role = 'caller', query = '', tab, user = 'alice', kinds }) {
		const self = new WebCall();
		Object.assign(self, { stack, library, query, role });
		self.tab = tab ?? await stack.signedIn(browser, library, { query });
		const calls = (await self.tab.states()).length;
		self.far = role === 'caller' ? await self.#call() : await self.#beCalled(user, kinds);
		await self.tab.up(calls + 1, calls ? null : 'up');
		await self.talks({ kinds });
		return self;
	}

	async #call() {
		const { calls } = this.stack.echo;
		const before = calls.length;
		await this.tab.dial('echo');
		return until('the far end to be called', () => calls[before]);
	}

	async #beCalled(user, kinds) {
		const calling = this.stack.echo.call(user, { kinds });
		await this.tab.click('answer');
		return calling;
	}

	/** Media both ways: says the page, rtpengine, and the far end. */
	async talks({ kinds = ['audio'], nth } = {}) {
		await Promise.all([
			...kinds.flatMap((kind) => [this.tab.hears({ kind, nth }), this.far.hears(kind)]),
			this.stack.audio(this.far.id),
		]);
	}

	/** The page has its call again, with media; the far end got one re-INVITE for each life. */
	async back({ lives = 1, ...how } = {}) {
		await this.tab.up();
		await this.talks(how);
		assert.match(await this.tab.line(), /^Resumed, away for \d+ ms/);
		assert.equal(this.far.reinvites, lives);
	}

	/** Hang up; the other side hears of it, and nothing is left anywhere. */
	async endsBy(side) {
		if (side === 'far') {
			assert.equal((await this.far.hangUp()).status, 200);
		} else {
			await this.tab.click('hangup');
			await until('the BYE to reach the far end', () => this.far.bye);
		}
		await this.gone();
	}

	async gone() {
		await this.tab.up(0);
		await until('nothing in the storage', async () => (await this.tab.stored()).length === 0);
		await this.stack.noMedia();
	}
}
