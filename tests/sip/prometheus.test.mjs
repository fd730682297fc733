// SPDX-License-Identifier: GPL-2.0-or-later
// The statistics as Prometheus scrapes them, and the dashboard that draws them.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { Client, FarEnd } from '../lib/sip.mjs';
import { freePort } from '../lib/ports.mjs';

let stack, port;
before(async () => {
	port = await freePort();
	stack = await Stack.start('prometheus', {
		defines: { WITH_PROMETHEUS: true, LISTEN_PROMETHEUS: `tcp:127.0.0.1:${port}`, PROMETHEUS_PORT: port },
	});
});
after(() => stack?.stop());

const get = (what, p = port) => fetch(`http://127.0.0.1:${p}${what}`);

/** A scrape: Map of name, with labels, to value. */
async function scrape() {
	const answer = await get('/metrics');
	assert.equal(answer.status, 200);
	const text = await answer.text();
	return new Map(text.split('\n').filter((l) => l && !l.startsWith('#')).map((l) => {
		const m = /^([a-zA-Z_:][\w:]*(?:\{[^}]*\})?) (-?[\d.]+)(?: \d+)?$/.exec(l.trim());
		assert.ok(m, `not a sample: ${l}`);
		return [m[1], Number(m[2])];
	}));
}

test('every statistic is there, and counts; the time away is a histogram', async () => {
	const names = [...(await stack.kamailio.kamcmd('call_resume.stats')).matchAll(/(\w+): \d+/g)].map((m) => m[1]);
	const before = await scrape();
	for (const name of names) assert.equal(before.get(`kamailio_call_resume_${name}`), 0, name);

	const to = { ip: stack.kamailio.ip, port: stack.kamailio.port };
	const far = await FarEnd.open({ ip: TRUNK_IP, port: stack.trunkPort, to });
	const alice = await Client.open({ token: await stack.kamailio.token(`sip:alice@${DOMAIN}`), to });
	const call = await alice.call();
	const back = await alice.call({ state: call.state });
	assert.equal(back.final.status, 200);
	assert.equal((await alice.call({ state: `${call.state.slice(0, -12)}AAAAAAAAAAAA` })).final.status, 403);
	assert.equal((await back.request('BYE')).status, 200);
	alice.close();
	far.close();

	const now = await scrape();
	for (const [name, value] of [['dialogs_resumed', 1], ['resumes_answered', 1], ['states_not_yours', 1], ['states_sealed', 2], ['tokens_accepted', 3]]) {
		assert.equal(now.get(`kamailio_call_resume_${name}`), value, name);
	}
	assert.equal(now.get('kamailio_call_resume_away_count'), 1);
	assert.equal(now.get('kamailio_call_resume_away_bucket{le="5"}') ?? now.get('kamailio_call_resume_away_bucket{le="5.000000"}'), 1,
		[...now.keys()].filter((k) => k.includes('away')).join(' '));
});

test('nothing else is served there, and no metrics elsewhere', async () => {
	assert.equal((await get('/')).status, 404);
	assert.equal((await get('/metrics', stack.kamailio.ws)).status, 404);
});

test('the dashboard asks for what there is', async () => {
	const there = new Set([...(await scrape()).keys()].map((k) => k.replace(/\{.*/, '')));
	const board = JSON.parse(fs.readFileSync(path.join(ROOT, 'docs/grafana-dashboard.json'), 'utf8'));
	const asked = new Set();
	for (const panel of board.panels) {
		assert.ok(panel.title && panel.gridPos.w > 0);
		for (const { expr } of panel.targets ?? []) {
			for (const [name] of expr.matchAll(/kamailio_\w+/g)) asked.add(name);
		}
	}
	assert.ok(asked.size > 15);
	for (const name of asked) assert.ok(there.has(name), name);
});
