// SPDX-License-Identifier: GPL-2.0-or-later
// Several gateways with one key ring, an rtpengine each, and a trunk:
//
//	clients (127.0.0.1) --- node 1 (127.0.0.11), node 2 (127.0.0.12), ... --- the far end (127.0.0.2)

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { Kamailio, makeCertificate, writeKeyRing } from './kamailio.mjs';
import { Nginx } from './nginx.mjs';
import { Portal } from './portal.mjs';
import { freePort } from './ports.mjs';
import { Rtp, audioPort } from './rtp.mjs';
import { Rtpengine } from './rtpengine.mjs';
import { FarEnd, Message, sdp } from './sip.mjs';
import { DOMAIN, TRUNK_IP, runFolder } from './stack.mjs';
import { until } from './wait.mjs';

export const nodeIp = (number) => `127.0.0.${10 + number}`;
const SIP_PORT = 5060;
const NODE_PORT = 5090;

/** Have it send each request in a dialog to where its Route, or the remote target, says; or to `through`. */
export function followTargets(party) {
	const send = party.send.bind(party);
	party.send = (text, to) => {
		const m = new Message(text);
		if (!m.start || m.status || to || !m.tag('to') || party.through) return send(text, to ?? party.through);
		const [, ip, port] = /sips?:(?:[^@>;]*@)?([^:;>]+)(?::(\d+))?/.exec(m.all('route')[0] ?? m.uri);
		return send(text, { ip, port: Number(port ?? SIP_PORT) });
	};
	return party;
}

export class Cluster {
	/**
	 * @param nodes    how many
	 * @param defines  for kamailio.cfg, of all nodes
	 * @param per      (number) => defines of that one alone
	 * @param tls      they listen for TLS too
	 * @param web      with a portal at each node, on one database, and nginx in front: cluster.web, cluster.portal;
	 *                 true, or what Nginx.start() takes. Tokens then pass over that and not in the clear
	 * @param ring     (dir, number) => the key ring of that node, where each has a file of its own
	 * @param dir      another folder than build/run/NAME.PID
	 */
	static async start(name, { nodes = 2, tls = false, web = false, ring, dir, defines = {}, per = () => ({}), kamailio = {} } = {}) {
		const self = new this();
		Object.assign(self, { dir: dir ?? runFolder(name), open: [], nodes: [] });
		self.keyRing = writeKeyRing(path.join(self.dir, 'keyring'));
		const ringOf = (n) => ring?.(self.dir, n) ?? self.keyRing;
		for (let n = 1; ring && n <= nodes; n++) fs.copyFileSync(self.keyRing, ringOf(n));
		self.trunkPort = await freePort(TRUNK_IP);
		if (tls) {
			const { cert, key } = makeCertificate(self.dir);
			defines = { WITH_TLS: true, TLS_CERTIFICATE: `"${cert}"`, TLS_PRIVATE_KEY: `"${key}"`, ...defines };
		}
		if (web) {
			self.portal = Portal.create(self.dir);
			defines = { ...self.portal.defines, RESUME_ALLOW_INSECURE: 0, RESUME_TRUSTED_PROXY: '"127.0.0.1"', ...defines };
		}
		const numbers = Array.from({ length: nodes }, (_, i) => i + 1);
		const list = path.join(self.dir, 'nodes.list');
		fs.writeFileSync(list, numbers.map((n) => `${n} sip:${nodeIp(n)}:${NODE_PORT}\n`).join(''));
		try {
			const engines = await Promise.all(numbers.map((n) => Rtpengine.start(self.dir, { ip: nodeIp(n), name: `rtpengine-${n}` })));
			self.nodes = numbers.map((n) => ({ number: n, ip: nodeIp(n), rtpengine: engines[n - 1], alive: true }));
			const all = engines.map((e) => `udp:${e.control}:${e.ng}`).join(' ');
			await Promise.all(self.nodes.map(async (node) => {
				const { number: n, ip } = node;
				const peers = numbers.filter((other) => other !== n).map((other, i) => [`NODE_PEER_${i + 1}`, `"sip:${nodeIp(other)}:${NODE_PORT}"`]);
				node.kamailio = await Kamailio.start(self.dir, {
					ip, name: `kamailio-${n}`, ports: { port: SIP_PORT, ws: 8080, tls: 5061 }, ...kamailio,
					defines: {
						DOMAIN: `"${DOMAIN}"`, TRUNK_IP: `"${TRUNK_IP}"`, TRUNK_URI: `"sip:${TRUNK_IP}:${self.trunkPort}"`,
						MEDIA_DENIED: '""', RESUME_KEY_RING: `"${ringOf(n)}"`, RESUME_ALLOW_INSECURE: 1,
						WITH_CLUSTER: true, NODE_ID: n, LISTEN_NODE: `udp:${ip}:${NODE_PORT}`, NODE_SOCKET: `"udp:${ip}:${NODE_PORT}"`,
						NODE_ADDRESS: `"sip:${ip}:${NODE_PORT}"`, NODES: `"${list}"`, NODE_ROUTE: `"${ip}:${SIP_PORT}"`, NODE_HOSTS: numbers.map(nodeIp).join(' '),
						RTPENGINE: `"${all}"`,
						...Object.fromEntries(peers), ...defines, ...per(n),
					},
				});
			}));
			await self.known();
			if (web) self.web = await self.#balancer(web);
		} catch (e) {
			await self.stop();
			throw e;
		}
		return self;
	}

	#balancer(options) {
		const all = this.nodes.map(({ ip, kamailio }) => `${ip}:${kamailio.ws}`);
		return Nginx.start(this.dir, { kamailio: all, certificate: makeCertificate(this.dir, ['127.0.0.1']), ...options });
	}

	node(number) {
		return this.nodes[number - 1];
	}

	get alive() {
		return this.nodes.filter((node) => node.alive);
	}

	/** Wait until every node that is there knows every other one. */
	async known() {
		for (const { kamailio } of this.alive) {
			await until('the nodes to know each other', async () => {
				const list = await kamailio.kamcmd('dmq.list_nodes');
				const up = await kamailio.kamcmd('dispatcher.list');
				return this.alive.every(({ ip }) => new RegExp(`host: ${ip}\\b[^}]*status: active`, 's').test(list))
					&& (up.match(/FLAGS: AP/g) ?? []).length >= this.alive.length;
			}, { timeout_ms: 30000, every_ms: 100 });
		}
	}

	/** Wait until every node that is there has missed those that are not: one that is back before that is left out later. */
	async missed() {
		for (const { kamailio } of this.alive) {
			await until('the nodes to miss who is not there', async () =>
				((await kamailio.kamcmd('dispatcher.list')).match(/FLAGS: AP/g) ?? []).length <= this.alive.length, { timeout_ms: 30000, every_ms: 100 });
		}
	}

	/** kill -9 of a node, with its media server unless told otherwise; it stays dead. */
	async kill(number, { rtpengine = true } = {}) {
		const node = this.node(number);
		node.alive = false;
		await node.kamailio.kill();
		if (rtpengine) await node.rtpengine.kill();
	}

	/** A node that was killed, or frozen, is started again. */
	async revive(number) {
		const node = this.node(number);
		await this.missed();
		// (Its media server first: one that Kamailio does not find when it starts is not asked for RTPENGINE_RETRY.)
		for (const program of [node.rtpengine, node.kamailio]) {
			if (node.frozen) await program.kill();
			if (!program.proc.alive) await program.boot();
		}
		Object.assign(node, { alive: true, frozen: false });
		await this.known();
	}

	/** As a machine that has stopped: it has all its connections, and says nothing. */
	async freeze(number) {
		const node = this.node(number);
		Object.assign(node, { alive: false, frozen: true });
		for (const { proc } of [node.kamailio, node.rtpengine]) await proc.freeze();
	}

	/** As if its cable had been pulled: nothing gets to it or from it, and it does not know. In a namespace of our own. */
	async cut(number) {
		const node = this.node(number);
		Object.assign(node, { alive: false, cut: true });
		execFileSync('ip', ['route', 'add', 'blackhole', node.ip, 'table', 'local']);
		// Its commands go over loopback here.
		await node.rtpengine.proc.freeze();
	}

	/** The cable is back. */
	async mend(number) {
		const node = this.node(number);
		await this.missed();
		execFileSync('ip', ['route', 'del', 'blackhole', node.ip, 'table', 'local']);
		node.rtpengine.proc.thaw();
		Object.assign(node, { alive: true, cut: false });
		await this.known();
	}

	keep(party) {
		this.open.push(party);
		return party;
	}

	token(user, sid = `s-${user}`) {
		return this.alive[0].kamailio.token(`sip:${user}@${DOMAIN}`, sid);
	}

	/** A client that has registered at a node, with audio. */
	async client(user, number, { transport = 'ws', token, register = true, ...options } = {}) {
		const { kamailio, ip } = this.node(number);
		const audio = this.keep(await Rtp.open());
		const port = { ws: kamailio.ws, tls: kamailio.tls }[transport] ?? kamailio.port;
		const client = this.keep(await FarEnd.open({
			user, transport, token: token ?? await this.token(user), media: audio.port, to: { ip, port }, ...options,
		}));
		Object.assign(client, { audio, number });
		if (register) assert.equal((await client.register()).status, 200);
		return client;
	}

	/** Where the far end sends to at a node. */
	at(number) {
		return { ip: nodeIp(number), port: SIP_PORT };
	}

	/** A far end that sends each request in a dialog to where its Route, or the remote target, says. */
	async far({ at = 1, ...options } = {}) {
		const audio = this.keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
		const far = this.keep(await FarEnd.open({
			ip: TRUNK_IP, port: this.trunkPort, media: audio.port, to: { ip: nodeIp(at), port: SIP_PORT }, ...options,
		}));
		return Object.assign(followTargets(far), { audio });
	}

	/** The client is gone, as a page that is killed. */
	lose(client) {
		client.close();
		client.audio.close();
	}

	/** Audio of a client, whose SDP from the gateway this is, to the far end and back. */
	async talk(client, sdp, packets = 10) {
		const ip = /c=IN IP4 (\S+)/.exec(sdp)[1];
		client.audio.send(audioPort(sdp), ip);
		client.media_ip = ip;
		const { received } = client.audio;
		await until(`audio of ${client.user} through ${ip}`, () => client.audio.received - received >= packets, { timeout_ms: 8000 });
	}

	/**
	 * A call between a client at a node and the far end, with audio.
	 * @param role  who the client is: caller or callee
	 * @param at    the node that the far end calls
	 */
	async call(client, far, role = 'caller', { at = client.number } = {}) {
		if (role === 'caller') {
			const dialog = await client.call({ service: 'bob' });
			assert.equal(dialog.final.status, 200, dialog.final.start);
			await this.talk(client, dialog.final.body);
			return { client, far, dialog, state: dialog.state, theirs: far.dialog(dialog.callId) };
		}
		far.to = { ip: nodeIp(at), port: SIP_PORT };
		const { kamailio } = this.node(at);
		const [, host] = /@([^;>]+)/.exec(client.uri);
		await until('its node to know where the client is', async () => (await kamailio.kamcmd('ul.dump')).includes(host));
		const theirs = await far.call({ service: client.user });
		assert.equal(theirs.final.status, 200, theirs.final.start);
		const invite = await client.take('the INVITE', (m) => m.method === 'INVITE' && !m.status);
		const dialog = client.dialog(theirs.callId);
		await this.talk(client, invite.body);
		return { client, far, dialog, theirs, state: `${invite.get('call-state')};tag=${/;tag=(.*)/.exec(dialog.local)[1]}` };
	}

	/** The call comes back to a new process of its user at another node. */
	async resume(call, number, options) {
		const { user, transport } = call.client;
		const client = await this.client(user, number, { transport, ...options });
		const dialog = await client.call({ state: call.state });
		assert.equal(dialog.final.status, 200, dialog.final.start);
		await this.talk(client, dialog.final.body);
		return { ...call, client, dialog, state: dialog.state };
	}

	/** Whatever there is in a dialog, both ways, with audio in the end. */
	async converse({ client, dialog, far, theirs }) {
		for (const [side, name] of [[theirs, 'the far end'], [dialog, 'the client']]) {
			const { ip, media } = side.party;
			for (const method of ['INFO', 'UPDATE', 'INVITE', 'REFER']) {
				const offers = method === 'INVITE' || method === 'UPDATE';
				const answer = await side.request(method, {
					...offers && { body: sdp(ip, media, 9) }, headers: method === 'REFER' ? ['Refer-To: <sip:carol@example.org>'] : [],
				});
				assert.equal(answer.status, 200, `${method} of ${name}: ${answer.start}`);
				if (method === 'INVITE') side.ack();
				if (method === 'INVITE' && side === dialog) await this.talk(client, answer.body);
			}
		}
		assert.ok(far.requests.every((m) => !m.recordRoutes.some((r) => r.includes('crs-'))), 'the far end is told no Route of ours');
	}

	/**
	 * One side hangs up, the other one hears of it, and its media are gone. (A media server that the call has
	 * left, because another one died, forgets it after its time without packets.)
	 */
	async hangUp({ client, dialog, far, theirs }, by = 'far end') {
		const [side, other] = by === 'far end' ? [theirs, client] : [dialog, far];
		assert.equal((await side.request('BYE')).status, 200);
		await other.take('the BYE', (m) => m.method === 'BYE' && !m.status);
		const { rtpengine } = this.nodes.find(({ ip }) => ip === client.media_ip);
		await until('no media to be left', async () => !(await rtpengine.calls()).includes(theirs.callId));
	}

	/** After each test. */
	async clear() {
		for (const party of this.open.splice(0)) party.close();
		for (const { rtpengine, alive } of this.nodes) {
			if (!alive || !rtpengine.proc.alive) continue;
			for (const id of await rtpengine.calls()) await rtpengine.ask({ command: 'delete', 'call-id': id, 'delete-delay': 0 });
		}
	}

	async stop() {
		for (const party of this.open.splice(0)) party.close();
		await this.web?.stop();
		await Promise.all(this.nodes.flatMap(({ kamailio, rtpengine, alive }) => [kamailio, rtpengine].map(
			(program) => (alive ? program?.stop() : program?.kill()))));
	}
}
