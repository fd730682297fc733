// SPDX-License-Identifier: MIT
// Why a call was not resumed.

/** Why a call was not resumed; `reason` is for programs, `message` for people. */
export class ResumeError extends Error {
	/**
	 * @param {import('../call-resume.js').ResumeFailure} reason
	 * @param {{status?: number, cause?: unknown, final?: boolean}} [detail]
	 */
	constructor(reason, { status, cause, final = true } = {}) {
		super(reason === 'no-media' && deviceMessage(cause) || MESSAGES[reason], { cause });
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
	unanswered: 'The call was not answered.',
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
/** For people; undefined where it is no error of getUserMedia(). */
export const deviceMessage = (error) => DEVICES[error?.name];

/** Reasons that the user can do something about: the call is kept. */
const KEPT = ['no-media', 'password'];
/** Whether a call that fails for this reason is not tried again. */
export const isFinal = (reason) => !!reason && !KEPT.includes(reason);
/** So often one that is in use is asked for again: the page that was here may have it a moment longer. */
const IN_USE = 3;

/** Seconds of a Retry-After (RFC 3261 section 20.33); 0 where there is none that is a number. Whoever refuses has written it. */
export const secondsOf = (field) => Number(/^\s*(\d{1,9})(?=[\s;(]|$)/.exec(field ?? '')?.[1] ?? 0);

/** What a final answer to the resume INVITE means. @param early  nobody had answered the call
 * @returns the reason, or
 * undefined when it is worth another attempt. */
export function reasonOf({ status, cause }, attempt, token, early) {
	if (cause?.name === 'NotReadableError' && attempt < IN_USE) return undefined;
	if (cause?.name in DEVICES) return 'no-media';
	if (status === 481 || status === 408) return 'ended';
	if (status === 410) return 'expired';
	if (status === 407 || status === 401 && !token) return 'password';
	if (status === 401 || status === 403) return 'refused';
	if (!status || status === 491 || status >= 500 && status < 600 && status !== 513) return undefined;
	return early && status !== 513 ? 'unanswered' : 'failed';
}

/** The reason when there is no time for another attempt. */
export const outOfTime = ({ status, cause, late }) => (cause?.name in DEVICES ? 'no-media' : status || late ? 'failed' : 'no-network');
