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

/** A target that has to be reached and not to be kept below. */
export const atLeast = (least) => ({ least });

/** A line that has no value, and why. */
export const missing = (name, unit, why) => ({ name, value: null, unit, target: null, ok: null, spread: null, why: why.split('\n')[0] });

/** Why a cost that is a difference has none: on a busy machine, or with few calls. */
export const BELOW_NOTHING = 'it came out below nothing: too few calls, or the machine has other things to do';

/* What takes something, and cannot take less than nothing. */
const COSTS = ['ratio', 'us', 'messages', 'calls'];

/**
 * One line of the table and of build/bench.json.
 * @param values  one or many; the value is their median, the spread their quartiles
 * @param target  the most that is good; null: there is none; atLeast(): the least
 */
export function row(name, values, unit, target = null) {
	const all = [].concat(values);
	const value = median(all);
	const least = target?.least;
	if (COSTS.includes(unit) && value < 0) return missing(name, unit, BELOW_NOTHING);
	return {
		name, value, unit, target: least ?? target, ...(least === undefined ? {} : { at_least: true }),
		ok: target === null ? null : least === undefined ? value <= target : value >= least,
		spread: all.length > 1 ? quartiles(all) : null,
	};
}

const number = (v, unit) => (unit === 'ratio' ? v.toFixed(3) : unit === 'us' || unit === 'ms' ? v.toFixed(1) : String(Math.round(v)));

/** The table, what is not in it, and how many targets were missed. */
export function print(rows) {
	const lines = rows.map((r) => [
		r.name, r.value === null ? 'not measured' : `${number(r.value, r.unit)}${r.unit === 'ratio' ? '' : ` ${r.unit}`}`,
		r.target === null ? '' : `${r.at_least ? '>=' : '<='} ${r.target}`,
		r.ok === null ? '' : r.ok ? 'ok' : 'MISSED',
		r.spread ? `${number(r.spread[0], r.unit)} .. ${number(r.spread[1], r.unit)}` : '',
	]);
	lines.unshift(['measure', 'value', 'target', '', 'middle half']);
	const width = lines[0].map((_, i) => Math.max(...lines.map((l) => l[i].length)));
	for (const l of lines) console.log(l.map((c, i) => (i === 0 ? c.padEnd(width[i]) : c.padStart(width[i]))).join('  ').trimEnd());
	for (const r of rows) if (r.why) console.log(`\n${r.name}: not measured, ${r.why}`);
	const missed = rows.filter((r) => r.ok === false);
	if (missed.length > 0) console.log(`\n${missed.length} of ${rows.filter((r) => r.ok !== null).length} targets missed`);
}
