// SPDX-License-Identifier: GPL-2.0-or-later
// Users and the hashes of their passwords.

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

import { readJson, writeJson } from './file.mjs';

// 32 MiB and some 100 ms for each guess.
const COST = { N: 32768, r: 8, p: 1, maxmem: 64 << 20 };

/** So many may wait for their turn, some five seconds: web servers do not wait much longer. */
const WAITING_MAX = 50;

let waiting = 0;
let last = Promise.resolve();

/** One at a time: Node.js has four threads for this and for the signatures of tokens. */
function hash(password, salt) {
	waiting++;
	const turn = last.then(() => promisify(scrypt)(password.normalize('NFC'), Buffer.from(salt, 'hex'), 32, COST))
		.finally(() => waiting--);
	last = turn.catch(() => {});
	return turn;
}

const NOBODY = { salt: randomBytes(16).toString('hex'), hash: randomBytes(32).toString('hex') };

export class Users {
	constructor(path) {
		this.path = path;
	}

	/** Addresses of record are compared without regard to case: there is one spelling. */
	static isName(user) {
		return typeof user === 'string' && /^[a-z0-9._-]{1,64}$/.test(user);
	}

	/** Too many passwords are being looked at: ask again. */
	static get areBusy() {
		return waiting >= WAITING_MAX;
	}

	/** Add a user, or give a new password. */
	async add(user, password) {
		if (!Users.isName(user)) throw new Error('a user\'s name is of a-z 0-9 . _ -');
		if (password.length < 8) throw new Error('a password has at least 8 characters');
		const salt = randomBytes(16).toString('hex');
		const users = readJson(this.path, {});
		users[user] = { salt, hash: (await hash(password, salt)).toString('hex') };
		writeJson(this.path, users);
	}

	/**
	 * Takes as long for a user that does not exist.
	 * @return the version that has this password: it may be another one by now; undefined: wrong
	 */
	async check(user, password) {
		const users = readJson(this.path, {});
		const known = Object.hasOwn(users, user) ? users[user] : NOBODY;
		return timingSafeEqual(await hash(password, known.salt), Buffer.from(known.hash, 'hex')) ? known.salt : undefined;
	}

	/** Changes when the user gets another password; undefined when there is no such user. */
	version(user) {
		const users = readJson(this.path, {});
		return Object.hasOwn(users, user) ? users[user].salt : undefined;
	}
}
