// SPDX-License-Identifier: GPL-2.0-or-later
// The key ring gets a new key: what the old one sealed opens as long as it is
// to, calls go on while it happens, and after that the old key opens nothing.
//
// A longer load: ROTATE_RATE=500 ROTATE_CALLS=5000 tools/in-netns node --test tests/sip/rotate.test.mjs

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createDecipheriv, randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { Kamailio } from '../lib/kamailio.mjs';
import { Client, FarEnd } from '../lib/sip.mjs';
import { fill } from '../lib/talk.mjs';
import { until } from '../lib/wait.mjs';

const SUB = `sip:alice@${DOMAIN}`;
const RATE = Number(process.env.ROTATE_RATE ?? 100);
const CALLS = Number(process.env.ROTATE_CALLS ?? 400);

let stack, to;
before(async () => {
	stack = await Stack.start('rotate', {
		defines: { RESUME_CLOCK_SKEW: 0, CHILDREN: 4, RESUMES_MAX: 0 },
		// tm keeps a transaction for 5 s after its end.
		kamailio: { args: RATE > 100 ? ['-m', String(2 * RATE)] : [] },
	});
	to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
});
after(() => stack?.stop());

const kamcmd = (...a) => stack.kamailio.kamcmd(...a);
const count = async (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(await kamcmd('call_resume.stats'))[1]);
const keysOf = (text) => [...text.matchAll(/kid: (\S+)\s+use: (.*)\s+not_after: (\d+)/g)]
	.map((m) => ({ kid: m[1], use: m[2], not_after: Number(m[3]) }));
const ring = () => fs.readFileSync(stack.keyRing, 'utf8');
const newLine = (kid) => `${kid} ${randomBytes(32).toString('base64url')}\n`;
const fresh = async (text = newLine('k1')) => {
	fs.writeFileSync(stack.keyRing, text, { mode: 0o600 });
	await kamcmd('call_resume.reload');
};

/** The client keys of a session, by kid, in the order of the reply. */
async function clientKeys(token) {
	const alice = await Client.open({ token, to });
	try {
		return (await alice.register()).all('call-state-key').map((v) => /kid=([^;]+);key=([\w-]{43})/.exec(v).slice(1));
	} finally {
		alice.close();
	}
}

const kidOf = (state) => JSON.parse(Buffer.from(state.split('.')[0], 'base64url')).kid;

/** Open a state as a page does: with the key that its header names. */
function open(state, keys) {
	const [header, , iv, text, tag] = state.split(';')[0].split('.');
	const key = Buffer.from(new Map(keys).get(kidOf(state)), 'base64url');
	const d = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'));
	d.setAAD(Buffer.from(header)).setAuthTag(Buffer.from(tag, 'base64url'));
	return JSON.parse(d.update(text, 'base64url', 'utf8') + d.final('utf8'));
}

async function withFarEnd(run) {
	const far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
	try {
		return await run(far);
	} finally {
		far.close();
	}
}

test('rotate: the new key seals, the old one opens until then; the file is the owner\'s alone', async () => {
	await fresh();
	const before = ring();
	const keys = keysOf(await kamcmd('call_resume.rotate', 100));
	assert.equal(keys.length, 2);
	assert.match(keys[0].kid, /^k\d{8}$/);
	assert.deepEqual([keys[0].use, keys[0].not_after], ['seals and opens', 0]);
	assert.deepEqual([keys[1].kid, keys[1].use], ['k1', 'opens']);
	assert.ok(Math.abs(keys[1].not_after - Date.now() / 1000 - 100) < 3);
	assert.match(ring(), new RegExp(`^${keys[0].kid} [\\w-]{43}\nk1 ${before.trim().split(' ')[1]} 20\\d\\d-.*Z\n$`));
	assert.equal(fs.statSync(stack.keyRing).mode & 0o7777, 0o600);
	assert.deepEqual(fs.readdirSync(stack.dir).filter((f) => f.startsWith('keyring')), ['keyring']);
	assert.match(stack.kamailio.log(), new RegExp(`key ring rotated: ${keys[0].kid} seals, older keys open for 100 s`));
	assert.equal(await count('rotations'), 1);
	for (const word of ring().split(/\s+/).filter((w) => w.length === 43)) assert.ok(!stack.kamailio.log().includes(word));

	// Again, the same day: another name. A key whose end is sooner keeps it.
	const again = keysOf(await kamcmd('call_resume.rotate'));
	assert.equal(again[0].kid, `${keys[0].kid}.2`);
	assert.ok(Math.abs(again[1].not_after - Date.now() / 1000 - 86400) < 3, 'the longest lifetime');
	assert.equal(again[2].not_after, keys[1].not_after);
});

test('rotate: what cannot be done is said, and changes nothing', async () => {
	await fresh(Array.from({ length: 16 }, (_, i) => newLine(`k${i}`)).join(''));
	const before = ring();
	await assert.rejects(kamcmd('call_resume.rotate'), /Not rotated: 16 keys are usable/);
	assert.equal(ring(), before);
	await fresh(Array.from({ length: 16 }, (_, i) => (i ? newLine(`k${i}`) : newLine('k0').replace('\n', ' 2020-01-01T00:00:00Z\n'))).join(''));
	assert.equal(keysOf(await kamcmd('call_resume.rotate')).length, 16, 'a key that is over makes room');
	await assert.rejects(kamcmd('call_resume.rotate', 99999999), /up to a year/);

	fs.chmodSync(stack.keyRing, 0o644);
	await assert.rejects(kamcmd('call_resume.rotate'), /Not rotated: .*chmod 600/);
	fs.rmSync(stack.keyRing);
	await assert.rejects(kamcmd('call_resume.rotate'), /Not rotated: cannot open .*: No such file/);
	assert.match(stack.kamailio.log(), /ERROR: .*not rotated: cannot open/);
	assert.equal(keysOf(await kamcmd('call_resume.keys')).length, 16);
	await fresh();
});

test('rotate: what is wrong with another file is no matter of the ring, and does not part it from its file', async () => {
	const dir = runFolder('rotate-other');
	const [file, secret] = [path.join(dir, 'ring'), path.join(dir, 'turn.secret')];
	fs.writeFileSync(file, newLine('k1'), { mode: 0o600 });
	fs.writeFileSync(secret, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
	const kamailio = await Kamailio.start(dir, {
		defines: { RTPENGINE: '"udp:127.0.0.1:9"', RESUME_KEY_RING: `"${file}"`, RESUME_TURN_SECRET_FILE: `"${secret}"` },
	});
	try {
		fs.chmodSync(secret, 0o644);
		await assert.rejects(kamailio.kamcmd('call_resume.reload'), /The old keys stay: .*turn.secret/);
		const [{ kid }] = keysOf(await kamailio.kamcmd('call_resume.rotate'));
		assert.match(fs.readFileSync(file, 'utf8'), new RegExp(`^${kid} .*\nk1 `));
		assert.equal(keysOf(await kamailio.kamcmd('call_resume.keys'))[0].kid, kid);
	} finally {
		await kamailio.stop();
	}
});

test('rotate: a link stays one, comments stay', async () => {
	const real = path.join(stack.dir, 'elsewhere');
	fs.writeFileSync(real, `# ours\n${newLine('k1')}`, { mode: 0o600 });
	fs.rmSync(stack.keyRing);
	fs.symlinkSync(real, stack.keyRing);
	await kamcmd('call_resume.rotate');
	assert.ok(fs.lstatSync(stack.keyRing).isSymbolicLink());
	assert.match(fs.readFileSync(real, 'utf8'), /^k\d{8} .*\n# ours\nk1 /);
	fs.rmSync(stack.keyRing);
	await fresh();
});

test('a client gets a key for each usable key of the ring, and opens what it kept', () => withFarEnd(async () => {
	await fresh();
	const token = await stack.kamailio.token(SUB, 's-1');
	const old = await clientKeys(token);
	assert.deepEqual(old.map(([kid]) => kid), ['k1']);
	const one = await Client.open({ token, to });
	const call = await one.call();
	one.close();
	const [{ kid }] = keysOf(await kamcmd('call_resume.rotate'));

	// A reload with the old token, and one with a renewed token of the session.
	const renewed = await stack.kamailio.token(SUB, 's-1');
	for (const [t, order] of [[token, ['k1', kid]], [renewed, [kid, 'k1']]]) {
		const keys = await clientKeys(t);
		assert.deepEqual(keys.map(([k]) => k), order);
		assert.equal(new Map(keys).get('k1'), old[0][1], 'the same key again');
		assert.equal(open(call.state, keys).call_id, call.callId);
	}
	// Back, sealed anew with the new key, whichever token it has.
	const two = await Client.open({ token, to });
	const back = await two.call({ state: call.state });
	assert.equal(back.final.status, 200);
	assert.equal(kidOf(back.state), kid);
	assert.equal(open(back.state, await clientKeys(token)).call_id, call.callId);
	two.close();
	const three = await Client.open({ token: renewed, to });
	const again = await three.call({ state: back.state });
	assert.equal(again.final.status, 200);
	assert.equal((await again.request('BYE')).status, 200);
	three.close();
}));

test('a retired key opens nothing, and that is counted', () => withFarEnd(async () => {
	await fresh();
	const token = await stack.kamailio.token(SUB, 's-2');
	const one = await Client.open({ token, to });
	const call = await one.call();
	one.close();
	await kamcmd('call_resume.rotate', 1);
	await until('the end of k1', async () => keysOf(await kamcmd('call_resume.keys'))[1].use === 'retired');
	const before = await count('keys_retired');
	const late = await Client.open({ token, to });
	assert.equal((await late.register()).status, 401);
	assert.equal(await count('keys_retired'), before + 1);
	const renewed = await stack.kamailio.token(SUB, 's-2');
	assert.equal((await clientKeys(renewed)).length, 1);
	late.token = renewed;
	assert.equal((await late.call({ state: call.state })).final.status, 403);
	assert.equal(await count('keys_retired'), before + 2);
	assert.match(await kamcmd('call_resume.inspect', call.state, SUB, 's:s-2'), /retired/);
	late.close();
}));

test(`calls that begin and resume while the ring is rotated and reloaded: none fails (${CALLS} at ${RATE}/s)`, async () => {
	await fresh();
	await stack.hangUp();
	const token = await stack.kamailio.token(SUB, 's-3');
	const limit_s = CALLS / Math.min(RATE, 50) + 30;
	// Without end: to count its calls, SIPp would have to know a retransmission from a new one.
	// A 200 that is sent again is sealed afresh, and SIPp's client takes it for another message.
	const slowly = (name, scenario) => fill(stack.dir, name, scenario, {}, { retrans_ms: 10000 });
	await stack.peer('load-peer', slowly('load-peer', 'echo/peer.xml'), { calls: 0, timeout_s: 0 });
	const [resumed, answered] = [await count('dialogs_resumed'), await count('resumes_answered')];
	const client = await stack.client('load-client', slowly('load-client', 'load/client.xml'), {
		keys: { token }, calls: CALLS, timeout_s: limit_s, args: ['-r', String(RATE), '-d', '400', '-l', String(5 * RATE)],
	});
	const at = async (share) => until(`${share} of the calls`, async () => (
		await count('dialogs_resumed') - resumed >= CALLS * share), { timeout_ms: limit_s * 1000, every_ms: 100 });
	await at(0.2);
	await kamcmd('call_resume.rotate');
	await at(0.4);
	fs.writeFileSync(stack.keyRing, newLine('by-hand') + ring());
	await kamcmd('call_resume.reload');
	await at(0.6);
	await kamcmd('call_resume.rotate');
	await client.done();
	assert.equal(await count('resumes_answered') - answered, CALLS);
	await stack.hangUp();
	assert.equal(keysOf(await kamcmd('call_resume.keys')).length, 4);
});

test('a call that is older than every key that is left: resumed, without a fresh state', () => withFarEnd(async () => {
	await fresh();
	const one = await Client.open({ token: await stack.kamailio.token(SUB, 's-4'), to });
	const call = await one.call();
	one.close();
	await kamcmd('call_resume.rotate', 2);
	const two = await Client.open({ token: await stack.kamailio.token(SUB, 's-4'), to });
	const back = await two.call({ state: call.state });
	assert.notEqual(kidOf(back.state), 'k1');
	two.close();
	await until('the end of k1', async () => keysOf(await kamcmd('call_resume.keys'))[1].use === 'retired');
	const failed = await count('seals_failed');
	const three = await Client.open({ token: await stack.kamailio.token(SUB, 's-4'), to });
	const last = await three.call({ state: back.state });
	assert.equal(last.final.status, 200);
	assert.equal(last.state, undefined);
	assert.equal(await count('seals_failed'), failed + 1);
	assert.equal((await last.request('BYE')).status, 200);
	three.close();
}));

const id = spawnSync('id', ['-u', 'kamailio'], { encoding: 'utf8' });
const uid = process.getuid() === 0 && id.status === 0 && Number(id.stdout);

test('rotate: as Kamailio\'s own user, in a folder that is not its own and in one that is', { skip: !uid && 'needs root and a user kamailio' }, async () => {
	// Where that user gets to, wherever the checkout is.
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'call_resume.'));
	const folder = path.join(dir, 'keys');
	const file = path.join(folder, 'ring');
	let kamailio;
	try {
		fs.mkdirSync(folder);
		fs.writeFileSync(file, newLine('k1'), { mode: 0o600 });
		for (const f of [dir, file]) fs.chownSync(f, uid, uid);
		kamailio = await Kamailio.start(dir, {
			args: ['-u', 'kamailio', '-g', 'kamailio'],
			defines: { RTPENGINE: '"udp:127.0.0.1:9"', RESUME_KEY_RING: `"${file}"` },
		});
		await assert.rejects(kamailio.kamcmd('call_resume.rotate'),
			new RegExp(`Not rotated: cannot write beside .*ring: Permission denied; user ${uid} has to be able`));
		fs.chownSync(folder, uid, uid);
		assert.equal(keysOf(await kamailio.kamcmd('call_resume.rotate')).length, 2);
		const st = fs.statSync(file);
		assert.deepEqual([st.uid, st.mode & 0o7777], [uid, 0o600]);
	} finally {
		await kamailio?.stop();
		fs.rmSync(dir, { recursive: true, force: true });
	}
});
