// SPDX-License-Identifier: GPL-2.0-or-later
// What two parties say to each other in a call, as SIPp scenarios.
//
// The scenarios below sipp_scenarios/in-call bring a call up and leave its names
// in SIPp variables: $local, $remote (From and To), $target (Request-URI), and
// SIPp's own [routes] and [call_id]. What stands between their marks
//
//	<!-- resume -->  ...  <!-- /resume -->
//	<!-- steps -->   ...  <!-- /steps -->
//
// plays a few requests, to be run by hand; a test puts what it wants to happen there.

import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from './kamailio.mjs';

/**
 * Write a copy of a scenario with other things between its marks; returns its path.
 * @param contact    'ip:port' of Contacts, when it is not SIPp's own
 * @param retrans_ms  T1 (RFC 3261 section 17)
 */
export function fill(dir, name, scenario, regions, { contact, retrans_ms } = {}) {
	const base = path.resolve(ROOT, 'sipp_scenarios', scenario);
	let text = fs.readFileSync(base, 'utf8');
	for (const [region, xml] of Object.entries(regions)) {
		if (xml === undefined || xml === null) continue;
		const marked = new RegExp(`(<!-- ${region} -->\n)[^]*?(\t<!-- /${region} -->)`);
		if (!marked.test(text)) throw new Error(`${scenario} has no ${region}`);
		text = text.replace(marked, (_, start, end) => `${start}${xml}\n${end}`);
	}
	if (contact) text = text.replaceAll(/(Contact: <\S*@)\[local_ip\]:\[local_port\]/g, `$1${contact}`);
	if (retrans_ms) text = text.replaceAll('retrans="500"', `retrans="${retrans_ms}"`);
	// SIPp refuses variables that are assigned and never used, unless they are named here.
	const used = new Set([...text.matchAll(/assign_to="([^"]*)"/g)].flatMap((m) => m[1].split(',')));
	text = text.replace(/<Reference variables="[^"]*"\/>/, used.size ? `<Reference variables="${[...used]}"/>` : '');
	const file = path.join(dir, `${name}.xml`);
	fs.writeFileSync(file, text);
	return file;
}

const REASONS = {
	200: 'OK', 202: 'Accepted', 180: 'Ringing', 183: 'Session Progress', 302: 'Moved Temporarily',
	408: 'Request Timeout', 481: 'Call/Transaction Does Not Exist', 486: 'Busy Here',
	487: 'Request Terminated', 488: 'Not Acceptable Here', 491: 'Request Pending',
	500: 'Server Internal Error', 503: 'Service Unavailable',
};
const CONTACT = 'sip:[user]@[local_ip]:[local_port];transport=[transport]';
const REFRESH = ['INVITE', 'UPDATE'];
const WITH_CONTACT = ['INVITE', 'UPDATE', 'REFER', 'NOTIFY'];

// The version in o= rises with every offer and answer (RFC 3264 section 8).
let version = 1;
const sdp = (direction) => [
	'v=0', `o=- 5 ${++version} IN IP[media_ip_type] [media_ip]`, 's=-', 'c=IN IP[media_ip_type] [media_ip]',
	't=0 0', 'm=audio [audio_port] RTP/AVP 8', 'a=rtpmap:8 PCMA/8000', `a=${direction}`,
].join('\n');
const ANSWERS = { sendrecv: 'sendrecv', sendonly: 'recvonly', recvonly: 'sendonly', inactive: 'inactive' };

const send = (attributes, lines) => {
	const text = lines.filter((l) => l !== undefined).join('\n').replace(/^(?=.)/gm, '\t\t');
	return `\t<send${attributes}><![CDATA[\n\n${text}\n\n\t]]></send>`;
};
const content = (type, body) => (body
	? [`Content-Type: ${type}`, 'Content-Length: [len]', '', body]
	: ['Content-Length: 0']);

const ereg = (regexp, where, to) => `<ereg regexp="${regexp}" search_in="${where.startsWith('hdr') ? `hdr" header="${where.slice(4)}:` : where}" check_it="true" assign_to="${to}"/>`;
// A target refresh (RFC 3261 section 12.2): SIPp's own [next_url] stays what the
// first Contact was.
const TAKE_TARGET = ereg('&lt;([^&gt;]*)&gt;', 'hdr Contact', '1,target');
// To answer a request after another one has come in between.
const TAKE_VIAS = [
	ereg('Via: (.*[^[:space:]])[[:space:]]+Max-Forwards:', 'msg', '1,vias'),
	ereg('[0-9]+', 'hdr CSeq', 'cseq'),
];
const TAKE_RSEQ = ereg('[0-9]+', 'hdr RSeq', 'rseq');
/** What a client keeps of the 2xx that begins its dialog. */
const LEARN = [
	TAKE_TARGET,
	ereg('&lt;.*', 'hdr To', 'remote'),
	'<assignstr assign_to="local" value="&lt;sip:[user]@[domain]&gt;;tag=[pid]c[call_number]"/>',
];
/** How the request that resumes names its dialog: it begins one. */
export const RESUME = {
	uri: 'sip:[service]@[domain]',
	from: '<sip:[user]@[domain]>;tag=[pid]c[call_number]',
	to: '<sip:[service]@[domain]>',
	routes: undefined,
};

const recv = (attributes, actions = []) => (actions.length
	? [`\t<recv ${attributes}>`, '\t\t<action>', ...actions.map((a) => `\t\t\t${a}`), '\t\t</action>', '\t</recv>'].join('\n')
	: `\t<recv ${attributes}/>`);

export class Part {
	/**
	 * @param cseq   of the next request
	 * @param name   makes the branches of this part its own
	 * @param pause  ms before each request, so that what went before has arrived
	 * @param acks   more than one ACK may come for an answer: the gateway's own, where that of the client is late
	 */
	constructor({ cseq = 3, name = 's', pause = 100, acks = false } = {}) {
		Object.assign(this, { cseq, name, pause, acks, steps: [], n: 0 });
	}

	toString() {
		return this.steps.join('\n');
	}

	add(...xml) {
		this.steps.push(...xml);
		return this;
	}

	pauses(ms) {
		return this.add(`\t<pause milliseconds="${ms}"/>`);
	}

	logs(line) {
		return this.add(`\t<nop><action><log message="${line}"/></action></nop>`);
	}

	#request(method, {
		txn, branch, cseq, uri = '[$target]', routes = '[routes]', from = '[$local]', to = 'To: [$remote]',
		contact, headers = [], body, type,
	}) {
		return send(`${method === 'ACK' ? '' : ' retrans="500"'} ${txn}`, [
			`${method} ${uri} SIP/2.0`,
			`Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=${branch}`,
			'Max-Forwards: 70',
			routes,
			`From: ${from}`,
			to,
			'Call-ID: [call_id]',
			`CSeq: ${cseq} ${method}`,
			contact && `Contact: <${contact}>`,
			...headers,
			...content(type, body),
		]);
	}

	/**
	 * A request, and everything until it is over.
	 * @param expect   the final status
	 * @param cancel   it rings, and is cancelled
	 * @param prack    it gets a reliable 183, which is acknowledged
	 * @param begins   it begins a dialog: how it names it, as RESUME
	 */
	sends(method, {
		expect = 200, headers = [], body, type, direction = 'sendrecv', contact = CONTACT,
		cancel = false, prack = false, begins, pause = this.pause,
	} = {}) {
		const id = `${this.name}${++this.n}`;
		const branch = `z9hG4bK-[pid]-[call_number]-${id}`;
		const cseq = this.cseq++;
		const invite = method === 'INVITE';
		const dialog = begins ? { ...begins, to: `To: ${begins.to}` } : {};
		const final = cancel ? 487 : expect;
		const learn = begins ? LEARN : REFRESH.includes(method) ? [TAKE_TARGET] : [];
		const rrs = begins ? ' rrs="true"' : '';

		if (invite && body === undefined) [body, type] = [sdp(direction), 'application/sdp'];
		if (pause) this.pauses(pause);
		this.add(this.#request(method, {
			...dialog, txn: `start_txn="${id}"`, branch, cseq, body, type,
			headers: prack ? ['Supported: 100rel', ...headers] : headers,
			contact: WITH_CONTACT.includes(method) ? contact : undefined,
		}));
		if (invite) this.add(recv(`response="100" optional="true" response_txn="${id}"`));
		if (prack) {
			this.add(recv(`response="183" response_txn="${id}"${rrs}`, [...learn, TAKE_RSEQ]));
			this.sends('PRACK', { headers: [`RAck: [$rseq] ${cseq} INVITE`], pause: 0 });
		} else if (cancel) {
			this.add(recv(`response="180" response_txn="${id}"`));
			this.pauses(20);
			this.add(this.#request('CANCEL', { ...dialog, txn: `start_txn="${id}c"`, branch, cseq }));
			this.add(recv(`response="200" response_txn="${id}c"`));
		} else if (invite) {
			this.add(recv(`response="180" optional="true" response_txn="${id}"`));
		}
		this.add(recv(`response="${final}" response_txn="${id}"${final < 300 ? rrs : ''}`, final < 300 ? learn : []));
		// End to end; or hop by hop, and then like the INVITE, but for the response's To.
		if (invite && final < 300) {
			this.add(this.#request('ACK', { txn: `ack_txn="${id}"`, branch: `${branch}-ack`, cseq }));
		} else if (invite) {
			this.add(this.#request('ACK', { ...dialog, txn: `ack_txn="${id}"`, branch, cseq, to: '[last_To:]' }));
		}
		return this;
	}

	#response(code, { late = false, headers = [], body, type, contact, retrans = false } = {}) {
		return send(retrans ? ' retrans="500"' : '', [
			`SIP/2.0 ${code} ${REASONS[code]}`,
			late ? 'Via: [$vias]' : '[last_Via:]',
			'[last_From:]',
			'[last_To:]',
			'[last_Call-ID:]',
			late ? 'CSeq: [$cseq] INVITE' : '[last_CSeq:]',
			late ? undefined : '[last_Record-Route:]',
			contact && `Contact: <${contact}>`,
			...headers,
			...content(type, body),
		]);
	}

	/** A request of the other side, and its answer; see sends(). */
	answers(method, {
		code = 200, headers = [], body, type, direction = 'sendrecv', contact = CONTACT,
		cancel = false, prack = false, ring = false,
	} = {}) {
		const invite = method === 'INVITE';
		const late = cancel || prack;
		const final = cancel ? 487 : code;

		if (invite && final < 300 && body === undefined) [body, type] = [sdp(ANSWERS[direction]), 'application/sdp'];
		if (this.acks) this.add(recv('request="ACK" optional="true"'));
		this.add(recv(`request="${method}"`, [
			...(REFRESH.includes(method) ? [TAKE_TARGET] : []), ...(late ? TAKE_VIAS : [])]));
		if (ring || cancel) this.add(this.#response(180, { contact }));
		if (prack) {
			this.add(this.#response(183, {
				contact, body, type, retrans: true, headers: ['Require: 100rel', 'RSeq: 776'],
			}));
			this.answers('PRACK');
		}
		if (cancel) this.answers('CANCEL').pauses(30);
		this.add(this.#response(final, {
			late, headers, body, type, retrans: invite,
			contact: (final < 300 && WITH_CONTACT.includes(method)) || final === 302 ? contact : undefined,
		}));
		if (invite) this.add(recv('request="ACK"'));
		return this;
	}

	/** A request of the other side that gets no answer, however often it comes. */
	ignores(method, { ms }) {
		return this.add(recv(`request="${method}"`)).pauses(ms);
	}
}

/** One exchange: the one asks, the other answers. */
export function exchange(from, to, method, { code = 200, cancel, prack, direction, ask = {}, answer = {} } = {}) {
	from.sends(method, { expect: code, cancel, prack, direction, ...ask });
	to.answers(method, { code, cancel, prack, direction, ...answer });
}
