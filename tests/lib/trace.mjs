// SPDX-License-Identifier: GPL-2.0-or-later
// What a SIPp process sent and received, read from its message trace.

import fs from 'node:fs';

export class Message {
	constructor(text, sent, at) {
		const end = text.search(/\r?\n\r?\n/);
		this.text = text;
		this.sent = sent;
		this.at = at; // seconds of SIPp's clock
		this.body = end < 0 ? '' : text.slice(end).replace(/^\r?\n\r?\n/, '');
		const [first, ...lines] = (end < 0 ? text : text.slice(0, end)).split(/\r?\n/);
		this.first = first;
		this.fields = lines.map((line) => {
			const colon = line.indexOf(':');
			return { name: line.slice(0, colon).trim().toLowerCase(), value: line.slice(colon + 1).trim() };
		});
		this.status = first.startsWith('SIP/2.0 ') ? Number(first.split(' ')[1]) : 0;
		const [number, method] = (this.header('CSeq') ?? '').split(/\s+/);
		this.cseq = Number(number);
		this.method = method;
	}

	/** The value of the first field of that name. */
	header(name) {
		return this.headers(name)[0];
	}

	headers(name) {
		return this.fields.filter((f) => f.name === name.toLowerCase()).map((f) => f.value);
	}

	get uri() {
		return this.status ? undefined : this.first.split(' ')[1];
	}

	get callId() {
		return this.header('Call-ID');
	}

	get fromTag() {
		return tagOf(this.header('From'));
	}

	get toTag() {
		return tagOf(this.header('To'));
	}

	get branch() {
		return /branch=([^;,\s]+)/.exec(this.header('Via'))?.[1];
	}

	get contact() {
		return /<([^>]*)>/.exec(this.header('Contact') ?? '')?.[1];
	}

	get callState() {
		return this.header('Call-State');
	}
}

const tagOf = (value) => /;tag=([^;\s]+)/.exec(value ?? '')?.[1];

/** All messages of a Sipp party, in their order. */
export function messagesOf(party) {
	const text = fs.readFileSync(party.messages, 'latin1');
	// As SIPp 3.7 writes it, and 3.8.
	const head = /^-{20,} [\d-]+[ T](\d+):(\d+):([\d.]+)Z?\n\w+ message (sent|received) [[(](\d+)(?: bytes\)|\] bytes) ?:\n\n/gm;
	const found = [];
	for (const m of text.matchAll(head)) {
		const at = m.index + m[0].length;
		const body = text.slice(at, at + Number(m[5]));
		found.push(new Message(body, m[4] === 'sent', m[1] * 3600 + m[2] * 60 + Number(m[3])));
	}
	return found;
}
