// SPDX-License-Identifier: GPL-2.0-or-later
// Whose session is it? What resume_auth() found out about one message must never
// show in another.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Kamailio, small } from '../lib/kamailio.mjs';
import { runFolder } from '../lib/stack.mjs';
import { DOMAIN, Endpoint, random } from '../lib/sip.mjs';

const CFG = small(`modparam("call_resume", "allow_insecure", 1)
request_route {
	if (is_method("REGISTER")) {
		resume_auth();
		send_reply("200", "sub $resume(sub)");
		exit;
	}
	$du = PEER;
	t_on_failure("FAILED");
	t_relay();
}
failure_route[FAILED] {
	if ($resume(sub) == $null) t_reply("404", "Nobody");
	else t_reply("404", "Somebody");
}
`, { modules: ['tmx', 'textops', 'siputils'] });

let kamailio, client, peer;
before(async () => {
	peer = await Endpoint.open({ ip: '127.0.0.2' });
	kamailio = await Kamailio.start(runFolder('session'), { own: CFG, defines: { PEER: `"sip:127.0.0.2:${peer.port}"` } });
	client = await Endpoint.open({ to: { ip: kamailio.ip, port: kamailio.port } });
});
after(async () => {
	client?.close();
	peer?.close();
	await kamailio?.stop();
});

const request = (method, more = '') => `${method} sip:bob@${DOMAIN} SIP/2.0\r\n`
	+ `Via: SIP/2.0/UDP 127.0.0.1:${client.port};branch=z9hG4bK${random()}\r\nMax-Forwards: 70\r\n`
	+ `From: <sip:alice@${DOMAIN}>;tag=${random()}\r\nTo: <sip:bob@${DOMAIN}>\r\nCall-ID: ${random()}\r\n`
	+ `CSeq: 1 ${method}\r\nContact: <sip:alice@127.0.0.1:${client.port}>\r\n${more}Content-Length: 0\r\n\r\n`;

test("a failure_route does not see the session of another message", async () => {
	const token = await kamailio.token(`sip:alice@${DOMAIN}`, 'session-a');
	client.send(request('REGISTER', `Authorization: Bearer ${token}\r\n`));
	assert.match((await client.take('200', (m) => m.status === 200)).start, /sub sip:alice@/);

	// tm gives the message of failure_route the id of the one before it.
	client.send(request('INVITE'));
	const invite = await peer.take('INVITE', (m) => m.method === 'INVITE');
	const fields = ['via', 'from', 'call-id', 'cseq'].flatMap((n) => invite.all(n).map((v) => `${n}: ${v}`));
	invite.answer(`SIP/2.0 486 Busy\r\n${fields.join('\r\n')}\r\nto: ${invite.get('to')};tag=p\r\ncontent-length: 0\r\n\r\n`);
	const { start } = await client.take('404', (m) => m.status === 404);
	assert.equal(start, 'SIP/2.0 404 Nobody');
});
