// SPDX-License-Identifier: MIT
// fetch() that comes again when it is told to: after a restart of the gateway a whole office
// behind one address asks in the same second, and is asked to wait.

const TRIES = 10;
const WAIT_MAX_S = 5;

/**
 * As fetch(), but what is answered 429 or 503 with a Retry-After of a few seconds
 * (RFC 9110 section 10.2.3) is sent again then. The last answer is the caller's.
 * @param {string} url
 * @param {RequestInit} options  with a body that can be sent twice: a string
 * @returns {Promise<Response>}
 */
export async function patientFetch(url, options) {
	for (let tried = 1; ; tried++) {
		const answer = await fetch(url, options);
		const wait_s = Number(answer.headers.get('Retry-After'));
		const again = [429, 503].includes(answer.status) && wait_s > 0 && wait_s <= WAIT_MAX_S;
		if (!again || tried === TRIES) return answer;
		// Those who were sent away together do not come back together.
		await new Promise((resolve) => { setTimeout(resolve, (wait_s + Math.random()) * 1000); });
	}
}
