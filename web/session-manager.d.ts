// SPDX-License-Identifier: MIT

import type { CallResume, ResumeOptions } from './call-resume.js';

/** What a SessionManager of SIP.js has to have; the library's own types fit. */
export interface SIPjsSessionManager<Session> {
	managedSessions: { session: Session }[];
	userAgent: object;
}

/** What a SimpleUser of SIP.js has to have. */
export interface SIPjsSimpleUser {
	answer(options?: object): Promise<void>;
	call(destination: string, options?: object): Promise<void>;
}

export interface ManagerOptions extends ResumeOptions {
	/** InviterOptions, as the page uses them for its own calls; or what gives them, each time that a call comes back. */
	call?: object | (() => object | Promise<object>);
}

/** Make the calls of a SessionManager survive. Call it before connect(). It throws a TypeError where the manager would hang
 * up when the page is left: it has to be made with `autoStop: false`. */
export function resumeSessionManager<Session>(manager: SIPjsSessionManager<Session>, options?: ManagerOptions): CallResume<Session>;

/** Make the call of a SimpleUser survive. It has to be made with `userAgentOptions: { gracefulShutdown: false }`. */
export function resumeSessionManager(user: SIPjsSimpleUser, options?: ManagerOptions): CallResume<object>;
