// SPDX-License-Identifier: GPL-2.0-or-later
// What axe-core finds in each state of the softphone, on a desktop and on a phone, light and dark: nothing.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { ROOT } from '../lib/kamailio.mjs';
import { states } from '../lib/softphone-states.mjs';
import { Phone, softphoneTests } from '../lib/softphone.mjs';
import { stack, webTests } from '../lib/webtests.mjs';

webTests('browser-softphone-axe');
softphoneTests();

const AXE = fs.readFileSync(path.join(ROOT, 'tests/browser/node_modules/axe-core/axe.min.js'), 'utf8');
const ALL = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const LOOKS = [
	{ name: 'desktop, light', width: 1180, height: 760, colorScheme: 'light', runOnly: ALL },
	{ name: 'phone, dark', width: 360, height: 640, colorScheme: 'dark', runOnly: ALL },
	// What a colour or a width can change.
	{ name: 'desktop, dark', width: 1180, height: 760, colorScheme: 'dark', runOnly: { type: 'rule', values: ['color-contrast'] } },
	{ name: 'phone, light', width: 360, height: 640, colorScheme: 'light', runOnly: { type: 'rule', values: ['color-contrast', 'target-size'] } },
];

const axe = (page, runOnly) => page.evaluate(async (only) => {
	const { violations } = await window.axe.run({ runOnly: only, resultTypes: ['violations'] });
	return violations.map(({ id, nodes }) => `${id}: ${nodes.map((one) => `${one.target.join(' ')} ${one.any[0]?.message ?? ''}`).join(', ')}`);
}, runOnly);

test('axe finds nothing in any state', async () => {
	const phone = await Phone.open();
	const { page } = phone;
	const found = [];
	for await (const state of states(phone, stack, () => Phone.open())) {
		if (!await page.evaluate(() => !!window.axe)) await page.evaluate(AXE);
		for (const { name, width, height, colorScheme, runOnly } of LOOKS) {
			await page.setViewportSize({ width, height });
			await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
			for (const what of await axe(page, runOnly)) found.push(`${state}, ${name}: ${what}`);
			const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
			if (over > 0) found.push(`${state}, ${name}: ${over} pixels wider than the window`);
		}
	}
	assert.deepEqual(found, []);
});
