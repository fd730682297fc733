// SPDX-License-Identifier: MIT
// The client keys, and what the states say that they open.

import { sleep } from './shared.js';

const fromBase64url = (text) => Uint8Array.from(
	atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));

/** The client keys of this web session, in memory only (RFC 7516, dir and A256GCM). */
export class Keys {
	#keys = new Map();
	#arrived;
	#first = new Promise((resolve) => { this.#arrived = resolve; });

	/** Take the keys of a Call-State-Key field. */
	async add(value) {
		for (const one of value.split(',')) {
			const params = Object.fromEntries(one.split(';').map((p) => p.trim().split(/=(.*)/s)));
			if (!params.kid || !params.key) continue;
			this.#keys.set(params.kid, await crypto.subtle.importKey(
				'raw', fromBase64url(params.key), 'AES-GCM', false, ['decrypt']));
		}
		this.#arrived();
	}

	/** Wait for the first key, so long and no longer. */
	some(timeout) {
		return Promise.race([this.#first, sleep(timeout)]);
	}

	/** What a state says; undefined when no key opens it. */
	async open(jwe) {
		try {
			const [head, , iv, text, tag] = jwe.split('.');
			const { kid } = JSON.parse(new TextDecoder().decode(fromBase64url(head)));
			const plain = await crypto.subtle.decrypt(
				{ name: 'AES-GCM', iv: fromBase64url(iv), additionalData: new TextEncoder().encode(head) },
				this.#keys.get(kid), new Uint8Array([...fromBase64url(text), ...fromBase64url(tag)]));
			return JSON.parse(new TextDecoder().decode(plain));
		} catch {
			return undefined;
		}
	}
}
