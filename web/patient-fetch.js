// SPDX-License-Identifier: MIT
// fetch() that comes again: when it is told to (after a restart of the gateway a whole
// office behind one address asks in the same second, and is asked to wait), and when the
// network failed under it, as it does while a device changes from one network to another.

const TRIES = 10;
const WAIT_MAX_S = 5;
// After 0.25, 0.5 and 1 s: a device that is off-line is told so soon.
const FAILURES_MAX = 3;
const FAILURE_WAIT_S = 0.25;

const wait = (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });

/**
 * As fetch(), but a request is sent again:
 *
 * - what is answered 429 or 503 with a Retry-After of a few seconds (RFC 9110 section
 *   10.2.3), after that time; the last answer is the caller's;
 * - what got no answer (a TypeError), up to 3 times within about 2 s; the last error is
 *   the caller's.
 * @param {string} url
 * @param {RequestInit} options  with a body that can be sent twice: a string; what is
 *     asked has to be the same when it arrives twice
 * @returns {Promise<Response>}
 */
export async function patientFetch(url, options) {
	let failures = 0;
	for (let tried = 1; ; tried++) {
		let answer;
		try {
			answer = await fetch(url, options);
		} catch (error) {
			if (!(error instanceof TypeError) || failures === FAILURES_MAX) throw error;
			await wait(FAILURE_WAIT_S * 2 ** failures++ * (1 + Math.random() / 4));
			continue;
		}
		const wait_s = Number(answer.headers.get('Retry-After'));
		const again = [429, 503].includes(answer.status) && wait_s > 0 && wait_s <= WAIT_MAX_S;
		if (!again || tried >= TRIES) return answer;
		// Those who were sent away together do not come back together.
		await wait(wait_s + Math.random());
	}
}
