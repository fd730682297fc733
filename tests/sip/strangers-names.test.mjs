// SPDX-License-Identifier: GPL-2.0-or-later
// What a user like others does with the names of a call that is not his.

import { after, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';

import { Lab, STRANGER_IP, tagOf } from '../lib/lab.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { Client, Dialog, FarEnd, message, random, replyTo, sdp } from '../lib/sip.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

/** Where tm has a transaction: get_hash2_raw() of core/hashes.h, modulo its TABLE_ENTRIES. */
function placeOf(callId, cseq) {
	let h = 0;
	for (const text of [callId, String(cseq)]) {
		for (let i = 0; i < text.length; i += 4) {
			const v = [...text.slice(i, i + 4)].reduce((n, c) => ((n << 8) | c.charCodeAt(0)) >>> 0, 0);
			h = (h + ((v ^ (v >>> 3)) >>> 0)) >>> 0;
		}
	}
	return (((h + (h >>> 11)) >>> 0) + (((h >>> 13) + (h >>> 23)) >>> 0)) & 0xffff;
}

describe('a user like others, who knows the names of a call', () => {
	let lab;
	before(async () => { lab = await Lab.start('user', { defines: { WITH_REVOCATION: true } }); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	test('cannot begin one under its Call-ID: its media stay, and rtpengine keeps it', async () => {
		const { far, audio, call } = await lab.call();
		const spy = lab.keep(await Rtp.open());
		const mallory = await lab.party('mallory', { media: spy.port });
		const asked = far.requests.length;
		await lab.unharmed({ far, audio, call }, async () => {
			for (const tag of [tagOf(call.local), random()]) {
				const own = await mallory.call({ callId: call.callId, tag });
				assert.equal(own.final.start, 'SIP/2.0 482 Call-ID In Use');
			}
			assert.equal(far.requests.length, asked, 'nobody is called');
		});
		assert.equal(spy.received, 0);
		assert.match(lab.stack.kamailio.log(), /NOTICE: .*begins a call under a Call-ID that is in use/);
		assert.deepEqual(lab.stack.kamailio.logged(/ERROR.*rtpengine/), [], 'that a call is new is no error');
	});

	test('nor while it rings, without an offer that rtpengine could know it by', async () => {
		const phone = await lab.party('mallory', { answer: (m) => m.method !== 'INVITE' });
		assert.equal((await phone.register()).status, 200);
		const alice = await lab.party('alice');
		const callId = random();
		const answer = alice.outside('INVITE', `sip:mallory@${DOMAIN}`, { callId });
		const invite = await phone.take('the INVITE', (m) => m.method === 'INVITE');
		const far = await lab.far();
		const bob = await lab.party('bob');
		for (const body of ['', sdp('127.0.0.1', 9)]) assert.equal((await bob.call({ service: '100', callId, body })).final.start, 'SIP/2.0 482 Call-ID In Use');
		assert.deepEqual(far.requests.filter((m) => m.method !== 'ACK'), []);
		phone.accept(invite);
		assert.equal((await answer).status, 200);
	});

	for (const [what, via, number] of [['its Via, and another number', (v) => v, 2], ['a Via of the old kind, and another Request-URI', (v) => v.replace('z9hG4bK', ''), 1]]) {
		test(`nor with ${what}, so that it looks like a copy`, async () => {
			const phone = await lab.party('mallory', { answer: (m) => m.method !== 'INVITE' });
			assert.equal((await phone.register()).status, 200);
			const [alice, bob, far] = [await lab.party('alice'), await lab.party('bob'), await lab.far()];
			const callId = random();
			const begin = (party, uri, cseq, same) => party.send(message(`INVITE ${uri} SIP/2.0`, [`Via: ${same}`, 'Max-Forwards: 70', `From: <sip:${party.user}@${DOMAIN}>;tag=${random()}`,
				`To: <sip:x@${DOMAIN}>`, `Call-ID: ${callId}`, `CSeq: ${cseq} INVITE`, `Contact: <${party.uri}>`, `Authorization: Bearer ${party.token}`]));
			const same = via(`SIP/2.0/UDP ${alice.host};branch=z9hG4bK${random()}`);
			begin(alice, `sip:mallory@${DOMAIN}`, 1, same);
			const invite = await phone.take('the INVITE', (m) => m.method === 'INVITE');
			begin(bob, `sip:100@${DOMAIN}`, number, same);
			const { start } = await bob.take('the answer', (m) => m.status >= 200);
			assert.equal(start, 'SIP/2.0 482 Call-ID In Use');
			assert.deepEqual(far.requests.filter((m) => m.method !== 'ACK'), []);
			phone.accept(invite);
			assert.equal((await alice.take('the answer', (m) => m.status >= 200)).status, 200);
		});
	}

	test('does not touch its media by requests in a dialog of these names, with a token of her own', async () => {
		const { far, audio, call } = await lab.call();
		const spy = lab.keep(await Rtp.open());
		const mallory = await lab.party('mallory', { media: spy.port });
		const mine = new Dialog(mallory, { callId: call.callId, routes: [`<sip:${lab.stack.gateway};lr>`], target: `sip:x@127.0.0.1:${mallory.port}`,
			local: `<sip:mallory@${DOMAIN}>;tag=${tagOf(call.local)}`, remote: `<sip:x@x>;tag=${tagOf(call.remote)}`, cseq: 70 });
		const headers = [`Authorization: Bearer ${mallory.token}`];
		await lab.unharmed({ far, audio, call }, async () => {
			for (const method of ['INVITE', 'UPDATE', 'PRACK']) assert.equal((await mine.request(method, { headers, body: sdp('127.0.0.1', spy.port, 5) })).status, 403, method);
			mine.ack({ headers, body: sdp('127.0.0.1', spy.port, 6) });
			// She answers it herself.
			assert.equal((await mine.request('BYE', { headers })).status, 200);
			assert.equal((await mine.request('BYE', { headers, target: 'sip:x@127.0.0.1:9;transport=tcp' })).status >= 400, true);
			assert.deepEqual(await lab.stack.rtpengine.calls(), [call.callId]);
		});
		assert.equal(spy.received, 0);
	});

	test('does not fill the log by references that she has made up', async () => {
		const mallory = await lab.party('mallory');
		const tag = random();
		const mine = new Dialog(mallory, { callId: random(), routes: [`<sip:${lab.stack.gateway};lr;ftag=${tag};crs-a=a;crs-b=b>`], target: `sip:x@127.0.0.1:${mallory.port}`,
			local: `<sip:mallory@${DOMAIN}>;tag=${tag}`, remote: '<sip:x@x>;tag=x' });
		const lines = () => lab.stack.kamailio.log().match(/a state could not be sealed/g)?.length ?? 0;
		const before = { lines: lines(), at: Date.now() };
		for (let i = 0; i < 40; i++) assert.equal((await mine.request('INFO', { headers: [`Authorization: Bearer ${mallory.token}`] })).status, 200);
		const seconds = (Date.now() - before.at) / 1000;
		const processes = 8;
		assert.ok(lines() - before.lines <= processes * (seconds + 2), `${lines() - before.lines} lines in ${seconds} s`);
	});

	test('does not end its media by a CANCEL in these names, of a call of her own whose client is gone', async () => {
		const { far, audio, call } = await lab.call();
		const phone = await lab.party('mallory', { transport: 'ws', answer: () => false });
		assert.equal((await phone.register()).status, 200);
		const mallory = await lab.party('mallory', { Kind: Client });
		// tm looks for a CANCEL where Call-ID and CSeq lead, and compares the branch.
		let callId = random();
		while (placeOf(callId, 1) !== placeOf(call.callId, 1)) callId = random();
		const final = mallory.outside('INVITE', `sip:mallory@${DOMAIN}`, { callId });
		await phone.take('the INVITE', (m) => m.method === 'INVITE');
		phone.close();
		await until('its connection to be gone', async () => !(await lab.stack.kamailio.kamcmd('core.tcp_list').catch(() => '')).includes(`:${phone.port}`));
		await lab.unharmed({ far, audio, call }, async () => {
			mallory.send(message(`CANCEL sip:mallory@${DOMAIN} SIP/2.0`, [`Via: SIP/2.0/UDP ${mallory.host};branch=${mallory.last.branch}`, 'Max-Forwards: 70',
				`From: <sip:mallory@${DOMAIN}>;tag=${tagOf(call.local)}`, `To: <sip:mallory@${DOMAIN}>`, `Call-ID: ${call.callId}`, 'CSeq: 1 CANCEL']));
			assert.equal((await final).status, 487);
		});
	});

	/** What would be words of a command to rtpengine, if it came to stand in one. */
	const words = (call) => `"x call-id=${call.callId} from-tag=${tagOf(call.local)} to-tag=${tagOf(call.remote)}"`;

	for (const [what, tagged] of [['in quotation marks', (call) => `;tag=${words(call)}`], ['that is the second one', (call) => `;tag=x;tag=${words(call)}`]]) {
		test(`does not move its media by the tag of an accomplice ${what}`, async () => {
			const { far, audio, call } = await lab.call();
			const mallory = await lab.party('mallory');
			const phone = await lab.party('mallory', { answer: () => false });
			assert.equal((await phone.register()).status, 200);
			const answer = (m, status, to, body) => m.answer(replyTo(m, status, 'x', {
				to, body, fields: [...m.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <${phone.uri}>`] }));
			await lab.unharmed({ far, audio, call }, async () => {
				const before = await lab.stat('replies_refused');
				const calling = mallory.call({ service: 'mallory' }).catch(() => {});
				const invite = await phone.take('the INVITE', (m) => m.method === 'INVITE');
				answer(invite, 200, invite.get('to') + tagged(call), sdp('127.0.0.1', phone.media));
				const refused = until('it to be refused', async () => await lab.stat('replies_refused') > before);
				const own = await Promise.race([calling, refused.then(() => undefined)]);
				if (!own) return;
				// An offer that is refused is taken back, at rtpengine too.
				const offer = own.request('INVITE', { body: sdp('127.0.0.1', mallory.media, 2) });
				const again = await phone.take('the re-INVITE', (m) => m.method === 'INVITE');
				answer(again, 488, again.get('to'));
				assert.equal((await offer).status, 488);
			});
		});

		test(`nor by her own ${what}`, async () => {
			const mallory = await lab.party('mallory');
			const { far, audio, call } = await lab.call();
			await lab.unharmed({ far, audio, call }, async () => {
				const from = `<sip:mallory@${DOMAIN}>${tagged(call).replace(/;tag=[^;]*$/, '')}`;
				const own = await mallory.call({ service: '100', from, tag: words(call) });
				assert.equal(own.final.status, 400);
			});
		});
	}

	test('a call that failed leaves its Call-ID free', async () => {
		const far = await lab.far({ answer: (m) => (m.method === 'INVITE' ? (far.reply(m, 486, 'Busy Here'), false) : true) });
		const alice = await lab.party('alice');
		const callId = random();
		for (const cseq of [1, 2]) assert.equal((await alice.call({ callId, cseq })).final.status, 486);
		far.close();
		await lab.stack.noMedia();
	});

	test('is not put through to the client of another call as the one it had (;again), and nothing of that call is deleted', async () => {
		const victim = await lab.party('bob', { transport: 'ws' });
		const reg = await victim.register();
		assert.equal(reg.status, 200);
		const alice = await lab.party('alice', { transport: 'ws' });
		const call = await alice.call({ service: 'bob' });
		assert.equal(call.final.status, 200);
		// rtpengine is restarted, and knows no call: the Call-ID looks free.
		await lab.stack.rtpengine.kill();
		await lab.stack.rtpengine.boot();
		const far = await lab.far();
		const mallory = await lab.party('mallory', { transport: 'ws' });
		// As long as the transaction of that one lasts, it does not.
		const own = await until('her to have a state with the victim in it', async () => {
			const one = await mallory.call({ service: '123', to: `sip:bob@${DOMAIN}`, callId: call.callId, tag: tagOf(call.local) });
			if (one.final.status !== 200) assert.equal(one.final.start, 'SIP/2.0 482 Call-ID In Use');
			return one.final.status === 200 && one;
		});
		const seen = victim.requests.length;
		const back = await mallory.call({ state: `${own.state};again`, service: 'x' });
		assert.ok(victim.requests.slice(seen).every((m) => !m.get('call-state-id')));
		assert.equal(victim.requests.slice(seen).filter((m) => m.method === 'INVITE').length, 0);
		assert.ok(back.final.status === 200, 'hers is an ordinary resume');
		assert.ok(far.requests.some((m) => m.method === 'INVITE' && m.tag('to')));
	});

	test('a Route that was had once proves nothing after a revocation: nothing is relayed but the end of the call', async () => {
		const { far, call } = await lab.call();
		await lab.stack.kamailio.kamcmd('call_resume.revoke', 'sid', 's-alice');
		const stranger = await lab.party('ceo', { ip: STRANGER_IP, token: undefined });
		const asked = far.requests.length;
		for (const method of ['MESSAGE', 'INVITE', 'INFO', 'REFER', 'UPDATE', 'NOTIFY', 'SUBSCRIBE']) {
			const d = new Dialog(stranger, { callId: call.callId, routes: call.routes, target: call.target, local: `<sip:ceo@${DOMAIN}>;tag=1`, remote: '<sip:y@y>;tag=2' });
			assert.equal((await d.request(method, { body: method === 'INVITE' ? sdp(STRANGER_IP, 9) : '' })).status, 403, method);
		}
		assert.equal((await call.request('OPTIONS', { headers: ['Content-Type: text/plain'], body: 'x' })).status, 403);
		assert.equal(far.requests.length, asked);
		assert.equal((await call.request('BYE')).status, 200);
		await lab.stack.noMedia();
	});

	for (const [where, ip] of [['at its address', TRUNK_IP], ['at another one', '127.0.0.5']]) {
		test(`nor with the address of the trunk, over UDP, to the far end ${where}; that one still gets to the client`, async () => {
			const sid = random();
			const token = await lab.stack.kamailio.token(`sip:alice@${DOMAIN}`, sid);
			const far = await lab.far();
			const other = lab.keep(await FarEnd.open({ ip, to: lab.at() }));
			const { host } = far;
			if (ip !== TRUNK_IP) far.host = other.host; // in its Contact
			const alice = await lab.party('alice', { token, transport: 'ws' });
			const call = await alice.call({ service: '100' });
			assert.equal(call.final.status, 200);
			await lab.stack.kamailio.kamcmd('call_resume.revoke', 'sid', sid);
			assert.equal((await call.request('INFO')).status, 403);
			const forger = await lab.party('bob', { ip: TRUNK_IP, token: undefined });
			const asked = [far, other].map((f) => f.requests.length);
			// With her own Route, and one that says that its sender is the other side.
			for (const tag of [tagOf(call.local), tagOf(call.remote)]) {
				const mine = new Dialog(forger, { ...call, party: forger, routes: call.routes.map((r) => r.replace(/ftag=[^;>]*/, `ftag=${tag}`)) });
				for (const method of ['INFO', 'INVITE', 'UPDATE', 'REFER']) {
					const { status } = await mine.request(method, { headers: ['P-Asserted-Identity: <sip:boss@x>'], body: method === 'INVITE' ? sdp(TRUNK_IP, 9) : '' });
					assert.equal(status, ip === TRUNK_IP ? 481 : 403, method);
				}
				mine.ack({ headers: ['Content-Type: text/plain'], body: 'x' });
			}
			assert.deepEqual([far, other].map((f) => f.requests.length), asked);
			far.host = host;
			const d = far.dialog(call.callId);
			assert.equal((await d.request('INVITE', { body: sdp(TRUNK_IP, far.media, 2) })).status, 200);
			d.ack();
			assert.equal((await d.request('BYE')).status, 200);
			await lab.stack.noMedia();
		});
	}

	test('nor do the names that a client has from a resume', async () => {
		const far = await lab.far();
		const token = await lab.stack.kamailio.token(`sip:alice@${DOMAIN}`, 's-resumed');
		const lost = await (await lab.party('alice', { token, Kind: Client })).call({ service: '100' });
		const call = await (await lab.party('alice', { token })).call({ service: '100', state: lost.state });
		assert.equal(call.final.status, 200);
		assert.equal((await call.request('INFO')).status, 200);
		await lab.stack.kamailio.kamcmd('call_resume.revoke', 'sid', 's-resumed');
		const asked = far.requests.length;
		for (const method of ['INFO', 'MESSAGE', 'REFER']) assert.equal((await call.request(method)).status, 403, method);
		const forger = await lab.party('alice', { ip: TRUNK_IP, token: undefined });
		assert.equal((await new Dialog(forger, { ...call, party: forger }).request('OPTIONS')).status, 481, 'with the address of the trunk');
		assert.equal(far.requests.length, asked);
		assert.equal((await call.request('BYE')).status, 200);
		await lab.stack.noMedia();
	});

	test('REGISTER and PUBLISH are not relayed in a dialog', async () => {
		const far = await lab.far();
		const mallory = await lab.party('mallory');
		const call = await mallory.call({ service: '100' });
		await far.take('the ACK', (m) => m.method === 'ACK');
		const asked = far.requests.length;
		for (const method of ['REGISTER', 'PUBLISH', 'KDMQ']) assert.equal((await call.request(method)).status, 481);
		assert.equal(far.requests.length, asked);
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('a request in a dialog opens no connection to where its sender says', async () => {
		const inside = net.createServer().listen(0, '127.0.0.1');
		let connections = 0;
		inside.on('connection', (socket) => {
			connections++;
			socket.destroy();
		});
		await once(inside, 'listening');
		try {
			await lab.far();
			const mallory = await lab.party('mallory');
			const call = await mallory.call({ service: '100' });
			const reply = await call.request('MESSAGE', { target: `sip:x@127.0.0.1:${inside.address().port};transport=tcp`, headers: ['Content-Type: text/plain'], body: '\r\nterminate all\r\n' });
			assert.ok(reply.status >= 400);
			assert.equal(connections, 0);
			assert.equal((await call.request('BYE')).status, 200);
		} finally {
			inside.close();
		}
	});
});

describe('a user whose name is nearly that of another one', () => {
	let lab;
	before(async () => { lab = await Lab.start('nearly'); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	const user = async (name) => lab.party(name, { token: await lab.stack.kamailio.token(`sip:${name}@${DOMAIN}`, `s-${random()}`) });

	/** @param called  as the far end writes it; only that one is to get it */
	async function isCalled(far, called, one, others) {
		const call = await far.call({ service: called });
		assert.equal(call.final.status, 200);
		await one.take('the INVITE', (m) => m.method === 'INVITE');
		assert.equal((await call.request('BYE')).status, 200);
		for (const other of others) assert.deepEqual(other.requests, []);
	}

	test('by its case: is called under it, and the other one is under hers', async () => {
		const far = await lab.far();
		const alice = await lab.party('alice');
		assert.equal((await alice.register()).status, 200);
		const other = await user('Alice');
		assert.equal((await other.register()).status, 200);
		await isCalled(far, 'alice', alice, [other]);
		alice.requests.length = 0;
		await isCalled(far, 'Alice', other, [alice]);
	});

	test('by an escape: does not get in', async () => {
		const far = await lab.far();
		const alice = await lab.party('alice');
		assert.equal((await alice.register()).status, 200);
		const anna = await user('anna%5Bm%20m%5D');
		assert.equal((await anna.register()).status, 200, 'a name that needs escapes');
		const others = [];
		for (const name of ['%61lice', 'ali%63e', 'alic%65', 'anna%5bm%20m%5D', 'anna[m%20m]']) {
			const other = await user(name);
			const asked = await other.register();
			assert.equal(asked.status, 400, `${name}: ${asked.start}`);
			others.push(other);
		}
		await isCalled(far, 'alice', alice, others);
		await isCalled(far, 'anna%5Bm%20m%5D', anna, others);
		await isCalled(far, '%61lice', alice, others);
	});
});

test('a session reference is good for reference_lifetime seconds', async () => {
	const lab = await Lab.start('age', { defines: { RESUME_REFERENCE_LIFETIME: 3 } });
	try {
		const far = await lab.far();
		const alice = await lab.party('alice', { token: lab.tokens.alice });
		const call = await alice.call({ service: '100' });
		assert.equal((await call.request('INFO')).status, 200);
		alice.token = undefined;
		await until('the reference to be too old', async () => (await call.request('INFO')).status === 403, { every_ms: 200 });
		// The far end's is of the same age: over UDP it is not believed either.
		assert.equal((await far.dialog(call.callId).request('INFO')).status, 481);
	} finally {
		await lab.clear();
		await lab.stack.stop();
	}
});

describe('a call has no more sides at the media server than it has', () => {
	let lab;
	before(async () => { lab = await Lab.start('sides'); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	const made = (value) => value.replace(/;tag=.*/, `;tag=${random()}`);
	const sides = (callId) => lab.stack.rtpengine.tags(callId);

	for (const [what, change] of [
		['From', (call) => ({ local: made(call.local) })],
		['To', (call) => ({ remote: made(call.remote) })],
		['both', (call) => ({ local: made(call.local), remote: made(call.remote) })],
	]) {
		test(`requests of a client in its call, with another tag in ${what}: 481, and the media server hears nothing of them`, async () => {
			const { far, audio, call } = await lab.call();
			const asked = far.requests.length;
			await lab.unharmed({ far, audio, call }, async () => {
				for (const method of ['INVITE', 'UPDATE']) {
					const answer = await call.request(method, { body: sdp('127.0.0.1', 4000, 5), ...change(call) });
					assert.equal(answer.status, 481, answer.start);
				}
				call.ack({ body: sdp('127.0.0.1', 4000, 5), ...change(call) });
				assert.ok((await call.request('OPTIONS')).status, 'the ACK has been looked at');
				assert.deepEqual((await sides(call.callId)).sort(), [tagOf(call.local), tagOf(call.remote)].sort());
				assert.ok(!far.requests.slice(asked).some((m) => m.method !== 'OPTIONS'));
			});
		});
	}

	test('answers with media to what has asked for none, under other tags', async () => {
		const { far, call } = await lab.call();
		const again = far.answer;
		far.answer = (m) => {
			if (m.method !== 'INVITE' && m.method !== 'UPDATE' && m.method !== 'PRACK') return again(m);
			far.reply(m, 200, 'OK', { body: sdp(far.ip, far.media), contact: true });
			return false;
		};
		for (const method of ['INVITE', 'UPDATE', 'PRACK']) {
			const answer = await call.request(method, { local: made(call.local), headers: method === 'PRACK' ? ['RAck: 1 1 INVITE'] : [] });
			assert.equal(answer.status, 200, answer.start);
			assert.equal(answer.body, '');
		}
		assert.equal((await sides(call.callId)).length, 2);
	});

	test('early media of very many: those of the first four, and of who answers', async () => {
		const phone = await lab.party('bob', { answer: (m) => m.method !== 'INVITE' });
		assert.equal((await phone.register()).status, 200);
		const alice = await lab.party('alice');
		const callId = random();
		const dialog = alice.call({ service: 'bob', callId });
		const invite = await phone.take('the INVITE', (m) => m.method === 'INVITE');
		const say = (status, tag) => invite.answer(replyTo(invite, status, 'Now', {
			to: `${invite.get('to')};tag=${tag}`, body: sdp(phone.ip, phone.media),
			fields: [...invite.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <${phone.uri}>`],
		}));
		const heard = [];
		for (let i = 0; i < 12; i++) {
			say(183, `t${i}`);
			heard.push((await alice.take(`answer ${i}`, (m) => m.status === 183 && m.tag('to') === `t${i}`)).body !== '');
		}
		assert.deepEqual(heard, [...Array(4).fill(true), ...Array(8).fill(false)]);
		// From 26 on rtpengine has them as one side.
		assert.ok((await sides(callId)).length <= 5);
		say(183, 't3');
		assert.notEqual((await alice.take('one that was there', (m) => m.status === 183)).body, '');
		say(200, 't11');
		const call = await dialog;
		assert.notEqual(call.final.body, '');
		phone.answer = () => true;
		assert.equal((await call.request('BYE')).status, 200);
	});
});
