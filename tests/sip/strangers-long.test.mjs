// SPDX-License-Identifier: GPL-2.0-or-later
// A request that is nearly as long as a datagram can be, and grows on its way: over what goes to a client there is no room for it.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { DATAGRAM_MAX } from '../lib/kamailio.mjs';
import { Lab } from '../lib/lab.mjs';
import { Client, message, random } from '../lib/sip.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';

const LONG = 65_500;
const skip = DATAGRAM_MAX < LONG && 'this Kamailio takes no such datagram';

for (const [what, defines, status] of [
	['as shipped it is refused', {}, 513],
	['where nobody refuses it, it is dropped', { MESSAGE_MAX: 65_535 }, 500],
]) {
	describe(`to a client: ${what}`, () => {
		let lab;
		before(async () => { lab = await Lab.start('long', { defines }); });
		after(async () => {
			await lab?.clear();
			await lab?.stack.stop();
		});

		for (const transport of ['ws', 'udp', 'tcp']) {
			test(`over ${transport}`, { skip }, async () => {
				const alice = await lab.party('alice', { transport, Kind: Client });
				assert.equal((await alice.register()).status, 200);
				const forger = await lab.stranger({ ip: TRUNK_IP });
				const callId = random();
				const text = (n) => message(`MESSAGE sip:alice@${DOMAIN} SIP/2.0`, [`Via: SIP/2.0/UDP ${forger.host};branch=z9hG4bK${callId}`, 'Max-Forwards: 70', 'From: <sip:x@x>;tag=1',
					`To: <sip:alice@${DOMAIN}>`, `Call-ID: ${callId}`, 'CSeq: 1 MESSAGE', 'Content-Type: text/plain'], 'x'.repeat(n));
				const bytes = alice.socket.bytesRead;
				const { length } = lab.stack.kamailio.log();
				forger.send(text(LONG - text(LONG).length + LONG));
				if (transport === 'tcp' && status === 500) {
					// A stream takes it.
					assert.equal((await alice.take('the MESSAGE', (m) => m.method === 'MESSAGE')).callId, callId);
				} else {
					assert.equal((await forger.take('the answer', (m) => m.callId === callId && m.status >= 300)).status, status);
					if (status === 513) assert.deepEqual(lab.stack.kamailio.logged(/./, length), []);
				}
				if (transport === 'ws') assert.equal(alice.socket.bytesRead, bytes, 'not a byte');
				assert.equal((await alice.register()).status, 200, 'its connection is open');
				assert.ok(transport === 'tcp' || alice.inbox.every((m) => m.method !== 'MESSAGE'));
			});
		}
	});
}
