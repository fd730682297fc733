// SPDX-License-Identifier: GPL-2.0-or-later
// Whoever calls says where his media go, and rtpengine sends there what he says, from within: not to the machine itself,
// its control port above all (MEDIA_DENIED).

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { DATAGRAM_MAX, ROOT } from '../lib/kamailio.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { Endpoint, FarEnd, sdp } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const DENIED_IP = '127.0.0.99';
const withCandidate = (body) => `${body}a=candidate:1 1 udp 1 ${DENIED_IP} 9 typ host\r\n`;

let stack, far;
let open = [];
const keep = (s) => (open.push(s), s);
const gateway = () => ({ ip: stack.kamailio.ip, port: stack.kamailio.port });
const party = async (user, options) => keep(await FarEnd.open({
	user, token: await stack.kamailio.token(`sip:${user}@${DOMAIN}`, `s-${user}`), to: gateway(), ...options,
}));

describe('a network that is denied', () => {
	before(async () => { stack = await Stack.start('strangers-addresses', { defines: { MEDIA_DENIED: `"${DENIED_IP}/32 ${TRUNK_IP} 2001:db8::/32"` } }); });
	afterEach(async () => {
		open.splice(0).forEach((s) => s.close());
		await stack.dropMedia();
	});
	after(() => stack?.stop());

	for (const [what, body] of Object.entries({
		'a connection line': sdp(DENIED_IP, 4000), 'one of IPv6': sdp('127.0.0.1', 4000).replace('IN IP4 127.0.0.1\r\nt=', 'IN IP6 2001:db8::1\r\nt='),
		'a candidate': withCandidate(sdp('127.0.0.1', 4000)), 'a place for RTCP': `${sdp('127.0.0.1', 4000)}a=rtcp:9 IN IP4 ${DENIED_IP}\r\n`,
	})) {
		test(`${what} in a new call: 488, and rtpengine is not asked`, async () => {
			far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
			const alice = await party('alice');
			assert.equal((await alice.call({ service: '100', body })).final.status, 488);
			assert.deepEqual(far.requests, []);
			await stack.noMedia();
		});
	}

	test('in a call that is up: 488 for a re-INVITE, an UPDATE, a PRACK, and the call is as it was', async () => {
		const audio = keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, media: audio.port, to: gateway() }));
		const mine = keep(await Rtp.open());
		const alice = await party('alice', { media: mine.port });
		const call = await alice.call({ service: '100' });
		await far.take('the ACK', (m) => m.method === 'ACK');
		const spy = keep(await Rtp.open({ ip: DENIED_IP }));
		const body = sdp(DENIED_IP, spy.port, 5);
		for (const method of ['INVITE', 'UPDATE', 'PRACK']) {
			assert.equal((await call.request(method, { body })).status, 488);
			if (method === 'INVITE') call.ack({ via: call.branch });
		}
		call.ack({ body });
		await stack.talk({ audio: mine }, call.final.body, call.callId);
		assert.equal(spy.received, 0);
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('in the answer of a client that is called: the caller gets no answer to his offer, and nobody media', async () => {
		const spy = keep(await Rtp.open({ ip: DENIED_IP }));
		const bob = await party('bob', { answer: (m) => {
			if (m.method !== 'INVITE') return true;
			bob.ip = DENIED_IP;
			bob.media = spy.port;
			bob.accept(m);
			bob.ip = '127.0.0.1';
			return false;
		} });
		assert.equal((await bob.register()).status, 200);
		const audio = keep(await Rtp.open({ ip: TRUNK_IP }));
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, media: audio.port, to: gateway() }));
		const call = await far.call({ service: 'bob', to: `sip:bob@${DOMAIN}` });
		assert.equal(call.final.status, 200);
		assert.equal(call.final.body, '');
		const offered = bob.requests.find((m) => m.method === 'INVITE').body;
		assert.match(offered, /m=audio/);
		assert.equal((await call.request('BYE')).status, 200);
		assert.equal(spy.received, 0);
	});

	test('the address that a phone behind NAT sends from, which over UDP may be forged: nothing is sent there', async () => {
		const audio = keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, media: audio.port, to: gateway() }));
		const call = await (await party('alice')).call({ service: '100' });
		assert.equal(call.final.status, 200);
		const spy = keep(await Rtp.open({ ip: DENIED_IP }));
		const forged = keep(await Endpoint.open({ ip: DENIED_IP, to: gateway() }));
		forged.send(call.text('INVITE', { body: sdp('192.168.9.9', spy.port, 3) }));
		const { body } = await far.take('the re-INVITE', (m) => m.method === 'INVITE' && m.cseq > 1 && /\bm=audio/.test(m.body));
		const { tags } = await stack.rtpengine.ask({ command: 'query', 'call-id': call.callId });
		assert.deepEqual(Object.values(tags).map((t) => t.medias[0].streams[0].endpoint.address).sort(), [TRUNK_IP, '192.168.9.9']);
		// What the far end says to the last place goes to nobody there.
		audio.send(Number(/m=audio (\d+)/.exec(body)[1]), stack.rtpengine.ip);
		await until('it to be sent', async () => Object.values(await stack.rtpengine.packets(call.callId)).some((n) => n > 5));
		assert.equal(spy.received, 0);
	});

	test('in candidates of a browser they are taken out, and the rest goes on', async () => {
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
		const alice = await party('alice');
		const body = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', `c=IN IP4 ${DENIED_IP}`, 't=0 0', 'm=audio 9 UDP/TLS/RTP/SAVPF 8', 'a=rtpmap:8 PCMA/8000',
			'a=ice-ufrag:abcd', 'a=ice-pwd:0123456789abcdefghijkl', `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`, 'a=setup:actpass', 'a=rtcp-mux',
			`a=candidate:1 1 udp 2113937151 ${DENIED_IP} 4000 typ host`, 'a=candidate:2 1 udp 2113937150 127.0.0.1 4000 typ host', ''].join('\r\n');
		const call = await alice.call({ service: '100', body });
		assert.equal(call.final.status, 200);
		const asked = JSON.stringify(await stack.rtpengine.ask({ command: 'query', 'call-id': call.callId }));
		assert.doesNotMatch(asked, /127\.0\.0\.99/);
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('more streams than a call has, and what is no description: 488', async () => {
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
		const alice = await party('alice');
		const line = 'm=audio 4000 RTP/AVP 8\r\n';
		for (const body of [sdp('127.0.0.1', 4000) + line.repeat(8), sdp('127.0.0.1', 4000).replace('4000 RTP', '4000/100 RTP'),
			sdp('127.0.0.1', 4000).replace('IN IP4 127.0.0.1\r\nt=', 'IN IP4 127.0.0.1\0:\r\nt='), `${sdp('127.0.0.1', 4000)}a=ice-ufrag:a d7:command4:liste\r\n`]) {
			assert.equal((await alice.call({ service: '100', body })).final.status, 488, body);
		}
		assert.deepEqual(far.requests, []);
		await stack.noMedia();
	});

	test('a text that looks like one gets to whom it is for; what is called one, or is in several parts, is judged', async () => {
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
		const alice = await party('alice');
		const call = await alice.call({ service: '100' });
		assert.equal(call.final.status, 200);
		const texts = ['c=3', 'm=two', 'v=0\r\nc=IN IP4 x', 'with a NUL \0 in it'];
		for (const body of texts) {
			for (const type of ['Content-Type: text/plain;charset=UTF-8', 'c: text/plain']) {
				assert.equal((await alice.outside('MESSAGE', `sip:100@${DOMAIN}`, { headers: [type], body })).status, 200, body);
				assert.equal((await call.request('INFO', { headers: [type], body })).status, 200, body);
				for (const m of far.requests.filter(({ method }) => method !== 'ACK').slice(-2)) assert.equal(m.body, body);
			}
		}
		for (const type of [['application/sdp'], ['Application / SDP;x=y'], ['multipart/mixed;boundary=x'], ['text/plain', 'application/sdp']]) {
			const seen = far.requests.length;
			const headers = type.map((t) => `Content-Type: ${t}`);
			assert.equal((await alice.outside('MESSAGE', `sip:100@${DOMAIN}`, { headers, body: sdp(DENIED_IP, 4000) })).status, type.length > 1 ? 415 : 488, type);
			assert.equal(far.requests.length, seen);
		}
		assert.equal((await alice.call({ service: '100', headers: ['Content-Type: text/plain'], body: sdp(DENIED_IP, 4000) })).final.status, 415, 'an INVITE has a description, whatever it is called');
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('what rtpengine does not take goes to nobody', async () => {
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
		const alice = await party('alice');
		const strange = `${sdp('127.0.0.1', 4000)}y=1\r\n`;
		const refused = await alice.call({ service: '100', body: strange });
		assert.equal(refused.final.status, 503, refused.final.start);
		assert.match(refused.final.get('retry-after'), /^[1-9]$/);
		assert.deepEqual(far.requests, []);
		const good = await alice.call({ service: '100' });
		assert.equal(good.final.status, 200);
		assert.equal((await good.request('INVITE', { body: strange })).status, 503);
		good.ack({ via: good.branch });
		assert.equal((await good.request('INFO')).status, 200);
		// And in an answer.
		far.answer = (m) => m.method !== 'INVITE' || (far.reply(m, 200, 'OK', { body: strange, contact: true, copy: true }), false);
		const call = await alice.call({ service: '100' });
		assert.equal(call.final.status, 200);
		assert.equal(call.final.body, '');
	});

	test('of the trunk over TCP it is its own business', async () => {
		const bob = await party('bob');
		assert.equal((await bob.register()).status, 200);
		far = keep(await FarEnd.open({ ip: TRUNK_IP, transport: 'tcp', to: gateway() }));
		const call = await far.call({ service: 'bob', to: `sip:bob@${DOMAIN}`, body: sdp(DENIED_IP, 4000) });
		assert.equal(call.final.status, 200);
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('with the address of the trunk over UDP, which anybody can write: that address, and no other that is denied', async () => {
		const bob = await party('bob');
		assert.equal((await bob.register()).status, 200);
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
		const names = { service: 'bob', to: `sip:bob@${DOMAIN}` };
		for (const body of [sdp(DENIED_IP, 4000), sdp(TRUNK_IP, 4000).replace('m=', `m=audio 4000 RTP/AVP 8\r\nc=IN IP4 ${DENIED_IP}\r\nm=`)]) {
			assert.equal((await far.call({ ...names, body })).final.status, 488);
		}
		assert.ok(!bob.requests.some((m) => m.method === 'INVITE'));
		await stack.noMedia();
		const call = await far.call({ ...names, body: sdp(TRUNK_IP, 4000) });
		assert.equal(call.final.status, 200);
		assert.equal((await call.request('INVITE', { body: sdp(DENIED_IP, 4000) })).status, 488);
		call.ack({ via: call.branch });
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('in an answer with the address of the trunk over UDP: the caller gets none', async () => {
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
		const alice = await party('alice');
		for (const [ip, body] of [[DENIED_IP, /^$/], [TRUNK_IP, /m=audio/]]) {
			far.ip = ip; // in its descriptions
			const call = await alice.call({ service: '100' });
			assert.equal(call.final.status, 200);
			assert.match(call.final.body, body);
		}
	});
});

test('the trunk\'s own, where a client would speak SIP to it as the gateway does, by what he sends as media: 488 for a client, in an answer too', async () => {
	stack = await Stack.start('strangers-addresses-trunk', { defines: { MEDIA_DENIED: '"127.0.0.98"' } });
	try {
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
		const alice = await party('alice');
		const fax = ['v=0', `o=- 1 1 IN IP4 ${TRUNK_IP}`, 's=-', `c=IN IP4 ${TRUNK_IP}`, 't=0 0', `m=image ${stack.trunkPort} udptl t38`, ''].join('\r\n');
		for (const body of [sdp(TRUNK_IP, stack.trunkPort), fax, sdp(TRUNK_IP, 40000)]) assert.equal((await alice.call({ service: '100', body })).final.status, 488);
		// A page, by a web server on the trunk's machine.
		const page = await party('mallory', { ip: TRUNK_IP, transport: 'ws', to: { ip: stack.kamailio.ip, port: stack.kamailio.ws } });
		assert.equal((await page.call({ service: '100', body: sdp(TRUNK_IP, stack.trunkPort) })).final.status, 488);
		assert.deepEqual(far.requests, []);
		const bob = await party('bob', { answer: (m) => {
			if (m.method === 'INVITE') bob.ip = TRUNK_IP;
			return true;
		} });
		assert.equal((await bob.register()).status, 200);
		const call = await alice.call({ service: 'bob' });
		assert.equal(call.final.status, 200);
		assert.equal(call.final.body, '');
		assert.equal((await call.request('BYE')).status, 200);
		// Its own media are there.
		assert.equal((await alice.register()).status, 200);
		const theirs = await far.call({ service: 'alice', to: `sip:alice@${DOMAIN}` });
		assert.equal(theirs.final.status, 200);
		assert.match(theirs.final.body, /^m=audio [1-9]/m);
		assert.equal((await theirs.request('BYE')).status, 200);
	} finally {
		open.splice(0).forEach((s) => s.close());
		await stack.stop();
	}
});

describe('the trunk\'s own, with ICE, of who is no browser', () => {
	const ICE = ['a=ice-ufrag:abcd', 'a=ice-pwd:abcdefghijklmnopqrstuv'];
	const audio = ['m=audio 4000 UDP/TLS/RTP/SAVPF 8', 'c=IN IP4 127.0.0.1', 'a=rtcp-mux', ...ICE, 'a=candidate:1 1 udp 1 127.0.0.1 4000 typ host', 'a=setup:actpass', `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`];
	const data = (ip, port) => [`m=application ${port} UDP/DTLS/SCTP webrtc-datachannel`, `c=IN IP4 ${ip}`, 'a=sctp-port:5000'];
	const describing = (...lines) => ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 't=0 0', ...lines.flat(), ''].join('\r\n');
	const ports = (body) => [...body.matchAll(/^m=application (\d+)/mg)].map((m) => Number(m[1]));
	before(async () => { stack = await Stack.start('strangers-addresses-ice', { defines: { MEDIA_DENIED: '"127.0.0.98"' } }); });
	afterEach(async () => {
		open.splice(0).forEach((s) => s.close());
		await stack.dropMedia();
	});
	after(() => stack?.stop());

	for (const [what, before, more] of [
		['beside a stream that has it', audio, []], ['in the stream itself', [], [...ICE, 'a=candidate:1 1 udp 1 TRUNK typ host']], ['by its name alone', [], ['a=ice-ufrag:x']],
		['beside one that is switched off', ['m=audio 0 UDP/TLS/RTP/SAVPF 8', 'c=IN IP4 127.0.0.1', ...ICE], []],
	]) {
		for (const side of ['offer', 'answer']) {
			test(`${what}: nothing gets there in a stream for data (${side})`, async () => {
				far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
				const [near, mine] = [keep(await Endpoint.open()), keep(await Endpoint.open())];
				const bad = describing(before, [...data(TRUNK_IP, stack.trunkPort), ...more].map((l) => l.replace('TRUNK', `${TRUNK_IP} ${stack.trunkPort}`)), data('127.0.0.1', near.port));
				const good = describing(before.length ? ['m=audio 4100 RTP/AVP 8', 'c=IN IP4 127.0.0.1'] : [], data('127.0.0.1', mine.port), data('127.0.0.1', mine.port));
				const alice = await party('alice');
				const bob = await party('bob');
				bob.describe = () => (side === 'offer' ? good : bad);
				assert.equal((await bob.register()).status, 200);
				const call = await alice.call({ service: 'bob', body: side === 'offer' ? bad : good });
				assert.equal(call.final.status, 200);
				const to = ports(side === 'offer' ? bob.requests.find((m) => m.method === 'INVITE').body : call.final.body);
				assert.equal(to.length, 2);
				// The second stream is there to show that the first one had its time.
				await until('what goes to an address that may be named', () => {
					for (const port of to) mine.send(`OPTIONS sip:x@${TRUNK_IP} SIP/2.0\r\nCall-ID: forged\r\n\r\n`, { ip: '127.0.0.1', port });
					return near.inbox.length > 4;
				}, { every_ms: 50 });
				assert.deepEqual(far.requests.filter((m) => m.callId === 'forged'), []);
				assert.equal((await call.request('BYE')).status, 200);
			});
		}
	}
});

test('what cfg/resume.cfg denies: the machine itself, its control port for rtpengine among it', async () => {
	const [, denied] = /^#!trydef MEDIA_DENIED ("[^"]*")$/m.exec(fs.readFileSync(path.join(ROOT, 'cfg/resume.cfg'), 'utf8'));
	stack = await Stack.start('strangers-addresses-default', { defines: { MEDIA_DENIED: denied } });
	try {
		const alice = await party('alice');
		for (const ip of ['127.0.0.1', '127.1.2.3', '169.254.169.254', '224.0.0.1', '0.0.0.1', '255.255.255.255']) {
			assert.equal((await alice.call({ service: '100', body: sdp(ip, stack.rtpengine.ng) })).final.status, 488, ip);
		}
		for (const ip of ['::1', '::ffff:127.0.0.1', '::ffff:0.0.0.0', '::127.0.0.1', '64:ff9b::127.0.0.1', 'fe80::1', 'ff02::1']) {
			const body = sdp('192.0.2.1', 4000).replace('IN IP4 192.0.2.1\r\nt=', `IN IP6 ${ip}\r\nt=`);
			assert.equal((await alice.call({ service: '100', body })).final.status, 488, ip);
		}
		await stack.noMedia();
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
		const call = await alice.call({ service: '100', body: sdp('192.0.2.1', 4000) });
		assert.equal(call.final.status, 200);
		await until('the ACK', () => far.requests.some((m) => m.method === 'ACK'));
	} finally {
		open.splice(0).forEach((s) => s.close());
		await stack.stop();
	}
});

describe('what ends a media server, or has it not answer', () => {
	before(async () => { stack = await Stack.start('strangers-formats'); });
	afterEach(async () => {
		open.splice(0).forEach((s) => s.close());
		await stack.dropMedia();
	});
	after(() => stack?.stop());

	const of = (unit, n) => unit.repeat(Math.floor(n / unit.length));
	const audio = (line, rest = '') => sdp('127.0.0.1', 4000).replace(/m=.*\r\n/, `m=audio 4000 ${line}\r\n`) + rest;
	const known = (n) => `a=fmtp:8 ${of('x', n)}\r\n`;
	for (const [what, body] of Object.entries({
		'a format ten thousand times': audio(`RTP/AVP${of(' 8', 20000)}`),
		'a format four times, and much to say about it': audio('RTP/AVP 8 8 8 8', known(18000)),
		'a format in other ways to write it': audio('rtp/avp 8 08 008 0008 00008', known(18000)),
		'a format, and what one reader takes for it': audio('RTP/AVP 8 8x 8x +8 8y', known(18000)),
		'a format in a stream that is switched off': audio('RTP/AVP 8', known(18000)).replace('t=0 0\r\n', `t=0 0\r\nm=audio 0 RTP/AVP${of(' 8', 400)}\r\n`),
	})) {
		test(`${what}: the media server goes on, and so do the calls of others`, async () => {
			far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
			const others = await (await party('carol')).call({ service: '100' });
			assert.equal(others.final.status, 200);
			const alice = await party('alice', { transport: 'tcp' });
			assert.equal((await alice.register()).status, 200);
			assert.equal((await alice.call({ service: '100', body })).final.status, 488, 'in the offer of a client');
			const forger = keep(await FarEnd.open({ ip: TRUNK_IP, to: gateway() }));
			assert.equal((await forger.call({ service: 'alice', body })).final.status, 488, 'with the address of the trunk');
			far.describe = () => body;
			const call = await alice.call({ service: '100' });
			assert.equal(call.final.status, 200);
			assert.equal(call.final.body, '', 'in the answer of the far end');
			await call.request('BYE');
			assert.deepEqual(await stack.rtpengine.calls(), [others.callId]);
			assert.equal((await others.request('BYE')).status, 200);
		});
	}

	test('a description that is as long as may be has its answer; one that is longer, 488', {
		skip: DATAGRAM_MAX < 40_000 && 'Kamailio takes no message that is so long',
	}, async () => {
		far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: gateway() }));
		const alice = await party('alice');
		const all = Array.from({ length: 128 }, (_, i) => ` ${i}`).join('');
		const most = (n) => {
			const streams = sdp('127.0.0.1', 4000).replace(/m=[^]*/, `m=audio 4000 RTP/AVP${all}\r\n`.repeat(8));
			return `${streams}a=x:${'x'.repeat(n - streams.length - 6)}\r\n`;
		};
		const call = await alice.call({ service: '100', body: most(32768) });
		assert.equal(call.final.status, 200, call.final.start);
		assert.equal((await call.request('BYE')).status, 200);
		assert.equal((await alice.call({ service: '100', body: most(32769) })).final.status, 488);
	});
});
