// SPDX-License-Identifier: GPL-2.0-or-later
// A page whose first hop is a proxy, and not the gateway: it calls, is called, and is reloaded. Behind an alias, and
// behind the flow tokens of an edge of RFC 5626, which both libraries know.

import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { Browser } from '../lib/browser.mjs';
import { firstHop } from '../lib/first-hop.mjs';
import { freePort } from '../lib/ports.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { WebStack } from '../lib/webstack.mjs';

const PROXY_IP = '127.0.0.3';
let chromium;

before(async () => { chromium = await Browser.start(); });
after(() => chromium?.close());

for (const outbound of [false, true]) {
	describe(outbound ? 'flow tokens' : 'alias', () => {
		let stack, proxy, browser;

		before(async () => {
			const [port, ws, sip, http] = [await freePort(PROXY_IP), await freePort(PROXY_IP), await freePort(), await freePort()];
			stack = await WebStack.start(`browser-first-hop${outbound ? '-outbound' : ''}`, {
				defines: { RESUME_FIRST_HOP: `"${PROXY_IP}"` }, kamailio: { ports: { port: sip, ws: http } },
				web: { kamailio: `${PROXY_IP}:${ws}`, portal: `127.0.0.1:${http}` },
			});
			proxy = await firstHop(stack.dir, { ip: PROXY_IP, gateway: `sip:${stack.gateway}`, outbound, ports: { port, ws } });
		});
		beforeEach(async () => { browser = await chromium.another(); });
		afterEach(() => browser.close());
		after(async () => {
			await proxy?.stop();
			await stack?.stop();
		});

		for (const library of ['jssip', 'sipjs']) {
			for (const [role, by] of [['caller', 'far'], ['callee', 'page']]) {
				test(`${outbound ? 'flow tokens, ' : ''}${library}, ${role}: two reloads, then ${by === 'far' ? 'the far end' : 'the page'} hangs up`, async () => {
					const call = await WebCall.up(stack, browser, { library, role });
					for (let lives = 1; lives <= 2; lives++) {
						await call.tab.page.reload();
						await call.back({ lives });
					}
					await call.endsBy(by);
				});
			}
		}
	});
}
