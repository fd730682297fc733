// SPDX-License-Identifier: GPL-2.0-or-later
// A far end over UDP with manners: it knows which dialogs it has (481), in which
// order requests were sent (500), what it has offered and was offered, and sends back
// all audio and video.

import { Rtp } from './rtp.mjs';
import { Dialog, Endpoint, DOMAIN, message, random, replyTo } from './sip.mjs';
import { sleep, until } from './wait.mjs';

const MIRROR = { sendrecv: 'sendrecv', sendonly: 'recvonly', recvonly: 'sendonly', inactive: 'inactive' };
const OFFERED = [{ kind: 'audio', type: '8', name: 'PCMA/8000' }, { kind: 'video', type: '96', name: 'VP8/90000' }];

/** The m-lines of a description. */
function mediaOf(body) {
	const [head, ...sections] = body.split(/^m=/m);
	const direction = (part) => part.match(/^a=(sendrecv|sendonly|recvonly|inactive)/m)?.[1];
	return sections.map((section) => {
		const [kind, port, proto, ...types] = section.split('\r\n')[0].split(' ');
		const codec = kind === 'audio' ? /^a=rtpmap:(\d+) (PCMA\/8000)/m : /^a=rtpmap:(\d+) (VP8\/90000)/m;
		const [, type, name] = section.match(codec) ?? [undefined, types[0], undefined];
		return { kind, port: Number(port), proto, type, name, direction: direction(section) ?? direction(head) ?? 'sendrecv' };
	});
}

class Call {
	constructor(phone) {
		Object.assign(this, { phone, rtp: {}, version: 1, direction: 'sendrecv', lastCseq: -1, state: 'up', requests: [] });
	}

	/** A description: an answer to the other one's m-lines, or an offer of those that there are. */
	async description(theirs) {
		const answer = theirs !== undefined;
		this.media = theirs ?? this.media ?? OFFERED.slice(0, 1);
		const lines = ['v=0', `o=- 7 ${this.version++} IN IP4 ${this.phone.ip}`, 's=-', `c=IN IP4 ${this.phone.ip}`, 't=0 0'];
		for (const { kind, port, proto, type, name, direction } of this.media) {
			const refused = answer && (port === 0 || !['audio', ...this.phone.video ? ['video'] : []].includes(kind));
			if (!refused) this.rtp[kind] ??= await Rtp.open({ ip: this.phone.ip, echo: () => this.echoes });
			lines.push(refused ? `m=${kind} 0 ${proto} ${type}` : `m=${kind} ${this.rtp[kind].port} RTP/AVP ${type}`);
			if (name) lines.push(`a=rtpmap:${type} ${name}`);
			// An offer of ours that holds is answered from then on as well.
			const ours = this.direction;
			lines.push(`a=${answer ? this.#both(MIRROR[direction], ours) : ours}`);
		}
		// Nothing goes back to who holds us, or whom we hold.
		this.echoes = lines.includes('a=sendrecv');
		return `${lines.join('\r\n')}\r\n`;
	}

	#both(a, b) {
		const sends = a.startsWith('send') && b.startsWith('send');
		const receives = /recv/.test(a) && /recv/.test(b);
		return sends ? receives ? 'sendrecv' : 'sendonly' : receives ? 'recvonly' : 'inactive';
	}

	/** A request of ours; resolves with its final reply. */
	async request(method, options = {}) {
		const reply = await this.dialog.request(method, { timeout_ms: 40000, ...options });
		if (method === 'INVITE') {
			this.dialog.ack();
			if (reply.status < 300) this.dialog.target = reply.contact ?? this.dialog.target;
			this.echoes &&= mediaOf(reply.body).some((m) => m.direction === 'sendrecv');
		}
		return reply;
	}

	get id() {
		return this.dialog.callId;
	}

	/** How many INVITEs it got after the first, each once. */
	get reinvites() {
		return new Set(this.requests.filter((m) => m.method === 'INVITE').map((m) => m.cseq)).size;
	}

	/** The BYE of the other side. */
	get bye() {
		return this.requests.find((m) => m.method === 'BYE');
	}

	/** Wait until packets come, and for audio a sound in them. */
	hears(kind = 'audio') {
		const rtp = this.rtp[kind];
		const { received, loud } = rtp;
		return until(`the far end to get ${kind}`, () => rtp.received - received > 20 && (kind !== 'audio' || rtp.loud > loud));
	}

	/** Wait until packets have come for more than a second without a sound in them. */
	hearsSilence() {
		const { audio } = this.rtp;
		let { received, loud } = audio;
		return until('the far end to get silence', () => {
			if (audio.loud > loud) ({ received, loud } = audio);
			return audio.received - received > 60;
		});
	}

	/** Send audio of its own, silence, to where the other side wants it. */
	plays() {
		const audio = this.media.find((m) => m.kind === 'audio');
		this.rtp.audio.send(audio.port);
	}

	/** A re-INVITE: sendonly is a hold. */
	async reinvite(direction = this.direction, options = {}) {
		this.direction = direction;
		// One source at a time: Firefox hears neither of two.
		if (direction === 'sendrecv') this.rtp.audio?.rest();
		const reply = await this.request('INVITE', { body: await this.description(), ...options });
		if (reply.status !== 500 || !reply.get('retry-after')) return reply;
		// It has overtaken the ACK of the one before (RFC 3261 section 14.2).
		await sleep(1000 * Number.parseInt(reply.get('retry-after'), 10));
		return this.request('INVITE', { body: await this.description(), ...options });
	}

	async hangUp() {
		this.close();
		return this.request('BYE');
	}

	close() {
		this.state = 'ended';
		for (const rtp of Object.values(this.rtp)) rtp.close();
	}
}

export class Echo extends Endpoint {
	/**
	 * @param video   take video as well
	 * @param answer  (request, call) => false: do not answer this one
	 * @param allow   methods that it says it allows, such as 'INVITE, ACK, UPDATE'; by default it does not say
	 */
	static async open({ user = 'echo', video = false, answer = () => true, allow, ...options }) {
		const self = await super.open(options);
		Object.assign(self, { user, video, answer, allow, calls: [] });
		self.handle = (m) => {
			if (m.status) return false;
			self.#request(m).catch((e) => { self.error = e; });
			return true;
		};
		return self;
	}

	get uri() {
		return `sip:${this.user}@${this.host}`;
	}

	#rung = new Map(); // by Call-ID: the calls that ring

	/** Ring, and wait for the test to answer(). */
	ring(invite) {
		this.#progress(invite, 180, 'Ringing');
	}

	/** Send back what comes before there is an answer (early media). Resolves with the call. */
	async play(invite) {
		const call = this.#ringing(invite);
		this.#progress(invite, 183, 'Session Progress', await call.description(mediaOf(invite.body)));
		return call;
	}

	/** Take a call that rings; resolves when the answer is sent. */
	pickUp(invite) {
		return this.#offered(invite);
	}

	#ringing(invite) {
		if (!this.#rung.has(invite.callId)) this.#rung.set(invite.callId, Object.assign(new Call(this), { tag: random(4) }));
		return this.#rung.get(invite.callId);
	}

	#progress(invite, status, reason, body) {
		invite.answer(replyTo(invite, status, reason, {
			to: `${invite.get('to')};tag=${this.#ringing(invite).tag}`, body,
			fields: [...invite.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <${this.uri}>`],
		}));
	}

	/** The call that came or was made last. */
	get last() {
		return this.calls.at(-1);
	}

	#of(m) {
		return this.calls.find((c) => c.dialog.callId === m.callId && c.state === 'up'
			&& c.dialog.local.includes(`;tag=${m.tag('to')}`));
	}

	async #request(m) {
		const call = m.tag('to') ? this.#of(m) : undefined;
		call?.requests.push(m);
		if (this.answer(m, call) === false) return;
		if (m.method === 'ACK') return;
		if (m.tag('to') && !call) return m.answer(replyTo(m, 481, 'Call/Transaction Does Not Exist'));
		if (call && m.cseq <= call.lastCseq) return m.answer(replyTo(m, 500, 'Server Internal Error'));
		if (call) call.lastCseq = m.cseq;
		if (m.method === 'INVITE' || m.method === 'UPDATE' && m.body) return this.#offered(m, call);
		if (m.method === 'BYE') call.close();
		if (m.method === 'UPDATE') call.dialog.target = m.contact ?? call.dialog.target;
		return m.answer(replyTo(m, 200, 'OK'));
	}

	async #offered(m, known) {
		const call = known ?? this.#ringing(m);
		if (!known) {
			call.dialog = new Dialog(this, {
				callId: m.callId, local: `${m.get('to')};tag=${call.tag}`, remote: m.get('from'), routes: m.recordRoutes,
			});
			call.lastCseq = m.cseq;
			this.calls.push(call);
		}
		call.dialog.target = m.contact ?? call.dialog.target;
		m.answer(replyTo(m, 200, 'OK', {
			to: call.dialog.local, body: await call.description(m.body ? mediaOf(m.body) : undefined),
			fields: [...m.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <${this.uri}>`, ...this.#allows()],
		}));
	}

	#allows() {
		return this.allow ? [`Allow: ${this.allow}`] : [];
	}

	/** Call a client; resolves when it has answered. */
	async call(user, { to = this.to, kinds = ['audio'] } = {}) {
		const call = new Call(this);
		call.media = OFFERED.filter(({ kind }) => kinds.includes(kind));
		const branch = `z9hG4bK${random()}`;
		const fields = [`From: <sip:${this.user}@${DOMAIN}>;tag=${random(4)}`, `To: <sip:${user}@${DOMAIN}>`, `Call-ID: ${random()}`];
		this.to = to;
		this.send(message(`INVITE sip:${user}@${DOMAIN} SIP/2.0`, [
			`Via: SIP/2.0/UDP ${this.host};branch=${branch}`, 'Max-Forwards: 70', ...fields, 'CSeq: 1 INVITE', `Contact: <${this.uri}>`, ...this.#allows(),
		], await call.description()));
		const final = await this.take('the answer of the client', (m) => m.status >= 200 && m.get('via').includes(branch), { timeout_ms: 20000 });
		if (final.status >= 300) {
			call.close();
			throw new Error(`${user}: ${final.start}`);
		}
		call.dialog = new Dialog(this, {
			callId: final.callId, local: final.get('from'), remote: final.get('to'), target: final.contact,
			routes: final.recordRoutes.reverse(), cseq: 1,
		});
		call.media = mediaOf(final.body);
		this.calls.push(call);
		call.dialog.ack();
		return call;
	}

	close() {
		for (const call of [...this.calls, ...this.#rung.values()]) call.close();
		super.close();
	}
}
