// SPDX-License-Identifier: MIT
// One call: a session of JsSIP, which another one replaces when the page comes back, and
// its card.

import { deviceMessage } from '../call-resume/errors.js';
import { readMessage } from '../call-resume/message.js';
import { silenceFirst } from '../call-resume/shared.js';
import { Card } from './card.js';
import { farTrack, listen, pictures } from './media.js';
import { reoffer } from './reoffer.js';
import { span, whyNot } from './words.js';

const LOST = 'The connection is lost: reconnecting…';

export class Call {
	#phone;
	#ending = false; // the user wants it to
	#heard; // the track that is played
	#next; // the session that is to take the place of this one's
	#toHold = false; // on hold, and the other side cannot be told yet
	taken = []; // tracks that were captured while it was up

	/**
	 * @param phone  what calls share: {calls (CallResume), options(video), say(text), changed(call),
	 *               focus(call), holdOthers(call), again(call), close(call), and parts that are loaded when they
	 *               are needed: transfer(), devices(), video()}
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
			transfer: async () => (await phone.transfer()).toggleForm(this, phone),
			camera: async () => (await phone.video()).toggleCamera(this, phone),
			accept: () => this.asked?.accept(),
			decline: () => this.asked?.decline(),
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
		session.on('progress', ({ originator, response }) => {
			this.#played(response);
			if (originator !== 'remote' || this.state !== 'calling') return;
			this.set({ state: 'ringing' });
			this.#remember();
		});
		session.on('confirmed', () => {
			this.start = Date.now();
			this.#phone.say(`Connected with ${this.who}`);
			this.#up();
		});
	}

	/** The session of a call that rang when its page went, and rings. */
	ringsOn(session) {
		if (this.#ending) return session.terminate();
		this.session = session;
		session.on('progress', ({ response }) => this.#played(response));
		this.#connect(session.connection);
		// Answered: it comes back by another session. What else ends it is told as `failed`.
		session.on('failed', ({ message }) => {
			if (this.session !== session || !readMessage(message?.data ?? '')?.one('call-state')) return;
			this.session = undefined;
			this.set({ state: 'resuming' });
		});
		return this.set({ state: 'ringing', text: undefined, plays: false });
	}

	/** What comes before the answer is heard in the place of our own tone (RFC 3960 section 3.2). */
	#played(response) {
		if (response?.body && !this.plays) this.set({ plays: true });
	}

	/** The session that has brought the call back. @param detail  of the event */
	async back(session, { away, held, muted }, heard) {
		const died = Date.now() - away;
		this.session = session;
		this.#toHold = false;
		this.#release();
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
		for (const event of ['muted', 'unmuted']) session.on(event, mine(() => this.#muteChanged()));
		session.on('ended', mine((event) => this.#over(event)));
		session.on('failed', mine((event) => this.#over(event)));
		session.on('getusermediafailed', (error) => this.#noMedia(session, error));
		// Transfers: the other side wants us to call somebody, or somebody is to take its place.
		session.on('refer', mine(async (event) => (await this.#phone.transfer()).askUser(this, this.#phone, event)));
		session.on('replaces', mine(async (event) => (await this.#phone.transfer()).takePlace(this, this.#phone, event)));
		if (session.connection) this.#connect(session.connection);
		else session.on('peerconnection', ({ peerconnection }) => this.#connect(peerconnection));
	}

	#connect(connection) {
		connection.addEventListener('track', () => this.#media());
		connection.addEventListener('signalingstatechange', () => { if (connection.signalingState === 'stable') this.#media(); });
		this.#media();
	}

	/** The gateway, or the media, is away; or there again. The other side may hear nothing of it. */
	alone(yes) {
		if (this.state !== 'up' || !yes && this.line !== LOST) return;
		this.set({ line: yes ? LOST : undefined });
		this.#phone.say(yes ? LOST : 'The connection is there again');
	}

	#media() {
		const connection = this.session?.connection;
		if (!connection) return;
		const audio = farTrack(connection, 'audio');
		if (audio && audio !== this.#heard) {
			this.#heard = audio;
			this.card.hear(audio);
			this.card.sound(this.#phone.play);
		}
		const { far, near } = this.state === 'up' ? pictures(connection) : {};
		this.card.see(far, near);
		if (this.camera !== !!near) this.set({ camera: !!near });
	}

	/** Other tracks are sent than before. */
	pictured() {
		this.#media();
	}

	async #up() {
		const { session } = this;
		this.start ??= Date.now();
		this.set({ state: 'up', text: undefined });
		this.#media();
		this.#remember();
		this.#phone.devices().then((devices) => devices.follow(this, this.#phone), () => {});
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
		if (local) this.#toHold = false;
		this.set({ held: local || this.#toHold, away: remote, line: undefined });
		if (this.#toHold) this.#sendsAs(this.session);
		this.#media();
	}

	#muteChanged() {
		this.set({ muted: this.session.isMuted().audio });
		if (this.#toHold) this.#sendsAs(this.session);
	}

	#over({ originator, message, cause }) {
		const was = this.state;
		this.#toHold = false;
		const ours = originator === 'local' && (this.#ending || cause === 'Terminated' || cause === 'Canceled');
		const missed = was === 'incoming' && !ours;
		const text = this.farewell ?? (missed ? 'Missed call'
			: was === 'up' ? 'The call has ended.'
				: whyNot(message?.status_code, cause));
		this.card.see();
		this.#release();
		this.set({
			state: 'over', text, was, missed, ours: ours && !this.farewell, held: false, camera: false, line: undefined, ask: undefined, busy: undefined,
		});
	}

	/** The library says why after it has said that. */
	#noMedia(session, error) {
		const text = this.session === session && this.state === 'over' && deviceMessage(error);
		if (!text) return;
		this.text = text;
		this.card.show(this);
		this.#phone.say(text);
	}

	/** What was captured for this call beside what the library has. */
	#release() {
		for (const track of this.taken.splice(0)) track.stop();
	}

	/**
	 * Another session is to take the place of this one, with somebody else: a transfer that others have made. It has it when
	 * it is up, or the other side has ended this one; until then the call is what it was, whatever becomes of the new one.
	 * @param session  of JsSIP, which the page is about to answer
	 * @param who      as of callerOf()
	 */
	replaceBy(session, who) {
		const old = this.session;
		const take = () => {
			if (this.session !== old) return;
			this.#next = undefined;
			this.#toHold = false;
			this.#release();
			this.session = session;
			this.#listen(session);
			this.set({ ...who, start: undefined, away: false });
		};
		const over = () => { if (this.#next === session) this.#next = undefined; };
		this.#next = session;
		session.on('peerconnection', ({ peerconnection }) => silenceFirst(peerconnection, this));
		// The first time when it has its tracks, and its connection neither description: from those on they are encoded.
		session.on('sdp', () => this.#sendsAs(session));
		session.on('failed', over);
		session.on('ended', over);
		// Before the library, which then ends the old one, and would once more.
		session.prependListener('confirmed', take);
		old.prependListener('ended', ({ originator }) => {
			if (this.#next !== session) return;
			old.terminate = () => {};
			if (originator === 'remote') take();
			else session.terminate();
		});
		session.on('confirmed', () => {
			if (this.session !== session) return;
			this.#sendsAs(session);
			if (this.held) this.hold(true);
			this.set({ line: `Now you talk to ${this.who}.` });
			this.#phone.say(`Now you talk to ${this.who}`);
			this.#up();
		});
	}

	/** Whether another session is about to take the place of this one's. */
	get replaced() {
		return !!this.#next;
	}

	/** A session sends what this call does: nothing on hold, and no sound when muted. */
	#sendsAs(session) {
		if (session.isMuted().audio !== !!this.muted) session[this.muted ? 'mute' : 'unmute']({ audio: true });
		for (const { track } of session.connection.getSenders()) if (track) track.enabled = !this.held && !(this.muted && track.kind === 'audio');
	}

	// -- what the user does

	answer(video) {
		this.#phone.holdOthers(this);
		this.set({ state: 'answering' });
		this.session.answer(this.#phone.options(video));
	}

	/** @param farewell  what is left to be read */
	hangUp(farewell) {
		this.#ending = true;
		if (farewell) this.farewell = farewell;
		// On its way back it has no session yet that could be hung up.
		if (!this.session) return this.set();
		if (!this.session.isEnded()) this.session.terminate();
		return undefined;
	}

	toggleMute() {
		if (this.session.isMuted().audio) this.session.unmute({ audio: true });
		else this.session.mute({ audio: true });
	}

	/** On hold or off. On hold nothing is sent from here on; the other side is told as soon as it has answered what it was
	 * asked before, which it may take its time for. */
	async hold(on) {
		const { session } = this;
		const local = this.state === 'up' && session.isOnHold().local;
		if (this.state !== 'up' || (local || this.#toHold) === on) return;
		if (local) return void await reoffer(session, (done) => session.unhold({}, done), 4);
		this.#toHold = on;
		this.set({ held: on });
		this.#sendsAs(session);
		if (on) await reoffer(session, (done) => session.hold({}, done), 4);
		this.#tellHold(session);
	}

	async #tellHold(session) {
		while (this.#toHold && this.session === session && !session.isEnded()) await reoffer(session, (done) => session.hold({}, done), 4);
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
