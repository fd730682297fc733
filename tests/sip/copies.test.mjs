// SPDX-License-Identifier: GPL-2.0-or-later
// A request comes again while its first copy is inside t_relay(). Kamailio 6.1.5 then drops the
// transaction (t_unref() in tm, "dropping orphaned transaction without branches", see
// docs/upstream.md), and an answer that comes later passes by the reply route: the 200 would go
// out without a state and with the far end's own SDP.

import { after, afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { Kamailio } from '../lib/kamailio.mjs';
import { freePort } from '../lib/ports.mjs';
import { Client, FarEnd } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { variant } from '../lib/variant.mjs';
import { sleep } from '../lib/wait.mjs';

const WAIT_MS = 500; // tm's wt_timer: how long a transaction is kept that is over
const INSIDE_MS = 150; // for how long the first copy is busy

let open = []; // of the current test, the last first
const keep = (x) => (open.unshift(x), x);
afterEach(async () => {
	for (const x of open.splice(0)) await (x.close ?? x.stop).call(x);
});
after(() => Promise.all(open.map((x) => x.stop?.())));

/** A client that sends each INVITE three times: at once, and while the first is being worked on. */
async function eager(options) {
	const client = keep(await Client.open(options));
	const send = client.send.bind(client);
	client.send = (text, to) => {
		send(text, to);
		if (!text.startsWith('INVITE')) return;
		for (const ms of [0, INSIDE_MS / 2]) setTimeout(() => send(text, to), ms);
	};
	return client;
}

/** The call, answered when a transaction that was dropped is gone for certain. */
async function late(far, client, options) {
	far.answer = (m) => m.method !== 'INVITE';
	const call = client.call(options);
	const invite = await far.take('the INVITE', (m) => m.method === 'INVITE');
	far.reply(invite, 100, 'Trying'); // that it does not come again on this side too
	// tm looks at this timer twice a second.
	await sleep(INSIDE_MS + WAIT_MS + 1500);
	far.accept(invite);
	return call;
}

test('the bug, if this Kamailio has it: the transaction is gone, and the answer passes by the reply route', async (t) => {
	const dir = runFolder('copies-upstream');
	const port = await freePort(TRUNK_IP);
	const kamailio = keep(await Kamailio.start(dir, {
		own: ['#!KAMAILIO', 'debug=2', 'log_stderror=yes', 'children=4', 'listen=LISTEN_UDP',
			...['tm', 'tmx', 'sl', 'rr', 'pv', 'textops', 'cfgutils', 'xlog', 'ctl'].map((name) => `loadmodule "${name}.so"`),
			'modparam("ctl", "binrpc", CTL_SOCKET)', `modparam("tm", "wt_timer", ${WAIT_MS})`,
			// Not the one of call_resume, which is not loaded here: as Kamailio comes.
			'request_route {',
			'	if (is_method("ACK")) { t_relay(); exit; }',
			'	if (t_precheck_trans()) { t_check_trans(); exit; }',
			'	t_check_trans();',
			'	t_on_branch("SLOW");',
			'	t_on_reply("REPLY");',
			`	$du = "sip:${TRUNK_IP}:${port}";`,
			'	t_relay();',
			'	exit;',
			'}',
			`branch_route[SLOW] { usleep("${INSIDE_MS * 1000}"); }`,
			'onreply_route[REPLY] { xlog("L_WARN", "reply route: $rs\\n"); }', ''].join('\n'),
	}));
	const to = { ip: kamailio.ip, port: kamailio.port };
	const far = keep(await FarEnd.open({ ip: TRUNK_IP, port, to }));
	const { final } = await late(far, await eager({ to }));
	assert.equal(final.status, 200, 'it gets through in any case');
	const dropped = kamailio.log().includes('dropping orphaned transaction without branches');
	assert.equal(kamailio.log().includes('reply route: 200'), !dropped);
	t.diagnostic(dropped ? 'this Kamailio has it' : 'this Kamailio does not have it');
});

/** The gateway, its offer to rtpengine taking long. */
async function gateway(name) {
	const dir = runFolder(`${name}-cfg`);
	const cfg = variant(dir, name, 'SDP_OFFER', `	usleep("${INSIDE_MS * 1000}");`);
	const text = fs.readFileSync(cfg, 'utf8').replace('modparam("tm", "fr_timer"', `modparam("tm", "wt_timer", ${WAIT_MS})\n$&`)
		// Where usleep() is. Kamailio takes no module twice.
		.replace('#!ifdef WITH_RESUME\n# Here:', '#!ifndef WITH_COPIES_APART\nloadmodule "cfgutils.so"\n#!endif\n$&');
	fs.writeFileSync(cfg, text);
	const stack = keep(await Stack.start(name, { kamailio: { cfg }, defines: { CHILDREN: 4 } }));
	const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const far = keep(await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to }));
	return { stack, far, to, token: await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1') };
}

test('our call stays whole: sealed, with its media, resumed and hung up', async () => {
	const { stack, far, to, token } = await gateway('copies');
	const first = await late(far, await eager({ to, token }));
	assert.equal(first.final.status, 200);
	assert.equal(far.requests.filter((m) => m.method === 'INVITE').length, 1, 'the far end got it once');
	assert.match(first.state, /^ey/);
	assert.doesNotMatch(first.final.body, new RegExp(`m=audio ${far.media} `), 'its media go through rtpengine');
	assert.deepEqual(stack.kamailio.logged(/orphaned transaction/), []);

	// The resume's copies have another Call-ID than what becomes of it.
	const second = await late(far, await eager({ to, token }), { state: first.state });
	assert.equal(second.final.status, 200);
	assert.match(second.state, /^ey/);
	assert.notEqual(second.callId, first.callId);
	// Nobody holds a lock that this one waits for, under either Call-ID.
	assert.equal((await second.request('BYE')).status, 200);
	await far.take('the BYE', (m) => m.method === 'BYE');
	assert.deepEqual(stack.kamailio.logged(/orphaned transaction/), []);
	await stack.noMedia();
});
