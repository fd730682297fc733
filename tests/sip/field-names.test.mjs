// SPDX-License-Identifier: GPL-2.0-or-later
// Names of a dialog as other phones write them: white space around parameters, every letter that a tag and a
// Call-ID may have, a target that is not repeated, a caller who calls himself something else meanwhile.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { Field, writes } from '../lib/field.mjs';
import { DOMAIN, message, random, sdp } from '../lib/sip.mjs';

let field;
before(async () => { field = await Field.start('field-names'); });
afterEach(() => field.end());
after(() => field.stack.stop());

// RFC 3261 section 25.1: SEMI = SWS ";" SWS, EQUAL = SWS "=" SWS.
const SPACED = {
	'a space behind the semicolon': (text) => text.replace(/;tag=/g, '; tag='),
	'spaces around both signs': (text) => text.replace(/;tag=/g, ' ;\ttag = '),
	'a folded line between them': (text) => text.replace(/;tag=/g, ';\r\n tag\r\n\t=\r\n '),
};
const parties = (change) => (text) => text.replace(/^(From|To): .*$/gm, change);

for (const [what, write] of Object.entries(SPACED)) {
	for (const role of ['caller', 'callee']) {
		test(`the far end writes its tags with ${what}; the client is the ${role}`, async () => {
			const bob = await field.far({ write: parties(write) });
			const call = await field.resumed(bob, { role });
			await field.goesOn(bob, call, 'far');
		});
	}

	test(`the client writes its tags with ${what}`, async () => {
		const bob = await field.far();
		const alice = field.alice.bind(field);
		field.alice = async (...args) => {
			const client = await alice(...args);
			writes(client, (text) => (/^REGISTER/.test(text) ? text : parties(write)(text)));
			return client;
		};
		try {
			await field.goesOn(bob, await field.resumed(bob));
		} finally { delete field.alice; }
	});
}

test('the far end writes white space into the Vias that it sends back', async () => {
	const bob = await field.far({
		write: (text) => (/^SIP/.test(text) ? text.replace(/^Via: .*$/gm, (via) => via.replace(/;/g, ' ; ').replace(/=/g, ' = ')) : text),
	});
	await field.goesOn(bob, await field.resumed(bob));
});

test('white space in Replaces, in an INVITE to the Contact of a client that has resumed', async () => {
	const bob = await field.far();
	const { two, mine, theirs, callId } = await field.resumed(bob);
	const { contact } = bob.requests.findLast((m) => m.method === 'INVITE');
	const [near, far] = [theirs.remote, theirs.local].map((name) => /tag=(.*)$/.exec(name)[1]);
	bob.send(message(`INVITE ${contact} SIP/2.0`, [
		`Via: SIP/2.0/UDP ${bob.host};branch=z9hG4bK${random()}`, 'Max-Forwards: 70', `From: <sip:dave@${DOMAIN}>;tag=77`,
		`To: <sip:alice@${DOMAIN}>`, `Call-ID: ${random()}`, 'CSeq: 1 INVITE', `Contact: <${bob.uri}>`,
		`Replaces: ${callId} ; to-tag = ${near} ; from-tag=${far}`,
	], sdp(bob.ip, bob.media)));
	const asked = await two.take('the INVITE', (m) => !m.status && m.get('replaces'));
	assert.ok(asked.get('replaces').startsWith(mine.callId), asked.get('replaces'));
});

test('a request in a dialog, with a To that cannot be read, does not get to a client under names that it does not know', async () => {
	const bob = await field.far();
	const { two, theirs, callId } = await field.resumed(bob);
	const stat = async () => Number(/maps_malformed: (\d+)/.exec(await field.stack.kamailio.kamcmd('call_resume.stats'))[1]);
	const before = await stat();
	const broken = theirs.text('INFO', { remote: theirs.remote.replace(/;tag=/, '; tag="') });
	bob.send(broken);
	bob.send(theirs.text('OPTIONS'));
	await two.take('the next request', (m) => m.method === 'OPTIONS');
	assert.deepEqual(two.requests.filter((m) => m.callId === callId), []);
	assert.ok(await stat() >= before);
});

test('no Contact in the 200 to a resume: the client gets the target that there was', async () => {
	const bob = await field.far();
	const call = await field.resumed(bob, {
		between: async () => writes(bob, (text) => (/^SIP\/2.0 200/.test(text) ? text.replace(/^Contact: .*\r\n/m, '') : text)),
	});
	assert.equal(call.mine.final.contact, bob.uri);
	writes(bob, (text) => text);
	await field.goesOn(bob, call);
});

for (const callId of [`intmeth.word%ZK-!.*_+'@word\`~)(><:\\/"][?}{`, 'a<b>c', '{3F2504E0-4F89-11D3}@[::1]', 'a"b\\c']) {
	test(`Call-ID ${callId}`, async () => {
		const bob = await field.far();
		const one = await field.alice('ws');
		const first = await one.call({ callId });
		assert.equal(first.final.status, 200);
		assert.ok(first.state, 'a state');
		one.close();
		const two = await field.alice('ws');
		const mine = await two.call({ state: first.state });
		assert.equal(mine.final.status, 200);
		assert.equal(bob.requests.findLast((m) => m.method === 'INVITE').callId, callId);
		await field.goesOn(bob, { two, mine, theirs: bob.dialog(callId), callId, body: mine.final.body });
	});
}

// RFC 3261 section 25.1, token.
for (const tag of ["o'neill", "'", "''x'", '`~!%*_+-.']) {
	test(`the caller's tag is ${tag}: it can go on, and hang up`, async () => {
		const bob = await field.far();
		const one = await field.alice('ws');
		const first = await one.call({ tag });
		assert.equal(first.final.status, 200);
		await bob.take('the ACK', (m) => m.method === 'ACK');
		assert.equal((await first.request('INFO')).status, 200);
		assert.equal((await bob.dialog(first.callId).request('INFO')).status, 200);
		one.close();
		const two = await field.alice('ws');
		const mine = await two.call({ state: first.state });
		assert.equal(mine.final.status, 200);
		await field.goesOn(bob, { two, mine, theirs: bob.dialog(first.callId), callId: first.callId, body: mine.final.body });
	});

	test(`the far end calls, with the tag ${tag}: its media go on`, async () => {
		const bob = await field.far();
		const one = await field.alice('ws');
		const dialog = await bob.call({ service: 'alice', tag });
		assert.equal(dialog.final.status, 200);
		const invite = await one.take('the INVITE', (m) => m.method === 'INVITE');
		await one.take('the ACK', (m) => m.method === 'ACK');
		await field.talk(one, invite.body, dialog.callId);
		assert.equal((await one.dialog(dialog.callId).request('BYE')).status, 200);
	});
}

test('the far end calls itself something else after a resume (RFC 4916)', async () => {
	const bob = await field.far();
	const one = await field.alice('ws');
	const call = await field.call(one, bob, 'callee');
	one.close();
	const two = await field.alice('ws');
	// Another To than the state's: so From and To of the two dialogs are not the same.
	const mine = await two.call({ state: call.state, service: 'call-resume' });
	assert.equal(mine.final.status, 200);
	const { theirs } = call;
	const was = /<([^>]*)>/.exec(theirs.local)[1];
	const seen = async (method, local) => {
		const ok = await theirs.request(method, { local, body: method === 'INVITE' ? sdp(bob.ip, bob.media, 9) : '' });
		assert.equal(ok.status, 200);
		if (method === 'INVITE') theirs.ack({ local });
		assert.equal(ok.get('from'), local, 'From of the answer is that of the request (RFC 3261 section 8.2.6.2)');
		return (await two.take(method, (m) => !m.status && m.method === method)).get('from');
	};
	assert.match(await seen('INFO', theirs.local), /<sip:call-resume@/);
	const renamed = theirs.local.replace(was, `sip:+15550199@${DOMAIN}`);
	assert.match(await seen('INFO', renamed), /<sip:\+15550199@/);
	assert.match(await seen('INVITE', renamed), /<sip:\+15550199@/);
	assert.equal((await mine.request('INFO')).get('to'), mine.remote);
	assert.equal((await mine.request('BYE')).status, 200);
});
