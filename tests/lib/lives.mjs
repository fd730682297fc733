// SPDX-License-Identifier: GPL-2.0-or-later
// A client and its far end by hand, with audio, through one call after the other.

import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from './stack.mjs';
import { Rtp } from './rtp.mjs';
import { FarEnd } from './sip.mjs';

export class Lives {
	/** @param options  see Stack.start() */
	static async start(name, options) {
		const self = Object.assign(new this(), { open: [] });
		self.stack = await Stack.start(name, options);
		self.token = await self.stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
		return self;
	}

	keep(s) {
		this.open.push(s);
		return s;
	}

	/** After each test: nothing of it is left. */
	async end() {
		this.open.splice(0).forEach((s) => s.close());
		await this.stack.dropMedia();
	}

	gateway(transport) {
		const { kamailio } = this.stack;
		return { ip: kamailio.ip, port: transport === 'ws' ? kamailio.ws : kamailio.port };
	}

	/** bob. @param echo  sends back what he hears */
	async far({ echo = true, ...options } = {}) {
		const audio = this.keep(await Rtp.open({ ip: TRUNK_IP, echo }));
		const bob = this.keep(await FarEnd.open({
			ip: TRUNK_IP, port: this.stack.trunkPort, media: audio.port, to: this.gateway('udp'), ...options,
		}));
		return Object.assign(bob, { audio });
	}

	/** One life of alice, signed in. */
	async alice(transport, options) {
		const audio = this.keep(await Rtp.open());
		const client = this.keep(await FarEnd.open({
			user: 'alice', transport, token: this.token, media: audio.port, to: this.gateway(transport), ...options,
		}));
		assert.equal((await client.register()).status, 200);
		return Object.assign(client, { audio });
	}

	/**
	 * A call that is up: {callId, state, mine, theirs}, a dialog for each side and
	 * what the client sends as Call-State to resume it.
	 */
	async call(one, bob, role = 'caller') {
		const dialog = await (role === 'caller' ? one.call({ service: bob.user }) : bob.call({ service: 'alice' }));
		assert.equal(dialog.final.status, 200);
		const { callId } = dialog;
		const at = role === 'caller' ? bob : one;
		await at.take('the ACK', (m) => m.method === 'ACK' && m.callId === callId);
		const other = at.dialog(callId);
		if (role === 'caller') return { callId, state: dialog.state, mine: dialog, theirs: other, body: dialog.final.body };
		const invite = await one.take('the INVITE', (m) => m.method === 'INVITE' && m.callId === callId);
		const tag = /;tag=(.*)/.exec(other.local)[1];
		return { callId, state: `${invite.get('call-state')};tag=${tag}`, mine: other, theirs: dialog, body: invite.body };
	}

	/** Audio from both sides, and the client hears it. */
	talk(client, body, callId) {
		return this.stack.talk(client, body, callId);
	}
}
