// SPDX-License-Identifier: MIT
// SIP.js, as CallResume needs it.

import { answerTo, partsOf, refusal } from './message.js';
import { AWAY, TARGET, capturing, capture, release, glare, hasCandidates, layOut, silence, silenceFirst, sleep, watchTransport } from './shared.js';
import { sessionName } from './store.js';

/** Its status, unless the library has made it up: 408 when nobody answered, 503 without a connection. */
const answered = ({ data, statusCode }) => data && statusCode;

/** What a far end gets that sends the page to somebody else (REFER). Left to itself the library calls there, and asks nobody. */
export const decline = (referral) => referral.reject({ statusCode: 603 });

export class SIPjsPhone {
	#agent;
	#options;
	#call = {};
	#report;
	#token;
	#placed = new Set(); // Inviters that are not over

	constructor(agent, options) {
		this.#agent = agent;
		this.#options = options;
		const { user, host } = agent.configuration.uri;
		this.user = [user, host].filter(Boolean).join('@');
	}

	attach(report) {
		const { transport } = this.#agent;
		const deliver = transport.onMessage;
		this.#report = report;
		this.#watchNames();
		watchTransport(transport, report.sent, this.#options.token ? undefined : sessionName(this.user));
		transport.onMessage = (text) => {
			report.receive(text);
			deliver(text);
		};
		let lost = false;
		transport.stateChange.addListener(async (state) => {
			if (state === 'Disconnected' && this.#agent.state === 'Started') {
				lost = true;
				this.#dropRinging(deliver);
				this.#report.offline();
				await this.#reconnect();
			}
			if (state === 'Connected') report.connected();
			if (state === 'Connected' && lost) {
				lost = false;
				await this.#register();
				report.online();
			}
		});
	}

	/** The library keeps a dialog under its Call-ID and tags, a session under its Call-ID and one tag, written one behind the
	 * other, and a transaction under its branch: who shifts the names would be taken for the far end of another call. And to
	 * a plain object some names mean something. */
	#watchNames() {
		const agent = this.#agent;
		const core = agent.userAgentCore;
		const { receiveIncomingRequestFromTransport: receive, receiveIncomingResponseFromTransport: answered } = core;
		const isOther = (message) => {
			const { method, callId, fromTag, toTag, viaBranch } = message;
			if (!toTag) return method === 'INVITE' && !core.userAgentServers.has(viaBranch) && callId + fromTag in agent._sessions;
			const dialog = core.dialogs.get(callId + toTag + fromTag);
			const subscriber = method === 'NOTIFY' && core.subscribers.get(callId + toTag + message.parseHeader('event')?.event);
			return dialog && (dialog.callId !== callId || dialog.localTag !== toTag) || subscriber && subscriber.message.callId !== callId;
		};
		core.receiveIncomingRequestFromTransport = (message) => {
			if (!isOther(message)) receive.call(core, message);
			else if (message.method !== 'ACK') core.replyStateless(message, { statusCode: message.toTag ? 481 : 482 });
		};
		core.receiveIncomingResponseFromTransport = (message) => {
			const client = core.userAgentClients.get(message.viaBranch + message.method);
			if (client?.message.callId === message.callId) answered.call(core, message);
		};
	}

	async #reconnect() {
		for (let attempt = 0; !this.#agent.isConnected() && this.#agent.state === 'Started'; attempt++) {
			await sleep(Math.min(4000, 250 * 2 ** attempt) * (0.5 + Math.random() / 2));
			await this.#agent.reconnect().catch(() => {});
		}
	}

	/** What we have begun, and rings, gets no answer any more: the library waits for one, and cancels the call when it is to
	 * dispose of it. So it gets an answer, while nothing that it says to that can go out. */
	#dropRinging(deliver) {
		for (const session of this.#placed) {
			if (session.state !== 'Establishing' || !this.#report.dropped(session.request.callId, session)) continue;
			deliver(answerTo(session.request.toString(), '503 Connection Lost'));
		}
	}

	/** Register again; with a new token when the old one is no longer good. */
	#register(again = true) {
		const { registerer } = this.#options;
		return new Promise((resolve) => {
			if (!registerer) return resolve();
			return registerer.register({
				requestOptions: this.#token && { extraHeaders: this.#headers() },
				requestDelegate: {
					onAccept: resolve,
					onReject: async ({ message }) => {
						if (message.statusCode !== 401 || !again || !this.#options.token) return resolve();
						await this.#report.token();
						return resolve(this.#register(false));
					},
				},
			}).catch(resolve);
		});
	}

	add(session) {
		const { callId } = session.request;
		this.#report.began(callId, session);
		if (!session.accept) this.#placed.add(session);
		// An Invitation's INVITE has been here before the page was told of it.
		session.stateChange.addListener((state) => {
			if (state !== 'Terminated') return;
			this.#placed.delete(session);
			this.#report.ended(callId, session);
		});
	}

	connected() {
		return this.#agent.isConnected();
	}

	async probe() {
		await this.#register();
		return true;
	}

	reset() {
		const { ws } = this.#agent.transport;
		if (!ws) return; // it is being connected already
		ws.close();
		// Its own event would come only after the other side has said goodbye too.
		ws.dispatchEvent(new CloseEvent('close', { code: 1006 }));
	}

	/** The library captures by itself; a device that is open already opens faster. */
	prepare(how) {
		return capture(capturing(how, this.#call.sessionDescriptionHandlerOptions?.constraints));
	}

	prepared(media) {
		release(media);
	}

	async call(how, started) {
		const { token } = this.#options;
		const given = this.#call.sessionDescriptionHandlerOptions ?? {};
		const constraints = capturing(how, given.constraints);
		const target = this.#agent.configuration.uri.clone();
		({ user: target.user = TARGET, host: target.host = target.host } = partsOf(how.target ?? ''));
		this.#token ??= typeof token === 'function' ? await token() : token;
		const inviterOptions = { ...this.#call, extraHeaders: [...this.#headers(), ...how.headers] };
		return new Promise((resolve, reject) => {
			let canceled = false;
			const created = (session) => {
				session.delegate = {
					onSessionDescriptionHandler: (handler) => {
						const { peerConnection } = handler;
						layOut(peerConnection, how, constraints);
						peerConnection.addEventListener('icecandidate', () => hasCandidates(peerConnection) && handler.iceGatheringComplete());
					},
					onRefer: decline,
				};
				started(session.request.callId);
				this.add(session);
				session.stateChange.addListener((state) => {
					// Not a sound before the offer goes, nor after.
					if (/^Establish/.test(state)) silence(this.connection(session), how);
					if (state === 'Established') resolve(session);
					canceled ||= state === 'Terminating';
				});
			};
			this.place(target, inviterOptions, {
				sessionDescriptionHandlerOptions: {
					...given, constraints, hold: !!how.held,
				},
				requestDelegate: {
					onProgress: () => how.rings(),
					onReject: ({ message }) => reject({
						...refusal(message), status: answered(message), away: message.reasonPhrase === AWAY, canceled,
					}),
				},
			}, created).catch((cause) => reject({ cause, canceled }));
		});
	}

	/** Make a session, tell of it, and send its INVITE. */
	async place(target, inviterOptions, inviteOptions, created) {
		const session = new this.#options.Inviter(this.#agent, target, inviterOptions);
		created(session);
		await session.invite(inviteOptions);
	}

	/** Those of the page's own calls, and the token. */
	#headers() {
		return [...this.#call.extraHeaders ?? [], ...this.#token ? [`Authorization: Bearer ${this.#token}`] : []];
	}

	/** On hold the library leaves the tracks as they are. */
	paused() {}

	refresh(session, record) {
		session.invite({
			sessionDescriptionHandlerOptions: {
				// Without constraints it goes on with what it has captured.
				...this.#call.sessionDescriptionHandlerOptions, constraints: undefined, hold: !!record.held,
			},
			// The library leaves it to us to end a dialog that is gone (RFC 3261 section 14.1).
			requestDelegate: {
				onReject: ({ message }) => {
					const status = answered(message);
					if ([408, 481].includes(status)) this.drop(session);
					// It would take the far end's next offer for an answer to its own.
					this.connection(session)?.setLocalDescription({ type: 'rollback' }).catch(() => {});
					if (!status || status === 491) sleep(glare(!session.accept)).then(() => this.refresh(session, record));
				},
			},
		}).catch(() => {});
	}

	async answer(session, how) {
		const given = this.#call.sessionDescriptionHandlerOptions ?? {};
		const { delegate } = session;
		session.delegate = Object.assign(Object.create(delegate ?? null), {
			onSessionDescriptionHandler: (handler, provisional) => {
				silenceFirst(handler.peerConnection, how);
				delegate?.onSessionDescriptionHandler?.(handler, provisional);
			},
		});
		// When the answer is made the tracks are there; with it as the local description they are encoded.
		const quiet = async (description) => {
			silence(this.connection(session), how);
			return description;
		};
		await session.accept({
			sessionDescriptionHandlerOptions: { ...given, constraints: capturing(how, given.constraints), hold: !!how.held },
			sessionDescriptionHandlerModifiers: [...session.sessionDescriptionHandlerModifiers, quiet],
		});
	}

	drop(session) {
		if (session.state === 'Established') {
			session.bye({ requestOptions: { extraHeaders: ['Call-State: replaced'] } }).catch(() => {});
		}
	}

	/** The page is being left: what the far end need not know. There is no time for an answer. */
	leaving(session) {
		const request = session.dialog?.createOutgoingRequestMessage('OPTIONS', { extraHeaders: ['Call-State: leaving'] });
		if (!request) return;
		const { transport } = this.#agent;
		request.setViaHeader(`z9hG4bK${crypto.randomUUID()}`, transport.protocol);
		transport.send(request.toString()).catch(() => {});
	}

	hangUp(session) {
		if (session.state === 'Established') session.bye();
		else if (session.state === 'Establishing') session.cancel();
	}

	connection(session) {
		return session?.sessionDescriptionHandler?.peerConnection;
	}

	useToken(token) {
		this.#token = token;
	}

	/** As the page uses them for its own calls. */
	useCall(options) {
		this.#call = options;
	}
}
