// SPDX-License-Identifier: GPL-2.0-or-later
//
// The formats of modules/call_resume/core/wire.h a second time, written from their
// description with node:crypto, against the frozen vectors; and the standard
// ones (JWE, JWS) against the npm package jose, in both directions. The C code
// runs as build/unit/tool_open: make -C tests/unit first.

import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  calculateJwkThumbprint, CompactEncrypt, compactDecrypt, compactVerify, exportJWK, exportPKCS8, exportSPKI, generateKeyPair,
  importJWK, importSPKI, jwtVerify, SignJWT, UnsecuredJWT,
} from 'jose';

const vector = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url)));
const tool = process.env.TOOL_OPEN ?? fileURLToPath(new URL('../../build/unit/tool_open', import.meta.url));
const hex = (text) => Buffer.from(text, 'hex');

const ring = vector('ring');
const k1 = ring.keys[0];

/** What the C code prints; throws an error with its stderr when it refuses. */
function open(...args) {
  assert.ok(existsSync(tool), 'build it first: make -C tests/unit');
  return execFileSync(tool, args, { encoding: 'utf8', stdio: 'pipe' });
}

const refusal = (...args) => {
  try {
    open(...args);
  } catch (error) {
    assert.equal(error.status, 1, error.stderr);
    return error.stderr.trim();
  }
  assert.fail('accepted');
};

// ---- key derivation --------------------------------------------------------

/** HKDF-SHA256, salt "call_resume/1", info: label 0x00 kid [0x00 context]. */
function derive(master, label, kid, context) {
  const zero = Buffer.from([0]);
  const info = [Buffer.from(label), zero, Buffer.from(kid)];
  if (context) info.push(zero, context);
  return Buffer.from(hkdfSync('sha256', master, 'call_resume/1', Buffer.concat(info), 32));
}

function with16(bytes) {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

const with8 = (text) => Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)]);

const clientContext = (sub, sid) => Buffer.concat([with16(Buffer.from(sid)), with16(Buffer.from(sub))]);

test('every key of the ring derives as the C code derives it', () => {
  for (const key of ring.keys) {
    const master = hex(key.master);
    assert.deepEqual(derive(master, 'token HS256', key.kid), hex(key.token));
    assert.deepEqual(derive(master, 'state HMAC-SHA256', key.kid), hex(key.state));
    assert.deepEqual(derive(master, 'box A256GCM', key.kid), hex(key.box));
    assert.deepEqual(derive(master, 'box nonce HMAC-SHA256', key.kid), hex(key.nonce));
    assert.deepEqual(derive(master, 'client key', key.kid, clientContext(ring.sub, ring.sid)), hex(key.client));
    assert.deepEqual(createHmac('sha256', 'call_resume/1').update(master).digest(), hex(key.prk));
    assert.deepEqual(createHash('sha256').update(key.kid).digest().subarray(0, 2), hex(key.hint));
  }
});

test('the ring file holds the master keys in base64url', () => {
  const lines = ring.text.split('\n').filter((line) => line && !line.startsWith('#'));
  assert.deepEqual(
    lines.map((line) => line.split(' ')),
    ring.keys.map((key) => [key.kid, hex(key.master).toString('base64url')]),
  );
});

test('the C code derives the client key of names in UTF-8', () => {
  const [sub, sid] = ['sip:jörg@example.com', 'S_2.x-'];
  const want = derive(hex(k1.master), 'client key', 'k1', clientContext(sub, sid));
  assert.equal(open('client', k1.master, sub, sid), want.toString('hex'));
});

// ---- sealed call state: JWE --------------------------------------------------

test('jose opens the frozen sealed state', async () => {
  const v = vector('jwe');
  const { plaintext, protectedHeader } = await compactDecrypt(v.jwe, hex(v.key), {
    keyManagementAlgorithms: ['dir'],
    contentEncryptionAlgorithms: ['A256GCM'],
  });
  assert.equal(Buffer.from(plaintext).toString(), v.plain);
  assert.deepEqual(protectedHeader, { alg: 'dir', enc: 'A256GCM', kid: v.kid });
  assert.equal(v.key, k1.client);
});

const seal = (header) =>
  new CompactEncrypt(Buffer.from('{"a":"ä"}')).setProtectedHeader(header).encrypt(hex(k1.client));

test('the C code opens a JWE made by jose', async () => {
  const jwe = await seal({ alg: 'dir', enc: 'A256GCM', kid: 'k1', typ: 'x', cty: 'json' });
  assert.equal(open('jwe', k1.client, jwe), '{"a":"ä"}');
});

test('the C code refuses a JWE made by jose with another key or damaged', async () => {
  const jwe = await seal({ alg: 'dir', enc: 'A256GCM', kid: 'k1' });
  assert.equal(refusal('jwe', ring.keys[1].client, jwe), 'does not verify');
  assert.equal(refusal('jwe', k1.client, jwe.slice(0, -1)), 'malformed');
  const parts = jwe.split('.');
  parts[3] = (parts[3][0] === 'A' ? 'B' : 'A') + parts[3].slice(1);
  assert.equal(refusal('jwe', k1.client, parts.join('.')), 'does not verify');
});

test('the C code refuses a JWE made by jose without kid', async () => {
  assert.equal(refusal('jwe', k1.client, await seal({ alg: 'dir', enc: 'A256GCM' })), 'malformed');
});

// ---- token: JWT --------------------------------------------------------------

test('jose verifies the frozen token', async () => {
  const v = vector('token');
  const { payload, protectedHeader } = await jwtVerify(v.jwt, hex(v.key), {
    algorithms: ['HS256'],
    currentDate: new Date(v.now * 1000),
  });
  assert.deepEqual(payload, JSON.parse(v.claims));
  assert.deepEqual(protectedHeader, JSON.parse(v.header));
  assert.equal(v.key, k1.token);
});

const now = vector('token').now;

const sign = (claims, header = {}) =>
  new SignJWT({ sub: 'sip:jörg@example.com', sid: 's-9', exp: now + 60, ...claims })
    .setProtectedHeader({ alg: 'HS256', kid: 'k1', ...header })
    .sign(hex(k1.token));

const verify = async (jwt, key = k1.master) => open('token', key, await jwt, String(now)).trim();
const denial = async (jwt, key = k1.master) => refusal('token', key, await jwt, String(now));

test('the C code verifies a token made by jose', async () => {
  const want = `sip:jörg@example.com s-9 ${now + 60}`;
  assert.equal(await verify(sign({})), want);
  assert.equal(await verify(sign({ aud: ['x'], nbf: now }, { typ: 'JWT' })), want);
});

test('the C code refuses tokens made by jose', async () => {
  assert.equal(await denial(sign({ exp: now })), 'expired');
  assert.equal(await denial(sign({ nbf: now + 1 })), 'not valid yet');
  assert.equal(await denial(sign({ exp: undefined })), 'malformed');
  assert.equal(await denial(sign({ sid: 'a b' })), 'malformed');
  assert.equal(await denial(sign({}), ring.keys[1].master), 'does not verify');
  assert.equal(await denial(sign({}, { kid: 'k7' })), 'unknown or retired key');
  const hs512 = new SignJWT({ sub: 'a', sid: 's', exp: now + 60 })
    .setProtectedHeader({ alg: 'HS512', kid: 'k1' })
    .sign(Buffer.alloc(64));
  assert.equal(await denial(hs512), 'unsupported version or algorithm');
});

// ---- token of an issuer: EdDSA, ES256 -----------------------------------------

const issuer = vector('issuer');
const folder = mkdtempSync(join(tmpdir(), 'call-resume-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** The parameter for an issuer whose keys are in a file with that text. */
function keysIn(name, text) {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o644 });
  return `iss=${issuer.iss};keys=${file};aud=${issuer.aud}`;
}

const acceptIssuer = (param, jwt) => open('issuer', k1.master, jwt, String(now), param).trim();
const refuseIssuer = (param, jwt) => refusal('issuer', k1.master, jwt, String(now), param);

const signAs = (alg, key, { claims = {}, header = {} } = {}) =>
  new SignJWT({ sub: 'sip:jörg@example.com', sid: 's-9', iss: issuer.iss, aud: issuer.aud, exp: now + 60, ...claims })
    .setProtectedHeader({ alg, ...header })
    .sign(key);

test('jose verifies the frozen tokens of an issuer, and makes the same thumbprints', async () => {
  for (const v of [issuer.ed25519, issuer.p256]) {
    const key = await importJWK(JSON.parse(v.jwk), v.alg);
    const options = { issuer: issuer.iss, audience: issuer.aud, currentDate: new Date(issuer.now * 1000) };
    const { payload, protectedHeader } = await jwtVerify(v.jwt, key, { ...options, algorithms: [v.alg] });
    assert.deepEqual(payload, JSON.parse(v.claims));
    assert.deepEqual(protectedHeader, JSON.parse(v.header));
    assert.equal(await calculateJwkThumbprint(JSON.parse(v.jwk)), v.thumbprint);
    await compactVerify(v.jws, await importSPKI(v.pem, v.alg));
  }
});

test('the C code verifies tokens that jose has signed, with PEM keys and with a JWK set', async () => {
  const want = `sip:jörg@example.com s-9 ${now + 60} ${issuer.iss}`;
  const set = [];
  const made = [];
  for (const alg of ['EdDSA', 'Ed25519', 'ES256']) {
    const pair = await generateKeyPair(alg, { extractable: true });
    const param = keysIn(`${alg}.pem`, await exportSPKI(pair.publicKey));
    assert.equal(acceptIssuer(param, await signAs(alg, pair.privateKey)), want);
    assert.equal(acceptIssuer(param, await signAs(alg, pair.privateKey, { header: { kid: 'any', typ: 'at+jwt' } })), want);
    const jwk = await exportJWK(pair.publicKey);
    const kid = await calculateJwkThumbprint(jwk);
    set.push({ ...jwk, kid, use: 'sig', alg });
    made.push(await signAs(alg, pair.privateKey, { header: { kid }, claims: { aud: ['x', issuer.aud] } }));
  }
  const rsa = await exportJWK((await generateKeyPair('RS256', { extractable: true })).publicKey);
  const param = keysIn('set.json', JSON.stringify({ keys: [{ ...rsa, kid: 'rsa' }, ...set] }));
  for (const jwt of made) assert.equal(acceptIssuer(param, jwt), want);
});

test('the C code refuses tokens that jose has signed for something else, or with something else', async () => {
  const mine = await generateKeyPair('EdDSA');
  const theirs = await generateKeyPair('EdDSA');
  const es256 = await generateKeyPair('ES256');
  const param = keysIn('mine.pem', await exportSPKI(mine.publicKey));
  const refuse = async (what, why) => assert.equal(refuseIssuer(param, await what), why);
  await refuse(signAs('EdDSA', theirs.privateKey), 'does not verify');
  await refuse(signAs('ES256', es256.privateKey), 'unsupported version or algorithm');
  await refuse(signAs('EdDSA', mine.privateKey, { claims: { iss: 'x' } }), 'unknown issuer');
  await refuse(signAs('EdDSA', mine.privateKey, { claims: { aud: 'x' } }), 'for another audience');
  await refuse(signAs('EdDSA', mine.privateKey, { claims: { sid: undefined } }), 'without sid');
  await refuse(signAs('EdDSA', mine.privateKey, { claims: { exp: now } }), 'expired');
  await refuse(signAs('EdDSA', mine.privateKey, { claims: { nbf: now + 1 } }), 'not valid yet');
  await refuse(signAs('EdDSA', mine.privateKey, { claims: { iat: now + 1 } }), 'not valid yet');
  await refuse(new UnsecuredJWT({ iss: issuer.iss, aud: issuer.aud, sub: 'a', sid: 's', exp: now + 60 }).encode(),
    'unsupported version or algorithm');
  const hmac = signAs('HS256', Buffer.from(await exportSPKI(mine.publicKey)));
  await refuse(hmac, 'unknown or retired key');
});

test('the C code refuses private keys that jose exports', async () => {
  for (const alg of ['EdDSA', 'ES256']) {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    const jwt = await signAs(alg, privateKey);
    assert.match(refuseIssuer(keysIn('private.pem', await exportPKCS8(privateKey)), jwt), /it holds a private key/);
    const jwk = JSON.stringify({ keys: [await exportJWK(privateKey)] });
    assert.match(refuseIssuer(keysIn('private.json', jwk), jwt), /key 1 is a private or secret key/);
  }
});

// ---- box, map, session reference -----------------------------------------------

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

function base32(bytes) {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => ALPHABET[parseInt(five.padEnd(5, '0'), 2)]).join('');
}

function unbase32(text) {
  const bits = [...text].map((c) => ALPHABET.indexOf(c).toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((eight) => parseInt(eight, 2)));
}

const aadOf = (purpose, context) =>
  Buffer.concat([Buffer.from(purpose), ...context.map((text) => with16(Buffer.from(text)))]);

/** hint | nonce | ciphertext | tag; the nonce is made of the content. */
function sealBox(key, purpose, context, plain) {
  const aad = aadOf(purpose, context);
  const nonce = createHmac('sha256', hex(key.nonce)).update(aad).update(plain).digest().subarray(0, 12);
  const cipher = createCipheriv('aes-256-gcm', hex(key.box), nonce).setAAD(aad);
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return base32(Buffer.concat([hex(key.hint), nonce, body, cipher.getAuthTag()]));
}

function openBox(key, purpose, context, text) {
  const box = unbase32(text);
  assert.deepEqual(box.subarray(0, 2), hex(key.hint));
  const cipher = createDecipheriv('aes-256-gcm', hex(key.box), box.subarray(2, 14));
  cipher.setAAD(aadOf(purpose, context)).setAuthTag(box.subarray(-16));
  return Buffer.concat([cipher.update(box.subarray(14, -16)), cipher.final()]);
}

/** A box made here is the frozen one, letter by letter, and opens to the same. */
function checkBox(v, context, plain) {
  assert.equal(sealBox(k1, v.purpose, context, plain), v.text);
  assert.deepEqual(openBox(k1, v.purpose, context, v.text), plain);
}

test('the frozen box', () => {
  const v = vector('box');
  checkBox(v, v.context, Buffer.from(v.plain));
});

const be32 = (number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
};

test('the frozen map', () => {
  const v = vector('map');
  const strings = [v.call_id, v.tag, v.n_local, v.n_remote, v.o_local, v.o_remote];
  const plain = Buffer.concat([Buffer.from([v.flags]), be32(v.cseq_offset), be32(v.exp), ...strings.map(with8)]);
  checkBox(v, [v.here_call_id, v.here_tag], plain);
});

test('the frozen session reference', () => {
  const v = vector('ref');
  checkBox(v, [v.call_id], Buffer.concat([hex(v.hint), be32(v.start), with8(v.sub), with8(v.sid)]));
});

test('the frozen time of an answer', () => {
  const v = vector('answered');
  checkBox(v, [v.call_id], be32(v.answered));
});

test('the C code opens a box made here, for its purpose and context only', () => {
  const text = sealBox(k1, 'c', ['call', 'tag'], Buffer.from('héllo'));
  assert.equal(open('box', k1.master, text, 'c', 'call', 'tag'), 'héllo');
  assert.equal(refusal('box', k1.master, text, 'v', 'call', 'tag'), 'does not verify');
  assert.equal(refusal('box', k1.master, text, 'c', 'call', 'gat'), 'does not verify');
  assert.equal(refusal('box', k1.master, text, 'c', 'callt', 'ag'), 'does not verify');
});

// ---- call state: signed, then sealed -------------------------------------------------

const sealed = vector('sealed');
const MAC = /,"mac":"([\w-]{27})"\}$/;

/** Over the JSON of a state without its last brace, for one web session: 20
 *  bytes are the signature, 12 the nonce. */
const hmacOf = (text, { key = hex(sealed.state_key), sub = sealed.sub, sid = sealed.sid } = {}) =>
  createHmac('sha256', key).update(with16(Buffer.from(sid))).update(with16(Buffer.from(sub))).update(text.slice(0, -1))
    .digest();

/** JSON of a state with the signature as its last member. */
const withMac = (text, mac) => `${text.slice(0, -1)},"mac":"${mac.toString('base64url')}"}`;
const signState = (text, by) => withMac(text, hmacOf(text, by).subarray(0, 20));

/** The JWE that the gateway makes of a state, letter by letter. */
function gatewaySeals(text) {
  const nonce = hmacOf(text).subarray(20);
  const header = Buffer.from('{"alg":"dir","enc":"A256GCM","kid":"k1"}').toString('base64url');
  const cipher = createCipheriv('aes-256-gcm', hex(sealed.key), nonce).setAAD(Buffer.from(header));
  const body = Buffer.concat([cipher.update(signState(text)), cipher.final()]);
  return [header, '', ...[nonce, body, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join('.');
}

/** One with a nonce that jose has drawn. */
const sealState = (text, key = hex(sealed.key)) =>
  new CompactEncrypt(Buffer.from(text)).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: 'k1' }).encrypt(key);

const session = { sub: sealed.sub, sid: sealed.sid, at: sealed.now };
const stateArgs = (jwe, { sub, sid, at }) => ['state', k1.master, jwe, sub, sid, String(at)];
const openState = (jwe, who = {}) => open(...stateArgs(jwe, { ...session, ...who }));
const refuseState = (jwe, who = {}) => refusal(...stateArgs(jwe, { ...session, ...who }));

test('the frozen sealed state: node:crypto derives its keys and makes the same JWE', async () => {
  const master = hex(k1.master);
  assert.deepEqual(derive(master, 'state HMAC-SHA256', sealed.kid), hex(sealed.state_key));
  assert.deepEqual(derive(master, 'client key', sealed.kid, clientContext(sealed.sub, sealed.sid)), hex(sealed.key));

  const { plaintext } = await compactDecrypt(sealed.jwe, hex(sealed.key));
  const text = Buffer.from(plaintext).toString();
  assert.equal(text, sealed.plain);
  assert.equal(signState(sealed.state), text);
  const [member, mac] = MAC.exec(text);
  assert.equal(`${text.slice(0, -member.length)}}`, sealed.state);
  const nonce = sealed.jwe.split('.')[2];
  const parts = [mac, nonce].map((part) => Buffer.from(part, 'base64url'));
  assert.deepEqual(parts.map((part) => part.length), [20, 12]);
  assert.deepEqual(Buffer.concat(parts), hmacOf(sealed.state));
  assert.equal(gatewaySeals(sealed.state), sealed.jwe);
  assert.equal(Object.keys(JSON.parse(text)).at(-1), 'mac');
  assert.equal(sealed.state, vector('state').full);
});

test('the C code opens the frozen sealed state', () => {
  assert.equal(openState(sealed.jwe), sealed.state);
});

test('the C code opens states signed and sealed here', async () => {
  const v = vector('state');
  for (const text of [v.full, v.first, v.update]) {
    assert.equal(openState(await sealState(signState(text))), text);
    assert.equal(openState(gatewaySeals(text)), text);
  }
  const sub = 'sip:jörg@example.com';
  const key = derive(hex(k1.master), 'client key', 'k1', clientContext(sub, 'S_2.x-'));
  const jwe = await sealState(signState(v.full, { sub, sid: 'S_2.x-' }), key);
  assert.equal(openState(jwe, { sub, sid: 'S_2.x-' }), v.full);
});

test('a state with other members, and with them in another order, is signed as it stands', async () => {
  const { v, ...rest } = JSON.parse(sealed.state);
  const text = JSON.stringify({ ...rest, extra: ['ä', { mac: 'x' }], v }, null, 1).replace(/\n\}$/, '}');
  assert.equal(openState(await sealState(signState(text))), sealed.state);
});

test('the C code refuses what the client can make with its client key', async () => {
  const no = 'does not verify';
  const master = hex(k1.master);
  const full = sealed.state;
  const hmac = hmacOf(full);
  const [, mac] = MAC.exec(sealed.plain);
  // Of 27 characters the last one has two bits that say nothing.
  const spare = mac.slice(0, -1) + String.fromCharCode(mac.charCodeAt(26) + 1);
  assert.deepEqual(Buffer.from(spare, 'base64url'), hmac.subarray(0, 20));
  const forged = [
    full,
    full.replace(/\}$/, ',"mac":""}'),
    sealed.plain.replace(mac, spare),
    // What of the HMAC is not the signature, and more or less of it than that.
    withMac(full, hmac),
    withMac(full, hmac.subarray(0, 12)),
    withMac(full, hmac.subarray(12)),
    withMac(full, hmac.subarray(20)),
    withMac(full, Buffer.alloc(20)),
    signState(full, { key: hex(sealed.key) }),
    signState(full, { key: hex(k1.token) }),
    signState(full, { key: derive(master, 'state HMAC-SHA256', 'k2') }),
    signState(full, { sub: sealed.sid, sid: sealed.sub }),
    signState(full, { sid: 's-2' }),
    signState(full, { sub: 'sip:mallory@example.com' }),
    sealed.plain.replace('b-tag', 'c-tag'),
    sealed.plain.replace(/^\{/, '{"target":"sip:mallory@example.com",'),
    sealed.plain.replace(/\}$/, ',"call_id":"other"}'),
    `${sealed.plain} `,
    sealed.plain.replace(MAC, (member) => member.replace('"mac"', '"mic"')),
  ];
  for (const text of forged) assert.equal(refuseState(await sealState(text)), no, text);
});

test('the C code refuses a sealed state to another session, and when it is over', () => {
  assert.equal(refuseState(sealed.jwe, { sub: 'sip:mallory@example.com' }), 'does not verify');
  assert.equal(refuseState(sealed.jwe, { sid: 's-2' }), 'does not verify');
  const { exp } = JSON.parse(sealed.state);
  assert.equal(openState(sealed.jwe, { at: exp - 1 }), sealed.state);
  assert.equal(refuseState(sealed.jwe, { at: exp }), 'expired');
});

test('the frozen states are compact JSON that begins with the version', () => {
  const v = vector('state');
  for (const text of [v.full, v.first, v.update]) {
    assert.equal(JSON.stringify(JSON.parse(text)), text);
    assert.ok(text.startsWith('{"v":1,'));
  }
  assert.equal(v.full, vector('jwe').plain);
});
