// SPDX-License-Identifier: GPL-2.0-or-later
// The day everybody comes back at once: pages in calls lose their gateway together, and come back to it. Each stays in its
// call from one fault to the next. The figures as a table, and the same in build/storm.json; its exit status is 1 when a
// call was lost.
//
// usage: node bench/storm.mjs [--pages=N] [--rounds=N] [--over=ws,wss,nginx,cost,memory] [--shm=MB] [--out=FILE]

import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { ALLOCATOR, using } from './gateway.mjs';
import { missing, print, row } from './stats.mjs';
import { ROOT } from '../tests/lib/kamailio.mjs';
import { CUT, KILLED, NGINX_RESTARTED, Storm } from '../tests/lib/storm.mjs';
import { Usage } from '../tests/lib/usage.mjs';
import { until } from '../tests/lib/wait.mjs';

const LAST_MS = 8000; // the last one is back
const PEAK = 0.8; // of Kamailio's shared memory
const COST = 0.6; // a resume, of a new call with its BYE
const LIMIT_MS = 60_000; // what is not back by then is lost
const TOGETHER = 20; // when costs are measured
const COST_MS = 3000;
/* It knows who has what, but is slow: for `memory`. Everything else is with the one that docs/configuration.md says. */
const KNOWS_WHO = 'qm';

/** It goes, and everybody's media with it: nobody notices before he asks, so all connections go as well. */
const RTPENGINE_RESTARTED = async (storm) => {
	await storm.rtpengine.kill();
	CUT(storm);
	await storm.rtpengine.boot();
};

const SCENES = {
	ws: { 'Kamailio killed': KILLED, 'connections cut': CUT, 'rtpengine restarted': RTPENGINE_RESTARTED },
	wss: { 'Kamailio killed': KILLED, 'connections cut': CUT },
	nginx: { 'Kamailio killed': KILLED, 'nginx restarted': NGINX_RESTARTED },
};

function options() {
	const { values } = parseArgs({
		options: { pages: { type: 'string' }, rounds: { type: 'string' }, over: { type: 'string' }, shm: { type: 'string' }, out: { type: 'string' } },
	});
	const o = { pages: 200, rounds: 5, shm: undefined };
	for (const k of Object.keys(o)) {
		if (values[k] === undefined) continue;
		o[k] = Number(values[k]);
		if (!Number.isInteger(o[k]) || o[k] < 1) throw new Error(`--${k} wants a number`);
	}
	// docs/operations.md has the arithmetic.
	o.shm ??= Math.max(64, 16 + Math.ceil(0.28 * o.pages));
	o.parts = values.over?.split(',') ?? [...Object.keys(SCENES), ...Object.keys(OTHERS)];
	for (const p of o.parts) if (!(p in OTHERS) && !(p in SCENES)) throw new Error(`--over knows ${Object.keys(SCENES)}, ${Object.keys(OTHERS)}`);
	o.out = path.resolve(ROOT, values.out ?? 'build/storm.json');
	return o;
}

const note = (text) => process.stderr.write(`storm: ${text}\n`);

/** Shared memory in use when nothing is under way, in bytes: {all, ours}; ours is 0 where the manager does not know. */
async function quiet(storm, manager) {
	const usage = new Usage(storm.kamailio);
	await usage.settled(30_000);
	await until('old connections to be gone', async () => Number(/opened_connections: (\d+)/.exec(
		await storm.kamailio.kamcmd('core.tcp_info'))[1]) <= storm.pages.length, { timeout_ms: 60_000, every_ms: 200 });
	return { all: await usage.shared(), ours: manager === KNOWS_WHO ? (await usage.module()).shm.Total : 0 };
}

/** What is seen of each fault: {fault: {lost, last, peak, all, ours, cpu}}, lists with an entry for each round. */
async function play(over, { pages, rounds, shm }, manager) {
	const seen = Object.fromEntries(Object.keys(SCENES[over]).map((what) => [what, { lost: [], last: [], peak: [], all: [], ours: [], cpu: [] }]));
	const storm = await Storm.start(`bench-storm-${over}`, { pages, over, shm, args: using(manager), rtpengine: { timeout_s: 3600 } });
	try {
		await storm.hold();
		rounds: for (let round = 0; round < rounds; round++) {
			for (const [what, fault] of Object.entries(SCENES[over])) {
				const before = await quiet(storm, manager);
				const { back, lost, cpu, after, codes, trunk } = await storm.lose(fault, { limit_ms: LIMIT_MS });
				const gone = Object.values(lost).reduce((a, b) => a + b, 0);
				note(`${over}, ${what}, ${round + 1} of ${rounds}: ${back.length} back, ${JSON.stringify({ ...codes, ...lost })}, trunk ${JSON.stringify(trunk)}`);
				const s = seen[what];
				s.lost.push(gone);
				s.last.push(Math.max(...back, 0));
				s.peak.push(after.most / after.all);
				s.cpu.push(1000 * (cpu.kamailio + cpu.rtpengine) / pages);
				// What is lost is in no call that could be lost again.
				if (gone > 0) break rounds;
				const now = await quiet(storm, manager);
				for (const who of ['all', 'ours']) s[who].push(now[who] - before[who]);
			}
		}
	} finally {
		await storm.stop();
	}
	return seen;
}

/** The rows of each fault, by f(its name, what was seen of it). */
const rowsOf = (seen, { pages }, over, f) => Object.entries(seen).flatMap(([what, s]) => {
	const name = `${pages} pages over ${over}, ${what}`;
	return s.last.length === 0 ? [missing(name, '', 'calls were lost before')] : f(name, s);
});

const lostRow = (name, s) => row(`${name}: calls lost, in all rounds`, s.lost.reduce((a, b) => a + b, 0), '', 0);

async function scene(over, o) {
	return rowsOf(await play(over, o, ALLOCATOR), o, over, (name, s) => [
		lostRow(name, s),
		row(`${name}: the last one back [${ALLOCATOR}]`, s.last, 'ms', LAST_MS),
		row(`${name}: CPU of Kamailio and rtpengine, each page [${ALLOCATOR}]`, s.cpu, 'ms'),
		row(`${name}: most shared memory / -m ${o.shm}`, s.peak, 'ratio', PEAK),
	]);
}

/** What of it is left afterwards, and whose it is. */
async function memory(o) {
	const rows = [];
	for (const over of Object.keys(SCENES)) {
		rows.push(...rowsOf(await play(over, { ...o, rounds: 1 }, KNOWS_WHO), o, over, (name, s) => [
			lostRow(name, s),
			...(s.ours.length === 0 ? [] : [
				row(`${name}: shared memory of call_resume more than before [${KNOWS_WHO}]`, s.ours.map(Math.abs), 'bytes', 0),
				row(`${name}: ... of all of Kamailio, each page`, s.all.map((n) => n / o.pages), 'bytes'),
			]),
		]));
	}
	return rows;
}

/** CPU of one, ms: {kamailio, rtpengine} */
async function costOf(storm, pages, act) {
	const end = performance.now() + COST_MS;
	const before = storm.cpu();
	let n = 0;
	await Promise.all(pages.map(async (page) => {
		for (; performance.now() < end; n++) await act(page);
	}));
	const after = storm.cpu();
	return { per_s: n / (COST_MS / 1000), ms: Object.keys(before).reduce((sum, who) => sum + 1000 * (after[who].s - before[who].s) / n, 0) };
}

function good({ status, start }) {
	if (status !== 200) throw new Error(start);
}

async function cost({ rounds }) {
	const seen = { resume: [], call: [], ratio: [] };
	const storm = await Storm.start('bench-storm-cost', { pages: 2 * TOGETHER, shm: 256, args: using(), defines: { RESUMES_MAX: 100000 } });
	try {
		await storm.hold();
		const [resuming, calling] = [storm.pages.slice(0, TOGETHER), storm.pages.slice(TOGETHER)];
		for (let round = 0; round < rounds; round++) {
			const resume = await costOf(storm, resuming, async (page) => good(await page.call(page.state)));
			const call = await costOf(storm, calling, async (page) => {
				good(await page.call());
				good(await page.bye());
			});
			note(`cost, ${round + 1} of ${rounds}: ${resume.per_s.toFixed(0)} resumes and ${call.per_s.toFixed(0)} calls a second`);
			seen.resume.push(resume.ms);
			seen.call.push(call.ms);
			seen.ratio.push(resume.ms / call.ms);
		}
	} finally {
		await storm.stop();
	}
	return [
		row(`CPU of Kamailio and rtpengine, a resume [${ALLOCATOR}]`, seen.resume, 'ms'), row('... a new call with its BYE', seen.call, 'ms'),
		row('... a resume / a new call with its BYE', seen.ratio, 'ratio', COST),
	];
}

const OTHERS = { cost, memory };
const o = options();
const rows = [];
let failed = false;
for (const part of o.parts) {
	try {
		rows.push(...await (OTHERS[part]?.(o) ?? scene(part, o)));
	} catch (e) {
		failed = true;
		rows.push(missing(part, '', e.message));
	}
}
print(rows);
fs.mkdirSync(path.dirname(o.out), { recursive: true });
fs.writeFileSync(o.out, `${JSON.stringify({ pages: o.pages, rounds: o.rounds, shm_mb: o.shm, rows }, null, '\t')}\n`);
process.exit(failed || rows.some((r) => /calls lost/.test(r.name) && r.value > 0) ? 1 : 0);
