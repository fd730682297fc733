// SPDX-License-Identifier: GPL-2.0-or-later
// What npm would publish of web/: what is in it, what its types say to every kind of project, and
// that a page in TypeScript which has it installed gets its call back.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { ROOT } from '../lib/kamailio.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

const WEB = path.join(ROOT, 'web');
const HERE = path.join(ROOT, 'tests/browser/typed');

// A page's project: inside of web/, where JsSIP and the compiler are found. nginx serves it.
const dir = fs.mkdtempSync(path.join(WEB, '.package-'));
fs.chmodSync(dir, 0o755);

webTests('browser-package', { web: { root: dir } });

let packed;

function run(command, ...args) {
	const { status, stdout, stderr } = spawnSync(command, args, { cwd: dir, encoding: 'utf8' });
	assert.equal(status, 0, stdout + stderr);
	return stdout;
}
const npm = (...args) => run('npm', ...args, '--offline', '--no-audit', '--no-fund', '--cache', path.join(ROOT, '.cache/npm'));
const tool = (name) => path.join(WEB, 'node_modules/.bin', name);
const write = (file, content) => fs.writeFileSync(path.join(dir, file), typeof content === 'string' ? content : JSON.stringify(content));

before(() => {
	write('package.json', { private: true, type: 'module' });
	[packed] = JSON.parse(npm('pack', WEB, '--json', '--ignore-scripts'));
	npm('install', `./${packed.filename}`);
	for (const file of fs.readdirSync(HERE)) fs.copyFileSync(path.join(HERE, file), path.join(dir, file));
});
after(() => fs.rmSync(dir, { recursive: true, force: true }));

test('the package has what it needs, a licence, and nothing else', () => {
	const files = packed.files.map(({ path: file }) => file);
	for (const file of ['LICENSE', 'README.md', 'package.json']) assert.ok(files.includes(file), file);
	const rest = files.filter((file) => !['LICENSE', 'README.md', 'package.json'].includes(file));
	const own = path.join(dir, 'node_modules/call-resume');
	for (const file of rest) {
		assert.match(file, /\.js$|\.d\.ts$/);
		const text = fs.readFileSync(path.join(own, file), 'utf8');
		assert.match(text, /^\/\/ SPDX-License-Identifier: MIT\n/, file);
		for (const [, to] of text.matchAll(/(?:from|import\() ?'(\.[^']*)'/g)) {
			assert.ok(files.includes(path.join(path.dirname(file), to)), `${file} imports ${to}`);
		}
	}
	const { license, repository, keywords, ...about } = JSON.parse(fs.readFileSync(path.join(own, 'package.json'), 'utf8'));
	assert.equal(license, 'MIT');
	assert.equal(repository.directory, 'web');
	assert.ok(keywords.includes('kamailio'));
	assert.ok(about.description);
	for (const [, to] of fs.readFileSync(path.join(own, 'README.md'), 'utf8').matchAll(/\]\(([^)#\s]+)/g)) {
		assert.ok(/^https:/.test(to) || files.includes(to), `its README links to ${to}`);
	}
});

/** Whatever there is in it, imported. */
const ALL = `
import { resumeJsSIP, resumeSIPjs, browserStore, type CallResume, type Store } from 'call-resume';
import { keptCertificate, forgetCertificate } from 'call-resume/certificate';
import { keptCalls } from 'call-resume/kept-calls';
import { networkStore } from 'call-resume/network-store';
export function keep(calls: CallResume<object>, name: string, user: string): EventTarget {
	const store: Store = user ? browserStore(user) : networkStore('/session/calls', () => 'token');
	calls.addEventListener('resumed', ({ detail }) => console.log(detail.away.toFixed(), store.local, name));
	calls.addEventListener('failed', { handleEvent: (event) => console.log(event.type) });
	// @ts-expect-error there is no such event
	calls.addEventListener('resumd', () => {});
	console.log(keptCalls(user).length);
	void keptCertificate(user).then((own) => (own ? console.log(own.header) : forgetCertificate(user)));
	return calls;
}
export { resumeJsSIP, resumeSIPjs };
`;

// What projects choose: how modules are written, and found.
for (const [module, moduleResolution, type] of [
	['nodenext', 'nodenext', 'module'], ['nodenext', 'nodenext', 'commonjs'], ['esnext', 'bundler', 'module'], ['commonjs', 'node10', 'commonjs'],
]) {
	test(`its types compile strictly, without skipLibCheck: ${module}, ${moduleResolution}, in a package of type ${type}`, () => {
		write('package.json', { private: true, type });
		write('all.ts', ALL);
		write('tsconfig.json', {
			compilerOptions: { strict: true, skipLibCheck: false, noEmit: true, target: 'es2022', types: [], module, moduleResolution }, files: ['all.ts'],
		});
		run(tool('tsc'), '--project', 'tsconfig.json');
	});
}

test('a page in TypeScript has its call again after a reload', async () => {
	write('package.json', { private: true, type: 'module' });
	write('tsconfig.json', {
		compilerOptions: {
			strict: true, skipLibCheck: false, noEmit: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler',
			noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, noImplicitReturns: true,
		},
		files: ['page.ts'],
	});
	run(tool('tsc'), '--project', 'tsconfig.json');
	run(tool('esbuild'), 'page.ts', '--bundle', '--format=esm', '--outfile=page.js', '--log-level=error');
	const tab = await browser.open(`${stack.web.url}/index.html`);
	await tab.signIn('alice', stack.passwords.alice);
	await tab.registered();
	const call = await WebCall.up(stack, browser, { library: 'typed', tab });
	await tab.page.reload();
	await call.back();
	assert.match(await tab.line(), /^Resumed, away for \d+ ms: caller of sip:echo@/);
	await call.endsBy('page');
});
