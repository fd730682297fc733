// SPDX-License-Identifier: MIT
// The life of a call, as this page sees it: its states, and what moves it from one to another. web/README.md has the picture.
//
// A call that this page had up has a session of the library still while it comes back; one from the storage has none. So
// there are two ways back: `moving` and, when the page gives up for now, `cut`; `returning` and `kept`.

/** {state: {event: next state}}. An event that is not there changes nothing. */
export const LIFE = {
	/** Begun by either side, and not answered yet: nothing is stored. */
	ringing: { answered: 'up', ended: 'gone', end: 'ending', stopped: 'gone' },
	/** Answered: what is stored of it is kept fresh. */
	up: { resume: 'moving', ended: 'gone', end: 'ending', joined: 'gone', stopped: 'gone' },
	/** It was up; a resume is under way. */
	moving: { back: 'up', later: 'cut', lost: 'gone', hangUp: 'hangingUp', end: 'ending', joined: 'gone', stopped: 'gone' },
	/** It was up, and could not come back now; its old session may be of use yet. */
	cut: { resume: 'moving', ended: 'gone', end: 'ending', joined: 'gone', stopped: 'gone' },
	/** In the storage, and not here: just found there, or it could not come back now. */
	kept: { resume: 'returning', ended: 'gone', end: 'ending', joined: 'gone', stopped: 'gone' },
	/** From the storage; a resume is under way. Its 2xx is here before the library has a session. */
	returning: { answered: 'moving', later: 'kept', lost: 'gone', hangUp: 'hangingUp', end: 'ending', joined: 'gone', stopped: 'gone' },
	/** The user has hung up while it came back: a resume is under way, in order to hang up. */
	hangingUp: { later: 'hungUp', lost: 'gone', end: 'ending', stopped: 'gone' },
	/** The user has hung up, and the gateway could not be told now. */
	hungUp: { resume: 'hangingUp', ended: 'gone', end: 'ending', stopped: 'gone' },
	/** The page has said end(): as hangingUp, but nothing is stored or told any more, and it is tried once. */
	ending: { later: 'gone', lost: 'gone', stopped: 'gone' },
	/** Nothing is done about it any more. */
	gone: {},
};

/** What happens to a call.
 * answered: a 2xx, or an ACK to ours; resume: bring it back; back: the library has a session of it again; later: it could not come back now;
 * lost: it will not come back; hangUp: by the user, while it came back; ended: by BYE, or the library; end: the page has said end();
 * joined: it goes on as a new call; stopped: the page has said stop(). */
export const EVENTS = ['answered', 'resume', 'back', 'later', 'lost', 'hangUp', 'ended', 'end', 'joined', 'stopped'];

/** @returns whether that event has changed the state of the call: record.life */
export function move(record, event) {
	const next = LIFE[record.life][event];
	if (next) record.life = next;
	return next !== undefined;
}

const among = (...states) => (record) => states.includes(record?.life);

/** What is stored of it follows what it is. */
export const isStored = among('up', 'moving', 'cut');
/** A resume is under way: what the library says of its end is about the attempt. */
export const isComing = among('returning', 'moving', 'hangingUp', 'ending');
/** Nothing is under way, and it is not up: a retry() has something to do. */
export const isWaiting = among('kept', 'cut', 'hungUp');
/** The library has a session of it, which tells what the page sends. */
export const hasSession = among('up', 'cut');
/** It comes back in order to be hung up. */
export const isHangingUp = among('hangingUp', 'ending');
export const isGone = among('gone');
