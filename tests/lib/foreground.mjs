// SPDX-License-Identifier: GPL-2.0-or-later
// make run and make cluster: what they print, and the page that they name.

import { until } from './wait.mjs';

/** @return {said()}: all that it has printed; it is ready */
export async function ready(run) {
	let text = '';
	for (const out of [run.stdout, run.stderr]) out.on('data', (chunk) => { text += chunk; });
	await until('its words', () => {
		if (run.exitCode !== null) throw Object.assign(new Error(text), { fatal: true });
		return text.includes('Ctrl-C ends everything.');
	}, { timeout_ms: 60000 });
	return () => text;
}

/** @return the softphone in a tab of a browser, with alice signed in */
export async function signedIn(browser, text) {
	const [, url] = text.match(/^The softphone: +(https:\S+)$/m);
	const [, password] = text.match(/user alice +password (\S+)/);
	const tab = await browser.open(url);
	tab.page.setDefaultTimeout(30000);
	await tab.page.fill('#user', 'alice');
	await tab.page.fill('#password', password);
	await tab.page.click('#sign-in button');
	await tab.page.locator('#status[data-is=on]').waitFor();
	return tab;
}
