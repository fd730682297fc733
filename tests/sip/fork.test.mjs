// SPDX-License-Identifier: GPL-2.0-or-later
// A script that uses the module before Kamailio forks: what OpenSSL has made by
// then lies in shared memory where the module tls is loaded, and must not be
// what all processes calculate with.

import { test } from 'node:test';
import assert from 'node:assert/strict';

import { Kamailio, makeCertificate } from '../lib/kamailio.mjs';
import { Client, DOMAIN } from '../lib/sip.mjs';
import { runFolder } from '../lib/stack.mjs';

const SUB = `sip:alice@${DOMAIN}`;
const CFG = `#!KAMAILIO
debug=2
children=4
enable_tls=yes
listen=LISTEN_UDP
loadmodule "tls.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "kex.so"
loadmodule "ctl.so"
loadmodule "htable.so"
loadmodule RESUME_MODULE
modparam("ctl", "binrpc", CTL_SOCKET)
modparam("tls", "certificate", CERTIFICATE)
modparam("tls", "private_key", PRIVATE_KEY)
modparam("htable", "htable", "any=>size=2;")
modparam("call_resume", "key_ring", KEY_RING)
modparam("call_resume", "allow_insecure", 1)
event_route[htable:mod-init] {
	resume_issue("${SUB}", "before-the-fork");
}
request_route {
	if (!resume_auth()) {
		sl_send_reply("401", "$resume(error)");
		exit;
	}
	$var(i) = 0;
	while ($var(i) < 40) {
		resume_issue("$resume(sub)", "$resume(sid)");
		$var(i) = $var(i) + 1;
	}
	resume_key();
	sl_send_reply("200", "OK");
}
`;

test('used before the fork: every process calculates by itself', async () => {
	const dir = runFolder('fork');
	const { cert, key } = makeCertificate(dir);
	const kamailio = await Kamailio.start(dir, {
		own: CFG, defines: { CERTIFICATE: `"${cert}"`, PRIVATE_KEY: `"${key}"` },
	});
	const to = { ip: kamailio.ip, port: kamailio.port };
	const token = await kamailio.token(SUB, 's-1');
	const clients = await Promise.all(Array.from({ length: 32 }, () => Client.open({ token, to })));
	try {
		for (let round = 0; round < 40; round++) {
			const answers = await Promise.all(clients.map((c) => c.outside('OPTIONS', `sip:${DOMAIN}`, {
				headers: [`Authorization: Bearer ${token}`],
			})));
			assert.deepEqual([...new Set(answers.map((a) => a.start))], ['SIP/2.0 200 OK'], `round ${round}`);
			assert.equal(new Set(answers.map((a) => a.get('call-state-key'))).size, 1);
		}
	} finally {
		for (const c of clients) c.close();
		await kamailio.stop();
	}
});
