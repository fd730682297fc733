// SPDX-License-Identifier: GPL-2.0-or-later
// A node of a cluster dies with its calls, and what the cluster costs while none does; beside it what people would build
// instead. A table, and the same in build/cluster.json; its exit status is 1 when a call of ours was lost.
//
// usage: node bench/cluster.mjs [--only=killed,pages,cost,instead,cpu] [--calls=N] [--pages=N] [--rounds=N] [--out=FILE]

import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { cost } from './cluster/cost.mjs';
import { instead, insteadCpu } from './cluster/instead.mjs';
import { killed } from './cluster/killed.mjs';
import { pages } from './cluster/pages.mjs';
import { missing, print } from './stats.mjs';
import { ROOT } from '../tests/lib/kamailio.mjs';

const PARTS = { killed, pages, cost, instead, cpu: insteadCpu };

function options() {
	const { values } = parseArgs({
		options: { only: { type: 'string' }, calls: { type: 'string' }, pages: { type: 'string' }, rounds: { type: 'string' }, out: { type: 'string' } },
	});
	const o = { calls: 200, pages: 20, rounds: 5 };
	for (const k of Object.keys(o)) {
		if (values[k] === undefined) continue;
		o[k] = Number(values[k]);
		if (!Number.isInteger(o[k]) || o[k] < 1) throw new Error(`--${k} wants a number`);
	}
	o.parts = values.only?.split(',') ?? Object.keys(PARTS);
	for (const p of o.parts) if (!(p in PARTS)) throw new Error(`--only knows ${Object.keys(PARTS).join(', ')}`);
	o.out = path.resolve(ROOT, values.out ?? 'build/cluster.json');
	return o;
}

const o = options();
const note = (text) => process.stderr.write(`cluster: ${text}\n`);
const rows = [];
let failed = false;
for (const part of o.parts) {
	note(part);
	try {
		rows.push(...await PARTS[part]({ ...o, note }));
	} catch (e) {
		failed = true;
		note(e.stack);
		rows.push(missing(`${part}: nothing of it`, '', e.message));
	}
	/* After each part: a run that is cut short leaves what it has. */
	fs.mkdirSync(path.dirname(o.out), { recursive: true });
	fs.writeFileSync(o.out, `${JSON.stringify({ calls: o.calls, pages: o.pages, rounds: o.rounds, rows }, null, '\t')}\n`);
}
print(rows);
process.exit(failed || rows.some((r) => r.ours && r.value > 0) ? 1 : 0);
