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
// In call-resume/ are the states of a call, errors, the storage, the keys, SIP as text,
// and what is special about each library. The types are in call-resume.d.ts.

import { ResumeError, isFinal, outOfTime, reasonOf, secondsOf } from './call-resume/errors.js';
import { JsSIPPhone } from './call-resume/jssip.js';
import { Keys } from './call-resume/keys.js';
import { hasSession, isComing, isGone, isHangingUp, isStored, isWaiting, move } from './call-resume/life.js';
import { addressOf, mediaOf, readMessage } from './call-resume/message.js';
import { before, isState, readAll, readRecord, writeRecord } from './call-resume/record.js';
import { sending, sleep } from './call-resume/shared.js';
import { SIPjsPhone } from './call-resume/sipjs.js';
import { browserStore } from './call-resume/store.js';

export { ResumeError, browserStore };

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

const isFunction = (value) => typeof value === 'function';

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
 * memory only {id, callId, far (its tag), session, release, offer (of the far end, not answered yet), lost (when its media was), again (what the next INVITE says),
 * joins (which call it goes on with, and with whom)}, and how far it is: life, which move() alone changes.
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
		if (options.call && !isFunction(options.call)) phone.useCall(options.call);
		phone.attach({
			receive: (text) => this.#receive(text),
			sent: (text) => this.#sent(text),
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
		for (const record of this.#records.values()) {
			move(record, 'stopped');
			record.release?.();
		}
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
		const coming = isComing(record);
		if (!record || !move(record, 'end')) return;
		// A resume that needs no microphone, hung up at once.
		record.media = (record.media ?? [{ kind: 'audio' }]).map(({ kind }) => ({ kind, rejected: true }));
		this.#keep(this.#store.remove(id));
		if (!coming) this.#bringBack(record);
	}

	/** Try again, at once, to bring back a call that could not and was kept.
	 * @returns whether there is one of that id */
	retry(id) {
		const record = this.#records.get(id);
		if (!isWaiting(record)) return false;
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
		for (const [id, text] of readAll(await this.#store.load())) {
			const found = await this.#describe({ ...readRecord(text), id });
			if (found) all.push(found);
		}
		return all;
	}

	async #describe(record) {
		const state = await this.#keys.open(record.state);
		return state && {
			id: record.id, callSessionId: state.id, role: state.role, start: new Date(state.start * 1000),
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
		const record = { id: crypto.randomUUID(), callId, life: 'ringing' };
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
		if (request === 'ACK' && record?.life === 'ringing') {
			// Nobody has said that this is a session, so it was refused, and this ends that.
			if (!record.session) return this.#ended(callId);
			// A state that came by NOTIFY in between has the tag in it.
			if (record.tag === '') record.tag = to.tag;
			this.#up(record);
		}
		const called = request === 'INVITE' && !to.tag;
		if (called && record?.state) return;
		const sealed = status ? status >= 200 && status < 300 : ['INVITE', 'UPDATE'].includes(request);
		const value = sealed ? message.one('call-state') : undefined;
		// An INVITE may be here before the library has told of it, an answer only to what that has sent.
		const mine = record ?? (called && value ? this.#create(callId) : undefined);
		if (mine && value) {
			mine.far ??= far;
			const take = () => this.#sealed(mine, value, message, called);
			// One that is refused changes nothing (RFC 3261 section 14.1): see #sent.
			if (request && !called) mine.offer = { method, cseq: message.cseq, take };
			else take();
		}
		if (called) this.#join(mine, { id: message.one('call-state-id'), from: from.uri });
	}

	/** A message of ours, as text. What the far end has offered counts when it is accepted. */
	#sent(text) {
		const message = text.startsWith('SIP/2.0 ') ? readMessage(text) : undefined;
		const record = message && this.#find('callId', message.one('call-id'));
		const { status, method, cseq } = message ?? {};
		if (!record?.offer || !(status >= 200) || record.offer.method !== method || record.offer.cseq !== cseq) return;
		const { take } = record.offer;
		record.offer = undefined;
		if (status < 300) take();
	}

	/** A new call that goes on with one of ours, because both its ends were away: the gateway
	 * says so. Nobody has to answer it. Who calls is who that call was with, or it is another one. */
	async #join(record, joins = record?.joins) {
		if (!record || !joins?.id || !joins.from) return;
		record.joins = joins;
		if (!record.session || record.life !== 'ringing') return;
		for (const old of this.#records.values()) {
			if (old === record || !old.state) continue;
			const state = await this.#keys.open(old.state);
			if (state?.id !== joins.id || state.remote_uri !== joins.from || !move(old, 'joined')) continue;
			const { id: kept, release, media, sends, off, screen, held, muted, videoMuted, data, start, lost, seen } = old;
			this.#records.delete(record.id);
			Object.assign(record, { id: kept, release, sends, off, screen, held, muted, videoMuted, data, start });
			const was = before(record);
			this.#records.set(kept, record);
			if (old.session) this.#phone.drop(old.session);
			try {
				await this.#askCall();
				await this.#phone.answer(record.session, { media, sends, off, held, muted, videoMuted });
				this.#emit('resumed', { ...was, session: record.session, away: Date.now() - (lost ?? seen) });
			} catch (cause) {
				move(record, 'ended');
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
		if (!status || !this.#up(record)) this.#save(record);
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

	/** The call is answered: from here on it is worth keeping. @returns whether that is new */
	#up(record) {
		if (!record.state || !move(record, 'answered')) return false;
		record.start ??= Date.now();
		this.#save(record);
		this.#watchMedia(record);
		this.#hold(record);
		return true;
	}

	async #hold(record) {
		record.release ??= await holdLock(`call-resume ${record.id}`);
		if (isGone(record)) record.release();
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
		if (record && move(record, 'ended')) this.#forget(record);
	}

	#forget(record) {
		this.#records.delete(record.id);
		// Another tab that waits shall not find it.
		this.#keep(this.#store.remove(record.id).finally(record.release));
	}

	#save(record, pause = 1_000) {
		if (!isStored(record)) return;
		this.#sends(record);
		this.#keep(this.#store.save(record.id, writeRecord(record)), async () => {
			if (this.#store.local) return; // the next heartbeat saves it
			await sleep(pause);
			this.#save(record, 2 * pause);
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
		const { session, held } = record;
		const now = hasSession(record) && sending(this.#phone.connection(session));
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
		const record = { ...readRecord(all.get(id)), id, release, life: 'kept' };
		if (!record.state) {
			this.#forget(record);
			return this.#emit('failed', { id, error: new ResumeError('damaged') });
		}
		this.#records.set(id, record);
		return this.#resume(record);
	}

	#resume(record) {
		this.#sends(record);
		if (move(record, 'resume')) this.#bringBack(record);
	}

	async #bringBack(record) {
		const was = before(record);
		const old = { session: record.session, callId: record.callId, far: record.far };
		const since = (record.life === 'returning' ? record.seen : record.lost) ?? Date.now();
		if (record.life !== 'ending') this.#emit('resuming', was);
		try {
			const session = await this.#call(record, !old.session);
			this.#up(record);
			this.#watchMedia(record);
			if (old.session) this.#phone.drop(old.session);
			move(record, 'back');
			this.#emit('resumed', { ...was, session, away: Date.now() - since });
		} catch (error) {
			if (isGone(record)) return;
			const silent = record.life === 'ending';
			Object.assign(record, old);
			move(record, error.final ? 'lost' : 'later');
			if (isGone(record)) this.#forget(record);
			// Nobody is left to hang up on.
			if (old.session && ['ended', 'canceled'].includes(error.reason)) this.#phone.drop(old.session);
			if (!silent) this.#emit('failed', { id: record.id, data: record.data, error });
		}
	}

	/** Call until it works, or cannot any more.
	 * @param alone  the page has no session of it that the far end could come back to
	 * @returns the library's session */
	async #call(record, alone) {
		const end = Date.now() + (this.#options.patience ?? PATIENCE);
		await this.#askCall().catch((cause) => { throw new ResumeError('failed', { cause, final: false }); });
		const media = Promise.resolve(this.#phone.prepare(record));
		let session;
		let renewed = false;
		try {
			for (let attempt = 0; ; attempt++) {
				while (!this.#phone.connected() && Date.now() < end && !isGone(record)) await sleep(20);
				if (isGone(record)) throw new ResumeError('ended');
				const failure = this.#phone.connected() ? await this.#within(end, record, media) : {};
				if (failure.session && isHangingUp(record)) {
					this.#phone.hangUp(failure.session);
					throw new ResumeError('canceled');
				}
				if (failure.session) return session = failure.session;
				// Who hangs up meanwhile wants the call to end, and not to be left in it.
				if (failure.canceled) move(record, 'hangUp');
				record.again ||= failure.away && alone;
				const { token } = this.#options;
				const stale = failure.status === 401 && token && !renewed;
				if (stale && (renewed = await this.#renew())) continue;
				const reason = failure.canceled || stale ? undefined : reasonOf(failure, attempt, token);
				const pause = failure.canceled ? 0 : secondsOf(failure.retryAfter) * 1000
					|| Math.min(4000, 250 * 2 ** attempt) * (0.5 + Math.random() / 2);
				if (reason || Date.now() + pause > end) {
					throw new ResumeError(reason ?? outOfTime(failure), { ...failure, final: isFinal(reason) });
				}
				await sleep(pause);
			}
		} finally {
			this.#phone.prepared(media, session);
		}
	}

	/** One attempt that is over by then, or after as long as a gateway takes that is there: whoever has not answered,
	 * the gateway, somebody whose phone rings or the user who is asked for his microphone, is not waited for. */
	async #within(end, record, media) {
		let late = false;
		const attempt = media.then((stream) => (late ? {} : this.#attempt(record, stream)));
		const time = sleep(Math.max(end - Date.now(), PROBE)).then(() => ({ late: late = true }));
		const failure = await Promise.race([attempt, time]);
		if (!failure.late) return failure;
		if (record.session) this.#phone.hangUp(record.session);
		// One that is answered in this moment.
		attempt.then(({ session }) => session && this.#phone.drop(session), () => {});
		return failure;
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

	/** The page may have other options for its calls by now: credentials for TURN, another microphone. */
	async #askCall() {
		const { call } = this.#options;
		if (isFunction(call)) this.#phone.useCall(await call());
	}

	/** @returns false when there is no new token now */
	async #renew() {
		const { token } = this.#options;
		try {
			if (isFunction(token)) this.#phone.useToken(await token());
			await this.#askCall(); // for its extraHeaders
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
			if (!record.state) continue;
			if (hasSession(record) && record.session && !this.#moved) this.#phone.refresh(record.session, record);
			else this.#resume(record);
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
			const wanted = () => lost() && record.session === session && !isGone(record);
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
	if (!userAgent.configuration) throw new TypeError('No UserAgent. For a SessionManager or a SimpleUser there is resumeSessionManager().');
	return new CallResume(new SIPjsPhone(userAgent, options), options);
}
