// SPDX-License-Identifier: GPL-2.0-or-later
//
// The softphone in all its states, as pictures: desktop and phone, light and dark, in build/screenshots; those that
// docs/softphone.md shows in docs/.

import fs from 'node:fs';
import path from 'node:path';

import { Browser } from '../tests/lib/browser.mjs';
import { ROOT } from '../tests/lib/kamailio.mjs';
import { states } from '../tests/lib/softphone-states.mjs';
import { Phone } from '../tests/lib/softphone.mjs';
import { WebStack } from '../tests/lib/webstack.mjs';

const LOOKS = {
	desktop: { viewport: { width: 1180, height: 760 }, colorScheme: 'light' },
	'desktop-dark': { viewport: { width: 1180, height: 760 }, colorScheme: 'dark' },
	phone: { viewport: { width: 390, height: 760 }, colorScheme: 'light' },
	'phone-dark': { viewport: { width: 390, height: 760 }, colorScheme: 'dark' },
	narrow: { viewport: { width: 360, height: 640 }, colorScheme: 'light' },
};
/** State and look of each picture of the documentation. */
const DOCUMENTED = {
	'softphone-desktop': ['two-calls', 'desktop'],
	'softphone-phone': ['back', 'phone-dark'],
	'softphone-incoming': ['incoming', 'phone'],
	'softphone-video': ['video', 'desktop-dark'],
	'softphone-resuming': ['resuming', 'phone'],
	'softphone-failed': ['failed-to-resume', 'phone'],
	'softphone-transfer': ['transfer', 'phone-dark'],
	'softphone-settings': ['settings', 'phone'],
};
const wanted = process.argv.slice(2);
const dir = path.join(ROOT, 'build/screenshots');
fs.mkdirSync(dir, { recursive: true });

const stack = await WebStack.start('screenshots');
const browser = await Browser.start();
try {
	const phone = await Phone.open(stack.web.url, browser);
	for await (const state of states(phone, stack, () => Phone.open(stack.web.url, browser))) {
		for (const [look, { viewport, colorScheme }] of Object.entries(LOOKS)) {
			if (wanted.length && !wanted.includes(look)) continue;
			await phone.page.setViewportSize(viewport);
			await phone.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
			const file = path.join(dir, `${state}-${look}.png`);
			await phone.page.screenshot({ path: file });
			for (const [name, of] of Object.entries(DOCUMENTED)) if (`${of}` === `${[state, look]}`) fs.copyFileSync(file, path.join(ROOT, 'docs', `${name}.png`));
		}
		console.log(state);
	}
} finally {
	await browser.close();
	await stack.stop();
}
