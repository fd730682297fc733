// SPDX-License-Identifier: MIT
// How long to go on, and how long to wait in between.

import { secondsOf } from './errors.js';

/** A gateway that asks for it is waited for so many times as long. */
const FACTOR = 10;
/** The longest that it may ask for, in seconds. */
const ASKED = 60;
const now = () => Date.now();

/** What a gateway says that has too much to do, or no media server: come again later. It is the only one whose Retry-After
 * counts. A far end that says 503 is none of them: a proxy passes that on as 500 (RFC 3261 section 16.7), and who is
 * called does not tell a page when to call. */
const asks = ({ status, retryAfter }) => (status === 503 ? Math.min(ASKED, secondsOf(retryAfter)) : 0);

export class Patience {
	#most;
	#last;

	/** @param most  for how long to try, in milliseconds */
	constructor(most) {
		this.#most = most;
		this.end = now() + most;
		this.#last = now() + FACTOR * most;
	}

	/**
	 * Pages that are refused at the same moment do not come again at the same moment.
	 * @param failure  {status, retryAfter} of the answer
	 * @param attempt  how many there have been before
	 * @returns milliseconds until the next attempt; undefined when there is no time for one
	 */
	pause(failure, attempt) {
		const asked = asks(failure) * 1000;
		const pause = asked ? asked + 1000 * Math.random() : Math.min(4000, 250 * 2 ** attempt) * (0.5 + Math.random() / 2);
		// Who is told to wait has not failed: from then on it has all of its time again.
		if (asked) this.end = Math.max(this.end, Math.min(this.#last, now() + pause + this.#most));
		return now() + pause > this.end ? undefined : pause;
	}
}
