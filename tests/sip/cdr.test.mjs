// SPDX-License-Identifier: GPL-2.0-or-later
// The rest of Kamailio sees one dialog before and after: dialog and acc.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Dialog, Endpoint, FarEnd, message, random } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

let stack;
before(async () => { stack = await Stack.start('cdr', { defines: { WITH_ACC: true } }); });
after(() => stack?.stop());

const dialogs = async () => (await stack.kamailio.kamcmd('dlg.list')).match(/h_id:/g)?.length ?? 0;
const cdrs = () => stack.kamailio.log().split('\n').filter((l) => /duration=/.test(l));

for (const [who, ip, status] of [['a stranger', '127.0.0.66', 403], ['who forges the trunk\'s address', TRUNK_IP, 481]]) {
	test(`a BYE of ${who} ends neither the dialog nor the CDR`, async () => {
		const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
		const far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
		const alice = await FarEnd.open({ user: 'alice', token: await stack.kamailio.token(`sip:alice@${DOMAIN}`), to });
		const stranger = await FarEnd.open({ ip, user: 'x', to });
		try {
			const call = await alice.call({ service: '100' });
			assert.equal(call.final.status, 200);
			await far.take('the ACK', (m) => m.method === 'ACK');
			const forged = new Dialog(stranger, { callId: call.callId, routes: [`<sip:${stack.gateway};lr>`], target: 'sip:x@127.0.0.66', local: call.local, remote: call.remote, cseq: 1 });
			const before = cdrs().length;
			assert.equal((await forged.request('BYE')).status, status);
			assert.equal(await dialogs(), 1);
			assert.equal((await call.request('BYE')).status, 200);
			await until('the CDR', () => cdrs().length > before);
			assert.ok(cdrs().at(-1).includes(`call_id=${call.callId}`), cdrs().at(-1));
			await until('the dialog to end', async () => (await dialogs()) === 0, { timeout_ms: 15000 });
		} finally {
			for (const party of [far, alice, stranger]) party.close();
		}
	});
}

test('a BYE of another user, with a token of his own, ends neither the dialog nor the CDR', async () => {
	const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
	const alice = await FarEnd.open({ user: 'alice', token: await stack.kamailio.token(`sip:alice@${DOMAIN}`), to });
	const mallory = await FarEnd.open({ user: 'mallory', token: await stack.kamailio.token(`sip:mallory@${DOMAIN}`), to });
	try {
		const call = await alice.call({ service: '100' });
		assert.equal(call.final.status, 200);
		await far.take('the ACK', (m) => m.method === 'ACK');
		const before = cdrs().length;
		const tag = (value) => /;tag=([^;]+)/.exec(value)[1];
		for (const route of [`<sip:${stack.gateway};lr>`, call.routes[0].replace(/crs-a=[^;>]*/, 'crs-a=a')]) {
			const made = new Dialog(mallory, { callId: call.callId, routes: [route], target: `sip:x@127.0.0.1:${mallory.port}`, cseq: 50,
				local: `<sip:mallory@${DOMAIN}>;tag=${tag(call.local)}`, remote: `<sip:x@x>;tag=${tag(call.remote)}` });
			await made.request('BYE', { headers: [`Authorization: Bearer ${mallory.token}`] });
			assert.equal(await dialogs(), 1);
			assert.equal(cdrs().length, before);
		}
		assert.equal((await call.request('BYE')).status, 200);
		await until('the CDR', () => cdrs().length > before);
		await until('the dialog to end', async () => (await dialogs()) === 0, { timeout_ms: 15000 });
	} finally {
		for (const party of [far, alice, mallory]) party.close();
	}
});

/** A far end at the trunk, and clients; all are closed in the end. */
async function parties(work) {
	const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const open = [await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to })];
	const client = async (user = 'alice') => {
		open.push(await FarEnd.open({ user, token: await stack.kamailio.token(`sip:${user}@${DOMAIN}`), to }));
		return open.at(-1);
	};
	try {
		await work(open[0], client);
	} finally {
		for (const one of open) one.close();
	}
}

const ended = async (callId) => {
	const line = await until('the CDR', () => cdrs().find((l) => l.includes(`call_id=${callId}`)));
	return /caller=(\S+); callee=(\S+);/.exec(line).slice(1);
};

const OF_ALICE = [`sip:alice@${DOMAIN}`, `sip:100@${DOMAIN}`];

for (const by of ['client', 'far end']) {
	test(`the BYE of a ${by} does not say who has called whom`, () => parties(async (far, client) => {
		const call = await (await client()).call({ service: '100' });
		await far.take('the ACK', (m) => m.method === 'ACK');
		const side = by === 'client' ? call : far.dialog(call.callId);
		for (const name of ['local', 'remote']) side[name] = side[name].replace(/<[^>]*>/, `<sip:victim-${name}@${DOMAIN}>`);
		assert.equal((await side.request('BYE')).status, 200);
		assert.deepEqual(await ended(call.callId), OF_ALICE);
	}));
}

for (const [what, options] of [
	['in its To another one than it calls', { to: `sip:free@${DOMAIN}` }],
	['nobody as its caller', { from: '<sip:anonymous@anonymous.invalid>' }],
	['fields of a CDR as its caller', { from: `<sip:alice@${DOMAIN};callee=sip:free>` }],
]) {
	test(`a call that names ${what} is that of its client, to whom it was put through`, () => parties(async (far, client) => {
		const call = await (await client()).call({ service: '100', ...options });
		assert.equal(call.final.status, 200, call.final.start);
		assert.equal((await call.request('BYE')).status, 200);
		assert.deepEqual(await ended(call.callId), OF_ALICE);
	}));
}

test('a call goes on for which dialog has a CDR, because of a BYE that was refused: its end has a line', () => parties(async (far, client) => {
	const call = await (await client()).call({ service: '100' });
	await far.take('the ACK', (m) => m.method === 'ACK');
	far.answer = (m) => (m.method === 'BYE' ? far.reply(m, 500, 'CSeq is too low') ?? false : true);
	assert.equal((await call.request('BYE')).status, 500);
	await ended(call.callId);
	await until('dialog to forget it', async () => (await dialogs()) === 0, { timeout_ms: 15000 });
	const line = () => stack.kamailio.log().split('\n').filter((l) => l.includes(`CDR end=`) && l.includes(`call_id=${call.callId};`));
	assert.deepEqual(line(), []);
	far.answer = () => true;
	call.local = call.local.replace('alice@', 'victim@');
	assert.equal((await call.request('BYE')).status, 200);
	const [one, ...more] = await until('the line', () => line().length > 0 && line());
	assert.deepEqual(more, []);
	const [, end, begun] = /CDR end=(\d+);call_id=[^;]+;node=0;begun=(\d+);caller=sip:alice@example\.org;callee=sip:100@example\.org;answered=0$/.exec(one) ?? assert.fail(one);
	assert.ok(end - begun >= 1 && end - begun < 60, one);
}));

test('one dialog and one CDR span the loss of the client', async () => {
	const before = cdrs().length;
	const token = await stack.kamailio.token(`sip:alice@${DOMAIN}`);
	const peer = await stack.peer('peer', 'resume/peer.xml', { args: ['-d', '2500'] });
	const one = await stack.client('one', 'resume/client.xml', { keys: { token } });
	const state = await one.waitLog('state');
	await one.waitLog('up');
	const callId = await stack.onlyCall();
	assert.equal(await dialogs(), 1);
	await one.kill();
	const two = await stack.client('two', 'resume/resumed.xml', { keys: { token, state } });
	await two.waitLog('answered');
	assert.equal(await dialogs(), 1);
	await two.done();
	await peer.done();
	await until('the CDR', () => cdrs().length > before);
	await until('the dialog to end', async () => (await dialogs()) === 0, { timeout_ms: 15000 });
	assert.equal(cdrs().length, before + 1, cdrs().join('\n'));
	assert.ok(cdrs()[before].includes(`call_id=${callId}`), cdrs()[before]);
	assert.match(cdrs()[before], /resumed=1; away=\d+/);
});

test('a CDR says how often the call was resumed, and how long its client was away', async () => {
	const before = cdrs().length;
	const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const token = await stack.kamailio.token(`sip:alice@${DOMAIN}`);
	const far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
	const lives = [];
	const life = async () => (lives.push(await FarEnd.open({ user: 'alice', token, to })), lives.at(-1));
	try {
		let call = await (await life()).call({ service: '100' });
		const { callId } = call;
		for (let i = 0; i < 3; i++) {
			lives.at(-1).close();
			const lost = Date.now();
			await until('a second to go by', () => Date.now() - lost > 1100);
			call = await (await life()).call({ state: call.state });
			assert.equal(call.final.status, 200);
		}
		assert.equal((await call.request('BYE')).status, 200);
		await until('the CDR', () => cdrs().length > before);
		const [, resumed, away] = cdrs()[before].match(/resumed=(\d+); away=(\d+)/);
		assert.ok(cdrs()[before].includes(`call_id=${callId}`));
		assert.equal(resumed, '3');
		assert.ok(away >= 3 && away <= 12, away);
		const plain = await (await life()).call({ service: '100' });
		assert.equal((await plain.request('BYE')).status, 200);
		await until('the next CDR', () => cdrs().length > before + 1);
		assert.match(cdrs()[before + 1], /resumed=0; away=0/);
	} finally {
		for (const party of [far, ...lives]) party.close();
	}
});

for (const did of ['abc.def', 'zz']) {
	test(`a user fills no log by a Route that names another dialog: ${did}`, () => parties(async (far, client) => {
		const call = await (await client()).call({ service: '100' });
		assert.equal(call.final.status, 200);
		const { length } = stack.kamailio.log();
		for (let i = 0; i < 300; i++) call.ack({ routes: call.routes.map((r) => r.replace(/;did=[^;>]*/, '').replace('>', `;did=${did}>`)) });
		assert.equal((await call.request('BYE')).status, 200);
		await until('the dialog to end', async () => (await dialogs()) === 0, { timeout_ms: 15000 });
		const lines = stack.kamailio.log().slice(length).trim().split('\n');
		assert.ok(lines.length <= 5, `${lines.length} lines: ${lines[0]}`);
	}));
}

/** Three requests that are not as they have to be: how they are answered, and what is logged of them. */
async function told(ip, { method = 'INVITE', fromTag = ';tag=1', toTag = '', fields }) {
	const one = await Endpoint.open({ ip, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
	try {
		const token = ip === TRUNK_IP ? [] : [`Authorization: Bearer ${await stack.kamailio.token(`sip:alice@${DOMAIN}`)}`];
		const { length } = stack.kamailio.log();
		const statuses = [];
		for (let i = 0; i < 3; i++) {
			const branch = `z9hG4bK${random()}`;
			one.send(message(`${method} sip:100@${DOMAIN} SIP/2.0`, [`Via: SIP/2.0/UDP ${one.host};branch=${branch}`, 'Max-Forwards: 70', `From: <sip:alice@${DOMAIN}>${fromTag}`, `To: <sip:100@${DOMAIN}>${toTag}`,
				`Call-ID: ${random()}`, `CSeq: 1 ${method}`, ...token, ...fields(one)]));
			statuses.push((await one.take('the answer', (m) => m.status >= 200 && m.get('via').includes(branch))).status);
		}
		return { statuses, lines: stack.kamailio.logged(/./, length) };
	} finally {
		one.close();
	}
}

const contact = (one) => `Contact: <sip:alice@${one.host}>`;
for (const [who, ip] of [["who forges the trunk's address", TRUNK_IP], ['a user with a token', '127.0.0.67']]) {
	for (const [what, call] of Object.entries({
		'without a Contact': { fields: () => [] }, 'with Contact: *': { fields: () => ['Contact: *'] }, 'with a Contact of another scheme': { fields: () => ['Contact: <tel:1>'] },
		'with two Contacts': { fields: (one) => [`${contact(one)}, <sip:b@${one.host}>`] }, 'with two fields Contact': { fields: (one) => [contact(one), contact(one)] },
		'without a tag in From': { fromTag: '', fields: (one) => [contact(one)] }, 'with a tag in From that is none': { fromTag: ';tag', fields: (one) => [contact(one)] },
		'with a Record-Route without brackets': { fields: (one) => [contact(one), 'Record-Route: sip:x@y;lr'] }, 'with Record-Route: *': { fields: (one) => [contact(one), 'Record-Route: *'] },
		'with an empty Record-Route': { fields: (one) => [contact(one), 'Record-Route: '] },
	})) {
		test(`a call ${what}, of ${who}, is none, and leaves no line`, () => parties(async (far) => {
			assert.deepEqual(await told(ip, call), { statuses: [400, 400, 400], lines: [] });
			assert.deepEqual(far.requests, []);
			assert.equal(await dialogs(), 0);
		}));
	}

	for (const method of ['BYE', 'INFO']) {
		test(`${method} in a dialog without a tag in From, of ${who}, leaves no line`, () => parties(async () => {
			const none = { method, fromTag: '', toTag: ';tag=2', fields: (one) => [contact(one), `Route: <sip:${stack.gateway};lr>`] };
			assert.deepEqual(await told(ip, none), { statuses: [481, 481, 481], lines: [] });
		}));
	}
}

test('a call has its CDR also where its client has sent so much to places that nothing can be sent to that nothing is said of it', () => parties(async (far, client) => {
	const call = await (await client()).call({ service: '100' });
	assert.equal(call.final.status, 200);
	const before = cdrs().length;
	for (let i = 0; i < 300; i++) call.ack({ target: `sip:x@${far.host};transport=sctp` });
	assert.equal((await call.request('BYE')).status, 200);
	await until('the CDR', () => cdrs().length > before);
	assert.ok(cdrs().at(-1).includes(`call_id=${call.callId}`), cdrs().at(-1));
}));
