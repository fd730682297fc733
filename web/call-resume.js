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
// In call-resume/ are the states of a call, errors, the storage, the keys, SIP as text, what
// is watched while the page is alive, and what is special about each library. The types are in call-resume.d.ts.

import { Alive, PROBE } from './call-resume/alive.js';
import { ResumeError, isFinal, outOfTime, reasonOf } from './call-resume/errors.js';
import { JsSIPPhone } from './call-resume/jssip.js';
import { Keys } from './call-resume/keys.js';
import { hasSession, isComing, isGone, isHangingUp, isStored, isWaiting, move } from './call-resume/life.js';
import { addressOf, mediaOf, readMessage } from './call-resume/message.js';
import { Patience } from './call-resume/patience.js';
import { before, claim, dialledBy, isState, readAll, readRecord, writeRecord } from './call-resume/record.js';
import { sending, sleep } from './call-resume/shared.js';
import { SIPjsPhone } from './call-resume/sipjs.js';
import { browserStore, holdLock } from './call-resume/store.js';

export { ResumeError, browserStore };

/** How long a page tries to get its call back, in milliseconds. */
const PATIENCE = 30_000;
/** How old, in milliseconds, what can be had of a storage without waiting may be. After a browser was killed it is older. */
const FRESH = 2_000;

const isFunction = (value) => typeof value === 'function';

/** The calls of one user agent. See call-resume.d.ts for its events, and call-resume/record.js for what a record has. */
export class CallResume extends EventTarget {
	#phone;
	#options;
	#store;
	#keys = new Keys();
	#records = new Map();
	#stopped = false;
	#connected = []; // who waits for the transport
	#alive;

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
			dropped: (callId, session) => this.#dropped(callId, session),
			changed: (callId, what, session) => this.#changed(callId, what, session),
			keeps: (callId, session) => isStored(this.#of(callId, session)),
			connected: () => this.#connected.splice(0).forEach((go) => go()),
			online: () => this.#alive.online(),
			offline: () => this.#alive.offline(),
			token: () => this.#renew(),
		});
		this.#alive = new Alive(phone, this.#records, {
			seen: () => this.#seen(),
			resume: (record) => this.#resume(record),
			emit: (type, detail) => this.#emit(type, detail),
		});
		this.#load();
	}

	/** Stop watching. Calls that are up go on, and what is stored of them stays. */
	stop() {
		this.#stopped = true;
		this.#alive.stop();
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
		else if (record.rings) this.#phone.hangUp(record.session);
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
			this.#answered(record, message);
		}
		const called = request === 'INVITE' && !to.tag;
		if (called && record?.state) return;
		if (method === 'INVITE' && status > 100 && status < 200) return this.#rang(record, message);
		const sealed = status ? status >= 200 && status < 300 : ['INVITE', 'UPDATE'].includes(request);
		const value = sealed ? message.one('call-state') : undefined;
		// Answered, and the gateway has sealed nothing: it cannot come back.
		if (status && sealed && !value && record?.life === 'early' && !record.state) return this.#ended(callId);
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

	/** It rings at the far end. Another one may answer (RFC 3261 section 13.2.2.4): whose tag this is does not count. */
	#rang(record, message) {
		const value = message.one('call-state');
		if (!record || !isState(value) || !['ringing', 'early'].includes(record.life)) return;
		const { localDescription } = this.#phone.connection(record.session) ?? {};
		Object.assign(record, { state: value, dialled: undefined, early: true, start: record.start ?? Date.now() });
		record.media = mediaOf(message.body) ?? mediaOf(localDescription?.sdp ?? '', true) ?? record.media;
		if (move(record, 'rang')) this.#hold(record);
		this.#save(record);
	}

	/** A message of ours, as text. What the far end has offered counts when it is accepted. */
	#sent(text) {
		const message = /^(SIP\/2\.0|INVITE) /.test(text) ? readMessage(text) : undefined;
		const record = message && this.#find('callId', message.one('call-id'));
		if (message && !message.status) return this.#dialled(record, message);
		const { status, method, cseq } = message ?? {};
		// Kept before there is an ACK: the far end has it, whether or not this page hears of that.
		if (method === 'INVITE' && status >= 200 && status < 300 && record?.life === 'ringing' && record.session) this.#answered(record, message);
		if (!record?.offer || !(status >= 200) || record.offer.method !== method || record.offer.cseq !== cseq) return;
		const { take } = record.offer;
		record.offer = undefined;
		if (status < 300) take();
	}

	/** Our INVITE goes out: from here on the call can be lost, and may be up at the far end before there is a state of it. */
	#dialled(record, message) {
		if (!record || record.state || !['ringing', 'early'].includes(record.life)) return;
		const dialled = dialledBy(message, record.callId, ...['from', 'to'].map((name) => addressOf(message.one(name))));
		if (!dialled) return;
		Object.assign(record, { dialled, early: true, start: record.start ?? Date.now(), media: mediaOf(message.body, true) ?? record.media });
		if (move(record, 'dialled')) this.#hold(record);
		this.#save(record);
	}

	/** Our 2xx to an INVITE, or the ACK to it. */
	#answered(record, message) {
		const [from, to] = ['from', 'to'].map((name) => addressOf(message.one(name)));
		if (from.tag !== record.far) return;
		// A state that came by NOTIFY in between has the tag in it.
		if (record.tag === '') record.tag = to.tag;
		this.#up(record);
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
			Object.assign(record, { state: jwe, dialled: undefined, update: undefined, tag: first ? '' : undefined, again: false });
		}
		record.media = mediaOf(body) ?? record.media;
		if (!status || !this.#up(record)) this.#save(record);
	}

	/** A state that came by NOTIFY: it says itself of which call it is. */
	async #pushed(message) {
		if (!/^call-state *(;|$)/i.test(message.one('event') ?? '')) return;
		const [jwe] = message.one('call-state')?.split(';') ?? [];
		if (jwe === 'drain') return void await this.#alive.elsewhere();
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
		if (record.early) record.start = undefined;
		record.early = undefined;
		record.start ??= Date.now();
		this.#save(record);
		this.#alive.watchMedia(record);
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

	/** The library has given up a session that rings, because its connection is gone. @returns whether it will be back */
	#dropped(callId, session) {
		const record = this.#of(callId, session);
		if (isComing(record)) return true; // this attempt has failed, and another one follows
		if (!record || !move(record, 'dropped')) return false;
		Object.assign(record, { session: undefined, callId: undefined, seen: Date.now() });
		return true;
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
		const now = hasSession(record) && sending(this.#phone.connection(session), record);
		if (!now) return false;
		if (held || this.#phone.paused(session)) now.off = record.off;
		const changed = Object.keys(now).some((name) => String(now[name]) !== String(record[name]));
		Object.assign(record, now);
		return changed;
	}

	#seen() {
		for (const record of this.#records.values()) if (this.#store.local || this.#sends(record)) this.#save(record);
	}

	// -- resuming

	async #load() {
		// No database is asked which calls there are before the first lock is.
		const begun = this.#peek();
		for (const [id, text] of begun) this.#take(id, text);
		for (let pause = 500; !this.#stopped; pause *= 2) {
			try {
				for (const [id, text] of readAll(await this.#store.load())) if (!begun.has(id) && !this.#records.has(id)) this.#take(id, text);
				return;
			} catch (cause) {
				this.#emit('storeerror', { cause });
				await sleep(pause);
			}
		}
	}

	#peek() {
		return readAll(this.#store.peek?.() ?? []);
	}

	/** A call in the storage: get in charge of it, then bring it back. */
	async #take(id, text) {
		const waiting = setTimeout(() => this.#emit('waiting', { id, data: readRecord(text)?.data }), 1_000);
		const release = await holdLock(`call-resume ${id}`);
		clearTimeout(waiting);
		// The tab that had it may have ended it since, or have a newer state. What the page before has written a moment ago, as
		// it was left, is what the database has, too; it need not be waited for.
		const now = this.#peek();
		const age = Date.now() - readRecord(now.get(id))?.seen;
		const all = age >= 0 && age < FRESH ? now : readAll(await this.#store.load().catch(() => [[id, text]]));
		if (!all.has(id) || this.#stopped) return release();
		const record = { ...readRecord(all.get(id)), id, release, life: 'kept' };
		if (!record.state && !record.dialled) {
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
			this.#alive.watchMedia(record);
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
		const most = this.#options.patience ?? PATIENCE;
		let patience = new Patience(most);
		await this.#askCall().catch((cause) => { throw new ResumeError('failed', { cause, final: false }); });
		const media = Promise.resolve(this.#phone.prepare(record));
		let session;
		let renewed = false;
		try {
			for (let attempt = 0; ; attempt++) {
				while (!this.#phone.connected() && Date.now() < patience.end && !isGone(record)) {
					await Promise.race([sleep(100), new Promise((go) => { this.#connected.push(go); })]);
				}
				if (isGone(record)) throw new ResumeError('ended');
				const failure = this.#phone.connected() ? await this.#within(patience.end, record, media) : {};
				if (failure.session && isHangingUp(record)) {
					this.#phone.hangUp(failure.session);
					throw new ResumeError('canceled');
				}
				if (failure.session) return session = failure.session;
				// It rang, and has been answered: that is the state of the answer.
				if (isState(failure.state)) {
					Object.assign(record, { state: failure.state, dialled: undefined, early: undefined, start: undefined });
					patience = new Patience(most);
					continue;
				}
				if (failure.canceled && record.early) throw new ResumeError('canceled');
				// Who hangs up meanwhile wants the call to end, and not to be left in it.
				if (failure.canceled) move(record, 'hangUp');
				record.again ||= failure.away && alone;
				const { token } = this.#options;
				const stale = failure.status === 401 && token && !renewed;
				if (stale && (renewed = await this.#renew())) continue;
				const reason = failure.canceled || stale ? undefined : reasonOf(failure, attempt, token, record.early);
				const pause = failure.canceled && Date.now() < patience.end ? 0 : patience.pause(failure, attempt);
				if (reason || pause === undefined) {
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
		// But for one that rings: that takes as long as it takes.
		const time = sleep(Math.max(end - Date.now(), PROBE)).then(() => (record.rings ? attempt : { late: late = true }));
		const failure = await Promise.race([attempt, time]);
		if (!failure.late) return failure;
		if (record.session) this.#phone.hangUp(record.session);
		// One that is answered in this moment.
		attempt.then(({ session }) => session && this.#phone.drop(session), () => {});
		return failure;
	}

	/** One INVITE. @returns an object with session, or with status, away, retryAfter, cause, canceled */
	async #attempt(record, stream) {
		const value = claim(record);
		record.rings = false;
		record.peer ??= record.dialled?.peer;
		// Where the keys are not here yet, or it takes a moment: the gateway needs no name, and the page has info().
		this.#describe(record).then((found) => { record.peer = found?.peer; });
		try {
			return { session: await this.#phone.call({
				...record, target: record.peer, media: record.media ?? [{ kind: 'audio' }], headers: [`Call-State: ${value}`], stream, rings: () => this.#rings(record),
			}, (callId) => Object.assign(record, { callId, far: undefined, session: undefined })) };
		} catch (failure) {
			return failure;
		} finally {
			record.rings = false;
		}
	}

	/** The far end's phone rings on: the user hears it, and can hang up. */
	#rings(record) {
		if (!record.early || record.rings) return;
		record.rings = true;
		if (isHangingUp(record)) this.#phone.hangUp(record.session);
		else this.#emit('ringing', { ...before(record), session: record.session });
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
