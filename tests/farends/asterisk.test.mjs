// SPDX-License-Identifier: GPL-2.0-or-later
// Asterisk between the gateway and a phone: what every far end goes through, with its media through it and past it, with
// session timers and with reliable provisional answers.

import { Asterisk } from '../lib/asterisk.mjs';
import { HandPhone } from '../lib/handphone.mjs';
import { farEnd } from '../lib/farend.mjs';

/** Behind it, on the test's side of the network. */
const PHONE_IP = '10.99.0.9';

for (const [name, extra] of Object.entries({
	'direct_media no': {},
	'direct_media yes': { direct_media: 'yes' },
	'session timers': { timers: 'always', timers_sess_expires: 90 },
	'100rel': { '100rel': 'yes' },
})) {
	farEnd(`Asterisk, ${name}`, async (stack, network) => {
		network.outside(PHONE_IP);
		const phone = await HandPhone.start({ ip: PHONE_IP, user: 'phone', to: { ip: stack.trunkIp, port: stack.trunkPort } });
		const asterisk = await Asterisk.start(stack, { phone, extra: { moh_passthrough: 'yes', ...extra }, network });
		return Object.assign(phone, { stop: () => asterisk.stop() });
	}, { pbx: true });
}
