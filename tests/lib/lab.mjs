// SPDX-License-Identifier: GPL-2.0-or-later
// What attacks on calls are tried with: a gateway, calls through it with audio, and what has to be as it was afterwards.

import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';

import { Rtp } from './rtp.mjs';
import { Endpoint, FarEnd, message, random } from './sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from './stack.mjs';
import { until } from './wait.mjs';

export const STRANGER_IP = '127.0.0.66';
export const tagOf = (value) => /;tag=([^;>]+)/.exec(value)[1];

/** A gateway, and calls through it with audio. */
export class Lab {
	static async start(name, options) {
		const self = new Lab();
		self.open = [];
		self.stack = await Stack.start(`strangers-${name}`, options);
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
export function stray(lab, { callId, from, to, method = 'INVITE', i, via = `SIP/2.0/UDP ${STRANGER_IP}:9`, fields = [], body = '' }) {
	return message('SIP/2.0 200 OK', [`Via: SIP/2.0/UDP ${lab.stack.gateway};branch=z9hG4bK${random()}${i ? `;i=${i}` : ''}`,
		`Via: ${via};branch=z9hG4bK${random()}`, `From: <sip:a@a>;tag=${from}`, `To: <sip:b@b>;tag=${to}`,
		`Call-ID: ${callId}`, `CSeq: 77 ${method}`, ...fields], body);
}
