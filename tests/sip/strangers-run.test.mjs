// SPDX-License-Identifier: GPL-2.0-or-later
// IP=... make run: others reach SIP, the page and media there, and nothing that controls them.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from '../lib/kamailio.mjs';
import { freePort } from '../lib/ports.mjs';
import { runFolder } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const IP = '127.0.0.5';

/** Ports that something listens on, of that address or of all. */
function listening(kind, ip) {
	const address = Buffer.from(ip.split('.').reverse()).toString('hex').toUpperCase();
	const rows = ['', '6'].flatMap((v) => fs.readFileSync(`/proc/net/${kind}${v}`, 'utf8').trim().split('\n').slice(1))
		.map((row) => row.trim().split(/\s+/));
	return rows.filter(([, , , state]) => state === (kind === 'tcp' ? '0A' : '07')).map(([, local]) => local.split(':'))
		.filter(([at]) => at === address || /^0+$/.test(at)).map(([, port]) => Number.parseInt(port, 16));
}

test('make run on an address that others reach: what listens there', async () => {
	const dir = runFolder('strangers-run');
	const [page, sip, ws] = [await freePort(), await freePort(), await freePort()];
	const run = spawn('node', [path.join(ROOT, 'tools/run.mjs')], {
		stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, IP, RUN_DIR: dir, PORT: page, SIP_PORT: sip, WS_PORT: ws },
	});
	let said = '';
	for (const out of [run.stdout, run.stderr]) out.on('data', (chunk) => { said += chunk; });
	try {
		await until('its words', () => {
			if (run.exitCode !== null) throw Object.assign(new Error(said), { fatal: true });
			return said.includes('Ctrl-C ends everything.');
		}, { timeout_ms: 60000 });
		const [, http] = fs.readFileSync(path.join(dir, 'nginx.site.conf'), 'utf8').match(/listen \S+:(\d+);/);
		assert.deepEqual(new Set(listening('tcp', IP)), new Set([page, sip, Number(http)]));
		assert.deepEqual(new Set(listening('udp', IP)), new Set([sip]));
		assert.ok(listening('tcp', '127.0.0.1').includes(ws));
	} finally {
		const ended = new Promise((resolve) => { run.once('exit', resolve); });
		run.kill('SIGINT');
		await ended;
	}
});
