// SPDX-License-Identifier: GPL-2.0-or-later
// Requests that name a dialog in a header: the client names the one it began with
// its resume, everybody else the one they know.

import { test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { callTests, newCall, stack, token } from '../lib/calltests.mjs';
import { Part, exchange } from '../lib/talk.mjs';
import { nothingLeft, requestsTo, seesOneDialog, seesOwnDialog } from '../lib/call.mjs';
import { freePort } from '../lib/ports.mjs';
import { until } from '../lib/wait.mjs';
import { messagesOf } from '../lib/trace.mjs';

let n = 0;
callTests('transfer');

// A dialog in Replaces (RFC 3891) and Target-Dialog (RFC 4538), as who is "tag" in
// {callId, tag, remote} writes it.
const replaces = (d) => `${d.callId};to-tag=${d.remote};from-tag=${d.tag}`;
const target = (d) => `${d.callId};local-tag=${d.tag};remote-tag=${d.remote}`;
/** The same dialog, seen from the other side. */
const turned = (d) => ({ callId: d.callId, tag: d.remote, remote: d.tag });
const referTo = (uri, dialog) => `Refer-To: <${uri}?Subject=moved&Replaces=${encodeURIComponent(replaces(dialog))}>`;
const referred = (message) => {
	const [, uri, name] = /<([^?]*)\?Subject=moved&Replaces=([^>]*)>/.exec(message.header('Refer-To'));
	return { uri, name: decodeURIComponent(name) };
};
const FOREIGN = { callId: 'foreign@dialog', tag: 'x', remote: 'y' };

/** An INVITE of a new call, with headers of one's choice. */
function invite(headers, options = {}) {
	const { keys, ...more } = options;
	return stack.client(`new-${++n}`, 'transfer/invite.xml', {
		args: ['-d', '50'], ...more, keys: { headers: headers.join('\r\n'), ...keys },
	});
}

test('attended transfer: a client with two resumed calls joins its partners', async () => {
	// alice calls carol, another client, and resumes that call.
	const carols = await stack.kamailio.token(`sip:carol@${DOMAIN}`, 'web-session-2');
	const carol = newCall('carol', { role: 'callee', token: carols, user: 'carol', service: 'alice' });
	const second = newCall('second', { service: 'carol' });
	await carol.wait({ life: new Part().answers('INVITE').answers('BYE'), options: { calls: 2 } });
	await second.live('in-call/client.xml', {});
	await second.client.waitLog('ready');
	await second.lose();
	await second.resume({ life: new Part().logs('up').pauses(900).sends('BYE') });
	await second.client.waitLog('up');

	// alice calls bob, resumes that call, and sends him to carol.
	const far = new Part({ name: 'f' });
	far.answers('INVITE').answers('REFER', { code: 202 }).logs('referred');
	far.sends('NOTIFY', {
		headers: ['Event: refer', 'Subscription-State: terminated'], type: 'message/sipfrag', body: 'SIP/2.0 200 OK',
	});
	far.answers('BYE');
	const first = newCall('first');
	await first.begin({ far });
	await first.lose();
	await first.resume({
		life: new Part()
			.sends('REFER', { expect: 202, headers: [referTo(`sip:carol@${DOMAIN}`, second.namesFrom(1))] })
			.answers('NOTIFY').sends('BYE'),
	});
	await first.far.waitLog('referred');
	const { uri, name } = referred(requestsTo(first.far, 'REFER')[0]);
	assert.equal(uri, `sip:carol@${DOMAIN}`);
	assert.equal(name, replaces(second.namesFrom(0)));

	// bob does as he is told, and carol knows what he means.
	const bob = await invite([`Replaces: ${name}`], { ip: TRUNK_IP, service: 'carol', keys: { user: 'bob' } });
	await bob.waitLog('accepted');
	await bob.done();
	const [asked] = messagesOf(carol.client).filter((m) => m.method === 'INVITE' && m.header('Replaces'));
	assert.equal(asked.header('Replaces'), replaces(turned(carol.namesFrom(0))));

	await second.client.done();
	await first.client.done();
	await first.far.done();
	seesOwnDialog(first.client, seesOneDialog(first.far));
});

test('names in requests inside the dialog', async () => {
	const far = new Part({ name: 'f' });
	far.answers('INVITE');
	// The far end's names of the dialog, as it knows it.
	far.add('\t<nop><action><ereg regexp="tag=([^;]*)" search_in="var" variable="remote" check_it="true" assign_to="1,rtag"/></action></nop>');
	const own = { callId: '[call_id]', tag: '[pid]p[call_number]', remote: '[$rtag]' };
	const two = new Part();
	exchange(far, two, 'REFER', {
		code: 202,
		ask: {
			headers: [`Target-Dialog: ${target(own)}`,
				`Refer-To: <sip:dave@${DOMAIN}?Subject=moved&Replaces=[call_id]%3Bto-tag%3D[$rtag]%3Bfrom-tag%3D[pid]p[call_number]>`],
		},
	});
	exchange(far, two, 'REFER', {
		code: 202, ask: { headers: [`Target-Dialog: ${target(FOREIGN)}`, referTo(`sip:dave@${DOMAIN}`, FOREIGN)] },
	});
	const call = newCall('inside');
	two.logs('named').answers('BYE');
	far.pauses(50).sends('BYE');
	await call.begin({ far });
	await call.lose();
	await call.resume({ life: two });
	await call.client.done();
	await call.far.done();
	const names = turned(call.namesFrom(1));
	const [known, foreign] = requestsTo(call.client, 'REFER');
	assert.equal(known.header('Target-Dialog'), target(names));
	assert.equal(referred(known).name, replaces(names));
	assert.equal(foreign.header('Target-Dialog'), target(FOREIGN));
	assert.equal(referred(foreign).name, replaces(FOREIGN));
	seesOwnDialog(call.client, seesOneDialog(call.far));
});

test('names in new calls of the client, in its old dialog\'s place', async () => {
	const far = new Part({ name: 'f' });
	far.answers('INVITE').pauses(20000);
	const call = newCall('outside');
	await call.begin({ far, farOptions: { calls: 0 } });
	await call.lose();
	await call.resume({ life: new Part().pauses(20000) });
	const [known, asNamed] = [call.namesFrom(0), call.namesFrom(1)];
	for (const [name, write] of [['Target-Dialog', target], ['Replaces', replaces]]) {
		for (const [dialog, arrives] of [[asNamed, known], [FOREIGN, FOREIGN]]) {
			const party = await invite([`Authorization: Bearer ${token}`, `${name}: ${write(dialog)}`]);
			await party.done();
			const [got] = messagesOf(call.far).filter((m) => !m.sent && m.header(name)).slice(-1);
			assert.equal(got.header(name), write(arrives));
		}
	}
});

test('an INVITE that replaces the call, to the Contact of the resumed client', async () => {
	const own = await Stack.start('transfer-contact');
	try {
		const far = new Part({ name: 'f' });
		far.answers('INVITE').pauses(20000);
		const call = newCall('contact', { at: own, token: await own.kamailio.token(`sip:alice@${DOMAIN}`) });
		await call.begin({ far });
		await call.lose();
		await call.resume({ life: new Part().pauses(20000) });
		const [was, is] = [turned(call.namesFrom(0)), turned(call.namesFrom(1))];
		const { contact } = requestsTo(call.far, 'INVITE')[1];
		assert.match(contact, /;crm1=/);
		await own.client('replacing', 'transfer/invite.xml', {
			ip: TRUNK_IP, port: await freePort(TRUNK_IP), service: 'alice',
			keys: { user: 'dave', domain: contact.split('@')[1], headers: `Replaces: ${replaces(was)}` },
		});
		const asked = await until('the INVITE', () => messagesOf(call.client).find((m) => !m.sent && m.header('Replaces')));
		assert.equal(asked.header('Replaces'), replaces(is));
		assert.equal(asked.uri, messagesOf(call.client).find((m) => m.method === 'INVITE').contact);
		assert.equal(asked.header('From').includes('dave'), true);
	} finally {
		await own.stop();
	}
});

test('no transaction is left, no map was refused', () => nothingLeft(stack));
