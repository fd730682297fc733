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

export class Failures {
	constructor({ max = 5, window_s = 300 } = {}) {
		Object.assign(this, { max, window_s, counts: new Map() });
	}

	/** Count an attempt before it is looked at. @return seconds to wait, 0: go on */
	attempt(name) {
		for (const [key, { end }] of this.counts) if (end <= now_s()) this.counts.delete(key);
		const count = this.counts.get(name) ?? { n: 0, end: now_s() + this.window_s };
		this.counts.set(name, count);
		return ++count.n > this.max ? Math.ceil(count.end - now_s()) : 0;
	}

	/** It did not fail: all is forgotten, or this attempt only. */
	forgive(name, { all = true } = {}) {
		const count = this.counts.get(name);
		if (all) this.counts.delete(name);
		else if (count) count.n--;
	}
}
