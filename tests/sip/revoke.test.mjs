// SPDX-License-Identifier: GPL-2.0-or-later
// A web session, a user or a token is revoked: refused at once in every process,
// on the other nodes of a cluster, and after a restart; calls that are up stay up.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { Kamailio, writeKeyRing } from '../lib/kamailio.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { Client, FarEnd } from '../lib/sip.mjs';
import { freePort } from '../lib/ports.mjs';
import { variant } from '../lib/variant.mjs';
import { until } from '../lib/wait.mjs';

const SUB = `sip:alice@${DOMAIN}`;
const SCHEMA = '/usr/share/kamailio/db_sqlite';
const OFF = { RTPENGINE: '"udp:127.0.0.1:9"' };

let stack, far, to;
before(async () => {
	const dir = runFolder('revoke');
	const cfg = variant(dir, 'gateway', 'SCREEN', [
		'if ($hdr(X-Late) != $null && is_method("INVITE")) {',
		'	if (resume_auth()) resume_revoke("sid", "$resume(sid)");',
		'	if (!resume_dialog()) sl_send_reply("$resume(code)", "$resume(reason)");',
		'	exit;',
		'}',
		'if ($hdr(X-Revoke) != $null && $hdr(X-Seconds) != $null) {',
		'	if (resume_revoke("$hdr(X-Kind)", "$hdr(X-Revoke)", "$(hdr(X-Seconds){s.int})")) sl_send_reply("299", "Revoked");',
		'	else sl_send_reply("499", "Not revoked");',
		'	exit;',
		'} else if ($hdr(X-Revoke) != $null) {',
		'	if (resume_revoke("$hdr(X-Kind)", "$hdr(X-Revoke)")) sl_send_reply("299", "Revoked");',
		'	exit;',
		'}',
	].join('\n'));
	const text = fs.readFileSync(cfg, 'utf8');
	stack = await Stack.start('revoke', {
		dir, defines: { WITH_REVOCATION: true, CHILDREN: 4 }, kamailio: { cfg: keepCfg(dir, text) },
	});
	to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
});
after(async () => {
	far?.close();
	await stack?.stop();
});

/** Stack.start() empties its folder: keep the configuration beside it. */
function keepCfg(dir, text) {
	const file = `${dir}.cfg`;
	fs.writeFileSync(file, text);
	process.once('exit', () => fs.rmSync(file, { force: true }));
	return file;
}

const kamcmd = (...a) => stack.kamailio.kamcmd(...a);
const field = (text, name) => new RegExp(`\\b${name}: (.*)`).exec(text)?.[1];
const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
const count = async (name) => Number(field(await kamcmd('call_resume.stats'), name));

/** The answer to a REGISTER with that token. */
async function register(token, where = to) {
	const alice = await Client.open({ token, to: where });
	try {
		return await alice.register();
	} finally {
		alice.close();
	}
}

async function refusedAsRevoked(token, where) {
	const answer = await register(token, where);
	assert.equal(answer.status, 401);
	assert.match(answer.get('www-authenticate'), /error="invalid_token", error_description="revoked"/);
	assert.equal(answer.get('call-state-key'), undefined);
}

test('a revoked session: refused in every process, counted; another session is not', async () => {
	const [token, other] = [await stack.kamailio.token(SUB, 's-1'), await stack.kamailio.token(SUB, 's-2')];
	assert.equal((await register(token)).status, 200);
	const before = await count('tokens_revoked');
	const answer = await kamcmd('call_resume.revoke', 'sid', 's-1');
	assert.equal(field(answer, 'revoked'), 'yes');
	assert.ok(Math.abs(field(answer, 'at') - Date.now() / 1000) < 3);
	assert.ok(Math.abs(field(answer, 'seconds_left') - 43260) < 3);
	for (let i = 0; i < 20; i++) await refusedAsRevoked(token);
	assert.equal(await count('tokens_revoked'), before + 20);
	assert.equal((await register(other)).status, 200);
	// A new token of the session is no way around it.
	await refusedAsRevoked(await stack.kamailio.token(SUB, 's-1'));
	assert.match(stack.kamailio.log(), /revoked: sid:s-1, for 43260 s/);
	assert.match(stack.kamailio.log(), /token refused, revoked/);
});

test('a revoked token: only that one', async () => {
	const [a, b] = [await stack.kamailio.token(SUB, 's-3'), await stack.kamailio.token(SUB, 's-3')];
	await kamcmd('call_resume.revoke', 'jti', `s:${claims(a).jti}`);
	await refusedAsRevoked(a);
	assert.equal((await register(b)).status, 200);
});

test('a revoked user: what was issued so far, in all sessions; who signs in again is in', async () => {
	const [a, b] = [await stack.kamailio.token(SUB, 's-4'), await stack.kamailio.token(SUB, 's-5')];
	const carol = await stack.kamailio.token(`sip:carol@${DOMAIN}`, 's-6');
	await kamcmd('call_resume.revoke', 'sub', SUB);
	await refusedAsRevoked(a);
	await refusedAsRevoked(b);
	const open = await Client.open({ user: 'carol', token: carol, to });
	assert.equal((await open.register()).status, 200);
	open.close();
	// iat counts seconds: the same second is still "so far".
	const fresh = await until('a token of a later second', async () => {
		const t = await stack.kamailio.token(SUB, 's-7');
		return claims(t).iat > claims(a).iat && (await register(t)).status === 200 && t;
	}, { every_ms: 200 });
	assert.equal((await register(fresh)).status, 200);
	await refusedAsRevoked(a);
});

test('an entry lapses; a shorter revocation does not end a longer one sooner', async () => {
	const sub = `sip:dora@${DOMAIN}`;
	const brief = await stack.kamailio.token(sub, 's-8');
	await kamcmd('call_resume.revoke', 'sid', 's-8', 3);
	assert.equal(field(await kamcmd('call_resume.revoked', 'sid', 's-8'), 'revoked'), 'yes');
	await until('the entry to lapse', async () => field(await kamcmd('call_resume.revoked', 'sid', 's-8'), 'revoked') === 'no');
	assert.match(await kamcmd('call_resume.inspect', brief), /verdict: accepted/);
	await kamcmd('call_resume.revoke', 'sid', 's-9', 1000);
	assert.ok(Number(field(await kamcmd('call_resume.revoke', 'sid', 's-9', 5), 'seconds_left')) > 900);
});

test('the call that was up stays up; its client cannot resume it', async () => {
	const token = await stack.kamailio.token(SUB, 's-10');
	const one = await Client.open({ token, to });
	const call = await one.call();
	assert.equal(call.final.status, 200);
	await kamcmd('call_resume.revoke', 'sid', 's-10');
	assert.equal((await call.request('OPTIONS')).status, 200);
	const two = await Client.open({ token, to });
	const back = await two.call({ state: call.state });
	assert.equal(back.final.status, 401);
	assert.match(back.final.get('www-authenticate'), /error_description="revoked"/);
	two.close();
	assert.equal((await call.request('BYE')).status, 200);
	one.close();
});

test('a script revokes: a portal signs a session out', async () => {
	const token = await stack.kamailio.token(SUB, 's-11');
	const portal = await Client.open({ to });
	const revoke = async (kind, value, seconds) => (await portal.outside('OPTIONS', `sip:${DOMAIN}`, {
		headers: [`X-Kind: ${kind}`, `X-Revoke: ${value}`, seconds ? `X-Seconds: ${seconds}` : ''].filter(Boolean),
	})).status;
	assert.equal(await revoke('sid', 's-11'), 299);
	await refusedAsRevoked(token);
	assert.equal(await revoke('sid', 's-12', 77), 299);
	assert.ok(Number(field(await kamcmd('call_resume.revoked', 'sid', 's-12'), 'seconds_left')) > 70);
	assert.equal(await revoke('name', 's-11', 5), 499);
	assert.match(stack.kamailio.log(), /not revoked, name \[s-11\]: unsupported/);
	portal.close();
});

test('revoked between resume_auth() and resume_dialog(): 403', async () => {
	const alice = await Client.open({ token: await stack.kamailio.token(SUB, 's-13'), to });
	const call = await alice.call();
	const before = await count('tokens_revoked');
	const { final } = await alice.call({ state: call.state, headers: ['X-Late: yes'] });
	assert.equal(final.start, 'SIP/2.0 403 Web session has been revoked');
	assert.equal(await count('tokens_revoked'), before + 1);
	assert.equal((await call.request('BYE')).status, 200);
	alice.close();
});

test('RPC: what is wrong is said', async () => {
	await assert.rejects(kamcmd('call_resume.revoke'), /Say sid, sub or jti, and which/);
	await assert.rejects(kamcmd('call_resume.revoke', 'name', 'x'), /Say sid, sub or jti/);
	await assert.rejects(kamcmd('call_resume.revoke', 'sid', 'a b'), /Not revoked: malformed/);
	await assert.rejects(kamcmd('call_resume.revoke', 'sub', 'x'.repeat(300)), /Not revoked/);
	await assert.rejects(kamcmd('call_resume.revoke', 'sid', 'x', 99999999), /Not revoked: too big/);
	await assert.rejects(kamcmd('call_resume.revoke', 'sid', 'x', 0), /Not revoked: malformed/);
	assert.equal(field(await kamcmd('call_resume.revoked', 'sid', 'x'), 'revoked'), 'no');
	assert.match(await kamcmd('call_resume.revoked'), /table: revoked/);
	assert.match(await kamcmd('htable.dump', 'revoked'), /name: sid:s-1\n/);
	// Taken back.
	await kamcmd('htable.delete', 'revoked', 'sid:s-1');
	assert.equal(field(await kamcmd('call_resume.revoked', 'sid', 's-1'), 'revoked'), 'no');
	assert.equal((await register(await stack.kamailio.token(SUB, 's-1'))).status, 200);
});

test('an entry that an operator made, with text in it, revokes', async () => {
	const sub = `sip:carol@${DOMAIN}`;
	const token = await stack.kamailio.token(sub, 's-40');
	await kamcmd('htable.sets', 'revoked', `sub:${sub}`, 'yes');
	assert.match(await kamcmd('call_resume.inspect', token), /verdict: revoked/);
	// Not the place in memory where the text stands, taken for a time.
	assert.equal(field(await kamcmd('call_resume.revoked', 'sub', sub), 'at'), '-1', 'the latest there is, without a sign');
	await kamcmd('htable.delete', 'revoked', `sub:${sub}`);
});

/** A gateway without media, in a folder of its own. */
async function node(name, { ring, defines = {} }) {
	const dir = runFolder(`revoke-${name}`);
	return Kamailio.start(dir, {
		defines: {
			...OFF, DOMAIN: `"${DOMAIN}"`, RESUME_KEY_RING: `"${ring ?? writeKeyRing(path.join(dir, 'keyring'))}"`,
			RESUME_ALLOW_INSECURE: 1, ...defines,
		},
	});
}

test('off: the RPC says how to turn it on', async () => {
	const plain = await node('off', {});
	try {
		await assert.rejects(plain.kamcmd('call_resume.revoke', 'sid', 'x'), /Revocation is off\. Load the module htable/);
		await assert.rejects(plain.kamcmd('call_resume.revoked'), /Revocation is off/);
	} finally {
		await plain.stop();
	}
});

test('a table that is not there: no start, and why', async () => {
	await assert.rejects(node('table', { defines: { WITH_REVOCATION: true, RESUME_REVOKED: '"revokd"' } }),
		/htable has no table revokd/);
});

test('two nodes: revoked on one, refused on the other; a node that comes later learns it', async () => {
	const ring = writeKeyRing(`${stack.dir}/shared-ring`);
	const ports = [await freePort(), await freePort()];
	const start = (i) => node(`node-${i}`, {
		ring,
		defines: {
			WITH_REVOCATION: true, WITH_DMQ: true, LISTEN_DMQ: `udp:127.0.0.1:${ports[i]}`, DMQ_PORT: ports[i],
			DMQ_ADDRESS: `"sip:127.0.0.1:${ports[i]}"`, DMQ_PEER: `"sip:127.0.0.1:${ports[1 - i]}"`,
		},
	});
	const one = await start(0);
	let two = await start(1);
	try {
		const token = await one.token(SUB, 's-20');
		for (const k of [one, two]) {
			await until('the nodes to know each other', async () => (
				(await k.kamcmd('dmq.list_nodes')).match(/status: active/g).length === 2), { timeout_ms: 60000 });
		}
		await until('the revocation on the other node', async () => {
			await one.kamcmd('call_resume.revoke', 'sid', 's-20', 600);
			return field(await two.kamcmd('call_resume.revoked', 'sid', 's-20'), 'revoked') === 'yes';
		}, { every_ms: 200, timeout_ms: 20000 });
		await refusedAsRevoked(token, { ip: two.ip, port: two.port });
		await two.kill();
		await two.boot();
		await until('what it missed', async () => (
			field(await two.kamcmd('call_resume.revoked', 'sid', 's-20'), 'revoked') === 'yes'), { timeout_ms: 20000 });
	} finally {
		await one.stop();
		await two.stop();
	}
});

for (const [what, interval, ends] of [['after a restart', 3600, 'stop'], ['after a kill, what the timer had stored', 1, 'kill']]) {
	test(`with a database it is known ${what}`, async () => {
		const db = `${stack.dir}/revoked-${ends}.sqlite`;
		const htable = fs.readFileSync(`${SCHEMA}/htable-create.sql`, 'utf8').replace(/\bhtable\b/g, 'revoked');
		execFileSync('sqlite3', [db], { input: `${fs.readFileSync(`${SCHEMA}/standard-create.sql`, 'utf8')}${htable}
			INSERT INTO revoked (key_name, value_type, key_value, expires) VALUES ('seed', 1, '0', 2147483647);` });
		const gateway = await node(`db-${ends}`, {
			defines: { WITH_REVOCATION: true, WITH_REVOKED_DB: true, REVOKED_STORE: `"name=store;interval=${interval};mode=1;"`, REVOKED_DB_URL: `"sqlite:///${db}"` },
		});
		try {
			const token = await gateway.token(SUB, 's-30');
			await gateway.kamcmd('call_resume.revoke', 'sid', 's-30');
			if (ends === 'kill') {
				await until('the timer to store it', () => execFileSync('sqlite3', [db, '.timeout 5000', 'SELECT key_name FROM revoked'],
					{ encoding: 'utf8' }).includes('sid:s-30'));
			}
			// Kamailio's process for TCP does not end when it is told so before it has begun.
			const client = await Client.open({ token, transport: 'tcp', to: { ip: gateway.ip, port: gateway.port } });
			assert.ok((await client.outside('OPTIONS', `sip:${DOMAIN}`)).status);
			client.close();
			await gateway[ends]();
			await gateway.boot();
			assert.equal(field(await gateway.kamcmd('call_resume.revoked', 'sid', 's-30'), 'revoked'), 'yes');
			await refusedAsRevoked(token, { ip: gateway.ip, port: gateway.port });
			assert.ok(Math.abs(field(await gateway.kamcmd('call_resume.revoked', 'sid', 's-30'), 'seconds_left') - 43260) < 60);
		} finally {
			await gateway.stop();
		}
	});
}
