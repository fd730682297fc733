// SPDX-License-Identifier: GPL-2.0-or-later
// Nodes that live, or seem to: the client is at another one than the far end's requests, or than it was.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Cluster } from '../lib/cluster.mjs';
import { sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

let cluster;

test.before(async () => { cluster = await Cluster.start('cluster-nodes', { nodes: 3 }); });
test.afterEach(async () => {
	await cluster.clear();
	for (const { number, alive, cut } of cluster.nodes) if (!alive) await (cut ? cluster.mend(number) : cluster.revive(number));
});
test.after(() => cluster?.stop());

const isInvite = (m) => m.method === 'INVITE' && !m.status;

/** Until the binding of that user is at every node, and says where it is. */
function everywhere(user, number) {
	return Promise.all(cluster.alive.map(({ kamailio }) => until(`${user} to be known everywhere`, async () =>
		new RegExp(`AoR: ${user}@[^]*?Server-Id: ${number}\\b`).test(await kamailio.kamcmd('ul.dump')))));
}

for (const role of ['caller', 'callee']) {
	test(`its node lives, the ${role} comes back to another one, and the far end's requests come to a third`, async () => {
		const far = await cluster.far();
		far.through = cluster.at(3);
		const one = await cluster.client('alice', 1);
		await everywhere('alice', 1);
		const call = await cluster.call(one, far, role, { at: 3 });
		assert.equal((await call.theirs.request('INFO')).status, 200, 'passed on to where it is');
		cluster.lose(one);
		const back = await cluster.resume(call, 2);
		await cluster.converse(back);
		await cluster.hangUp(back);
	});
}

test('a page that lives and connects to another node is found there, also by its old Contact', async () => {
	const far = await cluster.far();
	const one = await cluster.client('alice', 1);
	const call = await cluster.call(one, far);
	one.socket.destroy();
	const two = await cluster.client('alice', 2, { register: false });
	two.host = one.host;
	two.dialogs = one.dialogs;
	assert.equal((await two.register({ cseq: 2 })).status, 200);
	await everywhere('alice', 2);
	assert.equal((await call.theirs.request('INFO')).status, 200);
	await two.take('the INFO', (m) => m.method === 'INFO' && !m.status);
	call.dialog.party = two;
	const again = await call.dialog.request('INVITE', { body: sdp(two.ip, two.media, 2) });
	assert.equal(again.status, 200, again.start);
	call.dialog.ack();
	await cluster.talk(two, again.body);
	const moved = { ...call, client: two };
	await cluster.converse(moved);
	await cluster.hangUp(moved);
});

test('a node that is frozen has all its connections, and its calls go on at another one', async () => {
	const far = await cluster.far();
	const one = await cluster.client('alice', 1);
	const call = await cluster.call(one, far);
	cluster.lose(one);
	await cluster.freeze(1);
	const back = await cluster.resume(call, 2);
	await cluster.converse(back);
	await cluster.hangUp(back);
});

test('a node is cut off: its calls go on at another one, and when it is back it passes on what comes for them', {
	skip: process.env.CALL_RESUME_NETNS === 'own' ? false : 'wants a network namespace of its own, see tools/in-netns',
}, async () => {
	const far = await cluster.far();
	const one = await cluster.client('alice', 1);
	const call = await cluster.call(one, far);
	await cluster.cut(1);
	const back = await cluster.resume(call, 2);
	await cluster.converse(back);
	cluster.lose(one);
	await cluster.mend(1);
	far.through = cluster.at(1);
	await cluster.hangUp(back);
});

test('its node has died and nobody has come back: what the far end sends to another node is answered there', async () => {
	const far = await cluster.far();
	const one = await cluster.client('alice', 1);
	const { theirs, state } = await cluster.call(one, far);
	far.through = cluster.at(2);
	cluster.lose(one);
	await cluster.kill(1);
	assert.equal((await theirs.request('UPDATE', { body: sdp(far.ip, far.media, 2) })).status, 500);
	const refused = await theirs.request('INVITE', { body: sdp(far.ip, far.media, 3) });
	assert.equal(refused.status, 491);
	theirs.ack({ via: theirs.branch });
	assert.equal((await theirs.request('INFO')).status, 500);
	assert.equal((await theirs.request('BYE')).status, 200);
	const two = await cluster.client('alice', 2);
	const late = await two.call({ state });
	assert.equal(late.final.start, 'SIP/2.0 481 Call Ended While Away');
});

test('who is called is registered at another node, which dies: the call goes on at a third', async () => {
	const far = await cluster.far();
	const one = await cluster.client('alice', 2);
	await everywhere('alice', 2);
	const call = await cluster.call(one, far, 'callee', { at: 1 });
	await cluster.converse(call);
	cluster.lose(one);
	await cluster.kill(2);
	const back = await cluster.resume(call, 3);
	await cluster.converse(back);
	await cluster.hangUp(back, 'client');
});

/** alice at node 1 has called carol at node 2. */
async function two() {
	const alice = await cluster.client('alice', 1);
	const carol = await cluster.client('carol', 2);
	await everywhere('carol', 2);
	const call = await alice.call({ service: 'carol' });
	assert.equal(call.final.status, 200, call.final.start);
	const invite = await carol.take('the INVITE', isInvite);
	const theirs = carol.dialog(call.callId);
	return { alice, carol, call, theirs, state: `${invite.get('call-state')};tag=${/;tag=(.*)/.exec(theirs.local)[1]}` };
}

/** Each hears the other, by the session descriptions that the gateway gave them. */
async function hear(alice, answer, carol, offer) {
	const had = [alice.audio.received, carol.audio.received];
	for (const [client, body] of [[alice, answer], [carol, offer]]) {
		client.audio.send(Number(/m=audio (\d+)/.exec(body)[1]), /c=IN IP4 (\S+)/.exec(body)[1]);
	}
	await until('both to hear each other', () => alice.audio.received - had[0] > 5 && carol.audio.received - had[1] > 5);
}

test('clients at two nodes call each other, and either is lost', async () => {
	const { alice, carol, call, theirs, state } = await two();
	await hear(alice, call.final.body, carol, carol.requests.find(isInvite).body);
	for (const side of [call, theirs]) assert.equal((await side.request('INFO')).status, 200);
	cluster.lose(alice);
	await cluster.kill(1);
	const alice2 = await cluster.client('alice', 2);
	const back = await alice2.call({ service: 'carol', state: call.state });
	assert.equal(back.final.status, 200, back.final.start);
	await hear(alice2, back.final.body, carol, carol.requests.filter(isInvite).at(-1).body);
	for (const side of [back, theirs]) assert.equal((await side.request('INFO')).status, 200);
	const update = carol.requests.filter(isInvite).at(-1).get('call-state');
	cluster.lose(carol);
	const carol2 = await cluster.client('carol', 3);
	await everywhere('carol', 3);
	const newest = update?.endsWith(';update') ? `${state.replace(/;tag/, `;update=${update.split(';')[0]};tag`)}` : state;
	const again = await carol2.call({ service: 'alice', state: newest });
	assert.equal(again.final.status, 200, again.final.start);
	await hear(carol2, again.final.body, alice2, alice2.requests.filter(isInvite).at(-1).body);
	for (const side of [back, again]) assert.equal((await side.request('INFO')).status, 200);
	assert.equal((await again.request('BYE')).status, 200);
	await alice2.take('the BYE', (m) => m.method === 'BYE' && !m.status);
});

/** Whatever there is in a dialog of two clients, both ways, with audio. */
async function all(alice, mine, carol, theirs) {
	for (const [side, other] of [[mine, carol], [theirs, alice]]) {
		for (const method of ['INFO', 'UPDATE', 'INVITE', 'REFER']) {
			const offers = method === 'INVITE' || method === 'UPDATE';
			other.inbox = [];
			const answer = await side.request(method, {
				...offers && { body: sdp(side.party.ip, side.party.media, 9) }, headers: method === 'REFER' ? ['Refer-To: <sip:dave@example.org>'] : [],
			});
			assert.equal(answer.status, 200, `${method} of ${side.party.user}: ${answer.start}`);
			const got = await other.take(method, (m) => m.method === method && !m.status);
			assert.equal(got.callId, (other === alice ? mine : theirs).callId);
			if (method !== 'INVITE') continue;
			side.ack();
			await other.take('the ACK', (m) => m.method === 'ACK');
			await hear(...side === mine ? [alice, answer.body, carol, got.body] : [alice, got.body, carol, answer.body]);
		}
	}
}

test('a node is the first hop of a client whose call is handled at another one: all that is in a call, and resumes through either', async () => {
	const { alice, carol, call, theirs } = await two();
	await all(alice, call, carol, theirs);
	cluster.lose(alice);
	const alice2 = await cluster.client('alice', 1);
	const back = await alice2.call({ service: 'carol', state: call.state });
	assert.equal(back.final.status, 200, back.final.start);
	await all(alice2, back, carol, theirs);
	cluster.lose(alice2);
	await cluster.kill(1);
	const alice3 = await cluster.client('alice', 3);
	const again = await alice3.call({ service: 'carol', state: back.state });
	assert.equal(again.final.status, 200, again.final.start);
	await all(alice3, again, carol, theirs);
	assert.equal((await theirs.request('BYE')).status, 200);
	await alice3.take('the BYE', (m) => m.method === 'BYE' && !m.status);
});

test('clients at two nodes are lost at once, and have a new call at two others', async () => {
	const { alice, carol, call } = await two();
	const id = carol.requests.find(isInvite).get('call-state');
	assert.ok(id);
	cluster.lose(alice);
	cluster.lose(carol);
	await cluster.kill(1);
	const alice2 = await cluster.client('alice', 2);
	const away = await alice2.call({ service: 'carol', state: call.state });
	assert.equal(away.final.start, 'SIP/2.0 491 Far End Away');
	const carol2 = await cluster.client('carol', 3);
	await everywhere('carol', 3);
	const again = await alice2.call({ service: 'carol', state: `${call.state};again` });
	assert.equal(again.final.status, 200, again.final.start);
	const invite = await carol2.take('the INVITE', isInvite);
	assert.match(invite.get('call-state-id') ?? '', /^[0-9a-f]{32}$/);
	assert.ok(invite.get('call-state') && again.state, 'both have a state again');
	await hear(alice2, again.final.body, carol2, invite.body);
	assert.equal((await again.request('BYE')).status, 200);
});
