// SPDX-License-Identifier: GPL-2.0-or-later

/** Reproducible: the failure says which seed it was. */
export function random(seed) {
	let state = seed;
	const next = () => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return state / 2 ** 32;
	};
	const below = (n) => Math.floor(next() * n);
	return { below, one: (list) => list[below(list.length)], chance: (p) => next() < p };
}
