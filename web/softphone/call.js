// SPDX-License-Identifier: MIT
// One call: a session of JsSIP, which another one replaces when the page comes back, and
// its card.

import { Card } from './card.js';
import { farTrack, hasVideo, listen, nearTrack } from './media.js';
import { span, whyNot } from './words.js';

const LOST = 'The connection is lost: reconnecting…';
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Call {
	#phone;
	#ending = false; // the user wants it to
	#heard; // the track that is played

	/**
	 * @param phone  what calls share: {calls (CallResume), options(video), say(text), changed(call),
	 *               focus(call), holdOthers(call), again(call), close(call)}
	 * @param id     of the call in the storage, when it comes back from there
	 * @param data   what the page has remembered: {name, number, address, start, incoming}
	 */
	constructor(phone, { id, state, data, offersVideo = false }) {
		this.#phone = phone;
		// From a storage anything may come.
		const text = (name) => (typeof data?.[name] === 'string' ? data[name] : undefined);
		Object.assign(this, {
			id, state, offersVideo, name: text('name') ?? 'Call', number: text('number'), address: text('address'),
			start: Number.isFinite(data?.start) ? data.start : undefined, incoming: !!data?.incoming,
		});
		this.card = new Card(id, {
			answer: () => this.answer(false),
			video: () => this.answer(true),
			reject: () => this.hangUp(),
			hangup: () => this.hangUp(),
			mute: () => this.toggleMute(),
			hold: () => (this.held ? phone.focus(this) : this.hold(true)),
			sound: () => this.card.unblock(),
			close: () => phone.close(this),
			again: () => phone.again(this),
			retry: () => phone.calls.retry(this.id) || location.reload(),
			press: (key) => this.press(key),
		});
		if ('leaving' in this.card.element.dataset) this.#ending = true;
	}

	/** Someone talks, or may in a moment. */
	get live() {
		return !['over', 'waiting'].includes(this.state);
	}

	/** Whom to name where there is one line for it: anybody can call himself what he likes. */
	get who() {
		return withAddress(this);
	}

	set(what) {
		Object.assign(this, what);
		if (this.#ending && this.state === 'resuming') this.text = 'Hanging up…';
		this.#phone.changed(this);
	}

	// -- the session

	/** A session that we place, or that came in. */
	begin(session) {
		this.session = session;
		this.#listen(session);
		session.on('progress', ({ originator }) => {
			if (originator === 'remote' && this.state === 'calling') this.set({ state: 'ringing' });
		});
		session.on('confirmed', () => {
			this.#phone.say(`Connected with ${this.who}`);
			this.#up();
		});
	}

	/** The session that has brought the call back. @param detail  of the event */
	async back(session, { away, held, muted }, heard) {
		const died = Date.now() - away;
		this.session = session;
		this.#listen(session);
		if (this.#ending) return this.hangUp();
		Object.assign(this, { held, muted, line: undefined, text: undefined });
		await this.#up();
		const at = held ? undefined : await heard;
		if (this.session !== session || this.state !== 'up') return undefined;
		return this.set({
			line: at ? `Back. Audio was away for ${span(Math.max(0, at - died))}.` : `Back after ${span(away)}.`,
		});
	}

	#listen(session) {
		const mine = (act) => (event) => { if (this.session === session) act(event); };
		session.on('hold', mine(() => this.#holdChanged()));
		session.on('unhold', mine(() => this.#holdChanged()));
		session.on('muted', mine(() => this.set({ muted: true })));
		session.on('unmuted', mine(() => this.set({ muted: session.isMuted().audio })));
		session.on('ended', mine((event) => this.#over(event)));
		session.on('failed', mine((event) => this.#over(event)));
		if (session.connection) this.#connect(session.connection);
		else session.on('peerconnection', ({ peerconnection }) => this.#connect(peerconnection));
	}

	#connect(connection) {
		connection.addEventListener('track', () => this.#media());
		connection.addEventListener('iceconnectionstatechange', () => this.#iceChanged(connection));
		this.#media();
	}

	#iceChanged(connection) {
		if (this.session?.connection !== connection || this.state !== 'up') return;
		const lost = ['disconnected', 'failed'].includes(connection.iceConnectionState);
		if (lost || this.line === LOST) this.set({ line: lost ? LOST : undefined });
	}

	#media() {
		const connection = this.session?.connection;
		if (!connection) return;
		const audio = farTrack(connection, 'audio');
		if (audio && audio !== this.#heard) {
			this.#heard = audio;
			this.card.hear(audio);
		}
		const video = this.state === 'up' && hasVideo(connection);
		this.card.see(video ? farTrack(connection, 'video') : undefined, video ? nearTrack(connection, 'video') : undefined);
	}

	async #up() {
		const { session } = this;
		this.start ??= Date.now();
		this.set({ state: 'up', text: undefined });
		this.#media();
		this.#remember();
		const info = await this.#phone.calls.info(session);
		if (!info || this.session !== session) return;
		if (!this.number) Object.assign(this, { name: user(info.peer), number: user(info.peer) });
		this.set({ start: info.start.getTime() });
		this.#remember();
	}

	#remember() {
		const { name, number, address, start, incoming } = this;
		this.#phone.calls.remember(this.session, { data: { name, number, address, start, incoming } });
	}

	#holdChanged() {
		const { local, remote } = this.session.isOnHold();
		this.set({ held: local, away: remote, line: undefined });
		this.#media();
	}

	#over({ originator, message, cause }) {
		const was = this.state;
		const ours = originator === 'local' && (this.#ending || cause === 'Terminated' || cause === 'Canceled');
		const missed = was === 'incoming' && !ours;
		const text = missed ? 'Missed call'
			: was === 'up' ? 'The call has ended.'
				: whyNot(message?.status_code, cause);
		this.card.see();
		this.set({ state: 'over', text, was, missed, ours, held: false, line: undefined });
	}

	// -- what the user does

	answer(video) {
		this.#phone.holdOthers(this);
		this.set({ state: 'answering' });
		this.session.answer(this.#phone.options(video));
	}

	hangUp() {
		this.#ending = true;
		// On its way back it has no session yet that could be hung up.
		if (!this.session) return this.set();
		if (!this.session.isEnded()) this.session.terminate();
		return undefined;
	}

	toggleMute() {
		if (this.session.isMuted().audio) this.session.unmute({ audio: true });
		else this.session.mute({ audio: true });
	}

	/** On hold or off; waits for the library when it is in the middle of an offer. */
	async hold(on) {
		const { session } = this;
		for (let i = 0; i < 50 && this.state === 'up' && this.session === session; i++) {
			if (session.isOnHold().local === on || (on ? session.hold() : session.unhold())) return;
			await sleep(100);
		}
	}

	/** A key while the call is up: in the audio where the other side takes that (RFC 4733),
	 * otherwise as INFO. */
	press(key) {
		const tones = this.session.connection.getSenders().find((s) => s.track?.kind === 'audio')?.dtmf;
		this.session.sendDTMF(key, { transportType: tones?.canInsertDTMF ? 'RFC2833' : 'INFO' });
	}

	async meter() {
		const { connection } = this.session ?? {};
		if (this.state !== 'up' || this.compact || !connection) return;
		const { near, far } = await listen(connection);
		this.card.level(near, far);
	}
}

/** On one line: the address, and in front of the name, which can be as long as its owner likes. */
export const withAddress = ({ name, address }) => (address && address !== name ? `${address} (“${name}”)` : name);

/**
 * Who calls. The name is what the caller says, the address what the gateway has let through: numbers, and users
 * of our domain, go without their host.
 * @param identity  JsSIP's NameAddrHeader
 * @returns {{name: string, number: string, address: string}}
 */
export function callerOf({ display_name, uri }, domain) {
	const number = user(uri.toString());
	const address = uri.host === domain || /^\+?[0-9]+$/.test(number) ? number : `${number}@${uri.host}`;
	// Nothing that turns the direction of writing, or cannot be seen.
	return { name: display_name?.replace(/[\p{Cc}\p{Cf}]/gu, '').trim() || address, number, address };
}

/** Who a SIP URI is, for people. */
export function user(uri) {
	const name = uri.match(/^sips?:([^@;]+)@/)?.[1] ?? uri;
	try {
		const text = decodeURIComponent(name);
		// One that looks like another one stays as it is written.
		return /[@\p{Cc}\p{Cf}]/u.test(text) ? name : text;
	} catch {
		return name; // as the far end wrote it
	}
}
