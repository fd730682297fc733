// SPDX-License-Identifier: GPL-2.0-or-later
// Where a client says that it is: requests to it go to where it came from, whatever its Contact names.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { once } from 'node:events';

import { withPassword } from '../lib/phone.mjs';
import { Portal } from '../lib/portal.mjs';
import { Endpoint, FarEnd, message, replyTo } from '../lib/sip.mjs';
import { freePort } from '../lib/ports.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { Usage } from '../lib/usage.mjs';
import { until } from '../lib/wait.mjs';

const INSIDE_IP = '127.0.0.9';
const GONE = Symbol('no answer');

/** A client whose Contacts are what a test wants: of its REGISTER, its INVITE and its answers. */
const liar = (Party) => class extends Party {
	send(text, to) {
		super.send(this.#lie(text), to);
	}

	/** Answers do not pass send() when they go back over a connection. */
	accept(m) {
		const { answer } = m;
		m.answer = (text) => answer(this.#lie(text));
		super.accept(m);
	}

	#lie(text) {
		const lie = this.lie?.(/^SIP\/2\.0/.test(text) ? 'reply' : text.split(' ')[0]);
		if (lie?.contact) text = text.replace(/^Contact: .*\r\n/m, lie.contact.map((c) => `Contact: ${c}\r\n`).join(''));
		if (lie?.route) text = text.replace(/^(Contact: )/m, `Record-Route: ${lie.route}\r\n$1`);
		return text;
	}
};

/** Services inside the network, over TCP and UDP on one port: nothing is to get there. */
async function openInside() {
	const server = net.createServer().listen(0, INSIDE_IP);
	await once(server, 'listening');
	const { port } = server.address();
	const udp = await Endpoint.open({ ip: INSIDE_IP, port });
	const inside = { port, got: [], close: () => { server.close(); udp.close(); } };
	server.on('connection', (s) => {
		inside.got.push('a connection');
		s.destroy();
	});
	udp.handle = (m) => inside.got.push(m.start);
	return inside;
}

/** What a liar can write, as [what, its Contacts]; a is where it really is. */
const LIES = [
	['another address', (a, i) => [`<sip:mallory@${INSIDE_IP}:${i}>`]],
	['another address, over TCP', (a, i) => [`<sip:mallory@${INSIDE_IP}:${i};transport=tcp>`]],
	['its own address, over TCP', (a) => [`<sip:mallory@${a};transport=tcp>`]],
	['a name', () => ['<sip:mallory@n1.slow.example;transport=tcp>']],
	['its own address, and maddr', (a, i) => [`<sip:mallory@${a.split(':')[0]}:${i};maddr=${INSIDE_IP};transport=tcp>`]],
	['its own address, and an alias', (a, i) => [`<sip:mallory@${a};alias=${INSIDE_IP}~${i}~2>`]],
	['its own address in full, and an alias', (a, i) => [`<sip:mallory@${a};transport=udp;alias=${INSIDE_IP}~${i}~2>`]],
	['its own address in full, and Maddr', (a) => [`<sip:mallory@${a};transport=udp;Maddr=${INSIDE_IP}>`]],
	['another address, and an alias', (a, i) => [`<sip:mallory@x.invalid;transport=tcp;alias=${INSIDE_IP}~${i}~2;crc=1>`]],
	['its own address in a display name without an end', (a, i) => [`"x <sip:mallory@${a}>" <sip:mallory@${INSIDE_IP}:${i};transport=tcp>;x=""`]],
	['its own address in the display name', (a, i) => [`"<sip:mallory@${a}>" <sip:mallory@${INSIDE_IP}:${i};transport=tcp>`]],
];

/** What is refused, or not believed, because readers may take one or the other. */
const REFUSED = [
	['a second Contact', (a, i) => [`<sip:mallory@${a}>`, `<sip:mallory@${INSIDE_IP}:${i};transport=tcp>`]],
	['a second Contact in the same field', (a, i) => [`"a, <b" <sip:mallory@${a}>, <sip:mallory@${INSIDE_IP}:${i};transport=tcp>`]],
	['one that would be too long in a Request-URI', (a) => [`<sip:mallory@${a};x=${'y'.repeat(800)}>`]],
];

/** In every way that a client may come in: with a token, or with a password. */
function lies(name, start) {
	describe(name, () => {
		const open = [];
		const keep = (party) => (open.push(party), party);
		let stack, user, inside, bob;
		before(async () => {
			({ stack, user } = await start());
			inside = await openInside();
		});
		afterEach(async () => {
			open.splice(0).forEach((p) => p.close());
			inside.got.length = 0;
			await stack.dropMedia();
		});
		after(async () => {
			inside?.close();
			await stack?.stop();
		});
		const at = () => ({ ip: stack.kamailio.ip, port: stack.kamailio.port });
		const mallory = async (lie, options) => keep(Object.assign(await user('mallory', liar(FarEnd), options), { lie }));
		const trunk = async () => {
			bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: at(), media: 4100 }));
			return bob;
		};
		const nothingInside = (log) => {
			assert.deepEqual(inside.got, []);
			assert.deepEqual(stack.kamailio.logged(/resolve|slow\.example/, log), []);
		};
		/** The trunk begins a call, or sends something else, to mallory. */
		const ask = (method, options) => bob.outside(method, `sip:mallory@${DOMAIN}`, options).catch(() => GONE);

		for (const [what, contacts] of LIES) {
			test(`REGISTER: ${what}: what is for it goes to where it came from`, async () => {
				const party = await mallory();
				party.lie = (m) => (m === 'REGISTER' ? { contact: contacts(party.host, inside.port) } : undefined);
				const log = stack.kamailio.log().length;
				assert.equal((await party.register()).status, 200);
				await trunk();
				const reply = await ask('MESSAGE', { headers: ['Content-Type: text/plain'], body: 'FLUSHALL\r\n' });
				nothingInside(log);
				assert.equal(reply.status, 200);
				assert.equal(party.requests.filter((m) => m.method === 'MESSAGE').length, 1);
			});

			test(`INVITE: ${what}: the far end's requests go to where it came from`, async () => {
				await trunk();
				const party = await mallory();
				party.lie = (m) => (m === 'INVITE' ? { contact: contacts(party.host, inside.port) } : undefined);
				const log = stack.kamailio.log().length;
				const call = await party.call({ service: '100' });
				assert.equal(call.final.status, 200);
				const { status } = await bob.dialog(call.callId).request('BYE', { timeout_ms: 8000 }).catch(() => GONE);
				nothingInside(log);
				assert.equal(status, 200);
				assert.equal(party.requests.filter((m) => m.method === 'BYE').length, 1);
			});

			test(`a 200 to an INVITE: ${what}: the far end's requests go to where it came from`, async () => {
				await trunk();
				const party = await mallory();
				assert.equal((await party.register()).status, 200);
				party.lie = (m) => (m === 'reply' ? { contact: contacts(party.host, inside.port) } : undefined);
				const log = stack.kamailio.log().length;
				const call = await bob.call({ service: 'mallory' });
				assert.equal(call.final.status, 200);
				const { status } = await call.request('BYE', { timeout_ms: 8000 }).catch(() => GONE);
				nothingInside(log);
				assert.equal(status, 200);
				for (const method of ['ACK', 'BYE']) await until(method, () => party.requests.some((m) => m.method === method));
			});
		}

		for (const [what, contacts] of REFUSED) {
			test(`INVITE: ${what} is refused`, async () => {
				await trunk();
				const party = await mallory();
				party.lie = (m) => (m === 'INVITE' ? { contact: contacts(party.host, inside.port) } : undefined);
				assert.equal((await party.call({ service: '100' })).final.status, 400);
				assert.deepEqual(bob.requests, []);
			});

			test(`a 200 to an INVITE: ${what} does not get to the far end`, async () => {
				await trunk();
				const party = await mallory();
				assert.equal((await party.register()).status, 200);
				party.lie = (m) => (m === 'reply' ? { contact: contacts(party.host, inside.port) } : undefined);
				const call = await bob.call({ service: 'mallory', acknowledge: false });
				assert.equal(call.final.status, 200);
				assert.deepEqual(call.final.all('contact'), []);
			});
		}

		test('REGISTER: a second Contact gets nothing either', async () => {
			const party = await mallory();
			party.lie = (m) => (m === 'REGISTER' ? { contact: [`<sip:mallory@${party.host}>;q=0.1`, `<sip:mallory@${INSIDE_IP}:${inside.port};transport=tcp>;q=1.0`] } : undefined);
			const log = stack.kamailio.log().length;
			await party.register();
			await trunk();
			await ask('MESSAGE', { headers: ['Content-Type: text/plain'], body: 'FLUSHALL\r\n' });
			nothingInside(log);
		});

		for (const [what, parameter] of [['received', 'received'], ['Received, written otherwise', ' Received ']]) {
			test(`REGISTER: ${what}: refused`, async () => {
				const party = await mallory();
				// What is left of other tests is nobody's.
				await stack.kamailio.kamcmd('ul.rm', 'location', `mallory@${DOMAIN}`).catch(() => {});
				party.lie = (m) => (m === 'REGISTER' ? { contact: [`<sip:mallory@${party.host}>;${parameter}="sip:${INSIDE_IP}:${inside.port};transport=tcp"`] } : undefined);
				const log = stack.kamailio.log().length;
				const { status } = await party.register();
				await trunk();
				await ask('MESSAGE', { headers: ['Content-Type: text/plain'], body: 'FLUSHALL\r\n' });
				nothingInside(log);
				assert.equal(status, 400);
			});
		}

		for (const [kind, lr] of [['a loose', ';lr'], ['a strict', '']]) {
			test(`Record-Route: ${kind} router of its own making, in an INVITE and in a 200: nothing goes there`, async () => {
				await trunk();
				const party = await mallory();
				assert.equal((await party.register()).status, 200);
				party.lie = (m) => (['INVITE', 'reply'].includes(m) ? { route: `<sip:${INSIDE_IP}:${inside.port};transport=tcp${lr}>` } : undefined);
				const log = stack.kamailio.log().length;
				const out = await party.call({ service: '100' });
				assert.equal(out.final.status, 200);
				await bob.dialog(out.callId).request('BYE', { timeout_ms: 8000 }).catch(() => GONE);
				nothingInside(log);
				// Its Record-Route is in front of ours, as a proxy's between us would be.
				const back = await bob.call({ service: 'mallory' });
				assert.equal(back.final.status, 200);
				await back.request('BYE', { timeout_ms: 8000 }).catch(() => GONE);
				nothingInside(log);
			});
		}

		test('a reply that belongs to no transaction says no more of where it is', async () => {
			await trunk();
			const party = await mallory();
			const call = await party.call({ service: '100' });
			const [invite] = bob.requests;
			// As if the far end had asked, and we had been restarted.
			party.send(message('SIP/2.0 200 OK', [
				`Via: SIP/2.0/UDP ${stack.gateway};branch=z9hG4bKnone`, `Via: SIP/2.0/UDP ${TRUNK_IP}:${stack.trunkPort};branch=z9hG4bKfar`,
				...invite.recordRoutes.map((r) => `Record-Route: ${r}`), `From: ${call.remote}`, `To: ${call.local}`, `Call-ID: ${call.callId}`,
				'CSeq: 7 INVITE', `Contact: <sip:mallory@${party.host};transport=udp;alias=${INSIDE_IP}~${inside.port}~2>`,
			]));
			const { contact } = await bob.take('the reply', (m) => m.status === 200 && m.method === 'INVITE');
			assert.equal(/;alias=([^;]*)/.exec(contact)[1], `127.0.0.1~${party.port}~1`);
			assert.equal((await bob.dialog(call.callId).request('BYE')).status, 200);
		});

		test('a redirection is not followed, and goes to whoever asked', async () => {
			await trunk();
			const party = await mallory();
			assert.equal((await party.register()).status, 200);
			party.answer = (m) => {
				m.answer(replyTo(m, 302, 'Moved', { to: `${m.get('to')};tag=x`, fields: [`Contact: <sip:x@${INSIDE_IP}:${inside.port};transport=tcp>`] }));
				return false;
			};
			const log = stack.kamailio.log().length;
			const call = await bob.call({ service: 'mallory' });
			assert.equal(call.final.status, 302);
			nothingInside(log);
		});

		test('who sends from another port than the one in its Contact gets what is for it where it sends from', async () => {
			await trunk();
			const party = await mallory();
			const listens = keep(await Endpoint.open({ ip: '127.0.0.1', to: at() }));
			party.lie = (m) => (['REGISTER', 'INVITE'].includes(m) ? { contact: [`<sip:mallory@${listens.host}>`] } : undefined);
			assert.equal((await party.register()).status, 200);
			assert.equal((await ask('MESSAGE', { headers: ['Content-Type: text/plain'], body: 'x' })).status, 200);
			const call = await party.call({ service: '100' });
			assert.equal((await bob.dialog(call.callId).request('BYE')).status, 200);
			assert.deepEqual(listens.inbox, []);
		});

		test('what is left as it is: a Contact that names where it came from', async () => {
			await trunk();
			const party = await mallory();
			for (const contact of [`<sip:mallory@${party.host}>`, `<sip:mallory@${party.host};transport=udp>`, `"Mallory" <sip:mallory@${party.host};ob>;+sip.instance="<urn:uuid:1>"`]) {
				party.lie = (m) => (m === 'INVITE' ? { contact: [contact] } : undefined);
				const call = await party.call({ service: '100' });
				assert.equal(call.final.status, 200);
				assert.equal(bob.dialog(call.callId).target, /<([^>]*)>/.exec(contact)[1]);
				assert.equal((await bob.dialog(call.callId).request('BYE')).status, 200);
			}
		});
	});
}

lies('over UDP, with a token', async () => {
	const stack = await Stack.start('strangers-contacts');
	return {
		stack,
		user: async (user, Kind, options = {}) => Kind.open({
			user, token: await stack.kamailio.token(`sip:${user}@${DOMAIN}`, `s-${user}`), to: { ip: stack.kamailio.ip, port: stack.kamailio.port }, ...options,
		}),
	};
});

lies('over UDP, with a password', async () => {
	const dir = runFolder('strangers-contacts-digest');
	const portal = Portal.create(dir);
	const password = portal.add(`mallory@${DOMAIN}`);
	const copy = `${dir}-users.sqlite`;
	fs.copyFileSync(portal.file, copy);
	const stack = await Stack.start('strangers-contacts-digest', {
		defines: { WITH_DIGEST: true, WITH_REVOCATION: true, DIGEST_DB: `"sqlite:///${copy}"`, RESUME_ALLOW_INSECURE: 0 },
	});
	const stop = stack.stop.bind(stack);
	stack.stop = async () => {
		await stop();
		fs.rmSync(copy, { force: true });
	};
	return {
		stack,
		user: (user, Kind, options = {}) => withPassword(Kind).open({ user, password, instance: null, to: { ip: stack.kamailio.ip, port: stack.kamailio.port }, ...options }),
	};
});

describe('a REGISTER with very many Contacts', () => {
	let stack, usage;
	const open = [];
	before(async () => {
		stack = await Stack.start('strangers-contacts-many');
		usage = new Usage(stack.kamailio);
	});
	after(async () => {
		open.forEach((p) => p.close());
		await stack?.stop();
	});

	for (const n of [1000, 5]) {
		test(`such as ${n}, is refused, takes no memory, and leaves no line of Kamailio's`, async () => {
			const user = `user-${n}`;
			const alice = await FarEnd.open({
				user, token: await stack.kamailio.token(`sip:${user}@${DOMAIN}`, 's'), transport: 'tcp', timeout_ms: 3000, to: { ip: stack.kamailio.ip, port: stack.kamailio.port },
			});
			open.push(alice);
			const { length } = stack.kamailio.log();
			const before = await usage.shared();
			const contacts = Array.from({ length: n }, (_, i) => `<sip:${i.toString(36)}>`);
			const answer = await alice.register({ headers: [`Contact: ${contacts.join(',')}`] }).catch(() => {});
			const more = await usage.shared() - before;
			assert.ok(more < 20_000, `${more} bytes`);
			assert.equal(answer?.status, 400);
			assert.deepEqual(stack.kamailio.logged(/registrar|sl /, length), []);
			assert.equal((await alice.register()).status, 200);
		});
	}
});

describe('clients that tell the truth are reached', () => {
	const open = [];
	let stack, six;
	before(async () => {
		six = await freePort();
		// In the place of a port that nobody uses here, one of IPv6.
		stack = await Stack.start('strangers-contacts-honest', { tls: true, defines: { LISTEN_WSS: `udp:[::1]:${six}` } });
	});
	afterEach(async () => {
		open.splice(0).forEach((p) => p.close());
		await stack.dropMedia();
	});
	after(() => stack?.stop());

	test('over TCP, with the number of a connection that is not its own', async () => {
		const { ip, port } = stack.kamailio;
		const bob = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip, port }, media: 4100 });
		open.push(bob);
		const alice = await FarEnd.open({ user: 'alice', token: await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session'), transport: 'tcp', to: { ip, port } });
		open.push(alice);
		Object.defineProperty(alice, 'uri', { get: () => `sip:alice@${alice.ip}:5062;transport=tcp;crc=987654321` });
		const call = await alice.call({ service: '100' });
		assert.equal((await bob.dialog(call.callId).request('BYE')).status, 200);
		assert.equal(alice.requests.filter((m) => m.method === 'BYE').length, 1);
	});

	for (const [transport, contact] of [
		['udp', (p) => `sip:alice@10.1.2.3:${p.port}`], ['udp', (p) => `sip:alice@${p.host}`],
		['tcp', (p) => `sip:alice@${p.host};transport=tcp`], ['tcp', (p) => `sip:alice@${p.ip}:5062;transport=tcp`],
		['tls', (p) => `sip:alice@${p.ip}:5063;transport=tls`], ['tls', (p) => `sips:alice@${p.ip}:5063`], ['ws', (p) => p.uri],
		['udp6', (p) => `sip:alice@${p.host}`], ['udp6', (p) => `sip:alice@[2001:db8::1]:${p.port}`],
	]) {
		test(`${transport}, ${contact({ ip: 'IP', host: 'IP:PORT', port: 'PORT', uri: 'a name of its own' })}: registers twice, calls, is called`, async () => {
			const bob = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip: stack.kamailio.ip, port: stack.kamailio.port }, media: 4100 });
			open.push(bob);
			const { ip, port, tls, ws } = stack.kamailio;
			const alice = await FarEnd.open({
				user: 'alice', token: await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session'),
				...(transport === 'udp6' ? { ip: '::1', to: { ip: '::1', port: six } } : { transport, to: { ip, port: { tls, ws }[transport] ?? port } }),
			});
			open.push(alice);
			const uri = contact(alice);
			Object.defineProperty(alice, 'uri', { get: () => uri });
			const registered = { callId: 'a-registration', tag: 'x' };
			for (const cseq of [1, 2]) assert.equal((await alice.register({ ...registered, cseq })).status, 200);
			const out = await alice.call({ service: '100' });
			assert.equal((await bob.dialog(out.callId).request('BYE')).status, 200);
			const back = await bob.call({ service: 'alice' });
			assert.equal(back.final.status, 200);
			assert.equal((await back.request('BYE')).status, 200);
			await until('its own Contact in the Request-URI', () => alice.requests.filter((m) => m.uri === uri).length >= 4);
		});
	}
});
