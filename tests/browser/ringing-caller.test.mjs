// SPDX-License-Identifier: GPL-2.0-or-later
// A page that has called is reloaded before anybody has answered: its call rings on, in both libraries.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { replyTo } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-ringing-caller');

let invite, canceled; // what the far end got
beforeEach(() => {
	invite = canceled = undefined;
	stack.echo.answer = (m) => {
		if (m.method === 'CANCEL') canceled = m;
		if (m.method !== 'INVITE' || m.tag('to')) return true;
		invite ??= m;
		return false;
	};
});

const shows = (tab, state) => until(`the page to show ${state}`, async () => (await tab.states()).at(-1)?.startsWith(state));
const kept = (tab, is = true) => until('what is in the storage', async () => (await tab.stored()).length > 0 === is);

/** A page that has called, and hears ringing. */
async function ringing(library) {
	const tab = await stack.signedIn(browser, library);
	await tab.dial('echo');
	await until('the far end to be called', () => invite);
	stack.echo.ring(invite);
	await tab.rings();
	return tab;
}

/** A page that has called, and has not been told of anything. */
async function dialled(library) {
	const tab = await stack.signedIn(browser, library);
	await tab.dial('echo');
	await until('the far end to be called', () => invite);
	return tab;
}

/** Another connection than before, or none yet. */
const cut = async () => {
	for (const [, id] of (await stack.kamailio.kamcmd('ws.dump')).matchAll(/^\s*(\d+): ws/gm)) await stack.kamailio.kamcmd('ws.close', id).catch(() => {});
};

/** The far end answers, and the call goes on. */
async function answered(library, tab) {
	await stack.echo.pickUp(invite);
	return goesOn(library, tab);
}

/** The far end answers while the page is not there. */
async function answeredAway(library, tab) {
	await tab.page.goto('about:blank');
	await until('nobody to be there', async () => !/->/.test(await stack.kamailio.kamcmd('ws.dump')));
	await stack.echo.pickUp(invite);
	await until('the ACK', () => stack.echo.last.requests.some((m) => m.method === 'ACK'));
	await tab.page.goto(stack.page(library));
	await goesOn(library, tab);
}

async function goesOn(library, tab) {
	await tab.up();
	const far = stack.echo.last;
	const call = Object.assign(new WebCall(), { stack, library, query: '', role: 'caller', tab, far });
	await call.talks();
	assert.ok(far.requests.some((m) => m.method === 'ACK' && m.cseq === invite.cseq), 'the answer was acknowledged');
	stack.echo.answer = () => true;
	await tab.page.reload();
	await call.back({ lives: 2 });
	await call.endsBy('far');
}

const RINGS = { jssip: 'ringing', sipjs: 'calling' };
for (const library of ['jssip', 'sipjs']) {
	test(`${library}: reloaded twice while it rings, and answered`, async () => {
		const tab = await ringing(library);
		for (let lives = 0; lives < 2; lives++) {
			await tab.page.reload();
			await shows(tab, RINGS[library]);
			assert.match(await tab.line(), /rings on/);
		}
		await answered(library, tab);
	});

	test(`${library}: what the far end plays before it answers is heard after each reload, and so is the answer`, async () => {
		const tab = await dialled(library);
		const far = await stack.echo.play(invite);
		await tab.rings();
		const hears = () => Promise.all([tab.hears(), far.hears()]);
		await hears();
		for (let lives = 0; lives < 2; lives++) {
			await tab.page.reload();
			await shows(tab, RINGS[library]);
			await hears();
		}
		assert.ok(!stack.echo.calls.includes(far), 'it has not answered');
		await answered(library, tab);
	});

	test(`${library}: the far end plays something when the page is back`, async () => {
		const tab = await dialled(library);
		await tab.page.reload();
		await shows(tab, RINGS[library]);
		const far = await stack.echo.play(invite);
		await Promise.all([tab.hears(), far.hears()]);
		await answered(library, tab);
	});

	test(`${library}: answered while the page is not there`, async () => {
		await answeredAway(library, await ringing(library));
	});

	test(`${library}: reloaded, and the far end is busy`, async () => {
		const tab = await ringing(library);
		await tab.page.reload();
		await shows(tab, RINGS[library]);
		invite.answer(replyTo(invite, 486, 'Busy Here', { to: `${invite.get('to')};tag=busy` }));
		await tab.up(0);
		await kept(tab, false);
		assert.equal(await tab.line(), 'The call was not answered.');
		await stack.noMedia();
	});

	test(`${library}: reloaded, and hung up while it rings`, async () => {
		const tab = await ringing(library);
		await tab.page.reload();
		await shows(tab, RINGS[library]);
		await tab.click('hangup');
		await until('the CANCEL', () => canceled);
		invite.answer(replyTo(invite, 487, 'Request Terminated', { to: `${invite.get('to')};tag=x` }));
		await tab.up(0);
		await kept(tab, false);
		await stack.noMedia();
	});

	test(`${library}: reloaded before it rings, and answered`, async () => {
		const tab = await dialled(library);
		for (let lives = 0; lives < 2; lives++) {
			await tab.page.reload();
			await shows(tab, RINGS[library]);
			assert.match(await tab.line(), /rings on/);
		}
		stack.echo.ring(invite);
		await answered(library, tab);
	});

	test(`${library}: answered before it has rung, while the page is not there`, async () => {
		await answeredAway(library, await dialled(library));
	});

	test(`${library}: reloaded before it rings, and hung up`, async () => {
		const tab = await dialled(library);
		await tab.page.reload();
		await shows(tab, RINGS[library]);
		await tab.click('hangup');
		await tab.up(0);
		await kept(tab, false);
		// Before a provisional answer there is no CANCEL (RFC 3261 section 9.1).
		stack.echo.ring(invite);
		await until('the CANCEL', () => canceled);
		invite.answer(replyTo(invite, 487, 'Request Terminated', { to: `${invite.get('to')};tag=x` }));
		await stack.noMedia();
	});

	test(`${library}: the connection is lost before it rings`, async () => {
		const tab = await dialled(library);
		await cut();
		await until('it to ring on', async () => /rings on/.test(await tab.line()));
		await until('one row', async () => (await tab.states()).length === 1);
		await answered(library, tab);
	});

	test(`${library}: reloaded before its INVITE has left the page`, async () => {
		const tab = await stack.signedIn(browser, library);
		await tab.page.evaluate(() => {
			const { send } = WebSocket.prototype;
			WebSocket.prototype.send = function(text) {
				if (/^INVITE /.test(text)) document.title = 'has dialled';
				else send.call(this, text);
			};
		});
		await tab.dial('echo');
		await until('the page to dial', async () => await tab.page.title() === 'has dialled');
		await tab.page.reload();
		await until('it to be told', async () => await tab.line() === 'The call ended while you were away.');
		await tab.up(0);
		await kept(tab, false);
		assert.equal(invite, undefined);
	});

	for (const reloaded of [false, true]) {
		test(`${library}: the connection is lost while it rings${reloaded ? ' after a reload' : ''}`, async () => {
			const tab = await ringing(library);
			if (reloaded) {
				await tab.page.reload();
				await shows(tab, RINGS[library]);
			}
			const opened = () => tab.page.evaluate(() => window.opened);
			const before = await opened();
			await cut();
			await until('another connection', async () => await opened() > before);
			await until('it to ring on', async () => /rings on/.test(await tab.line()));
			await until('one row', async () => (await tab.states()).length === 1);
			await answered(library, tab);
		});
	}
}
