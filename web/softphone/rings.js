// SPDX-License-Identifier: MIT
// Which of a user's tabs rings: the one that has registered last. It has a lock, so that the others know, and that one
// of them registers when it is closed.

/**
 * @param {string} name  of the lock: one for each user
 * @param {{elsewhere: () => void, again: () => void}} says  another tab has registered; that tab is gone, so register
 * @returns {{registered: () => void, readonly here: boolean}}  to be told that this tab has registered; whether it rings
 */
export function ringing(name, { elsewhere, again }) {
	const { locks } = navigator;
	const forever = new Promise(() => {});
	let here = !locks; // without locks nobody knows better
	let waiting;
	const hold = async (how, then) => {
		try {
			await locks.request(name, how, () => {
				here = true;
				then?.();
				return forever;
			});
		} catch {
			if (how.signal?.aborted) return;
			here = false;
			elsewhere();
			waiting = new AbortController();
			hold({ signal: waiting.signal }, again);
		}
	};
	return {
		registered() {
			if (here) return;
			waiting?.abort();
			hold({ steal: true });
		},
		get here() { return here; },
	};
}
