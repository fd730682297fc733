// SPDX-License-Identifier: GPL-2.0-or-later
// A far end that wants to send a page of SIP.js to somebody else (REFER): the library goes there by itself, with the
// microphone, where nobody says otherwise.

import assert from 'node:assert/strict';
import path from 'node:path';
import { beforeEach, test } from 'node:test';

import { ROOT } from '../lib/kamailio.mjs';
import { DOMAIN, runFolder } from '../lib/stack.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

const dir = runFolder('browser-strangers-refer');
webTests('browser-strangers-refer', { dir, defines: { WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${dir}/portal.sqlite"` } });

// As in manager.test.mjs.
beforeEach(() => browser.context.route('**/examples/session-manager.js', (route) => (route.request().frame().url().includes('?simple')
	? route.fulfill({ path: path.join(ROOT, 'tests/browser/pages/simple-user.js') })
	: route.continue())));

/** A tab with that example page, registered. */
async function registered(library, query) {
	const tab = await browser.open(stack.page(library, query));
	await tab.signIn(library.startsWith('password') ? `alice@${DOMAIN}` : 'alice', stack.passwords.alice);
	await tab.registered();
	return tab;
}

for (const [library, query = ''] of [['sipjs'], ['password-sipjs'], ['session-manager'], ['session-manager', '?simple']]) {
	for (const reloaded of [false, true]) {
		test(`${library}${query}${reloaded ? ', reloaded' : ''}: calls nobody because the far end says so`, async () => {
			const call = await WebCall.up(stack, browser, { library, query, tab: await registered(library, query) });
			if (reloaded) {
				await call.tab.page.reload();
				await call.back();
			}
			const before = stack.echo.calls.length;
			const { status } = await call.far.request('REFER', { headers: [`Refer-To: <sip:19005550000@${DOMAIN}>`] });
			// (What it accepts it has begun before it hears us again.)
			await call.talks();
			assert.deepEqual([status, stack.echo.calls.length - before], [603, 0]);
			await call.endsBy('page');
		});
	}
}
