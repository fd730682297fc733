// SPDX-License-Identifier: GPL-2.0-or-later
// The network store: what a page puts into it, only its own web session gets.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import { QUICK, Visitor, assertRefused, fetchJson } from '../lib/portal.mjs';
import { DOMAIN, Stack } from '../lib/stack.mjs';
import { sleep, until } from '../lib/wait.mjs';

let stack, url, ca, password;
before(async () => {
	stack = await Stack.start('portal-store', { store: true, web: { values: QUICK } });
	({ web: { url }, certificate: { cert: ca } } = stack);
	password = stack.portal.add(`alice@${DOMAIN}`);
});
after(() => stack?.stop());

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const browser = () => new Visitor(url, { ca });
const signedIn = () => browser().signedIn('alice', password);

const VALUE = `${'e'.repeat(40)}..${'s"\\\u00e4'.repeat(20)};tag=%s $var(x)`;
const store = (b, method, id, options = {}) => b.session(method, {
	path: id === undefined ? '/session/calls' : `/session/calls/${id}`,
	headers: { 'content-type': 'text/plain', ...(b.token ? { authorization: `Bearer ${b.token}` } : {}) }, ...options,
});

async function empty() {
	const b = await signedIn();
	const { status, json } = await store(b, 'GET');
	assert.equal(status, 200);
	assert.deepEqual(json, {});
	return b;
}

test('keeps what is put into it, for all tokens of the session', async () => {
	const b = await empty();
	const put = await store(b, 'PUT', 'call-1', { body: VALUE });
	assert.equal(put.status, 204, put.text);
	await store(b, 'PUT', 'Call_2', { body: 'two' });
	assert.deepEqual((await store(b, 'GET')).json, { 'call-1': VALUE, Call_2: 'two' });
	Object.assign(b, (await b.renew()).json);
	await store(b, 'PUT', 'call-1', { body: 'new' });
	assert.deepEqual((await store(b, 'GET')).json, { 'call-1': 'new', Call_2: 'two' });
	assert.equal((await store(b, 'DELETE', 'call-1')).status, 204);
	assert.equal((await store(b, 'DELETE', 'call-1')).status, 204);
	assert.deepEqual((await store(b, 'GET')).json, { Call_2: 'two' });
	await store(b, 'DELETE', 'Call_2');
	assert.deepEqual((await store(b, 'GET')).json, {});
});

test('is closed to other sessions and users, and to who has no token', async () => {
	const b = await empty();
	await store(b, 'PUT', 'mine', { body: VALUE });
	const carol = await browser().signedIn('carol', stack.portal.add(`carol@${DOMAIN}`));
	for (const other of [await signedIn(), carol]) {
		assert.deepEqual((await store(other, 'GET')).json, {});
		await store(other, 'DELETE', 'mine');
		await store(other, 'PUT', 'mine', { body: 'theirs' });
	}
	assert.deepEqual((await store(b, 'GET')).json, { mine: VALUE });
	for (const [token, error] of [[undefined, /missing/], ['x', /malformed/], [`${b.token.slice(0, -4)}AAAA`, /forged/]]) {
		const thief = Object.assign(browser(), { token, cookie: b.cookie });
		for (const [method, id] of [['GET'], ['PUT', 'x'], ['DELETE', 'mine']]) {
			const answer = await store(thief, method, id, method === 'PUT' ? { body: 'x' } : {});
			assertRefused(answer, 401, error);
			assert.equal(answer.headers['www-authenticate'], 'Bearer');
		}
	}
	assert.deepEqual((await store(b, 'GET')).json, { mine: VALUE });
});

test('lapses with the states in it', async () => {
	const b = await empty();
	const key = `call_resume:calls:${sha256(`${b.user} ${b.sid}`)}`;
	await store(b, 'PUT', 'x', { body: 'y' });
	const left = Number(stack.redis.cli('TTL', key));
	assert.ok(left > 86300 && left <= 86400, `${left} s`);
});

test('has bounds: 16 calls of 8 KiB, and text only', async () => {
	const b = await empty();
	const full = 'x'.repeat(8192);
	for (let i = 0; i < 16; i++) assert.equal((await store(b, 'PUT', `c${i}`, { body: full })).status, 204);
	assertRefused(await store(b, 'PUT', 'c16', { body: 'x' }), 409, /At most 16/);
	assert.equal((await store(b, 'PUT', 'c15', { body: full.replaceAll('x', 'y') })).status, 204);
	for (let i = 0; i < 20; i++) await store(b, 'GET');
	const { json } = await store(b, 'GET');
	assert.deepEqual(Object.values(json).map((v) => v.length), Array(16).fill(8192));
	assert.equal(json.c15, full.replaceAll('x', 'y'));
	for (const [id, body, status, error] of [
		['c1', `${full}x`, 413, /8192 bytes/], ['c1', '"'.repeat(4097), 413, /8192 bytes/], ['c1', '', 400, /text/], ['c1', 'a\nb', 400, /text/],
		['c1', Buffer.from([0xff, 0x41]), 400, /text/], ['c1', 'a\0b', 400, /text/],
		['a.b', 'x', 404, /id is/], ['a'.repeat(65), 'x', 404, /id is/], ['', 'x', 404, /id is/], ['a%20b', 'x', 404, /id is/],
	]) {
		const answer = await fetchJson(`${url}/session/calls/${id}`, { method: 'PUT', body, ca, headers: { authorization: `Bearer ${b.token}` } });
		assertRefused(answer, status, error);
	}
	assertRefused(await store(b, 'POST', 'c1', { body: 'x' }), 405, /Use PUT, DELETE/);
	assertRefused(await store(b, 'DELETE'), 405, /Use GET/);
});

test('without Redis says so, and the gateway goes on; it comes back by itself', async () => {
	const b = await empty();
	await stack.redis.stop();
	for (const [method, id] of [['GET'], ['PUT', 'x'], ['DELETE', 'x']]) {
		assertRefused(await store(b, method, id, method === 'PUT' ? { body: 'x' } : {}), 503, /store does not answer/);
	}
	assert.equal((await b.renew()).status, 200);
	await stack.redis.boot();
	await until('the store', async () => (await store(b, 'GET')).status === 200, { timeout_ms: 20000, every_ms: 200 });
});

test('while it takes nothing, or is away, the log does not grow by each request', async () => {
	const TIMES = 100;
	const b = await empty();
	/** How many lines there are of so many requests, and of how many seconds; the first request in a second has some. */
	const assertFew = async (method, id, options) => {
		await sleep(1000);
		const [from, begun] = [stack.kamailio.log().length, performance.now()];
		for (let i = 0; i < TIMES; i++) assertRefused(await store(b, method, id, options), 503, /store does not answer/);
		const seconds = Math.floor((performance.now() - begun) / 1000) + 2;
		const lines = stack.kamailio.logged(/./, from);
		assert.ok(lines.some((line) => /store: Redis does not answer, or refuses/.test(line)), lines[0]);
		assert.ok(lines.length <= 2 * 4 * seconds, `${lines.length} lines in ${seconds} s: ${lines[0]}`);
	};
	stack.redis.cli('CONFIG', 'SET', 'maxmemory', '1');
	await assertFew('PUT', 'x', { body: 'x' });
	stack.redis.cli('CONFIG', 'SET', 'maxmemory', '0');
	await stack.redis.stop();
	await assertFew('GET');
	await stack.redis.boot();
	await until('the store', async () => (await store(b, 'GET')).status === 200, { timeout_ms: 20000, every_ms: 200 });
	// And what comes then is told of.
	await sleep(1000);
	const from = stack.kamailio.log().length;
	await stack.redis.stop();
	assertRefused(await store(b, 'GET'), 503, /store does not answer/);
	assert.ok(stack.kamailio.logged(/store: Redis does not answer/, from).length > 0);
	await stack.redis.boot();
	await until('the store', async () => (await store(b, 'GET')).status === 200, { timeout_ms: 20000, every_ms: 200 });
});

test('Redis may be down when Kamailio starts', async () => {
	const b = await empty();
	await stack.redis.stop();
	await stack.kamailio.kill();
	await stack.kamailio.boot();
	assertRefused(await store(b, 'GET'), 503, /store does not answer/);
	await stack.redis.boot();
	await until('the store', async () => (await store(b, 'GET')).status === 200, { timeout_ms: 20000, every_ms: 200 });
});
