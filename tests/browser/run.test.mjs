// SPDX-License-Identifier: GPL-2.0-or-later
// make run: what it prints is true, the browser gets a call there, and Ctrl-C ends all of it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, test } from 'node:test';
import fs from 'node:fs';
import path from 'node:path';

import { Browser } from '../lib/browser.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { freePort } from '../lib/ports.mjs';
import { runFolder } from '../lib/stack.mjs';
import { ready, signedIn } from '../lib/foreground.mjs';
import { until } from '../lib/wait.mjs';

let run;
let browser;
after(async () => {
	await browser?.close();
	if (run && run.exitCode === null) run.kill('SIGTERM');
});

test('make run: sign in with what it printed, call echo, reload; Ctrl-C ends every process', async () => {
	const dir = runFolder('browser-run');
	run = spawn('node', [path.join(ROOT, 'tools/run.mjs')], {
		stdio: ['ignore', 'pipe', 'pipe'],
		env: {
			...process.env, IP: '127.0.0.1', RUN_DIR: dir,
			PORT: await freePort(), SIP_PORT: await freePort(), WS_PORT: await freePort(),
		},
	});
	const said = await ready(run);

	assert.equal(fs.statSync(path.join(ROOT, 'build/run/passwords.json')).mode & 0o777, 0o600);
	browser = await Browser.start();
	const tab = await signedIn(browser, said());
	const over = async (number, text) => {
		await tab.page.fill('#number', number);
		await tab.page.click('#call');
		await until(text, async () => (await tab.page.locator('.call[data-state=over] .text').textContent()) === text);
		await tab.page.click('[data-do=close]');
	};
	await over('busy', 'The line is busy.');
	await over('nobody', 'There is nobody with this name or number.');
	await over('bob', 'Not available at the moment.');
	await tab.page.fill('#number', 'echo');
	await tab.page.click('#call');
	await tab.page.locator('.call[data-state=up]').waitFor();
	await tab.hears();
	await tab.page.reload();
	await tab.page.locator('.call[data-state=up]').waitFor();
	await tab.hears();

	const pids = fs.readFileSync(path.join(dir, 'pids'), 'utf8').match(/^\d+/gm);
	assert.ok(pids.length >= 3);
	const ended = new Promise((resolve) => { run.once('exit', resolve); });
	run.kill('SIGINT');
	assert.equal(await ended, 130);
	await until('every process to be gone', () => pids.every((pid) => !fs.existsSync(`/proc/${pid}`)));
});
