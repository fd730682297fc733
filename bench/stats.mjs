// SPDX-License-Identifier: GPL-2.0-or-later
// Of a list of numbers: what stands in the middle, and how far it scatters.

export function quantile(values, q) {
	const v = [...values].sort((a, b) => a - b);
	const at = (v.length - 1) * q;
	const low = Math.floor(at);
	return v[low] + (v[Math.ceil(at)] - v[low]) * (at - low);
}

export const median = (values) => quantile(values, 0.5);

/** First and third quartile. */
export const quartiles = (values) => [quantile(values, 0.25), quantile(values, 0.75)];

/**
 * One line of the table and of build/bench.json.
 * @param values  one or many; the value is their median, the spread their quartiles
 * @param target  the most that is good; null: there is none
 */
export function row(name, values, unit, target = null) {
	const all = [].concat(values);
	const value = median(all);
	return {
		name, value, unit, target, ok: target === null ? null : value <= target,
		spread: all.length > 1 ? quartiles(all) : null,
	};
}
