// SPDX-License-Identifier: GPL-2.0-or-later
// A thief of token and state, of a call that is bound to a certificate.

import { after, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { openState } from '../lib/call.mjs';
import { Lab, stray } from '../lib/lab.mjs';
import { Rtp, audioPort } from '../lib/rtp.mjs';
import { Dialog, random, sdp } from '../lib/sip.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const fingerprint = () => `sha-256 ${[...randomBytes(32)].map((b) => b.toString(16).padStart(2, '0').toUpperCase()).join(':')}`;
const webMedia = (fp, { port = 4000, version = 1, setup = 'actpass' } = {}) => ['v=0', `o=- 1 ${version} IN IP4 127.0.0.1`, 's=-', 'c=IN IP4 127.0.0.1', 't=0 0',
	`m=audio ${port} UDP/TLS/RTP/SAVPF 8`, 'a=rtpmap:8 PCMA/8000', 'a=rtcp-mux', 'a=ice-ufrag:abcd', 'a=ice-pwd:abcdefghijklmnopqrstuv',
	`a=candidate:1 1 UDP 2122252543 127.0.0.1 ${port} typ host`, `a=setup:${setup}`, `a=fingerprint:${fp}`, ''].join('\r\n');

for (const mode of [1, 2]) {
	describe(`a thief of token and state, bind_fingerprint ${mode}`, () => {
		const MINE = fingerprint();
		const OTHER = fingerprint();
		let lab;
		before(async () => { lab = await Lab.start(`bound-${mode}`, { defines: { RESUME_BIND_FINGERPRINT: mode } }); });
		beforeEach(() => lab.clear());
		after(async () => {
			await lab?.clear();
			await lab?.stack.stop();
		});

		const keyOf = (reg) => Buffer.from(/key=([\w-]+)/.exec(reg.get('call-state-key'))[1], 'base64url');

		/** An UPDATE of the thief's that moves the Contact: what the far end sends comes to him then. */
		async function takeSignalling(s) {
			s.far.answer = (m) => {
				if (m.method !== 'UPDATE') return true;
				s.far.dialog(m.callId).target = m.contact;
				s.far.reply(m, 200, 'OK', { contact: true });
				return false;
			};
			const d = s.dialog();
			assert.equal((await d.request('UPDATE')).status, 200, 'the signalling is what SIP lets him have');
			s.thief.dialogs.set(s.state.call_id, d);
		}

		/** A bound call of alice's, its state opened by the thief, and a party of his. */
		async function stolen({ transport = 'ws' } = {}) {
			const far = await lab.far();
			const alice = await lab.party('alice', { transport: 'ws' });
			const key = keyOf(await alice.register({ headers: [`Call-State-Fingerprint: ${MINE}`] }));
			const call = await alice.call({ headers: [`Call-State-Fingerprint: ${MINE}`], body: webMedia(MINE) });
			assert.equal(call.final.status, 200);
			await far.take('the ACK', (m) => m.method === 'ACK');
			const state = openState(call.state, key);
			assert.ok(state.fp, 'bound');
			far.audio.send(audioPort(far.requests.find((m) => m.method === 'INVITE').body), '127.0.0.1');
			const spy = lab.keep(await Rtp.open());
			const thief = await lab.party('alice', { transport, media: spy.port });
			const dialog = (routes) => new Dialog(thief, { callId: state.call_id, routes: routes ?? state.routes.map((r) => `<${r}>`), target: state.target,
				local: `<${state.local_uri}>;tag=${state.local_tag}`, remote: `<${state.remote_uri}>;tag=${state.remote_tag}`, cseq: state.cseq + 500 });
			return { far, alice, call, state, thief, spy, dialog };
		}

		/** rtpengine still sends to alice, and the spy has heard nothing. */
		async function safe({ state, spy, far }) {
			const ports = await lab.endpoints(state.call_id);
			assert.equal(ports[state.local_tag], 4000);
			const { sent } = far.audio;
			await until('the far end to have sent more', () => far.audio.sent > sent + 5);
			assert.equal(spy.received, 0);
		}

		for (const named of [undefined, OTHER, MINE]) {
			const what = { undefined: 'without a fingerprint', [OTHER]: 'with his own', [MINE]: 'with the victim\'s' }[named];
			test(`a new call with the victim's Call-ID, ${what}: no reference for it`, async () => {
				const s = await stolen();
				const asked = s.far.requests.length;
				const own = await s.thief.call({ callId: s.state.call_id, headers: named ? [`Call-State-Fingerprint: ${named}`] : [], body: webMedia(OTHER, { port: 4444 }) });
				assert.equal(own.final.status, 482);
				assert.deepEqual(own.final.recordRoutes, []);
				assert.equal(s.far.requests.length, asked);
				await safe(s);
			});
		}

		test('a call that names the victim\'s fingerprint and offers another certificate: no state, and no media in it', async () => {
			const s = await stolen();
			const own = await s.thief.call({ headers: [`Call-State-Fingerprint: ${MINE}`], body: webMedia(OTHER, { port: 4444 }) });
			assert.equal(own.final.status, 200);
			assert.equal(own.state, undefined);
			assert.equal((await own.request('INVITE', { body: webMedia(MINE, { version: 2 }) })).status, 403);
			assert.equal((await own.request('BYE')).status, 200);
			await safe(s);
		});

		test('an UPDATE that moves the Contact, and his answer to the far end\'s next offer: goes to nobody', async () => {
			const s = await stolen({ transport: 'udp' });
			s.thief.token = undefined;
			await takeSignalling(s);
			const refused = await lab.stat('fingerprints_refused');
			const bodies = [sdp('127.0.0.1', s.spy.port, 9), webMedia(OTHER, { port: 4444, setup: 'active', version: 9 })];
			for (const [i, body] of bodies.entries()) {
				s.thief.answer = (m) => {
					if (m.method !== 'INVITE') return true;
					s.thief.reply(m, 200, 'OK', { body, contact: true, copy: true });
					return false;
				};
				const reply = await s.far.dialog(s.state.call_id).request('INVITE', { body: sdp(TRUNK_IP, s.far.media, 2 + i) });
				s.far.dialog(s.state.call_id).ack();
				assert.equal(reply.status, 200);
				assert.equal(reply.body, '');
				assert.equal(await lab.stat('fingerprints_refused'), refused + i + 1);
			}
			await safe(s);
			assert.match(lab.stack.kamailio.log(), /NOTICE: .*answer from 127.0.0.1 refused: the call is bound to another certificate/);
		});

		test('an answer with no Via but ours, which goes to nobody, is judged too', async () => {
			const s = await stolen({ transport: 'udp' });
			s.thief.token = undefined;
			await takeSignalling(s);
			const refused = await lab.stat('fingerprints_refused');
			s.thief.answer = (m) => {
				if (m.method !== 'INVITE') return true;
				const one = Object.assign(Object.create(m), { answer: (text) => m.answer(text.replace(/^(Via: .*\r\n)(?:Via: .*\r\n)+/m, '$1')) });
				s.thief.reply(one, 200, 'OK', { body: sdp('127.0.0.1', s.spy.port, 9), contact: true, copy: true });
				return false;
			};
			s.far.send(s.far.dialog(s.state.call_id).text('INVITE', { body: sdp(TRUNK_IP, s.far.media, 2) }));
			const reply = await s.far.take('the answer', (m) => m.status === 200 && m.method === 'INVITE');
			assert.equal(reply.body, '');
			assert.equal(await lab.stat('fingerprints_refused'), refused + 1);
			await safe(s);
		});

		test('an answer that Kamailio cannot read, up to where its description begins, goes to nobody', async () => {
			const s = await stolen({ transport: 'udp' });
			s.thief.token = undefined;
			await takeSignalling(s);
			s.thief.answer = (m) => m.method !== 'INVITE';
			for (const line of ['Subject', 'Via: x', 'Record-Route']) {
				s.far.send(s.far.dialog(s.state.call_id).text('INVITE', { body: sdp(TRUNK_IP, s.far.media, 2) }));
				const invite = await s.thief.take('the INVITE', (m) => m.method === 'INVITE');
				const refused = await lab.stat('replies_refused');
				const answer = Object.assign(Object.create(invite), { answer: (text) => invite.answer(text.replace('Content-Length', `${line}\r\n$&`)) });
				s.thief.reply(answer, 200, 'OK', { body: sdp('127.0.0.1', s.spy.port, 9), contact: true, copy: true });
				await until('it to be refused', async () => await lab.stat('replies_refused') > refused);
				s.thief.reply(invite, 488, 'No');
				await s.far.take('the answer', (m) => m.status >= 200 && m.method === 'INVITE');
				assert.deepEqual(s.far.inbox.filter((m) => m.status === 200 && m.method === 'INVITE'), []);
			}
			await safe(s);
		});

		test('an answer in a body of several parts, and one in a 183, are judged too', async () => {
			const s = await stolen({ transport: 'udp' });
			await takeSignalling(s);
			const parts = `--b\r\nContent-Type: application/sdp\r\n\r\n${sdp('127.0.0.1', s.spy.port, 9)}\r\n--b--\r\n`;
			s.thief.answer = (m) => m.method !== 'INVITE';
			const asked = s.far.dialog(s.state.call_id).request('INVITE', { body: sdp(TRUNK_IP, s.far.media, 2) });
			const invite = await s.thief.take('the INVITE', (m) => m.method === 'INVITE');
			s.thief.reply(invite, 183, 'Progress', { body: sdp('127.0.0.1', s.spy.port, 9), contact: true, copy: true });
			const early = await s.far.take('the 183', (m) => m.status === 183);
			s.thief.reply(invite, 200, 'OK', { body: parts, headers: ['Content-Type: multipart/mixed;boundary=b'], contact: true, copy: true });
			const reply = await asked;
			s.far.dialog(s.state.call_id).ack();
			assert.equal(early.body, '');
			assert.equal(reply.body, '');
			assert.equal(reply.get('content-type'), undefined);
			await safe(s);
		});

		test('a called client answers with the certificate that it has registered with, or with none', async () => {
			const far = await lab.far();
			const alice = await lab.party('alice', { transport: 'ws' });
			assert.equal((await alice.register({ headers: [`Call-State-Fingerprint: ${MINE}`] })).status, 200);
			for (const [fp, answered] of [[OTHER, false], [MINE, true]]) {
				alice.answer = (m) => {
					if (m.method !== 'INVITE') return true;
					alice.dialogs.set(m.callId, new Dialog(alice, { callId: m.callId, local: `${m.get('to')};tag=${random(4)}`, remote: m.get('from'), routes: m.recordRoutes, target: m.contact }));
					alice.reply(m, 200, 'OK', { body: webMedia(fp, { setup: 'active' }), contact: true, copy: true });
					return false;
				};
				const call = await far.call({ service: 'alice', to: `sip:alice@${DOMAIN}` });
				assert.equal(call.final.status, 200);
				assert.equal(call.final.body !== '', answered, fp === MINE ? 'its own' : 'another');
				assert.equal((await call.request('BYE')).status, 200);
			}
		});

		test('the client itself: its answer to the far end\'s offer is taken', async () => {
			const s = await stolen();
			const alice = s.alice;
			alice.answer = (m) => {
				if (m.method !== 'INVITE') return true;
				alice.reply(m, 200, 'OK', { body: webMedia(MINE, { version: 3, setup: 'active' }), contact: true, copy: true });
				return false;
			};
			const reply = await s.far.dialog(s.state.call_id).request('INVITE', { body: sdp(TRUNK_IP, s.far.media, 2) });
			s.far.dialog(s.state.call_id).ack();
			assert.match(reply.body, /m=audio/);
			await safe(s);
			assert.equal((await s.call.request('BYE')).status, 200);
		});

		test('a stray answer with the reference of the call, which the state has: not taken', async () => {
			const s = await stolen({ transport: 'udp' });
			const refused = await lab.stat('fingerprints_refused');
			const before = await lab.endpoints(s.state.call_id);
			for (const [from, to] of [[s.state.local_tag, s.state.remote_tag], [s.state.remote_tag, s.state.local_tag]]) {
				s.thief.send(stray(lab, { callId: s.state.call_id, from, to, via: `SIP/2.0/UDP 127.0.0.1:${s.thief.port}`,
					fields: s.state.routes.map((r) => `Record-Route: <${r}>`), body: sdp('127.0.0.1', s.spy.port, 9) }));
			}
			await until('them to be refused', async () => await lab.stat('fingerprints_refused') === refused + 2);
			assert.deepEqual(await lab.endpoints(s.state.call_id), before);
			await safe(s);
		});
	});
}
