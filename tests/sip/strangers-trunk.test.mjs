// SPDX-License-Identifier: GPL-2.0-or-later
// What anybody can write over UDP: requests with the trunk's address.

import { after, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { Lab, STRANGER_IP, tagOf } from '../lib/lab.mjs';
import { Rtp, audioPort } from '../lib/rtp.mjs';
import { Client, Dialog, random, sdp } from '../lib/sip.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';

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

	test('the far end itself, with its Route, is believed', async () => {
		const { far, alice, call } = await called();
		assert.equal((await call.request('INVITE', { body: sdp(TRUNK_IP, far.media, 2) })).status, 200);
		call.ack();
		await lab.stack.audio(call.callId);
		assert.equal((await alice.dialog(call.callId).request('INFO')).status, 200);
		assert.equal((await call.request('BYE')).status, 200);
		await lab.stack.noMedia();
	});

	test('a call that replaces one of a client that has resumed is known as ours, to either side', async () => {
		const far = await lab.far();
		const alice = await lab.party('alice', { Kind: Client });
		const lost = await alice.call({ service: '100' });
		const back = await lab.party('alice');
		const resumed = await back.call({ service: '100', state: lost.state });
		assert.equal(resumed.final.status, 200);
		const d = far.dialog(lost.callId);
		const asked = await far.outside('INVITE', d.target, { to: `sip:alice@${DOMAIN}`, body: sdp(TRUNK_IP, far.media),
			headers: [`Replaces: ${d.callId};to-tag=${tagOf(d.remote)};from-tag=${tagOf(d.local)}`] });
		assert.equal(asked.status, 200);
		const other = new Dialog(far, { callId: asked.callId, cseq: far.last.cseq, local: asked.get('from'), remote: asked.get('to'), target: asked.contact, routes: asked.recordRoutes.reverse() });
		other.ack();
		far.dialogs.set(other.callId, other);
		assert.equal((await other.request('INFO')).status, 200);
		assert.equal((await back.dialog(other.callId).request('INFO')).status, 200);
		assert.equal((await other.request('BYE')).status, 200);
		assert.equal((await resumed.request('BYE')).status, 200);
		await lab.stack.noMedia();
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
		assert.doesNotMatch(lab.stack.kamailio.log().slice(length), /resolve/);
		assert.equal(await lab.stack.onlyCall(), call.callId);
		assert.equal((await far.dialog(call.callId).request('BYE')).status, 200);
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
