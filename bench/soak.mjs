// SPDX-License-Identifier: GPL-2.0-or-later
// Many calls, some of them resumed, one after the other at a steady rate: none
// fails, and memory is afterwards what it was before.
//
// usage: node bench/soak.mjs [--calls=N] [--resumes=N] [--rounds=N] [--rate=N]

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Gateway, freshFolder } from './gateway.mjs';
import { Load, PEER_IP, SUB } from './load.mjs';
import { snapshot } from './memory.mjs';
import { print, row } from './stats.mjs';
import { ROOT, writeKeyRing } from '../tests/lib/kamailio.mjs';
import { freePort } from '../tests/lib/ports.mjs';
import { Usage } from '../tests/lib/usage.mjs';
import { until } from '../tests/lib/wait.mjs';

/* It knows who has what, and is Debian's default. */
const ALLOCATOR = 'qm';

/* A process keeps something of the message that it saw last. */
const LAST = 160;

/* The heap grows by so much at a time, whatever for. */
const HEAP_STEP = 132 * 1024;

/** By how much the most grown process has grown. */
const most = (now, before) => Math.max(...now.map((v, i) => v - before[i]));

const grown = (now, before) => ({
	own: now.own - before.own, shm: now.shm - before.shm, pkg: most(now.pkg, before.pkg), heap: most(now.heap, before.heap),
});

/* The next far end has the port of the last one: Kamailio must not think that it is still there. */
const disconnected = (gateway) => until('the connections to be closed', async () =>
	/opened_connections: 0\b/.test(await gateway.kamailio.kamcmd('core.tcp_info')), { timeout_ms: 20000 });

/**
 * @param calls, resumes  of so many calls so many are resumed once
 * @param rounds  memory is looked at after each; the first one warms up
 * @return {rows}: every target is met when nothing has grown and nothing failed
 */
export async function soak(dir, { calls, resumes, rounds, rate, module, note = () => {} }) {
	const peerPort = await freePort(PEER_IP);
	/* Over TCP nothing is lost when the machine stands still for a moment, and nothing sent twice, which
	 * SIPp's far end would take for a mistake. */
	const load = new Load(dir, peerPort, 'tcp');
	const each = (n) => Math.round(n / rounds);
	let gateway, before, worst;
	try {
		gateway = await Gateway.start(dir, 'soak', {
			next: `${PEER_IP}:${peerPort};transport=tcp`, keyRing: writeKeyRing(path.join(dir, 'keyring')), module, allocator: ALLOCATOR,
			defines: { USE_RESUME: true, WITH_TCP: true }, shm_mb: 256,
		});
		const token = await gateway.token(SUB);
		const usage = new Usage(gateway.kamailio);
		for (let r = 0; r <= rounds; r++) {
			const run = async (scenario, count) => {
				if (count === 0) return;
				await load.run(scenario, gateway.address, { calls: count, rate, token, timeout_s: count / rate + 60 });
				await disconnected(gateway);
			};
			await run('token', each(calls) - each(resumes));
			await run('resume-calm', each(resumes));
			await usage.settled();
			await disconnected(gateway);
			const now = await snapshot(gateway);
			before ??= now;
			const by = grown(now, before);
			worst = by;
			note(`round ${r} of ${rounds}: ${JSON.stringify(by)}`);
		}
		/* SIPp has ended badly, and load.run() with it, where a call failed. */
		const done = await gateway.counters();
		const expected = { states_sealed: each(calls) * (rounds + 1), dialogs_resumed: each(resumes) * (rounds + 1) };
		const missing = Math.max(0, expected.states_sealed - done.states_sealed) + Math.abs(expected.dialogs_resumed - done.dialogs_resumed);
		return {
			rows: [
				row('soak: calls', each(calls) * (rounds + 1), 'calls'),
				row('soak: of them resumed', done.dialogs_resumed, 'calls'),
				row('soak: calls that failed, were not sealed or not resumed', missing + done.resumes_refused + done.seals_failed, 'calls', 0),
				row('soak: shared memory, the module', worst.own, 'bytes', 0),
				row('soak: shared memory, all of Kamailio', worst.shm, 'bytes', LAST),
				row('soak: private memory, the process that grew most', worst.pkg, 'bytes', LAST),
				row('soak: heap, the process that grew most', worst.heap, 'bytes', HEAP_STEP),
			],
		};
	} finally {
		await gateway?.stop();
	}
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const o = { calls: 200000, resumes: 20000, rounds: 20, rate: 250 };
	const { values } = parseArgs({ options: Object.fromEntries(Object.keys(o).map((k) => [k, { type: 'string' }])) });
	for (const [k, v] of Object.entries(values)) o[k] = Number(v);
	const dir = freshFolder(path.join(ROOT, `build/run/soak-${process.pid}`));
	const { rows } = await soak(dir, { ...o, note: (text) => process.stderr.write(`soak: ${text}\n`) });
	print(rows);
	process.exitCode = rows.some((r) => r.ok === false) ? 1 : 0;
}
