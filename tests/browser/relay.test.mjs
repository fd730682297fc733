// SPDX-License-Identifier: GPL-2.0-or-later
// Media through coturn with the portal's credentials, and without it; who gets neither.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

import { FIREFOX, changeSession } from '../lib/browser.mjs';
import { Client } from '../lib/sip.mjs';
import { TRUNK_IP } from '../lib/stack.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

// At the trunk's address, as where all is on one machine: clients may not name that, but with ICE.
webTests('browser-relay', { turn: { ip: TRUNK_IP } });

let page; // of the current test

/** Of the TURN servers in the portal's answer the page gets those of one transport. */
const only = (transport) => changeSession(browser.context, (told, wanted) => {
	const servers = told.ice_servers.map((server) => ({ ...server, urls: server.urls.filter((url) => url.endsWith(`transport=${wanted}`)) }));
	return { ...told, ice_servers: servers.filter(({ urls }) => urls.length) };
}, transport);

for (const library of ['jssip', 'sipjs']) {
	for (const transport of ['udp', 'tcp']) {
		test(`${library}: through TURN over ${transport}, and again after a reload`, async () => {
			await only(transport);
			page = await stack.signedIn(browser, library, { query: '?relay' });
			await page.dial('echo');
			await page.up();
			await page.hears();
			assert.deepEqual(await page.route(), { type: 'relay', protocol: transport });
			await page.page.reload();
			await page.up();
			await page.hears();
			assert.deepEqual(await page.route(), { type: 'relay', protocol: transport });
			await stack.echo.last.hangUp();
			await stack.noMedia();
		});
	}

	test(`${library}: without TURN the candidates of the offer are enough`, async () => {
		// It may take the relay although it has another way.
		if (FIREFOX) await only('none');
		page = await stack.signedIn(browser, library);
		await page.dial('echo');
		await page.up();
		await page.hears();
		assert.notEqual((await page.route()).type, 'relay');
		await page.click('hangup');
		await stack.noMedia();
	});
}

/** How many relays coturn gives for what a page was told. */
const relays = (server) => page.page.evaluate(async (iceServers) => {
	const connection = new RTCPeerConnection({ iceServers, iceTransportPolicy: 'relay' });
	let found = 0;
	const done = new Promise((resolve) => {
		connection.onicecandidate = ({ candidate }) => {
			if (candidate?.candidate) found++; // Firefox tells of the end of each generation, too
			if (!candidate) resolve();
		};
	});
	connection.createDataChannel('');
	await connection.setLocalDescription();
	await done;
	connection.close();
	return found;
}, [server]);

test('a wrong secret or an expired name gets no relay', async () => {
	page = await stack.signedIn(browser, 'jssip');
	const session = await page.page.evaluate(async () => (await fetch('/session', {
		method: 'POST', headers: { 'Content-Type': 'application/json' },
	})).json());
	const [server] = session.ice_servers;
	const urls = server.urls.slice(0, 1);
	const shared = fs.readFileSync(path.join(stack.dir, 'turn.secret'), 'utf8').trim();
	const credential = (name, secret) => createHmac('sha1', secret).update(name).digest('base64');
	assert.ok(await relays({ ...server, urls }) > 0);
	assert.ok(await relays({ urls, username: server.username, credential: credential(server.username, shared) }) > 0);
	assert.equal(await relays({ urls, username: server.username, credential: credential(server.username, 'another') }), 0);
	const expired = server.username.replace(/^\d+/, String(Math.floor(Date.now() / 1000) - 60));
	assert.equal(await relays({ urls, username: expired, credential: credential(expired, shared) }), 0);
});

test('who has no token opens no pinhole', async () => {
	const offer = fs.readFileSync(path.join(path.dirname(fileURLToPath(import.meta.url)), 'offer.sdp'), 'utf8').replace(/\r?\n/g, '\r\n');
	const { ip, port } = stack.web;
	for (const [token, expected] of [[undefined, 401], ['x.y.z', 401]]) {
		const client = await Client.open({ transport: 'wss', to: { ip, port, path: '/ws', host: new URL(stack.web.url).host, origin: stack.web.url }, token });
		try {
			const final = await client.outside('INVITE', 'sip:echo@example.org', { body: offer });
			assert.equal(final.status, expected);
			assert.deepEqual(await stack.rtpengine.calls(), []);
		} finally {
			client.close();
		}
	}
});
