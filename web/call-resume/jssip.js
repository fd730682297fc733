// SPDX-License-Identifier: MIT
// JsSIP, as CallResume needs it.

import { addressOf, readMessage, requestAfter } from './message.js';
import { AWAY, TARGET, capturing, capture, release, glare, hasCandidates, layOut, silence, sleep, watchTransport } from './shared.js';
import { sessionName } from './store.js';

/** How long to wait for a registration with a new token when one was refused, in milliseconds. */
const RENEW = 30_000;
/** For how long a re-INVITE that is refused is tried again, in milliseconds: the library of the other page
 * may pause for 30 s before it connects again. */
const REFRESH = 40_000;

export class JsSIPPhone {
	#ua;
	#call = {};
	#report;
	#password; // and no token
	#started; // of the call that is being placed
	#transport;
	#answered = new Map(); // by Call-ID: the tag of who has answered first
	#me; // our address, once it was in a message
	#lost = false;
	#renewing = false;

	constructor(ua, options) {
		this.#ua = ua;
		this.#password = !options.token;
		const { host } = ua.configuration?.uri ?? {};
		this.user = [ua.get('authorization_user'), host].filter(Boolean).join('@');
	}

	attach(report) {
		const ua = this.#ua;
		const session = this.#password && sessionName(this.user);
		this.#report = report;
		ua.on('newRTCSession', ({ session, request }) => this.#watch(session, request));
		ua.on('sipEvent', ({ request }) => report.receive(request.toString()));
		// A Socket by its type; in fact the library's own Transport, which tells the UA what it does.
		ua.on('connected', ({ socket }) => {
			watchTransport(socket, report.sent, session);
			this.#watchAnswers(socket);
			this.#transport = socket;
		});
		ua.on('disconnected', () => { this.#lost = true; });
		ua.on('registered', ({ response }) => {
			this.#me = response.to.uri;
			report.receive(response.toString());
			if (this.#lost) report.online();
			this.#lost = false;
			this.#renewing = false;
		});
		ua.on('registrationFailed', async ({ response }) => {
			if (response?.status_code !== 401 || this.#password) return;
			if (this.#renewing) await sleep(RENEW);
			this.#renewing = true;
			await report.token();
			ua.register();
		});
	}

	/** The library ends a second answer of a fork (RFC 3261 section 13.2.2.4) with the BYE of the first, which is a call that
	 * is up. So it does not see it, and we end it. */
	#watchAnswers(transport) {
		const deliver = transport.ondata;
		if (deliver.ours) return;
		transport.ondata = (data) => {
			const message = /^SIP\/2\.0 2/.test(data.message) ? readMessage(data.message) : undefined;
			if (message?.method !== 'INVITE' || !this.#isSecond(message)) return deliver(data);
			for (const method of ['ACK', 'BYE']) transport.send(requestAfter(message, method));
		};
		transport.ondata.ours = true;
	}

	#isSecond(message) {
		const first = this.#answered.get(message.one('call-id'));
		return !!first && first !== addressOf(message.one('to')).tag;
	}

	#watch(session, request) {
		const report = this.#report;
		const callId = request.getHeader('Call-ID');
		this.#me ??= session.local_identity.uri;
		const take = (message) => message && report.receive(message.toString());
		this.#started?.(callId);
		report.began(callId, session);
		if (session.direction === 'incoming') take(request);
		session.on('accepted', ({ response }) => {
			if (response) this.#answered.set(callId, response.to_tag);
			take(response);
		});
		session.on('confirmed', ({ ack }) => take(ack));
		for (const event of ['reinvite', 'update']) session.on(event, (e) => take(e.request));
		for (const event of ['ended', 'failed']) {
			session.on(event, () => {
				this.#answered.delete(callId);
				report.ended(callId, session);
			});
		}
		for (const event of ['hold', 'unhold']) session.on(event, () => report.changed(callId, { held: session.isOnHold().local }, session));
		for (const [event, yes] of [['muted', true], ['unmuted', false]]) {
			session.on(event, ({ audio, video }) => report.changed(callId, {
				muted: audio ? yes : undefined, videoMuted: video ? yes : undefined,
			}, session));
		}
	}

	add() {} // newRTCSession has told

	connected() {
		return this.#ua.isConnected();
	}

	/** Does the gateway answer, whatever? (That a registration was renewed is not told.) */
	probe() {
		const target = this.#me?.clone();
		if (!target) return true; // neither registered nor in a call
		target.user = null;
		return new Promise((resolve) => {
			const told = ({ originator }) => resolve(originator === 'remote');
			this.#ua.sendOptions(target, null, { eventHandlers: { succeeded: told, failed: told } });
		});
	}

	/** Another connection, whatever has become of this one. */
	reset() {
		this.#transport?.disconnect();
		this.#transport?.connect();
	}

	/** A stream that the page gives has what it wants. */
	#wanted(how) {
		return capturing(how, this.#call.mediaStream ? {} : this.#call.mediaConstraints);
	}

	/** Of a stream that the page gives, what is wanted this time. */
	#given(wanted) {
		const { mediaStream } = this.#call;
		return mediaStream && new MediaStream(mediaStream.getTracks().filter(({ kind }) => wanted[kind]));
	}

	prepare(how) {
		const wanted = this.#wanted(how);
		return this.#given(wanted) ?? capture(wanted);
	}

	/** The library leaves a stream open that it was given, and the microphone with it. */
	prepared(media, session) {
		if (this.#call.mediaStream) return;
		if (session) session.on('ended', () => release(media));
		else release(media);
	}

	call(how, started) {
		const call = this.#call;
		const { eventHandlers: page = {} } = call;
		const mediaConstraints = this.#wanted(how);
		let unhold;
		let session;
		return new Promise((resolve, reject) => {
			const eventHandlers = {
				...page,
				icecandidate: ({ ready }) => hasCandidates(session.connection) && ready(),
				confirmed: async (e) => {
					try {
						page.confirmed?.(e);
					} finally {
						// The library shall know of the hold, and be able to end it; and the page
						// hears of it when it has heard that the call is up.
						await null;
						if (how.held) unhold();
						if (how.held) session.hold();
						resolve(session);
					}
				},
				getusermediafailed: (cause) => reject({ cause }),
				// Why there is no microphone is told after the failure.
				failed: ({ originator, message, cause }) => cause === 'User Denied Media Access' || reject({
					status: message?.status_code, away: message?.reason_phrase === AWAY, retryAfter: message?.getHeader('Retry-After'),
					canceled: originator === 'local' && cause === 'Canceled',
				}),
			};
			this.#started = started;
			try {
				session = this.#ua.call(how.target ?? TARGET, {
					...call, eventHandlers, mediaConstraints, mediaStream: how.stream,
					extraHeaders: [...call.extraHeaders ?? [], ...how.headers],
				});
			} finally {
				this.#started = undefined; // also when a listener of the page throws
			}
			unhold = layOut(session.connection, how, mediaConstraints);
			session.on('sending', () => this.#mute(session, how));
		});
	}

	/** Before the other side can hear it; hold() does it later. */
	#mute(session, how) {
		if (how.muted || how.videoMuted) session.mute({ audio: !!how.muted, video: !!how.videoMuted });
		silence(session.connection, how);
	}

	/** The library switches all tracks off on hold, also when the far end holds. */
	paused(session) {
		const { local, remote } = session.isOnHold();
		return local || remote;
	}

	/** A re-INVITE of the same session. The library hangs up when one is refused, as it is where the far
	 * end is a page that is not back yet, or asks at the same time (491). So it may do so only after some more. */
	refresh(session) {
		if (Object.hasOwn(session, 'terminate')) return; // one is under way
		const end = Date.now() + REFRESH;
		const done = () => { delete session.terminate; };
		const again = () => void sleep(glare(session.direction === 'outgoing')).then(offer);
		const offer = () => {
			// The library ends a session also for want of a connection; the next one refreshes it.
			if (session.isEnded() || !this.connected()) done();
			else if (!this.#renegotiate(session, done)) again();
		};
		session.terminate = (how) => {
			if (how?.cause === 'WebRTC Error' && Date.now() < end) return again();
			done();
			return session.terminate(how);
		};
		offer();
	}

	/** The library switches tracks on as it goes, whoever has switched them off. */
	#renegotiate(session, done) {
		const off = session.connection.getSenders().map(({ track }) => track).filter((track) => track && !track.enabled);
		const begun = session.renegotiate({}, done);
		for (const track of off) track.enabled = false;
		return begun;
	}

	answer(session, how) {
		return new Promise((resolve, reject) => {
			session.on('confirmed', () => {
				if (how.held) session.hold();
				resolve();
			});
			session.on('sdp', ({ originator }) => { if (originator === 'local') this.#mute(session, how); });
			session.on('failed', ({ cause }) => reject(new Error(cause)));
			const mediaConstraints = this.#wanted(how);
			session.answer({ ...this.#call, mediaConstraints, mediaStream: this.#given(mediaConstraints) });
		});
	}

	/** The session's call has moved on to another session: end it on our side only. */
	drop(session) {
		if (!session.isEnded()) session.terminate({ extraHeaders: ['Call-State: replaced'] });
	}

	hangUp(session) {
		session.terminate();
	}

	connection(session) {
		return session?.connection;
	}

	useToken(token) {
		this.#ua.set('authorization_jwt', `Bearer ${token}`);
	}

	/** As the page uses them for its own calls. */
	useCall(options) {
		this.#call = options;
	}
}
