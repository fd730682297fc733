// SPDX-License-Identifier: GPL-2.0-or-later
// A place on the network for the calls of call-resume.js.

/**
 * The portal's store on the network, for browsers that keep nothing.
 * @param {string} url  of the store, such as /session/calls
 * @param {() => string | Promise<string>} token
 * @returns {import('./call-resume.js').Store}
 */
export function networkStore(url, token) {
	const ask = async (method, path = '', body = undefined) => {
		const answer = await fetch(url + path, {
			method, body, keepalive: true, headers: { Authorization: `Bearer ${await token()}` },
		});
		if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status}`);
		return answer;
	};
	return {
		local: false,
		async load() {
			return Object.entries(await (await ask('GET')).json());
		},
		async save(id, text) {
			await ask('PUT', `/${id}`, text);
		},
		async remove(id) {
			await ask('DELETE', `/${id}`);
		},
	};
}
