// SPDX-License-Identifier: GPL-2.0-or-later
// What clients behind a proxy that is their first hop can do to others, and who writes its address:
//
//	alice, mallory (127.0.0.4) --- proxy (127.0.0.3) --- gateway (127.0.0.1) --- bob (127.0.0.2)

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { firstHop } from '../lib/first-hop.mjs';
import { QUICK, Visitor } from '../lib/portal.mjs';
import { Client, Endpoint, FarEnd, random } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const PROXY_IP = '127.0.0.3';
const CLIENT_IP = '127.0.0.4';
const INSIDE_IP = '127.0.0.9';
const LINES_MAX = 10;
const isRequest = (method) => (m) => m.method === method && !m.status;

let stack, proxy;
const open = [];
const keep = (s) => (open.push(s), s);

before(async () => {
	stack = await Stack.start('strangers-proxy', {
		store: true, web: { values: QUICK },
		defines: { RESUME_FIRST_HOP: `"${PROXY_IP}"`, RESUME_ALLOW_INSECURE: 0, STRANGERS_MAX: LINES_MAX, USER_CONNECTIONS_MAX: 2 },
	});
	proxy = await firstHop(stack.dir, { ip: PROXY_IP, gateway: `sip:${stack.gateway};transport=tcp` });
});
afterEach(async () => {
	open.splice(0).forEach((s) => s.close());
	await stack.dropMedia();
});
after(async () => {
	await proxy?.stop();
	await stack?.stop();
});

const gateway = () => ({ ip: stack.kamailio.ip, port: stack.kamailio.port });
const bobs = async () => keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
const tokenOf = (user) => stack.kamailio.token(`sip:${user}@${DOMAIN}`, `session-of-${user}`);

/** A client behind the proxy. @param as  what it writes as its Contact */
async function client(user, { token, as = (uri) => uri, register = {} } = {}) {
	const one = keep(await FarEnd.open({
		ip: CLIENT_IP, user, transport: 'udp', token: token ?? await tokenOf(user), to: { ip: PROXY_IP, port: proxy.port },
	}));
	Object.defineProperty(one, 'uri', { value: as(one.uri) });
	const answer = await one.register(register);
	assert.equal(answer.status, 200, answer.start);
	return one;
}

const rings = async (who, bob) => {
	bob ??= await bobs();
	const { final } = await bob.call({ service: who.user });
	assert.equal(final.status, 200, final.start);
	await who.take('the INVITE', isRequest('INVITE'));
};

test('a client that has resumed may write its fields in any order', async () => {
	const bob = await bobs();
	const first = await client('alice');
	const { state, callId } = await first.call();
	first.close();
	const alice = await client('alice');
	const dialog = await alice.call({ state });
	assert.equal(dialog.final.status, 200, dialog.final.start);
	for (const last of ['To', 'From', 'Call-ID']) {
		const text = dialog.text('UPDATE');
		const { branch } = dialog;
		const [head] = text.split('\r\n\r\n');
		const lines = head.split('\r\n');
		const [field] = lines.splice(lines.findIndex((l) => l.startsWith(`${last}:`)), 1);
		alice.send(`${[...lines, field].join('\r\n')}\r\n\r\n`);
		const answer = await alice.take(`the answer with ${last} behind all others`, (m) => m.status >= 200 && m.get('via')?.includes(branch));
		assert.equal(answer.status, 200, `${last}: ${answer.start}`);
	}
	assert.ok(bob.requests.filter(isRequest('UPDATE')).every((m) => m.callId === callId));
	assert.equal((await dialog.request('BYE')).status, 200);
});

for (const [what, options] of [
	['Path', (inside) => ({ register: { headers: [`Path: <${inside};lr>`] } })],
	['alias', (inside, alias) => ({ as: (uri) => `${uri};alias=${alias}` })],
]) {
	test(`by ${what} in its REGISTER a client does not have the proxy send elsewhere`, async () => {
		const inside = keep(await Endpoint.open({ ip: INSIDE_IP }));
		const alice = await client('alice', options(`sip:${inside.host}`, `${INSIDE_IP}~${inside.port}~1`));
		await rings(alice);
		assert.deepEqual(inside.inbox.map((m) => m.start), []);
	});
}

for (const [what, as, headers] of [
	['Record-Route', () => (uri) => uri, (inside) => [`Record-Route: <sip:${inside.host};lr>`]],
	['alias', (inside) => (uri) => `${uri};alias=${INSIDE_IP}~${inside.port}~1`, () => []],
]) {
	test(`by ${what} in its INVITE a client does not have the proxy send elsewhere`, async () => {
		const inside = keep(await Endpoint.open({ ip: INSIDE_IP }));
		const bob = await bobs();
		const alice = await client('alice', { as: as(inside) });
		const dialog = await alice.call({ headers: headers(inside) });
		assert.equal(dialog.final.status, 200, dialog.final.start);
		assert.equal((await bob.dialog(dialog.callId).request('INFO')).status, 200);
		await alice.take('the INFO', isRequest('INFO'));
		assert.deepEqual(inside.inbox.map((m) => m.start), []);
	});
}

for (const [what, param] of [['in quotation marks', (inside) => `"x>,<sip:alice@${inside}>"`], ['that does not open', () => 'x'.repeat(60)]]) {
	test(`a way ${what}, in the Via of its answer, does not get into the Contact of a client`, async () => {
		const bob = await bobs();
		const alice = await client('alice');
		let changed = 0;
		alice.handle = ((handle) => (m) => {
			const { answer } = m;
			m.answer = (text) => answer(text.replace(/;crp=\w+/, () => (changed++, `;crp=${param(`${INSIDE_IP}:5060`)}`)));
			return handle(m);
		})(alice.handle);
		const { final } = await bob.call({ service: 'alice' });
		assert.ok(changed > 0);
		if (final.status === 200) assert.doesNotMatch(final.text, new RegExp(`crp=|${INSIDE_IP}`));
	});
}

test('a page is not told to go elsewhere by a far end', async () => {
	const bob = await bobs();
	const alice = await client('alice');
	const dialog = await alice.call();
	for (const name of ['Call-State', 'call-state ', 'CALL-STATE']) {
		await bob.dialog(dialog.callId).request('NOTIFY', { headers: ['Event: call-state', 'Subscription-State: active', `${name}: drain`] });
		const got = await alice.take('the NOTIFY', isRequest('NOTIFY'));
		assert.doesNotMatch(got.text, /drain/);
	}
	const mallory = await client('mallory');
	const answer = await mallory.outside('NOTIFY', `sip:alice@${DOMAIN}`, { headers: ['Event: call-state', 'Call-State: drain'] });
	assert.equal(answer.status, 405, answer.start);
});

test('who signs out behind the proxy leaves the others connected', async () => {
	const password = stack.portal.add(`mallory@${DOMAIN}`);
	const visitor = await new Visitor(stack.web.url, { ca: stack.certificate.cert }).signedIn('mallory', password);
	const alice = await client('alice');
	await client('mallory', { token: visitor.token });
	const registered = (user) => stack.kamailio.kamcmd('ul.lookup', 'location', `${user}@${DOMAIN}`).catch(() => '');
	assert.match(await registered('mallory'), /Address:/);
	assert.equal((await visitor.signOut()).status, 204);
	await until('the binding to go', async () => !/Address:/.test(await registered('mallory')));
	await rings(alice);
});

test('a user who has many connections does not have that of the proxy closed', async () => {
	const alice = await client('alice');
	const mallory = await client('mallory');
	const token = await tokenOf('mallory');
	const others = [];
	for (let i = 0; i < 3; i++) {
		const one = keep(await Client.open({ user: 'mallory', transport: 'ws', token, to: { ip: stack.kamailio.ip, port: stack.kamailio.ws } }));
		others.push(one);
		await one.register();
	}
	assert.ok(mallory);
	await until('one of them to be closed', () => others.some((c) => c.sockets.size === 0), { timeout_ms: 3000 }).catch(() => {});
	await rings(alice);
});

test('a client whose messages are too long does not have the connection of the proxy closed', async () => {
	const alice = await client('alice');
	const mallory = await client('mallory');
	const body = 'x'.repeat(31_000); // over UDP Kamailio 6 takes no more than 32 kB from it
	const refused = await mallory.outside('MESSAGE', `sip:bob@${DOMAIN}`, { headers: ['Content-Type: text/plain'], body });
	assert.equal(refused.status, 513, refused.start);
	mallory.answer = () => false;
	const bob = await bobs();
	bob.outside('OPTIONS', `sip:mallory@${DOMAIN}`).catch(() => {});
	mallory.reply(await mallory.take('the OPTIONS', isRequest('OPTIONS')), 200, 'OK', { body });
	// What comes behind it has arrived: so has that.
	assert.equal((await mallory.register()).status, 200);
	await rings(alice, bob);
});

const forger = async (transport) => keep(await Client.open({ ip: PROXY_IP, user: 'mallory', transport, to: gateway() }));
const linesOf = async (what, some) => {
	const before = stack.kamailio.log().length;
	await some();
	return stack.kamailio.log().slice(before).split('\n').filter((l) => what.test(l)).length;
};

for (const transport of ['udp', 'tcp']) {
	test(`over ${transport}: refusals of who is behind the proxy, or writes its address, do not fill the log, and have their answers`, async () => {
		const one = await forger(transport);
		one.token = 'none';
		const lines = await linesOf(/token refused/, async () => {
			for (let i = 0; i < 3 * LINES_MAX; i++) assert.equal((await one.register()).status, 401);
		});
		assert.ok(lines > 0 && lines <= LINES_MAX, `${lines} lines`);
	});

	test(`over ${transport}: nor do ways that cannot be read`, async () => {
		const one = await forger(transport);
		const begun = Date.now();
		const lines = await linesOf(/cannot be read/, async () => {
			for (let i = 0; i < 50; i++) one.register({ headers: ['Path: <nothing'], callId: random() }).catch(() => {});
			const answer = await one.register();
			assert.equal(answer.status, 401);
		});
		const seconds = Math.ceil((Date.now() - begun) / 1000) + 1;
		assert.ok(lines > 0 && lines <= 2 * seconds, `${lines} lines in ${seconds} s`);
	});
}
