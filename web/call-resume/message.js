// SPDX-License-Identifier: MIT
// A SIP message as text. The gateway's own parser (sip.c of the module) sees the same header
// fields and no others: what it takes for one line must not be two here.

const COMPACT = { v: 'via', f: 'from', t: 'to', i: 'call-id', m: 'contact', r: 'refer-to', o: 'event' };
const ONCE = ['from', 'to', 'call-id', 'cseq'];

const BLANKS = ' \t\r';
/** Without blanks on either side. (A regular expression looks at a row of blanks in the middle once from each of them.) */
function trim(text) {
	let [from, to] = [0, text.length];
	while (from < to && BLANKS.includes(text[from])) from++;
	while (to > from && BLANKS.includes(text[to - 1])) to--;
	return text.slice(from, to);
}
/** Of ASCII only: toLowerCase() makes a k of the Kelvin sign. */
const lower = (text) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/** [name, value] of each header field; undefined when a line is none. */
function fieldsOf(lines) {
	// A line that begins with a blank goes on with the one before (RFC 3261 section 7.3.1).
	const fields = lines.replace(/\r\n[ \t]+/g, ' ').split('\r\n').map((line) => {
		const colon = line.indexOf(':');
		const name = lower(trim(line.slice(0, colon)));
		return colon >= 0 && [COMPACT[name] ?? name, trim(line.slice(colon + 1))];
	});
	return fields.every(Boolean) ? fields : undefined;
}

/**
 * Take a message apart.
 * @returns {{status?: number, method: string, cseq: number, all(name: string): string[], one(name: string): string | undefined, body: string} | undefined}
 *          method is that of a request, or of the request that is answered; one() is the value of a field that is there
 *          once. undefined: it is no message, or has a CR, LF or NUL in its head that is no line end. Others may
 *          take that for one.
 */
export function readMessage(text) {
	const message = text.replace(/^[ \t\r\n]+/, ''); // RFC 3261 section 7.5
	const end = message.indexOf('\r\n\r\n');
	const head = message.slice(0, end);
	if (end < 0 || /[\r\n\0]/.test(head.replaceAll('\r\n', ''))) return undefined;
	const [start] = head.split('\r\n', 1);
	const [, code] = /^SIP\/2\.0 ([1-9][0-9]{2})/i.exec(start) ?? [];
	const [, request] = /^(?!SIP\/2\.0 )([^ ]+) [^ ]+ SIP\/2\.0[ \t]*$/i.exec(start) ?? [];
	const fields = (code || request) && fieldsOf(head.slice(start.length + 2));
	if (!fields) return undefined;
	const all = (name) => fields.filter((field) => field[0] === name).map((field) => field[1]);
	const one = (name) => (all(name).length === 1 ? all(name)[0] : undefined);
	const [, number, answered] = /^([0-9]{1,10})[ \t]([^]*)$/.exec(one('cseq') ?? '') ?? [];
	// As large as the gateway takes it (RFC 3261 section 8.1.1.5).
	if (!(Number(number) < 2 ** 31) || ONCE.some((name) => one(name) === undefined) || !one('call-id') || !all('via').length) return undefined;
	return { status: code && Number(code), method: request ?? trim(answered), cseq: Number(number), all, one, body: message.slice(end + 4) };
}

/** What the gateway says in a refusal. To the libraries Call_State is Call-State, and the far end may have written that.
 * @param {{data?: string}} message  of a library; without data where that has made it up */
export function refusal({ data = '' }) {
	const message = readMessage(data);
	return { retryAfter: message?.one('retry-after'), state: message?.one('call-state') };
}

/** An ACK or BYE in the dialog that a 2xx to an INVITE of ours begins (RFC 3261 sections 12.1.2, 12.2.1.1, 13.2.2.4).
 * @param {object} message  the 2xx, from readMessage()
 * @returns {string} the request */
export function requestAfter(message, method) {
	const { uri } = addressOf(message.one('contact') ?? '');
	const branch = `z9hG4bK${crypto.randomUUID().replaceAll('-', '')}`;
	const routes = message.all('record-route').flatMap((value) => value.match(/<[^<>]*>/g) ?? []).reverse();
	return [
		`${method} ${uri ?? addressOf(message.one('to')).uri} SIP/2.0`,
		`Via: ${message.all('via')[0].split(/[;,]/)[0]};branch=${branch}`, 'Max-Forwards: 70', ...routes.map((route) => `Route: ${route}`),
		...['from', 'to', 'call-id'].map((name) => `${name}: ${message.one(name)}`),
		`CSeq: ${message.cseq + (method === 'ACK' ? 0 : 1)} ${method}`, 'Content-Length: 0', '', '',
	].join('\r\n');
}

/** A final answer to a request of ours.
 * @param {string} request  as it was sent
 * @param {string} status   code and reason
 * @returns {string} the reply; empty when the request cannot be read */
export function answerTo(request, status) {
	const message = readMessage(request);
	return message ? [
		`SIP/2.0 ${status}`, ...message.all('via').map((value) => `Via: ${value}`),
		...['from', 'to', 'call-id', 'cseq'].map((name) => `${name}: ${message.one(name)}`), 'Content-Length: 0', '', '',
	].join('\r\n') : '';
}

/** URI and tag of a From or To (RFC 3261 section 20.10). What stands in quotation marks is neither.
 * @returns {{uri?: string, tag?: string}} */
export function addressOf(value) {
	const [, bracketed, behind] = /^(?:[^"<]|"(?:[^"\\]|\\[^])*")*<([^">]*)>([^]*)$/.exec(value) ?? [];
	const [, bare, more] = /^([^"<>;, \t]+)((?:[; \t][^]*)?)$/.exec(value) ?? [];
	const params = (behind ?? more ?? '').replace(/"(?:[^"\\]|\\[^])*"?/g, '"');
	if (/[<>]/.test(params)) return {}; // a second one
	// White space around both signs (RFC 3261 section 25.1). A name ends where it does for the gateway.
	const [, tag] = /;[ \t]*tag(?=[;?,> \t="]|$)(?:[ \t]*=[ \t]*([\w.!%*+`'~-]+)(?![^;?, \t]))?/i.exec(params) ?? [];
	return { uri: bracketed ?? bare, tag };
}

/** User and host of a SIP URI that has both.
 * @returns {{user?: string, host?: string}} */
export function partsOf(uri) {
	const [, user, host] = /^[^:]*:(.*)@([^:;]*)/.exec(uri) ?? [];
	return { user, host };
}

/** The m-lines of a description from the far end, or of our own: kind, and direction as we see it. */
export function mediaOf(body, own = false) {
	if (!body.startsWith('v=')) return undefined;
	const mirror = { sendonly: 'recvonly', recvonly: 'sendonly' };
	const media = [];
	let session = 'sendrecv';
	for (const line of body.split('\n').map(trim)) {
		const [, kind, rejected] = /^m=([^ ]*) ?(0 )?/.exec(line) ?? [];
		const [, theirs] = /^a=(sendrecv|sendonly|recvonly|inactive)$/.exec(line) ?? [];
		const direction = own ? theirs : mirror[theirs] ?? theirs;
		if (kind !== undefined) media.push(rejected ? { kind, rejected: true } : { kind, direction: session });
		else if (direction && !media.length) session = direction;
		else if (direction && !media.at(-1).rejected) media.at(-1).direction = direction;
	}
	return media;
}
