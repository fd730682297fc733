// SPDX-License-Identifier: GPL-2.0-or-later
// Sign-ins that fail, counted for a while.

import { isIPv6 } from 'node:net';

const now_s = () => Date.now() / 1000;

/** What counts as one address: who has one of IPv6 has all of its /64 (RFC 6177). */
export function networkOf(address) {
	if (!isIPv6(address)) return address;
	// Written in one way (RFC 5952), also if it came as ::ffff:1.2.3.4.
	const short = new URL(`http://[${address}]/`).hostname.slice(1, -1);
	if (short.startsWith('::')) return short;
	const [head, tail] = short.split('::').map((part) => (part ? part.split(':') : []));
	const groups = tail ? [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail] : head;
	return `${groups.slice(0, 4).join(':')}::/64`;
}

/** What is counted together, where there are too many names. */
const OTHERS = '';

export class Failures {
	/** @param names  so many are counted apart, others together */
	constructor({ max = 5, window_s = 300, names = 10000 } = {}) {
		Object.assign(this, { max, window_s, names, counts: new Map() });
	}

	#known(name) {
		return this.counts.has(name) || this.counts.size < this.names ? name : OTHERS;
	}

	/** Count an attempt before it is looked at. @return seconds to wait, 0: go on */
	attempt(of) {
		// In the order in which they began, and so end.
		for (const [key, { end }] of this.counts) {
			if (end > now_s()) break;
			this.counts.delete(key);
		}
		const name = this.#known(of);
		const count = this.counts.get(name) ?? { n: 0, end: now_s() + this.window_s };
		this.counts.set(name, count);
		return ++count.n > this.max ? Math.ceil(count.end - now_s()) : 0;
	}

	/** It did not fail: all is forgotten, or this attempt only, as where others are counted together with it. */
	forgive(of, { all = true } = {}) {
		const name = this.#known(of);
		const count = this.counts.get(name);
		if (all && name !== OTHERS) this.counts.delete(name);
		else if (count) count.n--;
	}
}
