// SPDX-License-Identifier: GPL-2.0-or-later
// Replies that nobody has asked for, and those in other names than their request.

import { after, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { Kamailio, small } from '../lib/kamailio.mjs';
import { Lab, STRANGER_IP, stray, tagOf } from '../lib/lab.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { Client, Endpoint, FarEnd, random, replyTo, sdp } from '../lib/sip.mjs';
import { DOMAIN, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { sleep, until } from '../lib/wait.mjs';

const INSIDE_IP = '127.0.0.9';

/** That many strays have been refused, and no line was written about them. */
async function refusedReplies(lab, n, send) {
	const before = await lab.stat('replies_refused');
	const { length } = lab.stack.kamailio.log();
	await send();
	await until('the replies to be refused', async () => await lab.stat('replies_refused') === before + n);
	assert.deepEqual(lab.stack.kamailio.logged(/./, length), []);
}

describe('replies that nobody has asked for', () => {
	let lab;
	before(async () => { lab = await Lab.start('replies', { defines: { MEDIA_DENIED: `"${INSIDE_IP} ${TRUNK_IP}"` } }); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	for (const ip of [STRANGER_IP, TRUNK_IP]) {
		test(`with the names of a call, from ${ip}: its media stay where they are`, async () => {
			const { far, audio, call } = await lab.call();
			const spy = lab.keep(await Rtp.open({ ip }));
			const stranger = await lab.stranger({ ip });
			await lab.unharmed({ far, audio, call }, async () => {
				const [mine, other] = [tagOf(call.local), tagOf(call.remote)];
				await refusedReplies(lab, 4, () => {
					for (const [from, to] of [[mine, other], [other, mine]]) {
						const names = { callId: call.callId, from, to };
						stranger.send(stray(lab, { ...names, body: sdp(ip, spy.port, 9) }));
						// A Record-Route without our reference proves nothing.
						stranger.send(stray(lab, { ...names, body: sdp(ip, spy.port, 9), fields: [`Record-Route: <sip:${lab.stack.gateway};lr;crs-a=aaaaaaaa>`] }));
					}
				});
			});
			assert.equal(spy.received, 0);
		});
	}

	test('no connection is made to where their Via leads', async () => {
		const inside = await lab.trap();
		const stranger = await lab.stranger();
		await refusedReplies(lab, 20, () => {
			for (let i = 0; i < 20; i++) {
				stranger.send(stray(lab, { callId: random(), from: 'x', to: 'y', method: i % 2 ? 'INVITE' : 'OPTIONS', via: `SIP/2.0/TCP 127.0.0.1:${inside.port}` }));
			}
		});
		assert.equal(inside.connections, 0);
	});

	test('no name in their Via is looked up', async () => {
		const stranger = await lab.stranger();
		await refusedReplies(lab, 8, () => {
			for (let i = 0; i < 8; i++) stranger.send(stray(lab, { callId: random(), from: 'x', to: 'y', via: `SIP/2.0/UDP n${i}.slow.example:5060` }));
		});
		assert.deepEqual(lab.stack.kamailio.logged(/resolve_host/), []);
	});

	test('no memory is kept for them', async () => {
		const used = async () => Number(/used: (\d+)/.exec(await lab.stack.kamailio.kamcmd('core.shmmem'))[1]);
		const { call } = await lab.call();
		const stranger = await lab.stranger();
		const before = await used();
		await refusedReplies(lab, 500, async () => {
			const refused = await lab.stat('replies_refused');
			for (let i = 0; i < 500; i++) {
				stranger.send(stray(lab, { callId: call.callId, from: 'x', to: random(), via: `SIP/2.0/TCP 127.0.0.1:${9 + i}`, body: sdp(STRANGER_IP, 9) }));
				if (i % 50 === 49) await until('some of them', async () => await lab.stat('replies_refused') > refused + i);
			}
		});
		assert.ok(await used() - before < 4096, `${await used() - before} bytes`);
	});

	test('a reply that proves itself, by the reference of its call, leads to no name and no new connection either', async () => {
		const { far, call } = await lab.call();
		const routes = far.requests.find((m) => m.method === 'INVITE').recordRoutes.map((r) => `Record-Route: ${r}`);
		const inside = await lab.trap();
		const names = { callId: call.callId, from: tagOf(call.local), to: tagOf(call.remote), fields: routes, method: 'INFO' };
		const refused = await lab.stat('replies_refused');
		far.send(stray(lab, { ...names, via: 'SIP/2.0/UDP slow.example:5060' }));
		far.send(stray(lab, { ...names, via: `SIP/2.0/TCP 127.0.0.1:${inside.port}` }));
		// To an address over UDP it goes.
		const port = await lab.stranger();
		far.send(stray(lab, { ...names, via: `SIP/2.0/UDP ${STRANGER_IP}:${port.port}` }));
		await port.take('the reply', (m) => m.status === 200);
		await until('the name to be refused', async () => await lab.stat('replies_refused') === refused + 1);
		assert.deepEqual(lab.stack.kamailio.logged(/resolve_host/), []);
		assert.equal(inside.connections, 0);
	});

	test('one that proves itself goes over nobody\'s connection whose number it names, and closes no WebSocket', async () => {
		const page = await lab.party('alice', { transport: 'ws', Kind: Client });
		assert.equal((await page.register()).status, 200);
		page.inbox.length = 0;
		const far = await lab.far();
		const mallory = await lab.party('mallory');
		const call = await mallory.call({ service: '100' });
		const stranger = await lab.stranger();
		const names = { callId: call.callId, from: 1, to: 2, fields: call.routes.map((r) => `Record-Route: ${r}`), method: 'INFO' };
		const numbers = Array.from({ length: 30 }, (_, i) => i + 1);
		const { length } = lab.stack.kamailio.log();
		for (const transport of ['WS', 'TCP', 'WSS', 'TLS']) {
			// (The number in hexadecimal, its last digit first.)
			for (const n of numbers) stranger.send(stray(lab, { ...names, i: [...n.toString(16)].reverse().join(''), via: `SIP/2.0/${transport} 192.0.2.77:5555` }));
		}
		await refusedReplies(lab, 4, () => {
			for (const transport of ['TCP', 'TLS']) {
				stranger.send(stray(lab, { ...names, via: `SIP/2.0/${transport} 127.0.0.1:${page.port}` }));
				stranger.send(stray(lab, { ...names, via: `SIP/2.0/${transport} x.invalid;received=127.0.0.1;rport=${page.port}` }));
			}
		});
		await refusedReplies(lab, 1, () => stranger.send(stray(lab, { ...names, via: 'SIP/2.0/UDP x.invalid;received=127.0.0.1;rport=x' })));
		await sleep(300);
		assert.deepEqual(page.inbox, []);
		assert.deepEqual(lab.stack.kamailio.logged(/./, length), []);
		assert.equal((await page.register()).status, 200, 'its WebSocket is open');
		assert.equal((await call.request('BYE')).status, 200);
		far.close();
	});

	test('one with the reference of a call of one\'s own that is over goes over UDP to nothing inside, but to the trunk', async () => {
		const far = await lab.far();
		const mallory = await lab.party('mallory');
		const call = await mallory.call({ service: '100' });
		assert.equal((await call.request('BYE')).status, 200);
		const inside = lab.keep(await Endpoint.open({ ip: INSIDE_IP }));
		const stranger = await lab.stranger();
		const names = { callId: call.callId, from: 1, to: 2, fields: call.routes.map((r) => `Record-Route: ${r}`), method: 'INFO' };
		const to = (ip, more) => stray(lab, { ...names, via: `SIP/2.0/UDP ${ip}${more}` });
		const beside = lab.keep(await Endpoint.open({ ip: TRUNK_IP }));
		await refusedReplies(lab, 7, () => {
			stranger.send(to(TRUNK_IP, `:${beside.port}`));
			stranger.send(to(TRUNK_IP, `:${far.port};rport=${beside.port}`));
			stranger.send(to('x.invalid', `:${far.port};received=${TRUNK_IP};rport=${beside.port}`));
			stranger.send(to(TRUNK_IP, `:${far.port};maddr=${INSIDE_IP};rport=${inside.port}`));
			stranger.send(to(INSIDE_IP, `:${inside.port}`));
			stranger.send(to('x.invalid', `;received=${INSIDE_IP};rport=${inside.port}`));
			stranger.send(to(`[::ffff:${INSIDE_IP}]`, `:${inside.port}`));
		});
		stranger.send(to(TRUNK_IP, `:${far.port}`));
		await far.take('the reply', (m) => m.status === 200 && m.method === 'INFO');
		assert.deepEqual([...inside.inbox, ...beside.inbox], []);
	});
});

describe('replies with other names than their request', () => {
	let lab;
	before(async () => { lab = await Lab.start('names'); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	test('their transactions go', async () => {
		const phone = await lab.party('mallory', { answer: (m) => {
			if (m.method === 'MESSAGE') m.answer(replyTo(m, 200, 'OK').replace(/^Call-ID: .*$/m, 'Call-ID: other'));
			return true;
		} });
		assert.equal((await phone.register()).status, 200);
		const before = await lab.stat('replies_refused');
		for (let i = 0; i < 20; i++) assert.equal((await phone.outside('MESSAGE', `sip:mallory@${DOMAIN}`)).status, 200);
		assert.equal(await lab.stat('replies_refused'), before + 20);
		await transactionsGo(lab.stack.kamailio);
	});

	/** A 200 of mallory's phone to a request of his own, with so many of its Vias. */
	const answer = (m, { callId = m.callId, from = m.get('from'), to, body = '', vias = 9 }) => m.answer(['SIP/2.0 200 OK', ...m.all('via').slice(0, vias).map((v) => `Via: ${v}`),
		...m.recordRoutes.map((r) => `Record-Route: ${r}`), `From: ${from}`, `To: ${to}`, `Call-ID: ${callId}`, `CSeq: ${m.get('cseq')}`, 'Contact: <sip:mallory@127.0.0.1:9>',
		...(body ? ['Content-Type: application/sdp'] : []), `Content-Length: ${body.length}`, '', body].join('\r\n'));

	for (const [what, method, names] of [
		['a MESSAGE under the names of a call, its answer has SDP', 'MESSAGE', (v) => ({ asked: { callId: v.callId, tag: v.far }, said: { to: `<sip:x@y>;tag=${v.near}` } })],
		['an INVITE of his own, its answer is in the names of a call', 'INVITE', (v) => ({ asked: {}, said: { callId: v.callId, from: `<sip:x@y>;tag=${v.far}`, to: `<sip:x@y>;tag=${v.near}` } })],
		['an OPTIONS, the same', 'OPTIONS', (v) => ({ asked: {}, said: { callId: v.callId, from: `<sip:x@y>;tag=${v.far}`, to: `<sip:x@y>;tag=${v.near}` } })],
		['an INVITE of his own, the same with our Via alone', 'INVITE', (v) => ({ asked: {}, said: { callId: v.callId, from: `<sip:x@y>;tag=${v.far}`, to: `<sip:x@y>;tag=${v.near}`, vias: 1 } })],
	]) {
		test(`${what}: the media of that call stay`, async () => {
			const { far, audio, alice, call } = await lab.call();
			const spy = lab.keep(await Rtp.open({ ip: STRANGER_IP }));
			const victim = { callId: call.callId, near: tagOf(call.local), far: tagOf(call.remote) };
			const { asked, said } = names(victim);
			const phone = await lab.party('mallory', { answer: (m) => {
				if (m.method !== method) return true;
				answer(m, { to: `${m.get('to')};tag=1`, ...said, body: sdp(STRANGER_IP, spy.port) });
				return false;
			} });
			assert.equal((await phone.register()).status, 200);
			const caller = await lab.party('mallory', { Kind: Client });
			await lab.unharmed({ far, audio, alice, call }, async () => {
				caller.outside(method, `sip:mallory@${DOMAIN}`, { ...asked, body: method === 'INVITE' ? sdp('127.0.0.1', 4000) : '' }).catch(() => {});
				await until('his answer', () => phone.requests.some((m) => m.method === method));
				await new Promise((resolve) => { setTimeout(resolve, 300); });
			});
			assert.equal(spy.received, 0);
		});
	}

	for (const [what, vias] of [['', 9], [', with our Via alone', 1]]) test(`the 200 to a BYE, in the names of another call${what}: that one has its media still`, async () => {
		const { far, audio, alice, call } = await lab.call();
		const phone = await lab.party('mallory', { answer: (m) => {
			if (m.method !== 'BYE') return true;
			answer(m, { callId: call.callId, from: `<sip:x@y>;tag=${tagOf(call.local)}`, to: `<sip:x@y>;tag=${tagOf(call.remote)}`, vias });
			return false;
		} });
		assert.equal((await phone.register()).status, 200);
		const caller = await lab.party('mallory', { Kind: Client });
		const own = await caller.call({ service: 'mallory' });
		assert.equal(own.final.status, 200);
		await lab.unharmed({ far, audio, alice, call }, async () => {
			const before = await lab.stat('replies_refused');
			own.request('BYE').catch(() => {});
			await until('his answer', async () => await lab.stat('replies_refused') > before);
		});
	});
});

/** All that tm has made are freed again. */
const transactionsGo = (kamailio) => until('the transactions to go', async () => {
	const [, created, freed] = /\bcreated: (\d+)\s+freed: (\d+)/.exec(await kamailio.kamcmd('tm.stats'));
	return created === freed;
}, { timeout_ms: 15000 });

for (const [what, manage, how] of [['', 1, 'if ($rr == "Drop") drop;'], [', for resume_check_reply() says so', 0, 'if (!resume_check_reply()) drop;']]) {
	test(`a reply that a reply_route drops${what}: its transaction goes`, async () => {
		const kamailio = await Kamailio.start(runFolder('strangers-replies-dropped'), { own: small(`modparam("tm", "wt_timer", 100)
			modparam("call_resume", "manage", ${manage})
			request_route { t_relay(); }
			reply_route { ${how} }`) });
		const phone = await FarEnd.open({ to: { ip: kamailio.ip, port: kamailio.port }, answer: (m) => {
			m.answer(replyTo(m, 200, 'Drop').replace(/^(Call-ID: .*)$/m, manage ? '$1' : 'Call-ID: other'));
			return true;
		} });
		try {
			for (let i = 0; i < 20; i++) assert.equal((await phone.outside('MESSAGE', `sip:x@${phone.host}`)).start, 'SIP/2.0 200 OK');
			await transactionsGo(kamailio);
		} finally {
			phone.close();
			await kamailio.stop();
		}
	});
}
