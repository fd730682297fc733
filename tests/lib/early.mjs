// SPDX-License-Identifier: GPL-2.0-or-later
// Calls of a client, alice, that nobody has answered yet: she is lost, and comes back, while bob's phone rings.

import assert from 'node:assert/strict';

import { Rtp, audioPort } from './rtp.mjs';
import { FarEnd, message, random, replyTo, sdp } from './sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from './stack.mjs';
import { until } from './wait.mjs';

const USER = `sip:alice@${DOMAIN}`;
/** Seconds that an answer waits for its caller, as answer_wait. */
export const WAIT = 2;

export const is = (method) => (m) => m.method === method && !m.status;

/** bob's phone and one call at it: what it says to that INVITE, and what it gets in that call. */
class Ringing {
	constructor(bob, invite) {
		Object.assign(this, { bob, invite, tag: random(4), callId: invite.callId });
	}

	#say(status, reason, { to = this.tag, body = '', headers = [] } = {}) {
		const { invite, bob } = this;
		invite.answer(replyTo(invite, status, reason, {
			to: `${invite.get('to')};tag=${to}`, body,
			fields: [...invite.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <${bob.uri}>`, ...headers],
		}));
	}

	rings(how) {
		this.#say(180, 'Ringing', how);
	}

	/** It plays something before it answers (early media), see Rtp: to where the INVITE wants it, and sends back what it hears. */
	plays(audio, how) {
		this.audio = audio;
		this.bob.describe = () => sdp(this.bob.ip, this.audio.port);
		this.#say(183, 'Session Progress', { body: sdp(this.bob.ip, audio.port), ...how });
		audio.send(audioPort(this.invite.body), this.bob.to.ip);
	}

	/** @param how.to  the tag of another phone, behind a proxy that forks */
	answers(how) {
		this.#say(200, 'OK', { body: sdp(this.bob.ip, this.audio?.port ?? this.bob.media), ...how });
	}

	refuses(status, reason) {
		this.#say(status, reason);
	}

	#gets(method, to = this.tag) {
		return this.bob.take(`${method} to ${to}`, (m) => is(method)(m) && m.callId === this.callId && m.tag('to') === to, { timeout_ms: 15_000 });
	}

	acknowledged(to) {
		return this.#gets('ACK', to);
	}

	hungUp(to) {
		return this.#gets('BYE', to);
	}

	pracked() {
		return this.#gets('PRACK');
	}

	canceled() {
		return this.bob.take('the CANCEL', (m) => is('CANCEL')(m) && m.callId === this.callId);
	}

	/** The failure of the INVITE has its ACK. */
	over() {
		return this.bob.take('the ACK', (m) => is('ACK')(m) && m.callId === this.callId);
	}
}

export class EarlyCalls {
	open = []; // sockets of the current test
	/** What bob answers by himself: new calls are for the test. */
	answer = (m) => m.method !== 'INVITE' || !!m.tag('to');

	/** As Stack.start(). */
	static async start(name, { defines, ...options } = {}) {
		const self = new this();
		self.stack = await Stack.start(name, { tls: true, defines: { RESUME_ANSWER_WAIT: WAIT, RESUMES_MAX: 0, ...defines }, ...options });
		self.token = await self.stack.kamailio.token(USER, 'web-session-1');
		self.bob = await FarEnd.open({ ip: TRUNK_IP, port: self.stack.trunkPort, to: self.gateway('udp') });
		self.bob.answer = self.answer;
		return self;
	}

	gateway(transport) {
		const { kamailio } = this.stack;
		return { ip: kamailio.ip, port: kamailio[{ ws: 'ws', wss: 'wss', tls: 'tls' }[transport] ?? 'port'] };
	}

	keep(s) {
		this.open.push(s);
		return s;
	}

	/** One life of a client, signed in. */
	async client({ user = 'alice', sid = 'web-session-1', transport = 'ws', ...options } = {}) {
		const token = sid === 'web-session-1' && user === 'alice' ? this.token : await this.stack.kamailio.token(`sip:${user}@${DOMAIN}`, sid);
		const client = this.keep(await FarEnd.open({ user, transport, token, to: this.gateway(transport), ...options }));
		const ok = await client.register();
		assert.equal(ok.status, 200);
		const [, key] = /key=([\w-]{43})/.exec(ok.get('call-state-key')) ?? [];
		return Object.assign(client, { key: Buffer.from(key ?? '', 'base64url') });
	}

	/** Audio of bob's, or of a client's. */
	async audio(options) {
		return this.keep(await Rtp.open(options));
	}

	/** One life of a client with audio: {client, audio, body}, the last of them what its INVITEs offer. */
	async talker(options) {
		const [client, audio] = [await this.client(options), await this.audio()];
		return { client, audio, body: sdp(client.ip, audio.port) };
	}

	/** The gateway knows that the connection of who is gone is. */
	gone() {
		return until('no connection', async () => !/\bESTAB|OK\b/.test(await this.stack.kamailio.kamcmd('core.tcp_list').catch(() => '')));
	}

	/** An INVITE. {callId, dialog, names, status(code), cancel()}: dialog is there when it has its final answer. */
	dial(client, { callId = `call-${random()}`, ...options } = {}) {
		const dialog = client.call({ callId, ...options });
		const { branch, tag, cseq } = client.last;
		dialog.catch(() => {});
		return {
			callId, dialog,
			/** What the client knows of it before there is a state. */
			names: `dialled;call-id=${callId};tag=${tag};cseq=${cseq}`,
			status: (wanted) => client.take(`a ${wanted}`, (m) => m.status === wanted && m.callId === callId && m.method === 'INVITE'),
			cancel: () => client.send(message(`CANCEL sip:bob@${DOMAIN} SIP/2.0`, [
				`Via: SIP/2.0/${client.transport.toUpperCase()} ${client.host};branch=${branch}`, 'Max-Forwards: 70',
				`From: <${USER}>;tag=${tag}`, `To: <sip:bob@${DOMAIN}>`, `Call-ID: ${callId}`, `CSeq: ${cseq} CANCEL`,
			])),
		};
	}

	/** bob's phone, when that call is there. */
	async rang(callId) {
		return new Ringing(this.bob, await this.bob.take('the INVITE', (m) => is('INVITE')(m) && !m.tag('to') && m.callId === callId));
	}

	/** It rings, and the client has heard it: state is what it was sent. */
	async ringing(client, options) {
		const call = this.dial(client, options);
		const far = await this.rang(call.callId);
		far.rings();
		const heard = await call.status(180);
		return { ...call, far, state: heard.get('call-state') };
	}

	/** It rings, and the client has gone. */
	async left(options, how) {
		const client = await this.client(options);
		const call = await this.ringing(client, how);
		client.close();
		await this.gone();
		return call;
	}

	/** It has been dialled, does not ring yet, and the client has gone. */
	async dialled(options, how) {
		const client = await this.client(options);
		const call = this.dial(client, how);
		const far = await this.rang(call.callId);
		client.close();
		await this.gone();
		return { ...call, far };
	}

	/** A client is back with that state, and hears ringing. */
	async back(client, state, options) {
		const call = this.dial(client, { state, ...options });
		await call.status(180);
		return call;
	}

	/** What waits is told that there is an answer; its state brings the call back. */
	async resumes(client, call, options) {
		const { final } = await call.dialog;
		assert.match(final.start, /^SIP\/2.0 500 Call Answered/);
		return this.comesBack(client, final.get('call-state'), options);
	}

	/** The far end answers the call that waits, which comes back. */
	async answered(far, client, call) {
		far.answers();
		await far.acknowledged();
		return this.resumes(client, call);
	}

	/** Back with that, lost once more, and back again: the call comes back. */
	async backTwice(far, state) {
		const second = await this.client();
		await this.back(second, state);
		second.close();
		await this.gone();
		const third = await this.client();
		return this.answered(far, third, await this.back(third, state));
	}

	async comesBack(client, state, options) {
		const dialog = await client.call({ state, ...options });
		assert.equal(dialog.final.status, 200, dialog.final.start);
		return dialog;
	}

	async hangUp(dialog) {
		assert.equal((await dialog.request('BYE')).status, 200);
		await this.stack.noMedia();
	}

	/** Nothing of a call is left, in tm either. */
	async nothingLeft() {
		await this.stack.noMedia();
		await until('no transaction', async () => /current: 0\b/.test(await this.stack.kamailio.kamcmd('tm.stats')), { timeout_ms: 30_000, every_ms: 100 });
	}

	/** After each test. */
	async end() {
		this.open.splice(0).forEach((s) => s.close());
		this.bob.inbox.splice(0);
		this.bob.requests.splice(0);
		this.bob.describe = undefined;
		await this.stack.dropMedia();
	}

	async stop() {
		this.bob.close();
		await this.stack.stop();
	}
}
