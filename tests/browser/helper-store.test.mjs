// SPDX-License-Identifier: GPL-2.0-or-later
// What the page helper keeps, where, and what it makes of a storage that is full, damaged or fails.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FIREFOX } from '../lib/browser.mjs';
import { ANSWER, browser, helperTests, page } from '../lib/helperpage.mjs';

helperTests();

test('a storage that is full is told, and the call goes on', { skip: FIREFOX && 'its databases cannot be given less room from outside' }, async () => {
	const devtools = await browser.context.newCDPSession(page);
	await devtools.send('Storage.overrideQuotaForOrigin', { origin: 'https://page.test', quotaSize: 1 });
	const seen = await page.evaluate(async () => {
		const { browserStore } = await import('/call-resume.js');
		for (let size = 1 << 20; size; size >>= 1) {
			try {
				for (;;) localStorage.setItem(`filled ${Math.random()}`, 'x'.repeat(size));
			} catch { /* no more of that size */ }
		}
		const { calls, log, phone } = window.helper({ store: browserStore('alice') });
		const told = new Promise((resolve) => { calls.addEventListener('storeerror', resolve); });
		const session = {};
		phone.report.began('c1', session);
		phone.report.receive(window.sip('SIP/2.0 200 OK', '1 INVITE', ['Call-State: x']));
		await told;
		calls.remember(session, { muted: true });
		phone.report.ended('c1');
		calls.stop();
		localStorage.clear();
		return { types: [...new Set(log.map((l) => l.type))], cause: log[0].detail.cause.name };
	});
	assert.deepEqual(seen, { types: ['storeerror'], cause: 'QuotaExceededError' });
	await devtools.send('Storage.overrideQuotaForOrigin', { origin: 'https://page.test' });
});

for (const [what, text, reason] of [
	['of an earlier version, with nothing in some fields', '{"state":"x","update":null,"tag":null,"media":null,"sends":null,"held":null,"muted":null,"data":null,"seen":null}'],
	['of an earlier version, with a state alone', '{"state":"x"}'],
	['cut off', '{"state":"x","media":[{"kind":', 'damaged'],
	['without a state', '{"media":[]}', 'damaged'],
	['with a list that is none', '{"state":"x","sends":"audio"}', 'damaged'],
	['with an m-line that is none', '{"state":"x","media":[null]}', 'damaged'],
	['with a line in its state', '{"state":"x\\r\\nContact: <sip:mallory@example.org>"}', 'damaged'],
	['that is null', 'null', 'damaged'],
	['that is no text', { state: 'x' }, 'damaged'],
	['that says that it is resumed already', '{"state":"x","resuming":true,"session":{},"up":true,"over":true}'],
]) {
	test(`a record ${what}: ${reason ? 'is said to be damaged, is gone, and stops no other call' : 'comes back'}`, async () => {
		const seen = await page.evaluate(async (kept) => {
			const { calls, log, store } = window.helper({ answers: [200, 200], kept: [['one', kept], ['two', '{"state":"y"}']] });
			const ends = () => log.filter(({ type }) => type === 'resumed' || type === 'failed');
			for (let i = 0; ends().length < 2 && i < 60; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
			const ids = [...store.all.keys()];
			calls.stop();
			return [ids.join(), ends().map(({ type, detail: { id, error } }) => [id, type, error?.reason, error?.final, error?.message].join(' ')).sort()];
		}, text);
		assert.deepEqual(seen, [reason ? 'two' : 'one,two',
			[reason ? 'one failed damaged true What was stored of the call is damaged.' : 'one resumed   ', 'two resumed   ']]);
	});
}

test('what the browser has stored under a call\'s name and is no call is said to be damaged, and is gone', async () => {
	const seen = await page.evaluate(async () => {
		const { browserStore } = await import('/call-resume.js');
		for (const [id, value] of [['a', 7], ['b', ['x']], ['c', [null, '{"state":"x"}']], ['d', { 1: {} }]]) {
			await window.inDatabase('readwrite', (calls) => calls.put(value, `call-resume alice ${id}`));
		}
		const { calls, log } = window.helper({ store: browserStore('alice'), answers: [200] });
		for (let i = 0; log.filter(({ type }) => type === 'resumed' || type === 'failed').length < 4 && i < 150; i++) await new Promise((resolve) => { setTimeout(resolve, 20); });
		const kept = (await window.inDatabase('readonly', (all) => all.getAllKeys())).join();
		calls.stop();
		await browserStore('alice').remove('c');
		return [kept, log.filter(({ type }) => type !== 'resuming').map(({ type, detail: { id, error } }) => [id, type, error?.reason].join(' ')).sort()];
	});
	assert.deepEqual(seen, ['call-resume alice c', ['a failed damaged', 'b failed damaged', 'c resumed ', 'd failed damaged']]);
});

test('names of stored calls have the domain, and those that an earlier version has given are read', async () => {
	const seen = await page.evaluate(async () => {
		const { browserStore } = await import('/call-resume.js');
		const [one, other, before] = ['alice@one.example', 'alice@other.example', 'alice'].map(browserStore);
		const names = async () => [...await window.inDatabase('readonly', (calls) => calls.getAllKeys()), ...Object.keys(localStorage)].sort().join();
		const found = [];
		await before.save('1', 'old');
		await other.save('2', 'other');
		await one.save('3', 'one');
		found.push(await one.load());
		await one.save('1', 'new');
		found.push(await one.load(), await other.load(), await before.load(), await names());
		await before.save('1', 'older');
		found.push([...new Map(await one.load())]);
		for (const id of ['1', '3']) await one.remove(id);
		await other.remove('2');
		found.push(await names());
		const { open } = IDBFactory.prototype;
		IDBFactory.prototype.open = () => { throw new DOMException('not here', 'SecurityError'); };
		localStorage.setItem('call-resume alice 4', 'old');
		const without = browserStore('alice@one.example');
		IDBFactory.prototype.open = open;
		found.push(await without.load());
		await without.save('4', 'new');
		found.push(await without.load(), Object.keys(localStorage).join());
		await without.remove('4');
		return found;
	});
	const [one, other] = ['call-resume alice@one.example', 'call-resume alice@other.example'];
	assert.deepEqual(seen, [
		[['1', 'old'], ['3', 'one']],
		[['1', 'new'], ['3', 'one']], [['2', 'other']], [], [`${one} 1`, `${one} 1`, `${one} 3`, `${one} 3`, `${other} 2`, `${other} 2`].join(),
		[['1', 'new'], ['3', 'one']],
		'', [['4', 'old']], [['4', 'new']], `${one} 4`,
	]);
});

test('the calls that will come back are there at once, before anything is waited for', async () => {
	const seen = await page.evaluate(async () => {
		const { keptCalls } = await import('/kept-calls.js');
		const { browserStore } = await import('/call-resume.js');
		const store = browserStore('alice@one.example');
		await store.save('1', '{"state":"x","held":true,"sends":["audio","video"],"off":["video"],"start":5,"data":{"name":"Bob"}}');
		await store.save('2', '{"state":"x","sends":"audio"}');
		localStorage.setItem('call-resume alice 3', '{"state":"x","muted":true}');
		localStorage.setItem('call-resume alice@other.example 4', '{"state":"x"}');
		const found = keptCalls('alice@one.example').map(({ start, ...call }) => ({ ...call, start: start?.getTime() }));
		const { getItem } = Storage.prototype;
		Storage.prototype.getItem = () => { throw new DOMException('not here', 'SecurityError'); };
		found.push(keptCalls('alice@one.example').length);
		Storage.prototype.getItem = getItem;
		for (const id of ['1', '2', '3']) await store.remove(id);
		localStorage.clear();
		return found;
	});
	const none = { held: false, muted: false, videoMuted: false, screen: false, ringing: false, data: undefined, start: undefined };
	assert.deepEqual(seen, [
		{ ...none, id: '3', muted: true }, { ...none, id: '1', held: true, videoMuted: true, start: 5, data: { name: 'Bob' } }, 0,
	]);
});

test('the storage has the calls of one user only, and they are found without IndexedDB too', async () => {
	const seen = await page.evaluate(async () => {
		const { browserStore } = await import('/call-resume.js');
		const [alice, al] = [browserStore('alice'), browserStore('al')];
		await alice.save('1', 'one');
		await al.save('2', 'two');
		const both = [await alice.load(), await al.load()];
		const { open } = IDBFactory.prototype;
		IDBFactory.prototype.open = () => { throw new DOMException('not here', 'SecurityError'); };
		const without = browserStore('alice');
		IDBFactory.prototype.open = open;
		both.push(await without.load());
		await without.save('3', 'three');
		both.push((await without.load()).length);
		await without.remove('3');
		await alice.remove('1');
		both.push(await alice.load(), await without.load());
		return both;
	});
	assert.deepEqual(seen, [[['1', 'one']], [['2', 'two']], [['1', 'one']], 2, [], []]);
});

test('a store on the network that fails is asked again', async () => {
	const seen = await page.evaluate(async (ANSWER) => {
		let down = true;
		const all = new Map([['one', '{"state":"x"}']]);
		const fails = () => { if (down) throw new Error('down'); };
		const store = {
			local: false,
			async load() { fails(); return [...all]; },
			async save(id, text) { fails(); all.set(id, text); },
			async remove(id) { all.delete(id); },
		};
		const { calls, phone, log } = window.helper({ store, answers: [200] });
		const resumed = new Promise((resolve) => { calls.addEventListener('resumed', resolve); });
		phone.report.began('c1', {});
		phone.report.receive(ANSWER);
		await null;
		down = false;
		await resumed;
		for (let i = 0; all.size < 2 && i < 100; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
		calls.stop();
		return [all.size, log.filter((l) => l.type === 'storeerror').length];
	}, ANSWER);
	assert.deepEqual(seen, [2, 2]);
});

for (const [what, age, expected] of [
	['a moment ago is not waited for', 0, ['Call-State: fresh']], ['earlier, before the browser was killed, say, is not believed', 60_000, ['loaded', 'loaded', 'Call-State: stored']],
	['in times to come is not believed', -60_000, ['loaded', 'loaded', 'Call-State: stored']],
]) {
	test(`what the page before has written ${what}`, async () => {
		const states = await page.evaluate(async (old) => {
			const text = (state) => JSON.stringify({ state, seen: Date.now() - old });
			const tried = [];
			const store = {
				local: true, peek: () => [['one', text('fresh')]], async save() {}, async remove() {},
				async load() {
					// Who does not wait for it has called by then.
					await new Promise((resolve) => { setTimeout(resolve, 500); });
					tried.push('loaded');
					return [['one', text('stored')]];
				},
			};
			const { calls, phone } = window.helper({ store });
			phone.call = async ({ headers }) => { tried.push(headers[0]); throw { status: 481 }; };
			await new Promise((resolve) => { calls.addEventListener('failed', resolve); });
			calls.stop();
			return tried.slice(0, tried.findIndex((one) => one !== 'loaded') + 1);
		}, age);
		assert.deepEqual(states, expected);
	});
}

test('calls are found in localStorage when the database opens and then fails, and without locks', async () => {
	const seen = await page.evaluate(async () => {
		const { browserStore } = await import('/call-resume.js');
		const store = browserStore('alice');
		await store.save('1', '{"state":"x"}');
		const { transaction } = IDBDatabase.prototype;
		const { request } = LockManager.prototype;
		IDBDatabase.prototype.transaction = () => { throw new DOMException('closing', 'InvalidStateError'); };
		LockManager.prototype.request = async () => { throw new DOMException('not here', 'SecurityError'); };
		const { calls } = window.helper({ store, answers: [200] });
		await new Promise((resolve) => { calls.addEventListener('resumed', resolve); });
		calls.stop();
		Object.assign(IDBDatabase.prototype, { transaction });
		Object.assign(LockManager.prototype, { request });
		await store.remove('1');
		return true;
	});
	assert.ok(seen);
});

test('the name of a session: made once, also by two tabs at once, in what each REGISTER and INVITE says, and in nothing else', async () => {
	const seen = await page.evaluate(async () => {
		const { sessionName } = await import('/call-resume/store.js');
		const { watchTransport } = await import('/call-resume/shared.js');
		const [one, two] = await Promise.all([sessionName('alice@x'), sessionName('alice@x')]);
		const other = await sessionName('bob@x');
		const sent = [];
		const transport = { send(text) { sent.push(text); return true; } };
		watchTransport(transport, () => {}, Promise.resolve('n'));
		watchTransport(transport, () => {}, 'another'); // a second helper of the same user agent
		const messages = ['REGISTER sip:x SIP/2.0', 'INVITE sip:x SIP/2.0', 'ACK sip:x SIP/2.0', 'SIP/2.0 200 OK'];
		for (const start of messages) await transport.send({ toString: () => `${start}\r\nCSeq: 1 INVITE\r\n\r\nINVITE \r\n` });
		const kept = localStorage.getItem('call-resume-session alice@x');
		localStorage.setItem('call-resume-session alice@x', 'no name');
		const again = await sessionName('alice@x');
		return { one, two, other, sent: sent.map(String), kept, again };
	});
	assert.match(seen.one, /^[\w.-]{1,64}$/);
	assert.deepEqual([seen.two, seen.kept, seen.again], [seen.one, seen.one, seen.one]);
	assert.notEqual(seen.other, seen.one);
	const rest = 'CSeq: 1 INVITE\r\n\r\nINVITE \r\n';
	assert.deepEqual(seen.sent, [
		`REGISTER sip:x SIP/2.0\r\nCall-State-Session: n\r\n${rest}`, `INVITE sip:x SIP/2.0\r\nCall-State-Session: n\r\n${rest}`,
		`ACK sip:x SIP/2.0\r\n${rest}`, `SIP/2.0 200 OK\r\n${rest}`,
	]);
});

test('what is said of a call reaches the store on the network in order, also after a failure', async () => {
	const seen = await page.evaluate(async () => {
		const { networkStore } = await import('/network-store.js');
		const { fetch } = window;
		const asked = [];
		window.fetch = async (url, { method }) => {
			const first = asked.length === 0;
			asked.push(`${method} ${url}`);
			if (first) await new Promise((resolve) => { setTimeout(resolve, 200); });
			asked.push('answered');
			return new Response('', { status: first ? 500 : 200 });
		};
		const store = networkStore('/calls', () => 'token');
		const all = await Promise.allSettled([store.save('1', 'x'), store.remove('1')]);
		window.fetch = fetch;
		return [...asked, ...all.map((one) => one.status)];
	});
	assert.deepEqual(seen, ['PUT /calls/1', 'answered', 'DELETE /calls/1', 'answered', 'rejected', 'fulfilled']);
});

/** What patientFetch() answers, and after how many requests, where the server has these answers: [status, Retry-After], [0] for none. */
const patiently = (...answers) => page.evaluate(async (them) => {
	const { patientFetch } = await import('/patient-fetch.js');
	const { fetch } = window;
	let asked = 0;
	window.fetch = async () => {
		const [status, after] = them[Math.min(asked++, them.length - 1)];
		if (!status) throw new TypeError('Failed to fetch');
		return new Response(null, { status, headers: after === undefined ? {} : { 'Retry-After': after } });
	};
	const answer = await patientFetch('/session', { method: 'POST' }).catch((e) => ({ status: e.name }));
	window.fetch = fetch;
	return [answer.status, asked];
}, answers);

test('a request is sent again when the answer says when, and only then', async () => {
	assert.deepEqual(await patiently([503, '1'], [429, '1'], [200]), [200, 3]);
	for (const answer of [[503], [503, '0'], [429, '300'], [429, 'Mon, 23 Nov 2026 08:00:00 GMT'], [401, '1'], [204]]) {
		assert.deepEqual(await patiently(answer, [200]), [answer[0], 1]);
	}
	assert.deepEqual(await patiently([503, '0.01']), [503, 10]);
});

test('a request that the network lost is sent again, a few times', async () => {
	assert.deepEqual(await patiently([0], [0], [0], [204]), [204, 4]);
	assert.deepEqual(await patiently([0]), ['TypeError', 4]);
});
