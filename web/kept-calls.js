// SPDX-License-Identifier: MIT
// The calls that will be brought back, for the first picture that a page paints.

import { before, readRecord } from './call-resume/record.js';
import { copies, prefixes } from './call-resume/store.js';

/**
 * What the browser has stored of the calls of one user, in the copy that needs no waiting. What is
 * damaged is left out; the helper tells of it.
 * @param {string} user  as of browserStore()
 * @returns {import('./call-resume.js').CallBefore[]}
 */
export function keptCalls(user) {
	const calls = new Map();
	try {
		for (const prefix of prefixes(user)) {
			for (const [id, text] of copies(prefix)) {
				const record = readRecord(text);
				if (record) calls.set(id, before({ ...record, id }));
			}
		}
	} catch {
		// No storage, so no calls.
	}
	return [...calls.values()];
}
