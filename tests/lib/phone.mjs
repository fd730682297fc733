// SPDX-License-Identifier: GPL-2.0-or-later
// A phone that has a password: digest authentication, see cfg/digest.cfg.

import { createHash } from 'node:crypto';

import { Client, random } from './sip.mjs';

const md5 = (text) => createHash('md5').update(text).digest('hex');

export const INSTANCE = '<urn:uuid:00000000-0000-1000-8000-aabbccddeeff>';

/** RFC 2617 section 3.2.2: the answer to a challenge, as the value of a field. */
export function answerTo(challenge, { user, password, method, uri, name = user, realm = undefined }) {
	const field = (what) => new RegExp(`\\b${what}="?([^",]*)`).exec(challenge)[1];
	const [nonce, cnonce] = [field('nonce'), random()];
	realm ??= field('realm');
	const response = md5([md5(`${user}:${realm}:${password}`), nonce, '00000001', cnonce, 'auth', md5(`${method}:${uri}`)].join(':'));
	return `Digest username="${name}", realm="${realm}", nonce="${nonce}", uri="${uri}", `
		+ `qop=auth, nc=00000001, cnonce="${cnonce}", response="${response}", algorithm=MD5`;
}

/** Where the challenge of a reply is, and where its answer goes. */
export const fieldsOf = (reply) => (reply.status === 401
	? ['www-authenticate', 'Authorization'] : ['proxy-authenticate', 'Proxy-Authorization']);

/** Make a class of parties phones: they answer a challenge, and name themselves in their Contact. */
export const withPassword = (Party) => class extends Party {
	static async open({ password, account, instance = INSTANCE, ...options }) {
		const self = await super.open(options);
		return Object.assign(self, { password, account: account ?? self.user, instance });
	}

	send(text, to) {
		super.send(this.instance ? text.replace(/^(Contact: <[^>]*>)/m, `$1;reg-id=1;+sip.instance="${this.instance}"`) : text, to);
	}

	/** Its first answer is kept in challenged. */
	async outside(method, uri, options = {}) {
		const first = this.challenged = await super.outside(method, uri, options);
		if (first.status !== 401 && first.status !== 407) return first;
		const [header, name] = fieldsOf(first);
		this.challenge = first.get(header);
		if (method === 'INVITE') this.acknowledge(uri, first);
		const { callId, tag, cseq } = this.last;
		return super.outside(method, uri, {
			...options, callId, tag, cseq: cseq + 1,
			headers: [...options.headers ?? [], `${name}: ${answerTo(this.challenge,
				{ user: this.account, password: this.password, method, uri })}`],
		});
	}

	/** One request as it is, challenged or not. */
	bare(method, uri, options) {
		return super.outside(method, uri, options);
	}

	acknowledge(uri, reply) {
		this.send(`ACK ${uri} SIP/2.0\r\nVia: ${reply.get('via')}\r\nMax-Forwards: 70\r\nFrom: ${reply.get('from')}\r\n`
			+ `To: ${reply.get('to')}\r\nCall-ID: ${reply.callId}\r\nCSeq: ${reply.cseq} ACK\r\nContent-Length: 0\r\n\r\n`);
	}
};

export const Phone = withPassword(Client);
