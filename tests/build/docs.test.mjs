// SPDX-License-Identifier: GPL-2.0-or-later
// What the documentation shows is what is there.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const markdown = (folder = '') => fs.readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((e) => {
	const name = path.join(folder, e.name);
	if (e.isDirectory()) return ['node_modules', 'build'].includes(e.name) || e.name.startsWith('.') ? [] : markdown(name);
	return e.name.endsWith('.md') ? [name] : [];
});

test('the diff in the README is the one between the example pages', () => {
	const pages = ['plain-jssip.js', 'jssip.js'].map((f) => path.join('web/examples', f));
	const real = spawnSync('diff', ['-u', ...pages], { cwd: ROOT, encoding: 'utf8' }).stdout;
	const changes = (text) => text.split('\n').filter((l) => /^[-+](?![-+])./.test(l) && !/^[-+]\/\/ /.test(l));
	const shown = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8').match(/```diff\n([^]*?)```/)[1];
	assert.ok(changes(real).length > 4);
	assert.deepEqual(changes(shown), changes(real));
});

test('the page with a password in the README is in the example page', () => {
	const [, shown] = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8').match(/```js\n([^]*?)```/);
	assert.match(shown, /resumeJsSIP/);
	assert.ok(fs.readFileSync(path.join(ROOT, 'web/examples/password-jssip.js'), 'utf8').includes(shown));
});

test('every link leads somewhere', () => {
	const anchor = (heading) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-');
	let links = 0;
	for (const file of markdown()) {
		const text = fs.readFileSync(path.join(ROOT, file), 'utf8').replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, (code) => code.replaceAll('](', ''));
		for (const [, to] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
			if (/^[a-z]+:/.test(to)) continue;
			links++;
			const [name, part] = to.split('#');
			const target = name ? path.join(path.dirname(path.join(ROOT, file)), name) : path.join(ROOT, file);
			assert.ok(fs.existsSync(target), `${file}: ${to}`);
			if (!part || !target.endsWith('.md')) continue;
			const there = fs.readFileSync(target, 'utf8');
			const headings = [...there.matchAll(/^#+ (.*)$/gm)].map((m) => anchor(m[1]));
			assert.ok(headings.includes(part) || there.includes(`<a id="${part}">`), `${file}: ${to} names no heading`);
		}
	}
	assert.ok(links > 100, `${links} links`);
});

test('the smallest configuration of docs/configuration.md is one, with and without what resume.cfg uses when it is there', () => {
	const text = fs.readFileSync(path.join(ROOT, 'docs/configuration.md'), 'utf8');
	const named = (before) => text.match(new RegExp(`${before} \\*([^*]*)\\*( and \\*(\\w+)\\*)`)).slice(1).join(', ').match(/\w+/g).filter((w) => w !== 'and');
	const needed = [...new Set(named('needs the modules'))];
	const used = [...new Set(named('does with them'))];
	assert.ok(needed.includes('tm') && needed.includes('xlog') && used.includes('rtpengine'), `${needed}; ${used}`);
	const [, routes] = text.match(/^The smallest configuration:\n\n((?: {4}.*\n|\n)*)/m);
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'call_resume-docs-'));
	try {
		for (const before of [[...needed, ...used], [...needed, 'usrloc', 'registrar']]) {
			const cfg = path.join(dir, 'kamailio.cfg');
			fs.writeFileSync(cfg, ['#!KAMAILIO', `#!define RESUME_MODULE "${ROOT}build/call_resume.so"`,
				'#!define TRUNK_IP "127.0.0.2"', '#!define TRUNK_URI "sip:127.0.0.2:5080"',
				...before.map((m) => `loadmodule "${m}.so"`), `include_file "${ROOT}cfg/resume.cfg"`,
				'loadmodule "dialog.so"', routes].join('\n'));
			const { status, stderr } = spawnSync('kamailio', ['-c', '-f', cfg, '-Y', dir], { encoding: 'utf8' });
			assert.equal(status, 0, stderr);
		}
	} finally {
		fs.rmSync(dir, { recursive: true });
	}
});

test('what the installed documentation links to is installed with it', () => {
	const printed = spawnSync('make', ['-pn'], { cwd: ROOT, encoding: 'utf8', env: { PATH: process.env.PATH } }).stdout;
	const docs = printed.match(/^DOCS := (.*)$/m)[1].split(' ');
	const missing = docs.filter((file) => file.endsWith('.md')).flatMap((file) => {
		const text = fs.readFileSync(path.join(ROOT, file), 'utf8').replace(/^```[^]*?^```/gm, '');
		return [...text.matchAll(/(?:\]\(|src=")([^)\s"#]+)/g)].map(([, to]) => to).filter((to) => !/^[a-z]+:/.test(to))
			.map((to) => path.join(path.dirname(file), to))
			.filter((to) => !docs.some((d) => d === to || d.startsWith(`${to}/`))).map((to) => `${file}: ${to}`);
	});
	assert.deepEqual(missing, []);
});

test('the proxies in front of the gateway in docs/integrate.md are those that are tested', () => {
	for (const name of ['first-hop', 'outbound']) {
		const cfg = fs.readFileSync(path.join(ROOT, `tests/lib/${name}.cfg`), 'utf8');
		const [, routes] = /^#+ For the documentation, from here\n\n([^]*)\n#+ To here$/m.exec(cfg);
		assert.ok(fs.readFileSync(path.join(ROOT, 'docs/integrate.md'), 'utf8').includes(`\`\`\`\n${routes}\`\`\`\n`), name);
	}
});

const ENDS = { unit: '.c', lib: '.mjs' };
const sourceOf = (suite, file) => fs.readFileSync(
	path.join(ROOT, 'tests', suite, file + (ENDS[suite] ?? '.test.mjs')), 'utf8').replaceAll('\\', '');

test('every test that docs/threat-model.md names is there', () => {
	const text = fs.readFileSync(path.join(ROOT, 'docs/threat-model.md'), 'utf8');
	const named = [...text.matchAll(/`(sip|cluster|unit|js|browser|model|build|integrate|lib)\/([\w-]+): ([^`]*)`/g)];
	assert.ok(named.length > 50, `${named.length} tests are named`);
	const missing = named.filter(([, suite, file, words]) => words.trim() === '' || !sourceOf(suite, file).includes(words))
		.map(([all]) => all);
	assert.deepEqual(missing, []);
});

test('every target of the fuzzers has its row in docs/testing.md', () => {
	const rows = fs.readFileSync(path.join(ROOT, 'docs/testing.md'), 'utf8').match(/^\| `fuzz_.*\|$/gm).map((row) => row.split('|')[1]).join();
	for (const file of fs.readdirSync(path.join(ROOT, 'tests/fuzz'))) {
		if (/^fuzz_.*\.c$/.test(file)) assert.ok(rows.includes(`\`${file.slice(0, -2)}\``), file);
	}
});
