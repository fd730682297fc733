// SPDX-License-Identifier: GPL-2.0-or-later
// Over TLS, where tokens and keys are at home: nothing insecure is allowed here. The far
// end is on UDP, and then on TLS too.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { freePort } from '../lib/ports.mjs';
import { Rtp, audioPort } from '../lib/rtp.mjs';
import { FarEnd } from '../lib/sip.mjs';
import { Stunnel } from '../lib/stunnel.mjs';
import { until } from '../lib/wait.mjs';

const TRUNK_TLS = await freePort(TRUNK_IP);
const OUR_TLS = await freePort();

let onUdp, onTls; // stacks, by where the far end is
let open = []; // sockets and processes of the current test
const keep = (s) => (open.push(s), s);

async function start(name, { defines, ...options } = {}) {
	const stack = await Stack.start(name, { tls: true, defines: { RESUME_ALLOW_INSECURE: 0, ...defines }, ...options });
	stack.stunnel = await Stunnel.start(stack.dir, { to: `${stack.kamailio.ip}:${stack.kamailio.tls}` });
	stack.token = await stack.kamailio.token(`sip:alice@${DOMAIN}`);
	return stack;
}
before(async () => {
	onUdp = await start('tls');
	onTls = await start('tls-trunk', {
		kamailio: { ports: { tls: OUR_TLS } },
		defines: {
			TRUNK_URI: `"sip:${TRUNK_IP}:${TRUNK_TLS};transport=tls"`,
			TRUNK_SOCKET: `"tls:127.0.0.1:${OUR_TLS}"`,
		},
	});
});
afterEach(async () => {
	for (const stack of [onUdp, onTls]) await stack?.hangUp();
	for (const s of open.splice(0)) await (s.stop ?? s.close).call(s);
});
after(async () => {
	for (const stack of [onUdp, onTls]) {
		await stack?.stunnel.stop();
		await stack?.stop();
	}
});

async function call(stack, name, scenario, keys, options) {
	const audio = keep(await Rtp.open());
	const client = await stack.client(name, scenario, {
		transport: 'tcp', to: stack.stunnel.address, keys: { token: stack.token, audio_port: audio.port, ...keys },
		...options,
	});
	const key = await client.waitLog('registered');
	assert.match(key, /key=[\w-]{43}/);
	audio.send(Number(await client.waitLog('answered')));
	await client.waitLog('up');
	return { client, audio, state: await client.waitLog('state') };
}

async function lose({ client, audio }) {
	await client.kill();
	audio.close();
}

test('a client on TLS is lost and resumes, the far end hangs up', async () => {
	const peer = await onUdp.peer('peer', 'resume/peer.xml', { args: ['-d', '2500'] });
	const one = await call(onUdp, 'one', 'resume/client.xml');
	const callId = await onUdp.onlyCall();
	await onUdp.audio(callId);
	await lose(one);
	const two = await call(onUdp, 'two', 'resume/resumed.xml', { state: one.state });
	await onUdp.audio(callId);
	await two.client.done();
	await peer.done();
	await onUdp.noMedia();
});

test('a token over UDP is refused', async () => {
	const client = await onUdp.client('udp', 'refused/client.xml', {
		keys: { headers: `Authorization: Bearer ${onUdp.token}` },
	});
	assert.match(await client.waitLog('refused'), /^40[13] /);
	assert.match(await onUdp.kamailio.kamcmd('call_resume.stats'), /tokens_insecure: 1\n/);
});

/** A SIPp behind stunnel: only TLS gets to it, and what it sends becomes TLS. */
async function peerOnTls(name, scenario, options) {
	const here = `${TRUNK_IP}:${TRUNK_TLS}`;
	const text = fs.readFileSync(path.join(ROOT, 'sipp_scenarios', scenario), 'utf8')
		.replaceAll('[local_ip]:[local_port];transport=[transport]', `${here};transport=tls`)
		.replaceAll('SIP/2.0/[transport] [local_ip]:[local_port]', `SIP/2.0/TLS ${here}`);
	assert.ok(text.includes(`<sip:${here};transport=tls>`));
	const file = path.join(onTls.dir, `${name}.xml`);
	fs.writeFileSync(file, text);
	const peer = await onTls.peer(name, file, { transport: 'tcp', ...options });
	keep(await Stunnel.start(onTls.dir, {
		name: `${name}-tls`, ip: TRUNK_IP, port: TRUNK_TLS, to: `${TRUNK_IP}:${peer.port}`, server: onTls.certificate,
	}));
	return peer;
}

for (const [who, far, near] of [
	['far end', 'resume/peer.xml', 'resume/resumed.xml'],
	['client', 'echo/peer.xml', 'resume-hangup/resumed.xml'],
]) {
	test(`the far end is on TLS too, the ${who} hangs up`, async () => {
		const name = who.replace(' ', '-');
		const args = ['-d', '2500'];
		const peer = await peerOnTls(name, far, { args });
		const one = await call(onTls, `${name}-one`, 'resume/client.xml');
		const callId = await onTls.onlyCall();
		await onTls.audio(callId);
		await lose(one);
		const two = await call(onTls, `${name}-two`, near, { state: one.state }, { args });
		await onTls.audio(callId);
		await two.client.done();
		await peer.done();
		await onTls.noMedia();
	});
}

const request = (method, callId) => (m) => m.method === method && !m.status && m.callId === callId;

/** One life of alice, signed in. */
async function alice(transport) {
	const audio = keep(await Rtp.open());
	const { ip, tls, wss } = onTls.kamailio;
	const client = keep(await FarEnd.open({
		user: 'alice', transport, token: onTls.token, media: audio.port, to: { ip, port: transport === 'tls' ? tls : wss },
	}));
	assert.equal((await client.register()).status, 200);
	return Object.assign(client, { audio });
}

/** A far end on TLS, its connections as it made and took them. */
async function farEnd() {
	const { cert, key } = onTls.certificate;
	const media = keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
	const bob = keep(await FarEnd.open({
		ip: TRUNK_IP, port: TRUNK_TLS, transport: 'tls', media: media.port,
		listen: { cert: fs.readFileSync(cert), key: fs.readFileSync(key) },
	}));
	/** A connection to a port of the gateway, for what bob has to say. */
	bob.connect = async (port = OUR_TLS) => {
		bob.line = keep(await FarEnd.open({
			ip: TRUNK_IP, transport: 'tls', media: media.port, to: { ip: onTls.kamailio.ip, port },
		}));
		Object.defineProperty(bob.line, 'uri', { value: bob.uri }); // to be called back where bob listens
		return bob.line;
	};
	bob.hangUpConnections = async () => {
		bob.line?.close();
		bob.sockets.forEach((s) => s.destroy());
		await until('the gateway to see it', async () => !(await onTls.kamailio.kamcmd('tls.list')).includes(TRUNK_IP));
	};
	return bob;
}

/** A call, and what the client knows of it: {callId, state}. */
const CALLS = {
	async caller(one, bob) {
		const { callId, state } = await one.call();
		await bob.take('the ACK', request('ACK', callId));
		return { callId, state };
	},
	async called(one, bob) {
		const theirs = await (await bob.connect()).call({ service: 'alice' });
		const { callId, final } = theirs;
		assert.equal(final.status, 200);
		bob.dialogs.set(callId, theirs);
		const invite = await one.take('the INVITE', request('INVITE', callId));
		await one.take('the ACK', request('ACK', callId));
		return { callId, state: `${invite.get('call-state')};tag=${final.tag('to')}` };
	},
};

for (const role of ['caller', 'called']) {
	for (const [was, is] of [['tls', 'tls'], ['wss', 'wss'], ['wss', 'tls'], ['tls', 'wss']]) {
		test(`${role} on ${was}, resumed on ${is}: with a far end on TLS whose connections do not last`, async () => {
			const bob = await farEnd();
			const one = await alice(was);
			const { callId, state } = await CALLS[role](one, bob);
			one.close();
			one.audio.close();
			await bob.hangUpConnections();

			const two = await alice(is);
			const second = await two.call({ state });
			assert.equal(second.final.status, 200);
			const { ip, [is]: port } = onTls.kamailio;
			const [first] = second.routes;
			// In a URI wss is ws (RFC 7118); the port makes the difference.
			const transport = is === 'wss' ? 'ws' : is;
			assert.ok(first.startsWith(`<sip:${ip}:${port};transport=${transport};`), `${first} leads back over ${is}`);
			await bob.take('the second ACK', (m) => m.method === 'ACK' && m.cseq > 100 && m.callId === callId);
			two.audio.send(audioPort(second.final.body), onTls.rtpengine.ip);
			await onTls.audio(callId);
			await bob.hangUpConnections();

			// The gateway connects to bob.
			assert.equal((await second.request('INFO')).status, 200);
			await bob.take('the INFO of the client', request('INFO', callId));
			await bob.hangUpConnections();

			// bob connects to where the route set leads.
			const theirs = bob.dialog(callId);
			const [, to] = /^<sip:127\.0\.0\.1:(\d+);transport=tls[;>]/.exec(theirs.routes[0]) ?? assert.fail(theirs.routes[0]);
			theirs.party = await bob.connect(Number(to));
			assert.equal((await theirs.request('INFO')).status, 200);
			await two.take('an INFO', request('INFO', second.callId));
			assert.equal((await theirs.request('BYE')).status, 200);
			await two.take('the BYE', request('BYE', second.callId));
			await onTls.noMedia();
		});
	}
}

/** What strangers do with a connection. */
const VISITS = {
	handshake: (where) => tls.connect(where, function() { this.destroy(); }),
	'a version that we do not speak': (where) => tls.connect({ ...where, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }),
	'no TLS': (where) => net.connect(where, function() { this.write('OPTIONS sip:nobody SIP/2.0\r\n\r\n'); }),
	'no WebSocket': (where) => tls.connect(where, function() { this.write('GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n'); }),
};
/** Resolves when it is over. */
const visit = (how, port) => new Promise((resolve) => {
	const s = VISITS[how]({ host: '127.0.0.1', port, localAddress: '127.0.0.66', rejectUnauthorized: false });
	s.setTimeout(5000, () => s.destroy());
	s.on('data', () => s.destroy());
	s.on('error', () => {});
	s.on('close', resolve);
});

test('2,000 connections of strangers, 20 at a time: no process ends, and calls go on', async (t) => {
	// As many processes as the configuration has.
	const stack = await start('tls-strangers', { defines: { CHILDREN: undefined, TCP_CHILDREN: undefined } });
	t.after(async () => {
		await stack.stunnel.stop();
		await stack.stop();
	});
	const { ip, port, tls: sips, wss } = stack.kamailio;
	const bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip, port } }));
	const user = async (transport) => {
		const client = keep(await FarEnd.open({ user: 'alice', token: stack.token, transport, to: { ip, port: transport === 'tls' ? sips : wss } }));
		assert.equal((await client.register()).status, 200);
		return client;
	};
	const up = [await (await user('tls')).call(), await (await user('wss')).call()];
	for (const { final } of up) assert.equal(final.status, 200);

	let n = 0;
	const strangers = Array.from({ length: 20 }, async () => {
		const hows = Object.keys(VISITS);
		while (n < 2000) {
			const i = n++;
			await visit(hows[(i >> 1) % hows.length], i & 1 ? sips : wss);
		}
	});
	// What the far end says is written to the clients by the processes of UDP.
	let over = false;
	const talks = up.map(async ({ callId }) => {
		while (!over) {
			assert.equal((await bob.dialog(callId).request('INFO')).status, 200, 'a call that is up goes on');
			await new Promise((resolve) => { setTimeout(resolve, 10); });
		}
	});
	for (let i = 0; n < 2000 || i < 2; i++) {
		const again = await (await user('tls')).call();
		const other = await (await user('wss')).call({ state: again.state });
		assert.deepEqual([again.final.status, other.final.status], [200, 200], 'a new call, and its resume');
		assert.equal((await other.request('BYE')).status, 200);
		// A user has twenty connections at the most, see proved_max.
		for (const { party } of [again, other]) party.close();
	}
	await Promise.all(strangers);
	over = true;
	await Promise.all(talks);
	for (const dialog of up) assert.equal((await dialog.request('BYE')).status, 200);
	stack.kamailio.proc.assertAlive();
	assert.deepEqual(stack.kamailio.log().split('\n').filter((l) => /ALERT|CRITICAL|already freed/.test(l)), []);
});
