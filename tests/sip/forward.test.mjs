// SPDX-License-Identifier: GPL-2.0-or-later
// Each branch of a call is sealed for the session of its own binding, in a configuration
// that forwards on busy and leaves branches out.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { Kamailio, ROOT } from '../lib/kamailio.mjs';
import { DOMAIN, FarEnd } from '../lib/sip.mjs';
import { runFolder } from '../lib/stack.mjs';

const CFG = `#!KAMAILIO
debug=2
log_stderror=yes
children=2
auto_aliases=no
alias=${DOMAIN}
listen=LISTEN_UDP
${['tm', 'tmx', 'sl', 'rr', 'pv', 'usrloc', 'registrar', 'textops', 'siputils', 'xlog', 'kex', 'nathelper', 'ctl'].map((m) => `loadmodule "${m}.so"`).join('\n')}
include_file "resume.cfg"
modparam("ctl", "binrpc", CTL_SOCKET)
modparam("usrloc", "use_domain", 1)
request_route {
	if (is_method("CANCEL")) {
		if (t_check_trans()) t_relay();
		exit;
	}
	t_check_trans();
	route(RESUME);
	if (has_totag()) {
		if (loose_route()) {
			route(RESUME_WITHIN_DIALOG);
			t_relay();
			exit;
		}
		if (!is_method("ACK")) sl_send_reply("404", "Not here");
		exit;
	}
	route(RESUME_AUTHENTICATE);
	if (is_method("REGISTER")) {
		route(RESUME_REGISTER);
		save("location");
		exit;
	}
	route(RESUME_CALL);
	record_route();
	t_on_failure("BUSY");
	t_on_branch("LEFT_OUT");
	if (!lookup("location")) {
		sl_send_reply("404", "Not Found");
		exit;
	}
	t_relay();
}
branch_route[LEFT_OUT] {
	if (is_present_hf("X-Without") && $ru =~ "$hdr(X-Without)") drop;
}
failure_route[BUSY] {
	if (!t_check_status("486")) return;
	$ru = "sip:carol@${DOMAIN}";
	if (lookup("location")) t_relay();
}
`;

let kamailio;
const open = [];
before(async () => {
	const dir = runFolder('forward');
	fs.copyFileSync(path.join(ROOT, 'cfg/resume.cfg'), path.join(dir, 'resume.cfg'));
	kamailio = await Kamailio.start(dir, {
		own: CFG, defines: { RESUME_ALLOW_INSECURE: 1, RESUME_KEY_RING: `"${path.join(dir, 'keyring')}"`, MEDIA_DENIED: '""' },
	});
});
afterEach(() => open.splice(0).forEach((party) => party.close()));
after(() => kamailio?.stop());

async function party(user, sid, options) {
	const one = await FarEnd.open({
		user, token: await kamailio.token(`sip:${user}@${DOMAIN}`, sid), to: { ip: kamailio.ip, port: kamailio.port }, ...options,
	});
	open.push(one);
	return one;
}

test('the call that goes on to somebody else is his', async () => {
	const carol = await party('carol', 's-carol');
	assert.equal((await carol.register()).status, 200);
	const bob = await party('bob', 's-bob', { answer: (m) => m.method !== 'INVITE' || (bob.reply(m, 486, 'Busy Here'), false) });
	assert.equal((await bob.register()).status, 200);
	const call = await (await party('alice', 's-alice')).call({ service: 'bob' });
	assert.equal(call.final.status, 200);
	const invite = carol.requests.find((m) => m.method === 'INVITE');
	const state = `${invite.get('call-state')};tag=${/;tag=(.*)/.exec(carol.dialog(call.callId).local)[1]}`;
	assert.equal((await (await party('bob', 's-bob')).call({ state, service: 'x' })).final.status, 403);
	assert.equal((await (await party('carol', 's-carol')).call({ state, service: 'x' })).final.status, 200);
});

for (const [what, without] of [['of three bindings each', null], ['the first one of three left out, the others', 0]]) {
	test(`${what} has a state of its own session`, async () => {
		const bobs = [];
		for (const n of [0, 1, 2]) {
			const bob = await party('bob', `s-bob-${n}`, { answer: (m) => m.method !== 'INVITE' });
			assert.equal((await bob.register()).status, 200);
			bobs.push(bob);
		}
		const alice = await party('alice', 's-alice');
		alice.call({ service: 'bob', headers: without === null ? [] : [`X-Without: :${bobs[without].port}`] }).catch(() => {});
		for (const [n, bob] of bobs.entries()) {
			if (n === without) continue;
			const jwe = (await bob.take('the INVITE', (m) => m.method === 'INVITE')).get('call-state');
			for (const other of [0, 1, 2]) {
				const told = await kamailio.kamcmd('call_resume.inspect', jwe, `sip:bob@${DOMAIN}`, `s-bob-${other}`).catch((e) => e.message);
				assert.equal(/call_id/.test(told), other === n, `${n}, ${other}: ${told}`);
			}
		}
		await kamailio.kamcmd('ul.rm', 'location', `bob@${DOMAIN}`);
	});
}
