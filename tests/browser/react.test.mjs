// SPDX-License-Identifier: GPL-2.0-or-later
// A page with React, in StrictMode, and Vite: as its developer has it, behind Vite's proxy, and as it is built.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { ROOT } from '../lib/kamailio.mjs';
import { freePort } from '../lib/ports.mjs';
import { Proc } from '../lib/proc.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

const HERE = path.join(ROOT, 'tests/browser');
const WEB = path.join(ROOT, 'web');

// The project: inside of tests/browser/, where React and Vite are found. nginx serves what is built.
const dir = fs.mkdtempSync(path.join(HERE, '.react-'));
fs.chmodSync(dir, 0o755);
fs.mkdirSync(path.join(dir, 'dist'));

webTests('browser-react', { web: { root: path.join(dir, 'dist') } });

const vite = path.join(HERE, 'node_modules/vite/bin/vite.js');
let server;
let served; // its address

before(() => {
	const run = (...args) => execFileSync('npm', [...args, '--offline', '--no-audit', '--no-fund', '--cache', path.join(ROOT, '.cache/npm')], { cwd: dir, encoding: 'utf8' });
	fs.writeFileSync(path.join(dir, 'package.json'), '{"private":true,"type":"module"}');
	const [{ filename }] = JSON.parse(run('pack', WEB, '--json', '--ignore-scripts'));
	run('install', `./${filename}`);
	fs.symlinkSync(path.join(WEB, 'node_modules/jssip'), path.join(dir, 'node_modules/jssip'));
	for (const file of fs.readdirSync(path.join(HERE, 'react'))) fs.copyFileSync(path.join(HERE, 'react', file), path.join(dir, file));
	fs.copyFileSync(path.join(WEB, 'examples/use-phone.js'), path.join(dir, 'use-phone.js'));
	execFileSync('node', [vite, 'build', '--logLevel', 'error'], { cwd: dir, stdio: 'pipe' });
});
after(async () => {
	await server?.kill();
	fs.rmSync(dir, { recursive: true, force: true });
});

async function serve() {
	const port = await freePort('127.0.0.1');
	const env = { ...process.env, GATEWAY: stack.web.url, PORT: String(port) };
	server = new Proc('vite', stack.dir, 'node', [vite, dir, '--config', path.join(dir, 'vite.config.js')], { env });
	served = `http://localhost:${port}/`;
	await until('Vite', async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))?.ok, { timeout_ms: 30000 });
}

for (const [what, address, mounts] of [
	['as its developer has it', async () => { await serve(); return served; }, 2],
	['as it is built', () => `${stack.web.url}/index.html`, 1],
]) {
	test(`a page with React, ${what}: reloaded twice, on hold once, then the page hangs up`, async () => {
		const tab = await browser.open(await address());
		await tab.page.locator('#sign-in').waitFor();
		await tab.signIn('alice', stack.passwords.alice);
		await tab.registered();
		const call = await WebCall.up(stack, browser, { tab });
		await tab.page.reload();
		await call.back();
		assert.equal(await tab.page.locator('#line').getAttribute('data-mounts'), String(mounts), 'StrictMode mounts twice, where it is at work');
		await tab.click('hold');
		await tab.up(1, 'held');
		await tab.page.reload();
		await tab.up(1, 'held');
		await tab.click('hold');
		await tab.up();
		await call.talks();
		await call.endsBy('page');
	});
}

test('the proxy of the documentation is this one', () => {
	const proxy = (text) => text.match(/target: gateway, [^}]*\}|proxy: \{.*?\} \}/g);
	const shown = proxy(fs.readFileSync(path.join(WEB, 'README.md'), 'utf8'));
	assert.equal(shown.length, 2);
	assert.deepEqual(proxy(fs.readFileSync(path.join(HERE, 'react/vite.config.js'), 'utf8').replaceAll(', secure: false', '')), shown);
});
