// SPDX-License-Identifier: GPL-2.0-or-later
// A phone by hand, for farEnd(): behind something that is to be tested, a proxy or a PBX.

import { FarEnd, random } from './sip.mjs';
import { PCMA, Voice, sdp } from './voice.mjs';
import { freePort } from './ports.mjs';

export class HandPhone {
	/** @param to  where its requests go: {ip, port} */
	static async start({ ip, port, user = 'bob', to }) {
		const self = Object.assign(new HandPhone(), { user, hums: 1000, up: new Set(), version: 1 });
		self.voice = await Voice.open({ ip, law: PCMA });
		self.party = await FarEnd.open({ ip, port: port ?? await freePort(ip), user, to, media: self.voice.port, answer: (m) => self.#answer(m) });
		self.party.describe = () => self.#sdp();
		return self;
	}

	#sdp(direction = 'sendrecv') {
		return sdp(this.voice).replace(/^(o=- \d+) \d+/m, `$1 ${++this.version}`).replace('sendrecv', direction);
	}

	/** From the other side's description on it hums there. */
	#speak(body) {
		const port = Number(/^m=audio (\d+)/m.exec(body)?.[1]);
		const ip = /^c=IN IP4 (\S+)/m.exec(body)?.[1];
		if (port && ip !== this.at?.ip | port !== this.at?.port) this.voice.speak(this.at = { ip, port }, { hertz: this.hums });
	}

	#answer(m) {
		if (m.method === 'INVITE') this.up.add(m.callId);
		if (m.method === 'BYE') this.up.delete(m.callId);
		if (m.body && ['INVITE', 'ACK', 'UPDATE'].includes(m.method)) this.#speak(m.body);
		if (m.method !== 'REFER') return true;
		this.#referred(m).catch(() => {});
		return false;
	}

	/** RFC 3515: call whom it is told to, and say how that went. */
	async #referred(m) {
		const dialog = this.party.dialog(m.callId);
		const notify = (state, line) => dialog.request('NOTIFY', {
			headers: ['Event: refer', `Subscription-State: ${state}`, `Contact: <${this.party.uri}>`, 'Content-Type: message/sipfrag'],
			body: `SIP/2.0 ${line}\r\n`,
		});
		this.party.reply(m, 202, 'Accepted', { contact: true });
		await notify('active', '100 Trying');
		const { final } = await this.#call(/<([^>]*)>/.exec(m.get('refer-to'))[1]);
		await notify('terminated;reason=noresource', final.start.slice('SIP/2.0 '.length));
	}

	async #call(uri) {
		const call = await this.party.call({ service: /sip:([^@]*)@/.exec(uri)[1], body: this.#sdp(), callId: `hand-${random()}` });
		if (call.final.status !== 200) return call;
		this.up.add(call.callId);
		this.#speak(call.final.body);
		return call;
	}

	get #dialog() {
		return this.party.dialog([...this.up].at(-1));
	}

	async #offer(direction) {
		const dialog = this.#dialog;
		const ok = await dialog.request('INVITE', { body: this.#sdp(direction) });
		if (ok.status !== 200) throw new Error(`${this.user}: ${ok.start}`);
		dialog.ack();
		this.#speak(ok.body);
	}

	async dial(uri) {
		const { final } = await this.#call(uri);
		if (final.status !== 200) throw new Error(`${this.user}: ${final.start}`);
	}

	hold() {
		return this.#offer('sendonly');
	}

	unhold() {
		return this.#offer('sendrecv');
	}

	async transfer(uri) {
		const reply = await this.#dialog.request('REFER', { headers: [`Refer-To: <${uri}>`, `Contact: <${this.party.uri}>`] });
		if (reply.status >= 300) throw new Error(`${this.user}: ${reply.start}`);
	}

	async hangup() {
		const dialog = this.#dialog;
		this.up.delete(dialog.callId);
		await dialog.request('BYE');
	}

	hears(hertz) {
		return this.voice.hears(hertz);
	}

	calls() {
		return this.up.size;
	}

	stop() {
		this.voice.close();
		this.party.close();
	}
}
