// SPDX-License-Identifier: MIT
// A place on the network for the calls of call-resume.js.

import { patientFetch } from './patient-fetch.js';

/** What the store takes for one, and what becomes part of a path here. */
const isId = (id) => /^[\w-]{1,64}$/.test(id);

/**
 * The portal's store on the network, for browsers that keep nothing.
 * @param {string} url  of the store, such as /session/calls
 * @param {() => string | Promise<string>} token
 * @returns {import('./call-resume.js').Store}
 */
export function networkStore(url, token) {
	const ask = async (method, path = '', body = undefined) => {
		const answer = await patientFetch(url + path, {
			method, body, keepalive: true, headers: { Authorization: `Bearer ${await token()}` },
		});
		if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status}`);
		return answer;
	};
	// What is said of one call arrives in this order: an old value must not come last.
	const last = new Map();
	const inTurn = async (id, ...what) => {
		const turn = (last.get(id) ?? Promise.resolve()).catch(() => {}).then(() => ask(...what));
		last.set(id, turn);
		try {
			await turn;
		} finally {
			if (last.get(id) === turn) last.delete(id);
		}
	};
	return {
		local: false,
		async load() {
			return Object.entries(await (await ask('GET')).json()).filter(([id]) => isId(id));
		},
		async save(id, text) {
			await inTurn(id, 'PUT', `/${id}`, text);
		},
		async remove(id) {
			await inTurn(id, 'DELETE', `/${id}`);
		},
	};
}
