// SPDX-License-Identifier: GPL-2.0-or-later
// A client that registers while a call to its user is on the way: after lookup(), and before the call has a branch by
// which it would be found.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';

import { FarEnd } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { variant } from '../lib/variant.mjs';
import { until } from '../lib/wait.mjs';

const OFFER_MS = 700;
const open = [];
after(async () => {
	for (const one of open.reverse()) await (one.stop ?? one.close).call(one);
});
const keep = (one) => (open.push(one), one);
const is = (method) => (m) => m.method === method && !m.status;

let stack, client, bob;

before(async () => {
	const dir = runFolder('ringing-late-cfg');
	const cfg = variant(dir, 'ringing-late', 'SDP_OFFER', `	xlog("L_NOTICE", "an offer is made\\n");\n	usleep("${OFFER_MS * 1000}");`);
	fs.writeFileSync(cfg, fs.readFileSync(cfg, 'utf8')
		.replace('save("location", "0x04")', 'save("location")') // several of a user
		.replace('#!ifdef WITH_RESUME\n# Here:', '#!ifndef WITH_COPIES_APART\nloadmodule "cfgutils.so"\n#!endif\n$&'));
	stack = keep(await Stack.start('ringing-late', { kamailio: { cfg }, defines: { CHILDREN: 2, RESUME_LOG_DAMAGED: 1 } }));
	const { ip, port, ws } = stack.kamailio;
	bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip, port } }));
	client = async (user, session = 'web-session-1') => {
		const token = await stack.kamailio.token(`sip:${user}@${DOMAIN}`, session);
		const one = keep(await FarEnd.open({ user, transport: 'ws', token, to: { ip, port: ws } }));
		one.answer = (m) => m.method !== 'INVITE';
		assert.equal((await one.register()).status, 200);
		return one;
	};
});

test('it rings too, and answers', async () => {
	const first = await client('alice');
	const call = bob.call({ service: 'alice' });
	await bob.take('the 100', (m) => m.status === 100);
	const second = await client('alice');
	assert.deepEqual(first.requests.filter(is('INVITE')), [], 'the call is still on the way');
	const invite = await first.take('the INVITE', is('INVITE'));
	first.reply(invite, 180, 'Ringing');
	await bob.take('the 180', (m) => m.status === 180);
	second.accept(await second.take('the INVITE', is('INVITE')));
	await first.take('the CANCEL', is('CANCEL'));
	first.reply(invite, 487, 'Request Terminated');
	const theirs = await call;
	assert.equal(theirs.final.status, 200);
	await second.take('the ACK', is('ACK'));
	assert.equal((await theirs.request('BYE')).status, 200);
	await second.take('the BYE', is('BYE'));
	await stack.noMedia();
});

test('it does so, and takes the place of nobody, while the offer to another one is made', async () => {
	const offers = () => stack.kamailio.log().match(/an offer is made/g)?.length ?? 0;
	const clients = [await client('dave', 'web-session-1'), await client('dave', 'web-session-2')];
	const before = offers();
	const call = bob.call({ service: 'dave' });
	await until('the offer to the second one', () => offers() === before + 2);
	clients.push(await client('dave', 'web-session-3'));
	assert.deepEqual(clients.flatMap((one) => one.requests.filter(is('INVITE'))), [], 'the call is still on the way');
	const invites = await Promise.all(clients.map((one) => one.take('the INVITE', is('INVITE'))));
	// Nobody is sent a CANCEL in front of an answer of his (RFC 3261 section 9.1).
	for (const [i, one] of clients.entries()) {
		one.reply(invites[i], 180, 'Ringing');
		await bob.take('the 180', (m) => m.status === 180);
	}
	clients[1].accept(invites[1]);
	for (const i of [0, 2]) {
		await clients[i].take('the CANCEL', is('CANCEL'));
		clients[i].reply(invites[i], 487, 'Request Terminated');
	}
	const theirs = await call;
	assert.equal(theirs.final.status, 200);
	await clients[1].take('the ACK', is('ACK'));
	assert.equal((await theirs.request('BYE')).status, 200);
	await clients[1].take('the BYE', is('BYE'));
	for (const one of clients) assert.equal(one.requests.filter(is('INVITE')).length, 1);
	assert.deepEqual(stack.kamailio.logged(/buffer rewrite attempt/), []);
	await stack.noMedia();
});

test('one that has the call already, and registers again, has it once', async () => {
	const one = await client('carol');
	const call = bob.call({ service: 'carol' });
	await bob.take('the 100', (m) => m.status === 100);
	assert.equal((await one.register()).status, 200);
	assert.deepEqual(one.requests.filter(is('INVITE')), [], 'the call is still on the way');
	one.accept(await one.take('the INVITE', is('INVITE')));
	const theirs = await call;
	assert.equal(theirs.final.status, 200);
	await one.take('the ACK', is('ACK'));
	assert.equal((await theirs.request('BYE')).status, 200);
	await one.take('the BYE', is('BYE'));
	assert.equal(one.requests.filter(is('INVITE')).length, 1);
	assert.deepEqual(stack.kamailio.logged(/failure to add branches/), []);
	await stack.noMedia();
});
