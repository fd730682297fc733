// SPDX-License-Identifier: GPL-2.0-or-later
// SIPp's own scenarios as far ends, called and calling, and as clients: what becomes of a call of theirs when its client
// is lost and comes back. None of them answers a second INVITE.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { asClient, builtin, inDialog, printed } from '../lib/builtin.mjs';
import { Lives } from '../lib/lives.mjs';
import { freePort } from '../lib/ports.mjs';
import { Client, FarEnd, sdp } from '../lib/sip.mjs';
import { Stack, TRUNK_IP } from '../lib/stack.mjs';
import { listens } from '../lib/sipp.mjs';
import { messagesOf } from '../lib/trace.mjs';
import { until } from '../lib/wait.mjs';

const CALLED = ['uas', '3pcc-A', '3pcc-B'];
const CALLING = ['uac', 'regexp', 'uac_pcap'];
const LONG = ['-d', '60000'];

const of = (method) => (m) => !m.status && m.method === method;
const got = (party) => messagesOf(party).filter((m) => !m.sent && !m.status).map((m) => m.method);
/** They speak PCMU, whatever is offered; and regexp wants a name in o=. */
const pcmu = (ip, port) => sdp(ip, port).replace('AVP 8', 'AVP 0').replace('8 PCMA', '0 PCMU').replace('o=-', 'o=user1');

class Scene extends Lives {
	async alice(transport = 'ws', options) {
		const one = await super.alice(transport, options);
		return Object.assign(one, { describe: () => pcmu(one.ip, one.media) });
	}

	/** A scenario that waits to be called. */
	called(name, change) {
		return this.stack.peer(name, builtin(this.stack.dir, name, change), { timeout_s: 60 });
	}

	/** One that calls. */
	calling(name, change, { service = 'alice', args = LONG, port = this.stack.trunkPort } = {}) {
		return this.stack.peer(name, builtin(this.stack.dir, name, change), { to: this.stack.gateway, service, args, port });
	}

	async end() {
		await this.stack.hangUp();
		await super.end();
	}
}

function scene(name, defines = {}) {
	const it = {};
	before(async () => { it.lives = await Scene.start(name, { defines: { FR_TIMER: 2000, ...defines } }); });
	afterEach(() => it.lives.end());
	after(() => it.lives?.stack.stop());
	return it;
}

/** A call of alice that is up: {one, mine}. */
async function up({ lives }, name, change, transport) {
	const far = await lives.called(name, change);
	const one = await lives.alice(transport);
	const mine = await one.call({ body: one.describe() });
	assert.equal(mine.final.status, 200, mine.final.start);
	return { far, one, mine };
}

/** The next life. */
async function back({ lives }, one, state) {
	one.close();
	one.audio.close();
	const two = await lives.alice();
	if (!Object.hasOwn(one, 'describe')) delete two.describe;
	return { two, again: await two.call({ state, body: two.describe?.() ?? sdp(two.ip, two.media) }) };
}

/** Called by a scenario, and answered: {far, one, state}. */
async function answered({ lives }, name, change, options) {
	const one = await lives.alice();
	if (name === 'uac_pcap') delete one.describe; // PCMA, as it has recorded
	const far = await lives.calling(name, change, options);
	const invite = await one.take('the INVITE', of('INVITE'));
	const state = `${invite.get('call-state')};tag=${/;tag=(.*)/.exec(one.dialog(invite.callId).local)[1]}`;
	return { far, one, state, invite };
}

describe('as they are', () => {
	const it = scene('farend-sipp');

	// From 3.7 on SIPp's uas is as it should be.
	for (const name of CALLED.filter((one) => !printed(one).includes('[last_Record-Route:]'))) {
		test(`${name} copies no Record-Route: nobody finds the way in its call, neither before nor after a loss`, async () => {
			const { far, one, mine } = await up(it, name);
			assert.deepEqual(mine.routes, []);
			assert.equal((await mine.request('BYE')).start, 'SIP/2.0 481 Call/Transaction Does Not Exist');
			const { again } = await back(it, one, mine.state);
			assert.equal(again.final.start, 'SIP/2.0 481 Call/Transaction Does Not Exist');
			assert.deepEqual(got(far), ['INVITE']);
		});
	}

	for (const name of CALLING) {
		test(`${name} sends its ACK and BYE to where it sent its INVITE: they are of no call`, async () => {
			const { far, one } = await answered(it, name, undefined, { args: ['-d', '0'] });
			assert.notEqual(await far.proc.exited, 0);
			assert.match(far.problem(), /SIP\/2\.0 481 Call\/Transaction Does Not Exist/);
			assert.deepEqual(one.requests.map((m) => m.method), ['INVITE']);
		});
	}

	test('branchs waits for a REGISTER: a call gets no answer', async () => {
		const { lives } = it;
		await lives.called('branchs');
		const one = await lives.alice();
		assert.equal((await one.call({ body: one.describe() })).final.status, 408);
		await lives.stack.noMedia();
	});

	test('branchc registers without a password', async () => {
		const far = await it.lives.stack.client('branchc', builtin(it.lives.stack.dir, 'branchc'));
		assert.notEqual(await far.proc.exited, 0);
		assert.match(far.problem(), /SIP\/2\.0 401 /);
	});

	test('without the module it is the same', async () => {
		const stack = await Stack.start('farend-sipp-plain', { resume: false });
		const open = [];
		try {
			const peer = (name, options) => stack.peer(name, builtin(stack.dir, name), { timeout_s: 60, ...options });
			const far = await peer('3pcc-A');
			const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
			const one = await Client.open({ to });
			open.push(one);
			const mine = await one.call({ body: pcmu(one.ip, 9) });
			assert.equal(mine.final.status, 200);
			assert.equal((await mine.request('BYE')).start, 'SIP/2.0 481 Call/Transaction Does Not Exist');
			assert.deepEqual(got(far), ['INVITE']);
			await far.kill();
			const two = await FarEnd.open({ user: 'alice', to });
			open.push(two);
			assert.equal((await two.register()).status, 200);
			const caller = await peer('uac', { to: stack.gateway, service: 'alice', args: ['-d', '0'] });
			assert.notEqual(await caller.proc.exited, 0);
			assert.match(caller.problem(), /SIP\/2\.0 481 Call\/Transaction Does Not Exist/);
		} finally {
			open.forEach((s) => s.close());
			await stack.stop();
		}
	});
});

describe('with Record-Route and Contact as RFC 3261 has them', () => {
	const it = scene('farend-sipp-dialog');

	for (const name of CALLED) {
		test(`${name}: before a loss: audio, and the BYE`, async () => {
			const { far, one, mine } = await up(it, name, inDialog);
			await it.lives.talk(one, mine.final.body, mine.callId);
			assert.equal((await mine.request('BYE')).status, 200);
			await far.done();
			assert.deepEqual(got(far), ['INVITE', 'ACK', 'BYE']);
		});

		test(`${name}: back after a loss: it drops the call for the re-INVITE, and the client is told that it is over`, async () => {
			const { far, one, mine } = await up(it, name, inDialog);
			await it.lives.talk(one, mine.final.body, mine.callId);
			const { again } = await back(it, one, mine.state);
			assert.equal(again.final.start, 'SIP/2.0 481 Call Ended While Away');
			assert.match(far.problem(), /Aborting call on unexpected message .* expecting '(BYE|ACK)'.* received 'INVITE /);
			await it.lives.stack.noMedia();
		});
	}

	for (const name of CALLING) {
		test(`${name}: before a loss: audio, and its BYE`, async () => {
			const { far, one, invite } = await answered(it, name, inDialog, { args: ['-d', '1000'] });
			await one.take('the ACK', of('ACK'));
			await it.lives.talk(one, invite.body, invite.callId);
			await one.take('the BYE', of('BYE'));
			await far.done();
			await it.lives.stack.noMedia();
		});

		test(`${name}: hangs up while its client is lost`, async () => {
			const { far, one, state } = await answered(it, name, inDialog, { args: ['-d', '1000'] });
			await one.take('the ACK', of('ACK'));
			one.close();
			await far.done();
			const { again } = await back(it, one, state);
			assert.equal(again.final.start, 'SIP/2.0 481 Call Ended While Away');
			await it.lives.stack.noMedia();
		});

		test(`${name}: back after a loss: it drops the call for the re-INVITE, and its BYE is of none; the client is told that it is over`, async () => {
			const { far, one, state } = await answered(it, name, inDialog);
			await one.take('the ACK', of('ACK'));
			const { again } = await back(it, one, state);
			assert.equal(again.final.start, 'SIP/2.0 481 Call Ended While Away');
			const bye = messagesOf(far).find((m) => m.sent && m.method === 'BYE');
			// From 3.7 on it has a route set there.
			if (bye.headers('Route').length === 0) assert.equal(bye.uri, `sip:sipp@${TRUNK_IP}:${far.port}`, 'to itself');
			assert.match(far.problem(), /Aborting call on unexpected message .* received 'INVITE /);
			await it.lives.stack.noMedia();
		});
	}
});

describe('3pcc-C-A and 3pcc-C-B, which put two clients through under one Call-ID', () => {
	/** The controller begins: {alice, invite, carol, a, b}. */
	async function begun({ lives }) {
		const alice = await lives.alice();
		const token = await lives.stack.kamailio.token('sip:carol@example.org', 'web-session-2');
		const carol = await lives.alice('ws', { user: 'carol', token });
		const port = await freePort(TRUNK_IP);
		const args = ['-3pcc', `${TRUNK_IP}:${port}`, '-d', '1000'];
		const b = await lives.calling('3pcc-C-B', inDialog, { service: 'carol', args });
		await until('the other half', () => listens(port, 'tcp'));
		const a = await lives.calling('3pcc-C-A', inDialog, { args, port: await freePort(TRUNK_IP) });
		const invite = await alice.take('the INVITE', of('INVITE'));
		assert.equal(invite.body, '');
		return { alice, invite, carol, a, b };
	}

	describe('as the gateway is by default', () => {
		const it = scene('farend-sipp-3pcc');

		test('the second client is not called', async () => {
			const { carol, b } = await begun(it);
			assert.notEqual(await b.proc.exited, 0);
			assert.match(b.problem(), /SIP\/2\.0 482 Call-ID In Use/);
			assert.deepEqual(carol.requests, []);
		});
	});

	describe('with WITH_TRUNK_FORKS', () => {
		const it = scene('farend-sipp-forks', { WITH_TRUNK_FORKS: true });

		test('both are in a call; one is lost, and hung up', async () => {
			const { alice, invite, carol, a, b } = await begun(it);
			await carol.take('the ACK', of('ACK'));
			const ack = await alice.take('the ACK', of('ACK'));
			assert.match(ack.body, /^m=audio/m);
			alice.close();
			await carol.take('the BYE', of('BYE'));
			await a.done();
			await b.proc.exited; // as soon as the other half has: from 3.7 on it calls that a failure
			const { again } = await back(it, alice, `${invite.get('call-state')};tag=${/;tag=(.*)/.exec(alice.dialog(invite.callId).local)[1]}`);
			assert.equal(again.final.start, 'SIP/2.0 481 Call Ended While Away');
			await it.lives.stack.noMedia();
		});
	});
});

describe('with RESUME_QUIET 2 nothing asks them', () => {
	const it = scene('farend-sipp-quiet', { RESUME_QUIET: 2 });

	for (const name of CALLED) {
		test(`${name}: lost and back, twice, with audio, and the BYE`, async () => {
			const { far, one, mine } = await up(it, name, inDialog);
			await it.lives.talk(one, mine.final.body, mine.callId);
			let [call, client] = [mine, one];
			for (let n = 0; n < 2; n++) {
				const { two, again } = await back(it, client, call.state);
				assert.equal(again.final.status, 200, again.final.start);
				await it.lives.talk(two, again.final.body, mine.callId);
				[call, client] = [again, two];
			}
			assert.equal((await call.request('BYE')).status, 200);
			await far.done();
			assert.deepEqual(got(far), ['INVITE', 'ACK', 'BYE']);
		});
	}

	for (const name of CALLING) {
		test(`${name}: lost and back, with audio, and the BYE of the client`, async () => {
			const { far, one, state, invite } = await answered(it, name, inDialog);
			await one.take('the ACK', of('ACK'));
			await it.lives.talk(one, invite.body, invite.callId);
			const { two, again } = await back(it, one, state);
			assert.equal(again.final.status, 200, again.final.start);
			await it.lives.talk(two, again.final.body, invite.callId);
			two.send(again.text('BYE'));
			await until('the BYE to reach it', () => got(far).includes('BYE'));
			assert.deepEqual(got(far), ['BYE']);
		});
	}
});

describe('as clients with a token', () => {
	const it = scene('farend-sipp-client');

	for (const name of ['uac', 'regexp', 'branchc']) {
		test(`${name}: killed in its call, which goes on; and hangs up by itself when it is not`, async () => {
			const { lives } = it;
			const bob = await lives.far();
			bob.describe = () => pcmu(bob.ip, bob.media);
			const run = (args) => lives.stack.client(name, builtin(lives.stack.dir, name, asClient), { keys: { token: lives.token }, args });
			const client = await run(LONG);
			const first = await bob.take('the ACK', of('ACK'));
			const state = messagesOf(client).findLast((m) => m.status === 200 && m.method === 'INVITE').callState;
			await client.kill();
			const two = await lives.alice('udp');
			const again = await two.call({ state, body: two.describe() });
			assert.equal(again.final.status, 200, again.final.start);
			await lives.talk(two, again.final.body, first.callId);
			assert.equal((await bob.dialog(first.callId).request('BYE')).status, 200);
			assert.equal((await two.take('the BYE', of('BYE'))).callId, again.callId);
			await (await run(['-d', '0'])).done();
			await lives.stack.noMedia();
		});
	}

	test('uac as the next life of somebody else', async () => {
		const { lives } = it;
		const bob = await lives.far();
		bob.describe = () => pcmu(bob.ip, bob.media);
		const one = await lives.alice('udp');
		const mine = await one.call({ body: one.describe() });
		await bob.take('the ACK', of('ACK'));
		one.close();
		const resumes = (xml) => asClient(xml).replace(/^( *)Content-Type: /m, `$1Call-State: [state]\n$1Content-Type: `);
		await (await lives.stack.client('uac-resumes', builtin(lives.stack.dir, 'uac', resumes), {
			keys: { token: lives.token, state: mine.state }, args: ['-d', '0'],
		})).done();
		const bye = await bob.take('the BYE', of('BYE'));
		assert.equal(bye.callId, mine.callId);
		assert.equal(bob.requests.filter(of('INVITE')).length, 2);
		await lives.stack.noMedia();
	});
});
