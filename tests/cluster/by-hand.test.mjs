// SPDX-License-Identifier: GPL-2.0-or-later
// The section of docs/sipp.md about a cluster, as it stands there.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { Cluster } from '../lib/cluster.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { Proc } from '../lib/proc.mjs';
import { until } from '../lib/wait.mjs';

// Its ports are fixed.
const skip = process.env.CALL_RESUME_NETNS ? false : 'wants a network namespace of its own, see tools/in-netns';
const PAGE = fs.readFileSync(path.join(ROOT, 'docs/sipp.md'), 'utf8');
const codeOf = (section) => PAGE.split(/^## /m).find((s) => s.startsWith(`${section}\n`)).match(/^ {4}.*\n|^\n/gm)
	.map((line) => line.slice(4) || '\n').join('').replace(/ +# kill -9.*/g, '').replaceAll(' -d 5000', ' -d 500');
const [flows, functions] = [codeOf('cluster'), codeOf('A gateway on loopback').replace(/^[^]*?cd sipp_scenarios\n/, '')];
const [nodes, ...commands] = flows.replaceAll('\\\n', '').split('\n').filter(Boolean);

let cluster;
let dir;
test.before(async () => {
	if (skip) return;
	cluster = await Cluster.start('cluster-by-hand', { nodes: 2 });
	dir = path.join(cluster.dir, 'sipp_scenarios');
	fs.cpSync(path.join(ROOT, 'sipp_scenarios'), dir, { recursive: true });
});
test.after(() => cluster?.stop());

const log = (name) => { try { return fs.readFileSync(path.join(dir, name), 'latin1'); } catch { return ''; } };

/** Play the two commands: a client that is lost, and the one that comes back. */
async function play(lost) {
	const far = await cluster.far();
	const token = await cluster.token('alice');
	const shell = (name, text) => new Proc(name, cluster.dir, 'sh', ['-euc', `cd '${dir}'\nTOKEN=${token}\n${functions}\n${nodes}\n${text}`]);
	for (const name of ['one.log', 'two.log']) fs.rmSync(path.join(dir, name), { force: true });
	const procs = [shell('client', commands[0])];
	try {
		await until('the call', () => /^up/m.test(log('one.log')));
		await procs[0].kill();
		await lost();
		procs.push(shell('resumed', commands[1]));
		await until('it to be back', () => /^resumed|^answered/m.test(log('two.log')));
		const [dialog] = far.dialogs.values();
		assert.match(dialog.target, /@127\.0\.0\.12:5060;/);
		assert.equal((await dialog.request('BYE')).status, 200);
		assert.equal(await procs[1].exited, 0, procs[1].output());
		assert.match(log('two.log'), /^bye/m);
	} finally {
		for (const proc of procs) await proc.kill();
		await cluster.clear();
	}
}

test('a client comes back to another node, and the far end hangs up', { skip }, () => play(() => {}));

test('a client whose node is killed', { skip }, () => play(() => cluster.kill(1)));
