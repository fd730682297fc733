// SPDX-License-Identifier: GPL-2.0-or-later
// The counters that no other test looks at: each goes up by one for what it counts, and
// for nothing else.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';

import { Kamailio, small } from '../lib/kamailio.mjs';
import { Client, FarEnd } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { sleep } from '../lib/wait.mjs';

const STATE_S = 2;

// Whoever registers is alice, without a token: only the transport keeps the key back.
const ALICE = small(`request_route {
	resume_session("sip:alice@${DOMAIN}", "session-a");
	resume_key();
	$var(code) = $rc;
	sl_send_reply("200", "Code $var(code)");
}
`);

let stack, far, token;
before(async () => {
	stack = await Stack.start('counters', {
		tls: true, defines: { RESUME_ALLOW_INSECURE: 0, RESUME_STATE_LIFETIME: STATE_S, WITH_REVOCATION: true },
	});
	token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'session-a');
	far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
});
after(async () => {
	far?.close();
	await stack?.stop();
});

async function stats(kamailio) {
	const text = await kamailio.kamcmd('call_resume.stats');
	return Object.fromEntries([...text.matchAll(/(\w+): (\d+)/g)].map((m) => [m[1], Number(m[2])]));
}

/** What went up while act() ran. */
async function rises(act, kamailio = stack.kamailio) {
	const before = await stats(kamailio);
	await act();
	const now = await stats(kamailio);
	return Object.fromEntries(Object.keys(now).filter((k) => now[k] > before[k]).map((k) => [k, now[k] - before[k]]));
}

const client = () => Client.open({ token, transport: 'tls', to: { ip: stack.kamailio.ip, port: stack.kamailio.tls } });

test('keys_given: one for each registration', async () => {
	const party = await client();
	const rise = await rises(async () => assert.equal((await party.register()).status, 200));
	party.close();
	assert.deepEqual(rise, { tokens_accepted: 1, keys_given: 1 });
});

test('tokens_insecure: a token in the clear', async () => {
	const party = await Client.open({ token, to: { ip: stack.kamailio.ip, port: stack.kamailio.port } });
	const rise = await rises(async () => assert.notEqual((await party.register()).status, 200));
	party.close();
	assert.deepEqual(rise, { tokens_insecure: 1 });
});

test('keys_insecure: a key that would be shown, of a session that needs no token', async () => {
	const kamailio = await Kamailio.start(runFolder('counters-alice'), { own: ALICE });
	const party = await Client.open({ to: { ip: kamailio.ip, port: kamailio.port } });
	try {
		const rise = await rises(async () => {
			const reply = await party.register();
			assert.match(reply.start, /200 Code -20$/);
			assert.deepEqual(reply.all('call-state-key'), []);
		}, kamailio);
		assert.deepEqual(rise, { keys_insecure: 1 });
	} finally {
		party.close();
		await kamailio.stop();
	}
});

test('states_opened: one for each resume; states_expired: one that came too late', async () => {
	const [one, two, three] = [await client(), await client(), await client()];
	const call = await one.call();
	const rise = await rises(async () => assert.equal((await two.call({ state: call.state })).final.status, 200));
	assert.equal(rise.states_opened, 1);
	assert.equal(rise.dialogs_resumed, 1);
	await sleep(STATE_S * 1000 + 1100); // The time is what is tested.
	const late = await rises(async () => assert.equal((await three.call({ state: call.state })).final.status, 410));
	assert.deepEqual(late, { tokens_accepted: 1, states_expired: 1 });
	for (const party of [one, two, three]) party.close();
	await stack.dropMedia();
});

test('revocations: one for each', async () => {
	assert.deepEqual(await rises(() => stack.kamailio.kamcmd('call_resume.revoke', 'sid', 'session-b')), { revocations: 1 });
});
