// SPDX-License-Identifier: MIT
// A call as it is kept in a storage: what writes it, and the only reader. Anything may be in a storage: what an
// earlier version wrote, what a disk or another script of the page has damaged. What is read goes into an INVITE.

const KINDS = ['audio', 'video'];
const DIRECTIONS = [undefined, 'sendrecv', 'sendonly', 'recvonly', 'inactive'];

/** A JWE in compact form. */
export const isState = (value) => typeof value === 'string' && /^[\w.-]{1,8192}$/.test(value);
/** A tag of a dialog, or that there was none yet. */
const isTag = (value) => typeof value === 'string' && /^[\w.!%*+`'~-]*$/.test(value);
const isFlag = (value) => typeof value === 'boolean';
const isLine = (line) => typeof line?.kind === 'string' && DIRECTIONS.includes(line.direction) && [undefined, true].includes(line.rejected);
const listOf = (check) => (value) => Array.isArray(value) && value.every(check);
const kinds = listOf((kind) => KINDS.includes(kind));

const FIELDS = {
	state: isState, update: isState, tag: isTag, media: listOf(isLine), sends: kinds, off: kinds, screen: isFlag,
	held: isFlag, muted: isFlag, videoMuted: isFlag, data: () => true, start: Number.isFinite, seen: Number.isFinite,
};

/** @returns {string} what of a call is kept, at this time */
export const writeRecord = (record) => JSON.stringify({
	...Object.fromEntries(Object.keys(FIELDS).map((name) => [name, record[name]])), seen: Date.now(),
});

/**
 * Read what writeRecord() has written. A field that is not there, or null, is undefined; others than ours are not taken.
 * @returns {object | undefined} undefined: it is damaged
 */
export function readRecord(text) {
	try {
		const kept = JSON.parse(text);
		const record = {};
		for (const [name, check] of Object.entries(FIELDS)) {
			const value = kept[name] ?? undefined;
			if (value !== undefined && !check(value)) return undefined;
			record[name] = value;
		}
		return record.state && record;
	} catch {
		return undefined;
	}
}

/** The texts of a storage by id; what is damaged so far that it has no id is left out. */
export const readAll = (all) => new Map([...all].filter((one) => Array.isArray(one) && typeof one[0] === 'string'));

/** What the page is told of a call that comes back: as it was. */
export const before = ({ id, data, start, held, muted, videoMuted, sends = [], off = [], screen }) => ({
	id, data, start: start && new Date(start), held: !!held, muted: !!muted || off.includes('audio'),
	videoMuted: sends.includes('video') && (!!videoMuted || off.includes('video')), screen: !!screen,
});
