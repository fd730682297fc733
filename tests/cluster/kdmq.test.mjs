// SPDX-License-Identifier: GPL-2.0-or-later
// What nodes tell each other (KDMQ) they tell themselves: nobody has one node write it to another in a request of his.

import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';

import { Cluster, nodeIp } from '../lib/cluster.mjs';
import { makeCertificate } from '../lib/kamailio.mjs';
import { Nginx } from '../lib/nginx.mjs';
import { nodeKeys, sign } from '../lib/node.mjs';
import { Portal, QUICK, Visitor } from '../lib/portal.mjs';
import { Dialog, Endpoint, message, random } from '../lib/sip.mjs';
import { DOMAIN, runFolder } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const NODE_PORT = 5090;
const FAILURES = 5; // PORTAL_ADDRESS_FAILURES_MAX
const NOBODY = 'sip:x@x.invalid;alias=127.0.0.1~4000~2;crc=9;crn=77'; // a Contact at a node that there is not

let cluster, certificate, web;
before(async () => {
	const dir = runFolder('cluster-kdmq');
	certificate = makeCertificate(dir, ['127.0.0.1']);
	const portals = [1, 2].map((n) => {
		fs.mkdirSync(path.join(dir, `portal-${n}`), { mode: 0o700 });
		return Portal.create(path.join(dir, `portal-${n}`));
	});
	cluster = await Cluster.start('cluster-kdmq', {
		dir, defines: { RESUME_TRUSTED_PROXY: '"127.0.0.1"', PORTAL_ADDRESS_FAILURES_MAX: FAILURES }, per: (n) => ({ ...portals[n - 1].defines }),
	});
	const { ip, kamailio } = cluster.node(2);
	web = await Nginx.start(dir, { kamailio: `${ip}:${kamailio.ws}`, certificate, name: 'nginx-2', values: QUICK });
});
afterEach(() => cluster.clear());
after(async () => {
	await web?.stop();
	await cluster?.stop();
});

/** The Contact of a client of node 2, as far as its name is the peer's. */
const atNode2 = (peer) => `sip:${peer}@x.invalid;alias=127.0.0.1~4000~5;crc=9;crn=2`;
const routes = (params) => [`<sip:${nodeIp(1)}:5060;lr;${params}>`];

/** A dialog that there is not. */
const madeUp = (party, target) => new Dialog(party, {
	callId: random(), cseq: 70, target, routes: routes('ftag=t;crs-a=a;crs-b=b'), local: `<sip:${party.user}@${DOMAIN}>;tag=t`, remote: `<sip:x@${DOMAIN}>;tag=u`,
});

/** A call of alice's with the far end: the far end's side of it, by the reference that it has. */
async function ofFarEnd() {
	const far = await cluster.far();
	const { theirs, dialog } = await cluster.call(await cluster.client('alice', 1), far);
	const [, reference] = /;(crs-[ab]=[^;>]*)/.exec(theirs.target);
	return { theirs, routes: routes(`ftag=${/tag=(.*)/.exec(dialog.local)[1]};${reference}`) };
}

const binding = (aor, server) => JSON.stringify({
	action: 1, aor: `${aor}@${DOMAIN}`, ruid: `uloc-${random()}`, c: 'sip:ghost@127.0.0.1:4999', received: '', path: '', expires: 2000000000, q: -1, last_modified: 1, flags: 0, cflags: 0,
	user_agent: 'x', instance: '', reg_id: 0, server_id: server, methods: 0, callid: random(), cseq: 1,
});

/** A binding, as one tells node n of it who signs as a node does. @param note  of sign(): who has sent it to that one */
function tellBinding(party, n, aor, server, note) {
	const to = `sip:usrloc@${nodeIp(n)}:${NODE_PORT}`;
	party.send(sign(message(`KDMQ ${to} SIP/2.0`, [`Via: SIP/2.0/UDP ${party.host};branch=z9hG4bK${random()}`, 'Max-Forwards: 20', `From: <sip:x@${DOMAIN}>;tag=x`, `To: <${to}>`,
		`Call-ID: ${random()}`, 'CSeq: 1 KDMQ', 'Content-Type: application/json'], binding(aor, server)), nodeKeys(cluster.keyRing)[0], note));
}

/** A web session of alice with a cookie of the sender's own, as dmq would tell of it. */
function session() {
	const cookie = randomUUID() + randomUUID();
	const cname = createHash('sha256').update(cookie).digest('hex');
	return { cookie, body: JSON.stringify({ action: 2, htname: 'sessions', cname, type: 2, strval: `sip:alice@${DOMAIN} ${randomUUID()} 2000000000`, mode: 1 }) };
}

async function isNobody(cookie) {
	const answer = await Object.assign(new Visitor(web.url, { ca: certificate.cert }), { cookie }).renew();
	assert.equal(answer.status, 401, `he is ${answer.json?.user}`);
}

const bindings = () => cluster.node(2).kamailio.kamcmd('ul.dump');

test('a user who asks in a dialog writes no web session, no binding and no node', async () => {
	const mallory = await cluster.client('mallory', 1);
	const spy = cluster.keep(await Endpoint.open({ ip: '127.0.0.77', to: { ip: nodeIp(2), port: NODE_PORT } }));
	const tell = (peer, body, type = 'application/json') => madeUp(mallory, atNode2(peer)).request('KDMQ', { headers: [`Authorization: Bearer ${mallory.token}`, `Content-Type: ${type}`], body });
	const { cookie, body } = session();
	for (const [peer, what, type] of [['htable', body], ['usrloc', binding('carol', 2)], ['notification_peer', `sip:${spy.host};status=active\r\n`, 'text/plain']]) {
		assert.equal((await tell(peer, what, type)).status, 481, peer);
	}
	await isNobody(cookie);
	assert.doesNotMatch(await bindings(), /carol/);
	assert.doesNotMatch(await cluster.node(2).kamailio.kamcmd('dmq.list_nodes'), /127\.0\.0\.77/);
});

test('nor does a far end, over UDP, with the reference of its call', async () => {
	const { theirs, routes: own } = await ofFarEnd();
	const { cookie, body } = session();
	assert.equal((await theirs.request('KDMQ', { target: atNode2('htable'), routes: own, headers: ['Content-Type: application/json'], body })).status, 481);
	await isNobody(cookie);
});

test('nor does a node take it from one that passes it on, of an older release perhaps', async () => {
	const older = cluster.keep(await Endpoint.open({ ip: '127.0.0.66', to: { ip: nodeIp(2), port: NODE_PORT } }));
	for (const from of ['client', 'trunk']) tellBinding(older, 2, `of-${from}`, 1, { value: `1;from=${from};proto=udp` });
	tellBinding(older, 2, 'of-node', 1);
	await until('that of the node itself', async () => /of-node/.test(await bindings()));
	assert.doesNotMatch(await bindings(), /of-(client|trunk)/);
});

test('a call to a user whom the other node has not any more ends there: nothing goes to the trunk from the socket for nodes', async () => {
	const far = await cluster.far();
	tellBinding(cluster.keep(await Endpoint.open({ ip: '127.0.0.66', to: { ip: nodeIp(1), port: NODE_PORT } })), 1, 'ghost', 2);
	await until('node 1 to know him', async () => /ghost/.test(await cluster.node(1).kamailio.kamcmd('ul.dump')));
	const alice = await cluster.client('alice', 1);
	assert.equal((await alice.call({ service: 'ghost' })).final.status, 480);
	assert.deepEqual(far.requests.map((m) => m.start), []);
});

test('requests for a node that there is not leave no line', async () => {
	const { length } = cluster.node(1).kamailio.log();
	const mallory = await cluster.client('mallory', 1, { transport: 'tcp' });
	const own = madeUp(mallory, NOBODY);
	const headers = [`Authorization: Bearer ${mallory.token}`];
	const { theirs, routes: known } = await ofFarEnd();
	for (let i = 0; i < 50; i++) {
		own.ack({ headers });
		theirs.ack({ target: NOBODY, routes: known });
	}
	assert.ok((await own.request('INFO', { headers })).status >= 400);
	assert.ok((await theirs.request('INFO', { target: NOBODY, routes: known })).status >= 400);
	assert.deepEqual(cluster.node(1).kamailio.logged(/dispatcher/, length), []);
});

test('who has guessed too many passwords costs the other node no message more', async () => {
	const visitor = new Visitor(web.url, { ca: certificate.cert });
	for (let i = 0; i <= FAILURES; i++) await visitor.signIn(`user${i}`, 'wrong');
	// What it has been told: each count would be a message.
	const told = async () => [...(await cluster.node(1).kamailio.kamcmd('htable.dump', 'signins')).matchAll(/name: (.*)\s+value: (\d+)/g)].map(([, name, n]) => `${name}: ${n}`).sort();
	await until('node 1 to know all of these', async () => (await told()).some((one) => one.endsWith(`: ${FAILURES + 1}`)));
	const before = await told();
	for (let i = 0; i < 30; i++) assert.equal((await visitor.signIn(`other${i}`, 'wrong')).status, 429);
	// And what comes behind them.
	await cluster.client('dave', 2);
	await until('node 1 to know of that', async () => /dave/.test(await cluster.node(1).kamailio.kamcmd('ul.dump')));
	assert.deepEqual(await told(), before);
});
