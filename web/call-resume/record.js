// SPDX-License-Identifier: MIT
// A call as it is kept in a storage: what writes it, and the only reader. Anything may be in a storage: what an
// earlier version wrote, what a disk or another script of the page has damaged. What is read goes into an INVITE.
//
// A record is what is stored of a call:
//	state       its newest state; before there is one dialled, what names its INVITE
//	update      what belongs to the state, of later
//	tag         of this side, where the state has none
//	media       its m-lines
//	sends, off  the kinds that this page sends; those of them whose tracks are switched off
//	screen      something else than a camera is shown
//	early       nobody has answered it
//	start       when it was answered, or dialled; seen: when this page said last that it lives
//	held, muted, videoMuted, data
// and in memory only
//	id, life    how far it is: life.js, whose move() alone changes it
//	session     the library's; callId, and far, the far end's tag
//	release     lets go of its lock
//	offer       of the far end, not answered yet
//	lost        when its media was
//	again       what the next INVITE says
//	rings       what brings it back hears ringing
//	peer        who it is with, once that is known
//	joins       which call it goes on with, and with whom

const KINDS = ['audio', 'video'];
const DIRECTIONS = [undefined, 'sendrecv', 'sendonly', 'recvonly', 'inactive'];

/** A JWE in compact form. */
export const isState = (value) => typeof value === 'string' && /^[\w.-]{1,8192}$/.test(value);
/** A tag of a dialog, or that there was none yet. */
const isTag = (value) => typeof value === 'string' && /^[\w.!%*+`'~-]*$/.test(value);
/** What names an INVITE of ours, and whom it calls. */
const isDialled = ({ callId, tag, cseq, peer } = {}) => [callId, tag].every((name) => isTag(name) && /^.{1,255}$/.test(name))
	&& Number.isSafeInteger(cseq) && cseq >= 0 && /^sips?:[^\s<>"]{1,255}$/.test(peer);
const isFlag = (value) => typeof value === 'boolean';
const isLine = (line) => typeof line?.kind === 'string' && DIRECTIONS.includes(line.direction) && [undefined, true].includes(line.rejected);
const listOf = (check) => (value) => Array.isArray(value) && value.every(check);
const kinds = listOf((kind) => KINDS.includes(kind));

const FIELDS = {
	state: isState, dialled: isDialled, update: isState, tag: isTag, media: listOf(isLine), sends: kinds, off: kinds, screen: isFlag, early: isFlag,
	held: isFlag, muted: isFlag, videoMuted: isFlag, data: () => true, start: Number.isFinite, seen: Number.isFinite,
};

/** What a call is asked for by when it comes back: the value of Call-State. */
export function claim({ state, update, tag, again, dialled }) {
	if (!state) return `dialled;call-id=${dialled.callId};tag=${dialled.tag};cseq=${dialled.cseq}`;
	return [state, update && `update=${update}`, tag && `tag=${tag}`, again && 'again'].filter(Boolean).join(';');
}

/** What of a message of ours names the call that it begins; undefined when it begins none, or not in a way that can be told again. */
export function dialledBy({ method, cseq }, callId, from, to) {
	const dialled = { callId, tag: from.tag, cseq, peer: to.uri };
	return method === 'INVITE' && !to.tag && isDialled(dialled) ? dialled : undefined;
}

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
		return (record.state || record.dialled) && record;
	} catch {
		return undefined;
	}
}

/** The texts of a storage by id; what is damaged so far that it has no id is left out. */
export const readAll = (all) => new Map([...all].filter((one) => Array.isArray(one) && typeof one[0] === 'string'));

/** What the page is told of a call that comes back: as it was. */
export const before = ({ id, data, start, held, muted, videoMuted, sends = [], off = [], screen, early }) => ({
	id, data, start: start && new Date(start), held: !!held, muted: !!muted || off.includes('audio'),
	videoMuted: sends.includes('video') && (!!videoMuted || off.includes('video')), screen: !!screen, ringing: !!early,
});
