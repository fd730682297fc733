// SPDX-License-Identifier: GPL-2.0-or-later
// The portal's users, and the page's side of its API.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

import { ROOT } from './kamailio.mjs';

export class Portal {
	/** A database in that folder, without users. */
	static create(dir) {
		const self = new Portal();
		self.file = path.join(dir, 'portal.sqlite');
		self.#tool([self.file]);
		// What kamailio.cfg needs for it.
		self.defines = { WITH_PORTAL: true, PORTAL_DB: `"portal=>sqlite:///${self.file}"` };
		return self;
	}

	#tool(args, input = '') {
		execFileSync(path.join(ROOT, 'tools/portal-user'), args, { input });
	}

	/** A user with a password, by default a random one; returns the password. */
	add(aor, password = randomBytes(9).toString('base64url')) {
		this.#tool([this.file, aor], `${password}\n`);
		return password;
	}

	remove(aor) {
		this.#tool(['-d', this.file, aor]);
	}

	sql(query) {
		return execFileSync('sqlite3', ['-cmd', '.timeout 5000', this.file, query], { encoding: 'utf8' }).trim();
	}
}

/** Lines of nginx.conf for tests, which all come from one address, and quickly. */
export const QUICK = Object.fromEntries(['session', 'calls'].map((zone) => (
	[`${zone.toUpperCase()}_RATE`, `$binary_remote_addr zone=call_resume_${zone}:1m rate=900r/s`])));

/** An answer of the portal that says no, and why, and nothing else. */
export function assertRefused(answer, status, error) {
	assert.equal(answer.status, status, answer.text);
	assert.equal(answer.headers['content-type'], 'application/json');
	assert.deepEqual(Object.keys(answer.json), ['error']);
	assert.match(answer.json.error, error);
	assert.equal(answer.headers['set-cookie'], undefined);
}

/** One request over HTTPS; resolves with {status, headers, text, json}. */
export function fetchJson(url, { method = 'GET', headers = {}, body, ca, ...options } = {}) {
	return new Promise((resolve, reject) => {
		const request = https.request(url, {
			method, headers: { ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }), ...headers },
			ca: ca && fs.readFileSync(ca), agent: false, timeout: 10000, ...options,
		}, (response) => {
			const chunks = [];
			response.on('data', (c) => chunks.push(c));
			response.on('end', () => {
				const text = Buffer.concat(chunks).toString();
				let json;
				try {
					json = JSON.parse(text);
				} catch { /* the test looks */ }
				resolve({ status: response.statusCode, headers: response.headers, text, json });
			});
		});
		request.on('timeout', () => request.destroy(new Error(`no answer from ${url}`)));
		request.on('error', reject);
		request.end(body);
	});
}

/** A browser as the portal sees it: keeps the cookie of one user. */
export class Visitor {
	/** @param url  of the origin */
	constructor(url, { ca } = {}) {
		Object.assign(this, { url, ca, cookie: undefined });
	}

	async session(method, { body, headers = {}, path: where = '/session', ...options } = {}) {
		const answer = await fetchJson(this.url + where, {
			method, ca: this.ca, body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
			headers: {
				origin: this.url,
				...(body === undefined ? {} : { 'content-type': 'application/json' }),
				...(this.cookie ? { cookie: `theme=dark; __Host-call_resume=${this.cookie}; x=y` } : {}),
				...headers,
			},
			...options,
		});
		const set = /^__Host-call_resume=([^;]*);/.exec(answer.headers['set-cookie']?.[0] ?? '');
		if (set) this.cookie = set[1] || undefined;
		return answer;
	}

	signIn(user, password, options) {
		return this.session('POST', { body: { user, password }, ...options });
	}

	/** Signed in, and with all that the portal has answered: token, user, sid, ... */
	async signedIn(user, password) {
		const { status, json, text } = await this.signIn(user, password);
		assert.equal(status, 200, text);
		return Object.assign(this, json);
	}

	renew(options) {
		return this.session('POST', options);
	}

	signOut(options) {
		return this.session('DELETE', options);
	}
}
