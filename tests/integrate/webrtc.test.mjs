// SPDX-License-Identifier: GPL-2.0-or-later
// A gateway for browsers and phones with passwords, rtpengine, dialog and topoh: webrtc.cfg.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN } from '../lib/stack.mjs';
import { Integrated, integrationTests, linesAdded, patchFor } from '../lib/integrate.mjs';
import { Phone, answerTo, fieldsOf } from '../lib/phone.mjs';
import { Client } from '../lib/sip.mjs';
import { FILE, WEBRTC } from './webrtc.mjs';

test('webrtc: the patch is eight lines at the most', () => {
	assert.ok(linesAdded(patchFor(FILE)) <= 8);
});

integrationTests('webrtc', {
	...WEBRTC,
	// The WebSockets' side gets what a browser needs, and these clients are none.
	relayed: ['udp'],
});

test('webrtc: credentials of two users make no session, whichever the script has looked at', async () => {
	const stack = await Integrated.start('webrtc-two', {
		...WEBRTC,
		// A gateway that lets anybody with a password call himself what he likes.
		prepare: (s) => {
			WEBRTC.prepare(s);
			const file = path.join(s.dir, FILE);
			fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('"subscriber", "1"', '"subscriber", "0"'));
			execFileSync('sqlite3', [path.join(s.dir, 'users.sqlite')], { input: `INSERT INTO subscriber VALUES ('mallory', '${DOMAIN}', 'also one');` });
		},
	});
	const open = [];
	try {
		const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
		const alice = await Phone.open({ user: 'alice', password: WEBRTC.password, instance: null, to });
		const mallory = await Client.open({ user: 'mallory', to });
		open.push(alice, mallory);
		assert.ok((await alice.register()).get('call-state-key'));
		const as = { from: `<sip:alice@${DOMAIN}>`, to: `sip:alice@${DOMAIN}` };
		const uri = `sip:${DOMAIN}`;
		const challenged = await mallory.outside('REGISTER', uri, as);
		const { callId, tag, cseq } = mallory.last;
		const [header, name] = fieldsOf(challenged);
		const own = answerTo(challenged.get(header), { user: 'mallory', password: 'also one', method: 'REGISTER', uri });
		const forged = `Digest username="alice", realm="${DOMAIN}", nonce="x", uri="x", response="${'0'.repeat(32)}"`;
		const got = await mallory.outside('REGISTER', uri, {
			...as, callId, tag, cseq: cseq + 1, headers: [`${name}: ${own}`, `Proxy-Authorization: ${forged}`],
		});
		assert.equal(got.get('call-state-key'), undefined);
	} finally {
		for (const party of open) party.close();
		await stack.stop();
	}
});
