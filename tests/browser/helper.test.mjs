// SPDX-License-Identifier: GPL-2.0-or-later
// call-resume.js without a gateway: how a call comes back, or does not, and when it is over.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { ROOT } from '../lib/kamailio.mjs';
import { ACK, ANSWER, browser, CALLED, helperTests, ID, INVITE, OK, page } from '../lib/helperpage.mjs';

helperTests();

for (const [what, options, reason, { kept = 0, calls = 1, extra = [], says = /^[A-Z].*\.$/ } = {}] of [
	['481', { answers: [{ status: 481 }] }, 'ended'],
	['408', { answers: [{ status: 408 }] }, 'ended'],
	['410', { answers: [{ status: 410 }] }, 'expired'],
	['403', { answers: [{ status: 403 }] }, 'refused'],
	['401 twice', { answers: [{ status: 401 }, { status: 401 }], token: 'token' }, 'refused', { calls: 2 }],
	['401 to a password', { answers: [{ status: 401 }, 200] }, 'password', { kept: 1, says: /password/ }],
	['407 to a password', { answers: [{ status: 407 }, 200] }, 'password', { kept: 1, says: /password/ }],
	['403 to a password', { answers: [{ status: 403 }] }, 'refused'],
	['401, and no token to be had', { answers: [{ status: 401 }], tokenFails: true }, 'failed', { kept: 1, extra: ['tokenerror'] }],
	['401, then 200', { answers: [{ status: 401 }, 200], token: 'token' }, undefined, { kept: 1, calls: 2 }],
	['491, then 200', { answers: [{ status: 491 }, 200], patience: 5000 }, undefined, { kept: 1, calls: 2 }],
	['503 with Retry-After, then 481', { answers: [{ status: 503, retryAfter: '1 (soon);duration=9' }, { status: 481 }], patience: 5000 }, 'ended', { calls: 2 }],
	...['-1', '-1e300', '0.001', '0', '1e-9', 'x'].map((retryAfter) => (
		[`503 with a Retry-After that is none, ${retryAfter}`, { answers: Array(20).fill({ status: 503, retryAfter }), patience: 300 }, 'failed', { kept: 1, calls: [1, 2, 3] }])),
	['503 with a Retry-After beyond its patience: a gateway that asks for it is waited for', { answers: [{ status: 503, retryAfter: '2' }, 200], patience: 1000 }, undefined, { kept: 1, calls: 2 }],
	['... from then on with all its patience', { answers: [{ status: 503, retryAfter: '2' }, { status: 491 }, 200], patience: 1000 }, undefined, { kept: 1, calls: 3 }],
	['... and not for ever', { answers: [{ status: 503, retryAfter: '999999999' }, 200], patience: 5000 }, 'failed', { kept: 1, calls: 1 }],
	['... nor by a page that tries once', { answers: [{ status: 503, retryAfter: '1' }, 200] }, 'failed', { kept: 1, calls: 1 }],
	['500 with a Retry-After, which the far end has written', { answers: [{ status: 500, retryAfter: '999' }, 200], patience: 5000 }, undefined, { kept: 1, calls: 2 }],
	['488', { answers: [{ status: 488 }] }, 'failed'],
	['500 for too long', { answers: [{ status: 500 }] }, 'failed', { kept: 1 }],
	['nobody answers', { answers: [{}] }, 'no-network', { kept: 1 }],
	['nobody ever answers', { answers: ['never'] }, 'failed', { kept: 1 }],
	['nobody ever answers the second time', { answers: [{ status: 491 }, 'never'], patience: 1000 }, 'failed', { kept: 1, calls: 2 }],
	['no connection', { online: false }, 'no-network', { kept: 1, calls: 0 }],
	['no microphone', { answers: [{ cause: { name: 'NotFoundError' } }] }, 'no-media', { kept: 1 }],
	['a forbidden microphone', { answers: [{ cause: { name: 'NotAllowedError' } }] }, 'no-media', { kept: 1, says: /not allowed/ }],
	['a microphone that is gone', { answers: [{ cause: { name: 'OverconstrainedError' } }], patience: 5000 }, 'no-media', { kept: 1, says: /not there/ }],
	['a microphone that is in use', { answers: Array(9).fill({ cause: { name: 'NotReadableError' } }), patience: 9000 }, 'no-media', { kept: 1, calls: 4, says: /in use/ }],
	['a microphone that is in use for longer than one waits', { answers: [{ cause: { name: 'NotReadableError' } }] }, 'no-media', { kept: 1, says: /in use/ }],
	['a microphone that is in use for a moment', { answers: [{ cause: { name: 'NotReadableError' } }, 200], patience: 5000 }, undefined, { kept: 1, calls: 2 }],
]) {
	test(`${what}: ${reason ?? 'resumed'}, ${kept ? 'and the state is kept' : 'and the state is gone'}`, async () => {
		const seen = await page.evaluate(async (given) => {
			const { calls, log, store, phone } = window.helper({ ...given, kept: ['one'] });
			await new Promise((resolve) => {
				for (const type of ['resumed', 'failed']) calls.addEventListener(type, resolve);
			});
			calls.stop();
			const { error } = log.at(-1).detail;
			return {
				types: log.map((l) => l.type), reason: error?.reason, message: error?.message, final: error?.final,
				name: error?.name, kept: store.all.size, calls: phone.calls, hungUp: phone.hungUp,
			};
		}, options);
		assert.equal(seen.hungUp, options.answers?.includes('never') || undefined, 'whose phone rings no more');
		assert.deepEqual(seen.types, ['resuming', ...extra, reason ? 'failed' : 'resumed']);
		assert.equal(seen.reason, reason);
		assert.equal(seen.kept, kept);
		assert.ok([calls].flat().includes(seen.calls), `${seen.calls} calls`);
		if (!reason) return;
		assert.equal(seen.name, 'ResumeError');
		assert.equal(seen.final, kept === 0);
		assert.match(seen.message, /^[A-Z].*\.$/);
		assert.match(seen.message, says);
	});
}

test('a call that was kept is tried again when the page says so, once at a time, and no other is', async () => {
	const seen = await page.evaluate(async () => {
		const { calls, log, phone } = window.helper({ answers: [{ cause: { name: 'NotFoundError' } }, { status: 500 }, 200, { status: 481 }], kept: ['one'] });
		const told = (type) => new Promise((resolve) => { calls.addEventListener(type, resolve, { once: true }); });
		const said = [];
		await told('resuming');
		said.push(calls.retry('one'));
		await told('failed');
		said.push(calls.retry('another'));
		// In the event itself.
		calls.addEventListener('failed', () => said.push(calls.retry('one'), calls.retry('one')), { once: true });
		said.push(calls.retry('one'));
		await told('resumed');
		said.push(calls.retry('one'));
		calls.stop();
		return [said.join(), log.map(({ type }) => type).join(), phone.calls];
	});
	assert.deepEqual(seen, ['false,false,true,true,false,false', 'resuming,failed,resuming,failed,resuming,resumed', 3]);
});

test('who has hung up while the call came back has hung up, however long that takes', async () => {
	const seen = await page.evaluate(async () => {
		const { calls, log, phone, store } = window.helper({ answers: [{ canceled: true }, 200], kept: ['one'] });
		const told = () => new Promise((resolve) => { calls.addEventListener('failed', resolve, { once: true }); });
		const first = told();
		phone.connected = () => phone.calls === 0;
		await first;
		phone.connected = () => true;
		const second = told();
		phone.report.online();
		await second;
		calls.stop();
		return { types: log.map((l) => l.type), reason: log.at(-1).detail.error.reason, hungUp: phone.hungUp, kept: store.all.size };
	});
	assert.deepEqual(seen, { types: ['resuming', 'failed', 'resuming', 'failed'], reason: 'canceled', hungUp: true, kept: 0 });
});

test('who has hung up on a call whose media was lost is not in it again, when the gateway is back on the same network', async () => {
	const seen = await page.evaluate(async (ANSWER) => {
		const { calls, phone, connection, log, store } = await window.sendingTracks(ANSWER, [], { patience: 0 });
		const did = [];
		Object.assign(phone, {
			probe: async () => true, refresh: () => did.push('refresh'), drop: () => did.push('drop'), connected: () => !did.includes('hung up'),
			async call(how, started) {
				started('n2');
				did.push('hung up');
				throw { canceled: true };
			},
		});
		const told = (type) => new Promise((resolve) => { calls.addEventListener(type, resolve, { once: true }); });
		const first = told('failed');
		connection.iceConnectionState = 'failed';
		connection.dispatchEvent(new Event('iceconnectionstatechange'));
		await first;
		const second = told('failed');
		phone.connected = () => true;
		phone.call = async (how, started) => { started('n3'); return {}; };
		phone.report.online();
		await Promise.race([second, new Promise((resolve) => { setTimeout(resolve, 2000); })]);
		calls.stop();
		return [did.join(), log.map(({ type, detail: { error } }) => [type, error?.reason].join(' ')).join(), !!phone.hungUp, store.all.size];
	}, ANSWER);
	assert.deepEqual(seen, ['hung up,drop', 'resuming ,failed no-network,resuming ,failed canceled', true, 0]);
});

test('a call that rings, and of which the page has not told, is not called when the transport is back', async () => {
	const placed = await page.evaluate(async (CALLED) => {
		const { calls, phone, log } = window.helper({});
		phone.report.receive(CALLED);
		phone.report.online();
		await new Promise((resolve) => { setTimeout(resolve, 50); });
		calls.stop();
		return [phone.calls, log.length];
	}, CALLED);
	assert.deepEqual(placed, [0, 0]);
});

for (const [what, answers, { calls, hungUp }] of [
	['is hung up on at the far end, with no microphone', [200], { calls: 2, hungUp: true }],
	['is gone here when the gateway cannot be reached either', [{}], { calls: 2 }],
	['is gone when the far end has hung up', [{ status: 481 }], { calls: 2 }],
]) {
	test(`a call that could not come back, and is ended, ${what}`, async () => {
		const seen = await page.evaluate(async (then) => {
			const { calls, log, phone, store } = window.helper({ answers: [{ cause: { name: 'NotFoundError' } }, ...then], kept: ['one'] });
			await new Promise((resolve) => { calls.addEventListener('failed', resolve); });
			// Once a state arrives it would be stored again.
			const { call } = phone;
			phone.call = async (how, started) => {
				const session = await call(how, started);
				phone.report.receive(window.sip('SIP/2.0 200 OK', '1 INVITE', ['Call-State: y'], { callId: `call ${phone.calls}` }));
				return session;
			};
			const heartbeat = new Promise((resolve) => { setTimeout(resolve, 1100); });
			calls.end('one');
			const kept = [store.all.size];
			await heartbeat;
			phone.report.online();
			kept.push(store.all.size);
			await null;
			calls.stop();
			return { kept, types: log.map((l) => l.type), media: phone.media, calls: phone.calls, hungUp: phone.hungUp };
		}, answers);
		assert.deepEqual(seen, {
			kept: [0, 0], types: ['resuming', 'failed'], media: [{ kind: 'audio', rejected: true }], calls, hungUp,
		});
	});
}

test('a call that is ended while it comes back is hung up on, and one that nobody knows is nobody\'s business', async () => {
	const seen = await page.evaluate(async () => {
		const { calls, log, phone, store } = window.helper({ answers: [{ status: 491 }, 200], patience: 5000, kept: ['one'] });
		await new Promise((resolve) => { calls.addEventListener('resuming', resolve); });
		calls.end('another');
		calls.end('one');
		const kept = store.all.size;
		while (!phone.hungUp) await new Promise((resolve) => { setTimeout(resolve, 5); });
		calls.stop();
		return { kept, types: log.map((l) => l.type), calls: phone.calls };
	});
	assert.deepEqual(seen, { kept: 0, types: ['resuming'], calls: 2 });
});

test('a call that a page of SIP.js refuses without a word is not kept; one that it takes is', async () => {
	const kept = await page.evaluate(async ([CALLED, ACK]) => {
		const sizes = [];
		for (const session of [undefined, {}]) {
			const { calls, phone, store } = window.helper({});
			phone.report.receive(CALLED);
			if (session) phone.report.began('c1', session);
			phone.report.receive(ACK);
			sizes.push(store.all.size);
			calls.stop();
		}
		return sizes;
	}, [CALLED, ACK]);
	assert.deepEqual(kept, [0, 1]);
});

for (const [what, answer] of [['the library cancels it', { canceled: true }], ['it is refused', { status: 481 }]]) {
	test(`a helper that is stopped while a call comes back leaves it to the next one: ${what}`, async () => {
		const seen = await page.evaluate(async (failure) => {
			const first = window.helper({ kept: ['one'] });
			let fail;
			const tried = new Promise((resolve) => {
				first.phone.call = (how, started) => {
					started('n1');
					resolve();
					return new Promise((_, reject) => { fail = reject; });
				};
			});
			await tried;
			first.calls.stop();
			const next = window.helper({ store: first.store, answers: [200] });
			const back = new Promise((resolve) => { next.calls.addEventListener('resumed', resolve); });
			fail(failure);
			await back;
			await new Promise((resolve) => { setTimeout(resolve, 50); });
			const kept = first.store.all.size;
			next.calls.stop();
			return [first.log.map(({ type }) => type).join(), kept];
		}, answer);
		assert.deepEqual(seen, ['resuming', 1]);
	});
}

test('options that the page gives by a function are asked for each time that a call comes back, before it does', async () => {
	const seen = await page.evaluate(async () => {
		const given = ['one', 'two'];
		const { calls, phone, log } = window.helper({
			answers: [{ cause: { name: 'NotFoundError' } }, 200, { status: 481 }], kept: ['one'],
			call: async () => { await null; if (!given.length) throw new Error('no credentials now'); return given.shift(); },
		});
		const did = [];
		phone.useCall = (options) => did.push(options);
		phone.prepare = async () => did.push('prepare');
		const told = (type) => new Promise((resolve) => { calls.addEventListener(type, ({ detail }) => resolve(detail), { once: true }); });
		await told('failed');
		calls.retry('one');
		const { session } = await told('resumed');
		phone.report.ended(undefined, session);
		calls.stop();
		const next = window.helper({ kept: ['one'], call: () => { throw new Error('no credentials now'); } });
		const { error } = await new Promise((resolve) => { next.calls.addEventListener('failed', ({ detail }) => resolve(detail)); });
		next.calls.stop();
		return { did: did.join(), types: log.map(({ type }) => type).join(), error: [error.reason, error.final, error.cause.message].join(), kept: next.store.all.size, calls: next.phone.calls };
	});
	assert.deepEqual(seen, {
		did: 'one,prepare,two,prepare', types: 'resuming,failed,resuming,resumed', error: 'failed,false,no credentials now', kept: 1, calls: 0,
	});
});

test('a call has one id: in events, in what is stored, in what is told of it, and to end it', async () => {
	const seen = await page.evaluate(async () => {
		const { calls, log, store } = await window.bothLost();
		const [{ id, callSessionId }] = await calls.stored();
		calls.end(id);
		const found = [id, callSessionId, log[0].detail.id, store.all.size];
		calls.stop();
		return found;
	});
	assert.deepEqual(seen, ['one', 'abc', 'one', 0]);
});

test('after stop() nothing is stored', async () => {
	const kept = await page.evaluate(async (ANSWER) => {
		const { calls, phone, store } = window.helper({});
		calls.stop();
		phone.report.receive(ANSWER);
		return store.all.size;
	}, ANSWER);
	assert.equal(kept, 0);
});

test('JsSIP: a handler of the page that throws does not stop a call that is back', async () => {
	const seen = await page.evaluate(async () => {
		const { resumeJsSIP } = await import('/call-resume.js');
		const listeners = {};
		const ua = {
			get: () => 'alice', isConnected: () => true, on(type, act) { listeners[type] = act; },
			call(target, { eventHandlers }) {
				const session = { on() {}, isEnded: () => false, local_identity: { uri: {} }, connection: new RTCPeerConnection() };
				listeners.newRTCSession({ session, request: { getHeader: () => 'n1' } });
				Promise.resolve().then(() => eventHandlers.confirmed({})).catch(() => {});
				return session;
			},
		};
		const store = { local: true, load: async () => [['one', '{"state":"x"}']], async save() {}, async remove() {} };
		addEventListener('unhandledrejection', (e) => e.preventDefault(), { once: true });
		const calls = resumeJsSIP(ua, { store, call: {
			mediaStream: new MediaStream(), eventHandlers: { confirmed() { throw new Error('of the page'); } },
		} });
		const event = await new Promise((resolve) => { calls.addEventListener('resumed', resolve); });
		calls.stop();
		return event.type;
	});
	assert.equal(seen, 'resumed');
});

test('JsSIP: a token that could not be renewed is asked for again', async () => {
	const seen = await page.evaluate(async () => {
		const { resumeJsSIP } = await import('/call-resume.js');
		const { setTimeout: real } = window;
		window.setTimeout = (act, ms) => real(act, ms / 1000);
		const listeners = {};
		let asked = 0;
		let registered = 0;
		const ua = { get: () => 'alice', isConnected: () => true, set() {}, on(type, act) { listeners[type] = act; }, register() { registered++; } };
		const store = { local: true, load: async () => [], async save() {}, async remove() {} };
		const calls = resumeJsSIP(ua, { store, token: async () => { if (++asked === 1) throw new Error('not now'); return 'token'; } });
		for (let i = 0; i < 2; i++) await listeners.registrationFailed({ response: { status_code: 401 } });
		window.setTimeout = real;
		calls.stop();
		return { asked, registered };
	});
	assert.deepEqual(seen, { asked: 2, registered: 2 });
});

test('JsSIP: pages that have lost their gateway do not connect again in the same instant', async () => {
	await browser.context.route('https://page.test/bundle/jssip.js', (route) => route.fulfill({ path: path.join(ROOT, 'build/bundle/jssip.js') }));
	const after = await page.evaluate(async () => {
		const { default: { UA, WebSocketInterface } } = await import('/bundle/jssip.js');
		const { resumeJsSIP } = await import('/call-resume.js');
		// Each at an address of its own: Firefox has those of one address wait for each other.
		const one = (_, i) => new Promise((resolve) => {
			const ua = new UA({ sockets: [new WebSocketInterface(`wss://127.0.0.${i + 1}:1`)], uri: 'sip:alice@example.org' });
			const calls = resumeJsSIP(ua);
			let lost;
			ua.on('disconnected', () => { lost ??= performance.now(); });
			ua.on('connecting', () => {
				if (!lost) return;
				calls.stop();
				ua.stop();
				resolve(performance.now() - lost);
			});
			ua.start();
		});
		return Promise.all(Array.from({ length: 20 }, one));
	});
	after.sort((a, b) => a - b);
	assert.ok(after[0] > 900 && after.at(-1) < 4000, `${after}`);
	assert.ok(after[15] - after[4] > 300, `${after}`);
});

test('JsSIP: a wrong password is not tried again', async () => {
	const registered = await page.evaluate(async () => {
		const { resumeJsSIP } = await import('/call-resume.js');
		const listeners = {};
		let asked = 0;
		const ua = {
			get: (what) => (what === 'authorization_user' ? 'alice' : undefined), on(type, act) { listeners[type] = act; }, register() { asked++; },
		};
		const calls = resumeJsSIP(ua, { store: { local: true, load: async () => [], async save() {}, async remove() {} } });
		await listeners.registrationFailed({ response: { status_code: 401 } });
		calls.stop();
		return asked;
	});
	assert.equal(registered, 0);
});

// What becomes of an answer to a call that goes on with it.
for (const [what, answers, expected] of [
	['is taken', true, { type: 'resumed', kept: 1 }],
	['cannot be taken', false, { type: 'failed', reason: 'failed', kept: 0 }],
]) {
	test(`a call that both ends had lost ${what}`, async () => {
		const seen = await page.evaluate(async (works) => {
			const { calls, phone, log, store, jwe } = await window.bothLost();
			phone.answer = async (session, how) => {
				phone.held = how.held;
				if (works) phone.report.receive(window.sip('ACK sip:a SIP/2.0', '1 ACK', [], { callId: 'n2', to: '<sip:a>;tag=t' }));
				else phone.report.ended('n2');
				if (!works) throw new Error('no microphone');
			};
			phone.report.began('n2', {});
			phone.report.receive(window.sip('INVITE sip:a SIP/2.0', '1 INVITE', [`Call-State: ${jwe}`, 'Call-State-Id: abc'], { callId: 'n2' }));
			while (!log.some(({ type }) => type === 'resumed' || type === 'failed')) await new Promise((resolve) => { setTimeout(resolve, 5); });
			const { type, detail } = log.find((one) => one.type === 'resumed' || one.type === 'failed');
			await new Promise((resolve) => { setTimeout(resolve, 50); });
			calls.stop();
			return { type, id: detail.id, held: phone.held, reason: detail.error?.reason, kept: store.all.size };
		}, answers);
		assert.deepEqual(seen, { id: 'one', held: true, reason: undefined, ...expected });
	});
}

test('a call that both ends had lost, and the page has ended since, is not answered', async () => {
	const seen = await page.evaluate(async ([INVITE, ID]) => {
		const { calls, phone, log, jwe } = await window.bothLost();
		let answered = 0;
		phone.answer = async () => { answered++; };
		calls.end('one');
		phone.report.began('n2', {});
		phone.report.receive(window.sip(INVITE, '1 INVITE', [`Call-State: ${jwe}`, ID], { callId: 'n2' }));
		await new Promise((resolve) => { setTimeout(resolve, 100); });
		calls.stop();
		return [answered, log.map(({ type }) => type).join()];
	}, [INVITE, ID]);
	assert.deepEqual(seen, [0, 'resuming']);
});

for (const [what, message, reason] of [
	['nobody answered', { statusCode: 408 }, 'no-network'],
	['the gateway says 408', { statusCode: 408, data: 'SIP/2.0 408 Request Timeout' }, 'ended'],
]) {
	test(`SIP.js: ${what}`, async () => {
		const seen = await page.evaluate(async (message) => {
			const { resumeSIPjs } = await import('/call-resume.js');
			class Inviter {
				request = { callId: 'n1' };
				stateChange = { addListener() {} };
				async invite({ requestDelegate }) { requestDelegate.onReject({ message: { ...message, getHeader() {} } }); }
			}
			const agent = {
				configuration: { uri: { user: 'alice', clone: () => ({}) } }, state: 'Started', isConnected: () => true,
				transport: { onMessage() {}, async send() {}, stateChange: { addListener() {} } }, userAgentCore: {},
			};
			const store = { local: true, load: async () => [['one', '{"state":"x"}']], async save() {}, async remove() {} };
			const calls = resumeSIPjs(agent, { Inviter, store, patience: 0, token: 'token' });
			const { detail } = await new Promise((resolve) => { calls.addEventListener('failed', resolve); });
			calls.stop();
			return detail.error.reason;
		}, message);
		assert.equal(seen, reason);
	});
}

test('a network that changes while the page connects is no reason not to look the next time', async () => {
	const seen = await page.evaluate(async () => {
		const { calls, phone } = window.helper({});
		const did = [];
		let up = false;
		Object.assign(phone, {
			connected: () => up, reset: () => did.push('reset'), probe: async () => { did.push('probe'); return up; },
		});
		for (up of [false, true]) {
			window.dispatchEvent(new Event('online'));
			await new Promise((resolve) => { setTimeout(resolve, 50); });
		}
		calls.stop();
		return did;
	});
	assert.deepEqual(seen, ['reset', 'probe']);
});
