// SPDX-License-Identifier: GPL-2.0-or-later
// One call of a client through its lives, and what each side may see of it.

import assert from 'node:assert/strict';
import { createDecipheriv } from 'node:crypto';

import { Part, RESUME, fill } from './talk.mjs';
import { Rtp } from './rtp.mjs';
import { messagesOf } from './trace.mjs';
import { until } from './wait.mjs';

export class Call {
	/**
	 * @param name  names the parties of this call
	 * @param role  'caller' or 'callee', of the client
	 * @param user, token  who the client is; service: whom it calls
	 */
	constructor(stack, name, { role = 'caller', token, user = 'alice', service = 'bob' }) {
		Object.assign(this, { stack, name, role, token, user, service, lives: [], audio: [] });
	}

	async #rtp() {
		this.audio.splice(0).forEach((a) => a.close());
		const audio = await Rtp.open();
		this.audio.push(audio);
		return audio;
	}

	close() {
		this.audio.splice(0).forEach((a) => a.close());
	}

	/** A process of the client; resolves when it runs. */
	async live(scenario, regions, { port, keys = {}, fill: how, ...options } = {}) {
		const { stack } = this;
		const name = `${this.name}-${this.lives.length + 1}`;
		const audio = await this.#rtp();
		const client = await stack.client(name, fill(stack.dir, name, scenario, regions, how), {
			service: this.service, port, ...options,
			keys: { user: this.user, token: this.token, audio_port: audio.port, ...keys },
		});
		this.lives.push(client);
		return client;
	}

	/** Send audio to where the gateway wants it. */
	speak(port) {
		this.audio[0].send(Number(port));
	}

	/** The first life of a client that is called, waiting. */
	async wait({ life, options = {} } = {}) {
		this.register = await this.stack.client(`${this.name}-0`, 'called/register.xml', {
			...options, fill: undefined, keys: { user: this.user, token: this.token },
		});
		await this.register.done();
		return this.live('in-call/called.xml', { steps: life }, { ...options, port: this.register.port, to: undefined });
	}

	/**
	 * The first life, until it has nothing more to say.
	 * @param life, far  what they say after the call is up
	 * @param farOptions.fill  see fill()
	 */
	async begin({ life, far, options = {}, farOptions: { fill: how, ...farOptions } = {} } = {}) {
		const { stack, name } = this;
		const peer = (scenario, o) => stack.peer(`${name}-far`, fill(stack.dir, `${name}-far`, scenario, { steps: far }, how), o);
		if (this.role === 'caller') {
			this.far = await peer('in-call/peer.xml', farOptions);
			await this.live('in-call/client.xml', { steps: life }, options);
		} else {
			await this.wait({ life, options });
			this.far = await peer('in-call/caller.xml', { service: this.user, to: stack.gateway, ...farOptions });
		}
		this.speak(await this.client.waitLog('answered'));
		await this.client.waitLog('ready');
		this.state = await this.client.waitLog('state');
		return this;
	}

	/** The client as it is now. */
	get client() {
		return this.lives.at(-1);
	}

	/** The process of the client is gone. */
	async lose() {
		await this.client.kill();
		this.close();
	}

	/**
	 * The next life.
	 * @param resume  what it does with its INVITE, see Part.sends()
	 * @param life    what it says after that; null: as the scenario has it
	 * @param state   Call-State, when not the newest that it has
	 * @param answered  false: do not wait for its 2xx
	 */
	async resume({
		resume, life = new Part(), state = this.newest(), options = {}, keys = {}, answered = true,
	} = {}) {
		let invite;
		if (resume) {
			const { headers = [], ...more } = resume;
			invite = new Part({ cseq: 2, name: 'r' }).sends('INVITE', {
				begins: RESUME, pause: 0, ...more,
				headers: ['Authorization: Bearer [token]', 'Call-State: [state]', ...headers],
			});
		}
		await this.live('in-call/resumed.xml', { resume: invite, steps: life }, { ...options, keys: { state, ...keys } });
		if (!answered) return this;
		await this.client.waitLog('resumed');
		const ok = messagesOf(this.client).find((m) => m.body && m.method === 'INVITE' && m.status);
		this.speak(/m=audio (\d+)/.exec(ok.body)[1]);
		return this;
	}

	/** Every Call-State that the lives of the client got: {message, jwe, update, state}. */
	states() {
		return [this.register, ...this.lives].filter(Boolean).flatMap((life) => messagesOf(life))
			.filter((m) => !m.sent && m.callState).map((message) => {
				const [jwe, ...params] = message.callState.split(';');
				return { message, jwe, update: params.includes('update'), state: openState(jwe, this.key()) };
			});
	}

	/** What a page would have kept: the newest full state, and the newest update after it. */
	newest() {
		const all = this.states();
		const at = all.findLastIndex((s) => !s.update);
		const update = all.slice(at + 1).at(-1);
		const tag = all[at].state.local_tag ? '' : `;tag=${this.#ownTag()}`;
		return all[at].jwe + (update ? `;update=${update.jwe}` : '') + tag;
	}

	#ownTag() {
		return messagesOf(this.lives[0]).find((m) => m.sent && m.status === 200 && m.method === 'INVITE').toTag;
	}

	/** The client key, as the 200 to its REGISTER brought it. */
	key() {
		for (const life of [this.register, ...this.lives].filter(Boolean)) {
			const header = messagesOf(life).map((m) => m.header('Call-State-Key')).find(Boolean);
			const key = /key=([\w-]{43})/.exec(header ?? '')?.[1];
			if (key) return Buffer.from(key, 'base64url');
		}
		throw new Error('no client key');
	}

	/** How the client's n-th life names its dialog: {callId, tag, remote}. */
	namesFrom(n) {
		const messages = messagesOf(this.lives[n]).filter((m) => m.method === 'INVITE');
		const ok = messages.find((m) => m.status === 200);
		const [tag, remote] = ok.sent ? [ok.toTag, ok.fromTag] : [ok.fromTag, ok.toTag];
		return { callId: ok.callId, tag, remote };
	}

	/** The far end's dialog: {callId, clientTag, farTag}. */
	dialog() {
		return dialogOf(messagesOf(this.far));
	}
}

/** A sealed state, opened as a client would. */
export function openState(jwe, key) {
	const [header, , iv, text, tag] = jwe.split('.');
	const open = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'));
	open.setAAD(Buffer.from(header));
	open.setAuthTag(Buffer.from(tag, 'base64url'));
	return JSON.parse(Buffer.concat([open.update(Buffer.from(text, 'base64url')), open.final()]).toString());
}

function dialogOf(messages) {
	const invite = messages.find((m) => m.method === 'INVITE' && !m.status);
	const ok = messages.find((m) => m.method === 'INVITE' && m.status === 200);
	const [near, far] = [ok.toTag, ok.fromTag];
	return invite.sent
		? { callId: ok.callId, clientTag: near, farTag: far }
		: { callId: ok.callId, clientTag: far, farTag: near };
}

const isRequest = (m) => m.status === 0;

/** Requests that came in, each once however often it came. */
export function requestsTo(party, method) {
	const seen = new Set();
	return messagesOf(party).filter((m) => isRequest(m) && !m.sent && (!method || m.method === method)).filter((m) => {
		const id = `${m.branch} ${m.method}`;
		return !seen.has(id) && seen.add(id);
	});
}

/** Whether a text has that tag in it, and not as part of a longer word: tags of SIPp are short, and digits. */
export const hasTag = (text, tag) => new RegExp(`(?<!\\w)${tag}(?!\\w)`).test(text);

/** Every reply is to a request that was sent: branch, CSeq and method are those. */
function repliesMatch(messages) {
	const sent = new Set(messages.filter((m) => m.sent && isRequest(m)).map((m) => `${m.branch} ${m.cseq} ${m.method}`));
	for (const m of messages.filter((x) => !x.sent && !isRequest(x))) {
		assert.ok(sent.has(`${m.branch} ${m.cseq} ${m.method}`), `a request for: ${m.first}, CSeq ${m.cseq} ${m.method}`);
	}
}

/**
 * The far end saw one dialog and nothing else, from its first INVITE on.
 * @param lossy  with retransmissions
 */
export function seesOneDialog(far, { lossy = false } = {}) {
	const messages = messagesOf(far);
	const { callId, clientTag, farTag } = dialogOf(messages);
	for (const m of messages) {
		const what = `${m.sent ? 'sent' : 'got'} ${m.first} (${m.method})`;
		assert.equal(m.callId, callId, what);
		const fromClient = m.sent !== isRequest(m);
		const [client, own] = fromClient ? [m.fromTag, m.toTag] : [m.toTag, m.fromTag];
		if (client !== undefined || fromClient) assert.equal(client, clientTag, what);
		if (own !== undefined || !fromClient) assert.equal(own, farTag, what);
		for (const secret of ['Call-State', 'Authorization']) assert.equal(m.header(secret), undefined, what);
	}
	repliesMatch(messages);
	const got = messages.filter((m) => isRequest(m) && !m.sent);
	const distinct = requestsTo(far);
	if (!lossy) {
		// But for a retransmission in its time (RFC 3261 section 17.1: T1), when the machine stood still for so long.
		const first = got.filter((m, i) => !got.slice(0, i).some((x) => x.text === m.text && m.at - x.at > 0.4));
		assert.deepEqual(first.map((m) => `${m.method} ${m.cseq}`), distinct.map((m) => `${m.method} ${m.cseq}`),
			'every request once');
	}
	const named = distinct.filter((m) => m.method !== 'ACK').map((m) => `${m.method} ${m.cseq}`);
	assert.equal(new Set(named).size, named.length, `nothing doubled: ${named}`);
	const numbered = distinct.filter((m) => m.method !== 'ACK' && m.method !== 'CANCEL');
	for (let i = 1; i < numbered.length; i++) {
		assert.ok(numbered[i].cseq > numbered[i - 1].cseq,
			`CSeq rises: ${numbered[i - 1].method} ${numbered[i - 1].cseq}, ${numbered[i].method} ${numbered[i].cseq}`);
	}
	for (const invite of numbered.filter((m) => m.method === 'INVITE')) {
		const acks = distinct.filter((m) => m.method === 'ACK' && m.cseq === invite.cseq);
		const finals = new Set(messages.filter((m) => m.sent && m.status >= 200 && m.method === 'INVITE'
			&& m.cseq === invite.cseq).map((m) => m.status));
		assert.equal(lossy ? Math.min(acks.length, 1) : acks.length, finals.size, `one ACK to INVITE ${invite.cseq}`);
		// The ACK to a failure belongs to the INVITE's transaction.
		if ([...finals].some((s) => s >= 300)) assert.equal(acks[0].branch, invite.branch, 'hop by hop');
	}
	for (const m of messages.filter((x) => x.sent && x.method === 'INVITE' && isRequest(x))) {
		assert.ok(messages.some((x) => !x.sent && x.status >= 200 && x.cseq === m.cseq), `INVITE ${m.cseq} is answered`);
	}
	return { callId, clientTag, farTag };
}

/**
 * A resumed client saw its own new dialog and nothing of the old one.
 * @param both  the other side has resumed too: its Contact and Via have maps in them, for the gateway
 */
export function seesOwnDialog(client, old, { both = false } = {}) {
	const messages = messagesOf(client).filter((m) => m.method !== 'REGISTER');
	const first = messages[0];
	const [callId, tag] = [first.callId, first.fromTag];
	assert.notEqual(callId, old.callId);
	assert.notEqual(tag, old.clientTag);
	repliesMatch(messages);
	const remote = messages.find((m) => m.status > 100 && m.status < 300)?.toTag;
	for (const m of messages) {
		const what = `${m.sent ? 'sent' : 'got'} ${m.first} (${m.method})`;
		const mine = m.sent === isRequest(m);
		assert.equal(m.callId, callId, what);
		assert.equal(mine ? m.fromTag : m.toTag, tag, what);
		if (m.sent) continue;
		if (isRequest(m)) {
			assert.equal(m.fromTag, remote, what);
			assert.equal(m.uri, first.contact, `${what}: its own Contact`);
		}
		// Our Record-Route has the caller's tag of the old dialog in it, as a name for nothing.
		const [head] = m.text.split(/\r?\n\r?\n/);
		const shown = head.replace(/^(Record-Route|Route|Call-State):.*$/gm, '');
		assert.ok(!shown.includes(old.callId), `${what}: the old Call-ID`);
		assert.ok(!hasTag(shown, old.clientTag), `${what}: the old tag`);
		assert.ok(both || !shown.includes(';crm1='), `${what}: a map`);
	}
	return { callId, tag, remote };
}

/** What the one sent in requests and replies of that method came to the other as it was. */
export function bodiesArrive(from, to, methods) {
	const of = (party, sent) => messagesOf(party)
		.filter((m) => m.sent === sent && m.body && methods.includes(m.method)).map((m) => `${m.first.split(' ')[0]} ${m.method}\n${m.body}`);
	const sent = of(from, true);
	const got = of(to, false);
	assert.ok(sent.length > 0);
	for (const body of sent) assert.ok(got.includes(body), `arrives: ${body}`);
	assert.equal(got.length, sent.length);
}

/** At the end of a test file: nothing is left behind, and nothing was ever refused. */
export async function nothingLeft(stack) {
	await until('tm to be empty', async () => {
		const [, current] = /current: (\d+)/.exec(await stack.kamailio.kamcmd('tm.stats'));
		return Number(current) === 0;
	}, { timeout_ms: 40000, every_ms: 100 });
	const stats = await stack.kamailio.kamcmd('call_resume.stats');
	for (const name of ['maps_expired', 'maps_forged', 'maps_malformed', 'maps_misplaced', 'splices_failed', 'messages_dropped', 'seals_failed', 'resumes_refused']) {
		assert.match(stats, new RegExp(`${name}: 0\\b`));
	}
}
