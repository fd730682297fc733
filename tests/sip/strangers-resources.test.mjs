// SPDX-License-Identifier: GPL-2.0-or-later
// Thousands of connections of one who never says who he is, at the configuration as it is and with 64 MB: those of
// others, their calls and resumes go on, the memory comes back, and a line says what was done.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { freePort } from '../lib/ports.mjs';
import { Rtp, audioPort } from '../lib/rtp.mjs';
import { FarEnd, message, random, sdp } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

const STRANGER = '127.0.0.66';
const ALICE = '127.0.0.3';

let stack, own;
let open = [];
before(async () => { stack = await Stack.start('strangers-resources', { web: true, defines: { RESUME_ALLOW_INSECURE: 1 } }); });
afterEach(async () => {
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
	await own?.stop();
	own = undefined;
});
after(() => stack?.stop());

const keep = (s) => (open.push(s), s);
const at = (transport, from = stack) => ({
	ip: from.kamailio.ip, port: transport === 'ws' ? from.kamailio.ws : from.kamailio.port,
});

/** A user on a connection of her own; it may take a few tries, as a page or phone makes them. */
async function user({ name = 'alice', transport = 'ws', from = stack, to = at(transport, from), ip = ALICE, tries = 20, token } = {}) {
	token ??= await from.kamailio.token(`sip:${name}@${DOMAIN}`, `s-${name}`);
	for (let i = 1; ; i++) {
		try {
			const media = transport === 'udp' ? keep(await Rtp.open({ ip })) : undefined;
			const client = keep(await FarEnd.open({ user: name, token, transport, to, ip, media: media?.port }));
			assert.equal((await client.register()).status, 200);
			return Object.assign(client, { audio: media, tries: i });
		} catch (e) {
			if (i === tries) throw e;
			await new Promise((resolve) => { setTimeout(resolve, 250); });
		}
	}
}

async function farEnd(from = stack) {
	const audio = keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
	return keep(await FarEnd.open({ ip: TRUNK_IP, port: from.trunkPort, media: audio.port, to: at('udp', from) }));
}

/** Connections that are made and left alone. */
class Crowd {
	constructor(what) {
		Object.assign(this, { connected: 0, closed: 0, webSockets: 0, most: 0, answers: {}, sockets: [], ...what });
	}

	/** @param first  what each of them says, once */
	async grow(n, { host = '127.0.0.1', port, from = STRANGER, secure = false, first }) {
		for (let i = 0; i < n; i++) {
			const where = { host, port, localAddress: from, rejectUnauthorized: false };
			const s = secure ? tls.connect(where) : net.connect(where);
			s.once(secure ? 'secureConnect' : 'connect', () => {
				this.connected++;
				if (first) s.write(first);
			});
			s.once('data', (data) => {
				const status = /^HTTP\/1.1 (\d+)/.exec(data.toString('latin1'))?.[1];
				this.answers[status] = (this.answers[status] ?? 0) + 1;
				if (status !== '101') return;
				// How many WebSockets there are at a time, as we see it.
				this.most = Math.max(this.most, ++this.webSockets);
				s.once('close', () => this.webSockets--);
			});
			s.on('error', () => {});
			s.on('close', () => this.closed++);
			this.sockets.push(s);
			if (i % 50 === 49) await new Promise(setImmediate);
		}
	}

	get open() {
		return this.sockets.length - this.closed;
	}

	close() {
		for (const s of this.sockets) s.destroy();
	}
}

const handshake = (path = '/') => [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade',
	'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: sip', '\r\n'].join('\r\n');

const used = async () => Number(/real_used: (\d+)/.exec(await stack.kamailio.kamcmd('core.shmmem'))[1]);
const connections = async (from = stack) => Number(/opened_connections: (\d+)/.exec(await from.kamailio.kamcmd('core.tcp_info'))[1]);
const lines = (pattern, from = 0) => stack.kamailio.log().slice(from).split('\n').filter((l) => pattern.test(l));

/** A call over UDP and one over WebSocket that are up before; what is left of them, and of new ones, under the crowd. */
async function callsGoOnUnder(crowdOf) {
	const bob = await farEnd();
	const phone = await user({ name: 'carol', transport: 'udp' });
	const page = await user();
	const calls = [await phone.call({ body: sdp(ALICE, phone.media) }), await page.call()];
	for (const { final } of calls) assert.equal(final.status, 200);
	phone.audio.send(audioPort(calls[0].final.body), stack.rtpengine.ip);
	await until('audio', () => phone.audio.received > 5);
	const log = stack.kamailio.log().length;
	const before = await used();

	const crowd = keep(new Crowd());
	const growing = crowdOf(crowd);
	await until('it to be there', () => crowd.connected > 500);
	const { received } = phone.audio;
	for (const dialog of calls) assert.equal((await dialog.request('INFO')).status, 200, 'a call that is up goes on');
	assert.equal((await (await user({ name: 'dora', transport: 'udp' })).call()).final.status, 200, 'a new call over UDP');
	assert.equal((await (await user({ name: 'emil' })).call()).final.status, 200, 'a new call of a new page');
	page.close();
	const again = await (await user()).call({ state: calls[1].state });
	assert.equal(again.final.status, 200, 'a resume');
	await growing;
	assert.ok(phone.audio.received > received, 'audio goes on');
	for (const dialog of [calls[0], again]) assert.equal((await dialog.request('BYE')).status, 200);
	return { crowd, log, before };
}

/** They are gone, and so is what they took. */
async function itComesBack(it, at_most_s) {
	await until('them to be closed', () => it.crowd.open === 0, { timeout_ms: at_most_s * 1000 });
	await theMemoryComesBack(it);
}

const theMemoryComesBack = ({ before }) => until('the memory to be back', async () => await used() - before < 1.5e6);

test('10,000 silent connections of one address', async () => {
	const it = await callsGoOnUnder((crowd) => crowd.grow(10000, { port: stack.kamailio.port }));
	await until('all but as many as one may have to be closed', () => it.crowd.open <= 250);
	assert.equal(it.crowd.connected, 10000);
	const said = lines(/closed \d+ connections that had proved nothing: \d+ more than 250 of one address/, it.log);
	assert.ok(said.length > 0 && said.length < 30, `${said.length} lines`);
	assert.match(await stack.kamailio.kamcmd('call_resume.stats'), /unproved_closed: [1-9]/);
	await itComesBack(it, 25);
});

test('2,000 silent WebSockets of one address, straight', async () => {
	const it = await callsGoOnUnder((crowd) => crowd.grow(2000, { port: stack.kamailio.ws, first: handshake() }));
	await until('all but as many as one may have to be closed', () => it.crowd.open <= 250);
	assert.ok(it.crowd.answers[101] > 0);
	assert.deepEqual(Object.keys(it.crowd.answers).filter((s) => !['101', '503'].includes(s)), []);
	await itComesBack(it, 45);
});

test('WebSockets that one address opens and closes at once take no more than those that stay, and a page of another one comes in', async () => {
	const before = await used();
	const seen = {};
	let most = 0, over = false;
	const churn = async () => {
		while (!over) {
			await new Promise((resolve) => {
				const s = net.connect({ host: '127.0.0.1', port: stack.kamailio.ws, localAddress: STRANGER }, () => s.write(handshake()));
				s.on('error', () => {}).on('close', resolve).once('data', (data) => {
					const status = /^HTTP\/1.1 (\d+)/.exec(data.toString('latin1'))?.[1];
					seen[status] = (seen[status] ?? 0) + 1;
					s.resetAndDestroy();
				});
			});
		}
	};
	const all = Array.from({ length: 40 }, churn);
	try {
		for (let i = 0; i < 15; i++) {
			await new Promise((resolve) => { setTimeout(resolve, 200); });
			most = Math.max(most, await used());
		}
		assert.ok(most - before < 45e6, `${most - before} bytes`);
		const page = await user({ name: 'fred' });
		assert.equal(page.tries, 1);
		page.close();
	} finally {
		over = true;
		await Promise.all(all);
	}
	assert.ok(seen[101] > 100 && seen[101] < 700, JSON.stringify(seen));
	await until('the memory to be back', async () => await used() - before < 1.5e6, { timeout_ms: 15000 });
	// And then it may have some again.
	await until('one', async () => {
		const again = keep(new Crowd());
		await again.grow(1, { port: stack.kamailio.ws, first: handshake() });
		await new Promise((resolve) => { setTimeout(resolve, 200); });
		return again.answers[101] === 1;
	});
});

test('nor do many addresses keep the page of another one out that way', async () => {
	own = await Stack.start('strangers-resources-many', { defines: { CONNECTIONS_MAX: 512, UNPROVED_MAX: 16 } });
	let over = false, closed = 0, refused = 0;
	const churn = async (localAddress) => {
		while (!over) {
			await new Promise((resolve) => {
				const s = net.connect({ host: '127.0.0.1', port: own.kamailio.ws, localAddress }, () => s.write(handshake()));
				s.on('error', () => {}).on('close', resolve).once('data', (data) => {
					if (data.toString('latin1').startsWith('HTTP/1.1 101')) closed++;
					else refused++;
					s.resetAndDestroy();
				});
			});
			await new Promise((resolve) => { setTimeout(resolve, 20); });
		}
	};
	const all = Array.from({ length: 12 }, (_, i) => churn(`127.0.66.${i + 1}`));
	try {
		await until('them to have what they may have', () => refused > 200);
		for (let i = 0; i < 3; i++) {
			const page = await user({ name: 'fred', from: own, ip: `127.0.0.${10 + i}` });
			assert.equal(page.tries, 1, `${closed} WebSockets`);
			page.close();
		}
	} finally {
		over = true;
		await Promise.all(all);
	}
});

/** WebSockets that are opened and closed at once, as fast as it goes. @param proof  what makes them somebody's */
function churn({ n, seconds, connect, path, proof }) {
	const seen = {};
	const count = (what) => { seen[what] = (seen[what] ?? 0) + 1; };
	let over = false;
	const one = (i) => new Promise((resolve) => {
		const s = connect(i);
		let got = '';
		s.on('error', () => {}).on('close', resolve).on('data', (data) => {
			const answered = /^HTTP\/1.1 (\d+)/.exec(got);
			got += data.toString('latin1');
			const [, status] = /^HTTP\/1.1 (\d+)/.exec(got) ?? [];
			if (!answered && status) count(status);
			if (!answered && status === '101' && proof) s.write(proof());
			else if (status && (status !== '101' || !proof)) s.destroy();
			else if (/SIP\/2.0 \d+/.test(got)) setTimeout(() => s.destroy(), 40); // it has been seen meanwhile
		});
		s.write(handshake(path));
	});
	const all = Array.from({ length: n }, async (_, i) => {
		while (!over) await one(i);
	});
	const most = async () => {
		let at_most = 0;
		for (let i = 0; i < 5 * seconds; i++) {
			await new Promise((resolve) => { setTimeout(resolve, 200); });
			at_most = Math.max(at_most, await used());
		}
		return at_most;
	};
	return { seen, most, stop: () => { over = true; return Promise.all(all); } };
}

/** In a frame, with a mask of zeros. */
const framed = (text) => {
	const body = Buffer.from(text, 'latin1');
	return Buffer.concat([Buffer.from([0x81, 0xfe, body.length >> 8, body.length & 255, 0, 0, 0, 0]), body]);
};

test('WebSockets that a user opens and closes at once take no more than those that a stranger may have', async () => {
	const token = await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 's-mallory');
	const before = await used();
	const it = churn({
		n: 60, seconds: 5, connect: () => net.connect({ host: '127.0.0.1', port: stack.kamailio.ws, localAddress: STRANGER }),
		proof: () => framed(message(`OPTIONS sip:${DOMAIN} SIP/2.0`, [`Via: SIP/2.0/WS x.invalid;branch=z9hG4bK${random()}`, 'Max-Forwards: 70',
			`From: <sip:mallory@${DOMAIN}>;tag=1`, `To: <sip:${DOMAIN}>`, `Call-ID: ${random()}`, 'CSeq: 1 OPTIONS', `Authorization: Bearer ${token}`])),
	});
	try {
		const most = await it.most();
		assert.ok(most - before < 45e6, `${most - before} bytes, ${JSON.stringify(it.seen)}`);
		const page = await user({ name: 'fred' });
		assert.equal(page.tries, 1);
		page.close();
	} finally {
		await it.stop();
	}
	await until('the memory to be back', async () => await used() - before < 1.5e6, { timeout_ms: 15000 });
	// And then she is somebody again, with all that she may have, and once more.
	await new Promise((resolve) => { setTimeout(resolve, 2500); });
	const pages = [];
	for (let i = 0; i < 60; i++) {
		if (i % 20 === 0) pages.splice(0).forEach((page) => page.close());
		pages.push(await user({ name: 'mallory', token, ip: STRANGER, tries: 1 }));
	}
	await new Promise((resolve) => { setTimeout(resolve, 11000); }); // longer than one that has proved nothing may be silent
	for (const page of pages) assert.equal((await page.register()).status, 200, 'a page that was reloaded is still connected');
});

test('nor do those of many addresses that come through nginx', async () => {
	const before = await used();
	const it = churn({ n: 120, seconds: 6, path: '/ws', connect: (i) => tls.connect({ host: '127.0.0.1', port: stack.web.port, localAddress: `127.0.66.${1 + i % 12}`, rejectUnauthorized: false }) });
	try {
		const most = await it.most();
		assert.ok(most - before < 130e6, `${most - before} bytes, ${JSON.stringify(it.seen)}`);
		const page = await user({ name: 'fred', transport: 'wss', to: { ip: stack.web.ip, port: stack.web.port, host: `localhost:${stack.web.port}`, path: '/ws' } });
		assert.ok(page.tries < 4, `${page.tries} tries`);
		page.close();
	} finally {
		await it.stop();
	}
	await until('the memory to be back', async () => await used() - before < 1.5e6, { timeout_ms: 15000 });
	// They count for seven seconds, for whoever comes next too.
	await new Promise((resolve) => { setTimeout(resolve, 7500); });
});

/** Half a request for a WebSocket, for Kamailio: nginx knows no "L". Resolves when it is over. */
async function halfRequest() {
	const s = tls.connect({ host: '127.0.0.1', port: stack.web.port, rejectUnauthorized: false });
	let closed = false;
	s.on('error', () => {});
	s.on('data', () => {});
	s.on('close', () => { closed = true; });
	s.write('GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nL: 9\r\n\r\n');
	await until('it to be over', () => closed, { timeout_ms: 35000 });
}

test('2,000 silent WebSockets of one address, through nginx; a request that lacks its body does not hang', async () => {
	const half = halfRequest();
	const it = await callsGoOnUnder((crowd) => crowd.grow(2000, { port: stack.web.port, secure: true, first: handshake('/ws') }));
	// On a slow machine the first ones are closed before the last ones come; and we hear of it later than nginx.
	assert.ok(it.crowd.most >= 200 && it.crowd.most <= 320, `${it.crowd.most} at a time`);
	assert.ok(it.crowd.answers[429] > 500, JSON.stringify(it.crowd.answers));
	await half;
	await until('them to be closed', () => it.crowd.webSockets === 0, { timeout_ms: 45000 });
	await theMemoryComesBack(it);
});

test('WebSockets that say nothing leave no line, straight and through nginx', async () => {
	own = await Stack.start('strangers-resources-silent', { web: true, defines: { SILENCE_UNPROVED: 2, WS_KEEPALIVE: 2 } });
	const { kamailio, web } = own;
	const there = async () => Number(/\d+/.exec(await kamailio.kamcmd('cnt.get', 'websocket', 'ws_current_connections'))[0]);
	const { length } = kamailio.log();
	const crowd = keep(new Crowd());
	await crowd.grow(20, { port: kamailio.ws, first: handshake() });
	await crowd.grow(20, { port: web.port, secure: true, first: handshake('/ws') });
	await until('them to be there', () => crowd.answers[101] === 40);
	await until('them to be closed', () => crowd.open === 0, { timeout_ms: 20000 });
	await until('Kamailio to have forgotten them', async () => await there() === 0, { timeout_ms: 20000 });
	assert.deepEqual(kamailio.logged(/./, length), []);
});

test('200 pages behind one NAT come, and come again while the old connections are still there', async () => {
	// Of users: one alone may not have so many.
	const names = Array.from({ length: 20 }, (_, i) => `alice${i}`);
	const tokens = await Promise.all(names.map((name) => stack.kamailio.token(`sip:${name}@${DOMAIN}`, `s-${name}`)));
	const all = () => Promise.all(Array.from({ length: 200 }, (_, i) => user({ ip: '127.0.0.65', tries: 1, name: names[i % 20], token: tokens[i % 20] })));
	await all();
	await all();
	assert.ok(await connections() >= 400);
});

test('200 pages behind one NAT come through nginx, are lost, and come again', async () => {
	for (let round = 0; round < 2; round++) {
		// These prove nothing; of pages that do, see the test before, the old ones may still be there.
		await until('the connections of others to be gone', async () => await connections() === 0);
		const pages = keep(new Crowd());
		const answered = () => Object.values(pages.answers).reduce((a, b) => a + b, 0);
		let asked = 0;
		const ask = async (n) => {
			asked += n;
			await pages.grow(n, { port: stack.web.port, from: '127.0.0.64', secure: true, first: handshake('/ws') });
			await until('all to be answered', () => answered() === asked);
			return pages.answers[101];
		};
		await ask(200);
		// The gateway looks every 0.02 s who is gone: until then some of the new ones may be too many, and come again.
		await until('all to be let in', async () => pages.answers[101] === 200 || await ask(1) === 200, { every_ms: 100 });
		pages.close();
		await until('them to be gone', () => pages.open === 0);
	}
});

test('a /64 of IPv6 is one address, another one is another', { skip: process.env.CALL_RESUME_NETNS ? false : 'not in a network of its own' }, async (t) => {
	const net64 = (n, host) => `fd00:66:0:${n}::${host}`;
	const hosts = Array.from({ length: 10 }, (_, i) => i + 1);
	const addresses = (what, ...more) => [...hosts.map((host) => net64(1, host)), net64(2, 1)].forEach((ip) => execFileSync('ip', ['-6', 'addr', what, `${ip}/128`, 'dev', 'lo', ...more]));
	addresses('add', 'nodad');
	t.after(() => addresses('del'));
	const port = await freePort();
	own = await Stack.start('strangers-resources-v6', { defines: { LISTEN_TCP: `tcp:[::1]:${port}` } });
	const crowd = keep(new Crowd());
	for (const host of hosts) await crowd.grow(30, { host: '::1', port, from: net64(1, host) });
	const other = keep(new Crowd());
	await other.grow(30, { host: '::1', port, from: net64(2, 1) });
	await until('the surplus to be closed', () => crowd.open === 250 && crowd.connected === 300);
	assert.equal(other.open, 30);
});

/** Says something now and then, and is closed; resolves when it is. */
async function talksIdly(port, secure = false) {
	let closed = false;
	const slow = (secure ? tls : net).connect({ host: '127.0.0.1', port, localAddress: STRANGER, rejectUnauthorized: false });
	slow.on('error', () => {});
	slow.on('close', () => { closed = true; });
	const timer = setInterval(() => slow.write('\r\n\r\n'), 300);
	try {
		await until('the slow one to be closed', () => closed, { timeout_ms: 15000 });
	} finally {
		clearInterval(timer);
		slow.destroy();
	}
}

test('who talks and proves nothing is closed all the same, who has a token is not; a WebSocket that answers no ping is', async () => {
	own = await Stack.start('strangers-resources-own', {
		defines: { SILENCE_UNPROVED: 2, UNPROVED_TIME: 4, WS_KEEPALIVE: 1, SILENCE_WS: 4, BINDINGS_CHECK: 2 },
	});
	const phone = await user({ name: 'carol', transport: 'tcp', from: own });
	const page = await user({ name: 'emil', from: own });
	const gone = await user({ from: own });
	let closed = false;
	gone.socket.on('close', () => { closed = true; });
	gone.webSocket.send = () => {};
	await talksIdly(own.kamailio.port);
	await until('the connection without pongs to be closed', () => closed, { timeout_ms: 15000 });
	await until('its binding to be gone', async () => !/alice/.test(await own.kamailio.kamcmd('ul.dump')), { timeout_ms: 15000 });
	for (const client of [phone, page]) assert.equal((await client.register()).status, 200);
	assert.equal(await connections(own), 2);
	assert.match(await own.kamailio.kamcmd('ul.dump'), /carol[^]*emil|emil[^]*carol/);
});

test('over TLS the same: who talks is closed, and no address has more than its number', async () => {
	own = await Stack.start('strangers-resources-tls', { tls: true, defines: { UNPROVED_TIME: 4, UNPROVED_MAX: 20, RESUME_LOG_DAMAGED: 1 } });
	const { tls: port } = own.kamailio;
	const phone = await user({ name: 'carol', transport: 'tls', from: own, to: { ip: '127.0.0.1', port } });
	const crowd = keep(new Crowd());
	await crowd.grow(50, { port, secure: true });
	await until('the surplus to be closed', () => crowd.closed >= 30);
	assert.equal(crowd.open, 20);
	await talksIdly(port, true);
	assert.equal((await phone.register()).status, 200);
});

test('there are more files than connections', async () => {
	const [, limit] = /^Max open files +(\d+)/m.exec(fs.readFileSync(`/proc/${stack.kamailio.proc.pid}/limits`, 'utf8'));
	const [, most] = /max_connections: (\d+)/.exec(await stack.kamailio.kamcmd('core.tcp_info'));
	assert.ok(Number(limit) > Number(most) + 200, `${limit} files, ${most} connections`);
});
