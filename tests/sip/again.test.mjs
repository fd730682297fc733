// SPDX-License-Identifier: GPL-2.0-or-later
// Both ends of a call are clients of the gateway, and both have lost it: the caller is told
// so, and calls again; the gateway says to the other one which call that goes on with, and
// nobody else can.

import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';

import { Client, FarEnd } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

let stack, far;
const token = {};
const open = [];
before(async () => {
	stack = await Stack.start('again');
	for (const user of ['alice', 'bob', 'carol']) token[user] = await stack.kamailio.token(`sip:${user}@${DOMAIN}`, `session-of-${user}`);
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
});
after(async () => {
	far?.close();
	await stack?.stop();
});
beforeEach(async () => {
	open.splice(0).forEach((party) => party.close());
	await stack.dropMedia();
});

const page = async (user, Kind = Client) => {
	const party = await Kind.open({ user, token: token[user], transport: 'ws', to: { ip: stack.kamailio.ip, port: stack.kamailio.ws } });
	open.push(party);
	assert.equal((await party.register()).status, 200);
	return party;
};

/** alice calls bob; then both their connections go. Resolves with what each had. */
async function lost() {
	const [alice, bob] = [await page('alice'), await page('bob', FarEnd)];
	const call = await alice.call({ service: 'bob' });
	assert.equal(call.final.status, 200);
	const [invite] = bob.requests;
	const states = { caller: call.state, callee: `${invite.get('call-state')};tag=${bob.dialog(invite.callId).local.split('tag=')[1]}` };
	alice.close();
	bob.close();
	await until('the gateway to see it', async () => {
		const connections = await stack.kamailio.kamcmd('core.tcp_list');
		return [alice, bob].every(({ port }) => !connections.includes(`src_port: ${port}\n`));
	});
	const said = await stack.kamailio.kamcmd('call_resume.inspect', call.state, `sip:alice@${DOMAIN}`, 'session-of-alice');
	return { ...states, media: await stack.onlyCall(), id: said.match(/\bid: ([0-9a-f]{32})\n/)[1] };
}

test('the caller is told, calls again, and the other one learns which call it is', async () => {
	const { caller, media, id } = await lost();
	const alice = await page('alice');
	const { final } = await alice.call({ service: 'bob', state: caller });
	assert.equal(final.start, 'SIP/2.0 491 Far End Away');
	const bob = await page('bob', FarEnd);
	const call = await alice.call({ service: 'bob', state: `${caller};again` });
	assert.equal(call.final.status, 200);
	assert.match(call.state, /^ey/);
	const [invite] = bob.requests;
	assert.deepEqual(invite.all('call-state-id'), [id]);
	assert.equal(invite.all('call-state').length, 1, 'its own, and not that of the caller');
	assert.notEqual(invite.get('call-state'), caller);
	assert.notEqual(await stack.onlyCall(), media, 'what was left of the old call at rtpengine is gone');
	await call.request('BYE');
	await stack.noMedia();
});

test('until the other one is there again the answer stays the same', async () => {
	const { caller } = await lost();
	const alice = await page('alice');
	for (let i = 0; i < 2; i++) {
		assert.equal((await alice.call({ service: 'bob', state: `${caller};again` })).final.start, 'SIP/2.0 491 Far End Away');
	}
});

test('the called one does not call again', async () => {
	const { callee } = await lost();
	const bob = await page('bob');
	const alice = await page('alice', FarEnd);
	assert.equal((await bob.call({ service: 'alice', state: `${callee};again` })).final.start, 'SIP/2.0 491 Far End Away');
	assert.deepEqual(alice.requests, []);
});

test('another user with the state is refused', async () => {
	const { caller } = await lost();
	const bob = await page('bob', FarEnd);
	const carol = await page('carol');
	assert.equal((await carol.call({ service: 'bob', state: `${caller};again` })).final.status, 403);
	assert.deepEqual(bob.requests, []);
});

test('a far end behind the trunk is resumed as ever', async () => {
	const alice = await page('alice');
	const { state, callId } = await alice.call({ service: 'echo' });
	alice.close();
	const back = await (await page('alice')).call({ service: 'echo', state: `${state};again` });
	assert.equal(back.final.status, 200);
	assert.equal(far.requests.at(-1).callId, callId);
	await back.request('BYE');
});

test('nobody else says Call-State-Id: not a client, and not the far end', async () => {
	const [alice, bob] = [await page('alice'), await page('bob', FarEnd)];
	const headers = ['Call-State-Id: 0123456789abcdef0123456789abcdef'];
	await (await alice.call({ service: 'bob', headers })).request('BYE');
	await (await far.call({ service: 'bob', headers })).request('BYE');
	const invites = bob.requests.filter((m) => m.method === 'INVITE');
	assert.equal(invites.length, 2);
	assert.deepEqual(invites.flatMap((m) => m.all('call-state-id')), []);
});

test('a BYE that the called client refuses, of a page that another one has resumed from, does not end its call', async () => {
	const [old, bob] = [await page('alice'), await page('bob', FarEnd)];
	const call = await old.call({ service: 'bob' });
	assert.equal(call.final.status, 200);
	const [invite] = bob.requests;
	const callee = `${invite.get('call-state')};tag=${bob.dialog(invite.callId).local.split('tag=')[1]}`;
	const alice = await page('alice', FarEnd);
	assert.equal((await alice.call({ service: 'bob', state: call.state })).final.status, 200);
	bob.answer = (m) => {
		if (m.method !== 'BYE') return true;
		bob.reply(m, 500, 'CSeq Too Low');
		return false;
	};
	assert.equal((await call.request('BYE')).status, 500);
	bob.close();
	const moved = bob.requests.findLast((m) => m.method === 'INVITE').get('call-state');
	const back = await (await page('bob')).call({ service: 'alice', state: `${callee};update=${moved}` });
	assert.equal(back.final.start, 'SIP/2.0 200 OK');
	assert.equal((await back.request('BYE')).status, 200);
});
