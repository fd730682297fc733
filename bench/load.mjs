// SPDX-License-Identifier: GPL-2.0-or-later
// Calls by SIPp: a bounded number at a fixed rate, counted afterwards.
//
// The scenarios are composed of a few steps here rather than written as files,
// since those of one load differ in a step or two. They end up in the run's
// folder, where SIPp can be started by hand with them.
//
// Names have the length that a browser's have: Call-ID 22 characters, tag 10.

import fs from 'node:fs';
import path from 'node:path';

import { Proc } from '../tests/lib/proc.mjs';
import { freePort } from '../tests/lib/ports.mjs';
import { until } from '../tests/lib/wait.mjs';

export const CLIENT_IP = '127.0.0.3';
export const PEER_IP = '127.0.0.2';
export const SUB = 'sip:alice@example.org';
const CALL_ID = 'q8fk2n6xv3b%u-%p';

/* ---- steps ------------------------------------------------------------------ */

const send = (lines, { sdp, retrans = true } = {}) => `<send${retrans ? ' retrans="500"' : ''}><![CDATA[
${lines.flat().filter(Boolean).join('\n')}
${sdp ? `Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 3948988145 ${sdp} IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 40000 RTP/AVP 8 0 101
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=sendrecv` : 'Content-Length: 0'}

]]></send>`;

const pause = (ms) => `<pause milliseconds="${ms}"/>`;

/* O, or N of the resumed client. In N the Call-ID has a prefix up to the slashes,
 * which SIPp takes off when it looks for the call. */
const O = { callId: '[call_id]', tag: 'c[pid]x[call_number]' };
const N = { callId: 'r///[call_id]', tag: 'n[pid]x[call_number]' };

const BOB = 'sip:bob@example.org';

/* The ACK to a refusal belongs to the INVITE's transaction: branch of the INVITE, three steps
 * before it here, and To of the reply (RFC 3261 section 17.1.1.3). */
const request = (method, cseq, { to = O, inDialog = true, refused = false, callee = BOB, extra = [] } = {}) => [
	`${method} ${inDialog ? '[next_url]' : callee} SIP/2.0`,
	`Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch${refused ? '-3' : ''}];rport`,
	'Max-Forwards: 70',
	inDialog && '[routes]',
	`From: <${SUB}>;tag=${to.tag}`,
	`To: <${callee}>${inDialog || refused ? '[peer_tag_param]' : ''}`,
	`Call-ID: ${to.callId}`,
	`CSeq: ${cseq} ${method}`,
	extra,
	method === 'INVITE' && 'Contact: <sip:alice@[local_ip]:[local_port][tcp]>',
];

const answered = (actions = '') => `<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="200" rrs="true">${actions}</recv>`;

const ack = (cseq) => send(request('ACK', cseq), { retrans: false });

const bye = (cseq, to = O, callee = BOB) => [send(request('BYE', cseq, { to, callee })), '<recv response="200"/>'];

const TOKEN = 'Authorization: Bearer [token]';

/* How the client opens a call: with its token or without, and whether it
 * keeps the sealed state. */
const open = ({ token, keep, pause_ms = 100 }) => [
	send(request('INVITE', 1, { inDialog: false, extra: token ? [TOKEN] : [] }), { sdp: 1 }),
	answered(keep && '<action><ereg regexp="Call-State: *([[:graph:]]+)" search_in="msg" '
		+ 'check_it="true" assign_to="whole,state"/></action>'),
	ack(1),
	pause(pause_ms),
];

const reinvite = (cseq) => [
	send(request('INVITE', cseq), { sdp: cseq }), answered(), ack(cseq), pause(100),
];

const resume = (callee = BOB) => [
	send(request('INVITE', 1, { to: N, inDialog: false, callee, extra: [TOKEN, 'Call-State: [$state]'] }), { sdp: 1 }),
	answered(),
	send(request('ACK', 1, { to: N, callee }), { retrans: false }),
	pause(100),
];

/* The right form and the wrong content. */
const forged = () => [
	send(request('INVITE', 1, { inDialog: false, extra: [TOKEN,
		`Call-State: ${Buffer.from('{"alg":"dir","enc":"A256GCM","kid":"k1"}').toString('base64url')}..${'A'.repeat(16)}.${'A'.repeat(840)}.${'A'.repeat(22)}`] }), { sdp: 1 }),
	'<recv response="100" optional="true"/>',
	'<recv response="403"/>',
	send(request('ACK', 1, { inDialog: false, refused: true }), { retrans: false }),
];

const reply = (code, reason, { tag = '', sdp } = {}) => send([
	`SIP/2.0 ${code} ${reason}`, '[last_Via:]', '[last_From:]', `[last_To:]${tag}`, '[last_Call-ID:]',
	'[last_CSeq:]', '[last_Record-Route:]', sdp && 'Contact: <sip:bob@[local_ip]:[local_port][tcp]>',
], { sdp, retrans: Boolean(sdp) });

const PEER_TAG = ';tag=p[pid]x[call_number]';

const answer = () => [
	'<recv request="INVITE"/>', reply(180, 'Ringing', { tag: PEER_TAG }), pause(50),
	reply(200, 'OK', { tag: PEER_TAG, sdp: 1 }), '<recv request="ACK"/>',
];

/* Phones answer a re-INVITE at once. */
const answerAgain = () => [
	'<recv request="INVITE"/>', reply(200, 'OK', { sdp: 2 }), '<recv request="ACK"/>',
];

/* And say it again when it got lost. */
const answerBye = () => ['<recv request="BYE"/>', reply(200, 'OK'), '<timewait milliseconds="4000"/>'];

/* ---- scenarios ---------------------------------------------------------------- */

/* A page that does not remember whom it had called. */
const OTHER = 'sip:resume@example.org';

const FOREVER = pause(3600_000);

/** name: [what the client does, what the peer does] */
const SCENARIOS = {
	plain: [[open({}), bye(2)], [answer(), answerBye()]],
	token: [[open({ token: true }), bye(2)], [answer(), answerBye()]],
	setup: [[open({ token: true })], [answer()]],
	resume: [[open({ token: true, keep: true }), resume(), bye(2, N)], [answer(), answerAgain(), answerBye()]],
	'resume-setup': [[open({ token: true, keep: true }), resume()], [answer(), answerAgain()]],
	/* A second in between: a machine that stands still for a moment does not make the ACK come late. */
	'resume-calm': [[open({ token: true, keep: true, pause_ms: 1000 }), resume(), bye(2, N)], [answer(), answerAgain(), answerBye()]],
	reinvite: [[open({ token: true, keep: true }), reinvite(2), resume(), bye(2, N)],
		[answer(), answerAgain(), answerAgain(), answerBye()]],
	'reinvite-other': [[open({ token: true, keep: true }), reinvite(2), resume(OTHER), bye(2, N, OTHER)],
		[answer(), answerAgain(), answerAgain(), answerBye()]],
	forged: [[forged()], [answer()]],
	hold: [[open({ token: true }), FOREVER], [answer(), FOREVER]],
	'hold-plain': [[open({}), FOREVER], [answer(), FOREVER]],
};

function write(dir, name, side) {
	const file = path.join(dir, `${name}-${side === 0 ? 'client' : 'peer'}.xml`);
	const steps = SCENARIOS[name][side].flat(9).join('\n');
	const used = steps.includes('assign_to') ? '<Reference variables="whole,state"/>' : '';
	fs.writeFileSync(file, `<?xml version="1.0" encoding="UTF-8" ?>\n<scenario name="${name}">\n${steps}\n${used}\n</scenario>\n`);
	return file;
}

/* ---- running ------------------------------------------------------------------- */

/** What measure() resolves to. A machine that stood still in the middle says nothing:
 * a load that failed is repeated, twice at most. */
export async function tries(note, measure) {
	for (let left = 3; ; left--) {
		try {
			return await measure();
		} catch (e) {
			if (e.fatal || left === 1) throw e;
			note(`once more, because of ${e.message.split('\n')[0]}`);
		}
	}
}

const hexPort = (port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
/* A TCP port that is closed has connections for a while. */
const STATE = { udp: '07', tcp: '0A' };
const listens = (port, transport) => fs.readFileSync(`/proc/net/${transport}`, 'latin1').split('\n')
	.map((line) => line.trim().split(/ +/)).some(([, local, , state]) => local?.endsWith(hexPort(port)) && state === STATE[transport]);

/* The last line of SIPp's statistics as {column: value}. */
function statistics(file) {
	const lines = fs.readFileSync(file, 'latin1').trim().split('\n');
	const names = lines[0].split(';');
	const values = lines.at(-1).split(';');
	return Object.fromEntries(names.map((n, i) => [n, values[i]]));
}

/* What SIPp's statistics say so far; up: calls that have begun and not ended. */
function progress(file) {
	const s = statistics(file);
	return { created: Number(s.TotalCallCreated), up: Number(s.CurrentCall), again: Number(s['Retransmissions(C)']) };
}

/**
 * Both ends of a load, over UDP or TCP. The peer's port stays the same over all loads, because
 * the gateways have been told it.
 */
export class Load {
	constructor(dir, peerPort, transport = 'udp') {
		this.dir = dir;
		this.transport = transport;
		this.peerPort = peerPort;
		this.serial = 0;
	}

	/**
	 * Start both ends. The client ends by itself; the peer stays for one call more than
	 * there are, so that it can repeat itself, and is to be killed.
	 * @param scenario  a key of SCENARIOS
	 * @param to        'ip:port' of the gateway
	 * @param trace     keep the peer's messages, at peer.messages
	 * @param again     say again what has no answer yet
	 */
	async start(scenario, to, { calls, rate, token = 'none', trace = false, again = true, timeout_s = 120 }) {
		const run = `${scenario}-${++this.serial}`;
		const common = (name, count) => ['-t', this.transport === 'tcp' ? 't1' : 'u1', '-key', 'tcp', this.transport === 'tcp' ? ';transport=tcp' : '',
			...(again ? [] : ['-nr']), '-nostdin', '-m', String(count), '-timeout', String(Math.ceil(timeout_s)), '-timeout_error',
			'-trace_err', '-error_file', path.join(this.dir, `${name}.errors`)];
		const peerName = `${run}-peer`;
		const clientName = `${run}-client`;
		const messages = path.join(this.dir, `${run}-peer.messages`);
		const stats = path.join(this.dir, `${clientName}.csv`);
		const peer = new Proc(peerName, this.dir, 'sipp', [
			'-sf', write(this.dir, scenario, 1), '-i', PEER_IP, '-p', String(this.peerPort), '-mp', '39000', ...common(peerName, calls + 1),
			...(trace ? ['-trace_msg', '-message_file', messages] : []),
		], { env: { TERM: 'dumb' } });
		await until(`${peerName} to listen`, () => { peer.assertAlive(); return listens(this.peerPort, this.transport); }, { every_ms: 5 });
		const client = new Proc(clientName, this.dir, 'sipp', [
			'-sf', write(this.dir, scenario, 0), '-i', CLIENT_IP, '-p', String(await freePort(CLIENT_IP)), '-mp', '39100',
			'-r', String(rate), '-l', String(calls), '-cid_str', CALL_ID, '-key', 'token', token,
			'-trace_stat', '-stf', stats, '-fd', '1', ...common(clientName, calls), to,
		], { env: { TERM: 'dumb' } });
		return { peer, client, messages, calls, stats, progress: () => progress(stats), errors: path.join(this.dir, `${clientName}.errors`) };
	}

	/** One load from the first INVITE to the last message. @return messages that SIPp sent again */
	async run(scenario, to, options) {
		const load = await this.start(scenario, to, options);
		const code = await load.client.exited;
		await load.peer.kill();
		if (code !== 0) {
			let why = '';
			try { why = fs.readFileSync(load.errors, 'latin1').slice(0, 1500); } catch { /* none */ }
			throw new Error(`${scenario}: SIPp ended with ${code} at ${to}\n${why}`);
		}
		return Object.assign(load, load.progress());
	}
}
