// SPDX-License-Identifier: GPL-2.0-or-later
// How many calls a second this machine bears, of the kind that asks most of it.

import { Gateway } from './gateway.mjs';
import { Load, PEER_IP, SUB } from './load.mjs';
import { freePort } from '../tests/lib/ports.mjs';

const LEAST = 10;
const CALLS = 300;

/**
 * Halved from the wanted one until two loads in a row lose no call and hardly a message.
 * @param most  calls a second, not to be gone above
 * @return calls a second; one that has to be borne when even LEAST is not
 */
export async function findRate(dir, { keyRing, module, note, rate: most }) {
	const peerPort = await freePort(PEER_IP);
	const load = new Load(dir, peerPort);
	const gateway = await Gateway.start(dir, 'rate', { next: `${PEER_IP}:${peerPort}`, keyRing, module, defines: { USE_RESUME: true } });
	try {
		const token = await gateway.token(SUB);
		for (let rate = most; rate > LEAST; rate = Math.floor(rate / 2)) {
			try {
				for (let i = 0; i < 2; i++) {
					const { again } = await load.run('resume', gateway.address, { calls: Math.min(CALLS, rate), rate, token, timeout_s: 60 });
					if (again > Math.min(CALLS, rate) / 50) throw new Error(`${again} messages were sent again`);
				}
				return rate;
			} catch (e) {
				note(`${rate} calls a second are too many here: ${e.message.split('\n')[0]}`);
			}
		}
		return LEAST;
	} finally {
		await gateway.stop();
	}
}
