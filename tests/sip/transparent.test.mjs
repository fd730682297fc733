// SPDX-License-Identifier: GPL-2.0-or-later
// A message that has nothing to do with us leaves Kamailio byte for byte as
// without the module.
//
// The same Kamailio, on the same ports, once with the module and once without;
// its routes (tests/lib/plain.cfg) do not know of the module. A client sends the
// same messages in the same order from the same ports, a sink answers, and all
// that either of them receives is compared, byte by byte. Two things are replaced
// before the comparison, because Kamailio makes them up at random: the branch in
// its own Via when it keeps a transaction, and the tag of its own replies.
//
// To keep the order without waiting for a time, each message is followed by a
// fence: what has come when the fence has come is all that comes.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { Kamailio, ROOT, writeKeyRing } from '../lib/kamailio.mjs';
import { freePort } from '../lib/ports.mjs';
import { Endpoint, replyTo, sdp } from '../lib/sip.mjs';
import { runFolder } from '../lib/stack.mjs';

const SINK_IP = '127.0.0.2';

/* ---- what is sent ---------------------------------------------------------- */

const METHODS = ['INVITE', 'ACK', 'BYE', 'CANCEL', 'OPTIONS', 'REGISTER', 'PRACK', 'UPDATE', 'INFO', 'SUBSCRIBE',
	'NOTIFY', 'REFER', 'MESSAGE', 'PUBLISH', 'BREW'];
const MAP = 'nk4tvy5obt5nkoqw6xctz2olmwdxydsgcyckjgl6wlx4tjawwu2gnso3c6cs47hykfhwq545fn5cdrrjenatpgpe5cpiny67du';
const WHERE = 'crm1 crs-a=nk4t Call-State';

/** A request in which parts can be replaced: fields by name, or added to more. */
function request(method, id, { uri = 'sip:bob@192.0.2.9', more = [], body = '', eol = '\r\n', names = {}, ...fields } = {}) {
	const all = {
		Via: `SIP/2.0/TRANSPORT 127.0.0.1:PORT;branch=z9hG4bK-${id}`,
		'Max-Forwards': '70',
		From: '<sip:alice@example.org>;tag=a1',
		To: `<sip:bob@example.org>${/ACK|BYE/.test(method) ? ';tag=b1' : ''}`,
		'Call-ID': `call-${id}`,
		CSeq: `7 ${method}`,
		Contact: '<sip:alice@127.0.0.1:PORT>',
		...fields,
	};
	const lines = Object.entries(all).filter(([, v]) => v !== null).map(([k, v]) => `${names[k] ?? `${k}: `}${v}`);
	return [`${method} ${uri} SIP/2.0`, ...lines, ...more, `${names['Content-Length'] ?? 'Content-Length: '}${body.length}`,
		'', ''].join(eol) + body;
}

const compact = {
	Via: 'v:', From: 'f:', To: 't:', 'Call-ID': 'i:', Contact: 'm:', 'Content-Length': 'l:',
};
const spaced = {
	Via: 'VIA :\t ', From: 'from  :   ', To: 'TO:', 'Call-ID': 'call-id :', CSeq: 'cSeQ:\t', Contact: 'CONTACT:',
};

/** [what, request, reply], where a reply is a function of the request at the sink. */
function* conversations() {
	const ok = (m) => replyTo(m, 200, 'OK', { to: `${m.get('to')};tag=s1` });
	const invite = (id, o) => request('INVITE', id, { body: sdp('127.0.0.1', 4000), more: ['Content-Type: application/sdp'], ...o });
	let n = 0;
	const id = () => `m${++n}`;

	for (const mode of [[], ['X-Relay: 1'], ['X-Relay: 1', 'X-Record: 1'], ['X-Record: 1', 'X-Append: 1']]) {
		for (const method of METHODS) {
			yield [`${method} ${mode}`, request(method, id(), { more: mode }), ok];
			yield [`${method} ${mode}, crm1 in a header`, request(method, id(), { more: [...mode, `Subject: ${WHERE}`] }), ok];
		}
	}
	for (const status of [100, 180, 183, 199, 200, 202, 302, 401, 404, 407, 481, 486, 488, 491, 500, 503, 603, 699]) {
		for (const phrase of ['Some Reason', 'crm1', '']) {
			yield [`a ${status} "${phrase}"`, request('OPTIONS', id()), (m) => replyTo(m, status, phrase, {
				fields: ['Contact: <sip:carol@192.0.2.1>, "crm1 <;x" <sip:dave@192.0.2.2;a=b?Subject=crm1>;q=0.5',
					'Record-Route: <sip:192.0.2.1;lr;crm1=x>', 'Call-State: something of somebody else', 'Retry-After: 5 (crm1)'],
				body: `crm1\r\n${sdp('192.0.2.1', 9)}`,
			})];
		}
	}
	for (const names of [compact, spaced]) {
		yield ['names in another form', invite(id(), { names }), ok];
		yield ['names in another form, crm1', invite(id(), { names, more: ['s:crm1', 'Content-Type: application/sdp'] }), ok];
	}
	for (const mark of ['', 'crm1']) {
		yield [`folded lines ${mark}`, invite(id(), {
			To: `"Bob ${mark}"\r\n\t<sip:bob@example.org>`, more: [`Subject: a\r\n  b\r\n\t.${mark}`, 'X-Relay: 1'],
		}), ok, 'udp']; // Kamailio's reader of TCP stumbles over it
		yield [`white space ${mark}`, invite(id(), { CSeq: '  7    INVITE  ', more: [`Subject:  ${mark}  `, `X-Empty:${mark}`, 'X-None:'] }), ok];
		yield [`display names ${mark}`, invite(id(), {
			From: `"A \\"lice\\" <x>;tag=no, ${mark}" <sip:alice@example.org;p=1>;x=y;tag=a1`, To: 'sip:bob@example.org;x=1',
		}), ok];
		yield [`several values in a line ${mark}`, invite(id(), {
			Via: `SIP/2.0/TRANSPORT 127.0.0.1:PORT;branch=z9hG4bK-v${mark}, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-w;crm1=${MAP}`,
			more: [`Route: <sip:192.0.2.1;lr;x=${mark}>, <sip:192.0.2.2;lr>`, 'Allow: INVITE,ACK', 'Allow: BYE'],
		}), ok];
		yield [`a long header ${mark}`, invite(id(), { more: [`X-Long: ${'long '.repeat(1600)}${mark}`] }), ok];
		yield [`many headers ${mark}`, invite(id(), { more: Array.from({ length: 200 }, (_, i) => `X-${i}: ${mark}${i}`) }), ok];
		yield [`a long body ${mark}`, request('MESSAGE', id(), { body: `${mark}${'0123456789'.repeat(2000)}`, more: ['X-Relay: 1'] }), ok];
		yield [`a binary body ${mark}`, request('MESSAGE', id(), {
			body: `${String.fromCharCode(...Array(256).keys())}${mark}\0\r\n\r\n\xff`, more: ['Content-Type: application/octet-stream'],
		}), ok];
		yield [`a multipart body ${mark}`, invite(id(), {
			body: `--b\r\nContent-Type: application/sdp\r\n\r\n${sdp('192.0.2.1', 9)}\r\n--b\r\nX: ${mark}\r\n\r\n${mark}\r\n--b--\r\n`,
			more: ['Content-Type: multipart/mixed;boundary=b', 'X-Relay: 1'],
		}), ok];
		yield [`many Contacts in a reply ${mark}`, request('OPTIONS', id()), (m) => replyTo(m, 302, 'Elsewhere', {
			fields: Array.from({ length: 120 }, (_, i) => `Contact: <sip:${mark}${i}@192.0.2.1>`), body: mark,
		})];
		yield [`an odd reply ${mark}`, request('OPTIONS', id()), (m) => replyTo(m, 200, mark).replace('\r\n', '\r\nNo-Colon-Here\r\n'), 'udp'];
		yield [`a reply with an odd Contact ${mark}`, request('OPTIONS', id()), (m) => replyTo(m, 200, mark, {
			fields: ['Contact: *', 'Contact: <sip:broken', `Contact: ${mark}`, 'Record-Route: <<>>,,', 'RAck: x'],
		})];
		yield [`an answer of Kamailio itself ${mark}`, request('OPTIONS', id(), { uri: 'sip:local@192.0.2.9', more: [`Subject: ${mark}`] })];
		yield [`odd CSeq ${mark}`, request('OPTIONS', id(), { CSeq: '4294967295 OPTIONS', more: [`X: ${mark}`] }), ok];
		yield [`no Contact, no Max-Forwards ${mark}`, request('INFO', id(), { Contact: null, 'Max-Forwards': null, more: [`X: ${mark}`] }), ok];
		yield [`two To ${mark}`, request('INFO', id(), { more: ['To: <sip:eve@example.org>;tag=e', `X: ${mark}`] }), ok, 'udp'];
		yield [`no From tag ${mark}`, request('INFO', id(), { From: `<sip:${mark}a@example.org>` }), ok];
		yield [`bare line feeds ${mark}`, request('OPTIONS', id(), { eol: '\n', more: [`X: ${mark}`] }), undefined, 'udp'];
		yield [`no Content-Length ${mark}`, request('OPTIONS', id()).replace(/Content-Length: 0\r\n/, `X: ${mark}\r\n`), ok, 'udp'];
		yield [`no SIP at all ${mark}`, `${mark} hello\r\n\r\n`, undefined, 'udp'];
		yield [`cut off ${mark}`, request('OPTIONS', id(), { more: [`X: ${mark}`] }).slice(0, -30), undefined, 'udp'];
	}
	// Text that looks like ours, in places where we never put it.
	for (const [what, o] of Object.entries({
		'a user': { uri: 'sip:crm1@192.0.2.9' },
		'a parameter': { uri: `sip:bob@192.0.2.9;crm10=${MAP};xcrm1=${MAP}` },
		'a URI header': { uri: `sip:bob@192.0.2.9?crm1=${MAP}` },
		'a Call-ID': { 'Call-ID': `x.crm1.${MAP}` },
		'a From tag': { From: `<sip:alice@example.org>;tag=a.crm1.${MAP}` },
		'a To tag that ends early': { To: '<sip:bob@example.org>;tag=b.crm1' },
		'a To tag with a map that is none': { To: `<sip:bob@example.org>;tag=b.crm1.${MAP}` },
		'a Contact': { Contact: `<sip:alice@127.0.0.1:PORT;crm1=${MAP}>` },
		'a Route': { more: [`Route: <sip:192.0.2.1;lr;crm1=${MAP}>`] },
		'a Record-Route': { more: [`Record-Route: <sip:192.0.2.1;lr;crm1=${MAP};crs-a=${MAP}>`] },
		'a Replaces': { more: ['Replaces: abc;to-tag=crm1;from-tag=2', 'Refer-To: <sip:x@y?Replaces=a%3Bto-tag%3Dcrm1%3Bfrom-tag%3Db>'] },
		'a Target-Dialog': { more: ['Target-Dialog: crm1@host;local-tag=1;remote-tag=2'] },
		'an Authorization': { more: ['Authorization: Bearer crm1.crm1.crm1'] },
		'a Call-State that is no order': { more: ['Call-State: crm1', 'Call-State: xcrm1 a b'] },
	})) {
		for (const method of ['INVITE', 'INFO']) {
			for (const mode of [[], ['X-Relay: 1', 'X-Record: 1']]) {
				yield [`crm1 in ${what}, ${method} ${mode}`, request(method, id(), { ...o, more: [...o.more ?? [], ...mode] }), ok];
			}
		}
	}
}

/* ---- one run ---------------------------------------------------------------- */

function normal(text, ours) {
	return text
		.replace(new RegExp(`(Via: SIP/2\\.0/\\w+ ${ours};branch=z9hG4bK)[\\w.]+`, 'g'), '$1-')
		.replace(/;tag=[0-9a-f]{32}[-.][0-9a-f.]+/g, ';tag=-');
}

/** All that client and sink receive: [[what, [text, ...]], ...]. */
async function record(transport, { dir, ports, module }) {
	const kamailio = await Kamailio.start(dir, {
		name: module ? 'with' : 'without', cfg: path.join(ROOT, 'tests/lib/plain.cfg'), ports: { port: ports.kamailio },
		defines: {
			SINK: `"sip:${SINK_IP}:${ports.sink}"`, WITH_MODULE: module,
			RESUME_KEY_RING: `"${path.join(dir, 'keyring')}"`,
		},
	});
	const sink = await Endpoint.open({ ip: SINK_IP, port: ports.sink, transport, listen: true });
	const client = await Endpoint.open({ port: ports.client, transport, to: { ip: kamailio.ip, port: kamailio.port } });
	const ours = `${kamailio.ip}:${kamailio.port}`.replaceAll('.', '\\.');
	const heard = [];
	const until = async (party, fence) => {
		const last = await party.take(`fence ${fence}`, (m) => m.callId === fence);
		const texts = party.inbox.splice(0);
		heard.at(-1)[1].push(...texts.map((m) => normal(m.text, ours)));
		return [last, texts];
	};
	let n = 0;
	try {
		for (const [what, text, reply, only] of conversations()) {
			if (only && only !== transport) continue;
			const local = (t) => t.replaceAll('TRANSPORT', transport.toUpperCase()).replaceAll('PORT', ports.client);
			const fence = `fence-${++n}`;
			heard.push([what, []]);
			client.send(local(text));
			client.send(local(request('OPTIONS', fence, { 'Call-ID': fence })));
			const [last, requests] = await until(sink, fence);
			for (const m of requests.filter((r) => reply && r.method !== 'ACK')) m.answer(reply(m));
			last.answer(replyTo(last, 200, 'OK'));
			await until(client, fence);
		}
		kamailio.proc.assertAlive();
	} catch (e) {
		throw new Error(`after "${heard.at(-1)[0]}": ${e.message}`);
	} finally {
		client.socket.resetAndDestroy?.();
		client.close();
		sink.close();
		await kamailio.stop();
	}
	return heard;
}

const unfolded = ([what, t]) => [what, what.startsWith('folded') ? t.map((text) => text.replace(/(\r\n)?[ \t]+/g, ' ')) : t];

for (const transport of ['udp', 'tcp']) {
	describe(transport, () => {
		let dir;
		before(() => {
			dir = runFolder(`transparent-${transport}`);
			writeKeyRing(path.join(dir, 'keyring'));
		});
		after(() => fs.rmSync(dir, { recursive: true, force: true }));

		test(`over ${transport}: the same bytes with and without the module`, async () => {
			const ports = { kamailio: await freePort(), client: await freePort(), sink: await freePort(SINK_IP) };
			// All that is different: what only a gateway may write is taken off, what not all readers would
			// split alike is dropped, and folds become blanks.
			const without = (await record(transport, { dir, ports, module: false }))
				.map(([what, t]) => [what, what.startsWith('bare line feeds') ? [] : t.map((text) => text.replace(/^Call-State: .*\r\n/mg, ''))])
				.map(unfolded);
			const withIt = (await record(transport, { dir, ports, module: true })).map(unfolded);
			const texts = without.flatMap(([, t]) => t);
			assert.ok(without.length > 200 && texts.length > 400, `${without.length} messages, ${texts.length} received`);
			const differs = without.flatMap(([what, t], i) =>
				(JSON.stringify(t) === JSON.stringify(withIt[i][1]) ? [] : [{ what, without: t, with: withIt[i][1] }]));
			assert.deepEqual(differs.map((d) => d.what), [], JSON.stringify(differs.slice(0, 2), null, 1).slice(0, 6000));
		});
	});
}
