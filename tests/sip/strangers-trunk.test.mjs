// SPDX-License-Identifier: GPL-2.0-or-later
// What anybody can write over UDP: requests with the trunk's address.

import { after, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { Lab, STRANGER_IP, tagOf } from '../lib/lab.mjs';
import { Rtp, audioPort } from '../lib/rtp.mjs';
import { Client, Dialog, Endpoint, random, sdp } from '../lib/sip.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

describe('requests that claim the address of the trunk, over UDP', () => {
	let lab;
	before(async () => { lab = await Lab.start('trunk'); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	/** The trunk calls alice, with audio both ways. */
	async function called() {
		const audio = lab.keep(await Rtp.open());
		const alice = await lab.party('alice', { media: audio.port });
		assert.equal((await alice.register()).status, 200);
		const far = await lab.far();
		const call = await far.call({ service: 'alice', to: `sip:alice@${DOMAIN}` });
		assert.equal(call.final.status, 200);
		audio.send(audioPort(alice.requests.find((m) => m.method === 'INVITE').body), '127.0.0.1');
		far.audio.send(audioPort(call.final.body), '127.0.0.1');
		await lab.stack.audio(call.callId);
		return { alice, far, audio, call };
	}

	test('in a dialog, with its names but without our reference in the Route: not relayed, and rtpengine is not asked', async () => {
		const { alice, far, audio, call } = await lab.call();
		const forger = await lab.party('bob', { ip: TRUNK_IP });
		const spy = lab.keep(await Rtp.open({ ip: TRUNK_IP }));
		const d = far.dialog(call.callId);
		await lab.unharmed({ far, audio, call }, async () => {
			for (const routes of [[], [`<sip:${lab.stack.gateway};lr>`], d.routes.map((r) => r.replace(/crs-a=...../, 'crs-a=aaaaa'))]) {
				const forged = new Dialog(forger, { callId: d.callId, local: d.local, remote: d.remote, target: d.target, routes, cseq: 90 });
				const seen = alice.requests.length;
				assert.equal((await forged.request('INVITE', { body: sdp(TRUNK_IP, spy.port, 5) })).status, 481);
				assert.equal((await forged.request('BYE')).status, 481);
				forged.ack({ body: sdp(TRUNK_IP, spy.port, 6) });
				assert.equal((await forged.request('INFO')).status, 481);
				assert.equal(alice.requests.length, seen);
			}
		});
		assert.equal(spy.received, 0);
	});

	test('in a call of one\'s own with the trunk: nothing to that one, however its address is written', async () => {
		const far = await lab.far();
		const mallory = await lab.party('mallory');
		const call = await mallory.call({ service: '100' });
		assert.equal(call.final.status, 200);
		await far.take('the ACK', (m) => m.method === 'ACK');
		const forger = await lab.party('x', { ip: TRUNK_IP, token: undefined });
		const seen = far.requests.length;
		// Her own Route, one that says that its sender is the other side, and one with a reference that she has made up.
		const routes = [call.routes, call.routes.map((r) => r.replace(/ftag=[^;>]*/, `ftag=${tagOf(call.remote)}`)), call.routes.map((r) => r.replace(/;lr/, ';lr;crs-b=aaaaaaaa'))];
		for (const host of [TRUNK_IP, '127.0.0.002', '127.2', '2130706434', 'localhost', 'trunk.invalid']) {
			for (const route of routes) {
				const forged = new Dialog(forger, { ...call, party: forger, cseq: 90, target: `sip:100@${host}:${far.port}`, routes: route });
				assert.equal((await forged.request('INFO', { headers: [`P-Asserted-Identity: <sip:ceo@${DOMAIN}>`] })).status, 481, host);
			}
		}
		assert.equal(far.requests.length, seen);
		assert.deepEqual(lab.stack.kamailio.logged(/resolve/), []);
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('to a name with an escape that is none: 484, and no line', async () => {
		const forger = await lab.party('bob', { ip: TRUNK_IP, token: undefined });
		const { length } = lab.stack.kamailio.log();
		for (const method of ['INVITE', 'MESSAGE']) {
			for (const user of ['x%zz', 'x%a', 'x%', '%az', '%g1', '%61lice%Fa', '%0a', '%7F']) assert.equal((await forger.outside(method, `sip:${user}@${DOMAIN}`, { to: `sip:alice@${DOMAIN}` })).status, 484);
		}
		assert.equal((await forger.outside('MESSAGE', `sip:%61lice%3A%7e@${DOMAIN}`)).status, 480);
		assert.deepEqual(lab.stack.kamailio.logged(/./, length), []);
	});

	test('the far end itself, with its Route, is believed', async () => {
		const { far, alice, call } = await called();
		assert.equal((await call.request('INVITE', { body: sdp(TRUNK_IP, far.media, 2) })).status, 200);
		call.ack();
		await lab.stack.audio(call.callId);
		assert.equal((await alice.dialog(call.callId).request('INFO')).status, 200);
		assert.equal((await call.request('BYE')).status, 200);
		await lab.stack.noMedia();
	});

	/** A call of alice, who has resumed it; d: the far end's side of it, ask: the INVITE of a call that replaces it. */
	async function resumed(transport) {
		const far = await lab.far();
		const alice = await lab.party('alice', { Kind: Client });
		const lost = await alice.call({ service: '100' });
		const back = await lab.party('alice', { transport });
		if (transport === 'udp') assert.equal((await back.register()).status, 200);
		const call = await back.call({ service: '100', state: lost.state });
		assert.equal(call.final.status, 200);
		const d = far.dialog(lost.callId);
		const ask = (uri, to = `sip:alice@${DOMAIN}`) => far.outside('INVITE', uri, { to, body: sdp(TRUNK_IP, far.media),
			headers: [`Replaces: ${d.callId};to-tag=${tagOf(d.remote)};from-tag=${tagOf(d.local)}`] });
		return { far, back, call, d, ask };
	}

	for (const [transport, to] of [['udp', `sip:alice@${DOMAIN}`], ['udp', 'sip:alice@127.0.0.1'], ['tcp', 'sip:alice@127.0.0.1'], ['ws', `sip:alice@${DOMAIN}`]]) {
		test(`a call to ${to} over ${transport} that replaces one of a client that has resumed is known as ours, to either side`, async () => {
			const { far, back, call, d, ask } = await resumed(transport);
			const asked = await ask(d.target, to);
			assert.equal(asked.status, 200);
			const other = new Dialog(far, { callId: asked.callId, cseq: far.last.cseq, local: asked.get('from'), remote: asked.get('to'), target: asked.contact, routes: asked.recordRoutes.reverse() });
			other.ack();
			far.dialogs.set(other.callId, other);
			assert.equal((await other.request('INFO')).status, 200);
			assert.equal((await back.dialog(other.callId).request('INFO')).status, 200);
			assert.equal((await other.request('BYE')).status, 200);
			assert.equal((await call.request('BYE')).status, 200);
			await lab.stack.noMedia();
		});
	}

	/** Where an INVITE is not to go: that many places, and what to look at afterwards. */
	async function places() {
		const reader = await lab.stranger();
		const inside = await lab.trap();
		const { length } = lab.stack.kamailio.log();
		return {
			uris: [`sip:alice@${STRANGER_IP}:${reader.port}`, `sip:x@y.invalid;alias=${STRANGER_IP}~${reader.port}~1`, `sip:x@127.0.0.1:${inside.port};transport=tcp`,
				`sip:x@y.invalid;alias=127.0.0.1~${inside.port}~2`, `sip:x@127.0.0.1:${inside.port};crc=1`, 'sip:x@n1.slow.example', 'sip:x@y.invalid;alias=n1.slow.example~5060~1'],
			untouched() {
				assert.deepEqual(reader.inbox, []);
				assert.equal(inside.connections, 0);
				assert.deepEqual(lab.stack.kamailio.logged(/resolve/, length), []);
			},
		};
	}

	test('one that says that it replaces a call, with the reference of one\'s own that is over: it goes nowhere', async () => {
		await lab.far();
		const mallory = await lab.party('mallory');
		const call = await mallory.call({ service: '100' });
		assert.equal((await call.request('BYE')).status, 200);
		await lab.stack.dropMedia();
		const forger = await lab.party('bob', { ip: TRUNK_IP, token: undefined });
		const { uris, untouched } = await places();
		for (const uri of uris) {
			const asked = await forger.outside('INVITE', uri, { to: `sip:alice@${DOMAIN}`, callId: call.callId, body: sdp(TRUNK_IP, 9), headers: ['Replaces: any;to-tag=1;from-tag=2', ...call.routes.map((r) => `Route: ${r}`)] });
			assert.equal(asked.status, 480, uri);
		}
		untouched();
		await lab.stack.noMedia();
	});

	test('one that replaces a call, with the map of it in a Contact that is not the client\'s: it goes nowhere', async () => {
		const { call, d, ask } = await resumed('tcp');
		const { uris, untouched } = await places();
		const map = /;crm1=[^;>]*/.exec(d.target)[0];
		for (const uri of uris) assert.equal((await ask(uri + map)).status, 480, uri);
		untouched();
		assert.equal(await lab.stack.onlyCall(), d.callId);
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('one that says that it replaces a call, to a Contact that is made up: it goes nowhere', async () => {
		const { far, call } = await called();
		const forger = await lab.party('bob', { ip: TRUNK_IP });
		const reader = await lab.stranger();
		const inside = await lab.trap();
		const { length } = lab.stack.kamailio.log();
		const names = ['none;to-tag=1;from-tag=2', `${call.callId};to-tag=${tagOf(call.remote)};from-tag=${tagOf(call.local)}`];
		for (const replaces of names) {
			for (const uri of [`sip:x@${STRANGER_IP}:${reader.port};crm1=x`, `sip:x@127.0.0.1:${inside.port};transport=tcp;crm1=x`,
				`sip:x@y.invalid;crm1=x;alias=127.0.0.1~${inside.port}~2`, 'sip:x@n1.slow.example;crm1=x']) {
				const asked = await forger.outside('INVITE', uri, { to: `sip:alice@${DOMAIN}`, body: sdp(TRUNK_IP, 9), headers: [`Replaces: ${replaces}`] });
				assert.equal(asked.status, 480, asked.start);
			}
		}
		assert.deepEqual(reader.inbox, []);
		assert.equal(inside.connections, 0);
		assert.deepEqual(lab.stack.kamailio.logged(/resolve/, length), []);
		assert.equal(await lab.stack.onlyCall(), call.callId);
		assert.equal((await far.dialog(call.callId).request('BYE')).status, 200);
	});

	for (const [when, transports, body] of [['one that rings', ['udp', 'udp'], sdp(TRUNK_IP, 9)], ['one that rings, over TCP', ['tcp', 'tcp'], sdp(TRUNK_IP, 9)],
		['one that rings, without an offer', ['udp', 'udp'], '']]) {
		test(`a second call under the Call-ID of ${when}: 482, and nobody else gets a reference of that call`, async () => {
			const parties = [];
			for (const user of ['alice', 'mallory']) {
				const party = await lab.party(user, { answer: (m) => m.method !== 'INVITE' });
				assert.equal((await party.register()).status, 200);
				parties.push(party);
			}
			const trunk = await Promise.all(transports.map((transport) => lab.party('bob', { ip: TRUNK_IP, transport, token: undefined })));
			for (let round = 0; round < 6; round++) {
				const [callId, tag] = [random(), random()];
				const answers = parties.map((party, i) => trunk[i].outside('INVITE', `sip:${party.user}@${DOMAIN}`, { callId, tag, body }));
				// Both at once: one of them rings, the other one's call is refused.
				const refused = await Promise.race(answers);
				assert.equal(refused.start, 'SIP/2.0 482 Call-ID In Use');
				const called = await until('the other one', () => parties.map((party) => party.requests.find((m) => m.callId === callId)).find(Boolean));
				const rings = parties.find((party) => party.requests.includes(called));
				assert.ok(parties.every((party) => party === rings || !party.requests.some((m) => m.callId === callId)));
				if (body) assert.equal(await lab.stack.onlyCall(), callId, 'the one that rings keeps its media');
				rings.accept(called);
				assert.deepEqual((await Promise.all(answers)).map((m) => m.status).sort(), [200, 482]);
				assert.equal(await lab.stack.onlyCall(), callId);
				await lab.stack.dropMedia();
			}
		});
	}

	test('a second call under the Call-ID of one that waits for its client, and the other way round: 482', async () => {
		const alice = await lab.party('alice', { answer: (m) => m.method !== 'INVITE' });
		assert.equal((await alice.register()).status, 200);
		const trunk = await lab.party('x', { ip: TRUNK_IP, token: undefined });
		const call = (user, callId) => trunk.outside('INVITE', `sip:${user}@${DOMAIN}`, { callId, tag: 'one', body: sdp(TRUNK_IP, 9) });
		const trying = (callId) => trunk.take('the 100', (m) => m.status === 100 && m.callId === callId);
		for (const [first, second] of [['alice', 'mallory'], ['mallory', 'alice']]) {
			// Who has just left may be back in a moment.
			const left = await lab.party('mallory', { transport: 'ws' });
			assert.equal((await left.register()).status, 200);
			left.close();
			await until('its connection to be gone', async () => !(await lab.stack.kamailio.kamcmd('core.tcp_list').catch(() => '')).includes(`:${left.port}`));
			const callId = random();
			const answer = call(first, callId);
			if (first === 'alice') await until('her phone to ring', () => alice.requests.some((m) => m.callId === callId));
			else await trying(callId);
			assert.equal((await call(second, callId)).start, 'SIP/2.0 482 Call-ID In Use');
			if (first === 'alice') alice.accept(alice.requests.find((m) => m.callId === callId));
			assert.equal((await answer).status, first === 'alice' ? 200 : 480);
			assert.equal(alice.requests.some((m) => m.callId === callId), first === 'alice');
			await lab.stack.dropMedia();
		}
		assert.deepEqual(lab.stack.kamailio.logged(/ERROR|WARNING: (?!.*allow_insecure)/), []);
	});

	test('a call that was refused leaves its Call-ID free, for the next one of whom it goes to', async () => {
		const busy = await lab.party('mallory', { answer: (m) => m.method !== 'INVITE' || (busy.reply(m, 486, 'Busy Here'), false) });
		const alice = await lab.party('alice');
		for (const party of [busy, alice]) assert.equal((await party.register()).status, 200);
		const trunk = await lab.party('x', { ip: TRUNK_IP, token: undefined });
		for (let round = 0; round < 10; round++) {
			const [callId, tag] = [random(), random()];
			const call = (user) => trunk.outside('INVITE', `sip:${user}@${DOMAIN}`, { callId, tag, body: sdp(TRUNK_IP, 9) });
			assert.equal((await call('mallory')).status, 486);
			assert.equal((await call('alice')).status, 200);
			await lab.stack.dropMedia();
		}
	});

	test('a new call with the Call-ID of one that is up: 482, and the media of that call stay', async () => {
		const { alice, far, audio, call } = await called();
		const spy = lab.keep(await Rtp.open({ ip: TRUNK_IP }));
		const forger = await lab.party('bob', { ip: TRUNK_IP, token: undefined, media: spy.port });
		const seen = alice.requests.length;
		await lab.unharmed({ far, audio, call }, async () => {
			for (const tag of [tagOf(call.local), random()]) {
				const own = await forger.call({ service: 'alice', callId: call.callId, tag });
				assert.equal(own.final.start, 'SIP/2.0 482 Call-ID In Use');
			}
			assert.equal(alice.requests.length, seen);
		});
		assert.equal(spy.received, 0);
	});
});

describe('the address of a trunk that is reached over TCP, over UDP', () => {
	for (const [uri, defines, believed] of [['transport=tcp', {}, false], ['transport=TLS', {}, false], ['transport=tcp', { WITH_TRUNK_UDP: true }, true], ['transport=udp', {}, true]]) {
		test(`${uri}${defines.WITH_TRUNK_UDP ? ', with WITH_TRUNK_UDP' : ''}: ${believed ? 'begins a call' : 'is a stranger\'s, and rings nowhere'}`, async () => {
			const lab = await Lab.start('trunk-transport', { defines: { TRUNK_URI: `"sip:${TRUNK_IP}:5090;${uri}"`, ...defines } });
			try {
				const alice = await lab.party('alice');
				assert.equal((await alice.register()).status, 200);
				const forger = await lab.party('x', { ip: TRUNK_IP, token: undefined });
				const call = await forger.call({ service: 'alice' });
				assert.equal(call.final.status, believed ? 200 : 401);
				if (believed) return;
				assert.deepEqual(alice.requests, []);
				assert.deepEqual(await lab.stack.rtpengine.calls(), []);
				const trunk = await lab.party('x', { ip: TRUNK_IP, transport: 'tcp', token: undefined });
				const own = await trunk.call({ service: 'alice' });
				assert.equal(own.final.status, 200);
				assert.equal((await own.request('BYE')).status, 200);
			} finally {
				await lab.clear();
				await lab.stack.stop();
			}
		});
	}
});

describe('a call that begins with the address of the trunk', () => {
	let lab;
	before(async () => { lab = await Lab.start('ringing', { rtpengine: { args: ['--log-level=6'] } }); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	/** alice, who takes every call and talks. */
	async function phone(options) {
		const audio = lab.keep(await Rtp.open());
		const alice = await lab.party('alice', { media: audio.port, ...options });
		assert.equal((await alice.register()).status, 200);
		return Object.assign(alice, { audio });
	}

	const inviteOf = (party) => party.take('the INVITE', (m) => m.method === 'INVITE');
	const talks = (alice, invite) => alice.audio.send(audioPort(invite.body), lab.stack.rtpengine.ip);

	/** alice has said that much, and rtpengine has got it. */
	async function said(callId, tag, packets = 50) {
		const got = async () => (await lab.stack.rtpengine.packets(callId))[tag] ?? 0;
		const before = await got();
		await until('alice to have said something', async () => await got() - before >= packets);
	}

	/** What rtpengine was asked since then, of what holds media and lets them go. */
	const holds = (from) => [...lab.stack.rtpengine.proc.output().slice(from).matchAll(/Received command '((?:un)?block media)'/g)].map((m) => m[1]);

	for (const kind of ['an offer', 'no offer']) {
		test(`forged, with ${kind}, and answered: its sender hears nobody, and nobody hears him`, async () => {
			const alice = await phone();
			const spy = lab.keep(await Rtp.open({ ip: STRANGER_IP }));
			const forger = await lab.party('bob', { ip: TRUNK_IP });
			const body = kind === 'an offer' ? sdp(STRANGER_IP, spy.port) : '';
			const call = await forger.call({ service: 'alice', body, acknowledge: false });
			assert.equal(call.final.status, 200);
			const invite = await inviteOf(alice);
			const tag = tagOf(alice.dialog(invite.callId).local);
			if (body) talks(alice, invite);
			// He sees neither this 200 nor where his media would have to go; let him know the latter.
			spy.send(audioPort(call.final.body), lab.stack.rtpengine.ip);
			if (body) await said(call.callId, tag);
			// What he can make up proves nothing.
			const mine = new Dialog(forger, { callId: call.callId, local: call.local, remote: call.remote, target: call.target, routes: [`<sip:${lab.stack.gateway};lr>`], cseq: call.cseq });
			mine.ack({ body: body ? '' : sdp(STRANGER_IP, spy.port) });
			new Dialog(forger, { ...mine, routes: [] }).ack({ body: body ? '' : sdp(STRANGER_IP, spy.port) });
			assert.equal((await mine.request('PRACK')).status, 481);
			alice.accept(invite);
			await forger.take('the 200 again', (m) => m.status === 200);
			const { sent } = spy;
			if (body) await said(call.callId, tag);
			await until('him to have spoken', () => spy.sent >= sent + 25);
			assert.equal(spy.received, 0);
			assert.equal(alice.audio.received, 0);
		});
	}

	test('the trunk\'s own is heard both ways from its ACK on, for two commands more', async () => {
		const alice = await phone();
		const far = await lab.far();
		const { length } = lab.stack.rtpengine.proc.output();
		const call = await far.call({ service: 'alice', acknowledge: false });
		talks(alice, await inviteOf(alice));
		await said(call.callId, tagOf(alice.dialog(call.callId).local));
		assert.equal(far.audio.received, 0);
		call.ack();
		await lab.stack.talk(alice, '', call.callId);
		// A second one, and a 200 that comes again, change nothing.
		call.ack();
		alice.accept(alice.requests.find((m) => m.method === 'INVITE'));
		await far.take('the 200 again', (m) => m.status === 200);
		await lab.stack.talk(alice, '', call.callId);
		assert.equal((await call.request('INVITE', { body: sdp(TRUNK_IP, far.media, 2) })).status, 200);
		call.ack();
		await lab.stack.talk(alice, '', call.callId);
		assert.deepEqual(holds(length), ['block media', ...Array(3).fill('unblock media')], 'one for each ACK');
		assert.equal((await call.request('BYE')).status, 200);
		await lab.stack.noMedia();
	});

	test('its ACK is lost, and the 200 comes again: the next one does', async () => {
		const alice = await phone();
		const far = await lab.far();
		const call = await far.call({ service: 'alice', acknowledge: false });
		const invite = await inviteOf(alice);
		talks(alice, invite);
		alice.accept(invite);
		await far.take('the 200 again', (m) => m.status === 200);
		call.ack();
		await lab.stack.talk(alice, '', call.callId);
		assert.equal((await alice.dialog(call.callId).request('BYE')).status, 200);
		await lab.stack.noMedia();
	});

	test('its ACK comes from another address', async () => {
		const alice = await phone();
		const far = await lab.far();
		const other = await lab.stranger({ ip: '127.0.0.4' });
		const call = await far.call({ service: 'alice', acknowledge: false });
		talks(alice, await inviteOf(alice));
		other.send(call.text('ACK'));
		await lab.stack.talk(alice, '', call.callId);
	});

	test('its offer is in the ACK', async () => {
		const alice = await phone();
		const far = await lab.far();
		const call = await far.call({ service: 'alice', body: '', acknowledge: false });
		assert.equal(call.final.status, 200);
		call.ack({ body: sdp(TRUNK_IP, far.media) });
		const ack = await alice.take('the ACK', (m) => m.method === 'ACK');
		talks(alice, ack);
		await lab.stack.talk(alice, '', call.callId);
	});

	test('early media of a client that is called: from the PRACK on', async () => {
		const alice = await phone({ answer: (m) => m.method !== 'INVITE' });
		const far = await lab.far();
		const calling = far.call({ service: 'alice', headers: ['Supported: 100rel'] });
		const invite = await inviteOf(alice);
		alice.dialogs.set(invite.callId, new Dialog(alice, { callId: invite.callId, local: `${invite.get('to')};tag=early`, remote: invite.get('from'), routes: invite.recordRoutes, target: invite.contact }));
		alice.reply(invite, 183, 'Session Progress', { body: sdp(alice.ip, alice.media), contact: true, copy: true, headers: ['Require: 100rel', 'RSeq: 1'] });
		const progress = await far.take('the 183', (m) => m.status === 183);
		talks(alice, invite);
		await said(invite.callId, 'early');
		assert.equal(far.audio.received, 0);
		const early = new Dialog(far, { callId: invite.callId, local: progress.get('from'), remote: progress.get('to'), target: progress.contact, routes: progress.recordRoutes.reverse(), cseq: far.last.cseq });
		assert.equal((await early.request('PRACK', { headers: [`RAck: 1 ${far.last.cseq} INVITE`] })).status, 200);
		await lab.stack.talk(alice, '', invite.callId);
		alice.accept(invite);
		assert.equal((await calling).final.status, 200);
		await lab.stack.talk(alice, '', invite.callId);
	});

	test('makes no phone answer by itself, nor fetch or play something; the trunk\'s own in a call, or over TCP, says what it likes', async () => {
		const off = ['Call-Info: <sip:x>;answer-after=0', 'Alert-Info: <http://x/>;info=alert-autoanswer', 'Answer-Mode: Auto', 'Priv-Answer-Mode: Auto', 'Auto-Answer: yes', 'P-Auto-Answer: normal', 'Call_Info: <sip:x>;answer-after=0', 'Auto_Answer: yes'];
		const names = off.map((f) => f.split(':')[0].toLowerCase());
		const has = (m) => names.filter((n) => m.get(n));
		const alice = await phone();
		const forger = await lab.party('bob', { ip: TRUNK_IP });
		const headers = [...off, 'Subject: passes'];
		assert.equal((await forger.call({ service: 'alice', headers })).final.status, 200);
		assert.equal((await forger.outside('MESSAGE', `sip:alice@${DOMAIN}`, { headers })).status, 200);
		for (const method of ['INVITE', 'MESSAGE']) {
			const m = await alice.take(`the ${method}`, (r) => r.method === method);
			assert.deepEqual([has(m), m.get('subject')], [[], 'passes'], method);
		}
		const far = await lab.far();
		const call = await far.call({ service: 'alice' });
		assert.equal((await call.request('INFO', { headers })).status, 200);
		assert.deepEqual(has(await alice.take('the INFO', (r) => r.method === 'INFO')), names);
		const trunk = await lab.party('bob', { ip: TRUNK_IP, transport: 'tcp' });
		assert.equal((await trunk.outside('MESSAGE', `sip:alice@${DOMAIN}`, { headers })).status, 200);
		assert.deepEqual(has(alice.requests.findLast((r) => r.method === 'MESSAGE')), names);
	});

	test('over TCP the connection proves the address: nothing is held', async () => {
		const alice = await phone();
		const { length } = lab.stack.rtpengine.proc.output();
		const audio = lab.keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
		const far = await lab.party('bob', { ip: TRUNK_IP, transport: 'tcp', media: audio.port });
		const call = await far.call({ service: 'alice', acknowledge: false });
		talks(alice, await inviteOf(alice));
		await lab.stack.talk(alice, '', call.callId);
		call.ack();
		assert.equal((await call.request('BYE')).status, 200);
		assert.deepEqual(holds(length), []);
	});

	test('a call of a client to the trunk, and its resume: nothing is held', async () => {
		const { length } = lab.stack.rtpengine.proc.output();
		const { far, alice, call } = await lab.call();
		alice.close();
		const audio = lab.keep(await Rtp.open());
		const back = await lab.party('alice', { media: audio.port });
		const resumed = await back.call({ state: call.state });
		assert.equal(resumed.final.status, 200);
		await lab.stack.talk({ audio }, resumed.final.body, call.callId);
		assert.equal((await far.dialog(call.callId).request('INVITE', { body: sdp(TRUNK_IP, far.media, 2) })).status, 200);
		far.dialog(call.callId).ack();
		await lab.stack.talk({ audio }, resumed.final.body, call.callId);
		assert.deepEqual(holds(length), []);
	});
});

describe('calls that nobody has answered, with the address of the trunk', () => {
	let lab;
	before(async () => { lab = await Lab.start('unanswered', { defines: { RINGING_MAX: 8, TRUNK_RINGING_MAX: 12 } }); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	const streams = (n, ip = TRUNK_IP) => sdp(ip, 4000) + Array.from({ length: n - 1 }, (_, i) => `m=audio ${4002 + 2 * i} RTP/AVP 8\r\n`).join('');

	/** Kamailio's hash of a string (core_hash()), of as many bits as tables in shared memory have. */
	function hash(text) {
		let h = 0;
		for (const part of text.match(/.{1,4}/g)) {
			const v = [...part].reduce((n, c) => (n << 8) + c.charCodeAt(0), 0) >>> 0;
			h = (h + (v ^ (v >>> 3))) >>> 0;
		}
		return (h + (h >>> 11) + (h >>> 13) + (h >>> 23)) & 0x1fff;
	}

	/** A client whose phone rings. */
	async function phone(user) {
		const party = await lab.party(user, { answer: (m) => m.method !== 'INVITE' || (party.reply(m, 180, 'Ringing'), false) });
		assert.equal((await party.register()).status, 200);
		// Without what comes again.
		const calls = () => [...new Map(party.requests.filter((m) => m.method === 'INVITE').map((m) => [m.callId, m])).values()];
		return Object.assign(party, { calls, rings: (n) => until(`${n} calls`, () => calls().length === n) });
	}

	/** An INVITE of so many streams; resolves with its answer. */
	const rings = (party, user, body) => party.outside('INVITE', `sip:${user}@${DOMAIN}`, { body });

	test('ring at a client as far as its streams go, and at all as far as those of the trunk go; others call', async () => {
		const [bob, alice] = [await phone('bob'), await phone('alice')];
		const forger = await lab.party('x', { ip: TRUNK_IP, token: undefined });
		const mallory = await lab.party('mallory');
		const waiting = [rings(forger, 'bob', streams(5))];
		await bob.rings(1);
		assert.equal((await rings(forger, 'bob', streams(4))).status, 486);
		assert.equal((await rings(forger, 'bob', streams(4).replace('v=0', '--x\r\n\r\nv=0'))).status, 486, 'what cannot be read counts in full');
		waiting.push(rings(forger, 'bob', ''), rings(forger, 'bob', streams(2)));
		await bob.rings(3);
		assert.equal((await rings(forger, 'bob', streams(1))).status, 486);
		// Nobody else is kept from calling: what anybody can forge counts apart.
		const other = await lab.party('x', { ip: TRUNK_IP, transport: 'tcp', token: undefined });
		waiting.push(rings(mallory, 'bob', streams(6, '127.0.0.1')), rings(other, 'bob', streams(2)));
		await bob.rings(5);
		assert.equal((await rings(mallory, 'bob', streams(1, '127.0.0.1'))).status, 486, 'of a client too');
		assert.equal((await rings(mallory, '%62o%62', streams(1, '127.0.0.1'))).status, 486, 'by whatever name lookup() finds him');
		assert.equal((await mallory.outside('INVITE', `sip:bob@${DOMAIN.toUpperCase()}`, { body: streams(1, '127.0.0.1') })).status, 486, 'nor by its domain');
		// Eight of the trunk so far.
		waiting.push(rings(forger, 'alice', streams(4)));
		await alice.rings(1);
		const refused = await rings(forger, 'alice', streams(1));
		assert.equal(refused.start, 'SIP/2.0 503 Too many calls that nobody has answered');
		assert.equal(refused.get('retry-after'), '10');
		const tcp = await lab.party('x', { ip: TRUNK_IP, transport: 'tcp', token: undefined });
		waiting.push(rings(tcp, 'alice', streams(1)), rings(mallory, 'alice', streams(1, '127.0.0.1')));
		await alice.rings(3);
		assert.equal((await lab.stack.rtpengine.calls()).length, 7, 'and one without an offer');
		// They end, and there is room again.
		for (const party of [bob, alice]) {
			for (const m of party.calls()) party.reply(m, 603, 'Decline');
		}
		for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 603);
		bob.answer = () => true;
		assert.equal((await rings(forger, 'bob', streams(8))).status, 200);
		assert.equal((await rings(forger, 'bob', streams(8))).status, 200, 'the one before is answered');
	});

	test('keep nobody from calling another client, whose name has the same hash', async () => {
		const user = Array.from({ length: 1e6 }, (_, i) => `user${i}`).find((u) => hash(`trunk ${u}@${DOMAIN}`) === hash(`bob@${DOMAIN}`));
		lab.tokens[user] = await lab.stack.kamailio.token(`sip:${user}@${DOMAIN}`, `s-${user}`);
		const [bob, called] = [await phone('bob'), await phone(user)];
		const forger = await lab.party('x', { ip: TRUNK_IP, token: undefined });
		const mallory = await lab.party('mallory');
		const waiting = [rings(forger, user, streams(8))];
		await called.rings(1);
		assert.equal((await rings(forger, user, streams(1))).status, 486);
		waiting.push(rings(mallory, 'bob', streams(8, '127.0.0.1')));
		await bob.rings(1);
		assert.equal((await rings(mallory, 'bob', streams(1, '127.0.0.1'))).status, 486);
		for (const party of [bob, called]) party.calls().forEach((m) => party.reply(m, 603, 'Decline'));
		for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 603);
	});
});

describe('a call that somebody has begun with the address of the trunk over UDP, and hung up by who was called', () => {
	let lab;
	before(async () => { lab = await Lab.start('inside', { defines: { MEDIA_DENIED: '"127.0.0.1, 127.0.0.9/32"' } }); });
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	test('nothing is sent to an address inside, which its Contact names', async () => {
		const inside = lab.keep(await Endpoint.open({ ip: '127.0.0.9' }));
		const alice = await lab.party('alice', { ip: '127.0.0.5' });
		assert.equal((await alice.register()).status, 200);
		const forger = await lab.party('bob', { ip: TRUNK_IP });
		Object.defineProperty(forger, 'uri', { value: `sip:PLANTED@127.0.0.9:${inside.port}` });
		const call = await forger.call({ service: 'alice', acknowledge: false });
		assert.equal(call.final.status, 200);
		const bye = await alice.dialog(call.callId).request('BYE');
		assert.ok(bye.status >= 400, bye.start);
		assert.deepEqual(inside.inbox, []);
		await lab.stack.noMedia();
	});
});
