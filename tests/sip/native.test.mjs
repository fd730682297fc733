// SPDX-License-Identifier: GPL-2.0-or-later
// The phone of examples/native is killed, and comes back into its call.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { Lives } from '../lib/lives.mjs';
import { Native, build } from '../lib/native.mjs';
import { Portal } from '../lib/portal.mjs';
import { runFolder } from '../lib/stack.mjs';
import { PCMA, Voice, heard, pitch, sdp } from '../lib/voice.mjs';
import { audioPort } from '../lib/rtp.mjs';
import { until } from '../lib/wait.mjs';

const of = (method) => (m) => !m.status && m.method === method;

let lives, stack, dir, program;
const how = {};
before(async () => {
	const users = runFolder('native-users');
	const portal = Portal.create(users);
	const secret = (name, text) => {
		fs.writeFileSync(path.join(users, name), `${text}\n`, { mode: 0o600 });
		return path.join(users, name);
	};
	const password = secret('password', portal.add('alice@example.org'));
	lives = await Lives.start('native', {
		tls: true, defines: { ...portal.defines, WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${portal.file}"` },
	});
	({ stack } = lives);
	({ dir } = stack);
	program = build(dir);
	const { kamailio, gateway } = stack;
	how.token = ['-g', `sip:${gateway}`, '-t', secret('token', lives.token)];
	how.password = ['-g', `sip:${kamailio.ip}:${kamailio.tls};transport=tls`, '-c', stack.certificate.cert, '-p', password];
});
let open = [];
afterEach(async () => {
	await Promise.all(open.splice(0).map((one) => one.kill()));
	fs.rmSync(path.join(dir, 'call'), { force: true });
	await lives.end();
});
after(() => stack?.stop());

/** One life; what it says is pitch(n). */
function phone(n, args, call) {
	const one = new Native(program, { dir, keeps: path.join(dir, 'call'), hums: pitch(n), args, call });
	open.push(one);
	return one;
}

/** bob, with a voice. */
async function far() {
	const bob = await lives.far();
	const voice = lives.keep(await Voice.open({ ip: bob.ip, law: PCMA }));
	return Object.assign(bob, { voice, describe: () => sdp(voice) });
}

/** Each hears the other: the n-th life, and bob, who hums 1000 Hz. */
async function talk(one, n, bob, body) {
	bob.voice.speak({ port: audioPort(body) }, { hertz: 1000 });
	bob.voice.forget();
	await until(`the far end to hear ${pitch(n)} Hz`, () => bob.voice.hears(pitch(n)));
	one.hears.length = 0;
	await until('the phone to hear the far end', () => heard(one.heard(), 1000));
}

const isOver = (one) => {
	assert.ok(!fs.existsSync(one.keeps), 'nothing is kept of a call that is over');
};

/** Call, or be called, be killed, come back: the life that is in the call, and the far end's side of it. */
async function resumed(args, role) {
	const bob = await far();
	// Somebody who can write there has been there before.
	const elses = path.join(dir, 'elses');
	fs.writeFileSync(elses, '', { mode: 0o644 });
	fs.symlinkSync(elses, path.join(dir, 'call.new'));
	const one = phone(0, args, role === 'caller' ? 'sip:bob@example.org' : undefined);
	await one.line('registered');
	let theirs;
	let invite;
	if (role === 'caller') {
		invite = await bob.take('the INVITE', of('INVITE'));
		await one.line('in a call');
		theirs = bob.dialog(invite.callId);
	} else {
		theirs = await bob.call({ service: 'alice', body: sdp(bob.voice) });
		assert.equal(theirs.final.status, 200, theirs.final.start);
		await one.line('in a call');
	}
	await talk(one, 0, bob, (invite ?? theirs.final).body);
	assert.equal(fs.statSync(one.keeps).mode & 0o777, 0o600);
	assert.equal(fs.readFileSync(elses, 'utf8'), '', 'nothing of it is where somebody else has led');
	assert.equal(await one.kill('SIGKILL'), 'SIGKILL');

	const two = phone(1, args);
	const again = await bob.take('the re-INVITE', (m) => of('INVITE')(m) && m.callId === theirs.callId && m.tag('to'));
	await two.line('back in the call');
	await talk(two, 1, bob, again.body);
	return { bob, one: two, theirs };
}

for (const [name, role] of [['token', 'caller'], ['token', 'callee'], ['password', 'caller'], ['password', 'callee']]) {
	test(`${role}, ${name === 'token' ? 'UDP, with a token' : 'TLS, with a password'}: killed, and back with audio`, async () => {
		const { bob, one, theirs } = await resumed(how[name], role);
		// On hold and off again, which gives it an update to keep.
		for (const direction of ['sendonly', 'sendrecv']) {
			const hold = await theirs.request('INVITE', { body: sdp(bob.voice).replace('sendrecv', direction) });
			assert.equal(hold.status, 200, hold.start);
			theirs.ack();
		}
		assert.match(fs.readFileSync(one.keeps, 'latin1'), /^update ./m);
		await talk(one, 1, bob, (await until('an offer', () => bob.requests.findLast(of('INVITE')))).body);
		await one.kill('SIGKILL');
		const three = phone(2, how[name]);
		await three.line('back in the call');
		const offer = bob.requests.findLast(of('INVITE'));
		await talk(three, 2, bob, offer.body);
		if (role === 'caller') {
			assert.equal((await theirs.request('BYE')).status, 200);
			await three.line('the far end has hung up');
		} else {
			three.child.kill('SIGTERM');
			await bob.take('the BYE', of('BYE'));
		}
		assert.equal(await three.ended(), 0);
		isOver(three);
		await stack.noMedia();
	});
}

test('hung up while it was away: it says so, and keeps nothing', async () => {
	const { one, theirs } = await resumed(how.password, 'caller');
	await one.kill('SIGKILL');
	assert.equal((await theirs.request('BYE')).status, 200);
	const two = phone(2, how.password);
	await two.line('over: 481 Call Ended While Away');
	assert.equal(await two.ended(), 1);
	isOver(two);
});

test('nothing of the network is an order for the terminal: neither what the far end calls a refusal, nor its audio', async () => {
	const bob = await far();
	bob.answer = (m) => m.method !== 'INVITE' || (bob.reply(m, 603, 'No\x1b[2J\x9b\x07'), false);
	const one = phone(0, how.token, 'sip:bob@example.org');
	await one.line('over: 603 No');
	assert.equal(await one.ended(), 1);
	assert.doesNotMatch(one.says, /[^\n\x20-\x7e]/);

	bob.answer = () => true;
	const inTerminal = path.join(dir, 'in-terminal');
	fs.writeFileSync(inTerminal, `#!/bin/sh\nexec script -qfec "${program} $*" /dev/null </dev/null\n`, { mode: 0o755 });
	const two = new Native(inTerminal, { dir, keeps: path.join(dir, 'call'), hums: pitch(0), args: how.token, call: 'sip:bob@example.org' });
	open.push(two);
	const shown = () => Buffer.concat(two.hears).toString('latin1');
	await until('the call', () => shown().includes('in a call'));
	const invite = bob.requests.findLast(of('INVITE'));
	bob.voice.speak({ port: audioPort(invite.body) }, { hertz: 1000 });
	bob.voice.forget();
	await until('a second to go both ways', () => bob.voice.samples.length >= 8000);
	assert.doesNotMatch(shown(), /[^\r\n\x20-\x7e]/);
	assert.ok(shown().length < 200);
});

test('what it has kept and cannot read it does not send', async () => {
	const file = path.join(dir, 'call');
	const good = 'target sip:bob@example.org\nstate aaaa.bbbb\n';
	for (const bad of ['', 'state aaaa.bbbb\n', good.slice(0, -1), `${good}state cccc\n`, `${good}other x\n`, `${good}tag a;b\n`,
		good.replace('aaaa', 'a a'), good.replace('bob', 'b\rVia: x')]) {
		fs.writeFileSync(file, bad);
		const one = phone(0, how.token);
		assert.equal(await one.ended(), 1, JSON.stringify(bad));
		assert.match(one.says, /call: /);
	}
});

test('its file is whole, whenever it is killed', async () => {
	const bob = await far();
	const one = phone(0, how.password, 'sip:bob@example.org');
	await one.line('in a call');
	const theirs = [...bob.dialogs.values()].at(-1);
	// Each re-INVITE has it write the file; the kill falls anywhere.
	const flood = (async () => {
		for (let i = 0; i < 50 && one.code === undefined; i++) {
			const reply = await theirs.request('INVITE', { body: sdp(bob.voice), timeout_ms: 6000 }).catch(() => {});
			if (reply?.status !== 200) break;
			theirs.ack();
		}
	})();
	await until('some writes', () => fs.readFileSync(one.keeps, 'latin1').includes('update'));
	await one.kill('SIGKILL');
	await flood;
	const two = phone(1, how.password);
	await two.line('back in the call');
});
