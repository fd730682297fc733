// SPDX-License-Identifier: GPL-2.0-or-later
// Each function by itself, thousands of times: Kamailio's private and shared
// memory stay as they were to the byte, and so does the heap of the process, where OpenSSL
// and jansson allocate.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

import { Kamailio, small } from '../lib/kamailio.mjs';
import { Client, DOMAIN } from '../lib/sip.mjs';
import { runFolder } from '../lib/stack.mjs';

/* The heap grows by 132 kB at a time: with so many some 30 bytes each are seen. */
const TIMES = 5000;
const WARM_UP = 300;
const AT_ONCE = 8;

const SUB = `sip:alice@${DOMAIN}`;
const CFG = small(`modparam("htable", "htable", "revoked=>size=4;autoexpire=43260;")
modparam("call_resume", "allow_insecure", 1)
modparam("call_resume", "issuer", ED25519)
modparam("call_resume", "issuer", P256)
modparam("call_resume", "turn_secret_file", TURN_SECRET)
modparam("call_resume", "revoked_htable", "revoked")
request_route {
	if ($hdr(X-Do) == "issue") {
		resume_issue("${SUB}", "s-2");
		append_to_reply("X-Token: $resume(token)\\r\\n");
		send_reply("299", "Issued");
		exit;
	}
	if (!resume_auth()) {
		resume_challenge("${DOMAIN}");
		exit;
	}
	if ($hdr(X-Do) == "turn") {
		resume_turn("$resume(sub)");
		append_to_reply("X-Turn: $resume(turn_user) $resume(turn_pass)\\r\\n");
	} else if ($hdr(X-Do) == "revoke") {
		resume_revoke("sid", "another", 600);
	} else if ($hdr(X-Do) == "open") {
		resume_open();
		append_to_reply("X-Error: $resume(error)\\r\\n");
	} else if ($hdr(X-Do) == "dialog") {
		if (!resume_dialog()) sl_send_reply("$resume(code)", "$resume(reason)");
		exit;
	}
	resume_key();
	send_reply("200", "OK");
}
`, { modules: ['textops', 'siputils', 'kex', 'htable'], debug: 0 });

const ed25519 = generateKeyPairSync('ed25519');
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const b64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function jwt(alg, key, iss) {
	const now = Math.floor(Date.now() / 1000);
	const text = `${b64({ alg, typ: 'JWT' })}.${b64({ iss, sub: SUB, sid: 's-1', iat: now, exp: now + 600 })}`;
	return `${text}.${sign(alg === 'ES256' ? 'sha256' : null, text, { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

let kamailio, token, clients;
before(async () => {
	const dir = runFolder('leaks');
	const file = (name, text, mode) => {
		fs.writeFileSync(path.join(dir, name), text, { mode });
		return path.join(dir, name);
	};
	const pem = (name, pair) => `"iss=${name};keys=${file(`${name}.pem`, pair.publicKey.export({ type: 'spki', format: 'pem' }), 0o644)}"`;
	kamailio = await Kamailio.start(dir, {
		own: CFG, args: ['-x', 'qm', '-X', 'qm'],
		defines: {
			ED25519: pem('edwards', ed25519), P256: pem('nist', p256),
			TURN_SECRET: `"${file('turn', `${randomBytes(32).toString('hex')}\n`, 0o600)}"`,
		},
	});
	token = await kamailio.token(SUB, 's-1');
	const to = { ip: kamailio.ip, port: kamailio.port };
	clients = await Promise.all(Array.from({ length: AT_ONCE }, () => Client.open({ to })));
});
after(async () => {
	clients?.forEach((c) => c.close());
	await kamailio?.stop();
});

/** The process that takes messages from UDP: {pid, used}. */
async function receiver() {
	const text = await kamailio.kamcmd('pkg.stats');
	const m = /pid: (\d+)\s+rank: \S+\s+used: (\d+)[^}]*desc: udp receiver/.exec(text);
	return { pid: Number(m[1]), used: Number(m[2]) };
}

async function memory() {
	const { pid, used } = await receiver();
	const shm = Number(/used: (\d+)/.exec(await kamailio.kamcmd('core.shmmem'))[1]);
	/* The sanitizer keeps what is freed for a while, see tools/sanitize. */
	if (process.env.CALL_RESUME_SANITIZE) return { shm };
	const heap = Number(/VmData:\s*(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))[1]);
	return { pkg: used, shm, heap };
}

async function send(times, status, { jwt: bearer = token, method = 'REGISTER', headers = [] }) {
	await Promise.all(clients.map(async (client) => {
		client.token = bearer;
		for (let i = 0; i < times / AT_ONCE; i++) {
			assert.equal((await client.outside(method, `sip:${DOMAIN}`, { headers })).status, status);
		}
	}));
}

const forged = () => `${token.slice(0, -4)}AAAA`;
const state = `${Buffer.from('{"alg":"dir","enc":"A256GCM","kid":"k1"}').toString('base64url')}..AAAAAAAAAAAAAAAA.${'A'.repeat(400)}.AAAAAAAAAAAAAAAAAAAAAA`;
for (const [what, status, options] of [
	['a token of ours, and the client key', 200, () => ({})],
	['a token of an issuer, EdDSA', 200, () => ({ jwt: jwt('EdDSA', ed25519.privateKey, 'edwards') })],
	['a token of an issuer, ES256', 200, () => ({ jwt: jwt('ES256', p256.privateKey, 'nist') })],
	['a forged token', 401, () => ({ jwt: forged() })],
	['a forged token of an issuer', 401, () => ({ jwt: `${jwt('ES256', p256.privateKey, 'nist').slice(0, -8)}AAAAAAAA` })],
	['no token', 401, () => ({ jwt: 'x' })],
	['a token issued', 299, () => ({ headers: ['X-Do: issue'] })],
	['TURN credentials', 200, () => ({ headers: ['X-Do: turn'] })],
	['a revocation', 200, () => ({ headers: ['X-Do: revoke'] })],
	['a forged state opened', 200, () => ({ method: 'INVITE', headers: ['X-Do: open', `Call-State: ${state}`] })],
	['a resume with a forged state', 403, () => ({ method: 'INVITE', headers: ['X-Do: dialog', `Call-State: ${state}`] })],
]) {
	test(`${what}, ${TIMES} times`, async () => {
		await send(WARM_UP, status, options());
		const first = await memory();
		await send(TIMES, status, options());
		assert.deepEqual(await memory(), first);
	});
}
