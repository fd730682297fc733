// SPDX-License-Identifier: GPL-2.0-or-later
// The trunk is known by its address. What comes from there over a WebSocket is not the
// trunk: a web server or a PBX on the same machine has that address too.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Client, FarEnd, sdp } from '../lib/sip.mjs';

let stack;
const open = [];
before(async () => {
	stack = await Stack.start('trunk', { defines: { TRUNK_IP: '"127.0.0.1"' } });
});
after(async () => {
	open.forEach((s) => s.close());
	await stack?.stop();
});

const keep = (s) => (open.push(s), s);
const at = (transport) => ({ ip: stack.kamailio.ip, port: transport === 'ws' ? stack.kamailio.ws : stack.kamailio.port });
const body = sdp('127.0.0.3', 4000); // nobody but the trunk has media at its address
const client = async (transport, token) => keep(await Client.open({ transport, token, to: at(transport) }));

test('the trunk needs no token, and reaches nobody who is not registered', async () => {
	const trunk = await client('udp');
	assert.equal((await trunk.call()).final.status, 480);
});

test('the trunk reaches a user by our address as well', async () => {
	const trunk = await client('udp');
	const alice = keep(await FarEnd.open({ user: 'alice', transport: 'ws', token: await stack.kamailio.token(`sip:alice@${DOMAIN}`), to: at('ws') }));
	assert.equal((await alice.register()).status, 200);
	const outside = (host) => trunk.outside('MESSAGE', `sip:alice@${host}`);
	for (const host of [DOMAIN, stack.gateway]) assert.equal((await outside(host)).status, 200, host);
	assert.equal((await outside('192.0.2.7')).status, 480);
	alice.close();
});

test('a page with the address of the trunk needs one', async () => {
	const page = await client('ws');
	assert.equal((await page.call({ body })).final.status, 401);
	assert.equal((await page.outside('OPTIONS', `sip:${DOMAIN}`)).status, 401);
});

test('a page cannot tell the trunk to be somebody else', async () => {
	const bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: at('udp') }));
	const page = await client('ws', await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1'));
	const call = await page.call({ body, headers: [
		`P-Asserted-Identity: <sip:carol@${DOMAIN}>`, `Remote-Party-ID: <sip:carol@${DOMAIN}>;screen=yes`,
	] });
	assert.equal(call.final.status, 200);
	const [invite] = bob.requests;
	assert.equal(invite.get('p-asserted-identity'), undefined);
	assert.equal(invite.get('remote-party-id'), undefined);
	await call.request('BYE');
	await stack.noMedia(); // as after every client's BYE
});
