// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of a file share: one stack, and one Chromium, in which each test has a
// browser of its own.

import { after, afterEach, before, beforeEach } from 'node:test';

import { Browser } from './browser.mjs';
import { WebStack } from './webstack.mjs';

export let stack;
export let chromium; // of all tests: another() makes one more browser
export let browser; // of this test: without a past, and closed after it

/**
 * To be called once in a file. What is not there in a before() of the file is there in its
 * beforeEach(): Node.js begins one before() while another is under way.
 * @param options   see Stack.start()
 * @param chromium  see Browser.start()
 */
export function webTests(name, { chromium: how, ...options } = {}) {
	before(async () => {
		stack = await WebStack.start(name, options);
		chromium = await Browser.start(how);
	});
	after(async () => {
		await chromium?.close();
		await stack?.stop();
	});
	beforeEach(async () => {
		browser = await chromium.another();
	});
	afterEach(async () => {
		await browser.close();
		await stack.dropMedia();
	});
}

/** The test goes on with another browser, which is closed after it; the one so far is the caller's. */
export function goOnIn(other) {
	browser = other;
	return other;
}
