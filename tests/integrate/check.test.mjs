// SPDX-License-Identifier: GPL-2.0-or-later
// What tools/check says of a gateway that has the five routes, and of one where one of them is missing or
// at a wrong place: red, with what to do.

import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import assert from 'node:assert/strict';

import { check } from '../lib/check.mjs';
import { Integrated } from '../lib/integrate.mjs';
import { DEBIAN } from './debian.mjs';
import { LANGUAGES, kemi } from './kemi.mjs';
import { WEBRTC } from './webrtc.mjs';

/** Take the only line away that is this one; where it goes instead: [before or after, that line]. */
function move(text, line, [where, mark] = []) {
	const lines = text.split('\n');
	const at = (what) => {
		const found = lines.flatMap((l, i) => (l.trim() === what ? [i] : []));
		assert.equal(found.length, 1, `one line "${what}"`);
		return found[0];
	};
	const [taken] = lines.splice(at(line), 1);
	if (where) lines.splice(at(mark) + (where === 'after' ? 1 : 0), 0, taken);
	return lines.join('\n');
}

/** Run tools/check on the patched configuration, changed as said; {code, text, left}. */
async function checked(name, how, { change = (text) => text, before = () => {}, ...options } = {}) {
	const stack = await Integrated.start(`check-${name}`, {
		...how,
		prepare: async (self) => {
			await how.prepare(self);
			const file = path.join(self.dir, how.cfg ?? 'kamailio.cfg');
			fs.writeFileSync(file, change(fs.readFileSync(file, 'utf8')));
		},
	});
	try {
		await before(stack);
		const said = check(stack, options);
		return {
			...said, bindings: await stack.kamailio.kamcmd('ul.dump'), media: await stack.rtpengine.calls().catch(() => null),
			log: stack.kamailio.log(),
		};
	} finally {
		await stack.stop();
	}
}

const OK = [
	/^ok .*rtpengine answers/m,
	/^ok .*a token is taken over .*, and its client gets its key/m, /^ok .*who has no token is asked for a password/m, /^ok .*a foreign Call-State is refused/m,
	/^ok .*a call brings both of its clients a Call-State/m, /^(ok .*a client that is away is answered for|note .*away.*RESUME_UNREACHABLE)/m,
	/^ok .*resumed: its far end gets a re-INVITE/m, /^ok .*its far end hangs up/m,
];
/**
 * What is red, but that tokens may cross the network in the clear, which the tests' stack has to allow, and core
 * dumps, which the service forbids.
 */
const red = (text) => [...text.matchAll(/^NO {4}(.*)/mg)].map((m) => m[1])
	.filter((l) => !/^allow_insecure|may dump core/.test(l));
const nothingLeft = ({ bindings, media }, name, asked = true) => {
	assert.doesNotMatch(bindings, /call_resume-check/, name);
	if (asked) assert.deepEqual(media, [], name);
};

const MISTAKES = [
	{
		what: 'no RESUME', line: 'route(RESUME);',
		says: /NO .*an INVITE with a Call-State came as a new call\n.*route\(RESUME\) belongs .*: see docs\/integrate\.md/,
	},
	{
		what: 'no RESUME_WITHIN_DIALOG', line: 'route(RESUME_WITHIN_DIALOG);',
		says: /NO .*a client that is away gets .* and not 500 Client Away\n.*route\(RESUME_WITHIN_DIALOG\) belongs .*: see docs\/integrate\.md/,
	},
	{
		what: 'no RESUME_AUTHENTICATE', line: 'if (route(RESUME_AUTHENTICATE)) return;',
		says: /NO .*REGISTER with a token over .*: 40[17] .*\n.*route\(RESUME_AUTHENTICATE\) belongs .*: see docs\/integrate\.md/,
	},
	{
		what: 'no RESUME_REGISTER', line: 'route(RESUME_REGISTER);',
		says: /NO .*REGISTER .* brings no Call-State-Key\n.*route\(RESUME_REGISTER\) belongs .*: see docs\/integrate\.md/,
	},
	{
		what: 'no RESUME_CALL', line: 'route(RESUME_CALL);',
		says: /NO .*a call brings no Call-State, neither in the INVITE nor in the 200\n.*route\(RESUME_CALL\) belongs .*: see docs\/integrate\.md/,
	},
];
const PLACES = {
	debian: [
		{ what: 'RESUME behind what looks at the dialog', line: 'route(RESUME);', to: ['after', 'route(WITHINDLG);'], says: /NO .*resume/ },
		{ what: 'RESUME behind the authentication', line: 'route(RESUME);', to: ['after', 'route(AUTH);'], says: /NO .*resume/ },
	],
	webrtc: [
		{ what: 'RESUME behind what looks at the dialog', line: 'route(RESUME);', to: ['after', 'if (has_totag()) route(DIALOG);'], says: /NO .*resume/ },
		{ what: 'RESUME_WITHIN_DIALOG behind the relay', line: 'route(RESUME_WITHIN_DIALOG);', to: ['before', 'sl_send_reply("404", "Not here");'], says: /NO/ },
		{
			what: 'RESUME_AUTHENTICATE behind the password', line: 'if (route(RESUME_AUTHENTICATE)) return;',
			to: ['before', 'if (!is_method("REGISTER")) consume_credentials();'], says: /NO/,
		},
		{ what: 'RESUME_REGISTER behind save()', line: 'route(RESUME_REGISTER);', to: ['after', 'if (!save("location", "0x04")) sl_reply_error();'], says: /NO/ },
		{
			what: 'RESUME_REGISTER in front of the authentication', line: 'route(RESUME_REGISTER);',
			to: ['before', 'if (is_method("REGISTER") || from_uri == myself) route(PASSWORD);'], says: /NO/,
		},
		{
			what: 'RESUME_CALL in front of the authentication', line: 'route(RESUME_CALL);',
			to: ['before', 'if (is_method("REGISTER") || from_uri == myself) route(PASSWORD);'], says: /NO/,
		},
		{ what: 'RESUME_CALL behind the relay', line: 'route(RESUME_CALL);', to: ['before', 'send_reply("404", "Not Found");'], says: /NO/ },
	],
};

/** Lines behind the include_file, where an operator's own parameters are. */
const behind = (lines) => (text) => text.replace(/^include_file "resume.cfg"$/m, `$&\n${lines}`);
/** A gateway that calls its subscribers alone. */
const onlyKnown = (text) => text.replace('if (uri == myself && lookup("location")) {',
	'if (uri == myself && !($rU =~ "^(alice|carol)$")) {\n\t\tsend_reply("404", "Not Found");\n\t\texit;\n\t}\n\t$&');
const OTHERS = [
	{ what: 'a small buffer', change: behind('tcp_rd_buf_size=4096'), says: /NO .*may have 4096 bytes: not enough .*\n +tcp_rd_buf_size=24576/ },
	{
		what: "a domain that is not Kamailio's own", domain: 'other.example',
		says: /NO .*other\.example is not one of Kamailio's own domains: example\.org\n.*alias="other\.example"/,
	},
	{
		what: 'no domain at all', change: (text) => text.replace(/^alias=DOMAIN$/m, ''),
		says: /note .*no alias[^]*NO .*does not arrive: 404 .*\n.*alias=/,
	},
	{
		what: 'an rtpengine that does not answer', before: ({ rtpengine }) => rtpengine.stop(), media: false,
		says: /NO .*no rtpengine answers.*\n.*rtpengine_sock/,
	},
	{
		what: 'a user that is none of the gateway\'s', change: onlyKnown,
		says: /NO .*a call to sip:call_resume-check@example\.org, .* does not arrive: 404 .*\n.*alias=.*\n.*is_subscriber\(\).*-u/,
	},
	{
		what: 'a user who has a phone', user: 'carol',
		before: ({ kamailio }) => kamailio.kamcmd('ul.add', 'location', 'carol@example.org', 'sip:carol@192.0.2.9', '60', '1.0', '.', '0', '0', '4294967295'),
		says: /NO .*carol@example\.org is registered: its clients would ring\n/,
	},
	{
		what: 'passwords that are good no more', change: (text) => text.replace('#!define RESUME_PASSWORD PASSWORD\n', ''),
		says: /note .*neither token nor password gets 401 .*RESUME_PASSWORD, see docs\/integrate\.md/,
	},
	{
		what: 'a REGISTER that nobody asks', change: (text) => text.replace('if (is_method("REGISTER") || from_uri', 'if (!is_method("REGISTER") && from_uri'),
		says: /NO .*a REGISTER with neither token nor password gets 200 .*\n.*route\(RESUME_AUTHENTICATE\) belongs/,
	},
	{
		what: 'a registrar behind an edge proxy',
		change: (text) => text.replace('loadmodule "registrar.so"\n', '').replace(/^modparam\("registrar".*$/m, '')
			.replace('if (!save("location", "0x04")) sl_reply_error();', 'send_reply("200", "OK");').replace('lookup("location")', 'has_totag()'),
		says: /NO .*clients do not register here .*\n.*\n +save\(\) has to be .*docs\/limits\.md\n$/,
	},
	{
		what: 'a client that is not reached where it came from', media: false, change: (text) => text.replace('lookup("location")) {', 'lookup("location")) {\n\t\t$du = $null;'),
		says: /NO .*does not arrive: 47\d .*\n.*fix_nated_register\(\)\?\n.*ws alone\?.*-t/,
	},
	{
		// This gateway leaves the media of a call that failed to rtpengine's timeout.
		what: 'a call that nobody routes to its client', media: false, change: (text) => text.replace('if (uri == myself && lookup("location")) {', 'if (uri == myself && has_totag()) {'),
		says: /NO .*a call to sip:call_resume-check@example\.org, which is registered, does not arrive/,
	},
];

async function says(said, { what, says: line, media = true }) {
	assert.match(said.text, line, what);
	assert.equal(said.code, 1);
	nothingLeft(said, said.text, media);
}

async function allIsWell(said, name, over = '.*') {
	assert.deepEqual(red(said.text), [], said.text);
	for (const line of OK) assert.match(said.text, line);
	assert.doesNotMatch(said.text, /at \S*check-sip line/, 'what Perl says');
	assert.doesNotMatch(said.log, /failed to parse credentials/, 'what Kamailio says of tokens');
	assert.match(said.text, new RegExp(`a token is taken over ${over}:`), said.text);
	nothingLeft(said, name);
}

for (const [name, how] of Object.entries({ debian: DEBIAN, webrtc: WEBRTC })) {
	test(`${name}: all is well`, async () => allIsWell(await checked(name, how), name));
	for (const { what, line, to, ...mistake } of [...MISTAKES, ...PLACES[name]]) {
		test(`${name}: ${what}`, async () => says(await checked(name, how, { change: (text) => move(text, line, to) }), mistake));
	}
}

for (const { what, ...mistake } of OTHERS) {
	test(what, async () => says(await checked('other', WEBRTC, mistake), mistake));
}

test('all is well with a user of the gateway', async () => allIsWell(await checked('user', WEBRTC, { change: onlyKnown, user: 'carol' }), 'user', 'ws'));

test('all is well over the transport that is asked for', async () => allIsWell(await checked('transport', WEBRTC, { transport: 'tcp' }), 'transport', 'tcp'));

for (const name of ['dialog', 'topoh']) {
	test(`${name} in front of the module: Kamailio does not start, and check says why`, async () => {
		const stack = await Integrated.start('check-order', WEBRTC);
		try {
			const cfg = path.join(stack.dir, 'order.cfg');
			const good = fs.readFileSync(path.join(stack.dir, WEBRTC.cfg), 'utf8');
			fs.writeFileSync(cfg, move(good, `loadmodule "${name}.so"`, ['before', 'include_file "resume.cfg"']));
			const { code, text } = check(stack, { cfg, sip: false });
			assert.match(text, new RegExp(`^NO .*order\\.cfg has errors:\n.*${name} is loaded in front of call_resume`, 'm'));
			assert.equal(code, 1);
		} finally {
			await stack.stop();
		}
	});
}

test('resume.cfg in front of what it needs: Kamailio does not start, and check says what that is', async () => {
	const stack = await Integrated.start('check-front', WEBRTC);
	try {
		const cfg = path.join(stack.dir, 'front.cfg');
		const good = fs.readFileSync(path.join(stack.dir, WEBRTC.cfg), 'utf8');
		fs.writeFileSync(cfg, move(good, 'include_file "resume.cfg"', ['before', 'loadmodule "db_sqlite.so"']));
		const { text } = check(stack, { cfg, sip: false });
		assert.match(text, /^NO .*front\.cfg has errors:\n( .*\n)+ .*belongs behind the modules tm, .*pv.*: see docs\/integrate\.md$/m);
	} finally {
		await stack.stop();
	}
});

test('bindings without a session: Kamailio does not start, and its log says why', async () => {
	await assert.rejects(checked('start', WEBRTC, { change: behind('modparam("tm|usrloc", "xavp_contact", "")') }), /xavp_contact/);
});

for (const language of Object.keys(LANGUAGES)) {
	test(`${language}: all is well`, async () => allIsWell(await checked(language, kemi(language)), language));
}

for (const [over, change] of [
	['udp', (text) => text.replace(/^listen=LISTEN_(TCP|WS)$/gm, '')],
	['tcp', (text) => text.replace(/^listen=LISTEN_(UDP|WS)$/gm, '').replace('ws_handle_handshake()', '0')],
]) {
	test(`all is well over ${over}`, async () => allIsWell(await checked(over, WEBRTC, { change }), over, over));
}
