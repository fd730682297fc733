// SPDX-License-Identifier: GPL-2.0-or-later
// Who has the reference of a call, or is in one: what he sends in it without end, which nobody answers, fills no log and no memory, and
// counts for nobody else.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { Lab, stray, tagOf } from '../lib/lab.mjs';
import { Client, Endpoint, message, random, replyTo, sdp } from '../lib/sip.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { Usage } from '../lib/usage.mjs';
import { sleep, until } from '../lib/wait.mjs';

const MAX = 20; // STRANGERS_MAX, and what cfg/kamailio.cfg has for the answers of one request
const MANY = 100; // USER_REQUESTS_MAX
const BAD = 'v=0\r\no=x\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVPF 111\r\n'; // rtpengine does not take it
const rtpengine = /rtpengine/;

let lab;
before(async () => { lab = await Lab.start('reference', { defines: { STRANGERS_MAX: MAX, USER_REQUESTS_MAX: MANY, TRUNK_REQUESTS_MAX: MANY, RINGING_MAX: 30, TRUNK_RINGING_MAX: 60 } }); });
afterEach(async () => {
	await lab.clear();
	await lab.stack.kamailio.kamcmd('htable.flush', 'strangers');
	await lab.stack.kamailio.kamcmd('htable.flush', 'familiar');
});
after(() => lab?.stack.stop());

/** A call of mallory's with the trunk. */
async function ownCall(options) {
	const far = await lab.far();
	const mallory = await lab.party('mallory', { transport: 'tcp', Kind: Client, ...options });
	const call = await mallory.call({ service: '100' });
	assert.equal(call.final.status, 200);
	await far.take('the ACK', (m) => m.method === 'ACK');
	return { far, mallory, call };
}

/** One after the other, so that none gets lost. */
async function often(n, send) {
	for (let i = 0; i < n; i++) {
		send(i);
		if (i % 4 === 3) await sleep(5);
	}
}

/** Lines about what is done meanwhile. */
async function lines(pattern, what) {
	const { length } = lab.stack.kamailio.log();
	await what();
	return lab.stack.kamailio.logged(pattern, length);
}

/** Kamailio has read what was sent before: all of its processes for UDP have something else since. */
const read = async (party) => {
	for (let i = 0; i < 20; i++) assert.equal((await party.outside('OPTIONS', `sip:${DOMAIN}`)).status, 200);
};

describe('replies of no transaction, with the reference of a call', () => {
	for (const over of [false, true]) {
		test(`leave no line, whatever is in them; the call is ${over ? 'over' : 'up'}`, async () => {
			const { mallory, call } = await ownCall();
			if (over) assert.equal((await call.request('BYE')).status, 200);
			const stranger = await lab.stranger();
			const names = { callId: call.callId, from: tagOf(call.local), to: tagOf(call.remote) };
			const fields = (type) => [...call.routes.map((r) => `Record-Route: ${r}`), 'Contact: <sip:x@127.0.0.66>', `Content-Type: ${type}`];
			assert.deepEqual(await lines(/./, async () => {
				for (const one of [
					{ fields: fields('a'), body: 'x' }, { fields: fields('application/sdp'), body: BAD }, { fields: fields('application/sdp'), body: sdp('127.0.0.1', 4000), via: 'SIP/2.0/SCTP 127.0.0.66:9' },
					{ fields: fields('application/sdp'), body: sdp('127.0.0.1', 4000), via: 'SIP/2.0/UDP [2001:db8::1]:9' },
				]) {
					for (const status of [183, 200]) await often(2 * MAX, () => stranger.send(stray(lab, { ...names, ...one }).replace('200 OK', `${status} X`)));
				}
				await read(mallory);
			}), []);
		});
	}

	test('count for nobody whose address their second Via has, over a connection', async () => {
		const { mallory, call } = await ownCall();
		const stranger = await lab.stranger();
		for (const transport of ['TCP', 'TLS']) {
			await often(3 * MAX, () => stranger.send(stray(lab, { callId: call.callId, from: tagOf(call.local), to: tagOf(call.remote), via: `SIP/2.0/${transport} 127.0.0.99:9`,
				fields: [...call.routes.map((r) => `Record-Route: ${r}`), 'Contact: <sip:x@127.0.0.66>'] })));
		}
		await read(mallory);
		assert.doesNotMatch(await lab.stack.kamailio.kamcmd('htable.dump', 'strangers'), /127\.0\.0\.99/);
		const phone = lab.keep(await Client.open({ ip: '127.0.0.99', transport: 'tcp', user: 'carol', to: lab.at('tcp') }));
		assert.equal((await phone.register()).status, 401);
	});
});

describe('a user in a call of his own', () => {
	for (const [what, options] of Object.entries({ 'with an answer that rtpengine does not take': { body: BAD }, 'with nothing in them': {} })) {
		test(`fills no log by ACKs ${what}; nor does he send more of them than other requests`, async () => {
			const { far, mallory, call } = await ownCall({ transport: 'udp' });
			const acks = () => far.requests.filter((m) => m.method === 'ACK').length;
			const about = await lines(rtpengine, async () => {
				await often(2 * MANY, () => call.ack(options));
				await read(mallory);
			});
			assert.ok(about.length <= MAX + 4, `${about.length} lines: ${about.at(-1)}`);
			await until('the last of them to be passed on', () => acks() >= MANY);
			assert.equal((await call.request('BYE')).status, 200);
			assert.equal(acks(), MANY, 'with the first one');
		});
	}

	test('fills no log by ACKs with a type that is none, nor by what he asks so: 415', async () => {
		const { mallory, call } = await ownCall();
		const bad = { headers: ['Content-Type: a'], body: 'x' };
		assert.deepEqual(await lines(/ERROR|WARN/, async () => {
			await often(2 * MAX, () => call.ack(bad));
			for (const method of ['INVITE', 'UPDATE']) assert.equal((await call.request(method, bad)).status, 415);
			assert.equal((await mallory.outside('INVITE', `sip:100@${DOMAIN}`, bad)).status, 415);
		}), []);
		assert.equal((await call.request('INFO', bad)).status, 200, 'what is no description is not ours to judge');
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('has nothing in a PRACK that rtpengine has not made: 488', async () => {
		const { far, call } = await ownCall();
		assert.equal((await call.request('PRACK', { headers: ['RAck: 1 1 INVITE'], body: sdp('127.0.0.1', 4000) })).status, 488);
		assert.deepEqual(far.requests.filter((m) => m.method === 'PRACK'), []);
		assert.equal((await call.request('BYE')).status, 200);
	});
});

test('a user fills no log by what he sends to a client that has gone, in names that are none', async () => {
	const bob = await lab.party('bob', { transport: 'tcp' });
	assert.equal((await bob.register()).status, 200);
	const mallory = await lab.party('mallory', { transport: 'tcp', Kind: Client });
	const call = await mallory.call({ service: 'bob' });
	assert.equal(call.final.status, 200);
	bob.close();
	await until('the gateway to see it', async () => (await call.request('INFO')).status !== 200);
	assert.deepEqual(await lines(/ERROR|WARN/, async () => {
		for (const user of ['%00b', '%c3%a9', '%zz', 'b%7f', 'b%']) {
			await often(MAX / 2, () => void call.request('INFO', { remote: call.remote.replace(/sip:[^@]*@/, `sip:${user}@`) }).catch(() => {}));
			await read(mallory);
		}
	}), []);
});

test('a user fills no log by new calls with a description that rtpengine does not take', async () => {
	const mallory = await lab.party('mallory', { transport: 'tcp', Kind: Client });
	await lab.far();
	const about = await lines(rtpengine, async () => {
		for (let i = 0; i < 3 * MAX; i++) assert.equal((await mallory.outside('INVITE', `sip:100@${DOMAIN}`, { headers: ['Content-Type: application/sdp'], body: BAD })).status, 503);
	});
	assert.ok(about.length <= MAX + 4, `${about.length} lines: ${about.at(-1)}`);
});

for (const who of ['a user who is called', 'the trunk']) {
	test(`${who} fills no log, and no memory, by answers of one request without end${who === 'the trunk' ? '' : ', from many addresses'}`, async () => {
		const far = await lab.far({ answer: (m) => m.method !== 'INVITE' });
		const mallory = await lab.party('mallory', { transport: 'tcp', answer: (m) => m.method !== 'INVITE' });
		assert.equal((await mallory.register()).status, 200);
		const alice = await lab.party('alice', { transport: 'tcp' });
		const call = alice.call({ service: who === 'the trunk' ? '100' : 'mallory' });
		const called = who === 'the trunk' ? far : mallory;
		const invite = await called.take('the INVITE', (m) => m.method === 'INVITE' && !m.status);
		const text = replyTo(invite, 183, 'X', { to: `${invite.get('to')};tag=1`, body: BAD, fields: [`Contact: <${called.uri}>`, 'Content-Type: application/sdp'] });
		const entries = async () => Number(/name: strangers\s+slots: \d+\s+all: (\d+)/.exec(await lab.stack.kamailio.kamcmd('htable.stats'))[1]);
		const before = await entries();
		const refused = await lab.stat('replies_refused');
		const about = await lines(rtpengine, async () => {
			for (let i = 0; i < 4 * MAX; i++) {
				if (who === 'the trunk') {
					far.send(text);
					await sleep(2);
					continue;
				}
				const socket = await Endpoint.open({ ip: `127.0.7.${i + 1}`, to: lab.at() });
				socket.send(text);
				await sleep(2);
				socket.close();
			}
			await until('alice to have them', () => alice.inbox.filter((m) => m.status === 183).length === 4 * MAX);
		});
		assert.equal(await lab.stat('replies_refused'), refused);
		assert.ok(about.length > 0 && about.length <= MAX, `${about.length} lines: ${about.at(-1)}`);
		assert.ok(await entries() - before <= 1, `${await entries() - before} entries`);
		called.reply(invite, 486, 'Busy Here');
		assert.equal((await call).final.status, 486);
	});
}

test('calls that say that they replace one of a client, with the address of the trunk, are as many as others of it', async () => {
	const usage = new Usage(lab.stack.kamailio);
	const far = await lab.far();
	const lost = await (await lab.party('mallory', { Kind: Client })).call({ service: '100' });
	const back = await lab.party('mallory', { transport: 'tcp', answer: (m) => m.method !== 'INVITE' });
	assert.equal((await back.call({ service: '100', state: lost.state })).final.status, 200);
	const known = far.dialog(lost.callId);
	const forger = lab.keep(await Endpoint.open({ ip: TRUNK_IP, to: lab.at() }));
	const before = await usage.transactions();
	const replacing = () => {
		const callId = random();
		forger.send(message(`INVITE ${known.target} SIP/2.0`, [`Via: SIP/2.0/UDP ${forger.host};branch=z9hG4bK${callId}`, 'Max-Forwards: 70', `From: <sip:x@${DOMAIN}>;tag=1`, `To: <sip:mallory@${DOMAIN}>`,
			`Call-ID: ${callId}`, 'CSeq: 1 INVITE', `Contact: <sip:x@${forger.host}>`, `Replaces: ${known.callId};to-tag=${tagOf(known.remote)};from-tag=${tagOf(known.local)}`], sdp(TRUNK_IP, 9)));
	};
	const refused = () => forger.inbox.filter((m) => m.status === 503).length;
	await often(2 * MANY, replacing);
	await until('those that are too many to be refused', () => refused() >= MANY);
	const rings = back.requests.filter((m) => m.method === 'INVITE').length;
	assert.ok(rings > 0 && rings <= 30, `${rings} ring`);
	assert.ok(await usage.transactions() - before <= MANY, `${await usage.transactions() - before} transactions`);
});
