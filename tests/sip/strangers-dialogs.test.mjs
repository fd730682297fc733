// SPDX-License-Identifier: GPL-2.0-or-later
// What one user may have of the gateway by requests in dialogs, his own and made-up ones.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { freePort } from '../lib/ports.mjs';
import { Client, Dialog, Endpoint, FarEnd, random, sdp } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Usage } from '../lib/usage.mjs';
import { sleep, until } from '../lib/wait.mjs';

const MAX = 150;
let stack, far, usage;
let open = [];
const keep = (x) => (open.push(x), x);
const at = (transport = 'udp') => ({ ip: stack.kamailio.ip, port: stack.kamailio.port, transport });
const client = async (user, { transport = 'tcp', ...options } = {}) => keep(await Client.open({
	transport, user, token: await stack.kamailio.token(`sip:${user}@${DOMAIN}`, `s-${user}`), to: at(transport), ...options }));

before(async () => {
	stack = await Stack.start('strangers-dialogs', { defines: { USER_REQUESTS_MAX: MAX, FR_TIMER: 4000, FR_INV_TIMER: 5000 } });
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: at() });
	usage = new Usage(stack.kamailio);
});
after(async () => {
	far?.close();
	await stack?.stop();
});
afterEach(async () => {
	open.splice(0).forEach((x) => x.close());
	far.answer = () => true;
	await stack.kamailio.kamcmd('htable.flush', 'strangers');
	await usage.settled(30000);
});

/** As many requests as are three times too many: how many transactions there are more. */
async function floods(send) {
	const before = await usage.transactions();
	for (let i = 0; i < 3 * MAX; i++) {
		send();
		if (i % 20 === 0) await sleep(5);
	}
	await sleep(500);
	return await usage.transactions() - before;
}

test('in a made-up one, with a token', async () => {
	const silent = keep(await Endpoint.open({ ip: '127.0.5.9' }));
	const mallory = await client('mallory');
	const made = new Dialog(mallory, { callId: random(), local: `<sip:mallory@${DOMAIN}>;tag=1`, remote: `<sip:x@${DOMAIN}>;tag=2`, target: `sip:x@${silent.host}`,
		routes: [`<sip:${stack.kamailio.ip}:${stack.kamailio.port};lr>`] });
	const n = await floods(() => made.request('INFO', { headers: [`Authorization: Bearer ${mallory.token}`] }).catch(() => {}));
	assert.ok(n <= MAX, `${n} transactions`);
});

for (const transport of ['tcp', 'udp']) {
	for (const method of ['INFO', 'INVITE']) {
		test(`in a call of one's own over ${transport}, ${method}`, async () => {
			const mallory = await client('mallory', { transport });
			const d = await mallory.call();
			assert.equal(d.final.status, 200);
			far.answer = (m) => {
				if (m.method === 'INVITE') far.reply(m, 180, 'Ringing');
				return false;
			};
			const refused = [];
			const n = await floods(() => d.request(method).then((m) => refused.push(m), () => {}));
			assert.ok(n <= MAX, `${n} transactions`);
			// Over UDP some get lost.
			assert.ok(refused.length >= (transport === 'udp' ? MAX : 2 * MAX), `${refused.length} refused`);
			assert.ok(refused.every((m) => m.start === 'SIP/2.0 503 Too Many Requests' && m.get('retry-after') === '60'));
			far.answer = () => true;
			const alice = await (await client('alice')).call();
			assert.equal((await alice.request('INFO')).status, 200);
			assert.equal((await alice.request('BYE')).status, 200);
		});
	}
}

test('in a call of one\'s own, with the address of the trunk', async () => {
	const mallory = await client('mallory');
	const { callId } = await mallory.call();
	const n = await floods(() => far.dialog(callId).request('INFO').catch(() => {}));
	assert.ok(n <= MAX, `${n} transactions`);
});

for (const [how, more] of Object.entries({ 'over the connection that he has registered over': false, 'over another one, by the names of the call alone': true })) {
	test(`who was called, ${how}, takes nothing from who has called him`, async () => {
		const mallory = keep(await FarEnd.open({ transport: 'tcp', user: 'mallory', token: await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 's-mallory'), to: at('tcp') }));
		assert.equal((await mallory.register()).status, 200);
		const alice = keep(await FarEnd.open({ transport: 'tcp', user: 'alice', token: await stack.kamailio.token(`sip:alice@${DOMAIN}`, 's-alice'), to: at('tcp'), answer: () => false }));
		const d = await alice.call({ service: 'mallory' });
		assert.equal(d.final.status, 200);
		const his = mallory.dialog(d.callId);
		if (more) his.party = keep(await Client.open({ transport: 'tcp', user: 'mallory', to: at('tcp') }));
		const n = await floods(() => his.request('INFO').catch(() => {}));
		assert.ok(n <= MAX, `${n} transactions`);
		assert.equal((await his.request('INFO')).status, 503);
		assert.equal((await d.request('INFO')).status, 200);
		assert.equal((await d.request('BYE')).status, 200);
	});
}

/** alice has called mallory, who sends in the names of that call over another socket, and is in another one with the trunk. */
async function calledBesides(transport) {
	const mallory = keep(await FarEnd.open({ transport: 'tcp', user: 'mallory', token: await stack.kamailio.token(`sip:mallory@${DOMAIN}`, 's-mallory'), to: at('tcp') }));
	assert.equal((await mallory.register()).status, 200);
	const alice = keep(await FarEnd.open({ transport: 'tcp', user: 'alice', token: await stack.kamailio.token(`sip:alice@${DOMAIN}`, 's-alice'), to: at('tcp') }));
	const other = await alice.call();
	assert.equal(other.final.status, 200);
	const d = await alice.call({ service: 'mallory' });
	assert.equal(d.final.status, 200);
	const his = mallory.dialog(d.callId);
	his.party = keep(await Client.open({ transport, user: 'mallory', to: at(transport) }));
	return { alice, his, other };
}

for (const transport of ['tcp', 'udp']) {
	test(`who was called, by the names of the call over ${transport}, does not keep the trunk from hanging up on who has called him`, async () => {
		const { his, other } = await calledBesides(transport);
		// Long ones count for more; a datagram may have 32 kB.
		await floods(() => his.request('INFO', { headers: ['Content-Type: text/plain'], body: 'x'.repeat(transport === 'udp' ? 28000 : 20000) }).catch(() => {}));
		assert.equal((await his.request('INFO')).status, 503);
		assert.equal((await far.dialog(other.callId).request('BYE')).status, 200);
	});
}

test('who was called, by ACKs in the names of the call over UDP, does not keep those of the trunk from who has called him', async () => {
	const { alice, his, other } = await calledBesides('udp');
	for (let i = 0; i < 3 * MAX; i++) {
		his.ack();
		if (i % 4 === 3) await sleep(5);
	}
	const theirs = far.dialog(other.callId);
	assert.equal((await theirs.request('INVITE', { body: sdp(TRUNK_IP, 4000, 2) })).status, 200);
	theirs.ack();
	await alice.take('the ACK of the trunk', (m) => m.method === 'ACK' && m.callId === other.callId);
});

/* ---- to where ------------------------------------------------------------------------ */

describe('a service inside that listens on UDP', () => {
	const INSIDE_IP = '127.0.9.1';
	let lab, trunk, inside, beside;
	before(async () => {
		lab = await Stack.start('strangers-dialogs-inside', { defines: { MEDIA_DENIED: `"127.0.9.0/24, ${TRUNK_IP}"`, FR_TIMER: 1000, AWAY_TIMER: 1000 } });
		trunk = await FarEnd.open({ ip: TRUNK_IP, port: lab.trunkPort, to: { ip: lab.kamailio.ip, port: lab.kamailio.port } });
		inside = await Endpoint.open({ ip: INSIDE_IP });
		beside = await Endpoint.open({ ip: TRUNK_IP });
	});
	after(async () => {
		trunk?.close();
		inside?.close();
		beside?.close();
		await lab?.stop();
	});
	const party = async (user, Party = Client) => keep(await Party.open({ transport: 'tcp', user, token: await lab.kamailio.token(`sip:${user}@${DOMAIN}`, `s-${user}`), to: { ip: lab.kamailio.ip, port: lab.kamailio.port } }));
	/** Nothing of it gets there. */
	async function nothing(send, { ip, host, port, inbox } = inside) {
		for (const [what, target] of Object.entries({ 'its address': `sip:x@${host}`, 'an alias': `sip:x@x.invalid;alias=${ip}~${port}~1` })) {
			const { status } = await send(target);
			assert.ok(status >= 400, `${what}: ${status}`);
			assert.deepEqual(inbox.splice(0).map((m) => m.start), [], what);
		}
	}

	test('gets nothing in a made-up dialog, with a token', async () => {
		const mallory = await party('mallory');
		for (const more of ['', ';crs-b=x', ';crs-a=x']) {
			const made = new Dialog(mallory, { callId: random(), local: `<sip:mallory@${DOMAIN}>;tag=1`, remote: `<sip:x@${DOMAIN}>;tag=2`, routes: [`<sip:${lab.kamailio.ip}:${lab.kamailio.port};lr;ftag=1${more}>`] });
			await nothing((target) => made.request('MESSAGE', { target, headers: [`Authorization: Bearer ${mallory.token}`, 'Content-Type: text/plain'], body: 'x' }));
		}
	});

	test('nor in a call of one\'s own, with the trunk, or with its address', async () => {
		const mallory = await party('mallory');
		const call = await mallory.call();
		await nothing((target) => call.request('INFO', { target }));
		await nothing((target) => trunk.dialog(call.callId).request('INFO', { target }));
		assert.equal((await call.request('INFO')).status, 200);
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('nor does one on the machine of the trunk', async () => {
		const mallory = await party('mallory');
		const call = await mallory.call();
		await nothing((target) => call.request('INFO', { target }), beside);
		await nothing((target) => trunk.dialog(call.callId).request('INFO', { target }), beside);
		assert.ok((await call.request('INFO', { routes: [...call.routes, `<sip:${beside.host};lr>`] })).status >= 400);
		call.ack({ target: `sip:x@${beside.host}` });
		const made = new Dialog(mallory, { callId: random(), local: `<sip:mallory@${DOMAIN}>;tag=1`, remote: `<sip:x@${DOMAIN}>;tag=2`, routes: [`<sip:${lab.kamailio.ip}:${lab.kamailio.port};lr;ftag=1>`] });
		await nothing((target) => made.request('MESSAGE', { target, headers: [`Authorization: Bearer ${mallory.token}`, 'Content-Type: text/plain'], body: 'x' }), beside);
		assert.equal((await call.request('INFO')).status, 200);
		assert.equal((await call.request('BYE')).status, 200);
		assert.deepEqual(beside.inbox.map((m) => m.start), []);
	});

	test('nor in one with another client', async () => {
		const [alice, mallory] = [await party('alice', FarEnd), await party('mallory', FarEnd)];
		assert.equal((await alice.register()).status, 200);
		const call = await mallory.call({ service: 'alice' });
		assert.equal(call.final.status, 200);
		await nothing((target) => call.request('INFO', { target }));
		assert.equal((await call.request('INFO')).status, 200);
		assert.equal((await alice.dialog(call.callId).request('BYE')).status, 200);
	});
});

test('a service inside gets nothing over IPv6 either, and there is no line about it', async () => {
	const [sip, trunkPort] = [await freePort(), await freePort()];
	const six = await Stack.start('strangers-dialogs-6', { defines: { LISTEN_UDP: `udp:[::1]:${sip}`, TRUNK_URI: `"sip:[::1]:${trunkPort}"`, TRUNK_IP: '"::1"', MEDIA_DENIED: '"127.0.0.0/8, ::1"', FR_TIMER: 1000 } });
	try {
		keep(await FarEnd.open({ ip: '::1', port: trunkPort, to: { ip: '::1', port: sip } }));
		const inside = keep(await Endpoint.open({ ip: '::1' }));
		const mallory = keep(await Client.open({ transport: 'tcp', user: 'mallory', token: await six.kamailio.token(`sip:mallory@${DOMAIN}`, 's-mallory'), to: { ip: six.kamailio.ip, port: six.kamailio.port } }));
		const call = await mallory.call({ service: '100', body: '' });
		assert.equal(call.final.status, 200);
		const { length } = six.kamailio.log();
		for (const target of [`sip:x@[::1]:${inside.port}`, `sip:x@x.invalid;alias=[::1]~${inside.port}~1`]) assert.ok((await call.request('INFO', { target })).status >= 400);
		assert.equal((await call.request('INFO')).status, 200);
		assert.deepEqual(inside.inbox.map((m) => m.start), []);
		assert.deepEqual(six.kamailio.logged(/is_myself|invalid|parse/, length), []);
		assert.equal((await call.request('BYE')).status, 200);
	} finally {
		await six.stop();
	}
});

test('another port of the trunk, which its Contact may name, is reached where its address is none of MEDIA_DENIED', async () => {
	const other = keep(await FarEnd.open({ ip: TRUNK_IP, to: at() }));
	const call = await (await client('mallory')).call();
	assert.equal((await call.request('INFO', { target: `sip:x@${other.host}` })).status, 200);
	assert.equal(other.requests.length, 1);
	assert.equal((await call.request('BYE')).status, 200);
});

/* ---- over what ----------------------------------------------------------------------- */

test('a request in a dialog that names the place of somebody\'s WebSocket, and another transport, does not close it', async () => {
	const page = keep(await Client.open({ transport: 'ws', user: 'alice', token: await stack.kamailio.token(`sip:alice@${DOMAIN}`, 's-alice'), to: { ip: stack.kamailio.ip, port: stack.kamailio.ws } }));
	assert.equal((await page.register()).status, 200);
	const bytes = page.socket.bytesRead;
	const mallory = await client('mallory');
	const call = await mallory.call();
	const made = new Dialog(mallory, { callId: random(), local: `<sip:mallory@${DOMAIN}>;tag=1`, remote: `<sip:x@${DOMAIN}>;tag=2`, routes: [`<sip:${stack.kamailio.ip}:${stack.kamailio.port};lr>`] });
	const { length } = stack.kamailio.log();
	for (const target of [`sip:x@127.0.0.1:${page.port};transport=tcp`, `sip:x@x.invalid;alias=127.0.0.1~${page.port}~2`]) {
		for (const dialog of [call, made]) {
			const { status } = await dialog.request('INFO', { target, headers: [`Authorization: Bearer ${mallory.token}`] });
			assert.ok(status >= 400, `${status}`);
		}
	}
	assert.equal(page.socket.bytesRead, bytes, 'not a byte');
	assert.deepEqual(stack.kamailio.logged(/./, length), []);
	assert.equal((await page.register()).status, 200, 'it is open');
	assert.equal((await call.request('BYE')).status, 200);
});

/* ---- names --------------------------------------------------------------------------- */

test('a name in a dialog is not looked up, which would hold a process: it is for the trunk', async () => {
	const mallory = await client('mallory');
	const call = await mallory.call();
	const names = Array.from({ length: 8 }, () => `sip:x@${random()}.slow.example`);
	for (const target of [...names, `${names[0]};transport=tcp`, `sip:y@${random()}.slow.example:5070`]) {
		assert.equal((await call.request('INFO', { target })).status, 200);
		assert.equal(far.requests.at(-1).uri, target);
	}
	const made = new Dialog(mallory, { callId: random(), local: `<sip:mallory@${DOMAIN}>;tag=1`, remote: `<sip:x@${DOMAIN}>;tag=2`, routes: [`<sip:${stack.kamailio.ip}:${stack.kamailio.port};lr;ftag=1;crs-b=x>`] });
	assert.equal((await made.request('MESSAGE', { target: names[0], headers: [`Authorization: Bearer ${mallory.token}`, 'Content-Type: text/plain'], body: 'x' })).status, 481);
	call.ack({ target: names[0] });
	// A Route behind ours.
	assert.equal((await call.request('INFO', { routes: [...call.routes, `<sip:${random()}.slow.example;lr>`] })).status, 200);
	assert.deepEqual(stack.kamailio.logged(/resolve/), []);
	assert.equal((await call.request('BYE')).status, 200);
});
