// SPDX-License-Identifier: GPL-2.0-or-later
// The stack of a browser test: what stack.mjs has, with nginx, the portal, a user and
// an echo at the far end.

import { execFileSync } from 'node:child_process';
import path from 'node:path';

import { Echo } from './echo.mjs';
import { ROOT } from './kamailio.mjs';
import { DOMAIN, Stack, TRUNK_IP } from './stack.mjs';

export class WebStack extends Stack {
	/** As Stack.start(). @param echo  false: something else is the trunk */
	static async start(name, { echo = true, defines, ...options } = {}) {
		execFileSync(path.join(ROOT, 'tools/web'));
		// Each test signs in anew.
		const self = await super.start(name, { web: true, ...options, defines: { PORTAL_NEW_SESSIONS_MAX: 1000, ...defines } });
		self.passwords = {};
		for (const user of ['alice', 'bob']) self.passwords[user] = self.portal.add(`${user}@${DOMAIN}`);
		if (echo) self.echo = await Echo.open({
			ip: TRUNK_IP, port: self.trunkPort, video: true, to: { ip: self.kamailio.ip, port: self.kamailio.port },
		});
		return self;
	}

	/** Address of an example page. */
	page(library, query = '') {
		return `${this.web.url}/examples/${library}.html${query}`;
	}

	/** A tab with an example page, signed in and registered. */
	async signedIn(browser, library, { user = 'alice', query = '' } = {}) {
		const tab = await browser.open(this.page(library, query));
		await tab.signIn(user, this.passwords[user]);
		await tab.registered();
		return tab;
	}

	async stop() {
		this.echo?.close();
		await super.stop();
	}
}
