// SPDX-License-Identifier: GPL-2.0-or-later
// The secure origin as a browser meets it: nginx in front, in it the portal with its cookie,
// and the WebSocket, on which Kamailio sees nothing but plain connections from loopback.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';

import { Browser, fetchJson } from '../lib/portal.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { FarEnd } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

// With characters that JSON, SQL, Kamailio's script and a shell could trip over.
const PASSWORD = `p\u00e4"ss' or 1=1;-- \\ $var(x) \u{1f511} {}`;
const SECONDS = 60;

let stack, url, ca;
let open = [];
const keep = (x) => (open.push(x), x);
const browser = () => new Browser(url, { ca });

before(async () => {
	const root = fs.mkdtempSync('/tmp/call_resume-web-');
	fs.writeFileSync(path.join(root, 'index.html'), '<!doctype html><title>page</title>');
	fs.writeFileSync(path.join(root, 'app.mjs'), 'export {};');
	open.root = root;
	stack = await Stack.start('portal', {
		tls: true,
		web: { root, values: { SESSION_RATE: '$binary_remote_addr zone=call_resume_session:1m rate=500r/s' } },
	});
	({ web: { url }, certificate: { cert: ca } } = stack);
	stack.portal.add(`alice@${DOMAIN}`, PASSWORD);
});
afterEach(() => open.splice(0).forEach((x) => x.close()));
after(async () => {
	await stack?.stop();
	fs.rmSync(open.root, { recursive: true, force: true });
});

const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
const log = () => stack.kamailio.log();

async function signedIn() {
	const b = browser();
	const answer = await b.signIn('alice', PASSWORD);
	assert.equal(answer.status, 200, answer.text);
	return Object.assign(b, { answer, ...answer.json });
}

describe('signing in', () => {
	test('gives a token, who it is for, where to connect, and a cookie that no script can read', async () => {
		const b = browser();
		const { status, headers, json } = await b.signIn('alice', PASSWORD);
		assert.equal(status, 200);
		assert.deepEqual(Object.keys(json), ['token', 'expires', 'user', 'sid', 'websocket', 'ice_servers']);
		assert.equal(json.user, `sip:alice@${DOMAIN}`);
		assert.equal(json.websocket, `wss://localhost:${stack.web.port}/ws`);
		assert.deepEqual(json.ice_servers, []);
		const { sub, sid, exp } = claims(json.token);
		assert.equal(sub, json.user);
		assert.equal(sid, json.sid);
		assert.ok(Math.abs(exp - json.expires) <= 1);
		assert.equal(headers['content-type'], 'application/json');
		assert.equal(headers['cache-control'], 'no-store');
		assert.match(headers['set-cookie'][0],
			/^call_resume=[0-9a-f-]{72}; HttpOnly; Secure; SameSite=Strict; Path=\/session; Max-Age=604800$/);
	});
});

describe('the WebSocket behind nginx', () => {
	const page = async (token, to = {}) => keep(await FarEnd.open({
		user: 'alice', transport: 'wss', token, to: { ip: stack.web.ip, port: stack.web.port, host: new URL(url).host, path: '/ws', ...to },
	}));

	test('is a secure one: a REGISTER with the token brings the client key', async () => {
		const { token } = await signedIn();
		const ok = await (await page(token)).register();
		assert.equal(ok.status, 200);
		assert.match(ok.get('call-state-key'), /key=[\w-]{43}/);
	});
});
