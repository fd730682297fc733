// SPDX-License-Identifier: GPL-2.0-or-later
// What is valid in RFC 4475 (SIP torture tests) and RFC 5118 (those of IPv6), in the messages of a call that is lost and
// comes back: written by the far end, or by the client, from its first message to the last.

import { after, afterEach, before, test } from 'node:test';

import { Field, writes } from '../lib/field.mjs';
import { sdp } from '../lib/sip.mjs';

let field;
before(async () => { field = await Field.start('field-torture'); });
afterEach(() => field.end());
after(() => field.stack.stop());

/** The head changed, the body as it was. */
const head = (change) => (text) => {
	const at = text.indexOf('\r\n\r\n');
	return change(text.slice(0, at + 2)) + text.slice(at + 2);
};
const line = (name, change) => head((text) => text.replace(new RegExp(`^(${name}[ \t]*:[ \t]*)(.*)\r\n`, 'gmi'), (_, field, value) => `${change(field, value)}\r\n`));
const uriIn = (change) => (field, value) => field + value.replace(/<([^>]*)>/, (_, uri) => `<${change(uri)}>`);
const replies = (change) => (text) => (/^SIP\/2\.0/.test(text) ? change(text) : text);
const all = (...changes) => (text) => changes.reduce((t, change) => change(t), text);

/** 3.1.1.1: white space, folded lines, compact names and odd cases of letters, wherever they may be. */
const short = { 'Call-ID': 'i', Contact: 'm', 'Content-Length': 'l', 'Content-Type': 'c', From: 'f', To: 't', Via: 'v' };
const strange = all(
	line('Via', (field, value) => `${field}${value.replace(/^SIP\/2\.0\/(\w+) /, 'SIP  / 2.0\r\n / $1   ').replace(/;/g, ' \r\n ; ').replace(/=/g, ' = ')}`),
	line('(?:From|To|Contact)', (field, value) => `${field}${value.replace(/^<(.*?)>/, '"J Rosenberg \\\\\\""       <$1>').replace(/>;/g, '>\r\n  ;\r\n\t').replace(/tag=/g, 'tag =  ')}`),
	line('CSeq', (_, value) => `cseq: ${value.replace(/^(\d+) /, '00$1\r\n     ')}`),
	line('Max-Forwards', (_, value) => `MAX-FORWARDS :\t00${value}`),
	head((text) => text.replace(/^([\w-]+):/gm, (_, name) => `${short[name] ?? name} :`)),
	head((text) => `${text}NewFangledHeader:   newfangled value\r\n continued newfangled value\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\n`),
);

const FORMS = {
	'RFC 4475 3.1.1.1: a short tortuous message': strange,
	// Kamailio refuses those that have one of !%*`'.
	'3.1.1.2: an unusual header field': head((text) => `${text}extensionHeader-.+_~:\xEF\xBB\xBF\xE5\xA4\xA7\xE5\x81\x9C\xE9\x9B\xBB\r\n`),
	'3.1.1.2: an unusual user in Contact, with a question mark': line('Contact', uriIn((uri) => uri.replace(/:[^@]*@/, ":1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@"))),
	'3.1.1.2: an unusual user in Contact': line('Contact', uriIn((uri) => uri.replace(/:[^@]*@/, ":1_unusual.URI~(to-be!sure)&isn't+it$/crazy,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@"))),
	'3.1.1.3: escaped letters in Contact': line('Contact', uriIn((uri) => `${uri.replace(/:[^@]*@/, ':cal%6Cer@')};%6C%72;n%61me=v%61lue%25%34%31`)),
	'3.1.1.4: an escaped null in Contact': line('Contact', uriIn((uri) => uri.replace(/:[^@]*@/, ':%00@'))),
	'3.1.1.6: no white space in front of <': line('Contact', (field, value) => `${field}caller${value}`),
	'3.1.1.7: extremely long values': all(
		line('Contact', (field, value) => `${field}"${'amazinglylong'.repeat(15)}"${value};unknownheaderparam${'long'.repeat(30)}name=unknowheaderparam${'long'.repeat(30)}value;${'long'.repeat(30)}`),
		head((text) => `${text}Unknown-${'Long'.repeat(20)}-Name: unknown-${'long'.repeat(60)}-value; unknown-${'long'.repeat(30)}-parameter-name\r\n`),
	),
	'3.1.1.9: semicolons in the user of Contact': line('Contact', uriIn((uri) => uri.replace(/:[^@]*@/, ':user;par=u%40example.net@'))),
	'3.1.1.10: transports that nobody knows in Vias': (text) => (/^SIP/.test(text) ? text : text.replace(/^(Via: .*\r\n)/m, (via) => `${via}${
		['UDP t1.example.com', 'SCTP t2.example.com', 'TLS t3.example.com', 'UNKNOWN t4.example.com'].map((by) => `Via: SIP/2.0/${by};branch=z9hG4bKkdjuw\r\n`).join('')}`)),
	'3.1.1.12: an unusual reason': replies((text) => text.replace(/^SIP\/2\.0 200 .*\r\n/, 'SIP/2.0 200 = 2**3 * 5**2 \xD0\xBD\xD0\xBE \xD1\x81\xD1\x82\xD0\xBE\r\n')),
	'3.1.1.13: no reason': replies((text) => text.replace(/^SIP\/2\.0 200 .*\r\n/, 'SIP/2.0 200 \r\n')),
	'RFC 5118 4.6: received without brackets': replies((text) => text.replace(/;received=([^;\r\n]*)/g, ';received=2001:db8::9:255').replace(/^(Via: [^\r\n]*)(\r\n)(?!Via)/m, '$1;received=2001:db8::9:1$2')),
	'4.9: addresses of IPv4 in IPv6 in a Record-Route behind us': (text) => (/^INVITE/.test(text) ? text.replace(/^(Max-Forwards)/m, 'Record-Route: <sip:[::ffff:192.0.2.7];lr>\r\n$1') : text),
};

/** What a form may not be written into. */
const ONLY_REPLIES = /reason|received/;
const ONLY_FAR = /Record-Route|question mark/;

for (const [what, write] of Object.entries(FORMS)) {
	for (const role of what.includes('Record-Route') ? ['caller'] : ['caller', 'callee']) {
		test(`${what}: by the far end, to the ${role}`, async () => {
			const bob = await field.far({ write });
			const call = await field.resumed(bob, { role });
			await field.goesOn(bob, call, role === 'caller' ? 'far' : 'client');
		});
	}
	if (ONLY_FAR.test(what)) continue;
	test(`${what}: by the client`, async () => {
		const bob = await field.far();
		const alice = field.alice.bind(field);
		field.alice = async (...args) => {
			const client = await alice(...args);
			writes(client, (text) => (/^REGISTER/.test(text) ? text : write(text)));
			return client;
		};
		try {
			for (const transport of ONLY_REPLIES.test(what) ? ['ws'] : ['ws', 'udp']) {
				const call = await field.resumed(bob, { was: transport, is: transport, role: 'callee' });
				await field.goesOn(bob, call, 'far');
				await field.stack.dropMedia();
			}
		} finally { delete field.alice; }
	});
}

test('3.1.1.8: octets behind the body, over UDP', async () => {
	const bob = await field.far();
	const call = await field.resumed(bob);
	const { theirs } = call;
	for (const extra of ['\r\n', '\0\0\0\0', 'INVITE sip:joe@example.com SIP/2.0\r\n', 'a=x\r\n']) {
		const text = theirs.text('INFO', { headers: ['Content-Type: text/plain'], body: 'x' });
		const { branch } = theirs;
		bob.socket.send(Buffer.from(text + extra, 'latin1'), bob.to.port, bob.to.ip);
		await bob.take('the 200', (m) => m.status === 200 && m.get('via').includes(branch));
	}
	await field.goesOn(bob, call);
});

// 3.1.1.11, RFC 5621: with a description in it. The rest is taken off.
test('3.1.1.11: a body in several parts, by the far end', async () => {
	const bob = await field.far({
		write: (text) => (!/\r\n\r\nv=0/.test(text) ? text
			: text.replace(/^Content-Type: .*/m, 'Content-Type: multipart/mixed;\r\n boundary="7a9c,b 1"').replace(/\r\n\r\n(v=0[^]*)$/,
				'\r\n\r\n--7a9c,b 1\r\nContent-Type: text/plain\r\n\r\nhello\r\n--7a9c,b 1\r\ncontent-type : application/sdp ; charset=utf-8\r\n\r\n$1\r\n--7a9c,b 1--\r\n')),
	});
	for (const role of ['caller', 'callee']) {
		const call = await field.resumed(bob, { role });
		await field.goesOn(bob, call, 'far');
		await field.stack.dropMedia();
	}
});

test('a folded Content-Type, with a parameter', async () => {
	const bob = await field.far({ write: (text) => text.replace(/^Content-Type: application\/sdp/m, 'Content-Type:\r\n Application/SDP\r\n ; charset=utf-8') });
	const call = await field.resumed(bob);
	await field.goesOn(bob, call);
});

test('RFC 5118 4.8: addresses of IPv6 in a description', async () => {
	const bob = await field.far();
	const call = await field.resumed(bob);
	const ok = await call.theirs.request('INVITE', { body: sdp('2001:db8::9', 9, 9) });
	// rtpengine of the tests has no IPv6: it may refuse, and the call is as it was.
	if (ok.status < 300) {
		call.theirs.ack();
		const back = await call.theirs.request('INVITE', { body: sdp(bob.ip, bob.media, 10) });
		if (back.status !== 200) throw new Error(back.start);
		call.theirs.ack();
	} else {
		call.theirs.ack({ via: call.theirs.branch });
	}
	await field.goesOn(bob, call);
});
