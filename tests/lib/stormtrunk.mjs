// SPDX-License-Identifier: GPL-2.0-or-later
// The far end of a storm, a process of its own: it takes every call and everything in it over UDP, repeats a 200 until
// the ACK is there (RFC 3261 section 13.3.1.4), and, like a trunk that one pays for, takes no more than so many INVITEs
// in a second.
//
// usage, by child_process.fork(): stormtrunk.mjs IP PORT

import dgram from 'node:dgram';

import { Message, random, replyTo } from './sip.mjs';

const [ip, port] = [process.argv[2], Number(process.argv[3])];
const T1 = 500, T2 = 4000; // ms

let perSecond = 0; // 0: as many as come
let taken = []; // when INVITEs came in the last second
const calls = new Map();
let seen;

/** Start counting anew. */
function reset() {
	taken = [];
	seen = { invites: 0, refused: 0, repeated: 0, byes: 0, browsers: 0, inOneSecond: 0, unacknowledged: 0 };
}
reset();

const body = (version) => [
	'v=0', `o=- 1 ${version} IN IP4 ${ip}`, 's=-', `c=IN IP4 ${ip}`, 't=0 0',
	'm=audio 4100 RTP/AVP 8 101', 'a=rtpmap:8 PCMA/8000', 'a=rtpmap:101 telephone-event/8000', 'a=sendrecv', '',
].join('\r\n');

const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 1 << 22 });

/** INVITEs of the last second, with this one. */
function rate() {
	const now = performance.now();
	taken = taken.filter((t) => now - t < 1000);
	taken.push(now);
	seen.inOneSecond = Math.max(seen.inOneSecond, taken.length);
	return taken.length;
}

/** Send it until its ACK is there. */
function repeat(call, send, wait = T1, left = 7) {
	call.timer = setTimeout(() => {
		if (left === 0) return void seen.unacknowledged++;
		seen.repeated++;
		send(call.text);
		repeat(call, send, Math.min(T2, wait * 2), left - 1);
	}, wait);
}

function invite(m, send) {
	const call = calls.get(m.callId) ?? { tag: random(4) };
	if (call.branch === m.get('via')) return void (call.text && send(call.text));
	seen.invites++;
	// What is for browsers alone: nobody between them and us has made it.
	if (/SAVPF|a=ice-|a=fingerprint/.test(m.body)) seen.browsers++;
	const to = m.tag('to') ? m.get('to') : `${m.get('to')};tag=${call.tag}`;
	if (rate() > perSecond && perSecond) {
		taken.pop();
		seen.refused++;
		return send(replyTo(m, 503, 'Too Many Calls', { to, fields: ['Retry-After: 99'] }));
	}
	clearTimeout(call.timer);
	calls.set(m.callId, call);
	Object.assign(call, { branch: m.get('via'), cseq: m.cseq, text: replyTo(m, 200, 'OK', {
		to, fields: [...m.recordRoutes.map((r) => `Record-Route: ${r}`), `Contact: <sip:bob@${ip}:${port}>`], body: body(m.cseq),
	}) });
	send(call.text);
	repeat(call, send);
}

socket.on('message', (data, from) => {
	const m = new Message(data.toString('latin1'));
	const send = (text) => socket.send(Buffer.from(text, 'latin1'), from.port, from.address);
	if (m.status) return;
	if (m.method === 'INVITE') return invite(m, send);
	const call = calls.get(m.callId);
	if (m.method === 'ACK') return void (call?.cseq === m.cseq && clearTimeout(call.timer));
	if (m.method === 'BYE') {
		seen.byes++;
		clearTimeout(call?.timer);
		calls.delete(m.callId);
	}
	send(replyTo(m, 200, 'OK'));
});

process.on('message', ({ ask, per_s }) => {
	if (ask === 'reset') reset();
	if (per_s !== undefined) perSecond = per_s;
	process.send({ ...seen, calls: calls.size });
});
process.on('disconnect', () => process.exit());
socket.bind(port, ip, () => process.send('ready'));
