// SPDX-License-Identifier: MIT
//
// Calls that survive the loss of their page, for JsSIP and SIP.js.
//
// The gateway puts a header field, Call-State, into the messages of a call: its
// state, sealed. This file keeps the newest one of every call in the browser's
// storage. When the page is loaded again it places an ordinary call that carries
// the field, and the gateway makes it the next INVITE of the call that was lost.
//
//	resumeJsSIP(ua, options)            one call for each library, both
//	resumeSIPjs(userAgent, options)     give a CallResume
//
// From top to bottom: errors, CallResume. In call-resume/ are the storage, the keys, SIP as
// text, and what is special about each library. The types are in call-resume.d.ts.

import { JsSIPPhone } from './call-resume/jssip.js';
import { Keys } from './call-resume/keys.js';
import { addressOf, mediaOf, readMessage } from './call-resume/message.js';
import { before, isState, readAll, readRecord, writeRecord } from './call-resume/record.js';
import { sending, sleep } from './call-resume/shared.js';
import { SIPjsPhone } from './call-resume/sipjs.js';
import { browserStore } from './call-resume/store.js';

export { browserStore };

/** How long a page tries to get its call back, in milliseconds. */
const PATIENCE = 30_000;
/** How long ICE may be disconnected before its call is resumed, in milliseconds. */
const ICE_PATIENCE = 1_500;
/** How long the gateway may take to answer on a connection that may be dead, in milliseconds. */
const PROBE = 2_000;
/** How often a call says that its page is alive, in milliseconds. */
const HEARTBEAT = 1_000;
/** After so many heartbeats without a connection another one is tried: long enough for a slow network. */
const DOWN = 10;

// ---- errors ---------------------------------------------------------------

/** Why a call was not resumed; `reason` is for programs, `message` for people. */
export class ResumeError extends Error {
	/**
	 * @param {import('./call-resume.js').ResumeFailure} reason
	 * @param {{status?: number, cause?: unknown, final?: boolean}} [detail]
	 */
	constructor(reason, { status, cause, final = true } = {}) {
		super(reason === 'no-media' && DEVICES[cause?.name] || MESSAGES[reason], { cause });
		this.name = 'ResumeError';
		this.reason = reason;
		this.status = status;
		this.final = final;
	}
}

const MESSAGES = {
	ended: 'The call ended while you were away.',
	expired: 'You were away for too long.',
	refused: 'You are not allowed to come back into this call.',
	'no-network': 'The service cannot be reached.',
	'no-media': 'The microphone or camera cannot be used.',
	failed: 'The call could not be resumed.',
	canceled: 'You hung up.',
	password: 'The service does not accept the user name or the password.',
	damaged: 'What was stored of the call is damaged.',
};

/** Why there is no microphone or camera, by the name of getUserMedia()'s error. */
const DEVICES = {
	__proto__: null,
	NotAllowedError: 'This page is not allowed to use the microphone or camera.',
	NotFoundError: 'The microphone or camera is not there any more.',
	OverconstrainedError: 'The microphone or camera is not there any more.',
	NotReadableError: 'The microphone or camera is in use by another program.',
};
/** Reasons that the user can do something about: the call is kept. */
const KEPT = ['no-media', 'password'];
/** So often one that is in use is asked for again: the page that was here may have it a moment longer. */
const IN_USE = 3;

/** Seconds of a Retry-After (RFC 3261 section 20.33); 0 where there is none that is a number. Whoever refuses has written it. */
const secondsOf = (field) => Number(/^\s*(\d{1,9})(?=[\s;(]|$)/.exec(field ?? '')?.[1] ?? 0);

/** What a final answer to the resume INVITE means. @returns the reason, or
 * undefined when it is worth another attempt. */
function reasonOf({ status, cause }, attempt, token) {
	if (cause?.name === 'NotReadableError' && attempt < IN_USE) return undefined;
	if (cause?.name in DEVICES) return 'no-media';
	if (status === 481 || status === 408) return 'ended';
	if (status === 410) return 'expired';
	if (status === 407 || status === 401 && !token) return 'password';
	if (status === 401 || status === 403) return 'refused';
	if (!status || status === 491 || status >= 500 && status < 600 && status !== 513) return undefined;
	return 'failed';
}

// ---- CallResume -----------------------------------------------------------

/** Hold the lock of one call, so that one tab is in charge of it. Where there are no
 * locks, one tab in charge too many is better than none.
 * @returns {Promise<() => void>} what lets go of it */
function holdLock(name) {
	return new Promise((held) => {
		const none = () => held(() => {});
		if (navigator.locks) navigator.locks.request(name, () => new Promise(held)).catch(none);
		else none();
	});
}

/**
 * The calls of one user agent. See call-resume.d.ts for its events.
 *
 * A record is what is stored of a call: {state, update, tag, media, sends (kinds), off (those of them whose tracks are
 * switched off), screen (something else than a camera is shown), held, muted, videoMuted, data, start, seen}; and in
 * memory only {id, callId, far (its tag), session, release}, and how far it is: up, lost, resuming, failed, canceled, over (see
 * end()), again, joins (which call it goes on with, and with whom), joined (by another one).
 */
export class CallResume extends EventTarget {
	#phone;
	#options;
	#store;
	#keys = new Keys();
	#records = new Map();
	#stopped = false;
	#beat;
	#listening = new AbortController(); // has a signal, and so is an option of addEventListener()

	constructor(phone, options) {
		super();
		this.#phone = phone;
		this.#options = options;
		this.#store = options.store ?? browserStore(phone.user);
		phone.attach({
			receive: (text) => this.#receive(text),
			began: (callId, session) => this.#began(callId, session),
			ended: (callId, session) => this.#ended(callId, session),
			changed: (callId, what, session) => this.#changed(callId, what, session),
			online: () => this.#online(),
			token: () => this.#renew(),
		});
		this.#beat = setInterval(() => this.#tick(), HEARTBEAT);
		addEventListener('pagehide', this.#seen, this.#listening);
		addEventListener('online', this.#probe, this.#listening);
		navigator.connection?.addEventListener('change', this.#probe, this.#listening);
		this.#load();
	}

	/** Stop watching. Calls that are up go on, and what is stored of them stays. */
	stop() {
		this.#stopped = true;
		clearInterval(this.#beat);
		this.#listening.abort();
		for (const record of this.#records.values()) record.release?.();
		this.#records.clear();
	}

	/** SIP.js only: say which session an Inviter or Invitation is. */
	add(session) {
		this.#phone.add(session);
	}

	/** Keep with a call what the library does not tell: held, muted and videoMuted (SIP.js), and
	 * data of your own. All come back when it is resumed. */
	remember(session, { data, ...flags }) {
		const record = this.#find('session', session);
		if (!record) return;
		if (data !== undefined) record.data = data;
		this.#told(record, flags);
	}

	#told(record, flags) {
		for (const name of ['held', 'muted', 'videoMuted']) if (flags[name] !== undefined) record[name] = !!flags[name];
		// On hold the tracks do not say it.
		for (const [name, kind] of [['muted', 'audio'], ['videoMuted', 'video']]) {
			if (flags[name] === false) record.off = record.off?.filter((one) => one !== kind);
		}
		this.#save(record);
	}

	/** End a call that has no session now: one that is coming back, or could not. Nothing is left of
	 * it here from now on; the far end is told as soon as the gateway can be reached. */
	end(id) {
		const record = this.#records.get(id);
		if (!record) return;
		// A resume that needs no microphone, hung up at once.
		const media = (record.media ?? [{ kind: 'audio' }]).map(({ kind }) => ({ kind, rejected: true }));
		Object.assign(record, { over: true, canceled: true, media });
		this.#keep(this.#store.remove(id));
		this.#resume(record);
	}

	/** Try again, at once, to bring back a call that could not and was kept.
	 * @returns whether there is one of that id */
	retry(id) {
		const record = this.#records.get(id);
		if (!record?.failed) return false;
		this.#resume(record);
		return true;
	}

	/** What the gateway sealed about a call that is up: its true start, who is in it. */
	async info(session) {
		const record = this.#find('session', session);
		if (!record?.state) return undefined;
		await this.#keys.some(10_000);
		return this.#describe(record);
	}

	/** The calls in the storage, as far as the keys of this web session open them. */
	async stored() {
		await this.#keys.some(10_000);
		const all = [];
		for (const text of readAll(await this.#store.load()).values()) {
			const found = await this.#describe(readRecord(text) ?? {});
			if (found) all.push(found);
		}
		return all;
	}

	async #describe(record) {
		const state = await this.#keys.open(record.state);
		return state && {
			id: state.id, role: state.role, start: new Date(state.start * 1000),
			peer: state.remote_uri, media: state.media ?? [], expires: new Date(state.exp * 1000),
		};
	}

	#emit(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}

	#find(what, value) {
		return [...this.#records.values()].find((r) => r[what] === value);
	}

	// -- what the library tells

	#began(callId, session) {
		const record = this.#find('callId', callId) ?? this.#create(callId);
		// Who knows the Call-ID of a call can begin another one with it. That one is not kept.
		if ((record.session ?? session) !== session) return;
		record.session = session;
		this.#join(record);
	}

	#create(callId) {
		const record = { id: crypto.randomUUID(), callId };
		this.#records.set(record.id, record);
		return record;
	}

	/** A message from the gateway, as text. Each of our header fields is read where the gateway writes it
	 * (docs/wire-formats.md), and nowhere else: in all others the far end may have done so. */
	#receive(text) {
		const message = this.#stopped ? undefined : readMessage(text);
		if (!message) return;
		const { status, method } = message;
		const request = status ? undefined : method;
		const callId = message.one('call-id');
		if (status === 200 && method === 'REGISTER') {
			for (const key of message.all('call-state-key')) this.#keys.add(key);
		}
		if (method === 'REGISTER') return;
		if (request === 'NOTIFY') return void this.#pushed(message);
		const record = this.#find('callId', callId);
		const [from, to] = ['from', 'to'].map((name) => addressOf(message.one(name)));
		const far = status ? to.tag : from.tag;
		// Of another call with this Call-ID.
		if (record?.far && record.far !== far) return;
		if (method === 'BYE' || request === 'CANCEL') return this.#ended(callId);
		if (request === 'ACK' && record && !record.up) {
			// Nobody has said that this is a session, so it was refused, and this ends that.
			if (!record.session) return this.#forget(record);
			// A state that came by NOTIFY in between has the tag in it.
			if (record.tag === '') record.tag = to.tag;
			this.#up(callId);
		}
		const called = request === 'INVITE' && !to.tag;
		if (called && record?.state) return;
		const sealed = status ? status >= 200 && status < 300 : ['INVITE', 'UPDATE'].includes(request);
		const value = sealed ? message.one('call-state') : undefined;
		// An INVITE may be here before the library has told of it, an answer only to what that has sent.
		const mine = record ?? (called && value ? this.#create(callId) : undefined);
		if (mine && value) {
			mine.far ??= far;
			this.#sealed(mine, value, message, called);
		}
		if (called) this.#join(mine, { id: message.one('call-state-id'), from: from.uri });
	}

	/** A new call that goes on with one of ours, because both its ends were away: the gateway
	 * says so. Nobody has to answer it. Who calls is who that call was with, or it is another one. */
	async #join(record, joins = record?.joins) {
		if (!record || !joins?.id || !joins.from) return;
		record.joins = joins;
		if (!record.session || record.up) return;
		for (const old of this.#records.values()) {
			if (old === record || !old.state) continue;
			const state = await this.#keys.open(old.state);
			if (state?.id !== joins.id || state.remote_uri !== joins.from) continue;
			const { id: kept, release, media, sends, off, screen, held, muted, videoMuted, data, start, lost, seen } = old;
			this.#records.delete(record.id);
			Object.assign(record, { id: kept, release, sends, off, screen, held, muted, videoMuted, data, start });
			const was = before(record);
			this.#records.set(kept, record);
			old.joined = true;
			if (old.session) this.#phone.drop(old.session);
			try {
				await this.#phone.answer(record.session, { media, sends, off, held, muted, videoMuted });
				this.#emit('resumed', { ...was, session: record.session, away: Date.now() - (lost ?? seen) });
			} catch (cause) {
				this.#forget(record);
				this.#emit('failed', { id: kept, data, error: new ResumeError('failed', { cause }) });
			}
			return;
		}
	}

	#sealed(record, value, { status, body }, first) {
		const [jwe, ...params] = value.split(';');
		if (!isState(jwe)) return; // what would not be read again
		if (params.includes('update')) {
			record.update = jwe;
		} else {
			Object.assign(record, { state: jwe, update: undefined, tag: first ? '' : undefined, again: false });
		}
		record.media = mediaOf(body) ?? record.media;
		if (!status || record.up) this.#save(record);
		else this.#up(record.callId);
	}

	/** A state that came by NOTIFY: it says itself of which call it is. */
	async #pushed(message) {
		if (!/^call-state *(;|$)/i.test(message.one('event') ?? '')) return;
		const [jwe] = message.one('call-state')?.split(';') ?? [];
		const state = jwe && await this.#keys.open(jwe);
		if (!state) return;
		for (const record of this.#records.values()) {
			if (!record.state || (await this.#keys.open(record.state))?.id !== state.id) continue;
			Object.assign(record, { state: jwe, update: undefined, tag: undefined });
			this.#save(record);
		}
	}

	/** The call is answered: from here on it is worth keeping. */
	async #up(callId) {
		const record = this.#find('callId', callId);
		if (!record?.state || record.up) return;
		record.up = true;
		record.start ??= Date.now();
		this.#save(record);
		this.#watchMedia(record);
		record.release ??= await holdLock(`call-resume ${record.id}`);
		if (!this.#records.has(record.id)) record.release();
	}

	/** The call of a session, or of one that the page has not told of. */
	#of(callId, session) {
		const record = this.#find('callId', callId);
		return session && record?.session && record.session !== session ? undefined : record;
	}

	#changed(callId, what, session) {
		const record = this.#of(callId, session);
		if (record) this.#told(record, what);
	}

	#ended(callId, session) {
		const record = this.#of(callId, session);
		// An attempt that failed is not the end of the call.
		if (record && !record.resuming) this.#forget(record);
	}

	#forget(record) {
		this.#records.delete(record.id);
		// Another tab that waits shall not find it.
		this.#keep(this.#store.remove(record.id).finally(record.release));
	}

	#save(record, pause = 1_000) {
		if (!record.up || record.over) return;
		this.#sends(record);
		this.#keep(this.#store.save(record.id, writeRecord(record)), async () => {
			if (this.#store.local) return; // the next heartbeat saves it
			await sleep(pause);
			if (this.#records.has(record.id)) this.#save(record, 2 * pause);
		});
	}

	#keep(promise, failed) {
		promise.catch((cause) => {
			this.#emit('storeerror', { cause });
			failed?.();
		});
	}

	/** What the page sends now. While a call comes back its new connection sends nothing yet, and on hold all
	 * tracks may be off.
	 * @returns whether that is something else than before */
	#sends(record) {
		const { session, up, resuming, held } = record;
		const now = up && !resuming && sending(this.#phone.connection(session));
		if (!now) return false;
		if (held || this.#phone.paused(session)) now.off = record.off;
		const changed = Object.keys(now).some((name) => String(now[name]) !== String(record[name]));
		Object.assign(record, now);
		return changed;
	}

	#seen = () => {
		for (const record of this.#records.values()) if (this.#store.local || this.#sends(record)) this.#save(record);
	};

	// -- resuming

	async #load() {
		for (let pause = 500; !this.#stopped; pause *= 2) {
			try {
				for (const [id, text] of readAll(await this.#store.load())) if (!this.#records.has(id)) this.#take(id, text);
				return;
			} catch (cause) {
				this.#emit('storeerror', { cause });
				await sleep(pause);
			}
		}
	}

	/** A call in the storage: get in charge of it, then bring it back. */
	async #take(id, text) {
		const waiting = setTimeout(() => this.#emit('waiting', { id, data: readRecord(text)?.data }), 1_000);
		const release = await holdLock(`call-resume ${id}`);
		clearTimeout(waiting);
		// The tab that had it may have ended it since, or have a newer state.
		const all = readAll(await this.#store.load().catch(() => [[id, text]]));
		if (!all.has(id) || this.#stopped) return release();
		const record = { ...readRecord(all.get(id)), id, release };
		if (!record.state) {
			this.#forget(record);
			return this.#emit('failed', { id, error: new ResumeError('damaged') });
		}
		this.#records.set(id, record);
		return this.#resume(record);
	}

	async #resume(record) {
		if (record.resuming || this.#records.get(record.id) !== record) return;
		this.#sends(record);
		Object.assign(record, { resuming: true, failed: false });
		const was = before(record);
		const old = { session: record.session, callId: record.callId, far: record.far };
		const since = (record.up ? record.lost : record.seen) ?? Date.now();
		if (!record.over) this.#emit('resuming', was);
		try {
			const session = await this.#call(record);
			this.#up(record.callId);
			this.#watchMedia(record);
			if (old.session) this.#phone.drop(old.session);
			record.resuming = false;
			this.#emit('resumed', { ...was, session, away: Date.now() - since });
		} catch (error) {
			if (record.joined || this.#stopped) return;
			Object.assign(record, old);
			if (error.final || record.over) this.#forget(record);
			// Nobody is left to hang up on.
			if (old.session && ['ended', 'canceled'].includes(error.reason)) this.#phone.drop(old.session);
			Object.assign(record, { resuming: false, failed: !error.final });
			if (!record.over) this.#emit('failed', { id: record.id, data: record.data, error });
		}
	}

	/** Call until it works, or cannot any more. @returns the library's session */
	async #call(record) {
		const end = Date.now() + (this.#options.patience ?? PATIENCE);
		const media = this.#phone.prepare(record);
		let session;
		let renewed = false;
		try {
			for (let attempt = 0; ; attempt++) {
				while (!this.#phone.connected() && Date.now() < end && !this.#stopped) await sleep(20);
				if (record.joined || this.#stopped) throw new ResumeError('ended');
				const failure = this.#phone.connected() ? await this.#attempt(record, await media) : {};
				if (failure.session && record.canceled) {
					this.#phone.hangUp(failure.session);
					throw new ResumeError('canceled');
				}
				if (failure.session) return session = failure.session;
				// Who hangs up meanwhile wants the call to end, and not to be left in it.
				record.canceled ||= failure.canceled;
				record.again ||= failure.away && !record.up;
				const { token } = this.#options;
				const stale = failure.status === 401 && token && !renewed;
				if (stale && (renewed = await this.#renew())) continue;
				const reason = failure.canceled || stale ? undefined : reasonOf(failure, attempt, token);
				const pause = failure.canceled ? 0 : secondsOf(failure.retryAfter) * 1000
					|| Math.min(4000, 250 * 2 ** attempt) * (0.5 + Math.random() / 2);
				if (reason || Date.now() + pause > end) {
					const last = reason ?? (failure.cause?.name in DEVICES ? 'no-media' : failure.status ? 'failed' : 'no-network');
					throw new ResumeError(last, { ...failure, final: !!reason && !KEPT.includes(reason) });
				}
				await sleep(pause);
			}
		} finally {
			this.#phone.prepared(media, session);
		}
	}

	/** One INVITE. @returns an object with session, or with status, away, retryAfter, cause, canceled */
	async #attempt(record, stream) {
		const { state, update, tag, again } = record;
		const value = [state, update && `update=${update}`, tag && `tag=${tag}`, again && 'again'].filter(Boolean).join(';');
		const target = (await this.#describe(record))?.peer;
		try {
			return { session: await this.#phone.call({
				...record, target, media: record.media ?? [{ kind: 'audio' }], headers: [`Call-State: ${value}`], stream,
			}, (callId) => Object.assign(record, { callId, far: undefined, session: undefined })) };
		} catch (failure) {
			return failure;
		}
	}

	/** @returns false when there is no new token now */
	async #renew() {
		const { token } = this.#options;
		try {
			if (typeof token === 'function') this.#phone.useToken(await token());
			return true;
		} catch (cause) {
			this.#emit('tokenerror', { cause });
			return false;
		}
	}

	// -- while the page is alive

	#ticked = Date.now();
	#down = 0;

	#tick() {
		// A hidden page without a call gets one tick a minute.
		const slept = Date.now() - this.#ticked > (this.#records.size ? DOWN : 90) * HEARTBEAT;
		this.#ticked = Date.now();
		this.#seen();
		if (slept) this.#probe();
		if (this.#records.size === 0 || this.#phone.connected()) this.#down = 0;
		else if (++this.#down % DOWN === 0) this.#phone.reset();
	}

	#probing;
	#moved = false; // the network has changed, so the media's way has too

	/** Is the gateway there? A browser takes a connection of an address that it no longer has
	 * for a good one, for many minutes; then another one is made. */
	#probe = () => {
		this.#probing ??= this.#reach().finally(() => { this.#probing = undefined; });
		return this.#probing;
	};

	async #reach() {
		const there = this.#phone.connected() && await Promise.race([this.#phone.probe(), sleep(PROBE)]);
		this.#moved ||= !there && [...this.#records.values()].some(({ session }) => session);
		if (!there) this.#phone.reset();
		return there;
	}

	/** The transport is back. Media that has not noticed goes on, and a re-INVITE tells the far
	 * end how to reach us (RFC 3261 section 14); on another network the call is resumed. */
	#online() {
		for (const record of this.#records.values()) {
			if (record.resuming || !record.state) continue;
			if (record.up && record.session && !this.#moved) this.#phone.refresh(record.session, record);
			else if (record.up || !record.session) this.#resume(record);
		}
		this.#moved = false;
	}

	#watched = new WeakSet();

	/** Media that stays away although the gateway is there comes back by a resume; where the
	 * gateway is away too, both come back when it does: see #online. */
	#watchMedia(record) {
		const { session } = record;
		const connection = this.#phone.connection(session);
		if (!connection || this.#watched.has(connection)) return;
		this.#watched.add(connection);
		connection.addEventListener('iceconnectionstatechange', async () => {
			const lost = () => ['disconnected', 'failed'].includes(connection.iceConnectionState);
			if (!lost()) return;
			record.lost = Date.now();
			await sleep(connection.iceConnectionState === 'failed' ? 0 : ICE_PATIENCE);
			const wanted = () => lost() && record.session === session && this.#records.has(record.id);
			if (wanted() && await this.#probe() && wanted()) this.#resume(record);
		});
	}
}

/** Make the calls of a JsSIP.UA survive. Call it before ua.start(). */
export function resumeJsSIP(ua, given) {
	const options = { token: ua.get('authorization_jwt'), ...given }; // with neither it has a password
	return new CallResume(new JsSIPPhone(ua, options), options);
}

/** Make the calls of a SIP.js UserAgent survive. Call it before userAgent.start(). */
export function resumeSIPjs(userAgent, options) {
	return new CallResume(new SIPjsPhone(userAgent, options), options);
}
