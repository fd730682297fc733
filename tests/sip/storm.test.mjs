// SPDX-License-Identifier: GPL-2.0-or-later
// Everybody comes back at once: no call is lost, the trunk gets no more than it takes, and what it gets rtpengine has made.

import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';

import { Client, FarEnd } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { CUT, KILLED, NGINX_RESTARTED, Storm } from '../lib/storm.mjs';

const PAGES = 200;
let storm;
afterEach(() => storm?.stop());

async function begin(name, options) {
	storm = await Storm.start(`storm-${name}`, { pages: PAGES, ...options });
	await storm.hold();
}

async function allComeBack(what, fault, options) {
	const result = await storm.lose(fault, options);
	assert.deepEqual(result.lost, {}, what);
	assert.equal(result.back.length, storm.pages.length, what);
	const { calls, browsers, refused, unacknowledged } = result.trunk;
	assert.deepEqual({ calls, browsers, refused, unacknowledged }, { calls: storm.pages.length, browsers: 0, refused: 0, unacknowledged: 0 }, what);
	assert.doesNotMatch(storm.kamailio.log(), /already freed|free fragment|signal (6|11)|out of memory|no more (shared|private) memory/i, what);
	return result;
}

for (const [over, faults, options] of [
	['ws', { KILLED, CUT }],
	// Some hundred handshakes at a time ended it, see docs/upstream.md; qm looks most closely.
	['wss', { CUT, KILLED, 'CUT again': CUT }, { shm: 128, args: ['-x', 'qm', '-X', 'qm'] }],
	['nginx', { NGINX_RESTARTED, KILLED }],
]) {
	test(`${PAGES} pages over ${over}: ${Object.keys(faults).join(', ')}`, async () => {
		await begin(over, { over, ...options });
		for (const [what, fault] of Object.entries(faults)) await allComeBack(what, fault);
		assert.equal((await storm.rtpengine.calls()).length, PAGES);
	});
}

test('a trunk that takes 60 a second gets no more, and no call is given up for that', async () => {
	// Those that are counted and not sent yet are one in each process.
	const workers = { CHILDREN: 4, TCP_CHILDREN: 4 };
	await begin('trunk', { defines: { ...workers, RESUMES_MAX: 60 - workers.CHILDREN - workers.TCP_CHILDREN } });
	await storm.trunk({ per_s: 60 });
	const { codes, trunk } = await allComeBack('cut', CUT);
	assert.ok(codes['503 Too Many Resumes'] > 0, JSON.stringify(codes));
	assert.ok(trunk.inOneSecond <= 60, `${trunk.inOneSecond} in one second`);
	assert.match(await storm.kamailio.kamcmd('call_resume.stats'), /resumes_postponed: [1-9]/);
});

test('rtpengine is gone when they come, and comes back: nobody is lost, and nothing has gone out meanwhile', async () => {
	await begin('rtpengine');
	await storm.rtpengine.kill();
	let seen;
	const { codes } = await allComeBack('killed', async (all) => {
		await CUT(all);
		await all.refusal();
		seen = await storm.trunk();
		await storm.rtpengine.boot();
	});
	assert.equal(seen.invites, 0);
	assert.ok(codes['503 No Media Server'] > 0, JSON.stringify(codes));
	assert.equal((await storm.rtpengine.calls()).length, PAGES);
});

test('a user who resumes all the time leaves room for the others', async () => {
	storm = await Stack.start('storm-user', { defines: { RESUMES_MAX: 50 } });
	const to = { ip: storm.kamailio.ip, port: storm.kamailio.port };
	const far = await FarEnd.open({ ip: TRUNK_IP, port: storm.trunkPort, to });
	const token = async (user) => storm.kamailio.token(`sip:${user}@${DOMAIN}`, `s-${user}`);
	const tokens = { alice: await token('alice'), carol: await token('carol') };
	const client = (user) => Client.open({ user, token: tokens[user], to });
	try {
		const [hers, others] = [await (await client('alice')).call(), await (await client('carol')).call()];
		// Twice as many as all may in a second.
		const crowd = await Promise.all(Array.from({ length: 100 }, () => client('alice')));
		const carol = await client('carol');
		const answers = crowd.map((one) => one.call({ state: hers.state }));
		assert.equal((await carol.call({ state: others.state })).final.status, 200);
		const codes = (await Promise.all(answers)).map(({ final }) => final.status);
		assert.ok(codes.filter((code) => code === 503).length > 50, String(codes));
	} finally {
		far.close();
	}
});
