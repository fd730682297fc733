// SPDX-License-Identifier: GPL-2.0-or-later
// Who is believed: what nobody, a user like others, or a thief of token and state writes
// into calls of somebody else, over the network alone. Media: strangers-media.test.mjs.

import { after, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';

import { openState } from '../lib/call.mjs';
import { Rtp, audioPort } from '../lib/rtp.mjs';
import { Client, Dialog, Endpoint, FarEnd, message, random, replyTo, sdp } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const STRANGER_IP = '127.0.0.66';
const tagOf = (value) => /;tag=([^;>]+)/.exec(value)[1];

/** A gateway, and calls through it with audio. */
class Lab {
	static async start(name, { defines = {} } = {}) {
		const self = new Lab();
		self.open = [];
		self.stack = await Stack.start(`strangers-${name}`, { defines });
		self.tokens = {};
		for (const user of ['alice', 'bob', 'mallory']) self.tokens[user] = await self.stack.kamailio.token(`sip:${user}@${DOMAIN}`, `s-${user}`);
		return self;
	}

	keep(party) {
		this.open.push(party);
		return party;
	}

	/** After each test. */
	async clear() {
		for (const party of this.open.splice(0)) party.close();
		await this.stack.dropMedia();
	}

	at(transport = 'udp') {
		return { ip: this.stack.kamailio.ip, port: transport === 'ws' ? this.stack.kamailio.ws : this.stack.kamailio.port };
	}

	async party(user, { transport = 'udp', Kind = FarEnd, token = this.tokens[user], ...options } = {}) {
		return this.keep(await Kind.open({ user, token, transport, to: this.at(transport), ...options }));
	}

	async far(options) {
		const media = this.keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
		const far = this.keep(await FarEnd.open({ ip: TRUNK_IP, port: this.stack.trunkPort, to: this.at(), media: media.port, ...options }));
		return Object.assign(far, { audio: media });
	}

	/** alice calls the trunk, with audio both ways. */
	async call(options) {
		const far = await this.far();
		const audio = this.keep(await Rtp.open());
		const alice = await this.party('alice', { media: audio.port, ...options });
		const call = await alice.call({ service: '100' });
		assert.equal(call.final.status, 200);
		await far.take('the ACK', (m) => m.method === 'ACK');
		await this.stack.talk({ audio }, call.final.body, call.callId);
		return { far, audio, alice, call };
	}

	stranger(options) {
		return Endpoint.open({ ip: STRANGER_IP, to: this.at(), ...options }).then((s) => this.keep(s));
	}

	/** A TCP port that nobody is to connect to, and how often it was done; on the stranger's machine or ours. */
	async trap(ip = '127.0.0.1', port = 0) {
		const server = net.createServer().listen(port, ip);
		const trap = this.keep({ connections: 0, close: () => server.close() });
		server.on('connection', (socket) => {
			trap.connections++;
			socket.destroy();
		});
		await once(server, 'listening');
		return Object.assign(trap, { port: server.address().port });
	}

	async stat(name) {
		const text = await this.stack.kamailio.kamcmd('call_resume.stats');
		return Number(new RegExp(`\\b${name}: (\\d+)`).exec(text)[1]);
	}

	/** What both legs of the call send to, as rtpengine has it. */
	async endpoints(callId) {
		const { tags } = await this.stack.rtpengine.ask({ command: 'query', 'call-id': callId });
		return Object.fromEntries(Object.entries(tags).map(([tag, leg]) => [tag, leg.medias[0].streams[0].endpoint.port]));
	}

	/** Play an attack: the call that was up is as it was, with audio, and can be hung up. */
	async unharmed({ audio, call, far }, attack) {
		const before = await this.endpoints(call.callId);
		await attack();
		assert.deepEqual(await this.endpoints(call.callId), before);
		await this.stack.audio(call.callId);
		const { received } = audio;
		await until('alice to hear the far end', () => audio.received > received);
		assert.equal((await far.dialog(call.callId).request('BYE')).status, 200);
	}
}

/** A reply that nobody has asked for: with names of a call, and a second Via of the sender's choice. */
function stray(lab, { callId, from, to, method = 'INVITE', via = `SIP/2.0/UDP ${STRANGER_IP}:9`, fields = [], body = '' }) {
	return message('SIP/2.0 200 OK', [`Via: SIP/2.0/UDP ${lab.stack.gateway};branch=z9hG4bK${random()}`,
		`Via: ${via};branch=z9hG4bK${random()}`, `From: <sip:a@a>;tag=${from}`, `To: <sip:b@b>;tag=${to}`,
		`Call-ID: ${callId}`, `CSeq: 77 ${method}`, ...fields], body);
}

/** That many strays have been refused, and no line was written about them. */
async function refusedReplies(lab, n, send) {
	const before = await lab.stat('replies_refused');
	const { length } = lab.stack.kamailio.log();
	await send();
	await until('the replies to be refused', async () => await lab.stat('replies_refused') === before + n);
	assert.equal(lab.stack.kamailio.log().slice(length), '');
}

describe('replies that nobody has asked for', () => {
	let lab;
	before(async () => { lab = await Lab.start('replies'); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	for (const ip of [STRANGER_IP, TRUNK_IP]) {
		test(`with the names of a call, from ${ip}: its media stay where they are`, async () => {
			const { far, audio, call } = await lab.call();
			const spy = lab.keep(await Rtp.open({ ip }));
			const stranger = await lab.stranger({ ip });
			await lab.unharmed({ far, audio, call }, async () => {
				const [mine, other] = [tagOf(call.local), tagOf(call.remote)];
				await refusedReplies(lab, 4, () => {
					for (const [from, to] of [[mine, other], [other, mine]]) {
						const names = { callId: call.callId, from, to };
						stranger.send(stray(lab, { ...names, body: sdp(ip, spy.port, 9) }));
						// A Record-Route without our reference proves nothing.
						stranger.send(stray(lab, { ...names, body: sdp(ip, spy.port, 9), fields: [`Record-Route: <sip:${lab.stack.gateway};lr;crs-a=aaaaaaaa>`] }));
					}
				});
			});
			assert.equal(spy.received, 0);
		});
	}

	test('no connection is made to where their Via leads', async () => {
		const inside = await lab.trap();
		const stranger = await lab.stranger();
		await refusedReplies(lab, 20, () => {
			for (let i = 0; i < 20; i++) {
				stranger.send(stray(lab, { callId: random(), from: 'x', to: 'y', method: i % 2 ? 'INVITE' : 'OPTIONS', via: `SIP/2.0/TCP 127.0.0.1:${inside.port}` }));
			}
		});
		assert.equal(inside.connections, 0);
	});

	test('no name in their Via is looked up', async () => {
		const stranger = await lab.stranger();
		await refusedReplies(lab, 8, () => {
			for (let i = 0; i < 8; i++) stranger.send(stray(lab, { callId: random(), from: 'x', to: 'y', via: `SIP/2.0/UDP n${i}.slow.example:5060` }));
		});
		assert.doesNotMatch(lab.stack.kamailio.log(), /resolve_host/);
	});

	test('no memory is kept for them', async () => {
		const used = async () => Number(/used: (\d+)/.exec(await lab.stack.kamailio.kamcmd('core.shmmem'))[1]);
		const { call } = await lab.call();
		const stranger = await lab.stranger();
		const before = await used();
		await refusedReplies(lab, 500, async () => {
			const refused = await lab.stat('replies_refused');
			for (let i = 0; i < 500; i++) {
				stranger.send(stray(lab, { callId: call.callId, from: 'x', to: random(), via: `SIP/2.0/TCP 127.0.0.1:${9 + i}`, body: sdp(STRANGER_IP, 9) }));
				if (i % 50 === 49) await until('some of them', async () => await lab.stat('replies_refused') > refused + i);
			}
		});
		assert.ok(await used() - before < 4096, `${await used() - before} bytes`);
	});

	test('a reply that proves itself, by the reference of its call, leads to no name and no new connection either', async () => {
		const { far, call } = await lab.call();
		const routes = far.requests.find((m) => m.method === 'INVITE').recordRoutes.map((r) => `Record-Route: ${r}`);
		const inside = await lab.trap();
		const names = { callId: call.callId, from: tagOf(call.local), to: tagOf(call.remote), fields: routes, method: 'INFO' };
		const refused = await lab.stat('replies_refused');
		far.send(stray(lab, { ...names, via: 'SIP/2.0/UDP slow.example:5060' }));
		far.send(stray(lab, { ...names, via: `SIP/2.0/TCP 127.0.0.1:${inside.port}` }));
		// To an address over UDP it goes.
		const port = await lab.stranger();
		far.send(stray(lab, { ...names, via: `SIP/2.0/UDP ${STRANGER_IP}:${port.port}` }));
		await port.take('the reply', (m) => m.status === 200);
		await until('the name to be refused', async () => await lab.stat('replies_refused') === refused + 1);
		assert.doesNotMatch(lab.stack.kamailio.log(), /resolve_host/);
		assert.equal(inside.connections, 0);
	});
});

describe('replies with other names than their request', () => {
	let lab;
	before(async () => { lab = await Lab.start('names'); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	/** A 200 of mallory's phone to a request of his own. */
	const answer = (m, { callId = m.callId, from = m.get('from'), to, body = '' }) => m.answer(['SIP/2.0 200 OK', ...m.all('via').map((v) => `Via: ${v}`),
		...m.recordRoutes.map((r) => `Record-Route: ${r}`), `From: ${from}`, `To: ${to}`, `Call-ID: ${callId}`, `CSeq: ${m.get('cseq')}`, 'Contact: <sip:mallory@127.0.0.1:9>',
		...(body ? ['Content-Type: application/sdp'] : []), `Content-Length: ${body.length}`, '', body].join('\r\n'));

	for (const [what, method, names] of [
		['a MESSAGE under the names of a call, its answer has SDP', 'MESSAGE', (v) => ({ asked: { callId: v.callId, tag: v.far }, said: { to: `<sip:x@y>;tag=${v.near}` } })],
		['an INVITE of his own, its answer is in the names of a call', 'INVITE', (v) => ({ asked: {}, said: { callId: v.callId, from: `<sip:x@y>;tag=${v.far}`, to: `<sip:x@y>;tag=${v.near}` } })],
		['an OPTIONS, the same', 'OPTIONS', (v) => ({ asked: {}, said: { callId: v.callId, from: `<sip:x@y>;tag=${v.far}`, to: `<sip:x@y>;tag=${v.near}` } })],
	]) {
		test(`${what}: the media of that call stay`, async () => {
			const { far, audio, alice, call } = await lab.call();
			const spy = lab.keep(await Rtp.open({ ip: STRANGER_IP }));
			const victim = { callId: call.callId, near: tagOf(call.local), far: tagOf(call.remote) };
			const { asked, said } = names(victim);
			const phone = await lab.party('mallory', { answer: (m) => {
				if (m.method !== method) return true;
				answer(m, { to: `${m.get('to')};tag=1`, ...said, body: sdp(STRANGER_IP, spy.port) });
				return false;
			} });
			assert.equal((await phone.register()).status, 200);
			const caller = await lab.party('mallory', { Kind: Client });
			await lab.unharmed({ far, audio, alice, call }, async () => {
				caller.outside(method, `sip:mallory@${DOMAIN}`, { ...asked, body: method === 'INVITE' ? sdp('127.0.0.1', 4000) : '' }).catch(() => {});
				await until('his answer', () => phone.requests.some((m) => m.method === method));
				await new Promise((resolve) => { setTimeout(resolve, 300); });
			});
			assert.equal(spy.received, 0);
		});
	}

	test('the 200 to a BYE, in the names of another call: that one has its media still', async () => {
		const { far, audio, alice, call } = await lab.call();
		const phone = await lab.party('mallory', { answer: (m) => {
			if (m.method !== 'BYE') return true;
			answer(m, { callId: call.callId, from: `<sip:x@y>;tag=${tagOf(call.local)}`, to: `<sip:x@y>;tag=${tagOf(call.remote)}` });
			return false;
		} });
		assert.equal((await phone.register()).status, 200);
		const caller = await lab.party('mallory', { Kind: Client });
		const own = await caller.call({ service: 'mallory' });
		assert.equal(own.final.status, 200);
		await lab.unharmed({ far, audio, alice, call }, async () => {
			const before = await lab.stat('replies_refused');
			own.request('BYE').catch(() => {});
			await until('his answer', async () => await lab.stat('replies_refused') > before);
		});
	});
});

describe('requests on a connection that is closed before their answer', () => {
	let lab;
	before(async () => { lab = await Lab.start('closed', { defines: { STRANGERS_MAX: 1000000 } }); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	/** Write it all at once and reset the connection, before Kamailio reads. @return a trap at its port */
	async function hitAndRun(port, text) {
		const { pid } = lab.stack.kamailio.proc;
		const pids = [pid, ...fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').map(Number)];
		const all = (signal) => { for (const one of pids) process.kill(one, signal); };
		all('SIGSTOP');
		try {
			const socket = net.connect({ host: lab.stack.kamailio.ip, port, localAddress: STRANGER_IP });
			socket.on('error', () => {});
			await once(socket, 'connect'); // by the kernel
			const { localPort } = socket;
			await new Promise((resolve) => { socket.write(text, resolve); });
			socket.resetAndDestroy();
			await once(socket, 'close');
			return await lab.trap(STRANGER_IP, localPort);
		} finally {
			all('SIGCONT');
		}
	}

	const gone = () => until('the connection to be gone', async () => /opened_connections: 0/.test(await lab.stack.kamailio.kamcmd('core.tcp_info')));

	test('SIP: none is opened back', async () => {
		for (const user of ['closed-1', 'closed-2', 'closed-3']) {
			const requests = ['INVITE', 'OPTIONS', 'MESSAGE', 'BYE', 'INVITE', 'REGISTER'].map((method) => message(`${method} sip:x@${DOMAIN} SIP/2.0`, [
				`Via: SIP/2.0/TCP ${STRANGER_IP}:9;branch=z9hG4bK${random()}`, 'Max-Forwards: 70', `From: <sip:${user}@${DOMAIN}>;tag=1`,
				`To: <sip:x@${DOMAIN}>${method === 'BYE' ? ';tag=2' : ''}`, `Call-ID: ${random()}`, `CSeq: 1 ${method}`]));
			const back = await hitAndRun(lab.stack.kamailio.port, requests.join(''));
			await until('all of them to be refused', () => lab.stack.kamailio.log().split(`${user}@`).length > 4);
			await gone();
			assert.equal(back.connections, 0);
		}
	});

	test('HTTP: none is opened back', async () => {
		for (let round = 0; round < 3; round++) {
			const back = await hitAndRun(lab.stack.kamailio.ws, 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
			await gone();
			assert.equal(back.connections, 0);
		}
	});
});

describe('requests that claim the address of the trunk, over UDP', () => {
	let lab;
	before(async () => { lab = await Lab.start('trunk'); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	/** The trunk calls alice, with audio both ways. */
	async function called() {
		const audio = lab.keep(await Rtp.open());
		const alice = await lab.party('alice', { media: audio.port });
		assert.equal((await alice.register()).status, 200);
		const far = await lab.far();
		const call = await far.call({ service: 'alice', to: `sip:alice@${DOMAIN}` });
		assert.equal(call.final.status, 200);
		audio.send(audioPort(alice.requests.find((m) => m.method === 'INVITE').body), '127.0.0.1');
		far.audio.send(audioPort(call.final.body), '127.0.0.1');
		await lab.stack.audio(call.callId);
		return { alice, far, audio, call };
	}

	test('in a dialog, with its names but without our reference in the Route: not relayed, and rtpengine is not asked', async () => {
		const { alice, far, audio, call } = await lab.call();
		const forger = await lab.party('bob', { ip: TRUNK_IP });
		const spy = lab.keep(await Rtp.open({ ip: TRUNK_IP }));
		const d = far.dialog(call.callId);
		await lab.unharmed({ far, audio, call }, async () => {
			for (const routes of [[], [`<sip:${lab.stack.gateway};lr>`], d.routes.map((r) => r.replace(/crs-a=...../, 'crs-a=aaaaa'))]) {
				const forged = new Dialog(forger, { callId: d.callId, local: d.local, remote: d.remote, target: d.target, routes, cseq: 90 });
				const seen = alice.requests.length;
				assert.equal((await forged.request('INVITE', { body: sdp(TRUNK_IP, spy.port, 5) })).status, 481);
				assert.equal((await forged.request('BYE')).status, 481);
				forged.ack({ body: sdp(TRUNK_IP, spy.port, 6) });
				assert.equal((await forged.request('INFO')).status, 481);
				assert.equal(alice.requests.length, seen);
			}
		});
		assert.equal(spy.received, 0);
	});

	test('the far end itself, with its Route, is believed', async () => {
		const { far, alice, call } = await called();
		assert.equal((await call.request('INVITE', { body: sdp(TRUNK_IP, far.media, 2) })).status, 200);
		call.ack();
		await lab.stack.audio(call.callId);
		assert.equal((await alice.dialog(call.callId).request('INFO')).status, 200);
		assert.equal((await call.request('BYE')).status, 200);
		await lab.stack.noMedia();
	});

	test('a call that replaces one of a client that has resumed is known as ours, to either side', async () => {
		const far = await lab.far();
		const alice = await lab.party('alice', { Kind: Client });
		const lost = await alice.call({ service: '100' });
		const back = await lab.party('alice');
		const resumed = await back.call({ service: '100', state: lost.state });
		assert.equal(resumed.final.status, 200);
		const d = far.dialog(lost.callId);
		const asked = await far.outside('INVITE', d.target, { to: `sip:alice@${DOMAIN}`, body: sdp(TRUNK_IP, far.media),
			headers: [`Replaces: ${d.callId};to-tag=${tagOf(d.remote)};from-tag=${tagOf(d.local)}`] });
		assert.equal(asked.status, 200);
		const other = new Dialog(far, { callId: asked.callId, cseq: far.last.cseq, local: asked.get('from'), remote: asked.get('to'), target: asked.contact, routes: asked.recordRoutes.reverse() });
		other.ack();
		far.dialogs.set(other.callId, other);
		assert.equal((await other.request('INFO')).status, 200);
		assert.equal((await back.dialog(other.callId).request('INFO')).status, 200);
		assert.equal((await other.request('BYE')).status, 200);
		assert.equal((await resumed.request('BYE')).status, 200);
		await lab.stack.noMedia();
	});

	test('one that says that it replaces a call, to a Contact that is made up: it goes nowhere', async () => {
		const { far, call } = await called();
		const forger = await lab.party('bob', { ip: TRUNK_IP });
		const reader = await lab.stranger();
		const inside = await lab.trap();
		const { length } = lab.stack.kamailio.log();
		const names = ['none;to-tag=1;from-tag=2', `${call.callId};to-tag=${tagOf(call.remote)};from-tag=${tagOf(call.local)}`];
		for (const replaces of names) {
			for (const uri of [`sip:x@${STRANGER_IP}:${reader.port};crm1=x`, `sip:x@127.0.0.1:${inside.port};transport=tcp;crm1=x`,
				`sip:x@y.invalid;crm1=x;alias=127.0.0.1~${inside.port}~2`, 'sip:x@n1.slow.example;crm1=x']) {
				const asked = await forger.outside('INVITE', uri, { to: `sip:alice@${DOMAIN}`, body: sdp(TRUNK_IP, 9), headers: [`Replaces: ${replaces}`] });
				assert.equal(asked.status, 480, asked.start);
			}
		}
		assert.deepEqual(reader.inbox, []);
		assert.equal(inside.connections, 0);
		assert.doesNotMatch(lab.stack.kamailio.log().slice(length), /resolve/);
		assert.equal(await lab.stack.onlyCall(), call.callId);
		assert.equal((await far.dialog(call.callId).request('BYE')).status, 200);
	});

	test('a new call with the Call-ID of one that is up: 482, and the media of that call stay', async () => {
		const { alice, far, audio, call } = await called();
		const spy = lab.keep(await Rtp.open({ ip: TRUNK_IP }));
		const forger = await lab.party('bob', { ip: TRUNK_IP, token: undefined, media: spy.port });
		const seen = alice.requests.length;
		await lab.unharmed({ far, audio, call }, async () => {
			for (const tag of [tagOf(call.local), random()]) {
				const own = await forger.call({ service: 'alice', callId: call.callId, tag });
				assert.equal(own.final.start, 'SIP/2.0 482 Call-ID In Use');
			}
			assert.equal(alice.requests.length, seen);
		});
		assert.equal(spy.received, 0);
	});
});

describe('a user like others, who knows the names of a call', () => {
	let lab;
	before(async () => { lab = await Lab.start('user', { defines: { WITH_REVOCATION: true } }); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	test('cannot begin one under its Call-ID: its media stay, and rtpengine keeps it', async () => {
		const { far, audio, call } = await lab.call();
		const spy = lab.keep(await Rtp.open());
		const mallory = await lab.party('mallory', { media: spy.port });
		const asked = far.requests.length;
		await lab.unharmed({ far, audio, call }, async () => {
			for (const tag of [tagOf(call.local), random()]) {
				const own = await mallory.call({ callId: call.callId, tag });
				assert.equal(own.final.start, 'SIP/2.0 482 Call-ID In Use');
			}
			assert.equal(far.requests.length, asked, 'nobody is called');
		});
		assert.equal(spy.received, 0);
		assert.match(lab.stack.kamailio.log(), /NOTICE: .*begins a call under a Call-ID that is in use/);
		assert.doesNotMatch(lab.stack.kamailio.log(), /ERROR.*rtpengine/, 'that a call is new is no error');
	});

	test('does not touch its media by requests in a dialog of these names, with a token of her own', async () => {
		const { far, audio, call } = await lab.call();
		const spy = lab.keep(await Rtp.open());
		const mallory = await lab.party('mallory', { media: spy.port });
		const mine = new Dialog(mallory, { callId: call.callId, routes: [`<sip:${lab.stack.gateway};lr>`], target: `sip:x@127.0.0.1:${mallory.port}`,
			local: `<sip:mallory@${DOMAIN}>;tag=${tagOf(call.local)}`, remote: `<sip:x@x>;tag=${tagOf(call.remote)}`, cseq: 70 });
		const headers = [`Authorization: Bearer ${mallory.token}`];
		await lab.unharmed({ far, audio, call }, async () => {
			for (const method of ['INVITE', 'UPDATE', 'PRACK']) assert.equal((await mine.request(method, { headers, body: sdp('127.0.0.1', spy.port, 5) })).status, 403, method);
			mine.ack({ headers, body: sdp('127.0.0.1', spy.port, 6) });
			// She answers it herself.
			assert.equal((await mine.request('BYE', { headers })).status, 200);
			assert.equal((await mine.request('BYE', { headers, target: 'sip:x@127.0.0.1:9;transport=tcp' })).status >= 400, true);
			assert.deepEqual(await lab.stack.rtpengine.calls(), [call.callId]);
		});
		assert.equal(spy.received, 0);
	});

	test('a call that failed leaves its Call-ID free', async () => {
		const far = await lab.far({ answer: (m) => (m.method === 'INVITE' ? (far.reply(m, 486, 'Busy Here'), false) : true) });
		const alice = await lab.party('alice');
		const callId = random();
		for (const cseq of [1, 2]) assert.equal((await alice.call({ callId, cseq })).final.status, 486);
		far.close();
		await lab.stack.noMedia();
	});

	test('is not put through to the client of another call as the one it had (;again), and nothing of that call is deleted', async () => {
		const victim = await lab.party('bob', { transport: 'ws' });
		const reg = await victim.register();
		assert.equal(reg.status, 200);
		const alice = await lab.party('alice', { transport: 'ws' });
		const call = await alice.call({ service: 'bob' });
		assert.equal(call.final.status, 200);
		// rtpengine is restarted, and knows no call: the Call-ID looks free.
		await lab.stack.rtpengine.kill();
		await lab.stack.rtpengine.boot();
		const far = await lab.far();
		const mallory = await lab.party('mallory', { transport: 'ws' });
		const own = await mallory.call({ service: '123', to: `sip:bob@${DOMAIN}`, callId: call.callId, tag: tagOf(call.local) });
		assert.equal(own.final.status, 200, 'she has a state with the victim in it');
		const seen = victim.requests.length;
		const back = await mallory.call({ state: `${own.state};again`, service: 'x' });
		assert.ok(victim.requests.slice(seen).every((m) => !m.get('call-state-id')));
		assert.equal(victim.requests.slice(seen).filter((m) => m.method === 'INVITE').length, 0);
		assert.ok(back.final.status === 200, 'hers is an ordinary resume');
		assert.ok(far.requests.some((m) => m.method === 'INVITE' && m.tag('to')));
	});

	test('a Route that was had once proves nothing after a revocation: nothing is relayed but the end of the call', async () => {
		const { far, call } = await lab.call();
		await lab.stack.kamailio.kamcmd('call_resume.revoke', 'sid', 's-alice');
		const stranger = await lab.party('ceo', { ip: STRANGER_IP, token: undefined });
		const asked = far.requests.length;
		for (const method of ['MESSAGE', 'INVITE', 'INFO', 'REFER', 'UPDATE', 'NOTIFY', 'SUBSCRIBE']) {
			const d = new Dialog(stranger, { callId: call.callId, routes: call.routes, target: call.target, local: `<sip:ceo@${DOMAIN}>;tag=1`, remote: '<sip:y@y>;tag=2' });
			assert.equal((await d.request(method, { body: method === 'INVITE' ? sdp(STRANGER_IP, 9) : '' })).status, 403, method);
		}
		assert.equal((await call.request('OPTIONS', { headers: ['Content-Type: text/plain'], body: 'x' })).status, 403);
		assert.equal(far.requests.length, asked);
		assert.equal((await call.request('BYE')).status, 200);
		await lab.stack.noMedia();
	});

	test('nor do the names that a client has from a resume', async () => {
		const far = await lab.far();
		const token = await lab.stack.kamailio.token(`sip:alice@${DOMAIN}`, 's-resumed');
		const lost = await (await lab.party('alice', { token, Kind: Client })).call({ service: '100' });
		const call = await (await lab.party('alice', { token })).call({ service: '100', state: lost.state });
		assert.equal(call.final.status, 200);
		assert.equal((await call.request('INFO')).status, 200);
		await lab.stack.kamailio.kamcmd('call_resume.revoke', 'sid', 's-resumed');
		const asked = far.requests.length;
		for (const method of ['INFO', 'MESSAGE', 'REFER']) assert.equal((await call.request(method)).status, 403, method);
		assert.equal(far.requests.length, asked);
		assert.equal((await call.request('BYE')).status, 200);
		await lab.stack.noMedia();
	});

	test('REGISTER and PUBLISH are not relayed in a dialog', async () => {
		const far = await lab.far();
		const mallory = await lab.party('mallory');
		const call = await mallory.call({ service: '100' });
		await far.take('the ACK', (m) => m.method === 'ACK');
		const asked = far.requests.length;
		for (const method of ['REGISTER', 'PUBLISH', 'KDMQ']) assert.equal((await call.request(method)).status, 481);
		assert.equal(far.requests.length, asked);
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('a request in a dialog opens no connection to where its sender says', async () => {
		const inside = net.createServer().listen(0, '127.0.0.1');
		let connections = 0;
		inside.on('connection', (socket) => {
			connections++;
			socket.destroy();
		});
		await once(inside, 'listening');
		try {
			await lab.far();
			const mallory = await lab.party('mallory');
			const call = await mallory.call({ service: '100' });
			const reply = await call.request('MESSAGE', { target: `sip:x@127.0.0.1:${inside.address().port};transport=tcp`, headers: ['Content-Type: text/plain'], body: '\r\nterminate all\r\n' });
			assert.ok(reply.status >= 400);
			assert.equal(connections, 0);
			assert.equal((await call.request('BYE')).status, 200);
		} finally {
			inside.close();
		}
	});
});

test('a session reference is good for reference_lifetime seconds', async () => {
	const lab = await Lab.start('age', { defines: { RESUME_REFERENCE_LIFETIME: 3 } });
	try {
		const far = await lab.far();
		const alice = await lab.party('alice', { token: lab.tokens.alice });
		const call = await alice.call({ service: '100' });
		assert.equal((await call.request('INFO')).status, 200);
		alice.token = undefined;
		await until('the reference to be too old', async () => (await call.request('INFO')).status === 403, { every_ms: 200 });
		// The far end's is of the same age: over UDP it is not believed either.
		assert.equal((await far.dialog(call.callId).request('INFO')).status, 481);
	} finally {
		await lab.clear();
		await lab.stack.stop();
	}
});

describe('fields that only the gateway writes', () => {
	let lab, far, alice, key;
	before(async () => {
		lab = await Lab.start('fields');
		far = await lab.far({ copy: true });
		alice = await lab.party('alice', { Kind: Client });
	});
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	const planted = ['Call-State-Key: kid=k1;key=AAAA;exp=9999999999', `Call-State-Id: ${'0'.repeat(32)}`, 'call-STATE-id : x', 'Call-State: junk',
		'Call-State-Fingerprint: sha-256 AA', 'Call-State-Anything: x'];

	test('a far end\'s are taken off, in replies to every method and in its requests', async () => {
		far.answer = (m) => {
			if (!['INFO', 'OPTIONS', 'UPDATE'].includes(m.method)) return true;
			far.reply(m, 200, 'OK', { headers: planted });
			return false;
		};
		const call = await alice.call({ service: '100' });
		for (const method of ['INFO', 'OPTIONS', 'UPDATE']) {
			const reply = await call.request(method);
			assert.equal(reply.status, 200);
			assert.deepEqual(reply.fields.filter((f) => f.name.startsWith('call-state') && f.name !== 'call-state'), [], method);
			assert.ok(reply.all('call-state').every((v) => v !== 'junk' && v.split('.').length === 5), method);
		}
		for (const method of ['INFO', 'NOTIFY', 'OPTIONS', 'INVITE']) {
			const asked = far.dialog(call.callId).request(method, { headers: planted, body: method === 'INVITE' ? sdp(TRUNK_IP, far.media, 2) : '' });
			const got = await alice.take(method, (m) => m.method === method);
			assert.deepEqual(got.fields.filter((f) => f.name.startsWith('call-state') && f.name !== 'call-state'), [], method);
			assert.ok(got.all('call-state').every((v) => v !== 'junk'), method);
			got.answer(replyTo(got, 488, 'No'));
			await asked;
		}
		assert.equal((await call.request('BYE')).status, 200);
		far.answer = () => true;
	});

	test('a client\'s do not get to the far end, whatever the method', async () => {
		for (const method of ['MESSAGE', 'OPTIONS', 'INVITE']) {
			const asked = far.requests.length;
			await alice.outside(method, `sip:bob@${DOMAIN}`, { headers: planted.filter((f) => !/^Call-State: /.test(f)), body: method === 'INVITE' ? sdp('127.0.0.1', 4000) : '' });
			assert.equal(far.requests[asked].method, method);
			assert.deepEqual(far.requests[asked].fields.filter((f) => f.name.startsWith('call-state')), [], method);
		}
	});

	test('the key, the state and the id that the gateway gives show nothing of its mark', async () => {
		const reg = await alice.register();
		key = reg.get('call-state-key');
		assert.match(key, /^kid=\w+;key=[\w-]{43};exp=\d+$/);
	});

	test('a head with a bare CR, LF or NUL goes to nobody', async () => {
		const call = await alice.call({ service: '100' });
		await far.take('the ACK', (m) => m.method === 'ACK' && m.callId === call.callId);
		const dropped = await lab.stat('heads_malformed');
		const { length } = lab.stack.kamailio.log();
		for (const [i, bare] of ['\r', '\n', '\0'].entries()) {
			far.send(far.dialog(call.callId).text('INFO', { headers: [`Subject: x${bare}Call-State-Id: ${'0'.repeat(32)}`] }));
			far.send(message('SIP/2.0 200 OK', [`Via: SIP/2.0/UDP ${lab.stack.gateway};branch=z9hG4bK${random()}`, `Server: x${bare}Call-State: junk`,
				'From: <sip:a@a>;tag=1', 'To: <sip:b@b>;tag=2', 'Call-ID: x', 'CSeq: 1 INVITE']));
			await until('them to be dropped', async () => await lab.stat('heads_malformed') === dropped + 2 * (i + 1));
		}
		assert.equal(alice.inbox.filter((m) => m.method === 'INFO').length, 0);
		assert.equal(lab.stack.kamailio.log().slice(length), '');
		assert.equal((await call.request('BYE')).status, 200);
	});
});

/* ---- calls that are bound to a certificate ------------------------------------------- */

const fingerprint = () => `sha-256 ${[...randomBytes(32)].map((b) => b.toString(16).padStart(2, '0').toUpperCase()).join(':')}`;
const webMedia = (fp, { port = 4000, version = 1, setup = 'actpass' } = {}) => ['v=0', `o=- 1 ${version} IN IP4 127.0.0.1`, 's=-', 'c=IN IP4 127.0.0.1', 't=0 0',
	`m=audio ${port} UDP/TLS/RTP/SAVPF 8`, 'a=rtpmap:8 PCMA/8000', 'a=rtcp-mux', 'a=ice-ufrag:abcd', 'a=ice-pwd:abcdefghijklmnopqrstuv',
	`a=candidate:1 1 UDP 2122252543 127.0.0.1 ${port} typ host`, `a=setup:${setup}`, `a=fingerprint:${fp}`, ''].join('\r\n');

for (const mode of [1, 2]) {
	describe(`a thief of token and state, bind_fingerprint ${mode}`, () => {
		const MINE = fingerprint();
		const OTHER = fingerprint();
		let lab;
		before(async () => { lab = await Lab.start(`bound-${mode}`, { defines: { RESUME_BIND_FINGERPRINT: mode } }); });
		beforeEach(() => lab.clear());
		after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

		const keyOf = (reg) => Buffer.from(/key=([\w-]+)/.exec(reg.get('call-state-key'))[1], 'base64url');

		/** A bound call of alice's, its state opened by the thief, and a party of his. */
		async function stolen({ transport = 'ws' } = {}) {
			const far = await lab.far();
			const alice = await lab.party('alice', { transport: 'ws' });
			const key = keyOf(await alice.register({ headers: [`Call-State-Fingerprint: ${MINE}`] }));
			const call = await alice.call({ headers: [`Call-State-Fingerprint: ${MINE}`], body: webMedia(MINE) });
			assert.equal(call.final.status, 200);
			await far.take('the ACK', (m) => m.method === 'ACK');
			const state = openState(call.state, key);
			assert.ok(state.fp, 'bound');
			far.audio.send(audioPort(far.requests.find((m) => m.method === 'INVITE').body), '127.0.0.1');
			const spy = lab.keep(await Rtp.open());
			const thief = await lab.party('alice', { transport, media: spy.port });
			const dialog = (routes) => new Dialog(thief, { callId: state.call_id, routes: routes ?? state.routes.map((r) => `<${r}>`), target: state.target,
				local: `<${state.local_uri}>;tag=${state.local_tag}`, remote: `<${state.remote_uri}>;tag=${state.remote_tag}`, cseq: state.cseq + 500 });
			return { far, alice, call, state, thief, spy, dialog };
		}

		/** rtpengine still sends to alice, and the spy has heard nothing. */
		async function safe({ state, spy, far }) {
			const ports = await lab.endpoints(state.call_id);
			assert.equal(ports[state.local_tag], 4000);
			const { sent } = far.audio;
			await until('the far end to have sent more', () => far.audio.sent > sent + 5);
			assert.equal(spy.received, 0);
		}

		for (const named of [undefined, OTHER, MINE]) {
			const what = { undefined: 'without a fingerprint', [OTHER]: 'with his own', [MINE]: 'with the victim\'s' }[named];
			test(`a new call with the victim's Call-ID, ${what}: no reference for it`, async () => {
				const s = await stolen();
				const asked = s.far.requests.length;
				const own = await s.thief.call({ callId: s.state.call_id, headers: named ? [`Call-State-Fingerprint: ${named}`] : [], body: webMedia(OTHER, { port: 4444 }) });
				assert.equal(own.final.status, 482);
				assert.deepEqual(own.final.recordRoutes, []);
				assert.equal(s.far.requests.length, asked);
				await safe(s);
			});
		}

		test('a call that names the victim\'s fingerprint and offers another certificate: no state, and no media in it', async () => {
			const s = await stolen();
			const own = await s.thief.call({ headers: [`Call-State-Fingerprint: ${MINE}`], body: webMedia(OTHER, { port: 4444 }) });
			assert.equal(own.final.status, 200);
			assert.equal(own.state, undefined);
			assert.equal((await own.request('INVITE', { body: webMedia(MINE, { version: 2 }) })).status, 403);
			assert.equal((await own.request('BYE')).status, 200);
			await safe(s);
		});

		test('an UPDATE that moves the Contact, and his answer to the far end\'s next offer: goes to nobody', async () => {
			const s = await stolen({ transport: 'udp' });
			s.thief.token = undefined;
			s.far.answer = (m) => {
				if (m.method !== 'UPDATE') return true;
				s.far.dialog(m.callId).target = m.contact;
				s.far.reply(m, 200, 'OK', { contact: true });
				return false;
			};
			const d = s.dialog();
			assert.equal((await d.request('UPDATE')).status, 200, 'the signalling is what SIP lets him have');
			s.thief.dialogs.set(s.state.call_id, d);
			const refused = await lab.stat('fingerprints_refused');
			const bodies = [sdp('127.0.0.1', s.spy.port, 9), webMedia(OTHER, { port: 4444, setup: 'active', version: 9 })];
			for (const [i, body] of bodies.entries()) {
				s.thief.answer = (m) => {
					if (m.method !== 'INVITE') return true;
					s.thief.reply(m, 200, 'OK', { body, contact: true, copy: true });
					return false;
				};
				const reply = await s.far.dialog(s.state.call_id).request('INVITE', { body: sdp(TRUNK_IP, s.far.media, 2 + i) });
				s.far.dialog(s.state.call_id).ack();
				assert.equal(reply.status, 200);
				assert.equal(reply.body, '');
				assert.equal(await lab.stat('fingerprints_refused'), refused + i + 1);
			}
			await safe(s);
			assert.match(lab.stack.kamailio.log(), /NOTICE: .*answer from 127.0.0.1 refused: the call is bound to another certificate/);
		});

		test('an answer in a body of several parts, and one in a 183, are judged too', async () => {
			const s = await stolen({ transport: 'udp' });
			s.far.answer = (m) => {
				if (m.method !== 'UPDATE') return true;
				s.far.dialog(m.callId).target = m.contact;
				s.far.reply(m, 200, 'OK', { contact: true });
				return false;
			};
			const d = s.dialog();
			assert.equal((await d.request('UPDATE')).status, 200);
			s.thief.dialogs.set(s.state.call_id, d);
			const parts = `--b\r\nContent-Type: application/sdp\r\n\r\n${sdp('127.0.0.1', s.spy.port, 9)}\r\n--b--\r\n`;
			s.thief.answer = (m) => m.method !== 'INVITE';
			const asked = s.far.dialog(s.state.call_id).request('INVITE', { body: sdp(TRUNK_IP, s.far.media, 2) });
			const invite = await s.thief.take('the INVITE', (m) => m.method === 'INVITE');
			s.thief.reply(invite, 183, 'Progress', { body: sdp('127.0.0.1', s.spy.port, 9), contact: true, copy: true });
			const early = await s.far.take('the 183', (m) => m.status === 183);
			s.thief.reply(invite, 200, 'OK', { body: parts, headers: ['Content-Type: multipart/mixed;boundary=b'], contact: true, copy: true });
			const reply = await asked;
			s.far.dialog(s.state.call_id).ack();
			assert.equal(early.body, '');
			assert.equal(reply.body, '');
			assert.equal(reply.get('content-type'), undefined);
			await safe(s);
		});

		test('a called client answers with the certificate that it has registered with, or with none', async () => {
			const far = await lab.far();
			const alice = await lab.party('alice', { transport: 'ws' });
			assert.equal((await alice.register({ headers: [`Call-State-Fingerprint: ${MINE}`] })).status, 200);
			for (const [fp, answered] of [[OTHER, false], [MINE, true]]) {
				alice.answer = (m) => {
					if (m.method !== 'INVITE') return true;
					alice.dialogs.set(m.callId, new Dialog(alice, { callId: m.callId, local: `${m.get('to')};tag=${random(4)}`, remote: m.get('from'), routes: m.recordRoutes, target: m.contact }));
					alice.reply(m, 200, 'OK', { body: webMedia(fp, { setup: 'active' }), contact: true, copy: true });
					return false;
				};
				const call = await far.call({ service: 'alice', to: `sip:alice@${DOMAIN}` });
				assert.equal(call.final.status, 200);
				assert.equal(call.final.body !== '', answered, fp === MINE ? 'its own' : 'another');
				assert.equal((await call.request('BYE')).status, 200);
			}
		});

		test('the client itself: its answer to the far end\'s offer is taken', async () => {
			const s = await stolen();
			const alice = s.alice;
			alice.answer = (m) => {
				if (m.method !== 'INVITE') return true;
				alice.reply(m, 200, 'OK', { body: webMedia(MINE, { version: 3, setup: 'active' }), contact: true, copy: true });
				return false;
			};
			const reply = await s.far.dialog(s.state.call_id).request('INVITE', { body: sdp(TRUNK_IP, s.far.media, 2) });
			s.far.dialog(s.state.call_id).ack();
			assert.match(reply.body, /m=audio/);
			await safe(s);
			assert.equal((await s.call.request('BYE')).status, 200);
		});

		test('a stray answer with the reference of the call, which the state has: not taken', async () => {
			const s = await stolen({ transport: 'udp' });
			const refused = await lab.stat('fingerprints_refused');
			const before = await lab.endpoints(s.state.call_id);
			for (const [from, to] of [[s.state.local_tag, s.state.remote_tag], [s.state.remote_tag, s.state.local_tag]]) {
				s.thief.send(stray(lab, { callId: s.state.call_id, from, to, via: `SIP/2.0/UDP 127.0.0.1:${s.thief.port}`,
					fields: s.state.routes.map((r) => `Record-Route: <${r}>`), body: sdp('127.0.0.1', s.spy.port, 9) }));
			}
			await until('them to be refused', async () => await lab.stat('fingerprints_refused') === refused + 2);
			assert.deepEqual(await lab.endpoints(s.state.call_id), before);
			await safe(s);
		});
	});
}
