// SPDX-License-Identifier: GPL-2.0-or-later
//
// A web portal for call_resume: the same API as cfg/portal.cfg, but it signs the tokens itself,
// with a key that Kamailio does not have. Kamailio knows the public half (parameter issuer).
// It stands behind the web server of the page, as cfg/nginx.conf, on loopback.

import fs from 'node:fs';
import http from 'node:http';
import { isIP } from 'node:net';
import { createHmac, randomUUID, webcrypto } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import { SignJWT, importPKCS8 } from 'jose';

import { Failures, networkOf } from './failures.mjs';
import { Sessions } from './sessions.mjs';
import { Users } from './users.mjs';

globalThis.crypto ??= webcrypto; // Node.js 18 has it on request only

const BODY_MAX = 2048;

/** An answer that is no success. */
class Refusal extends Error {
	constructor(status, message, headers = {}) {
		super(message);
		Object.assign(this, { status, headers });
	}
}

async function readBody(request) {
	const chunks = [];
	let length = 0;
	for await (const chunk of request) {
		length += chunk.length;
		if (length > BODY_MAX) throw new Refusal(413, `At most ${BODY_MAX} bytes`);
		chunks.push(chunk);
	}
	return Buffer.concat(chunks);
}

function parseCredentials(request, body) {
	const type = request.headers['content-type'] ?? '';
	if (!/^application\/json *(;.*)?$/i.test(type)) throw new Refusal(415, 'Use Content-Type application/json');
	try {
		const { user, password, ...more } = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
		const name = user.toLowerCase();
		if (Users.isName(name) && typeof password === 'string' && !Object.keys(more).length) return { user: name, password };
	} catch { /* refused below */ }
	throw new Refusal(400, 'A JSON object of user and password, please');
}

/** It becomes a name in tables in memory: nothing else may. */
function addressOf(request) {
	const address = request.headers['x-forwarded-for'] ?? request.socket.remoteAddress;
	if (!/^[0-9a-f.:]+$/i.test(address) || !isIP(address)) throw new Refusal(400, 'No usable X-Forwarded-For');
	return address;
}

/** A browser takes a cookie of such a name from this very host only, over TLS and for all of it (RFC 6265bis section 4.1.3.2). */
const COOKIE = '__Host-call_resume';

function cookieOf(request) {
	const values = (request.headers.cookie ?? '').split(';').map((pair) => pair.split('=').map((part) => part.trim()))
		.filter(([name]) => name === COOKIE).map(([, value]) => value);
	// One of two is not ours, and nobody can say which.
	if (values.length > 1) throw new Refusal(400, 'Two cookies of one name');
	return /^[\w-]{43}$/.test(values[0]) ? values[0] : undefined;
}

export class Portal {
	/**
	 * @param key         PKCS #8 in PEM: an Ed25519 private key
	 * @param issuer      claim iss, as in Kamailio's configuration; audience likewise
	 * @param domain      of the addresses of record
	 * @param users       path of the file of users; sessions: of web sessions
	 * @param turnSecret  as coturn has it; turnUris: with commas between them
	 */
	static async create({
		key, issuer, audience, domain, users, sessions, turnSecret, turnUris, tokenLifetime_s = 3600, sessionLifetime_s = 7 * 86400,
	}) {
		const self = new Portal();
		Object.assign(self, { issuer, audience, domain, turnSecret, tokenLifetime_s, sessionLifetime_s });
		self.turnUris = (turnUris ?? '').split(',').map((uri) => uri.trim()).filter(Boolean);
		self.key = await importPKCS8(key, 'EdDSA');
		self.users = new Users(users);
		self.sessions = new Sessions(sessions, { lifetime_s: sessionLifetime_s });
		self.failures = new Failures();
		self.byAddress = new Failures({ max: 50 });
		// Not failures: sessions that a user begins, each of which may write into a store of its own.
		self.begun = new Failures({ max: 20 });
		return self;
	}

	#iceServers(sub, expires) {
		if (!this.turnSecret || !this.turnUris.length) return [];
		const username = `${expires}:${sub}`;
		// SHA-1 because coturn knows no other.
		return [{ urls: this.turnUris, username, credential: createHmac('sha1', this.turnSecret).update(username).digest('base64') }];
	}

	async #answer(request, { user, sid }) {
		const sub = `sip:${user}@${this.domain}`;
		const expires = Math.floor(Date.now() / 1000) + this.tokenLifetime_s;
		const token = await new SignJWT({ sid }).setProtectedHeader({ alg: 'EdDSA', typ: 'JWT' })
			.setIssuer(this.issuer).setAudience(this.audience).setSubject(sub).setJti(randomUUID())
			.setIssuedAt().setExpirationTime(expires).sign(this.key);
		return { token, expires, user: sub, sid, websocket: `wss://${request.headers.host}/ws`, ice_servers: this.#iceServers(sub, expires) };
	}

	#setCookie(response, value, age_s) {
		response.setHeader('Set-Cookie', `${COOKIE}=${value}; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=${age_s}`);
	}

	async #signIn(request, response, body) {
		const { user, password } = parseCredentials(request, body);
		const address = networkOf(addressOf(request));
		const cookie = cookieOf(request);
		// Before it is counted. Who has a cookie does not get here.
		if (Users.areBusy) throw new Refusal(503, 'Not now, try again', { 'Retry-After': 5 });
		const wait_s = this.byAddress.attempt(address) || this.failures.attempt(`${address} ${user}`);
		if (wait_s) throw new Refusal(429, 'Too many sign-ins failed, try later', { 'Retry-After': wait_s });
		const version = await this.users.check(user, password);
		if (version === undefined || version !== this.users.version(user)) {
			throw new Refusal(401, 'Wrong user or password', { 'WWW-Authenticate': 'Session' });
		}
		this.failures.forgive(`${address} ${user}`);
		this.byAddress.forgive(address, { all: false });
		const begun_s = this.sessions.find(cookie)?.user === user ? 0 : this.begun.attempt(user);
		if (begun_s) throw new Refusal(429, 'Too many new sessions, try later', { 'Retry-After': begun_s });
		const { cookie: fresh, session } = this.sessions.open(user, version, cookie);
		this.#setCookie(response, fresh, this.sessionLifetime_s);
		return this.#answer(request, session);
	}

	#renew(request) {
		const session = this.sessions.find(cookieOf(request));
		if (!session || session.version !== this.users.version(session.user)) {
			throw new Refusal(401, 'Sign in', { 'WWW-Authenticate': 'Session' });
		}
		return this.#answer(request, session);
	}

	async #handle(request, response) {
		if (request.headers['x-forwarded-proto'] !== 'https') throw new Refusal(403, 'Use HTTPS');
		const { host, origin } = request.headers;
		if (!/^[\w.:[\]-]+$/.test(host ?? '')) throw new Refusal(400, 'No usable Host');
		if (origin !== undefined && origin !== `https://${host}`) throw new Refusal(403, 'Not for other origins');
		if (request.url !== '/session') throw new Refusal(404, 'There is nothing here');
		if (request.method === 'POST') {
			const body = await readBody(request);
			return body.length ? this.#signIn(request, response, body) : this.#renew(request);
		}
		if (request.method === 'DELETE') {
			this.sessions.close(cookieOf(request));
			this.#setCookie(response, '', 0);
			return undefined;
		}
		throw new Refusal(405, 'Use POST or DELETE', { Allow: 'POST, DELETE' });
	}

	/** A listener for http.createServer(). */
	async listener(request, response) {
		response.setHeader('Cache-Control', 'no-store');
		const send = (status, json, headers = {}) => response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
			.end(JSON.stringify(json));
		try {
			const json = await this.#handle(request, response);
			if (json) send(200, json);
			else response.writeHead(204).end();
		} catch (e) {
			if (!(e instanceof Refusal)) console.error(e);
			send(e.status ?? 500, { error: e.status ? e.message : 'Internal error' }, e.headers);
		}
	}
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const { env } = process;
	const need = (name) => env[name] ?? (console.error(`portal: set ${name}, see README.md`), process.exit(2));
	const file = (path) => path && fs.readFileSync(path, 'utf8').trim();
	const portal = await Portal.create({
		key: file(need('PORTAL_KEY')), issuer: need('PORTAL_ISSUER'), audience: need('PORTAL_AUDIENCE'), domain: need('PORTAL_DOMAIN'),
		users: need('PORTAL_USERS'), sessions: need('PORTAL_SESSIONS'),
		turnSecret: file(env.PORTAL_TURN_SECRET), turnUris: env.PORTAL_TURN_URIS,
	});
	const server = http.createServer((request, response) => portal.listener(request, response));
	// Loopback only: X-Forwarded-For and -Proto are believed.
	server.listen(Number(env.PORTAL_PORT ?? 8090), '127.0.0.1', () => console.log(`portal: on port ${server.address().port}`));
}
