// SPDX-License-Identifier: GPL-2.0-or-later
// Who takes all of Kamailio's connections: a user with a password, or strangers of several addresses. At the
// configuration as it is, and with nginx.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';

import { Visitor } from '../lib/portal.mjs';
import { Phone, withPassword } from '../lib/phone.mjs';
import { Endpoint, FarEnd, replyTo } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { sleep, until } from '../lib/wait.mjs';

const USER_MAX = 20;
let stack, ca, mallory, alice;
let open = [];
const keep = (x) => (open.push(x), x);
const at = () => ({ ip: stack.kamailio.ip, port: stack.kamailio.port });

before(async () => {
	const dir = runFolder('strangers-connections');
	stack = await Stack.start('strangers-connections', { dir, web: true, defines: { CONNECTIONS_MAX: 1024, WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${dir}/portal.sqlite"` } });
	({ certificate: { cert: ca } } = stack);
	mallory = stack.portal.add(`mallory@${DOMAIN}`);
	alice = stack.portal.add(`alice@${DOMAIN}`);
});
afterEach(async () => {
	open.splice(0).forEach((x) => x.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

async function phone(user, password, ip) {
	const p = keep(await Phone.open({ user, password, transport: 'tcp', ip, to: at() }));
	p.socket.once('close', () => { p.gone = true; });
	return p;
}
const there = (phones) => phones.filter((p) => !p.gone).length;
/** Without a cookie: 401. */
const portal = async () => (await new Visitor(stack.web.url, { ca }).renew()).status;

test('a user has so many connections, and the oldest one is closed: others get in', async () => {
	const log = stack.kamailio.log().length;
	const phones = [];
	for (let i = 0; i < 300; i++) {
		const p = await phone('mallory', mallory, '127.0.0.66');
		assert.equal((await p.outside('OPTIONS', `sip:${DOMAIN}`)).status, 200);
		phones.push(p);
	}
	await until('all but so many to be closed', () => there(phones) <= USER_MAX);
	assert.equal(there(phones.slice(-USER_MAX)), USER_MAX, 'the newest stay');
	assert.equal((await (await phone('alice', alice, '127.0.0.3')).register()).status, 200);
	assert.equal(await portal(), 401);
	const lines = stack.kamailio.log().slice(log).match(/closed \d+ connections of users that had more than 20/g);
	assert.ok(lines.length > 0 && lines.length < 60, `${lines.length} lines`);
	assert.match(await stack.kamailio.kamcmd('call_resume.stats'), /\bproved_closed: 2[0-9]{2}/);
});

test('... nor has he more by requests in a call of his', async () => {
	keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } }));
	const call = await (await phone('mallory', mallory, '127.0.0.66')).call({ service: '100' });
	assert.equal(call.final.status, 200);
	const phones = [];
	for (let i = 0; i < 60; i++) {
		const p = await phone('mallory', mallory, '127.0.0.66');
		p.send(call.text('INFO'));
		assert.equal((await p.take('the answer', (m) => m.status >= 200)).status, 200);
		phones.push(p);
	}
	await until('all but so many to be closed', () => there(phones) <= USER_MAX);
	assert.equal(there(phones.slice(-USER_MAX)), USER_MAX);
});

test('... nor does the other end of his call close those that he has', async () => {
	const caller = await phone('alice', alice, '127.0.0.3');
	assert.equal((await caller.register()).status, 200);
	const callee = keep(await withPassword(FarEnd).open({ user: 'mallory', account: 'mallory', password: mallory, transport: 'tcp', ip: '127.0.0.66', to: at() }));
	assert.equal((await callee.register()).status, 200);
	const call = await caller.call({ service: 'mallory' });
	assert.equal(call.final.status, 200);
	const dialog = callee.dialog(call.callId);
	const phones = [];
	for (let i = 0; i < 60; i++) {
		const p = await phone('mallory', mallory, '127.0.0.66');
		p.send(dialog.text('OPTIONS'));
		phones.push(p);
	}
	await until('all but so many to be closed', () => there(phones) <= USER_MAX);
	assert.ok(!caller.gone, 'hers is there');
	assert.equal((await caller.register()).status, 200);
});

/** Strangers of so many addresses, each with so many silent connections, made again half a second after they are closed. */
class Strangers {
	/** @param through  nginx: they ask for WebSockets there, once each */
	constructor(addresses, each, through) {
		Object.assign(this, { addresses, each, through, on: true, sockets: new Set(), made: 0, answered: 0 });
	}

	#one(ip) {
		const s = this.through ? tls.connect({ host: this.through.ip, port: this.through.port, localAddress: ip, rejectUnauthorized: false })
			: net.connect({ ...Strangers.to(), localAddress: ip });
		this.made++;
		if (this.through) s.once('secureConnect', () => s.write(handshake(this.through.url)));
		this.sockets.add(s);
		s.on('error', () => {});
		s.once('data', () => this.answered++);
		s.on('data', () => {});
		s.on('close', () => {
			this.sockets.delete(s);
			if (this.on && !this.through) setTimeout(() => this.on && this.#one(ip), 250 + 500 * Math.random()).unref();
		});
	}

	static to() {
		return { host: stack.kamailio.ip, port: stack.kamailio.port };
	}

	async come() {
		for (const ip of this.addresses) {
			for (let i = 0; i < this.each; i++) {
				this.#one(ip);
				if (i % 50 === 49) await sleep(20);
			}
		}
		if (this.through) return until('all to be answered', () => this.answered === this.made);
		return until('them to be back again', () => this.made > 1.2 * this.addresses.length * this.each);
	}

	close() {
		this.on = false;
		for (const s of this.sockets) s.destroy();
	}
}

/** Somebody who asks without a password, over a connection of his own: whether there is an answer. */
async function answered() {
	const p = keep(await Phone.open({ user: 'alice', password: alice, transport: 'tcp', ip: '127.0.0.3', to: at() }));
	const answer = p.bare('REGISTER', `sip:${DOMAIN}`).then((m) => m.status, () => 'none');
	const status = await Promise.race([answer, new Promise((resolve) => { p.socket.once('close', () => resolve('closed')); })]);
	p.close();
	return status;
}

/** Ten phones and ten pages, one after the other: each gets in, though not always at once, since all are taken for a moment by who makes so many. */
async function othersGetIn() {
	for (let i = 0; i < 10; i++) {
		await until('a phone to get in', async () => await answered() === 401, { timeout_ms: 3000 });
		await until('a page to get in', async () => await portal() === 401, { timeout_ms: 3000 });
	}
}

const handshake = (url) => ['GET /ws HTTP/1.1', `Host: ${new URL(url).host}`, 'Upgrade: websocket', 'Connection: Upgrade',
	'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: sip', '\r\n'].join('\r\n');

const connections = async () => Number(/opened_connections: (\d+)/.exec(await stack.kamailio.kamcmd('core.tcp_info'))[1]);

test('WebSockets through nginx of five addresses, each with less than one may have, leave room for others', async () => {
	await keep(new Strangers(Array.from({ length: 5 }, (_, i) => `127.0.0.${70 + i}`), 240, stack.web)).come();
	const there = await connections();
	assert.ok(there < 600, `${there} connections`);
	await othersGetIn();
});

for (const [what, addresses, each] of [['five', 5, 249], ['six hundred', 600, 2]]) {
	test(`strangers of ${what} addresses, each with less than one may have, leave room for others`, async () => {
		await keep(new Strangers(Array.from({ length: addresses }, (_, i) => `127.0.${7 + i % 9}.${1 + Math.floor(i / 9)}`), each)).come();
		await othersGetIn();
	});
}

test('a reply proves nothing of the connection that it comes over', async () => {
	const own = await Stack.start('strangers-connections-own', { defines: { SILENCE_UNPROVED: 2, UNPROVED_TIME: 3 } });
	try {
		const to = { ip: own.kamailio.ip, port: own.kamailio.port };
		const token = await own.kamailio.token(`sip:mallory@${DOMAIN}`, 's-mallory');
		const client = keep(await FarEnd.open({ user: 'mallory', token, transport: 'tcp', to, answer: (m) => m.method !== 'MESSAGE' }));
		assert.equal((await client.register()).status, 200);
		const far = keep(await FarEnd.open({ ip: TRUNK_IP, port: own.trunkPort, to }));
		const other = keep(await Endpoint.open({ transport: 'tcp', to }));
		let closed = false;
		other.socket.once('close', () => { closed = true; });
		const answer = far.outside('MESSAGE', `sip:mallory@${DOMAIN}`, { to: `sip:mallory@${DOMAIN}` });
		const asked = await until('the MESSAGE', () => client.requests.find((m) => m.method === 'MESSAGE'));
		other.send(replyTo(asked, 200, 'OK', { to: `${asked.get('to')};tag=1` }));
		assert.equal((await answer).status, 200, 'the reply is believed');
		await until('its connection to be closed all the same', () => closed, { timeout_ms: 10000 });
		assert.equal((await client.register()).status, 200, 'the one of the client is there');
	} finally {
		await own.stop();
	}
});
