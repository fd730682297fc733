// SPDX-License-Identifier: GPL-2.0-or-later
// Clients and far ends on IPv6 (RFC 5118): a call is lost and comes back, on every transport, and from IPv4 to IPv6.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { Field } from '../lib/field.mjs';
import { freePort } from '../lib/ports.mjs';
import { sdp } from '../lib/sip.mjs';
import { TRUNK_IP } from '../lib/stack.mjs';

const [ws, tcp] = [await freePort(), await freePort()];

let field;
before(async () => {
	field = await Field.start('field-ipv6', {
		defines: { LISTEN_WS: `tcp:[::1]:${ws}`, WS_PORT: ws, LISTEN_TCP: `tcp:[::1]:${tcp}` },
	});
	const gateway = field.gateway.bind(field);
	field.gateway = (transport) => ({ ws: { ip: '::1', port: ws, host: `[::1]:${ws}` }, tcp: { ip: '::1', port: tcp } }[transport] ?? gateway(transport));
	const alice = field.alice.bind(field);
	field.alice = async (transport) => {
		if (transport === 'udp') return alice(transport);
		const client = await alice(transport, { ip: '::1' });
		client.ip = '127.0.0.1'; // of its media
		return client;
	};
});
afterEach(() => field.end());
after(() => field.stack.stop());

/** A URI with a colon in its host has brackets around it, or it is none. */
const isGood = (uri) => /^sips?:([^@]*@)?(\[[0-9a-f:.]+\]|[^:;[\]]+)(:\d+)?(;|$)/i.test(uri);

for (const [was, is] of [['ws', 'ws'], ['tcp', 'tcp'], ['udp', 'ws'], ['ws', 'udp'], ['tcp', 'ws']]) {
	for (const [role, end] of [['caller', 'client'], ['callee', 'far']]) {
		test(`lost on ${was}, back on ${is}, the client is the ${role}`, async () => {
			const bob = await field.far();
			const call = await field.resumed(bob, {
				was, is, role, between: async ({ one, theirs }) => {
					assert.ok(isGood(bob.dialog(theirs.callId).target), bob.dialog(theirs.callId).target);
					if (was === 'udp') return;
					one.close();
					const no = await theirs.request('INVITE', { body: sdp(bob.ip, bob.media, 3) });
					assert.equal(no.status, 491);
					theirs.ack({ via: theirs.branch });
				},
			});
			for (const route of call.mine.routes) assert.ok(isGood(/<([^>]*)>/.exec(route)[1]), route);
			await field.goesOn(bob, call, end);
			assert.deepEqual(field.stack.kamailio.logged(/ERROR: .*(parse_uri|parse_to|sanity)/), []);
		});
	}
}

test('a state that is pushed', async () => {
	const port = await freePort();
	const other = await Field.start('field-ipv6-push', { defines: { RESUME_PUSH: true, LISTEN_WS: `tcp:[::1]:${port}`, WS_PORT: port } });
	const gateway = other.gateway.bind(other);
	other.gateway = (transport) => (transport === 'ws' ? { ip: '::1', port, host: `[::1]:${port}` } : gateway(transport));
	try {
		const bob = await other.far();
		const alice = await other.alice('ws', { ip: '::1' });
		alice.ip = '127.0.0.1'; // of its media
		assert.equal((await bob.call({ service: 'alice' })).final.status, 200);
		const notify = await alice.take('the NOTIFY', (m) => m.method === 'NOTIFY' && !m.status);
		assert.ok(notify.get('call-state') && isGood(notify.contact), notify.text);
	} finally {
		await other.end();
		await other.stack.stop();
	}
});

test('the trunk on IPv6', async () => {
	const [sip, trunk] = [await freePort(), await freePort()];
	const other = await Field.start('field-ipv6-trunk', {
		defines: { LISTEN_UDP: `udp:[::1]:${sip}`, TRUNK_URI: `"sip:[::1]:${trunk}"`, TRUNK_IP: '"::1"' },
	});
	try {
		for (const role of ['caller', 'callee']) {
			const bob = await other.far({ ip: '::1', port: trunk, to: { ip: '::1', port: sip } });
			bob.ip = TRUNK_IP; // of its media
			const call = await other.resumed(bob, { was: 'ws', is: 'tcp', role });
			await other.goesOn(bob, call);
			await other.end();
		}
	} finally {
		await other.end();
		await other.stack.stop();
	}
});
