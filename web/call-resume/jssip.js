// SPDX-License-Identifier: MIT
// JsSIP, as CallResume needs it.

import { addressOf, readMessage, refusal, requestAfter } from './message.js';
import { AWAY, TARGET, capturing, capture, release, glare, hasCandidates, layOut, silence, silenceFirst, sleep, watchTransport } from './shared.js';
import { sessionName } from './store.js';

/** How long to wait for a registration with a new token when one was refused, in milliseconds. */
const RENEW = 30_000;
/** For how long a re-INVITE that is refused is tried again, in milliseconds: the library of the other page
 * may pause for 30 s before it connects again. */
const REFRESH = 40_000;

/** The library connects again after a whole number of seconds, which is the same one for most pages: all those of a gateway
 * that was restarted come in the same instant. So both of its bounds are one moment, at random around the page's
 * smaller one, and later with each attempt. */
function spread(transport) {
	if (!transport?.recovery_options) return;
	const { min_interval: first, max_interval: most } = transport.recovery_options;
	let after;
	transport.recovery_options = {
		get min_interval() {
			return after = Math.min(most, first * 2 ** (transport.recover_attempts - 1)) * (0.5 + Math.random());
		},
		get max_interval() {
			return after;
		},
	};
}

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
	#refreshing = new WeakSet();

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
		spread(ua.transport);
		this.#watchNames();
		ua.on('newRTCSession', ({ session, request }) => this.#watch(session, request));
		ua.on('sipEvent', ({ request }) => report.receive(request.toString()));
		// A Socket by its type; in fact the library's own Transport, which tells the UA what it does.
		ua.on('connected', ({ socket }) => {
			watchTransport(socket, report.sent, session);
			this.#watchAnswers(socket);
			this.#transport = socket;
			report.connected();
		});
		ua.on('disconnected', () => {
			this.#lost = true;
			report.offline();
		});
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

	/** The library keeps a dialog under its Call-ID and tags, a session under its Call-ID and one tag, written one behind the
	 * other, and a transaction under its branch: who shifts the names would be taken for the far end of another call. And to
	 * a plain object some names mean something. */
	#watchNames() {
		const ua = this.#ua;
		const { _findDialog: find, receiveRequest: receive } = ua;
		// In either order: a page writes the tags of a call that has come in the wrong way round into Replaces.
		const same = (...tags) => tags.sort().join(' ');
		ua._findDialog = (callId, from, to) => {
			const dialog = find.call(ua, callId, from, to);
			const id = dialog?.id;
			return id?.call_id === callId && same(id.local_tag, id.remote_tag) === same(from, to) ? dialog : null;
		};
		ua.receiveRequest = (request) => {
			const { method, to_tag: to, call_id: callId, from_tag: from } = request;
			if (method === 'INVITE' && !to && callId + from in ua._sessions) request.reply_sl(482);
			else receive.call(ua, request);
		};
		ua.on('newTransaction', ({ transaction }) => {
			const { type, request, receiveResponse: answered } = transaction;
			if (!/ct$/.test(type)) return; // the answers are ours
			transaction.receiveResponse = (response) => response.call_id === request.call_id && answered.call(transaction, response);
		});
	}

	/** The library does not tell of the answer to a re-INVITE of ours, which has a fresh state. And it ends a second answer of a
	 * fork (RFC 3261 section 13.2.2.4) with the BYE of the first, which is a call that is up: so it does not see it, and we end it. */
	#watchAnswers(transport) {
		const deliver = transport.ondata;
		if (deliver.ours) return;
		transport.ondata = (data) => {
			const message = /^SIP\/2\.0 2/.test(data.message) ? readMessage(data.message) : undefined;
			const ours = ['INVITE', 'UPDATE'].includes(message?.method);
			if (ours && this.#answered.has(message.one('call-id')) && !this.#isSecond(message)) this.#report.receive(String(data.message));
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
		const { call_id: callId } = request;
		this.#me ??= session.local_identity.uri;
		const take = (message) => message && report.receive(message.toString());
		this.#started?.(callId);
		report.began(callId, session);
		this.#keepWithoutMedia(session, callId);
		if (session.direction === 'incoming') take(request);
		session.on('accepted', ({ response }) => {
			this.#answered.set(callId, response ? response.to_tag : request.from_tag);
			take(response);
		});
		session.on('confirmed', ({ ack }) => take(ack));
		for (const event of ['reinvite', 'update']) session.on(event, (e) => take(e.request));
		session.on('progress', ({ response }) => take(response));
		for (const event of ['ended', 'failed']) {
			session.on(event, ({ originator }) => {
				this.#answered.delete(callId);
				// Before it tells of the connection that is gone, the library cancels what rings.
				if (originator !== 'remote' && !this.connected() && !this.#lost) report.dropped(callId, session);
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

	/** The library hangs up when ICE has failed, as it does half a minute after the network is gone. A call that had media
	 * comes back instead, when the gateway can be reached: see CallResume. */
	#keepWithoutMedia(session, callId) {
		let had = !!this.#started;
		const watch = (connection) => connection.addEventListener('iceconnectionstatechange', () => { had ||= connection.iceConnectionState === 'connected'; });
		if (session.connection) watch(session.connection);
		else session.on('peerconnection', ({ peerconnection }) => watch(peerconnection));
		const { terminate } = session;
		session.terminate = (how) => {
			if (how?.cause === 'RTP Timeout' && had && this.#report.keeps(callId, session)) return undefined;
			return terminate.call(session, how);
		};
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
				progress: (e) => {
					page.progress?.(e);
					how.rings();
				},
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
					...refusal(message ?? {}), status: message?.status_code, away: message?.reason_phrase === AWAY,
					// By the user, and not by the library because the connection is gone.
					canceled: originator === 'local' && cause === 'Canceled' && this.connected(),
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
		if (this.#refreshing.has(session)) return; // one is under way
		this.#refreshing.add(session);
		const { terminate } = session;
		const end = Date.now() + REFRESH;
		const done = () => { if (this.#refreshing.delete(session)) session.terminate = terminate; };
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

	/** The library switches tracks on as it goes, whoever has switched them off. For a moment it cannot: in that of a
	 * track that is on again the far end hears. */
	#renegotiate(session, done) {
		const off = session.connection.getSenders().map(({ track }) => track).filter((track) => track && !track.enabled);
		for (const track of off) Object.defineProperty(track, 'enabled', { get: () => false, set() {}, configurable: true });
		try {
			return session.renegotiate({}, done);
		} finally {
			for (const track of off) delete track.enabled;
		}
	}

	answer(session, how) {
		return new Promise((resolve, reject) => {
			session.on('confirmed', () => {
				if (how.held) session.hold();
				resolve();
			});
			session.on('peerconnection', ({ peerconnection }) => silenceFirst(peerconnection, how));
			// The first time when it has its tracks, and its connection neither description: from those on they are encoded.
			session.on('sdp', () => this.#mute(session, how));
			session.on('failed', ({ cause }) => reject(new Error(cause)));
			const mediaConstraints = this.#wanted(how);
			session.answer({ ...this.#call, mediaConstraints, mediaStream: this.#given(mediaConstraints) });
		});
	}

	/** The session's call has moved on to another session: end it on our side only. */
	drop(session) {
		if (!session.isEnded()) session.terminate({ extraHeaders: ['Call-State: replaced'] });
	}

	/** The page is being left: what the far end need not know. */
	leaving(session) {
		session.sendRequest('OPTIONS', { extraHeaders: ['Call-State: leaving'] });
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
