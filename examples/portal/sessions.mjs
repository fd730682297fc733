// SPDX-License-Identifier: GPL-2.0-or-later
// Web sessions: what the cookie of a browser stands for. Kept in a file, so that they
// outlive a restart; of the cookie only the hash is.

import { createHash, randomBytes, randomUUID } from 'node:crypto';

import { readJson, writeJson } from './file.mjs';

const hash = (cookie) => createHash('sha256').update(cookie).digest('hex');
const now_s = () => Math.floor(Date.now() / 1000);

export class Sessions {
	/** @param perUser  of one user; the oldest ones go */
	constructor(path, { lifetime_s, perUser = 20 }) {
		Object.assign(this, { path, lifetime_s, perUser });
		this.all = new Map(Object.entries(readJson(path, {})));
	}

	#save() {
		for (const [key, { expires }] of this.all) if (expires <= now_s()) this.all.delete(key);
		writeJson(this.path, Object.fromEntries(this.all));
	}

	/** {user, sid, version}, or undefined. */
	find(cookie) {
		const session = cookie && this.all.get(hash(cookie));
		return session && session.expires > now_s() ? session : undefined;
	}

	/** A new cookie. Who signs in again in the same browser keeps the sid, and the calls with it. */
	open(user, version, oldCookie) {
		const old = this.find(oldCookie);
		const cookie = randomBytes(32).toString('base64url');
		const session = {
			user, version, sid: old?.user === user ? old.sid : randomUUID(), expires: now_s() + this.lifetime_s,
		};
		if (oldCookie) this.all.delete(hash(oldCookie));
		this.all.set(hash(cookie), session);
		const own = [...this.all].filter(([, s]) => s.user === user);
		for (const [key] of own.slice(0, -this.perUser)) this.all.delete(key);
		this.#save();
		return { cookie, session };
	}

	close(cookie) {
		if (cookie && this.all.delete(hash(cookie))) this.#save();
	}
}
