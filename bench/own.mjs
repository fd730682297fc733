// SPDX-License-Identifier: GPL-2.0-or-later
// The same with the project's own configuration, registrar, NAT handling and
// rtpengine in it: what an operator would see. rtpengine's own work does not
// count.

import { ALLOCATOR, Gateway, OWN_CFG } from './gateway.mjs';
import { Load, PEER_IP, SUB, tries } from './load.mjs';
import { row } from './stats.mjs';
import { freePort } from '../tests/lib/ports.mjs';
import { Rtpengine } from '../tests/lib/rtpengine.mjs';
import { sleep } from '../tests/lib/wait.mjs';

/* tm's default wt_timer is 5 s. */
const SETTLE_MS = 5600;
const RATE = 150; // at most

async function measure(load, gateway, scenario, { calls, rate, token }) {
	const start = gateway.cpu_ns();
	await load.run(scenario, gateway.address, { calls, rate, token, timeout_s: 30 + calls / rate });
	await sleep(SETTLE_MS);
	return (gateway.cpu_ns() - start) / calls / 1000;
}

/** @return {rows} */
export async function own(dir, { rounds, calls, rate, keyRing, module, note }) {
	const peerPort = await freePort(PEER_IP);
	const load = new Load(dir, peerPort);
	const all = [];
	let media, plain, sealed;
	try {
		media = await Rtpengine.start(dir);
		const options = (defines) => ({
			next: `${PEER_IP}:${peerPort}`, keyRing, module, cfg: OWN_CFG,
			defines: {
				// All but loopback, on which everything is here.
				MEDIA_DENIED: '"0.0.0.0/8, 169.254.0.0/16, 224.0.0.0/4, 255.255.255.255, ::1, fe80::/10, ff00::/8"',
				DOMAIN: '"example.org"', TRUNK_IP: `"${PEER_IP}"`, TRUNK_URI: `"sip:${PEER_IP}:${peerPort}"`,
				RTPENGINE: `"udp:${media.ip}:${media.ng}"`, DEBUG_LEVEL: 0, RESUMES_MAX: 0, USER_REQUESTS_MAX: 0, ...defines,
			},
		});
		plain = await Gateway.start(dir, 'own-plain', options({ WITHOUT_RESUME: true, WITHOUT_AUTH: true }));
		sealed = await Gateway.start(dir, 'own-sealed', options({}));
		const token = await sealed.token(SUB);
		const loads = [['plain', plain, 'plain'], ['sealed', sealed, 'token']];
		for (let r = -1; r < Math.ceil(rounds / 5); r++) {
			const us = {};
			for (const [name, gateway, scenario] of r % 2 ? [...loads].reverse() : loads) {
				us[name] = await tries(note, () => measure(load, gateway, scenario, { calls: r < 0 ? Math.min(calls, 200) : Math.ceil(calls / 2), rate: Math.min(rate, RATE), token }));
			}
			if (r < 0) continue;
			all.push(us);
			note(`own configuration, round ${all.length}: plain ${us.plain.toFixed(0)}, sealed ${us.sealed.toFixed(0)} us`);
		}
	} finally {
		await sealed?.stop();
		await plain?.stop();
		await media?.stop();
	}
	return {
		rows: [
			row(`CPU a call in cfg/kamailio.cfg: token checked and state sealed / WITHOUT_RESUME [${ALLOCATOR}]`, all.map((u) => u.sealed / u.plain), 'ratio'),
			row(`CPU of a call in cfg/kamailio.cfg WITHOUT_RESUME [${ALLOCATOR}]`, all.map((u) => u.plain), 'us'),
		],
	};
}
