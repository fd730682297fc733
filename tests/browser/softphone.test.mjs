// SPDX-License-Identifier: GPL-2.0-or-later
// Calls of the softphone, used as people do: clicked on, typed into, reloaded in the middle of calls.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { Client, sdp } from '../lib/sip.mjs';
import { Phone, softphoneTests } from '../lib/softphone.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';
import { browser, chromium, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-softphone');
softphoneTests();

let elsewhere; // somebody else's browser
afterEach(async () => {
	await elsewhere?.close();
	elsewhere = undefined;
});

for (const [what, text] of [
	['a record that is damaged', '{"state":'], ['a record of something else', '{"state":7,"data":7}'],
	['names that are none', '{"state":"x","sends":"audio","data":{"name":7,"number":null,"address":{},"start":"x"}}'],
]) {
	test(`${what} in the storage is said to be, and the phone can be used`, async () => {
		const phone = await Phone.signedIn();
		await phone.page.evaluate((text) => {
			localStorage.setItem('softphone recent alice', '{"number":1}');
			localStorage.setItem('call-resume alice damaged', text);
			return window.inDatabase('readwrite', (calls) => calls.put(['damaged', text], 'call-resume alice damaged'));
		}, text);
		await phone.page.reload({ waitUntil: 'commit' });
		await until('the page to be the phone', () => phone.page.evaluate(() => document.documentElement.dataset.view === 'phone'));
		await phone.registered();
		await phone.says('Call', /^What was stored of the call is damaged/);
		assert.deepEqual(await phone.tab.stored(), []);
		await phone.click('Call', 'close');
		await phone.dialled('echo');
		await phone.click('echo', 'hangup');
		await phone.gone();
	});
}

test('a call is back after a reload: name, timer and far end, and how long audio was away', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	await phone.tab.hears();
	const callId = await stack.onlyCall();
	await until('three seconds of call', async () => await phone.seconds('echo') >= 3);
	// What is seen of the page, from its first paint on.
	await phone.page.addInitScript(() => {
		window.seen = new Set();
		const look = () => {
			const view = document.documentElement?.dataset.view;
			const visible = (id) => document.getElementById(id)?.checkVisibility();
			if (view && view !== 'none') window.seen.add(visible('sign-in') ? 'sign-in' : document.querySelector('.call')?.dataset.state ?? 'no call');
			requestAnimationFrame(look);
		};
		look();
	});
	await phone.reload();
	await phone.up('echo');
	assert.ok(await phone.seconds('echo') >= 3, 'the timer goes on');
	await phone.tab.hears();
	const line = phone.call('echo').locator('.line');
	await until('the line', async () => /^Back\. Audio was away for \d+\.\d\ss\.$/.test(await line.textContent()));
	assert.deepEqual(await phone.page.evaluate(() => [...window.seen]), ['resuming', 'up']);
	assert.equal(await stack.onlyCall(), callId);
	await phone.click('echo', 'hangup');
	await phone.gone();
	await stack.noMedia();
	await phone.reload();
	await phone.registered();
	assert.equal(await phone.page.locator('.call').count(), 0);
});

test('mute and hold stay over a reload, and can be undone', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	await phone.click('echo', 'mute');
	await phone.click('echo', 'hold');
	await phone.says('echo', /^On hold · Muted$/);
	await until('the far end to know', () => stack.echo.last.requests.some((m) => /^a=(sendonly|inactive)/m.test(m.body)));
	await phone.reload();
	await phone.up('echo');
	await phone.says('echo', /^On hold · Muted$/);
	await phone.click('echo', 'hold');
	await phone.says('echo', /^Muted$/);
	await phone.click('echo', 'mute');
	await phone.says('echo', /^$/);
	await phone.tab.hears();
	await phone.click('echo', 'hangup');
	await phone.gone();
});

test('on hold from the click on, also while the other side does not answer an offer', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	const far = stack.echo.last;
	await far.hears();
	await phone.click('echo', 'hold');
	await phone.says('echo', /^On hold$/);
	await far.hearsSilence();
	stack.echo.answer = (m) => m.method !== 'INVITE';
	await phone.click('echo', 'hold');
	await far.hears();
	await phone.click('echo', 'hold');
	await far.hearsSilence();
	await phone.says('echo', /^On hold$/);
	// Off and on again, and muted and not, without its answer.
	await phone.click('echo', 'hold');
	await far.hears();
	await phone.click('echo', 'hold');
	for (let i = 0; i < 2; i++) await phone.click('echo', 'mute');
	await far.hearsSilence();
	stack.echo.answer = () => true;
	await until('it to be told', () => /^a=sendonly/m.test(far.requests.findLast((m) => m.method === 'INVITE').body));
	await phone.says('echo', /^On hold$/);
	await far.hearsSilence();
	await phone.click('echo', 'hold');
	await far.hears();
	await phone.click('echo', 'hangup');
	await phone.gone();
});

test('two calls: the second holds the first, they are swapped, and a reload brings both back', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('100');
	await phone.dialled('200');
	await phone.says('100', /^On hold$/);
	await phone.click('100', 'hold');
	await phone.says('200', /^On hold$/);
	await phone.says('100', /^$/);
	await phone.reload();
	await phone.up('100');
	await phone.up('200');
	await phone.says('200', /^On hold$/);
	await phone.says('100', /^$/);
	assert.equal((await stack.rtpengine.calls()).length, 2);
	await phone.click('100', 'hangup');
	await until('one call', async () => await phone.page.locator('.call').count() === 1);
	await phone.click('200', 'hold');
	await phone.says('200', /^$/);
	await phone.tab.hears();
	await phone.click('200', 'hangup');
	await phone.gone();
	await stack.noMedia();
});

test('two calls come back: the one that was not on hold has the large card, from the beginning', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('100');
	await phone.dialled('200');
	await phone.says('100', /^On hold$/);
	// The one that is found first shall be the one on hold.
	const [[, first]] = await phone.page.evaluate(() => window.inDatabase('readonly', (calls) => calls.getAll()));
	const [held, live] = JSON.parse(first).data.number === '100' ? ['100', '200'] : ['200', '100'];
	if (held === '200') await phone.click('100', 'hold');
	await phone.says(held, /^On hold$/);
	await phone.says(live, /^$/);
	await phone.page.addInitScript(() => {
		window.large = new Set();
		new MutationObserver(() => {
			const all = [...document.querySelectorAll('.call')];
			const large = all.filter((card) => !card.hasAttribute('data-compact'));
			if (all.length === 2 && large.length === 1) window.large.add(large[0].querySelector('.name').textContent);
		}).observe(document, { subtree: true, childList: true, attributes: true });
	});
	await phone.reload();
	await phone.up(held);
	await phone.up(live);
	await phone.says(held, /^On hold$/);
	assert.deepEqual(await phone.page.evaluate(() => [...window.large]), [live]);
	await phone.click(held, 'hangup');
	await phone.click(live, 'hangup');
	await phone.gone();
});

test('another browser calls, is answered, and both are reloaded', async () => {
	elsewhere = await chromium.another();
	const alice = await Phone.signedIn('alice');
	const bob = await Phone.signedIn('bob', elsewhere);
	await alice.dial('bob');
	await bob.call('alice', 'incoming').waitFor();
	assert.match(await bob.page.title(), /^Incoming call: alice/);
	await bob.click('alice', 'answer');
	await bob.up('alice');
	await alice.up('bob');
	await alice.tab.hears();
	await bob.reload();
	await bob.up('alice');
	await alice.tab.hears();
	await bob.tab.hears();
	await alice.reload();
	await alice.up('bob');
	await alice.tab.hears();
	await bob.tab.hears();
	await bob.click('alice', 'hangup');
	await bob.gone();
	await alice.call('bob', 'over').waitFor();
	assert.equal(await alice.text('bob'), 'The call has ended.');
	await stack.noMedia();
});

const UNTRUE = '"bob" ';
for (const [what, where, from, name, number, title] of [
	['from the trunk', { ip: TRUNK_IP, user: 'far' }, `${UNTRUE}<sip:+4930123@carrier.example>`, 'bob', '+4930123', '+4930123 (\u201cbob\u201d)'],
	['from another domain', { ip: TRUNK_IP, user: 'far' }, `${UNTRUE}<sip:bob@evil.example>`, 'bob', 'bob@evil.example', 'bob@evil.example (\u201cbob\u201d)'],
	['without a name from another domain', { ip: TRUNK_IP, user: 'far' }, '<sip:bob@evil.example>', 'bob@evil.example', '', 'bob@evil.example'],
	['that looks like another one', { ip: TRUNK_IP, user: 'far' }, `<sip:b%E2%80%8Bob@${DOMAIN}>`, 'b%E2%80%8Bob', '', 'b%E2%80%8Bob'],
	['of a user', { user: 'mallory', transport: 'ws' }, `${UNTRUE}<sip:mallory@${DOMAIN}>`, 'mallory', '', 'mallory'],
]) {
	test(`a call ${what} whose caller goes by another one's name shows who it is`, async () => {
		const phone = await Phone.signedIn();
		const token = where.transport && await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 'session-of-mallory');
		const caller = await Client.open({ ...where, token, to: { ip: stack.kamailio.ip, port: where.transport ? stack.kamailio.ws : stack.kamailio.port } });
		try {
			const answer = caller.outside('INVITE', `sip:alice@${DOMAIN}`, { from, body: sdp(where.ip ?? '127.0.0.1', 4100) });
			await phone.call(name, 'incoming').waitFor();
			const shown = phone.call(name).locator('.number');
			assert.equal(await shown.isVisible() ? await shown.textContent() : '', number);
			assert.equal(await phone.page.title(), `Incoming call: ${title} \u00b7 Softphone`);
			assert.equal(await phone.page.locator('#alarm').textContent(), `Incoming call from ${title}`);
			await phone.click(name, 'reject');
			await answer;
			await until('the list of calls', async () => (await phone.page.locator('#recent li span').first().textContent()) === title);
		} finally {
			caller.close();
		}
	});
}

test('the media server is lost: the page says so, and has the call again without a reload', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	await phone.tab.hears();
	const line = phone.call('echo').locator('.line');
	// It may say so for a moment only.
	await line.evaluate((element) => {
		window.lines = [];
		new MutationObserver(() => window.lines.push(element.textContent)).observe(element, { childList: true, characterData: true, subtree: true });
	});
	await stack.rtpengine.kill();
	await stack.rtpengine.boot();
	const said = (what) => until(`the page to say ${what}`, async () => (
		(await phone.page.evaluate(() => window.lines)).some((text) => what.test(text))), { timeout_ms: 40000 });
	await said(/^The connection is lost/);
	await said(/^Back\. Audio was away for/);
	await phone.tab.hears();
	await phone.click('echo', 'hangup');
	await phone.gone();
});

const reconnects = (phone) => until('the page to notice', async () => (await phone.page.locator('#status').innerText()) === 'Reconnecting…');

for (const [is, lose, back] of [
	['is down', async (phone) => { await stack.kamailio.kill(); await reconnects(phone); }, () => stack.kamailio.boot()],
	['does not answer', () => stack.kamailio.proc.freeze(), () => stack.kamailio.proc.thaw()],
]) {
	test(`a gateway that ${is} while the page is loaded: it says so at once, and the call is back later`, async () => {
		const phone = await Phone.signedIn();
		await phone.dialled('echo');
		await lose(phone);
		try {
			let asked = 0;
			phone.page.on('request', (request) => { if (request.url().endsWith('/session')) asked++; });
			await phone.reload();
			await phone.call('echo', 'resuming').waitFor();
			await reconnects(phone);
			assert.ok(asked < 5, `before that the portal was asked ${asked} times`);
			assert.equal(await phone.page.locator('#sign-in').isVisible(), false);
		} finally {
			await back();
		}
		await phone.up('echo');
		await phone.tab.hears();
		await phone.click('echo', 'hangup');
		await phone.gone();
	});
}

test('who signs in while the gateway is down is told so, and is signed in later', async () => {
	const phone = await Phone.open();
	await phone.page.locator('#sign-in button:enabled').waitFor();
	await stack.kamailio.kill();
	try {
		let asked = 0;
		phone.page.on('request', (request) => { if (request.url().endsWith('/session')) asked++; });
		await phone.signIn('alice', stack.passwords.alice);
		await phone.page.locator('#sign-in-error', { hasText: 'does not answer yet' }).waitFor();
		assert.ok(asked < 5, `before that the portal was asked ${asked} times`);
	} finally {
		await stack.kamailio.boot();
	}
	await phone.registered();
});

test('who hangs up while the call comes back has hung up', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	const { last } = stack.echo;
	await phone.page.route('**/session', async (route) => {
		await new Promise((resolve) => { setTimeout(resolve, 300); });
		await route.continue();
	}, { times: 1 });
	await phone.page.reload({ waitUntil: 'commit' });
	await phone.click('echo', 'hangup');
	await phone.gone();
	await until('the far end to be hung up on', () => last.state === 'ended');
});

/** No microphone from the next page on; back() gives it back. */
async function withoutMicrophone(phone) {
	await phone.page.addInitScript(() => {
		const capture = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
		navigator.mediaDevices.getUserMedia = (wanted) => (localStorage.getItem('test: microphone') ? capture(wanted)
			: Promise.reject(new DOMException('', 'NotFoundError')));
	});
	return { back: () => phone.page.evaluate(() => localStorage.setItem('test: microphone', 'there')) };
}

test('a call that cannot come back for want of a microphone is tried again, and has it when that is there', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	const microphone = await withoutMicrophone(phone);
	await phone.reload();
	await phone.call('echo', 'over').waitFor();
	assert.equal(await phone.text('echo'), 'The microphone or camera is not there any more.');
	await microphone.back();
	await phone.page.evaluate(() => { window.same = true; });
	await phone.click('echo', 'retry');
	await phone.up('echo');
	await phone.tab.hears();
	assert.ok(await phone.page.evaluate(() => window.same), 'the page was not loaded again');
	await phone.click('echo', 'hangup');
	await phone.gone();
});

test('who closes a call that cannot come back has ended it, at the far end too', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	const { last } = stack.echo;
	await withoutMicrophone(phone);
	await phone.reload();
	await phone.call('echo', 'over').waitFor();
	await phone.click('echo', 'close');
	await phone.gone();
	await until('the far end to be hung up on', () => last.state === 'ended');
	await stack.noMedia();
	await phone.reload();
	await phone.registered();
	assert.equal(await phone.page.locator('.call').count(), 0);
});

test('a sound that the browser does not allow is turned on by a button', async () => {
	const phone = await Phone.signedIn();
	await phone.page.evaluate(() => {
		const { play } = HTMLMediaElement.prototype;
		HTMLMediaElement.prototype.play = function refuse() {
			HTMLMediaElement.prototype.play = play;
			return Promise.reject(new DOMException('', 'NotAllowedError'));
		};
	});
	await phone.dialled('echo');
	await phone.click('echo', 'sound');
	await phone.call('echo').locator('[data-do=sound]').waitFor({ state: 'hidden' });
	await phone.click('echo', 'hangup');
	await phone.gone();
});

test('what the far end plays before it answers is heard, after a reload too, and no tone of the page with it', async () => {
	let invite;
	stack.echo.answer = (m) => m.method !== 'INVITE' || !!m.tag('to') || !(invite ??= m);
	await browser.context.addInitScript(() => {
		const { connect, disconnect } = AudioNode.prototype;
		const tones = new Set();
		window.tones = () => tones.size;
		AudioNode.prototype.connect = function(to) {
			if (to === this.context.destination) tones.add(this);
			return connect.apply(this, arguments);
		};
		AudioNode.prototype.disconnect = function() {
			tones.delete(this);
			return disconnect.apply(this, arguments);
		};
	});
	const phone = await Phone.signedIn();
	await phone.dial('echo');
	const far = await stack.echo.play(await until('the far end to be called', () => invite));
	const hears = async () => {
		await phone.call('echo', 'ringing').waitFor();
		await Promise.all([phone.tab.hears(), far.hears()]);
		assert.ok(await phone.page.locator('#sounds audio').evaluateAll((all) => all.some((audio) => audio.srcObject && !audio.paused)), 'it is played');
		assert.equal(await phone.page.evaluate(() => window.tones()), 0);
	};
	await hears();
	await phone.reload();
	await hears();
	stack.echo.answer = () => true;
	await stack.echo.pickUp(invite);
	await phone.up('echo');
	await Promise.all([phone.tab.hears(), far.hears()]);
	await phone.click('echo', 'hangup');
	await phone.gone();
});

test('keys go to the far end', async () => {
	const phone = await Phone.signedIn();
	await phone.dialled('echo');
	await phone.click('echo', 'pad');
	await phone.call('echo').locator('.pad').getByRole('button', { name: 'hash' }).click();
	await phone.page.keyboard.press('7');
	await until('both', () => {
		const infos = stack.echo.last.requests.filter((m) => m.method === 'INFO');
		return infos.map((m) => m.body.match(/Signal= ?(.)/)[1]).join('') === '#7';
	});
	await phone.click('echo', 'hangup');
	await phone.gone();
});

test('a video call comes back with its picture', async () => {
	const phone = await Phone.signedIn();
	await phone.page.fill('#number', 'echo');
	await phone.page.click('#video-call');
	await phone.up('echo');
	const moves = async () => {
		const seen = () => phone.call('echo').locator('video.far').evaluate((v) => v.currentTime);
		const before = await seen();
		await until('the picture to move', async () => await seen() > before);
	};
	await moves();
	await phone.reload();
	await phone.up('echo');
	await moves();
	await phone.click('echo', 'hangup');
	await phone.gone();
});

/** Says what the page in front has captured, from its beginning. */
async function watchCapture(phone) {
	await phone.page.addInitScript(() => {
		const { mediaDevices } = navigator;
		const capture = mediaDevices.getUserMedia.bind(mediaDevices);
		window.captured = [];
		mediaDevices.getUserMedia = (constraints) => {
			window.captured.push(...['audio', 'video'].filter((kind) => constraints[kind]));
			return capture(constraints);
		};
	});
	await phone.reload();
	await phone.registered();
	return () => phone.page.evaluate(() => [...new Set(window.captured)].join());
}

for (const [what, begin] of [
	['a video call that was answered without the camera', async (phone) => {
		const calling = stack.echo.call('alice', { kinds: ['audio', 'video'] });
		await phone.click('echo', 'answer');
		return calling;
	}],
	['an audio call that the far end has offered video in', async (phone) => {
		await phone.dialled('echo');
		const call = stack.echo.last;
		call.media = [...call.media, { kind: 'video', port: 9, type: 96, name: 'VP8/90000' }];
		assert.equal((await call.reinvite()).status, 200);
		return call;
	}],
]) {
	test(`${what} comes back without it`, async () => {
		const phone = await Phone.signedIn();
		const captured = await watchCapture(phone);
		const call = await begin(phone);
		await phone.up('echo');
		await call.hears();
		assert.equal(await captured(), 'audio');
		await phone.reload();
		await phone.up('echo');
		await call.hears();
		assert.equal(await captured(), 'audio', 'what is captured after the reload');
		assert.equal(call.rtp.video.received, 0, 'packets with video at the far end');
		assert.deepEqual(call.media.map(({ kind, direction }) => `${kind} ${direction}`), ['audio sendrecv', 'video recvonly']);
		await phone.click('echo', 'hangup');
		await phone.gone();
	});
}

test('a wrong number and a call that ended meanwhile are told apart', async () => {
	const phone = await Phone.signedIn();
	await phone.dial('999');
	await phone.call('999', 'over').waitFor();
	assert.equal(await phone.text('999'), 'There is nobody with this name or number.');
	await phone.click('999', 'close');
	await phone.gone();

	await phone.dialled('echo');
	await phone.page.goto('about:blank');
	assert.equal((await stack.echo.last.hangUp()).status, 200);
	await phone.page.goto(stack.web.url);
	await phone.call('echo', 'over').waitFor();
	assert.equal(await phone.text('echo'), 'The call ended while you were away.');
	await phone.click('echo', 'close');
	await phone.gone();
});
