// SPDX-License-Identifier: MIT
// The life of a call, as this page sees it: its states, and what moves it from one to another. web/README.md has the picture.
//
// A call that this page had up has a session of the library still while it comes back; one from the storage has none. So
// there are two ways back: `moving` and, when the page gives up for now, `cut`; `returning` and `kept`.

/** {state: {event: next state}}. An event that is not there changes nothing. */
export const LIFE = {
	/** Begun by either side, and not answered yet: nothing is stored. */
	ringing: { dialled: 'early', rang: 'early', answered: 'up', ended: 'gone', end: 'ending', stopped: 'gone' },
	/** Begun by us: the gateway has been asked, and the far end's phone rings, or will. */
	early: { answered: 'up', dropped: 'kept', ended: 'gone', end: 'ending', stopped: 'gone' },
	/** Answered: what is stored of it is kept fresh. */
	up: { apart: 'apart', resume: 'moving', ended: 'gone', end: 'ending', joined: 'gone', stopped: 'gone' },
	/** It was up, and may be still: the gateway cannot be reached, or the media are gone. */
	apart: { reached: 'up', resume: 'moving', ended: 'gone', end: 'ending', joined: 'gone', stopped: 'gone' },
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

/** What happens to a call. */
export const EVENTS = [
	'dialled', // our INVITE goes out
	'rang', // a provisional answer brought a state
	'dropped', // its connection is gone, and the library's session with it
	'answered', // a 2xx, or an ACK to ours
	'apart', // its connection, or its media, is gone
	'reached', // they are there again
	'resume', // bring it back
	'back', // the library has a session of it again
	'later', // it could not come back now
	'lost', // it will not come back
	'hangUp', // by the user, while it came back
	'ended', // by BYE, or the library
	'end', // the page has said end()
	'joined', // it goes on as a new call
	'stopped', // the page has said stop()
];

/** @returns whether that event has changed the state of the call: record.life */
export function move(record, event) {
	const next = LIFE[record.life][event];
	if (next) record.life = next;
	return next !== undefined;
}

const among = (...states) => (record) => states.includes(record?.life);

/** What is stored of it follows what it is. */
export const isStored = among('early', 'up', 'apart', 'moving', 'cut');
/** A resume is under way: what the library says of its end is about the attempt. */
export const isComing = among('returning', 'moving', 'hangingUp', 'ending');
/** Nothing is under way, and it is not up: a retry() has something to do. */
export const isWaiting = among('kept', 'cut', 'hungUp');
/** The library has a session of it, which tells what the page sends. */
export const hasSession = among('early', 'up', 'apart', 'cut');
/** It would suffer from another connection now: it is being set up, or is coming back. */
export const isInHand = among('ringing', 'early', 'moving', 'returning', 'hangingUp', 'ending');
/** As far as this page knows the far end is in it. */
export const isUp = among('up', 'apart');
/** It comes back in order to be hung up. */
export const isHangingUp = among('hangingUp', 'ending');
export const isGone = among('gone');
