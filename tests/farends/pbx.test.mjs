// SPDX-License-Identifier: GPL-2.0-or-later
// What a PBX does by itself, with Asterisk: it joins two calls (RFC 5589 section 7), plays music to who is on hold, and
// asks for T.38 for a fax behind it. A client may be lost before, after, and meanwhile.

import { test } from 'node:test';
import assert from 'node:assert/strict';

import { Asterisk } from '../lib/asterisk.mjs';
import { HandPhone } from '../lib/handphone.mjs';
import { audioPort } from '../lib/rtp.mjs';
import { farScene } from '../lib/farend.mjs';
import { heard, sdp } from '../lib/voice.mjs';
import { until } from '../lib/wait.mjs';

/** Behind it, on the test's side of the network. */
const PHONE_IP = '10.99.0.9';
/** What tests/lib/asterisk.mjs has as music. */
const MUSIC = 200;

const of = (method) => (m) => !m.status && m.method === method;
const tag = (field) => /;tag=([^;>]+)/.exec(field)[1];
/** A dialog of the sender, for who has the other side of it (RFC 3891 section 3). */
const referTo = (uri, d) => `Refer-To: <${uri}?Replaces=${
	encodeURIComponent(`${d.callId};to-tag=${tag(d.remote)};from-tag=${tag(d.local)}`)}>`;

let asterisk, phone;
async function start(stack, network) {
	network.outside(PHONE_IP);
	phone = await HandPhone.start({ ip: PHONE_IP, user: 'phone', to: { ip: stack.trunkIp, port: stack.trunkPort } });
	asterisk = await Asterisk.start(stack, { phone, extra: { t38_udptl: 'yes' }, network });
	return Object.assign(phone, { stop: () => asterisk.stop() });
}

farScene('Asterisk by itself', start, {}, ({ gateway, alice, talk, up, resume, back, offer, endedBy, isOver, another, stack }) => {
	/** A REFER that has worked. */
	async function refer(party, dialog, to) {
		const reply = await dialog.request('REFER', { headers: [to, `Contact: <${party.uri}>`] });
		assert.equal(reply.status, 202, reply.start);
		await until('word that it has worked', async () => {
			const notify = await party.take('a NOTIFY', (m) => of('NOTIFY')(m) && m.callId === dialog.callId);
			return /^SIP\/2\.0 200/.test(notify.body);
		});
	}

	const hears = (one, hertz) => {
		one.voice.forget();
		return until(`${hertz} Hz to be heard`, () => one.voice.hears(hertz));
	};

	for (const role of ['caller', 'callee']) {
		for (const lives of [1, 2]) {
			const when = lives === 1 ? 'in its first life' : 'back';

			test(`${role}, ${when}: the phone asks carol first, and joins the two`, async () => {
				let call = await up(role);
				if (lives === 2) call = await back(call);
				const { callId } = phone.party.dialog([...phone.up][0]);
				const carol = await another();
				const { trunkIp, trunkPort } = stack();
				const asked = await phone.party.call({ service: 'carol', body: sdp(phone.voice) });
				assert.equal(asked.final.status, 200, asked.final.start);
				phone.up.add(asked.callId);
				const invite = await carol.take('the INVITE', of('INVITE'));
				carol.voice.speak({ ip: gateway, port: audioPort(invite.body) }, { hertz: 1500 });
				await refer(phone.party, phone.party.dialog(callId), referTo(`sip:carol@${trunkIp}:${trunkPort}`, asked));
				await hears(call.one, 1500);
				call.one.leave();
				const one = await alice(2);
				const mine = await resume(one, call.state);
				assert.equal(mine.final.status, 200, mine.final.start);
				one.voice.speak({ ip: gateway, port: audioPort(mine.final.body) }, { hertz: 700, seq: 20000 });
				await hears(one, 1500);
				await hears(carol, 700);
				assert.equal((await mine.request('BYE')).status, 200);
				await carol.take('the BYE', of('BYE'));
				// Who has joined two others hangs up by himself.
				if (phone.calls()) await phone.hangup();
				await isOver();
			});

			test(`${role}, ${when}: it asks a recorder first, and joins that and the phone`, async () => {
				let call = await up(role);
				let second = await call.one.call({ service: 'record', body: sdp(call.one.voice) });
				assert.equal(second.final.status, 200, second.final.start);
				if (lives === 2) {
					const { state } = second;
					call = await back(call);
					second = await call.one.call({ state, body: sdp(call.one.voice) });
					assert.equal(second.final.status, 200, second.final.start);
				}
				await refer(call.one, call.mine, referTo('sip:record@example.org', second));
				const { length } = asterisk.recorded();
				await until('the recording to have the phone', () => heard(asterisk.recorded().subarray(length), phone.hums));
				await call.one.take('the BYE', (m) => of('BYE')(m) && m.callId === second.callId);
				assert.equal((await call.mine.request('BYE')).status, 200);
				await phone.hangup();
				await isOver();
			});
		}

		test(`${role}: music on hold, before and after it was lost, and until the phone is back`, async () => {
			const call = await up(role);
			// Asterisk passes on what a phone says all the same.
			phone.voice.hush();
			await phone.hold();
			await hears(call.one, MUSIC);
			call.one.leave();
			const one = await alice(1);
			const mine = await resume(one, call.state);
			assert.equal(mine.final.status, 200, mine.final.start);
			one.voice.speak({ ip: gateway, port: audioPort(mine.final.body) }, { hertz: 700, seq: 25000 });
			await hears(one, MUSIC);
			await phone.unhold();
			phone.voice.speak(phone.at, { hertz: phone.hums });
			await hears(one, phone.hums);
			await hears(phone, 700);
			await endedBy({ one, mine }, 'client');
		});

		test(`${role}: the phone hears music while it is on hold, also while the client is lost; and then the client`, async () => {
			const call = await up(role);
			const held = await offer(call, 'sendonly');
			await hears(phone, MUSIC);
			call.one.leave();
			await hears(phone, MUSIC);
			const next = await back({ one: call.one, state: held.get('call-state') });
			await endedBy(next, 'far end');
		});

		for (const away of [false, true]) {
			test(`${role}: T.38 is refused${away ? ' while it is away' : ''}, and the call goes on with audio`, async () => {
				let call = await back(await up(role));
				const fax = phone.party.dialog([...phone.up][0]);
				if (away) call.one.leave();
				else call.one.answer = (m) => !/^m=image/m.test(m.body) || (call.one.reply(m, 488, 'Not Acceptable Here'), false);
				const reply = await fax.request('INVITE', { timeout_ms: 40000, body: sdp(phone.voice)
					.replace(/^m=audio[^]*/m, `m=image ${phone.voice.port + 2} udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxRateManagement:transferredTCF\r\n`) });
				fax.ack({ via: fax.branch });
				assert.equal(reply.status, 488, reply.start);
				if (!away) {
					assert.ok(call.one.requests.some((m) => of('INVITE')(m) && /^m=image/m.test(m.body)), 'Asterisk asked for T.38');
					await talk(call.one, call.body);
				}
				call = await back(call);
				await endedBy(call, 'client');
			});
		}
	}
});
