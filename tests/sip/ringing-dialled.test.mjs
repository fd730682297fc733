// SPDX-License-Identifier: GPL-2.0-or-later
// A client that has dialled, and is lost before its call rings: it has no state of it, and finds it by the names of its
// INVITE.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { EarlyCalls, is } from '../lib/early.mjs';

let early;
before(async () => { early = await EarlyCalls.start('ringing-dialled', { defines: { RINGING_MAX: 100 } }); });
afterEach(() => early.end());
after(() => early?.stop());

const NO_CALL = 'SIP/2.0 481 Call/Transaction Does Not Exist';
const refusal = async (client, state) => (await client.call({ state })).final.start;

for (const transport of ['ws', 'wss', 'tcp', 'tls']) {
	test(`over ${transport}: waits for it, and gets the answer`, async () => {
		const { far, names } = await early.dialled({ transport });
		const second = await early.client({ transport });
		const again = await early.back(second, names);
		far.rings();
		const dialog = await early.answered(far, second, again);
		assert.equal((await dialog.request('INFO')).status, 200);
		await early.hangUp(dialog);
	});
}

test('back twice', async () => {
	const { far, names } = await early.dialled();
	await early.hangUp(await early.backTwice(far, names));
});

test('back, and the far end refuses', async () => {
	const { far, names } = await early.dialled();
	const again = await early.back(await early.client(), names);
	far.refuses(486, 'Busy Here');
	assert.equal((await again.dialog).final.status, 486);
	await early.stack.noMedia();
});

test('back, and hung up', async () => {
	const { far, names } = await early.dialled();
	const again = await early.back(await early.client(), names);
	far.rings();
	again.cancel();
	assert.equal((await again.dialog).final.status, 487);
	await far.canceled();
	far.refuses(487, 'Request Terminated');
	await far.over();
	await early.stack.noMedia();
});

test('it has rung and been answered while nobody was there', async () => {
	const { far, names } = await early.dialled();
	far.rings();
	far.answers();
	await far.acknowledged();
	await early.hangUp(await early.comesBack(await early.client(), names));
});

test('its INVITE has never arrived', async () => {
	assert.equal(await refusal(await early.client(), 'dialled;call-id=nothing;tag=1;cseq=1'), NO_CALL);
});

test('nobody else gets at it, ringing or answered, nor by another name', async () => {
	const { far, names } = await early.dialled();
	const others = [];
	for (const [user, sid] of [['carol', 'web-session-1'], ['alice', 'web-session-2']]) others.push(await early.client({ user, sid }));
	const mine = await early.client();
	const rest = async () => {
		for (const other of others) assert.equal(await refusal(other, names), NO_CALL);
		for (const wrong of [/cseq=\d+/, /tag=[^;]+/, /call-id=[^;]+/]) assert.equal(await refusal(mine, names.replace(wrong, (p) => `${p}1`)), NO_CALL);
	};
	await rest();
	assert.deepEqual(early.bob.inbox.filter(is('CANCEL')).map((m) => m.start), []);
	far.answers();
	await far.acknowledged();
	for (const other of others) assert.equal(await refusal(other, names), NO_CALL);
	await early.hangUp(await early.comesBack(mine, names));
});

test('the call of a far end is nobody\'s who knows its names', async () => {
	const client = await early.client();
	client.answer = (m) => m.method !== 'INVITE';
	const dialog = early.bob.call({ service: 'alice', callId: 'theirs' });
	const { tag, cseq } = early.bob.last;
	const invite = await client.take('the INVITE', is('INVITE'));
	assert.equal(await refusal(client, `dialled;call-id=theirs;tag=${tag};cseq=${cseq}`), NO_CALL);
	client.reply(invite, 486, 'Busy Here');
	assert.equal((await dialog).final.status, 486);
});

for (const bad of ['dialled', 'dialled;call-id=a;tag=b', 'dialled;call-id=a;tag=b;cseq=x', 'dialled;call-id=;tag=b;cseq=1', `dialled;call-id=${'a'.repeat(256)};tag=b;cseq=1`,
	'dialled;call-id="a";tag=b;cseq=1', 'dialled;call-id=a;tag="b";cseq=1', 'dialled;call-id=a;tag=b;cseq=4294967296']) {
	test(`"${bad.slice(0, 50)}" is refused`, async () => {
		assert.match(await refusal(await early.client(), bad), /^SIP\/2.0 400 /);
	});
}

test('nothing is left', () => early.nothingLeft());
