// SPDX-License-Identifier: GPL-2.0-or-later
// Calls with a far end, or a client, that writes its messages otherwise than we do.

import assert from 'node:assert/strict';

import { Lives } from './lives.mjs';
import { sdp } from './sip.mjs';
import { until } from './wait.mjs';

const of = (method, callId) => (m) => !m.status && m.method === method && m.callId === callId;

/** The text with its Content-Length put right. */
function measured(text) {
	const at = text.indexOf('\r\n\r\n');
	const length = Buffer.byteLength(text.slice(at + 4), 'latin1');
	return text.slice(0, at).replace(/^(Content-Length|l)([ \t]*:[ \t]*)\d+/mi, `$1$2${length}`) + text.slice(at);
}

/** Have a party write what it sends in another way, from now on. @param write  (text) => text */
export function writes(party, write) {
	const send = Object.getPrototypeOf(party).send.bind(party);
	party.send = (text, to) => send(measured(write(text)), to);
}

export class Field extends Lives {
	/** bob, who writes in his own way. */
	async far({ write, ...options } = {}) {
		const bob = await super.far(options);
		if (write) writes(bob, write);
		return bob;
	}

	/** A call that lost its client, and has it back: {one, two, mine, theirs, callId, body}. mine is the
	 * dialog of the new client. @param between  called while the first one is there */
	async resumed(bob, { was = 'ws', is = 'ws', role = 'caller', between = async () => {} } = {}) {
		const one = await this.alice(was);
		const call = await this.call(one, bob, role);
		assert.ok(call.state, 'a state');
		await this.talk(one, call.body, call.callId);
		await between({ one, ...call });
		one.close();
		one.audio.close();
		const two = await this.alice(is);
		const mine = await two.call({ state: call.state });
		assert.equal(mine.final.status, 200, mine.final.start);
		await bob.take('the ACK of the new client', (m) => m.method === 'ACK' && m.callId === call.callId && m.cseq > 100);
		return { ...call, one, two, mine, body: mine.final.body };
	}

	/** Everything arrives, each way, in the names of its receiver: audio, requests, an offer of the far
	 * end, the end of the call. */
	async goesOn(bob, { two, mine, theirs, callId, body }, end = 'client') {
		await this.talk(two, body, callId);
		assert.equal((await theirs.request('INFO')).status, 200, 'INFO of the far end');
		await two.take('the INFO', of('INFO', mine.callId));
		const info = await mine.request('INFO');
		assert.equal(info.status, 200, 'INFO of the client');
		assert.equal(info.callId, mine.callId);
		await bob.take('the INFO', of('INFO', callId));
		const ok = await theirs.request('INVITE', { body: sdp(bob.ip, bob.media, 9) });
		assert.equal(ok.status, 200, 're-INVITE of the far end');
		theirs.ack();
		await two.take('the re-INVITE', of('INVITE', mine.callId));
		await two.take('its ACK', of('ACK', mine.callId));
		assert.equal((await (end === 'client' ? mine : theirs).request('BYE')).status, 200, 'BYE');
		await (end === 'client' ? bob : two).take('the BYE', of('BYE', end === 'client' ? callId : mine.callId));
		await this.stack.noMedia();
	}

	/** The audio goes on at both ends: each hears more. */
	async heard(client, bob) {
		const [mine, theirs] = [client.audio.received, bob.audio.received];
		await until('audio at both ends', () => client.audio.received > mine + 20 && bob.audio.received > theirs + 20);
	}
}
