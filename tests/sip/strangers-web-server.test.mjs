// SPDX-License-Identifier: GPL-2.0-or-later
// Pages with a SIP password and no portal, behind a web server that ends TLS: whoever guesses there is counted by the address
// that the web server names, and shuts out nobody else.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { makeCertificate } from '../lib/kamailio.mjs';
import { Nginx } from '../lib/nginx.mjs';
import { Phone } from '../lib/phone.mjs';
import { Portal } from '../lib/portal.mjs';
import { Client } from '../lib/sip.mjs';
import { DOMAIN, Stack, runFolder } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const [MAX, ADDRESS_MAX, STRANGERS_MAX] = [5, 8, 60];

let stack, web;
const passwords = {};
const open = [];
before(async () => {
	const users = Portal.create(runFolder('strangers-web-server-users'));
	for (const user of ['alice', 'bob']) passwords[user] = users.add(`${user}@${DOMAIN}`);
	stack = await Stack.start('strangers-web-server', {
		defines: {
			WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${users.file}"`, RESUME_TRUSTED_PROXY: '"127.0.0.1"', RESUME_ALLOW_INSECURE: 0,
			PORTAL_FAILURES_MAX: MAX, PORTAL_ADDRESS_FAILURES_MAX: ADDRESS_MAX, STRANGERS_MAX,
		},
	});
	const { dir, kamailio: { ip, ws } } = stack;
	web = await Nginx.start(dir, { kamailio: `${ip}:${ws}`, certificate: makeCertificate(dir, ['127.0.0.1']) });
});
afterEach(() => open.splice(0).forEach((p) => p.close()));
after(async () => {
	await web?.stop();
	await stack?.stop();
});

/** Each test has addresses of its own. */
let host = 10;
const elsewhere = () => `127.0.5.${host++}`;

async function page(ip, options, Party = Phone) {
	const self = await Party.open({ ip, transport: 'wss', to: { ip: '127.0.0.1', port: web.port, host: 'localhost', path: '/ws', origin: 'https://localhost' }, ...options });
	open.push(self);
	return self;
}
const register = async (ip, user, password = passwords[user]) => (await (await page(ip, { user, password })).register()).status;

test('who guesses the password of a user does not shut that user out elsewhere', async () => {
	const there = elsewhere();
	for (let i = 0; i < MAX; i++) assert.equal(await register(there, 'alice', `guess ${i}`), 401);
	assert.equal(await register(there, 'alice'), 503);
	assert.equal(await register(there, 'bob'), 200);
	assert.equal(await register(elsewhere(), 'alice'), 200);
});

test('nor does who guesses those of many users shut out everybody', async () => {
	const there = elsewhere();
	for (let i = 0; i < ADDRESS_MAX; i++) assert.equal(await register(there, `user${i}`, 'guess'), 401);
	assert.equal(await register(there, 'bob'), 503);
	assert.equal(await register(elsewhere(), 'bob'), 200);
});

test('who asks without end is counted by that address too', async () => {
	const there = elsewhere();
	const one = await page(there, { user: 'mallory' }, Client);
	const ask = (party) => party.outside('OPTIONS', `sip:${DOMAIN}`);
	for (let i = 0; i < STRANGERS_MAX; i++) assert.equal((await ask(one)).status, 407);
	one.send(`OPTIONS sip:${DOMAIN} SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK9\r\nFrom: <sip:m@x>;tag=1\r\nTo: <sip:${DOMAIN}>\r\nCall-ID: last\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\n\r\n`);
	await until('a line about it', () => stack.kamailio.log().includes(`strangers: ${there} by connections ask too often`));
	assert.equal((await ask(await page(elsewhere(), { user: 'mallory' }, Client))).status, 407);
});
