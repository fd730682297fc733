// SPDX-License-Identifier: GPL-2.0-or-later
// A next hop that hides what is behind it, and from what is behind it: topoh, and topos.
//
//	alice (127.0.0.1) --- gateway (127.0.0.1) --- Kamailio with topoh or topos (127.0.0.2) --- bob (127.0.0.3)

import assert from 'node:assert/strict';
import path from 'node:path';

import { HandPhone } from '../lib/handphone.mjs';
import { Kamailio, ROOT } from '../lib/kamailio.mjs';
import { Redis } from '../lib/redis.mjs';
import { farEnd } from '../lib/farend.mjs';
import { freePort } from '../lib/ports.mjs';

const BOB_IP = '127.0.0.3';

/** bob, behind a proxy with that. @param hides  (message) => whether what bob gets is hidden from him */
async function behind(stack, hides, defines, stop = async () => {}) {
	const port = await freePort(BOB_IP);
	const proxy = await Kamailio.start(stack.dir, {
		name: 'proxy', ip: stack.trunkIp, cfg: path.join(ROOT, 'tests/lib/proxy.cfg'), ports: { port: stack.trunkPort },
		defines: { GATEWAY: `"sip:${stack.gateway}"`, FAR_END: `"sip:${BOB_IP}:${port}"`, ...defines },
	});
	const bob = await HandPhone.start({ ip: BOB_IP, port, to: { ip: stack.trunkIp, port: stack.trunkPort } });
	const stopBob = bob.stop.bind(bob);
	bob.stop = async () => {
		stopBob();
		await proxy.stop();
		await stop();
		assert.ok(bob.party.requests.every(hides));
	};
	return bob;
}

farEnd('topoh', (stack) => behind(stack, (m) => m.callId.startsWith('!!:') || m.callId.startsWith('hand-'), { WITH_TOPOH: true }), { apart: false });

farEnd('topos', async (stack) => {
	const redis = await Redis.start(stack.dir);
	return behind(stack, (m) => m.all('via').length === 1 && m.recordRoutes.length === 0, { TOPOS_REDIS: `"${redis.server('srv1')};db=0"` }, () => redis.stop());
}, { apart: false });
