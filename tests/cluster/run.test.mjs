// SPDX-License-Identifier: GPL-2.0-or-later
// make cluster: what it prints is true. A call in the softphone outlives its node, by the command that is printed.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { Browser } from '../lib/browser.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { freePort } from '../lib/ports.mjs';
import { runFolder } from '../lib/stack.mjs';
import { ready, signedIn } from '../lib/foreground.mjs';
import { until } from '../lib/wait.mjs';

let run;
let browser;
test.after(async () => {
	await browser?.close();
	if (run && run.exitCode === null) run.kill('SIGTERM');
});

test('make cluster: sign in with what it printed, call echo, kill the node; Ctrl-C ends every process', async () => {
	const dir = runFolder('cluster-run');
	run = spawn('node', [path.join(ROOT, 'tools/cluster.mjs')], {
		cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, RUN_DIR: dir, PORT: await freePort() },
	});
	const said = await ready(run);

	browser = await Browser.start();
	const tab = await signedIn(browser, said());
	await tab.page.fill('#number', 'echo');
	await tab.page.click('#call');
	await tab.page.locator('.call[data-state=up]').waitFor();
	await tab.hears();

	const [, kill] = said().match(/^ +(\S*kill-node-of alice)$/m);
	const [command, ...args] = kill.split(' ');
	for (let left = 2; left > 0; left--) {
		// It refuses as long as the page is not back from the last time.
		const words = await until('a node to be killed', () => execFileSync(path.resolve(ROOT, command), args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }));
		assert.match(words, /^node \d is dead$/m);
		const killed = performance.now();
		// Its media server is gone as well: what is heard comes from another one.
		await tab.hears();
		console.log(`# heard again ${Math.round(performance.now() - killed)} ms after the kill`);
		await tab.page.locator('#status[data-is=on]').waitFor();
		await tab.page.locator('.call[data-state=up]').waitFor();
	}

	const pids = fs.readFileSync(path.join(dir, 'pids'), 'utf8').match(/^\d+/gm);
	const ended = new Promise((resolve) => { run.once('exit', resolve); });
	run.kill('SIGINT');
	assert.equal(await ended, 130);
	await until('every process to be gone', () => pids.every((pid) => !fs.existsSync(`/proc/${pid}`)));
});
