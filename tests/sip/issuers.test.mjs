// SPDX-License-Identifier: GPL-2.0-or-later
// Tokens that a portal has signed: two issuers at one Kamailio, one with a PEM
// public key, one with a JWK set, and what a reload does to their keys.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { createHmac, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';

import { Kamailio, ROOT, small } from '../lib/kamailio.mjs';
import { Client, DOMAIN, FarEnd } from '../lib/sip.mjs';
import { Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';

const CFG = small(`modparam("call_resume", "allow_insecure", 1)
modparam("call_resume", "clock_skew", 5)
modparam("call_resume", "authz_server", AUTHZ_SERVER)
modparam("call_resume", "scope", "sip calls")
modparam("call_resume", "issuer", PORTAL)
modparam("call_resume", "issuer", PARTNER)
request_route {
	if (!resume_auth()) {
		append_to_reply("X-Error: $resume(error) $rc\\r\\n");
		resume_challenge("$fd");
		exit;
	}
	append_to_reply("X-Session: $resume(sub) $resume(sid) $resume(kid) $resume(iss)\\r\\n");
	resume_key();
	send_reply("200", "OK");
}
`, { modules: ['textops', 'siputils'], children: 3 });

const SUB = `sip:alice@${DOMAIN}`;
const PORTAL = 'https://portal.example.org';
const PARTNER = 'partner';
const AUTHZ_SERVER = 'https://portal.example.org/session';
const b64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const now = () => Math.floor(Date.now() / 1000);

const ed25519 = () => ({ alg: 'EdDSA', ...generateKeyPairSync('ed25519') });
const p256 = (kid) => ({ alg: 'ES256', kid, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) });
const pem = (key) => key.publicKey.export({ type: 'spki', format: 'pem' });
const jwk = (key) => ({ ...key.publicKey.export({ format: 'jwk' }), kid: key.kid, use: 'sig' });

/** A token as that key's owner makes it; claims and header may be wrong. */
function token(key, claims, header = {}) {
	const text = `${b64({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })}.${
		b64({ sub: SUB, sid: 's-1', iat: now(), exp: now() + 60, ...claims })}`;
	const signature = sign(key.alg === 'ES256' ? 'sha256' : null, text, { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
	return `${text}.${signature.toString('base64url')}`;
}

let kamailio, dir, client;
const portal = ed25519();
const [p1, p2, p3] = [p256('2026-01'), p256('2026-02'), p256('2026-03')];
const file = (name, text) => {
	fs.writeFileSync(path.join(dir, name), text, { mode: 0o644 });
	return path.join(dir, name);
};
const rsa = { kty: 'RSA', kid: 'r', n: 'AQAB', e: 'AQAB' };
const ofPortal = (claims, header) => token(portal, { iss: PORTAL, aud: ['web', 'gw'], ...claims }, header);

before(async () => {
	dir = runFolder('issuers');
	file('portal.pem', pem(portal));
	file('partner.json', JSON.stringify({ keys: [rsa, jwk(p1), jwk(p2)] }));
	kamailio = await Kamailio.start(dir, {
		own: CFG,
		defines: {
			AUTHZ_SERVER: `"${AUTHZ_SERVER}"`,
			PORTAL: `"iss=${PORTAL};keys=${path.join(dir, 'portal.pem')};aud=gw"`,
			PARTNER: `"iss=${PARTNER};keys=${path.join(dir, 'partner.json')}"`,
		},
	});
	client = await Client.open({ to: { ip: kamailio.ip, port: kamailio.port } });
});
after(async () => {
	client?.close();
	await kamailio?.stop();
});

/** What Kamailio says to a REGISTER with that token. */
async function register(jwt) {
	client.token = jwt;
	return client.register();
}

async function accepted(jwt) {
	const reply = await register(jwt);
	assert.equal(reply.status, 200, reply.get('x-error'));
	return reply.get('x-session').split(' ');
}

async function refused(jwt, error) {
	const reply = await register(jwt);
	assert.equal(reply.status, 401, reply.get('x-session'));
	assert.equal(reply.get('x-error'), error);
	assert.equal(reply.get('call-state-key'), undefined);
	assert.match(reply.get('www-authenticate'), new RegExp(`error_description="${error.split(' ')[0]}"`));
}

const stat = async (name) => Number((await kamailio.kamcmd('call_resume.stats')).match(`\\b${name}: (\\d+)`)[1]);

test('EdDSA with a PEM key: the session, and a client key of the ring', async () => {
	assert.deepEqual(await accepted(ofPortal()), [SUB, 's-1', 'k1', PORTAL]);
	const keys = new Set();
	// By whichever process, and for a token of the same session renewed.
	for (let i = 0; i < 6; i++) keys.add((await register(ofPortal({ jti: `${i}` }))).get('call-state-key').match(/key=([^;]+)/)[1]);
	assert.equal(keys.size, 1);
	const own = await register(await kamailio.token(SUB, 's-1'));
	assert.ok(keys.has(own.get('call-state-key').match(/key=([^;]+)/)[1]), 'the same session whoever signed');
	assert.equal(own.get('x-session').split(' ').at(-1), '<null>');
});

test('ES256 with a JWK set, by kid', async () => {
	assert.deepEqual(await accepted(token(p1, { iss: PARTNER })), [SUB, 's-1', 'k1', PARTNER]);
	await accepted(token(p2, { iss: PARTNER }));
});

test('the challenge is that of RFC 8898', async () => {
	const where = `Bearer realm="${DOMAIN}", scope="sip calls", authz_server="${AUTHZ_SERVER}"`;
	assert.equal((await register(undefined)).get('www-authenticate'), where);
	assert.equal((await register(ofPortal({ exp: now() - 60 }))).get('www-authenticate'),
		`${where}, error="invalid_token", error_description="expired"`);
});

describe('refused', () => {
	const cases = {
		'by nobody that we know': [() => ofPortal({ iss: 'https://evil.example.org' }), 'unknown-issuer -12', 'tokens_unknown_issuer'],
		'without iss': [() => ofPortal({ iss: undefined }), 'unknown-issuer -12', 'tokens_unknown_issuer'],
		'for somebody else': [() => ofPortal({ aud: 'web' }), 'wrong-audience -13', 'tokens_wrong_audience'],
		'for nobody, where we want to be named': [() => ofPortal({ aud: undefined }), 'wrong-audience -13', 'tokens_wrong_audience'],
		'for somebody, where we have no name': [() => token(p1, { iss: PARTNER, aud: 'gw' }), 'wrong-audience -13', 'tokens_wrong_audience'],
		'without a web session': [() => ofPortal({ sid: undefined }), 'no-sid -14', 'tokens_malformed'],
		'without sub': [() => ofPortal({ sub: undefined }), 'malformed -3', 'tokens_malformed'],
		'without exp': [() => ofPortal({ exp: undefined }), 'malformed -3', 'tokens_malformed'],
		'expired, the skew included': [() => ofPortal({ exp: now() - 6 }), 'expired -6', 'tokens_expired'],
		'not yet': [() => ofPortal({ nbf: now() + 30 }), 'not-yet -7', 'tokens_not_yet'],
		'issued in the future': [() => ofPortal({ iat: now() + 30 }), 'not-yet -7', 'tokens_not_yet'],
		'by the other issuer': [() => token(p1, { iss: PORTAL, aud: 'gw' }), 'malformed -9', 'tokens_malformed'],
		'by another key of that kind': [() => token({ ...ed25519() }, { iss: PORTAL, aud: 'gw' }), 'forged -5', 'tokens_forged'],
		'with a kid of nobody': [() => token(p3, { iss: PARTNER }), 'unknown-key -8', 'tokens_forged'],
		'with a critical parameter': [() => ofPortal({}, { crit: ['b64'], b64: true }), 'malformed -9', 'tokens_malformed'],
		'with alg none': [() => `${b64({ alg: 'none' })}.${ofPortal().split('.')[1]}.`, 'malformed -9', 'tokens_malformed'],
	};
	for (const [name, [make, error, counter]] of Object.entries(cases)) {
		test(name, async () => {
			const count = await stat(counter);
			await refused(make(), error);
			assert.equal(await stat(counter), count + 1);
		});
	}

	test('an HMAC with a public key as its secret', async () => {
		for (const kid of ['k1', '2026-01', undefined]) {
			for (const secret of [pem(portal), pem(portal).trim(), portal.publicKey.export({ type: 'spki', format: 'der' })]) {
				const text = `${b64({ alg: 'HS256', kid })}.${ofPortal().split('.')[1]}`;
				const mac = createHmac('sha256', secret).update(text).digest('base64url');
				await refused(`${text}.${mac}`, kid === 'k1' ? 'forged -5' : 'unknown-key -8');
			}
		}
	});
});

test('call_resume.keys lists the public keys, call_resume.inspect judges their tokens', async () => {
	const text = await kamailio.kamcmd('call_resume.keys');
	assert.equal(text.match(/verifies tokens/g).length, 3);
	assert.match(text, new RegExp(`kid: 2026-02\\s+use: verifies tokens\\s+iss: ${PARTNER}\\s+alg: ES256\\s+thumbprint: [\\w-]{43}`));
	assert.doesNotMatch(text, new RegExp(jwk(portal).x));
	assert.match(await kamailio.kamcmd('call_resume.inspect', ofPortal()), /verdict: accepted[^]*sid: s-1/);
	assert.match(await kamailio.kamcmd('call_resume.inspect', ofPortal({ aud: 'x' })), /verdict: for another audience/);
});

test('a reload takes the new keys in every process, or leaves all the old ones and says why', async () => {
	const [before] = [token(p1, { iss: PARTNER })];
	await accepted(before);
	file('partner.json', JSON.stringify({ keys: [jwk(p2), { ...jwk(p3), d: 'AA' }] }));
	await assert.rejects(kamailio.kamcmd('call_resume.reload'), /old keys stay: .*partner\.json: key 2 is a private or secret key/);
	for (let i = 0; i < 6; i++) await accepted(before);

	file('partner.json', JSON.stringify({ keys: [jwk(p2), jwk(p3)] }));
	file('portal.pem', pem(p1));
	assert.match(await kamailio.kamcmd('call_resume.reload'), /2026-03/);
	for (let i = 0; i < 6; i++) {
		await refused(before, 'unknown-key -8');
		await accepted(token(p3, { iss: PARTNER }));
		// The portal changed to another kind of key: nothing is left of the old one.
		await refused(ofPortal(), 'malformed -9');
		await accepted(token(p1, { iss: PORTAL, aud: 'gw' }));
	}
});

describe('Kamailio does not start, and says why', () => {
	const cases = {
		'an issuer without iss': [{ PORTAL: '"keys=/k"' }, /wants "iss=NAME;keys=FILE"/],
		'an issuer with an unknown word': [{ PORTAL: '"iss=a;keys=/k;url=x"' }, /knows iss=, keys= and aud=, not \[url\]/],
		'an issuer without its file': [{ PORTAL: '"iss=a;keys=/nowhere.pem"' }, /cannot open \/nowhere\.pem/],
		'an authz_server in the clear': [{ AUTHZ_SERVER: '"http://portal.example.org"' }, /authz_server has to be an https URI/],
	};
	for (const [name, [defines, say]] of Object.entries(cases)) {
		test(name, async () => {
			const at = path.join(dir, name.replaceAll(' ', '-'));
			fs.mkdirSync(at, { recursive: true });
			await assert.rejects(Kamailio.start(at, {
				own: CFG, defines: { ...kamailio.defines, ...defines },
			}), say);
		});
	}
});

// ---- kamailio.cfg, as docs/configuration.md has it ---------------------------------

describe("a portal's public key in three steps", () => {
	const text = fs.readFileSync(path.join(ROOT, 'docs/configuration.md'), 'utf8');
	const chapter = text.split("\n## A portal's public key\n")[1].split('\n## ')[0];
	const commands = [...chapter.matchAll(/^ +(openssl .*)$/gm)].map((m) => m[1]);
	const [, define] = /#!define RESUME_ISSUER (".*")/.exec(chapter);
	let stack, far, key, at;
	const clients = [];

	before(async () => {
		fs.mkdirSync(path.join(ROOT, 'build/run'), { recursive: true });
		at = fs.mkdtempSync(path.join(ROOT, 'build/run/portal-key-'));
		assert.equal(commands.length, 2);
		for (const line of commands) execFileSync('sh', ['-ec', line], { cwd: at, stdio: 'pipe' });
		stack = await Stack.start('issuers-portal', { defines: { RESUME_ISSUER: define.replace('/etc/kamailio', at) } });
		key = { alg: 'EdDSA', privateKey: createPrivateKey(fs.readFileSync(path.join(at, 'portal-private.pem'))) };
		far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
	});
	after(async () => {
		for (const c of clients) c.close();
		far?.close();
		await stack?.stop();
		if (at) fs.rmSync(at, { recursive: true, force: true });
	});

	const page = async (claims) => {
		const c = await Client.open({
			to: { ip: stack.kamailio.ip, port: stack.kamailio.port },
			token: token(key, { iss: /iss=([^;]+)/.exec(define)[1], aud: /aud=([^;"]+)/.exec(define)[1], ...claims }),
		});
		clients.push(c);
		return c;
	};
	const keyOf = (reply) => reply.all('call-state-key').map((v) => Object.fromEntries(v.split(';').map((p) => p.split(/=(.*)/))));

	test('a page registers, calls, is reloaded across a rotation of the key ring, and resumes with a new token', async () => {
		const one = await page();
		const registered = await one.register();
		assert.equal(registered.status, 200);
		const [first] = keyOf(registered);
		const call = await one.call();
		assert.equal(call.final.status, 200);
		one.close();

		await stack.kamailio.kamcmd('call_resume.rotate');
		const two = await page({ jti: 'renewed' });
		const keys = keyOf(await two.register());
		assert.equal(keys.length, 2);
		assert.notEqual(keys[0].kid, first.kid, 'the key that seals now comes first');
		assert.equal(keys.find((k) => k.kid === first.kid).key, first.key, 'what was stored can still be read');
		const kid = JSON.parse(Buffer.from(call.state.split('.')[0], 'base64url')).kid;
		assert.equal(kid, first.kid);
		const back = await two.call({ state: call.state });
		assert.equal(back.final.status, 200, back.final.start);
		assert.equal((await back.request('BYE')).status, 200);
		await stack.noMedia();
	});

	test('another web session of the same user does not resume the call', async () => {
		const one = await page();
		const call = await one.call();
		const other = await page({ sid: 's-2' });
		assert.equal((await other.call({ state: call.state })).final.status, 403);
		assert.equal((await call.request('BYE')).status, 200);
	});
});
