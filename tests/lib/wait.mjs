// SPDX-License-Identifier: GPL-2.0-or-later
// Waiting on a state, never for a time.

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Poll until probe() gives something truthy, and return that. A probe that
 * throws counts as "not yet", and its last error is part of the timeout's
 * message; but for an error with .fatal, which ends the waiting.
 */
export async function until(what, probe, { timeout_ms = 20000, every_ms = 20 } = {}) {
	const end = performance.now() + timeout_ms;
	let last;
	for (;;) {
		try {
			const value = await probe();
			if (value) return value;
			last = undefined;
		} catch (e) {
			if (e.fatal) throw e;
			last = e;
		}
		if (performance.now() > end) {
			throw new Error(`waited ${timeout_ms} ms for ${what}${last ? `: ${last.message}` : ''}`);
		}
		await sleep(every_ms);
	}
}
