// SPDX-License-Identifier: MIT
// Re-INVITEs of the page: hold, and the camera. The library hangs up when one is refused, as it is where both sides send
// one at the same time (491). Here the call goes on, and it is tried again.

import { glare } from '../call-resume/shared.js';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** What the library gives as the reason when it hangs up for that. */
const REFUSED = 'WebRTC Error';

/**
 * @param session  of JsSIP
 * @param begin    (done) => boolean: has the library send it; false when there is nothing to do
 * @param tries    how often, in all
 * @returns {Promise<boolean>}  whether the other side has taken it
 */
export async function reoffer(session, begin, tries) {
	for (let send = begin; tries > 0; tries--) {
		for (let i = 0; i < 50 && !session.isReadyToReOffer(); i++) await sleep(100);
		if (session.isEnded()) return false;
		if (await once(session, send)) return true;
		if (session.isEnded()) return false;
		const { connection } = session;
		if (connection.signalingState === 'have-local-offer') await connection.setLocalDescription({ type: 'rollback' });
		if (tries > 1) await sleep(glare(session.direction === 'outgoing'));
		send = (done) => session.renegotiate({}, done);
	}
	return false;
}

/** One, to its answer. */
function once(session, begin) {
	return new Promise((resolve) => {
		const { terminate } = session;
		let waits = true;
		const done = (taken) => {
			waits = false;
			if (session.terminate === guard) session.terminate = terminate;
			resolve(taken);
		};
		const guard = (how) => {
			if (waits && how?.cause === REFUSED) return done(false);
			if (waits) done(false);
			return terminate.call(session, how);
		};
		session.terminate = guard;
		session.on('ended', () => done(false));
		if (!begin(() => done(true))) done(true);
	});
}
