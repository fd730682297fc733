// SPDX-License-Identifier: GPL-2.0-or-later
// tools/check and call_resume.check: what is missing on a gateway.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';

import { ROOT } from '../lib/kamailio.mjs';
import { Stack, runFolder } from '../lib/stack.mjs';
import { freePort } from '../lib/ports.mjs';
import { check as checkStack } from '../lib/check.mjs';
import { until } from '../lib/wait.mjs';

let stack;
before(async () => {
	stack = await Stack.start('check', { defines: { RESUME_ALLOW_INSECURE: 0, WITH_REVOCATION: true } });
});
after(() => stack?.stop());

/** Without SIP, where a test is of something else. */
const check = (how) => checkStack(stack, { sip: false, ...how });

test('all is well', () => {
	const { code, text } = check();
	assert.doesNotMatch(text, /^NO/m);
	assert.equal(code, 0, text);
	for (const line of [
		/^ok .*no errors/m, /^ok .*Kamailio runs/m, /^ok .*call_resume is loaded/m, /^ok .*key ring .*keyring: private/m, /^ok .*key k1 seals/m,
		/^ok .*token: made and opened again/m, /^ok .*state: made/m, /^ok .*map: made/m, /^ok .*secure transports only/m,
		/^ok .*revocation is on/m, /^ok .*no core dumps/m, /^ok .*rotate can write/m, /^ok .*no seal has failed/m,
	]) assert.match(text, line);
	assert.ok(!text.includes(fs.readFileSync(stack.keyRing, 'utf8').split(' ')[1].trim()), 'no key');
});

test('what is too small for everybody to come back at once', async () => {
	const file = (name, text) => {
		fs.writeFileSync(path.join(stack.dir, name), text);
		return path.join(stack.dir, name);
	};
	const nginx = (n) => file('nginx.conf', `worker_processes 2;\nevents {\n\tworker_connections ${n};\n}\n`);
	const ports = (most) => file('rtpengine.conf', `[rtpengine]\n# port-max = 1\nport-min = 30000\nport-max = ${most}\n`);
	const good = check({ nginx: nginx(8192), rtpengine: path.join(ROOT, 'cfg/rtpengine.conf') });
	assert.equal(good.code, 0, good.text);
	for (const line of [
		/^ok .*512 MB of shared memory for 4096 connections/m, /^ok .*\d+ open files for 4096 connections/m,
		/^ok .*8192 worker_connections/m, /^ok .*ports for 2500 calls/m, /^(ok|note) .*\d{6} bytes for what arrives over UDP at once/m,
	]) assert.match(good.text, line);
	const small = check({ nginx: nginx(768), rtpengine: ports(30999) });
	assert.equal(small.code, 1);
	assert.match(small.text, /^NO .*768 worker_connections, for 384 WebSockets\n +worker_connections 8192; and worker_rlimit_nofile 16384;/m);
	assert.match(small.text, /^NO .*ports for 250 calls with audio, of 2048 clients\n +port-max = 38191/m);
});

for (const [what, options, line] of [
	['shared memory', { kamailio: { args: ['-m', '64'] } }, /^NO .*64 MB of shared memory for 4096 connections, of 2048 clients: 466 are needed\n +SHM_MEMORY=466/m],
	['files', { kamailio: { under: ['prlimit', '--nofile=1024:1024'] }, defines: { OPEN_FILES: 1024 } }, /^NO .*1024 open files for 4096 connections: .*\n +LimitNOFILE=16384/m],
	['a buffer for UDP', { defines: { UDP_BUFFER: 262144 } }, /^note .*bytes for what arrives over UDP at once: maxbuffer=4194304 .*net\.core\.rmem_max=4194304/m],
]) {
	test(`too little for everybody to come back at once: ${what}`, async () => {
		const own = await Stack.start('check-small', options);
		try {
			assert.match(checkStack(own, { sip: false }).text, line);
		} finally {
			await own.stop();
		}
	});
}

test('a key ring that others can read, one with a bad line, and none', () => {
	const good = fs.readFileSync(stack.keyRing);
	for (const [spoil, why] of [
		[() => fs.chmodSync(stack.keyRing, 0o640), /NO .*mode 0640.*chmod 600/],
		[() => fs.writeFileSync(stack.keyRing, 'k1 x\n'), /NO .*line 1/],
		[() => fs.rmSync(stack.keyRing), /NO .*cannot open/],
	]) {
		spoil();
		const { code, text } = check();
		assert.equal(code, 1);
		assert.match(text, why);
		assert.match(text, /ok .*state: made/, 'the keys that were read go on');
		fs.rmSync(stack.keyRing, { force: true });
		fs.writeFileSync(stack.keyRing, good, { mode: 0o600 });
	}
});

test('every key is retired', async () => {
	const at = new Date(Date.now() + 2000).toISOString().replace(/\.\d+/, '');
	const good = fs.readFileSync(stack.keyRing);
	fs.writeFileSync(stack.keyRing, `k1 ${randomBytes(32).toString('base64url')} ${at}\n`, { mode: 0o600 });
	await stack.kamailio.kamcmd('call_resume.reload');
	await until('the end of the key', async () => (await stack.kamailio.kamcmd('call_resume.keys')).includes('retired'));
	const { code, text } = check();
	assert.equal(code, 1);
	assert.match(text, /NO .*every key is retired/);
	assert.match(text, /NO .*token: unknown or retired key/);
	fs.writeFileSync(stack.keyRing, good, { mode: 0o600 });
	await stack.kamailio.kamcmd('call_resume.reload');
});

test('a configuration with an error; a Kamailio that is not there', () => {
	const bad = path.join(stack.dir, 'bad.cfg');
	fs.writeFileSync(bad, 'loadmodule "nothing_of_that_name.so"\n');
	const one = check({ cfg: bad });
	assert.equal(one.code, 1);
	assert.match(one.text, /NO .*has errors:\n .*nothing_of_that_name/);
	const two = check({ socket: 'unixs:./nobody.ctl' });
	assert.equal(two.code, 1);
	assert.match(two.text, /NO .*no Kamailio answers at unixs:\.\/nobody\.ctl/);
});

test('tokens in the clear are allowed', async () => {
	const insecure = await Stack.start('check-insecure', {});
	const was = stack;
	stack = insecure;
	try {
		const { code, text } = check();
		assert.equal(code, 1);
		assert.match(text, /NO .*allow_insecure is set/);
		assert.match(text, /note .*revocation is off/);
	} finally {
		stack = was;
		await insecure.stop();
	}
});

test('an RSA key and several processes for TCP', async () => {
	const was = stack;
	for (const [kind, children, noted] of [['rsa:2048', 2, true], ['rsa:2048', 1, false], ['ec', 2, false]]) {
		const own = runFolder('check-rsa-certificate');
		const [cert, key] = ['cert.pem', 'key.pem'].map((f) => path.join(own, f));
		const curve = kind === 'ec' ? ['-pkeyopt', 'ec_paramgen_curve:P-256'] : [];
		execFileSync('openssl', ['req', '-x509', '-newkey', kind, ...curve, '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' });
		stack = await Stack.start('check-rsa', { tls: true, defines: { TCP_CHILDREN: children, TLS_CERTIFICATE: `"${cert}"`, TLS_PRIVATE_KEY: `"${key}"` } });
		try {
			assert.equal(/^note .*RSA key and there are 2 processes/m.test(check().text), noted, `${kind}, ${children}`);
		} finally {
			await stack.stop();
			stack = was;
		}
	}
});

const SIP = [
	/^ok .*rtpengine answers/m, /^ok .*a foreign Call-State is refused/m,
	/^ok .*a call brings both of its clients a Call-State/m, /^ok .*a client that is away is answered for/m,
	/^ok .*resumed: its far end gets a re-INVITE/m, /^ok .*its far end hangs up/m,
];
const DIGEST = { WITH_DIGEST: true, DIGEST_DB: '"sqlite:///nobody.sqlite"' };
for (const [what, over, options, how] of [
	['TLS', 'tls', { tls: true, defines: { RESUME_ALLOW_INSECURE: 0 } }, { transport: 'tls' }],
	['secure WebSocket alone', 'wss', async () => ({ tls: true, defines: { RESUME_ALLOW_INSECURE: 0, LISTEN_TLS: `udp:127.0.0.1:${await freePort()}` } })],
	['WebSocket behind a web server', 'ws', { web: true }],
	['WebSocket, with tokens in the clear', 'ws', {}],
	['TCP, with tokens in the clear', 'tcp', { defines: { WS_PORT: 1 } }],
	['UDP, with tokens in the clear', 'udp', async () => ({
		defines: { LISTEN_TCP: `udp:127.0.0.1:${await freePort()}`, LISTEN_WS: `udp:127.0.0.1:${await freePort()}`, WS_PORT: 1 },
	})],
	['phones with passwords', 'ws', { defines: DIGEST }],
	['calls bound to a certificate', 'ws', { web: true, defines: { RESUME_BIND_FINGERPRINT: 2 } }],
	['dialogs and CDRs, and states that are pushed', 'wss', { tls: true, defines: { RESUME_ALLOW_INSECURE: 0, WITH_ACC: true, RESUME_PUSH: true } }],
]) {
	test(`over SIP: ${what}: all is well, and nothing is left`, async () => {
		const own = await Stack.start('check-sip', typeof options === 'function' ? await options() : options);
		try {
			const { text } = checkStack(own, how);
			assert.doesNotMatch(text, /^NO    (?!allow_insecure)/m, text);
			assert.match(text, new RegExp(`^ok .*a token is taken over ${over}:`, 'm'), text);
			for (const line of SIP) assert.match(text, line);
			assert.doesNotMatch(await own.kamailio.kamcmd('ul.dump'), /call_resume-check/);
			assert.deepEqual(await own.rtpengine.calls(), []);
			// (Process 0 is the one that starts.)
			assert.deepEqual(own.kamailio.logged(/^ *[1-9]\d*\(\d+\) (ERROR|CRITICAL|WARNING):.*/m), []);
		} finally {
			await own.stop();
		}
	});
}

test('over SIP: no transport for tokens', () => {
	const { code, text } = checkStack(stack);
	assert.equal(code, 1);
	assert.match(text, /^NO .*no socket takes a token from here:\n( .*: 403 .*\n)+ .*TLS .*RESUME_TRUSTED_PROXY/m);
	assert.match(text, /^ +ws:\S+: 403 Secure Transport Required$/m);
});

test('over SIP: no token is printed, nor in the log', async () => {
	const own = await Stack.start('check-sip', { tls: true, defines: { RESUME_ALLOW_INSECURE: 0 } });
	try {
		const { text } = checkStack(own);
		assert.doesNotMatch(text + own.kamailio.log(), /eyJ[\w-]{20}/, 'no token is printed');
	} finally {
		await own.stop();
	}
});
