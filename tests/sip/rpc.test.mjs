// SPDX-License-Identifier: GPL-2.0-or-later
// call_resume.* over kamcmd and over JSON-RPC; a new key ring for every process
// at once; and, with Kamailio at its most talkative, no secret in the log.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Client, FarEnd } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

const SUB = `sip:alice@${DOMAIN}`;
const SID = 'web-session-1';
const CHILDREN = 6;
const flip = (text) => {
	const at = text.length - 30;
	return text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
};

let stack, gateway, far;
before(async () => {
	stack = await Stack.start('rpc', { defines: { CHILDREN, RESUME_CLOCK_SKEW: 0 } });
	gateway = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway });
});
after(async () => {
	far?.close();
	await stack?.stop();
});

const kamcmd = (...command) => stack.kamailio.kamcmd(...command);

/** The same over JSON-RPC; resolves with the answer, {result} or {error}. */
async function json(method, ...params) {
	// Kamailio writes the answer to a FIFO in /tmp, whose name we choose; it does not wait for somebody who reads.
	const name = `call_resume_${process.pid}_${randomBytes(4).toString('hex')}`;
	const fifo = path.join('/tmp', name);
	execFileSync('mkfifo', ['-m', '666', fifo]);
	const end = fs.openSync(fifo, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
	try {
		fs.writeFileSync(path.join(stack.dir, `${stack.kamailio.name}.fifo`), JSON.stringify({
			jsonrpc: '2.0', id: 1, method: `call_resume.${method}`, params, reply_name: name,
		}));
		let answer = '';
		const some = Buffer.alloc(65536);
		return await until(`the answer to ${method}`, () => {
			answer += some.toString('utf8', 0, fs.readSync(end, some));
			return JSON.parse(answer);
		});
	} finally {
		fs.closeSync(end);
		fs.rmSync(fifo);
	}
}

const field = (text, name) => new RegExp(`\\b${name}: (.*)`).exec(text)?.[1];

/** A sealed state and its call's Call-ID. */
async function sealed(token) {
	const alice = await Client.open({ token, to: gateway });
	const call = await alice.call();
	assert.equal((await call.request('BYE')).status, 200);
	alice.close();
	return { state: call.state, callId: call.callId };
}

test('stats: every counter, by kamcmd, JSON-RPC and the statistics of the core alike', async () => {
	const alice = await Client.open({ to: gateway });
	assert.equal((await alice.register()).status, 401);
	alice.close();
	const text = await kamcmd('call_resume.stats');
	const names = [...text.matchAll(/(\w+): \d+/g)].map((m) => m[1]);
	assert.ok(names.length > 20);
	assert.equal(field(text, 'tokens_missing'), '1');
	const { result } = await json('stats');
	assert.deepEqual(Object.keys(result), names);
	assert.equal(result.tokens_missing, 1);
	const core = await kamcmd('stats.fetch', 'call_resume:');
	for (const name of names) assert.ok(core.includes(`call_resume.${name}`), name);
});

test('issue: a token for that user and session', async () => {
	const before = Number(field(await kamcmd('call_resume.stats'), 'tokens_issued'));
	const text = await kamcmd('call_resume.issue', SUB, SID, 100);
	assert.equal(field(text, 'sub'), SUB);
	assert.equal(field(text, 'sid'), SID);
	assert.ok(Math.abs(Number(field(text, 'exp')) - Date.now() / 1000 - 100) < 3);
	const { result } = await json('issue', SUB, SID, 100);
	assert.equal(result.sub, SUB);
	assert.match(result.token, /^[\w-]+\.[\w-]+\.[\w-]+$/);

	const fresh = await kamcmd('call_resume.issue', SUB);
	assert.match(field(fresh, 'sid'), /^[\w-]{10,}$/);
	assert.notEqual(field(fresh, 'sid'), field(await kamcmd('call_resume.issue', SUB, '.'), 'sid'));
	assert.equal(Number(field(await kamcmd('call_resume.stats'), 'tokens_issued')), before + 4);
});

test('issue: what cannot be issued', async () => {
	await assert.rejects(kamcmd('call_resume.issue'), /Say: call_resume.issue sub/);
	await assert.rejects(kamcmd('call_resume.issue', `sip:${'a'.repeat(300)}@${DOMAIN}`), /No token/);
	await assert.rejects(kamcmd('call_resume.issue', SUB, 'not a sid'), /No token/);
	await assert.rejects(kamcmd('call_resume.issue', SUB, 's'.repeat(65)), /No token/);
	await assert.rejects(kamcmd('call_resume.issue', SUB, SID, 0), /No token/);
	assert.match((await json('issue')).error.message, /Say: call_resume.issue/);
	assert.match((await json('issue', SUB, 's'.repeat(65))).error.message, /No token/);
});

describe('inspect', () => {
	let token, state, callId;
	before(async () => {
		token = await stack.kamailio.token(SUB, SID);
		({ state, callId } = await sealed(token));
	});
	const inspect = (...a) => kamcmd('call_resume.inspect', ...a);

	test('inspect: a token', async () => {
		const text = await inspect(token);
		assert.equal(field(text, 'verdict'), 'accepted');
		assert.equal(field(text, 'sub'), SUB);
		assert.equal((await json('inspect', token)).result.verdict, 'accepted');
	});
	test('inspect: a token that is forged, expired, truncated', async () => {
		assert.equal(field(await inspect(flip(token)), 'verdict'), 'does not verify');
		const brief = await stack.kamailio.token(SUB, SID, 1);
		const text = await until('the token to expire', async () => {
			const now = await inspect(brief);
			return field(now, 'verdict') !== 'accepted' && now;
		}, { every_ms: 200 });
		assert.equal(field(text, 'verdict'), 'expired');
		// Genuine, so that it may be told whose it was.
		assert.equal(field(text, 'sub'), SUB);
		assert.equal(field(text, 'kid'), 'k1');
		assert.equal(field(await inspect(flip(token)), 'sub'), undefined);
		assert.notEqual(field(await inspect(token.slice(0, -5)), 'verdict'), 'accepted');
	});
	test('inspect: what a forger writes into a header does nothing to the terminal', async () => {
		const part = (o) => Buffer.from(JSON.stringify(o)).toString('base64url');
		for (const head of [{ alg: '\x1b[2J' }, { alg: 'HS256\nverdict: accepted' }, { alg: 'HS256', kid: '\x1b[2J' }]) {
			const text = await inspect(`${part(head)}.${part({ sub: SUB })}.AAAA`);
			assert.equal(field(text, 'verdict'), 'malformed');
			assert.ok(!text.includes('\x1b') && !text.includes('accepted'), JSON.stringify(text));
		}
	});
	test('inspect: a state, with sub and sid', async () => {
		for (const text of [await inspect(state, SUB, SID), await inspect(`${state};tag=abc`, SUB, SID)]) {
			assert.equal(field(text, 'verdict'), 'opens');
			assert.equal(field(text, 'call_id'), callId);
			assert.equal(field(text, 'role'), 'caller');
			assert.equal(field(text, 'remote_uri'), `sip:bob@${DOMAIN}`);
		}
		const { result } = await json('inspect', state, SUB, SID);
		assert.equal(result.verdict, 'opens');
		assert.equal(result.call_id, callId);
	});
	test('inspect: a state without them, and with those of others', async () => {
		const text = await inspect(state);
		assert.equal(field(text, 'kid'), 'k1');
		assert.match(field(text, 'verdict'), /^well-formed; give sub and sid/);
		for (const [sub, sid] of [[SUB, 'other'], [`sip:mallory@${DOMAIN}`, SID]]) {
			const other = await inspect(state, sub, sid);
			assert.equal(field(other, 'verdict'), 'does not verify');
			assert.ok(!other.includes(callId));
		}
		assert.match((await json('inspect', state)).result.verdict, /^well-formed/);
	});
	test('inspect: a state that is forged, truncated, none at all', async () => {
		assert.equal(field(await inspect(flip(state), SUB, SID), 'verdict'), 'does not verify');
		for (const s of [state.slice(0, -9), state.slice(0, 40), 'garbage', '....', 'a.b.c.d.e', '.', ';', 'A'.repeat(5000)]) {
			const text = await inspect(s, SUB, SID);
			assert.match(field(text, 'verdict'), /^(malformed|does not verify|unsupported.*|unknown or.*|too big)$/, s);
			assert.ok(!text.includes(callId));
		}
		await assert.rejects(inspect(), /Say: call_resume.inspect/);
		assert.match((await json('inspect')).error.message, /Say: call_resume.inspect/);
	});
});

describe('key ring', () => {
	const k1 = () => fs.readFileSync(stack.keyRing, 'utf8').split('\n')[0];
	const line = (kid, ...more) => [kid, randomBytes(32).toString('base64url'), ...more].join(' ');
	const write = (...lines) => fs.writeFileSync(stack.keyRing, `${lines.join('\n')}\n`);
	const noKey = (text) => {
		for (const m of fs.readFileSync(stack.keyRing, 'utf8').matchAll(/[\w-]{20,}/g)) {
			assert.ok(!text.includes(m[0].slice(0, 12)), 'no key');
		}
	};
	let first;
	before(() => { first = k1(); });

	test('keys: names and uses, never a key', async () => {
		write(line('k0', '2020-01-01T00:00:00Z'), line('k2', '2099-01-01T00:00:00Z'), first);
		for (const text of [await kamcmd('call_resume.reload'), await kamcmd('call_resume.keys')]) {
			assert.deepEqual([...text.matchAll(/kid: (\S+)\s+use: (.*)/g)].map((m) => [m[1], m[2]]),
				[['k0', 'retired'], ['k2', 'seals and opens'], ['k1', 'opens']]);
			noKey(text);
		}
		const answer = await json('keys');
		assert.deepEqual(answer.result.map((k) => k.kid), ['k0', 'k2', 'k1']);
		assert.ok(answer.result[1].not_after > 4e9 && answer.result[2].not_after === 0);
		noKey(JSON.stringify(answer));
	});

	for (const [what, spoil, why] of [
		['a bad line', () => write(first, 'k2 nonsense'), /line 2: the key is not/],
		['a duplicate', () => write(first, line('k1')), /line 2: the kid k1 stands/],
		['no key', () => write('# nothing'), /no usable key/],
		['a mode too open', () => fs.chmodSync(stack.keyRing, 0o644), /chmod 600/],
		['no file', () => fs.rmSync(stack.keyRing), /cannot open/],
	]) {
		test(`reload: ${what} leaves the old keys, and says why`, async () => {
			const reloads = field(await kamcmd('call_resume.stats'), 'reloads');
			const keys = await kamcmd('call_resume.keys');
			const token = await stack.kamailio.token(SUB, SID);
			spoil();
			await assert.rejects(kamcmd('call_resume.reload'), (e) => /The old keys stay: /.test(e.message) && why.test(e.message));
			assert.match((await json('reload')).error.message, why);
			assert.equal(await kamcmd('call_resume.keys'), keys);
			assert.equal(field(await kamcmd('call_resume.stats'), 'reloads'), reloads);
			assert.match(await kamcmd('call_resume.inspect', token), /accepted/);
			assert.match(stack.kamailio.log(), new RegExp(`ERROR: call_resume.*the old keys stay: .*${why.source}`));
			fs.rmSync(stack.keyRing, { force: true });
			fs.writeFileSync(stack.keyRing, `${first}\n`, { mode: 0o600 });
			await kamcmd('call_resume.reload');
		});
	}

	test('reload: seen by every process at once', async () => {
		const [N, AT_ONCE] = [300, 60];
		write(first);
		await kamcmd('call_resume.reload');
		const old = await stack.kamailio.token(SUB, SID);
		const alices = [];
		for (let i = 0; i < N; i++) alices.push(await Client.open({ token: old, to: gateway }));
		const all = async (token) => {
			const seen = new Set();
			// No more at once than the socket of the gateway holds: nobody sends again here.
			for (let i = 0; i < N; i += AT_ONCE) {
				const replies = await Promise.all(alices.slice(i, i + AT_ONCE).map((a) => {
					a.token = token;
					return a.register();
				}));
				for (const r of replies) seen.add(`${r.status} ${/kid=(\w+)/.exec(r.get('call-state-key'))?.[1]}`);
			}
			return seen;
		};

		assert.deepEqual([...await all(old)], ['200 k1']);
		write(line('k9'));
		assert.match(await kamcmd('call_resume.reload'), /kid: k9/);
		const at = stack.kamailio.log().length;
		assert.deepEqual([...await all(old)], ['401 undefined'], 'the old key is gone everywhere');
		const pids = new Set([...stack.kamailio.log().slice(at).matchAll(/^ *\d+\((\d+)\).*token refused/gm)].map((m) => m[1]));
		assert.ok(pids.size > 1, `${pids.size} processes took part`);
		assert.deepEqual([...await all(await stack.kamailio.token(SUB, SID))], ['200 k9'], 'and the new one is there');
		write(first);
		assert.match((await json('reload')).result[0].kid, /^k1$/);
		assert.deepEqual([...await all(old)], ['200 k1']);
		for (const a of alices) a.close();
		noKey(stack.kamailio.log());
	});

	test('a state sealed with an older key still opens, and goes on with the new one', async () => {
		write(first);
		await kamcmd('call_resume.reload');
		const token = await stack.kamailio.token(SUB, SID);
		const one = await Client.open({ token, to: gateway });
		const call = await one.call();
		await far.take('the ACK', (m) => m.method === 'ACK' && m.callId === call.callId);
		one.close();
		write(line('k2'), first);
		await kamcmd('call_resume.reload');
		const two = await Client.open({ token, to: gateway });
		const back = await two.call({ state: call.state });
		assert.equal(back.final.status, 200);
		assert.equal((await back.request('BYE')).status, 200);
		two.close();
	});
});

test('every command says what it is for, to kamcmd and in JSON-RPC', async () => {
	const commands = (await kamcmd('system.listMethods')).match(/call_resume\.\w+/g).sort();
	assert.deepEqual(commands, ['abandoned', 'check', 'drain', 'end', 'inspect', 'issue', 'keys', 'nodes', 'reload', 'revoke', 'revoked', 'rotate', 'stats', 'version'].map((c) => `call_resume.${c}`));
	for (const command of commands) assert.match(await kamcmd('help', command), /^[A-Z].{30,}\.\s*$/s, command);
	assert.equal((await json('check')).result.state, 'ok');
	assert.match((await json('revoke', 'sid', 'x')).error.message, /Revocation is off/);
	assert.match((await json('revoked')).error.message, /Revocation is off/);
	const ring = fs.readFileSync(stack.keyRing);
	assert.equal((await json('rotate', 50)).result[0].use, 'seals and opens');
	fs.writeFileSync(stack.keyRing, ring);
	await kamcmd('call_resume.reload');
});

test('version: that of the packages', async () => {
	assert.equal((await json('version')).result, JSON.parse(fs.readFileSync(new URL('../../web/package.json', import.meta.url), 'utf8')).version);
});

test('rotate: seconds that are no number rotate nothing, whatever the transport makes of them', async () => {
	const ring = fs.readFileSync(stack.keyRing, 'utf8');
	for (const bad of ['1h', 'abc', '-1', '', '1.5', '99999999999999999999']) {
		assert.match((await json('rotate', bad)).error?.message ?? 'rotated', /Say: call_resume.rotate/, bad);
		if (bad) await assert.rejects(kamcmd('call_resume.rotate', `s:${bad}`), /Say: call_resume.rotate/, bad);
	}
	assert.match((await json('rotate', -1)).error?.message ?? 'rotated', /Say: call_resume.rotate/);
	assert.match((await json('rotate', null)).error?.message ?? 'rotated', /Say: call_resume.rotate/);
	assert.equal(fs.readFileSync(stack.keyRing, 'utf8'), ring);
	// JSON tools send numbers as strings: 0 would retire all other keys at once.
	assert.ok((await json('rotate', '500')).result[1].not_after > Date.now() / 1000 + 490);
	fs.writeFileSync(stack.keyRing, ring);
	await kamcmd('call_resume.reload');
});

test('with debug=9 and everything in the log: no token, key, state, TURN secret or part of one', async () => {
	// What Kamailio itself logs at that level is the message as it came and as it
	// goes; so look at our own lines, and at everything for what no message holds.
	const turn = path.join(stack.dir, 'turn.secret');
	const turnSecret = randomBytes(24).toString('base64url');
	fs.writeFileSync(turn, `${turnSecret}\n`, { mode: 0o600 });
	const loud = await Stack.start('rpc-debug', {
		defines: { DEBUG_LEVEL: 9, WITH_REVOCATION: true, RESUME_TURN_SECRET_FILE: `"${turn}"`, RESUME_CLOCK_SKEW: 0, FR_TIMER: 1000 },
	});
	const peer = await FarEnd.open({ ip: TRUNK_IP, port: loud.trunkPort, to: { ip: loud.kamailio.ip, port: loud.kamailio.port } });
	const to = { ip: loud.kamailio.ip, port: loud.kamailio.port };
	const secrets = new Map();
	const keep = (what, ...parts) => parts.forEach((p, i) => secrets.set(`${what} ${i}`, p));
	try {
		const token = await loud.kamailio.token(SUB, SID);
		keep('token', token.split('.')[1], token.split('.')[2]);
		const one = await Client.open({ token, to });
		const signedIn = await one.register();
		for (const v of signedIn.all('call-state-key')) keep('client key', /key=([\w-]{43})/.exec(v)[1]);
		const call = await one.call();
		await peer.take('the ACK', (m) => m.method === 'ACK');
		one.close();
		await loud.kamailio.kamcmd('call_resume.rotate');
		const two = await Client.open({ token, to });
		for (const v of (await two.register()).all('call-state-key')) keep('client key, later', /key=([\w-]{43})/.exec(v)[1]);
		const back = await two.call({ state: call.state });
		await back.request('OPTIONS');
		assert.equal((await two.call({ state: flip(call.state) })).final.status, 403);
		assert.equal((await two.call({ state: 'abc' })).final.status, 400);
		keep('state', call.state.split('.')[3], call.state.split('.')[4], back.state.split('.')[3]);
		two.token = flip(token);
		assert.equal((await two.register()).status, 401);
		const brief = await loud.kamailio.token(SUB, SID, 1);
		keep('short token', brief.split('.')[2]);
		await loud.kamailio.kamcmd('call_resume.inspect', call.state, SUB, SID);
		await loud.kamailio.kamcmd('call_resume.inspect', token);
		await loud.kamailio.kamcmd('call_resume.check');
		await loud.kamailio.kamcmd('call_resume.reload');
		two.token = token;
		assert.equal((await back.request('BYE')).status, 200);
		await loud.kamailio.kamcmd('call_resume.revoke', 'sid', SID);
		assert.equal((await two.register()).status, 401);
		two.close();

		const log = loud.kamailio.log();
		const ours = log.split('\n').filter((l) => /(call_resume|<script>|htable)/.test(l)).join('\n');
		for (const line of [/resumed by/, /resume by .* refused/, /token refused/, /key ring rotated/, /key ring read again/, /revoked: sid/]) assert.match(ours, line);
		for (const [, ring] of fs.readFileSync(loud.keyRing, 'utf8').matchAll(/\S+ ([\w-]{43})/g)) {
			const raw = Buffer.from(ring, 'base64url');
			for (const form of [ring, raw.toString('hex'), raw.toString('base64'), raw.toString('latin1'), turnSecret]) {
				assert.ok(!log.includes(form), 'a ring key or the TURN secret, nowhere');
			}
		}
		for (const [what, secret] of secrets) {
			for (let i = 0; i + 16 <= secret.length; i += 4) {
				const part = secret.slice(i, i + 16);
				assert.ok(!ours.includes(part), `${what} in a line of ours: ${ours.split('\n').find((l) => l.includes(part))}`);
				assert.ok(!log.replace(/.*DEBUG.*/g, '').includes(part), `${what} above DEBUG`);
			}
		}
	} finally {
		peer.close();
		await loud.stop();
	}
});
