// SPDX-License-Identifier: MIT
// Calls that survive the loss of their page, for the SessionManager and the SimpleUser of SIP.js.
//
// Both manage the sessions that they have made themselves, and hang up when the page is left or the WebSocket lost. So a
// call comes back through the manager's own call(), and what lives without a WebSocket is not disposed of.

import { CallResume } from './call-resume.js';
import { SIPjsPhone, decline } from './call-resume/sipjs.js';

class ManagerPhone extends SIPjsPhone {
	#manager;
	#simple; // a SimpleUser's, which has one call and not one of several
	#placing; // what is to be told of the session that is being made
	#registered = false;
	#replaced = new WeakSet(); // sessions whose call goes on as another one

	constructor(manager, options, simple) {
		super(manager.userAgent, { ...options, registerer: { register: (how) => this.#register(how) } });
		this.#manager = manager;
		this.#simple = simple;
	}

	attach(report) {
		const manager = this.#manager;
		let { delegate = {} } = manager;
		// The page may set another one, or change it, at any time.
		const told = this.#told(report);
		Object.defineProperty(manager, 'delegate', {
			get: () => new Proxy(delegate, { get: (target, name) => told(target, name) }),
			set: (next) => { delegate = next ?? {}; },
		});
		for (const name of ['mute', 'unmute']) {
			const act = manager[name].bind(manager);
			manager[name] = (session) => {
				act(session);
				report.changed(session.request.callId, { muted: manager.isMuted(session) }, session);
			};
		}
		this.#keepSessions();
		super.attach(report);
	}

	/** @returns what the manager finds in its delegate: the page's, and ours before it */
	#told(report) {
		const ours = {
			onCallCreated: (session) => (this.#placing ?? ((one) => this.add(one)))(session),
			onCallHold: (session, held) => report.changed(session.request.callId, { held }, session),
			onRegistered: () => { this.#registered = true; },
			onCallAnswered: (session) => { session.delegate.onRefer = decline; },
			onCallHangup: (session) => this.#simple && this.#replaced.has(session),
		};
		return (delegate, name) => {
			const theirs = typeof delegate[name] === 'function' ? delegate[name].bind(delegate) : delegate[name];
			if (!Object.hasOwn(ours, name)) return theirs;
			return (...args) => ours[name](...args) === true || theirs?.(...args);
		};
	}

	/** When the WebSocket is lost the manager disposes of all sessions, up or not. */
	#keepSessions() {
		const manager = this.#manager;
		const { delegate } = manager.userAgent;
		const { onDisconnect } = delegate;
		delegate.onDisconnect = (error) => {
			const up = manager.managedSessions.map(({ session }) => session).filter(({ state }) => state === 'Established');
			for (const session of up) session.dispose = async () => {};
			onDisconnect(error);
			for (const session of up) delete session.dispose;
		};
	}

	/** Register as the manager does, but not for a page that does not. */
	async #register(how) {
		if (!this.#registered) throw new Error('not registered');
		// What the page has given to register() would be forgotten.
		const { requestOptions } = this.#manager.registererRegisterOptions ?? {};
		await this.#manager.register({ ...how, requestOptions: how.requestOptions ?? requestOptions });
	}

	async place(target, inviterOptions, inviteOptions, created) {
		this.#placing = created;
		try {
			const placed = this.#manager.call(target.toString(), inviterOptions, inviteOptions);
			this.#placing = undefined; // it has been told by now
			await placed;
		} finally {
			this.#placing = undefined;
		}
	}

	async call(how, started) {
		const session = await super.call(how, started);
		this.#as(session, how);
		return session;
	}

	async answer(session, how) {
		await super.answer(session, how);
		this.#as(session, how);
	}

	/** The manager shall know how the call is, and be able to change it. */
	#as(session, { held, muted, off = [] }) {
		const managed = this.#managed(session);
		if (managed) Object.assign(managed, { held: !!held, muted: !!muted || off.includes('audio') });
	}

	#managed(session) {
		return this.#manager.managedSessions.find((one) => one.session === session);
	}

	/** On hold the manager switches all tracks off. */
	paused(session) {
		return this.#manager.isHeld(session);
	}

	drop(session) {
		this.#replaced.add(session);
		// The page may have one element for all calls, and the new session is played in it already.
		Object.assign(this.#managed(session) ?? {}, { mediaLocal: undefined, mediaRemote: undefined });
		super.drop(session);
	}
}

/** Make the calls of a SessionManager or a SimpleUser survive. Call it before connect(). */
export function resumeSessionManager(given, options = {}) {
	const manager = given.sessionManager ?? given;
	const stops = manager.options?.autoStop !== false && manager.userAgent.configuration.gracefulShutdown;
	if (stops) {
		throw new TypeError(given === manager
			? 'This SessionManager hangs up when its page is left. Make it with autoStop: false.'
			: 'This SimpleUser hangs up when its page is left. Make it with userAgentOptions: { gracefulShutdown: false }.');
	}
	return new CallResume(new ManagerPhone(manager, options, given !== manager), options);
}
