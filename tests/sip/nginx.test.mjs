// SPDX-License-Identifier: GPL-2.0-or-later
// nginx as it is in front of Kamailio: the page and what keeps it safe, the only way to the
// portal, and the WebSocket, on which Kamailio sees nothing but plain connections from loopback.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { once } from 'node:events';

import { Nginx } from '../lib/nginx.mjs';
import { QUICK, Visitor, assertRefused, fetchJson } from '../lib/portal.mjs';
import { Client, FarEnd } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

let root, stack, url, ca, password;
let open = [];
const keep = (x) => (open.push(x), x);

before(async () => {
	root = runFolder('nginx-root');
	fs.mkdirSync(path.join(root, 'bundle'));
	fs.writeFileSync(path.join(root, 'index.html'), '<!doctype html><title>page</title>');
	fs.writeFileSync(path.join(root, 'app.mjs'), 'export {};');
	fs.writeFileSync(path.join(root, 'bundle/all.mjs'), 'export {};');
	stack = await Stack.start('nginx', {
		tls: true, web: { root, bundle: path.join(root, 'bundle'), values: QUICK }, defines: { WITH_SLOW_DOWN: true, SLOW_DOWN_AFTER: 3 },
	});
	({ web: { url }, certificate: { cert: ca } } = stack);
	password = stack.portal.add(`alice@${DOMAIN}`);
});
afterEach(async () => {
	open.splice(0).forEach((x) => x.close());
	await stack.dropMedia();
});
after(() => stack?.stop());

const browser = (origin = url) => new Visitor(origin, { ca });
const signedIn = (b = browser()) => b.signedIn('alice', password);

describe('the page', () => {
	test('serves the page with what keeps it safe', async () => {
		const page = await fetchJson(url, { ca });
		assert.equal(page.status, 200);
		assert.match(page.text, /<title>page/);
		assert.equal(page.headers['strict-transport-security'], 'max-age=31536000');
		assert.match(page.headers['content-security-policy'], /default-src 'none'; script-src 'self';.*connect-src 'self';.*frame-ancestors 'none'/);
		assert.doesNotMatch(page.headers['content-security-policy'], /unsafe/);
		assert.equal(page.headers['x-content-type-options'], 'nosniff');
		assert.equal(page.headers['cross-origin-opener-policy'], 'same-origin');
		assert.equal(page.headers.server, 'nginx');
		for (const script of ['/app.mjs', '/bundle/all.mjs']) {
			const { status, headers } = await fetchJson(url + script, { ca });
			assert.equal(status, 200, script);
			assert.equal(headers['content-type'], 'text/javascript');
		}
		for (const hidden of ['/package.json', '/node_modules/x/y.js', '/.git/config', '/bundle/.x']) {
			fs.mkdirSync(path.dirname(root + hidden), { recursive: true });
			fs.writeFileSync(root + hidden, 'x');
			assert.equal((await fetchJson(url + hidden, { ca })).status, 404, hidden);
		}
		const none = await fetchJson(`${url}/none`, { ca });
		assert.equal(none.status, 404);
		assert.match(none.headers['content-security-policy'], /default-src 'none'/, 'on errors too');
	});

	test('answers of the portal have them too, and nothing of Kamailio', async () => {
		const { headers } = await browser().renew();
		assert.match(headers['content-security-policy'], /default-src 'none'/);
		assert.deepEqual(Object.keys(headers).filter((h) => /sia|via|retry-after/.test(h)), []);
	});

	test('sends who comes without TLS to where there is TLS', async () => {
		const answer = await (await fetch(`http://127.0.0.1:${stack.web.http}/session?x`, { redirect: 'manual', method: 'POST' }));
		assert.equal(answer.status, 308);
		assert.equal(answer.headers.get('location'), 'https://127.0.0.1/session?x');
	});

	for (const [version, good] of [['TLSv1.1', false], ['TLSv1.2', true], ['TLSv1.3', true]]) {
		test(`${version} is ${good ? 'spoken' : 'refused'}`, async () => {
			const socket = keep(tls.connect({
				host: '127.0.0.1', port: stack.web.port, ca: fs.readFileSync(ca), servername: 'localhost', minVersion: version, maxVersion: version,
				ciphers: 'DEFAULT@SECLEVEL=0',
			}));
			socket.close = socket.destroy;
			const happened = await Promise.race([once(socket, 'secureConnect').then(() => true), once(socket, 'error').then(() => false)]).catch(() => false);
			assert.equal(happened, good);
		});
	}

	test('is the only way to the portal', async () => {
		const { ip, ws, wss } = stack.kamailio;
		const body = JSON.stringify({ user: 'alice', password });
		const ask = (port, headers, from = '127.0.0.1') => new Promise((resolve, reject) => {
			const socket = net.connect({ host: ip, port, localAddress: from });
			socket.on('error', reject);
			socket.once('data', (d) => {
				socket.destroy();
				resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(d)[1]));
			});
			socket.write(['POST /session HTTP/1.1', 'Host: localhost', 'Content-Type: application/json',
				`Content-Length: ${Buffer.byteLength(body)}`, ...headers, '', body].join('\r\n'));
		});
		assert.equal(await ask(ws, []), 403, 'who says nothing of TLS');
		assert.equal(await ask(ws, ['X-Forwarded-Proto: http']), 403);
		assert.equal(await ask(ws, ['X-Forwarded-Proto: https']), 200, 'the proxy');
		assert.equal(await ask(ws, ['X-Forwarded-Proto: https'], '127.0.0.9'), 403, 'who is not the proxy');
		assert.equal(await ask(stack.kamailio.port, ['X-Forwarded-Proto: https']), 403, 'on the port of SIP');
		// Kamailio's own TLS is as good.
		const direct = `https://localhost:${wss}`;
		const b = browser(direct);
		const answer = await b.signIn('alice', password, { headers: { 'x-forwarded-for': '192.0.2.7' } });
		assert.equal(answer.status, 200, answer.text);
		assert.equal(answer.json.websocket, `wss://localhost:${wss}/ws`);
		assert.deepEqual(stack.kamailio.logged(/from 192\.0\.2\.7/), [], 'only the proxy says whom it speaks for');
		// Nothing listens for it anywhere else.
		await assert.rejects(once(net.connect({ host: '127.0.0.8', port: ws }), 'connect'), /ECONNREFUSED/);
	});

	test('a Host that is none does not get into the answer', async () => {
		const answer = await fetchJson(`${url}/session`, { method: 'POST', ca, servername: 'localhost', headers: { host: 'a"b', 'content-type': 'application/json' }, body: '{}' });
		assert.equal(answer.status, 400);
	});
});

describe('the WebSocket behind nginx', () => {
	const to = (more) => ({ ip: stack.web.ip, port: stack.web.port, host: new URL(url).host, path: '/ws', ...more });
	const page = async (token, more) => keep(await FarEnd.open({ user: 'alice', transport: 'wss', token, to: to(more) }));

	test('is a secure one: a REGISTER with the token brings the client key', async () => {
		const { token, expires } = await signedIn();
		const ok = await (await page(token)).register();
		assert.equal(ok.status, 200);
		const [, key, exp] = /key=([\w-]{43});exp=(\d+)/.exec(ok.get('call-state-key'));
		assert.ok(Math.abs(exp - expires) <= 1);
		const again = await (await page(token)).register();
		assert.ok(again.get('call-state-key').includes(key));
	});

	test('a call is lost with its page and resumed by the next, which has the cookie alone', async () => {
		const bob = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } }));
		const b = await signedIn();
		const one = await page(b.token);
		assert.equal((await one.register()).status, 200);
		const first = await one.call();
		assert.equal(first.final.status, 200);
		one.close();

		const { json: { token } } = await b.renew();
		const two = await page(token);
		assert.equal((await two.register()).status, 200);
		const second = await two.call({ state: first.state });
		assert.equal(second.final.status, 200);
		await bob.take('the ACK', (m) => m.method === 'ACK' && m.cseq > 100 && m.callId === first.callId);
		assert.equal((await bob.dialog(first.callId).request('BYE')).status, 200);
		await two.take('the BYE', (m) => m.method === 'BYE' && m.callId === second.callId);
		await stack.noMedia();
	});

	test('is for pages of its own host, and only there', async () => {
		const { token } = await signedIn();
		for (const origin of ['file://', 'https://localhost.example', 'https://example', 'null', 'ftp://localhost']) {
			await assert.rejects(page(token, { origin }), /HTTP\/1\.1 403/, origin);
		}
		for (const origin of ['https://localhost', 'http://localhost:1']) await page(token, { origin });
		await assert.rejects(page(token, { path: '/other' }), /HTTP\/1\.1 404/);
		await assert.rejects(page(token, { path: '/session' }), /HTTP\/1\.1 405/);
	});

	test('who forges states waits, and nobody else who comes through nginx', async () => {
		const { token } = await signedIn();
		const forge = async (ip, state) => {
			const client = keep(await Client.open({ transport: 'wss', token, ip, to: to() }));
			return (await client.call({ state })).final.status;
		};
		const tried = [];
		for (let i = 0; i < 5; i++) tried.push(await forge('127.0.3.3', 'forged'));
		assert.deepEqual(tried, [400, 400, 400, 503, 503]);
		assert.equal(await forge('127.0.3.4', 'forged'), 400);
	});

	test('plain WebSocket and SIP from elsewhere stay insecure', async () => {
		const { token } = await signedIn();
		const { ip, ws, port } = stack.kamailio;
		for (const [transport, from, where, status] of [
			['ws', '127.0.0.1', ws, 200], ['ws', '127.0.0.9', ws, 403], ['udp', '127.0.0.1', port, 403], ['tcp', '127.0.0.1', port, 403],
		]) {
			const client = keep(await Client.open({ transport, ip: from, token, to: { ip, port: where } }));
			const answer = await client.register();
			assert.equal(answer.status, status, `${transport} from ${from}`);
			assert.equal(Boolean(answer.get('call-state-key')), status === 200);
			if (status === 403) assert.match(answer.start, /Secure Transport Required/);
		}
	});

	test('whom the web server speaks for is remembered of its own connections alone, and of handshakes alone', async () => {
		await stack.kamailio.kamcmd('htable.flush', 'clients');
		const none = async (port, from, fields = '') => {
			const socket = keep(tls.connect({ host: '127.0.0.1', port, localAddress: from, rejectUnauthorized: false }));
			socket.close = socket.destroy;
			await once(socket, 'secureConnect');
			socket.write(`GET /ws HTTP/1.1\r\nHost: ${new URL(url).host}\r\nUpgrade: websocket\r\nConnection: upgrade\r\n${fields}\r\n`);
			return Number(/^HTTP\/1\.1 (\d+)/.exec((await once(socket, 'data'))[0])[1]);
		};
		const whole = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n';
		const remembered = async () => [...(await stack.kamailio.kamcmd('htable.dump', 'clients')).matchAll(/value: (.*)/g)].map(([, client]) => client.trim());
		assert.equal(await none(stack.web.port, '127.0.3.5'), 400);
		assert.equal(await none(stack.kamailio.wss, '127.0.3.6'), 426);
		assert.equal(await none(stack.kamailio.wss, '127.0.3.6', 'Sec-WebSocket-Version: 13\r\n'), 400);
		assert.equal(await none(stack.kamailio.wss, '127.0.3.6', whole), 101);
		assert.equal(await none(stack.web.port, '127.0.3.7', whole), 101);
		assert.deepEqual(await remembered(), ['127.0.3.7']);
	});

	test("Kamailio's own secure WebSocket does as well", async () => {
		const { token } = await signedIn();
		const client = keep(await Client.open({
			transport: 'wss', token, to: { ip: stack.kamailio.ip, port: stack.kamailio.wss, path: '/ws' },
		}));
		assert.ok((await client.register()).get('call-state-key'));
	});
});

describe('as it comes', () => {
	let plain;
	before(async () => {
		plain = await Stack.start('nginx-plain', { web: { root } });
	});
	after(() => plain?.stop());

	test('no TURN server, no store; floods are stopped in nginx', async () => {
		const b = new Visitor(plain.web.url, { ca: plain.certificate.cert });
		const { json } = await b.signIn('alice', plain.portal.add(`alice@${DOMAIN}`));
		assert.deepEqual(json.ice_servers, []);
		assert.equal((await b.session('GET', { path: '/session/calls', headers: { authorization: `Bearer ${json.token}` } })).status, 404);

		const all = await Promise.all(Array.from({ length: 200 }, () => b.renew()));
		const slow = all.filter((a) => a.status === 429);
		assert.ok(slow.length >= 5, `${slow.length} of 200 refused`);
		assert.ok(all.filter((a) => a.status === 200).length >= 100);
		assertRefused(slow[0], 429, /Too many requests/);
		assert.equal(slow[0].headers['retry-after'], '2');
		assert.match(slow[0].headers['content-security-policy'], /default-src/);
	});

	for (const [what, localAddress, fields] of [
		['that are none', '127.0.0.1', ''],
		['with an empty key in front of the real one', '127.0.0.68', 'Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Key: \r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'],
	]) {
		test(`a thousand handshakes ${what} on one connection: not a line, and an end`, async () => {
			const at = plain.kamailio.log().length;
			const socket = keep(tls.connect({ host: '127.0.0.1', port: plain.web.port, localAddress, rejectUnauthorized: false }));
			socket.close = socket.destroy;
			await once(socket, 'secureConnect');
			const seen = {};
			socket.on('data', (data) => { for (const [, status] of data.toString('latin1').matchAll(/HTTP\/1\.1 (\d+)/g)) seen[status] = (seen[status] ?? 0) + 1; });
			const host = new URL(plain.web.url).host;
			for (let i = 0; i < 1000; i++) socket.write(`GET /ws HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: upgrade\r\n${fields}\r\n`);
			await until('the answers', () => Object.values(seen).reduce((a, b) => a + b, 0) >= 990, { timeout_ms: 20000 });
			assert.ok(seen[429] > 50 && seen[400] >= 300, JSON.stringify(seen));
			assert.deepEqual(plain.kamailio.logged(/./, at), []);
		});
	}

	test('over HTTP/2 a handshake is none: no answer of one, and not a line', async () => {
		const short = (text) => Buffer.from([text.length, ...Buffer.from(text)]);
		const literal = ([name, value]) => Buffer.concat([Buffer.of(0), short(name), short(value)]); // RFC 7541 section 6.2.2
		const frame = (type, flags, stream, payload) => Buffer.concat([Buffer.of(0, payload.length >> 8, payload.length & 255, type, flags, 0, 0, 0, stream), payload]);
		const [SETTINGS, HEADERS, END] = [4, 1, 5];
		const whole = Object.entries({
			':method': 'GET', ':path': '/ws', ':scheme': 'https', ':authority': new URL(plain.web.url).host, upgrade: 'websocket', connection: 'upgrade',
			'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13', 'sec-websocket-protocol': 'sip',
		});
		// An address of its own: 127.0.0.1 may still be over its rate.
		const socket = keep(tls.connect({ host: '127.0.0.1', port: plain.web.port, localAddress: '127.0.0.67', rejectUnauthorized: false, ALPNProtocols: ['h2'] }));
		socket.close = socket.destroy;
		await once(socket, 'secureConnect');
		let got = Buffer.alloc(0);
		socket.on('data', (data) => { got = Buffer.concat([got, data]); });
		socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, 0, 0, Buffer.alloc(0)), frame(HEADERS, END, 1, Buffer.concat(whole.map(literal)))]));
		/** What a frame of HEADERS begins with: the status. */
		const status = () => {
			for (let at = 0; at + 9 < got.length; at += 9 + got.readUIntBE(at, 3)) if (got[at + 3] === HEADERS) return got.subarray(at + 9, at + 14);
			return undefined;
		};
		const NOT_FOUND = 0x8d; // RFC 7541, appendix A
		assert.equal((await until('an answer', status))[0], NOT_FOUND, status().toString('latin1'));
		assert.doesNotMatch(plain.web.proc.output(), /\[(alert|crit|emerg)\]/);
	});

	test('bodies that come a byte at a time: so many of one address, and no more', async () => {
		const seen = {};
		const slow = Array.from({ length: 150 }, () => {
			const s = keep(tls.connect({ host: '127.0.0.1', port: plain.web.port, localAddress: '127.0.0.66', rejectUnauthorized: false }));
			s.close = s.destroy;
			s.on('error', () => {});
			s.once('data', (data) => {
				const [, status] = /^HTTP\/1\.1 (\d+)/.exec(data.toString('latin1'));
				seen[status] = (seen[status] ?? 0) + 1;
				s.answered = true;
			});
			s.once('secureConnect', () => {
				s.begun = s.write('PUT /session/calls/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16000\r\n\r\nx');
			});
			return s;
		});
		const drip = setInterval(() => slow.forEach((s) => s.begun && !s.destroyed && !s.answered && s.write(' ')), 500);
		try {
			await until('those that are too many to be refused', () => seen[429] >= 50);
			assert.deepEqual(seen, { 429: 50 });
			assert.equal((await new Visitor(plain.web.url, { ca: plain.certificate.cert }).renew()).status, 401, 'others are answered');
		} finally {
			clearInterval(drip);
		}
		// Nothing comes any more.
		const from = performance.now();
		await until('the rest to be closed', () => slow.every((s) => s.destroyed));
		assert.ok(performance.now() - from < 9000);
		assert.equal((await new Visitor(plain.web.url, { ca: plain.certificate.cert }).session('POST', { body: 'x'.repeat(5000) })).status, 413);
	});

	test('all requests of an address together have a bound', async () => {
		const few = await Nginx.start(plain.dir, {
			name: 'nginx-few', kamailio: `${plain.kamailio.ip}:${plain.kamailio.ws}`, certificate: plain.certificate, root,
			values: { REQUESTS_MAX: 'call_resume_all 3', REQUESTS_MAX_WS: 'call_resume_all 3', REQUESTS_MAX_SESSION: 'call_resume_all 3', REQUESTS_MAX_CALLS: 'call_resume_all 3' },
		});
		try {
			const sockets = [];
			const answers = [];
			for (let i = 0; i < 3; i++) {
				const party = keep(await Client.open({ transport: 'wss', to: { ip: few.ip, port: few.port, host: new URL(few.url).host, path: '/ws' } }));
				sockets.push(party);
			}
			for (const path of ['/index.html', '/ws', '/session', '/session/calls']) {
				answers.push((await fetchJson(few.url + path, { method: path.includes('session') ? 'POST' : 'GET', ca: plain.certificate.cert })).status);
			}
			assert.deepEqual(answers, [429, 429, 429, 429]);
			sockets.forEach((s) => s.close());
			await until('room to be there again', async () => (await fetchJson(`${few.url}/index.html`, { ca: plain.certificate.cert })).status === 200);
		} finally {
			await few.stop();
		}
	});

	test('of several gateways none is left out because somebody has asked for what Kamailio does not answer', async () => {
		const one = `${plain.kamailio.ip}:${plain.kamailio.ws}`;
		const both = await Nginx.start(plain.dir, { name: 'nginx-both', kamailio: [one, one], certificate: plain.certificate, root });
		try {
			for (const path of ['/ws', '/session']) {
				const socket = keep(tls.connect({ host: '127.0.0.1', port: both.port, rejectUnauthorized: false }));
				socket.close = socket.destroy;
				socket.write(`ACK ${path} HTTP/1.1\r\nHost: ${new URL(both.url).host}\r\n\r\n`);
				assert.match((await once(socket, 'data'))[0].toString(), /^HTTP\/1\.1 503/);
				keep(await Client.open({ transport: 'wss', to: { ip: both.ip, port: both.port, host: new URL(both.url).host, path: '/ws' } }));
				assert.equal((await new Visitor(both.url, { ca: plain.certificate.cert }).renew()).status, 401);
			}
		} finally {
			await both.stop();
		}
	});

	test('without Kamailio there is the page, and a clear answer from the rest', async () => {
		await plain.kamailio.stop();
		const b = new Visitor(plain.web.url, { ca: plain.certificate.cert });
		assertRefused(await until('room in the rate limit', async () => {
			const answer = await b.renew();
			return answer.status !== 429 && answer;
		}, { every_ms: 200 }), 503, /gateway does not answer/);
		assert.equal((await fetchJson(plain.web.url, { ca: plain.certificate.cert })).status, 200);
	});
});
