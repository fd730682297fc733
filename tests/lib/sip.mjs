// SPDX-License-Identifier: GPL-2.0-or-later
// SIP by hand, for what SIPp cannot do: messages byte by byte, hundreds of calls
// at once, and a far end that does what a test says. No retransmissions: for
// loopback only.

import dgram from 'node:dgram';
import net from 'node:net';
import tls from 'node:tls';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';

import { WebSocketClient } from './ws.mjs';

export const DOMAIN = 'example.org';

const COMPACT = { v: 'via', f: 'from', t: 'to', i: 'call-id', m: 'contact', l: 'content-length', c: 'content-type' };

export const random = (n = 6) => randomBytes(n).toString('hex');

/** A message as text, taken apart as far as tests ask. */
export class Message {
	constructor(text) {
		const end = text.indexOf('\r\n\r\n');
		this.text = text;
		this.body = end < 0 ? '' : text.slice(end + 4);
		const [start, ...fields] = (end < 0 ? text : text.slice(0, end)).replace(/\r\n[ \t]+/g, ' ').split('\r\n');
		this.start = start;
		this.status = Number(/^SIP\/2\.0 (\d{3})/.exec(start)?.[1] ?? 0);
		this.fields = fields.map((line) => {
			const at = line.indexOf(':');
			const name = line.slice(0, at).trim().toLowerCase();
			return { name: COMPACT[name] ?? name, value: line.slice(at + 1).trim() };
		});
		this.method = this.status ? this.get('cseq')?.split(/\s+/)[1] : start.split(' ')[0];
		this.uri = this.status ? undefined : start.split(' ')[1];
	}

	all(name) {
		return this.fields.filter((f) => f.name === name.toLowerCase()).map((f) => f.value);
	}

	get(name) {
		return this.all(name)[0];
	}

	tag(name) {
		return /;tag=([^;,\s]+)/i.exec(this.get(name) ?? '')?.[1];
	}

	get callId() {
		return this.get('call-id');
	}

	get cseq() {
		return Number.parseInt(this.get('cseq'), 10);
	}

	/** The URI of the first Contact, which need not have brackets around it. */
	get contact() {
		const value = this.get('contact')?.replace(/^"(\\.|[^"\\])*"/, '');
		return /<([^>]*)>/.exec(value ?? '')?.[1] ?? value?.split(/[;,\s]/)[0];
	}

	/** The Record-Route values, in the order of the message. */
	get recordRoutes() {
		return this.all('record-route').flatMap((v) => v.split(/,\s*(?=<)/));
	}
}

// One for all: each new one reads the list of all authorities, which takes longer than a handshake.
const secureContext = tls.createSecureContext();

/** A socket that speaks SIP: a UDP port, a connection over TCP, TLS or WebSocket, or a listener. */
export class Endpoint {
	/**
	 * @param to      {ip, port} where messages go unless send() says otherwise; of a WebSocket also {host, path,
	 *                origin} if they are not the usual ones
	 * @param transport  udp, tcp, tls, ws or wss
	 * @param session  of TLS that is to go on, as its socket's event session gave it
	 * @param listen  TCP, TLS: accept connections instead of making one; for TLS with {cert, key}
	 */
	static async open({ ip = '127.0.0.1', port = 0, transport = 'udp', to, session, listen = false } = {}) {
		const self = new this();
		Object.assign(self, { ip, transport, to, inbox: [], waiting: [], sockets: new Set() });
		if (transport === 'udp') {
			self.socket = dgram.createSocket(ip.includes(':') ? 'udp6' : 'udp4');
			self.socket.on('message', (m, from) => self.#got(m.toString('latin1'),
				(text) => self.send(text, { ip: from.address, port: from.port })));
			await new Promise((resolve, reject) => {
				self.socket.once('error', reject);
				self.socket.bind(port, ip, resolve);
			});
			self.port = self.socket.address().port;
		} else if (listen) {
			const accept = (s) => self.#stream(s);
			self.server = transport === 'tls' ? tls.createServer(listen, accept) : net.createServer(accept);
			await new Promise((resolve, reject) => {
				self.server.once('error', reject);
				self.server.listen(port, ip, resolve);
			});
			self.port = self.server.address().port;
		} else {
			const where = { host: to.ip, port: to.port, localAddress: ip, localPort: port || undefined };
			const secure = ['tls', 'wss'].includes(transport);
			self.socket = secure ? tls.connect({ ...where, secureContext, session, rejectUnauthorized: false }) : net.connect(where);
			await once(self.socket, secure ? 'secureConnect' : 'connect');
			self.port = self.socket.localPort;
			if (self.web) await self.#web();
			else self.#stream(self.socket);
		}
		// A page does not know its address (RFC 7118): a name that nobody can resolve.
		self.host = self.web ? `${random()}.invalid` : `${ip.includes(':') ? `[${ip}]` : ip}:${self.port}`;
		// One that a failed test left open must not keep the process alive.
		(self.server ?? self.socket).unref();
		return self;
	}

	/** Whether it is a WebSocket. */
	get web() {
		return this.transport.startsWith('ws');
	}

	#keep(socket) {
		this.sockets.add(socket);
		socket.setNoDelay(true);
		socket.unref();
		socket.on('error', () => {});
		socket.on('close', () => this.sockets.delete(socket));
	}

	async #web() {
		this.webSocket = await WebSocketClient.open(this.socket, {
			host: this.to.host ?? `${this.to.ip}:${this.to.port}`, path: this.to.path, origin: this.to.origin,
			got: (text) => this.#got(text, (t) => this.send(t)),
		});
		this.#keep(this.socket);
	}

	#stream(socket) {
		let text = '';
		this.#keep(socket);
		socket.on('data', (chunk) => {
			text += chunk.toString('latin1');
			for (;;) {
				text = text.replace(/^(\r\n)+/, '');
				const end = text.indexOf('\r\n\r\n');
				if (end < 0) return;
				const body = Number(/\r\n(?:content-length|l)[ \t]*:\s*(\d+)/i.exec(text.slice(0, end + 2))?.[1] ?? 0);
				if (text.length < end + 4 + body) return;
				const one = text.slice(0, end + 4 + body);
				text = text.slice(one.length);
				this.#got(one, (t) => socket.write(t, 'latin1'));
			}
		});
	}

	#got(text, answer) {
		const m = new Message(text);
		m.answer = answer;
		if (this.handle?.(m)) return;
		const i = this.waiting.findIndex((w) => w.match(m));
		if (i >= 0) this.waiting.splice(i, 1)[0].resolve(m);
		else this.inbox.push(m);
	}

	/** A listener sends over the connection that it accepted last. */
	send(text, to = this.to) {
		if (this.transport === 'udp') this.socket.send(Buffer.from(text, 'latin1'), to.port, to.ip);
		else (this.webSocket ?? this.socket ?? [...this.sockets].at(-1)).write(text, 'latin1');
	}

	/** The next message that matches, from the inbox or the network. */
	take(what, match = () => true, { timeout_ms = 10000 } = {}) {
		const at = this.inbox.findIndex(match);
		if (at >= 0) return Promise.resolve(this.inbox.splice(at, 1)[0]);
		return new Promise((resolve, reject) => {
			const waiter = { match };
			const timer = setTimeout(() => {
				this.waiting = this.waiting.filter((w) => w !== waiter);
				reject(new Error(`waited ${timeout_ms} ms for ${what}; got ${
					this.inbox.map((m) => m.start).join(' / ') || 'nothing'}`));
			}, timeout_ms);
			waiter.resolve = (m) => {
				clearTimeout(timer);
				resolve(m);
			};
			this.waiting.push(waiter);
		});
	}

	/** Connections go without a TLS or WebSocket goodbye, as when a page is killed. */
	close() {
		for (const s of this.sockets) s.destroy();
		try {
			(this.server ?? this.socket).close?.();
			this.socket?.destroy?.();
		} catch { /* closed already */ }
	}
}

export const sdp = (ip, port, version = 1) => [
	'v=0', `o=- 1 ${version} IN IP${ip.includes(':') ? 6 : 4} ${ip}`, 's=-', `c=IN IP${ip.includes(':') ? 6 : 4} ${ip}`, 't=0 0',
	`m=audio ${port} RTP/AVP 8`, 'a=rtpmap:8 PCMA/8000', '',
].join('\r\n');

export function message(start, fields, body = '') {
	const lines = [start, ...fields.filter(Boolean)];
	if (body && !fields.some((f) => /^(content-type|c)[ \t]*:/i.test(f))) lines.push('Content-Type: application/sdp');
	return `${lines.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** A reply, with whatever else belongs into it. */
export function replyTo(m, status, reason, { to = m.get('to'), fields = [], body = '' } = {}) {
	return message(`SIP/2.0 ${status} ${reason}`, [
		...m.all('via').map((v) => `Via: ${v}`),
		`From: ${m.get('from')}`,
		`To: ${to}`,
		`Call-ID: ${m.callId}`,
		`CSeq: ${m.get('cseq')}`,
		...fields,
	], body);
}

/** One side of a dialog. */
export class Dialog {
	constructor(party, state) {
		Object.assign(this, { party, routes: [], cseq: 1 }, state);
	}

	/** The text of a request in the dialog. What is in change replaces what is right. */
	text(method, { headers = [], body = '', ...change } = {}) {
		const d = { ...this, ...change };
		if (change.cseq === undefined) d.cseq = method === 'ACK' ? this.cseq : ++this.cseq;
		this.branch = `z9hG4bK${random()}`;
		return message(`${method} ${d.target} SIP/2.0`, [
			`Via: SIP/2.0/${d.party.transport.toUpperCase()} ${d.party.host};branch=${d.via ?? this.branch}`,
			'Max-Forwards: 70',
			...d.routes.map((r) => `Route: ${r}`),
			`From: ${d.local}`,
			`To: ${d.remote}`,
			`Call-ID: ${d.callId}`,
			`CSeq: ${d.cseq} ${method}`,
			method === 'INVITE' || method === 'UPDATE' ? `Contact: <${d.party.uri}>` : '',
			...headers,
		], body);
	}

	/** Send a request; resolves with its final reply. */
	async request(method, options) {
		const text = this.text(method, options);
		const { branch } = this;
		this.party.send(text);
		return this.party.take(`the answer to ${method}`,
			(m) => m.status >= 200 && m.method === method && m.get('via')?.includes(branch), options);
	}

	ack(options) {
		this.party.send(this.text('ACK', options));
	}
}

/** A client that has a token. */
export class Client extends Endpoint {
	/**
	 * @param timeout_ms  that it waits for an answer to a request outside of a dialog
	 * @param flow        {instance, id} of a client with several flows (RFC 5626): its URN, and reg-id
	 */
	static async open({ user = 'alice', token, media = 4000, timeout_ms, flow, ...options }) {
		return Object.assign(await super.open(options), { user, token, media, timeout_ms, flow });
	}

	get uri() {
		return `sip:${this.user}@${this.host};transport=${this.web ? 'ws' : this.transport}${this.flow ? ';ob' : ''}`;
	}

	/** Send a request outside of a dialog; resolves with its final reply. */
	async outside(method, uri, {
		headers = [], body = '', callId = random(), tag = random(4), from = `<sip:${this.user}@${DOMAIN}>`, to, cseq = 1,
	} = {}) {
		const branch = `z9hG4bK${random()}`;
		this.last = { branch, callId, tag, cseq };
		this.send(message(`${method} ${uri} SIP/2.0`, [
			`Via: SIP/2.0/${this.transport.toUpperCase()} ${this.host};branch=${branch}`,
			'Max-Forwards: 70',
			`From: ${from};tag=${tag}`,
			`To: <${to ?? uri}>`,
			`Call-ID: ${callId}`,
			`CSeq: ${cseq} ${method}`,
			this.token ? `Authorization: Bearer ${this.token}` : '',
			`Contact: <${this.uri}>${this.flow && method === 'REGISTER' ? `;reg-id=${this.flow.id};+sip.instance="<${this.flow.instance}>"` : ''}`,
			this.flow ? 'Supported: path, outbound' : '',
			...headers,
		], body));
		return this.take(`the answer to ${method}`, (m) => m.status >= 200 && m.method === method && m.get('via')?.includes(branch),
			{ timeout_ms: this.timeout_ms });
	}

	register(options) {
		return this.outside('REGISTER', `sip:${DOMAIN}`, { to: `sip:${this.user}@${DOMAIN}`, ...options });
	}

	/** Call, or resume with a state; resolves with the dialog, in it the final reply. */
	async call({ state, service = 'bob', headers = [], acknowledge = true, ...options } = {}) {
		const uri = `sip:${service}@${DOMAIN}`;
		const final = await this.outside('INVITE', uri, {
			body: sdp(this.ip, this.media), headers: state ? [`Call-State: ${state}`, ...headers] : headers, ...options,
		});
		const dialog = new Dialog(this, {
			final, callId: final.callId, cseq: this.last.cseq, local: final.get('from'), remote: final.get('to'),
			target: final.contact ?? uri, routes: final.recordRoutes.reverse(), state: final.get('call-state'),
		});
		if (final.status >= 300) {
			dialog.ack({ target: uri, via: this.last.branch, routes: [] });
		} else if (acknowledge) {
			dialog.ack();
		}
		return dialog;
	}
}

/** A far end, or a client, that takes every call and everything in it. */
export class FarEnd extends Client {
	/**
	 * @param copy    put Record-Route into the 200 of a re-INVITE too
	 * @param answer  (request) => false: leave this one to the test
	 * @param says    header fields beside its descriptions, such as 'Allow: INVITE, UPDATE'
	 * describe(), where it is set, gives its answers
	 */
	static async open({ user = 'bob', media = 4100, copy = true, answer = () => true, says = [], ...options }) {
		const self = await super.open({ user, media, ...options });
		Object.assign(self, { copy, answer, says, requests: [], dialogs: new Map() });
		self.handle = (m) => self.#handle(m);
		return self;
	}

	async call(options) {
		const d = await super.call({ ...options, headers: [...this.says, ...options?.headers ?? []] });
		this.dialogs.set(d.callId, d);
		return d;
	}

	#handle(m) {
		if (m.status) return false;
		this.requests.push(m);
		if (this.answer(m) !== false) this.accept(m);
		return false; // tests may take() it as well
	}

	/** Answer with a 200. */
	accept(m) {
		if (m.method === 'ACK') return;
		let d = this.dialogs.get(m.callId);
		const renewed = d !== undefined;
		if (m.method === 'INVITE') {
			d ??= new Dialog(this, {
				callId: m.callId, local: `${m.get('to')};tag=${random(4)}`, remote: m.get('from'), routes: m.recordRoutes,
			});
			this.dialogs.set(m.callId, d);
		}
		// Both are target refresh requests (RFC 3261 section 12.2.2, RFC 3311 section 5.2).
		if (d && m.contact && /^(INVITE|UPDATE)$/.test(m.method)) d.target = m.contact;
		this.reply(m, 200, 'OK', m.method === 'INVITE' || (m.method === 'UPDATE' && m.body)
			? { body: this.describe?.() ?? sdp(this.ip, this.media), copy: this.copy || !renewed, contact: true, headers: this.says } : {});
	}

	reply(m, status, reason, { body = '', copy = false, contact = false, headers = [] } = {}) {
		const d = this.dialogs.get(m.callId);
		m.answer(replyTo(m, status, reason, {
			to: m.tag('to') || !d ? m.get('to') : d.local,
			body,
			fields: [
				...(copy ? m.recordRoutes.map((r) => `Record-Route: ${r}`) : []),
				contact ? `Contact: <${this.uri}>` : '',
				...headers,
			],
		}));
	}

	/** The dialog of that call. */
	dialog(callId) {
		return this.dialogs.get(callId);
	}
}
