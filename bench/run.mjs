// SPDX-License-Identifier: GPL-2.0-or-later
// The figures: a table, and the same in build/bench.json.
//
// usage: node bench/run.mjs [--only=core,size,memory,own,revoked,cpu,instructions] [--rounds=N] [--calls=N] [--rate=N]
//                           [--held=N] [--quick] [--keep] [--module=FILE] [--out=FILE]

import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { ROOT, writeKeyRing } from '../tests/lib/kamailio.mjs';
import { cpu } from './cpu.mjs';
import { core } from './core.mjs';
import { freshFolder, pin } from './gateway.mjs';
import { instructions } from './instructions.mjs';
import { memory } from './memory.mjs';
import { own } from './own.mjs';
import { findRate } from './rate.mjs';
import { revoked } from './revoked.mjs';
import { size } from './size.mjs';
import { missing, print } from './stats.mjs';

const PARTS = { core, size, memory, own, revoked, cpu, instructions };

/* Those that load a gateway with as many calls a second as it bears. */
const RATED = ['memory', 'own', 'revoked', 'cpu'];

function options() {
	const { values } = parseArgs({
		options: {
			only: { type: 'string' }, rounds: { type: 'string' }, calls: { type: 'string' }, rate: { type: 'string' },
			held: { type: 'string' }, quick: { type: 'boolean' }, keep: { type: 'boolean' }, module: { type: 'string' }, out: { type: 'string' },
		},
	});
	const full = { rounds: 25, calls: 800, rate: 800, held: 20000 };
	const quick = { rounds: 3, calls: 300, rate: 300, held: 1000 };
	const o = values.quick ? quick : full;
	for (const k of Object.keys(full)) {
		if (values[k] === undefined) continue;
		o[k] = Number(values[k]);
		if (!Number.isInteger(o[k]) || o[k] < 1) throw new Error(`--${k} wants a number`);
	}
	o.parts = values.only ? values.only.split(',') : Object.keys(PARTS);
	for (const p of o.parts) if (!(p in PARTS)) throw new Error(`--only knows ${Object.keys(PARTS).join(', ')}`);
	o.keep = values.keep;
	o.module = values.module && path.resolve(values.module);
	o.out = path.resolve(ROOT, values.out ?? 'build/bench.json');
	return o;
}

const o = options();
const dir = freshFolder(path.join(ROOT, `build/run/bench-${process.pid}`));
const keyRing = writeKeyRing(path.join(dir, 'keyring'));
const note = (text) => process.stderr.write(`bench: ${text}\n`);
const rows = [];
pin(note);
let failed = false;
if (o.parts.some((p) => RATED.includes(p))) {
	o.rate = await findRate(dir, { ...o, keyRing, note });
	note(`${o.rate} calls a second`);
}
for (const part of o.parts) {
	note(part);
	try {
		rows.push(...(await PARTS[part](dir, { ...o, keyRing, note })).rows);
	} catch (e) {
		failed = true;
		note(e.stack);
		rows.push(missing(`${part}: nothing of it`, 'ratio', e.message));
	}
	/* After each part: a run that is cut short leaves what it has. */
	fs.mkdirSync(path.dirname(o.out), { recursive: true });
	fs.writeFileSync(o.out, `${JSON.stringify(rows, null, '\t')}\n`);
}
if (!o.keep && !failed) fs.rmSync(dir, { recursive: true }); /* A run that failed leaves its logs. */
print(rows);
