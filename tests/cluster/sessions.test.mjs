// SPDX-License-Identifier: GPL-2.0-or-later
// Web sessions of the portal, at whichever node, each of which has a database of its own.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { randomUUID } from 'node:crypto';

import { Cluster } from '../lib/cluster.mjs';
import { Kamailio, makeCertificate, small, writeKeyRing } from '../lib/kamailio.mjs';
import { Nginx } from '../lib/nginx.mjs';
import { Phone, answerTo } from '../lib/phone.mjs';
import { Portal, QUICK, Visitor } from '../lib/portal.mjs';
import { DOMAIN, runFolder } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

let cluster, certificate;
let webs = [];
let password, portals;

before(async () => {
	const dir = runFolder('cluster-sessions');
	certificate = makeCertificate(dir, ['127.0.0.1']);
	portals = [1, 2].map((n) => {
		fs.mkdirSync(path.join(dir, `portal-${n}`), { mode: 0o700 });
		const portal = Portal.create(path.join(dir, `portal-${n}`));
		password = portal.add(`alice@${DOMAIN}`, password);
		return portal;
	});
	cluster = await Cluster.start('cluster-sessions', {
		dir, defines: { WITH_NEWEST_STATE: true, RESUME_TRUSTED_PROXY: '"127.0.0.1"' }, per: (n) => ({
			...portals[n - 1].defines, WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${portals[n - 1].file}"`,
		}),
	});
	webs = await Promise.all(cluster.nodes.map(({ ip, kamailio, number }) => Nginx.start(dir, {
		kamailio: `${ip}:${kamailio.ws}`, certificate, name: `nginx-${number}`, values: QUICK,
	})));
});
afterEach(() => cluster.clear());
after(async () => {
	for (const web of webs) await web.stop();
	await cluster?.stop();
});

/** The same browser at a node, through its own web server. */
function at(number, { cookie } = {}) {
	const visitor = new Visitor(webs[number - 1].url, { ca: certificate.cert });
	return Object.assign(visitor, { cookie });
}

const status = (number, browser, wanted) => until(`${wanted} at node ${number}`, async () => {
	const answer = await at(number, browser).renew();
	return answer.status === wanted && answer;
});

/** What a REGISTER with that token gets. */
async function registered(number, token) {
	const client = await cluster.client('alice', number, { token, register: false });
	return (await client.register()).status;
}

test('a cookie is good at every node, and brings the same session', async () => {
	const browser = await at(1).signedIn('alice', password);
	const { json } = await status(2, browser, 200);
	assert.deepEqual([json.user, json.sid], [browser.user, browser.sid]);
	for (const number of [1, 2]) assert.equal(await registered(number, json.token), 200);
});

for (const [begun, ended] of [[1, 2], [2, 1], [1, 1]]) {
	test(`begun at ${begun}, signed out at ${ended}: over at both, with its tokens`, async () => {
		const browser = await at(begun).signedIn('alice', password);
		const { json } = await status(ended, browser, 200);
		const other = await at(begun).signedIn('alice', password);
		await status(3 - begun, other, 200);
		assert.equal((await at(ended, browser).signOut()).status, 204);
		for (const number of [1, 2]) {
			await status(number, browser, 401);
			for (const token of [browser.token, json.token]) {
				await until('its tokens to be refused', async () => await registered(number, token) === 401);
			}
			assert.equal((await at(number, other).renew()).status, 200, 'another session of the user goes on');
		}
	});
}

test('who is connected to another node than the one that he signs out at is closed there, and nobody else is', async () => {
	const browser = await at(1).signedIn('alice', password);
	await status(2, browser, 200);
	// Numbers of connections are each node's own: as many at both.
	const others = await Promise.all([1, 2].flatMap((number) => Array.from({ length: 8 }, (_, i) => cluster.client(`u${i}`, number))));
	const page = await cluster.client('alice', 1, { token: browser.token });
	const more = await Promise.all([1, 2].flatMap((number) => Array.from({ length: 8 }, (_, i) => cluster.client(`v${i}`, number))));
	const closed = [];
	for (const p of [page, ...others, ...more]) p.socket.once('close', () => closed.push(p.user));
	assert.equal((await at(2, browser).signOut()).status, 204);
	await until('it to be closed', () => closed.length > 0);
	assert.deepEqual(closed, ['alice']);
	for (const { kamailio } of cluster.nodes) await until('its binding to be gone', async () => !(await kamailio.kamcmd('ul.dump')).includes(page.host));
	assert.deepEqual(closed, ['alice']);
});

test('a cookie that another one has taken the place of is over at both', async () => {
	const browser = await at(1).signedIn('alice', password);
	await status(2, browser, 200);
	const again = await at(1, browser).signedIn('alice', password);
	assert.equal(again.sid, browser.sid, 'the same session');
	for (const number of [1, 2]) await status(number, browser, 401);
	await status(2, again, 200);
});

/** How many cookies each node remembers. */
const remembered = () => Promise.all(cluster.nodes.map(async ({ kamailio }) => (await kamailio.kamcmd('htable.dump', 'sessions')).match(/value:/g)?.length ?? 0));

test('a cookie that is made up leaves nothing, in a sign-out and in a sign-in', async () => {
	const before = await remembered();
	for (let i = 0; i < 20; i++) assert.equal((await at(1, { cookie: randomUUID() + randomUUID() }).signOut()).status, 204);
	const browser = await at(1, { cookie: randomUUID() + randomUUID() }).signedIn('alice', password);
	await status(2, browser, 200);
	assert.deepEqual((await remembered()).map((n, i) => n - before[i]), [1, 1]);
});

test('who signs in again and again in the same browser is told to wait', async () => {
	const [MAX, secret] = [40, portals[0].add(`carol@${DOMAIN}`)];
	const before = await remembered();
	const browser = at(1);
	for (let i = 0; i < MAX; i++) await browser.signedIn('carol', secret);
	assert.equal((await browser.signIn('carol', secret)).status, 429);
	assert.equal((await browser.renew()).status, 200, 'who is signed in goes on');
	const [here] = await remembered();
	assert.equal(here - before[0], MAX);
});

test('its node dies: the session goes on at the other one, and both know afterwards what has begun meanwhile', async () => {
	const browser = await at(1).signedIn('alice', password);
	await status(2, browser, 200);
	await cluster.kill(1);
	assert.equal((await at(2, browser).renew()).json.sid, browser.sid);
	const meanwhile = await at(2).signedIn('alice', password);
	const out = await at(2).signedIn('alice', password);
	assert.equal((await at(2, out).signOut()).status, 204);
	await cluster.revive(1);
	await status(1, meanwhile, 200);
	await status(1, browser, 200);
	assert.equal((await at(1, out).renew()).status, 401);
});

test('signed out while its node could not be reached: over there too, with its registration, when that is back', {
	skip: process.env.CALL_RESUME_NETNS === 'own' ? false : 'wants a network namespace of its own, see tools/in-netns',
}, async () => {
	const browser = await at(1).signedIn('alice', password);
	await status(2, browser, 200);
	const page = await cluster.client('alice', 1, { token: browser.token });
	// One whose connection is lost is "deleted" until usrloc looks next (BINDINGS_CHECK).
	const bindings = () => cluster.node(1).kamailio.kamcmd('ul.dump');
	const bound = new RegExp(`${page.host}\\S*\\s+Expires: \\d`);
	assert.match(await bindings(), bound);
	await cluster.cut(1);
	const { kamailio } = cluster.node(2);
	await until('node 2 to know', async () => /FLAGS: IP/.test(await kamailio.kamcmd('dispatcher.list')));
	assert.equal((await at(2, browser).signOut()).status, 204);
	await until('nobody to try to tell it any more', async () => !(await kamailio.kamcmd('tm.list')).includes('htable'));
	await cluster.mend(1);
	await status(1, browser, 401);
	await until('its token to be refused', async () => await registered(1, browser.token) === 401);
	// Kamailio 6 has given up a connection by then that did not answer for tcp_send_timeout. Nobody could be told: who says
	// something hears of it.
	await until('its connection to be closed', () => {
		if (!page.socket.destroyed) page.webSocket.ping();
		return page.socket.destroyed;
	});
	await until('its binding to be gone', async () => !bound.test(await bindings()));
});

test('who guesses is slowed down at whichever node', async () => {
	const answers = [];
	for (let i = 0; i < 5; i++) answers.push((await at(1).signIn('bob', `guess ${i}`)).status);
	assert.deepEqual(answers, Array(5).fill(401));
	await until('the other node to know', async () => /bob[^}]*value: 5\b/.test(await cluster.node(2).kamailio.kamcmd('htable.dump', 'signins')));
	assert.equal((await at(2).signIn('bob', 'guess')).status, 429);
});

test('a state that is older than one that was used at another node resumes nothing', async () => {
	const far = await cluster.far();
	const client = await cluster.client('alice', 1);
	const call = await cluster.call(client, far);
	cluster.lose(client);
	const second = () => Math.floor(Date.now() / 1000); // states are told apart by it
	const then = second();
	await until('another second', () => second() > then);
	const back = await cluster.resume(call, 2);
	cluster.lose(back.client);
	const newest = await cluster.resume(back, 2);
	const thief = await cluster.client('alice', 1);
	await until('the other node to know', async () => (await thief.call({ state: call.state })).final.status === 410);
	await cluster.hangUp(newest);
});

test('a phone with a password that has its nonce from another node is told that it is stale, and a used one is used at both', async () => {
	const register = ['REGISTER', `sip:${DOMAIN}`];
	const to = `sip:alice@${DOMAIN}`;
	const [one, two] = await Promise.all([1, 2].map(async (number) => cluster.keep(
		await Phone.open({ user: 'alice', password, transport: 'udp', to: cluster.at(number) }))));
	const proof = (challenged, right = password) => ({ to, headers: [`Authorization: ${answerTo(challenged.get('www-authenticate'),
		{ user: 'alice', password: right, method: 'REGISTER', uri: register[1] })}`] });
	const stale = (m) => m.status === 401 && /stale=true/i.test(m.get('www-authenticate'));
	const challenged = await one.bare(...register, { to });
	assert.equal(challenged.status, 401);
	const again = await two.bare(...register, proof(challenged));
	assert.ok(stale(again), 'it comes again without asking anybody (RFC 7616 section 3.3)');
	assert.equal((await two.bare(...register, proof(again))).status, 200);
	for (const phone of [one, two]) assert.ok(stale(await phone.bare(...register, proof(again))), 'good once');
	const guess = await two.bare(...register, proof(await two.bare(...register, { to }), 'guess'));
	assert.equal(guess.status, 401);
	assert.ok(!stale(guess), 'a wrong password is no stale nonce');
	const forged = await two.bare(...register, proof({ get: (name) => challenged.get(name).replace(/nonce="(.)/, (all, c) => `nonce="${c === 'A' ? 'B' : 'A'}`) }));
	assert.equal(forged.status, 401);
	assert.ok(!stale(forged), 'nor is one that no node has made');
});

test('no node takes a nonce of another one, were it not for what has been used', async () => {
	const ring = writeKeyRing(path.join(cluster.dir, 'small.ring'));
	const nodes = await Promise.all([1, 2].map((number) => Kamailio.start(cluster.dir, {
		name: `small-${number}`, ip: `127.0.0.${20 + number}`, own: small(`
listen=udp:127.0.0.${20 + number}:5090
loadmodule "auth.so"
modparam("call_resume", "node", ${number})
modparam("call_resume", "node_socket", "udp:127.0.0.${20 + number}:5090")
modparam("auth", "auth_checks_register", 8)
request_route {
	if (pv_www_authenticate("${DOMAIN}", "secret", "0")) {
		sl_send_reply("200", "OK");
		exit;
	}
	$var(flags) = 1;
	if ($rc == -4) $var(flags) = 17;
	auth_challenge("${DOMAIN}", "$var(flags)");
}`), defines: { KEY_RING: `"${ring}"` },
	})));
	try {
		const [one, two] = await Promise.all(nodes.map(async ({ ip, port }) => cluster.keep(await Phone.open({ user: 'alice', transport: 'udp', to: { ip, port } }))));
		const ask = (phone, challenged) => phone.bare('REGISTER', `sip:${DOMAIN}`, challenged && { headers: [
			`Authorization: ${answerTo(challenged.get('www-authenticate'), { user: 'alice', password: 'secret', method: 'REGISTER', uri: `sip:${DOMAIN}` })}`,
		] });
		const challenged = await ask(one);
		for (let i = 0; i < 2; i++) assert.equal((await ask(one, challenged)).status, 200, 'here nobody remembers it');
		const other = await ask(two, challenged);
		assert.equal(other.status, 401);
		assert.match(other.get('www-authenticate'), /stale=true/i, 'another node has made it');
		assert.equal((await ask(two, other)).status, 200);
	} finally {
		for (const node of nodes) await node.stop();
	}
});
