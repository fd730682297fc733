// SPDX-License-Identifier: GPL-2.0-or-later
// Transfers between softphones: who asked for it is out, and the other two hear each other.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { noteTracks } from '../lib/browser.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { FarEnd } from '../lib/sip.mjs';
import { Phone, softphoneTests } from '../lib/softphone.mjs';
import { DOMAIN } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';
import { chromium, stack, webTests } from '../lib/webtests.mjs';

// One client is no page, and has its token over UDP.
webTests('browser-softphone-transfer', { defines: { RESUME_ALLOW_INSECURE: 1 } });
softphoneTests();

const others = []; // browsers of other users
afterEach(async () => {
	for (const one of others.splice(0)) await one.close();
});

/** Somebody in a browser of his own. */
async function elsewhere(user) {
	stack.passwords[user] ??= stack.portal.add(`${user}@${DOMAIN}`);
	others.push(await chromium.another());
	return Phone.signedIn(user, others.at(-1));
}

/** One calls another one, who answers. */
async function talk(one, two, name, target) {
	await one.dial(target);
	await two.call(name, 'incoming').waitFor();
	await two.click(name, 'answer');
	await one.up(target);
	await two.up(name);
	await one.tab.hears();
}

/** Type into the form of a call, and press a button of it. */
async function transfer(phone, name, how, target) {
	await phone.click(name, 'transfer');
	if (target) await phone.call(name).getByLabel('Transfer to').fill(target);
	await phone.call(name).locator(`[data-how=${how}]`).click();
}

for (const reloaded of [false, true]) {
	test(`a call is transferred without asking${reloaded ? ', after both sides were reloaded' : ''}: who was asked hears the new one`, async () => {
		const alice = await Phone.signedIn('alice');
		const bob = await elsewhere('bob');
		await talk(alice, bob, 'alice', 'bob');
		for (const phone of reloaded ? [alice, bob] : []) {
			await phone.reload();
			await phone.up(phone === alice ? 'bob' : 'alice');
			await phone.tab.hears();
		}
		const before = stack.echo.calls.length;
		await transfer(alice, 'bob', 'now', 'echo');
		await bob.call('alice').locator('.ask:visible').waitFor();
		assert.match(await bob.call('alice').locator('.ask').innerText(), /^alice wants to connect you with echo\./);
		assert.match(await bob.page.locator('#alarm').textContent(), /wants to connect you with echo/);
		await bob.click('alice', 'accept');
		await bob.up('echo');
		await alice.call('bob', 'over').waitFor();
		assert.equal(await alice.text('bob'), 'Connected with echo.');
		await until('bob to have one call', async () => await bob.page.locator('.call').count() === 1);
		const far = await until('the far end to be called', () => stack.echo.calls[before]);
		await bob.tab.hears();
		await far.hears();
		assert.equal((await stack.rtpengine.calls()).length, 1);
		await alice.gone();
		await bob.click('echo', 'hangup');
		await bob.gone();
		await stack.noMedia();
	});
}

test('a call is transferred to somebody who was asked first: the other two hear each other', async () => {
	const alice = await Phone.signedIn('alice');
	const bob = await elsewhere('bob');
	const carol = await elsewhere('carol');
	await talk(bob, alice, 'bob', 'alice');
	await transfer(alice, 'bob', 'ask', 'carol');
	await carol.call('alice', 'incoming').waitFor();
	await alice.says('bob', /^On hold$/);
	await carol.click('alice', 'answer');
	await alice.up('carol');
	await carol.tab.hears();
	await transfer(alice, 'carol', 'connect');
	// Whoever of the two is asked to call the other one.
	await carol.click('alice', 'accept');
	await bob.call('carol', 'up').waitFor();
	await carol.call('bob', 'up').waitFor();
	await until('alice to be out of both', async () => await alice.page.locator('.call:not([data-state=over])').count() === 0);
	for (const phone of [bob, carol]) {
		await until('one call', async () => await phone.page.locator('.call').count() === 1);
		await phone.tab.hears();
	}
	assert.equal((await stack.rtpengine.calls()).length, 1);
	await carol.reload();
	await carol.up('bob');
	await Promise.all([bob.tab.hears(), carol.tab.hears()]);
	await bob.click('carol', 'hangup');
	await Promise.all([bob.gone(), alice.gone()]);
	await stack.noMedia();
});

test('one that is refused, or comes to nothing, leaves the call as it was', async () => {
	const alice = await Phone.signedIn('alice');
	const bob = await elsewhere('bob');
	await talk(alice, bob, 'alice', 'bob');
	const line = alice.call('bob').locator('.line');
	await transfer(alice, 'bob', 'now', 'echo');
	await bob.click('alice', 'decline');
	await until('alice to know', async () => /^Not transferred to echo: The call was declined\./.test(await line.textContent()));
	await alice.says('bob', /^$/);
	await alice.tab.hears();
	await bob.tab.hears();

	await transfer(alice, 'bob', 'now', '999');
	await bob.click('alice', 'accept');
	await until('alice to know', async () => /^Not transferred to 999: There is nobody/.test(await line.textContent()));
	await bob.call('999', 'over').waitFor();
	await bob.click('999', 'close');
	await alice.says('bob', /^$/);
	await bob.click('alice', 'hangup');
	await Promise.all([bob.gone(), alice.gone()]);
	await stack.noMedia();
});

test('the other side cannot write into our INVITE by what it sends us to', async () => {
	const alice = await Phone.signedIn('alice');
	await alice.dial('echo');
	await alice.up('echo');
	const call = stack.echo.last;
	const invites = [];
	stack.echo.answer = (m) => m.method !== 'INVITE' || invites.push(m.text) > 0;
	for (const replaces of ['x%3Bto-tag%3D1%3Bfrom-tag%3D2%0D%0AX-Planted%3A%20yes', 'x%0AX-Planted%3A%20yes']) {
		const said = call.requests.length;
		const refer = await call.request('REFER', { headers: [`Refer-To: <sip:echo@${DOMAIN}?Replaces=${replaces}>`] });
		assert.equal(refer.status, 202);
		const asks = () => alice.call('echo').locator('.ask:visible').count();
		const declined = () => call.requests.slice(said).some((m) => m.method === 'NOTIFY' && m.text.includes('603'));
		await until('an answer', async () => declined() || await asks());
		if (await asks()) await alice.click('echo', 'accept');
		await until('an INVITE, or that there is none', () => declined() || invites.length > 0);
		for (const text of invites) assert.doesNotMatch(text, /^X-Planted/m);
	}
	assert.deepEqual(invites, []);
	stack.echo.answer = () => true;
	await alice.click('echo', 'hangup');
	await stack.noMedia();
});

/** A call of alice with somebody whose client does what it likes. @returns {mallory, call (its side), again()} */
async function withMallory(alice) {
	const [audio, more] = [await Rtp.open(), await Rtp.open()];
	const { ip, port } = stack.kamailio;
	const mallory = await FarEnd.open({ user: 'mallory', token: await stack.kamailio.token(`sip:mallory@${DOMAIN}`), media: audio.port, to: { ip, port } });
	others.push(...[mallory, audio, more].map((one) => ({ close: async () => one.close() })));
	assert.equal((await mallory.register()).status, 200);
	await alice.dialled('mallory');
	await until('mallory to hear her', () => audio.loud > 0);
	const [call] = mallory.dialogs.values();
	const tag = (address) => /;tag=([^;]*)/.exec(address)[1];
	/** Calls her, to take its own place in that call (RFC 3891). */
	const again = (how) => mallory.call({
		service: 'alice', headers: [`Replaces: ${call.callId};to-tag=${tag(call.remote)};from-tag=${tag(call.local)}`], ...how,
	});
	mallory.media = more.port;
	return { mallory, call, audio, more, again };
}

/** Wait until so many packets have come. */
const packets = (rtp, n = 60) => {
	const { received } = rtp;
	return until(`${n} packets`, () => rtp.received - received >= n);
};
const isUp = async (alice) => assert.equal(await alice.call('mallory', 'up').count(), 1);

for (const [what, quiet] of [['on hold', 'hold'], ['muted', 'mute']]) {
	for (const acknowledge of [true, false]) {
		test(`who takes a place in a call that is ${what} hears nothing, ${acknowledge ? 'until it is so no more' : 'nor before he has acknowledged'}`, async () => {
			const alice = await Phone.signedIn('alice');
			await alice.page.addInitScript(noteTracks);
			await alice.reload();
			await alice.registered();
			const { more, again } = await withMallory(alice);
			await alice.click('mallory', quiet);
			await alice.says('mallory', what === 'muted' ? /^Muted$/ : /^On hold$/);
			await alice.page.evaluate(() => { delete window.first; });
			assert.equal((await again({ acknowledge })).final.status, 200);
			assert.deepEqual(await alice.page.evaluate(() => window.first), ['audio off']);
			await packets(more);
			assert.equal(more.loud, 0, 'not a sound of alice');
			await isUp(alice);
			await alice.says('mallory', what === 'muted' ? /^Muted$/ : /^On hold/);
			if (acknowledge) {
				await alice.click('mallory', quiet);
				await until('mallory to hear her', () => more.loud > 0);
			}
			await alice.click('mallory', 'hangup');
			await alice.gone();
		});
	}
}

test('one who is to take a place and goes again leaves the call as it was: what the page says to be over is over', async () => {
	const alice = await Phone.signedIn('alice');
	const { mallory, call, audio, again } = await withMallory(alice);
	const other = await again({ acknowledge: false });
	assert.equal(other.final.status, 200);
	assert.equal((await other.request('BYE')).status, 200);
	await packets(audio);
	await isUp(alice);
	await alice.click('mallory', 'hangup');
	await mallory.take('the BYE', (m) => m.method === 'BYE' && !m.status && m.callId === call.callId);
	await alice.gone();
	await stack.noMedia();
});

test('two are not about to take one place', async () => {
	const alice = await Phone.signedIn('alice');
	const { audio, again } = await withMallory(alice);
	const other = await again({ acknowledge: false });
	assert.equal((await again()).final.status, 486);
	assert.equal((await other.request('BYE')).status, 200);
	await packets(audio);
	await isUp(alice);
	await alice.click('mallory', 'hangup');
	await alice.gone();
	await stack.noMedia();
});

test('who hangs up while somebody is about to take a place hangs up on both', async () => {
	const alice = await Phone.signedIn('alice');
	const { mallory, call, again } = await withMallory(alice);
	const other = await again({ acknowledge: false });
	await alice.click('mallory', 'hangup');
	await mallory.take('the BYE', (m) => m.method === 'BYE' && !m.status && m.callId === call.callId);
	other.ack();
	await mallory.take('the other BYE', (m) => m.method === 'BYE' && !m.status && m.callId === other.callId);
	await alice.gone();
	await stack.noMedia();
});

test('a call that ends before the one in its place is acknowledged goes on as that', async () => {
	const alice = await Phone.signedIn('alice');
	const { mallory, call, more, again } = await withMallory(alice);
	const other = await again({ acknowledge: false });
	assert.equal((await call.request('BYE')).status, 200);
	other.ack();
	await until('mallory to hear her', () => more.loud > 0);
	await until('the page to say so', async () => /^Now you talk to mallory/.test(await alice.call('mallory').locator('.line').textContent()));
	await isUp(alice);
	await alice.click('mallory', 'hangup');
	await mallory.take('the BYE', (m) => m.method === 'BYE' && !m.status && m.callId === other.callId);
	await alice.gone();
	await stack.noMedia();
});
