// SPDX-License-Identifier: GPL-2.0-or-later
// TURN credentials of a real Kamailio at a real coturn; and tokens, issued and checked, over
// HTTP, as a portal inside Kamailio does it.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createHmac, randomBytes } from 'node:crypto';

import { Coturn } from '../lib/coturn.mjs';
import { Kamailio, writeKeyRing } from '../lib/kamailio.mjs';
import { runFolder } from '../lib/stack.mjs';
import { DOMAIN } from '../lib/sip.mjs';
import { REFRESH, TurnClient } from '../lib/turn.mjs';
import { until } from '../lib/wait.mjs';

const SUB = `sip:alice@${DOMAIN}`;
const LIFETIME = 600;

const CFG = `#!KAMAILIO
children=1
tcp_children=4
debug=4
log_stderror=yes
listen=LISTEN_UDP
listen=LISTEN_TCP
tcp_accept_no_cl=yes
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "xhttp.so"
loadmodule "xlog.so"
loadmodule "ctl.so"
loadmodule RESUME_MODULE
modparam("ctl", "binrpc", CTL_SOCKET)
modparam("call_resume", "key_ring", KEY_RING)
modparam("call_resume", "allow_insecure", 1)
#!ifdef TURN_SECRET
modparam("call_resume", "turn_secret_file", TURN_SECRET)
modparam("call_resume", "turn_lifetime", ${LIFETIME})
#!endif
#!ifdef LUA
loadmodule "app_lua.so"
modparam("xhttp", "event_callback", "ksr_xhttp_event")
modparam("app_lua", "load", LUA)
cfgengine "lua"
#!else
request_route {
	exit;
}
event_route[xhttp:request] {
	if ($hu == "/token") {
		resume_issue("${SUB}", "web-session-1");
		xhttp_reply("200", "OK", "text/plain", "$resume(token)");
	} else if ($hu == "/who") {
		$var(rc) = resume_auth();
		xhttp_reply("200", "OK", "text/plain", "$resume(error) $resume(sub) $resume(sid)");
	} else if ($hu == "/forgotten") {
		xhttp_reply("200", "OK", "text/plain", "$resume(sub) $resume(token) $resume(turn_pass)");
	} else if ($hu == "/key") {
		if (!resume_auth()) {
			resume_challenge("${DOMAIN}");
			exit;
		}
		resume_key();
		xhttp_reply("200", "OK", "text/plain", "yours");
	} else if ($hu == "/turn") {
		resume_turn("$hdr(X-Sub)");
		$var(rc) = $rc;
		xhttp_reply("200", "OK", "text/plain", "$var(rc) $resume(turn_ttl) $resume(turn_user) $resume(turn_pass)");
	}
}
#!endif
`;

let base, secret, secretFile, kamailio, coturn;
const writeSecret = (text) => fs.writeFileSync(secretFile, text, { mode: 0o600 });

async function start(name, defines = {}) {
	const dir = path.join(base, name);
	fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
	return Kamailio.start(dir, { own: CFG, defines });
}

before(async () => {
	base = runFolder('turn');
	secret = randomBytes(32).toString('hex');
	secretFile = path.join(base, 'turn.secret');
	writeSecret(`${secret}\n`);
	kamailio = await start('gateway', { TURN_SECRET: `"${secretFile}"` });
	coturn = await Coturn.start(base, { secret });
});
after(async () => {
	await coturn?.stop();
	await kamailio?.stop();
});

/** One HTTP request; resolves with {status, headers, text}. */
function get(where, headers = {}, k = kamailio) {
	return new Promise((resolve, reject) => {
		http.get({ host: k.ip, port: k.port, path: where, headers, agent: false }, (res) => {
			let text = '';
			res.on('data', (d) => { text += d; });
			res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, text }));
		}).on('error', reject);
	});
}

/** Credentials from Kamailio: {rc, ttl, user, pass}. */
async function credentials(sub = SUB, k = kamailio) {
	const [rc, ttl, user, pass] = (await get('/turn', { 'X-Sub': sub }, k)).text.split(' ');
	return { rc: Number(rc), ttl: Number(ttl), user, pass };
}

const mac = (key, user) => createHmac('sha1', key).update(user).digest('base64');

/** What coturn says to an Allocate. */
async function allocate(login, transport = 'udp', to = coturn) {
	const client = await TurnClient.open({ to, transport, ...login });
	const { status } = await client.allocate();
	if (status === 200) await client.release();
	assert.equal(client.challenge.status, 401, 'nobody without credentials');
	client.close();
	return status;
}

// ---- over HTTP ---------------------------------------------------------------------

test('xhttp: a token is issued, checked and gives its client key', async () => {
	const token = (await get('/token')).text;
	assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
	const bearer = { Authorization: `Bearer ${token}` };
	assert.equal((await get('/who', bearer)).text, `none ${SUB} web-session-1`);
	const { status, headers } = await get('/key', bearer);
	assert.equal(status, 200);
	assert.match(headers['call-state-key'], /^kid=k1;key=[\w-]{43};exp=\d+$/);
});

test('xhttp: a request without a token is nobody, whatever the one before it was', async () => {
	const token = (await get('/token')).text;
	const bearer = { Authorization: `Bearer ${token}` };
	// Often enough that every process gets some of both.
	for (let i = 0; i < 12; i++) {
		assert.equal((await get('/who', bearer)).text, `none ${SUB} web-session-1`);
		await credentials();
		assert.equal((await get('/forgotten')).text, '<null> <null> <null>');
		assert.equal((await get('/who')).text, 'missing <null> <null>');
	}
	const forged = await get('/who', { Authorization: `Bearer ${token.slice(0, -6)}AAAAAA` });
	assert.equal(forged.text, 'forged <null> <null>');
});

test('xhttp: the challenge', async () => {
	const { status, headers } = await get('/key', { Authorization: 'Bearer a.b.c' });
	assert.equal(status, 401);
	assert.equal(headers['www-authenticate'],
		`Bearer realm="${DOMAIN}", error="invalid_token", error_description="malformed"`);
});

// ---- the credentials --------------------------------------------------------------

test('credentials: what they say', async () => {
	const c = await credentials();
	assert.equal(c.rc, 1);
	assert.equal(c.ttl, LIFETIME);
	const [, exp, sub] = /^(\d+):(.*)$/.exec(c.user);
	assert.equal(sub, SUB);
	assert.ok(Math.abs(Number(exp) - Date.now() / 1000 - LIFETIME) < 3);
	assert.equal(c.pass, mac(secret, c.user));
	assert.match(await kamailio.kamcmd('call_resume.stats'), /turn_issued: [1-9]/);
});

test('credentials: for nobody', async () => {
	assert.deepEqual(await credentials('<x>'), { rc: -3, ttl: NaN, user: '<null>', pass: '<null>' });
	assert.equal((await credentials('a'.repeat(256))).rc, -4);
	assert.match(kamailio.log(), /no TURN credentials for \[<x>\]: malformed/);
});

test('credentials: without a secret there are none, and the log says what to set', async () => {
	const bare = await start('bare');
	try {
		assert.deepEqual(await credentials(SUB, bare), { rc: -2, ttl: NaN, user: '<null>', pass: '<null>' });
		assert.match(bare.log(), /ERROR: call_resume.*resume_turn\(\) needs a secret: set modparam.*turn_secret_file/);
	} finally {
		await bare.stop();
	}
});

test('credentials: in Lua', async () => {
	const lua = path.join(base, 'turn.lua');
	fs.writeFileSync(lua, `
		function ksr_request_route() end
		function ksr_xhttp_event(evname)
			local rc = KSR.call_resume.resume_turn(KSR.hdr.get("X-Sub"))
			KSR.xhttp.xhttp_reply(200, "OK", "text/plain", rc .. " " .. KSR.pv.gete("$resume(turn_ttl)") .. " "
				.. KSR.pv.gete("$resume(turn_user)") .. " " .. KSR.pv.gete("$resume(turn_pass)"))
		end`);
	const kemi = await start('lua', { TURN_SECRET: `"${secretFile}"`, LUA: `"${lua}"` });
	try {
		const c = await credentials(SUB, kemi);
		assert.equal(c.rc, 1);
		assert.equal(c.pass, mac(secret, c.user));
		assert.equal((await credentials('<x>', kemi)).rc, -3);
	} finally {
		await kemi.stop();
	}
});

// ---- at coturn ------------------------------------------------------------------------

for (const transport of ['udp', 'tcp']) {
	test(`coturn takes them over ${transport}`, async () => {
		assert.equal(await allocate(await credentials(), transport), 200);
	});
}

test('coturn refuses what is forged, expired or changed', async () => {
	const { user, pass } = await credentials();
	assert.equal(await allocate({ user, pass: mac('another secret', user) }), 401);
	const later = user.replace(/^\d+/, (s) => Number(s) + 3600);
	assert.equal(await allocate({ user: later, pass }), 401);
	assert.equal(await allocate({ user: user.replace('alice', 'mallory'), pass }), 401);
	const past = `${Math.floor(Date.now() / 1000) - 5}:${SUB}`;
	assert.equal(await allocate({ user: past, pass: mac(secret, past) }), 401);
	assert.equal(await allocate({ user, pass }), 200, 'it is not that coturn refuses everybody');
});

test('a relay that is open goes on after its credentials have ended', async () => {
	const user = `${Math.floor(Date.now() / 1000) + 3}:${SUB}`;
	const login = { user, pass: mac(secret, user) };
	const client = await TurnClient.open({ to: coturn, ...login });
	assert.equal((await client.allocate()).status, 200);
	await until('the end of the credentials', async () => await allocate(login) === 401, { every_ms: 200 });
	assert.equal((await client.ask(REFRESH)).status, 200);
	await client.release();
	client.close();
});

test('a relay carries data to whom it may, and to nobody else', async () => {
	const echo = dgram.createSocket('udp4');
	echo.on('message', (m, from) => echo.send(m, from.port, from.address));
	await new Promise((resolve) => echo.bind(0, '127.0.0.1', resolve));
	const client = await TurnClient.open({ to: coturn, ...await credentials() });
	try {
		assert.equal((await client.allocate()).status, 200);
		for (const ip of ['10.0.0.1', '172.20.0.1', '192.168.1.1', '169.254.169.254', '127.0.0.3', '224.0.0.1', '0.0.0.0']) {
			assert.equal((await client.permit(ip)).status, 403, ip);
		}
		assert.equal((await client.permit('127.0.0.1')).status, 200);
		client.sendTo({ ip: '127.0.0.1', port: echo.address().port }, 'hello');
		await until('the echo', () => client.data.includes('hello'));
		await client.release();
	} finally {
		client.close();
		echo.close();
	}
});

// ---- another secret --------------------------------------------------------------------

test('reload: every process gives credentials with the new secret; two secrets at coturn meanwhile', async () => {
	const next = randomBytes(32).toString('hex');
	const both = await Coturn.start(base, { name: 'both', secret, conf: [`static-auth-secret=${next}`] });
	try {
		assert.equal(await allocate(await credentials(), 'udp', both), 200);
		writeSecret(next);
		await kamailio.kamcmd('call_resume.reload');
		for (let i = 0; i < 12; i++) {
			const c = await credentials();
			assert.equal(c.pass, mac(next, c.user));
		}
		const fresh = await credentials();
		assert.equal(await allocate(fresh, 'udp', both), 200);
		assert.equal(await allocate(fresh), 401, 'coturn with the old one alone');
	} finally {
		writeSecret(secret);
		await kamailio.kamcmd('call_resume.reload');
		await both.stop();
	}
});

for (const [what, spoil, why] of [
	['short', () => writeSecret('short'), /not one line of 16/],
	['open to others', () => fs.chmodSync(secretFile, 0o644), /chmod 600/],
	['gone', () => fs.rmSync(secretFile), /cannot open/],
]) {
	test(`reload: a secret that is ${what} leaves the old one, and the old key ring`, async () => {
		const ring = path.join(base, 'gateway/keyring');
		const kept = fs.readFileSync(ring);
		spoil();
		writeKeyRing(ring, ['k2']);
		await assert.rejects(kamailio.kamcmd('call_resume.reload'), (e) => /The old keys stay: /.test(e.message) && why.test(e.message));
		assert.match(await kamailio.kamcmd('call_resume.keys'), /kid: k1/);
		const c = await credentials();
		assert.equal(c.pass, mac(secret, c.user));
		fs.writeFileSync(ring, kept);
		fs.rmSync(secretFile, { force: true });
		writeSecret(secret);
		await kamailio.kamcmd('call_resume.reload');
	});
}

for (const [what, mode, text, why] of [
	['a secret that others may read', 0o640, 'x'.repeat(32), /open to group or others \(mode 0640\); chmod 600/],
	['a secret that is too short', 0o600, 'x'.repeat(15), /the TURN secret is not one line/],
	['no secret where there shall be one', undefined, '', /cannot open .*turn\.secret; .*openssl rand -hex 32/],
]) {
	test(`refused: ${what}`, async () => {
		const name = what.replace(/\W/g, '-');
		const file = path.join(base, name, 'turn.secret');
		fs.mkdirSync(path.dirname(file), { recursive: true });
		if (mode) fs.writeFileSync(file, text, { mode });
		await assert.rejects(start(name, { TURN_SECRET: `"${file}"` }));
		const log = fs.readFileSync(path.join(base, name, 'kamailio.log'), 'utf8');
		assert.match(log, why);
		assert.ok(!log.includes('x'.repeat(15)));
	});
}

test('the log has no password and no secret', async () => {
	const { pass } = await credentials();
	const log = kamailio.log();
	const ours = log.split('\n').filter((l) => /call_resume|<script>/.test(l)).join('\n');
	assert.ok(!ours.includes(pass));
	assert.ok(!log.includes(secret));
});
