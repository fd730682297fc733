// SPDX-License-Identifier: GPL-2.0-or-later
// What leaves this folder: the module as Debian hardens its own, the source as an archive, Debian's packages, and
// a pull request to Kamailio.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SO = path.join(ROOT, 'build/call_resume.so');
/** A tree that is there already: nothing of this needs a network. */
const TREE = process.env.KAMAILIO_SRC || path.join(ROOT, '.cache/kamailio/tree');

let tmp;
before(() => { tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'call_resume-package-')); });
after(() => fs.rmSync(tmp, { recursive: true, force: true }));

function run(command, args, cwd = ROOT) {
	// Without what a make around us hands down to its children.
	const { MAKEFLAGS, MFLAGS, MAKELEVEL, MAKEOVERRIDES, DESTDIR, PREFIX, ...env } = process.env;
	const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', env, maxBuffer: 1 << 26 });
	assert.equal(status, 0, `${command} ${args.join(' ')}: ${stdout}${stderr}`);
	return stdout + stderr;
}

/** A copy of it, without what we have built in it. */
function copyTree(name) {
	const tree = path.join(tmp, name);
	const ours = [/^src\/modules\/call_resume/, /^build-call_resume/];
	fs.cpSync(TREE, tree, {
		recursive: true, verbatimSymlinks: true,
		filter: (from) => !ours.some((pattern) => pattern.test(path.relative(TREE, from))),
	});
	return tree;
}
const installed = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
const read = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8');

/** What a shared object is hardened with, after Debian's hardening-check. */
function hardening(so) {
	const symbols = run('nm', ['-D', '--undefined-only', so]);
	const headers = run('readelf', ['-lW', so]);
	const dynamic = run('readelf', ['-dW', so]);
	return {
		'stack protector': / __stack_chk_fail\b/.test(symbols),
		fortify: / __(?!stack)\w+_chk\b/.test(symbols),
		RELRO: /GNU_RELRO/.test(headers),
		BIND_NOW: /BIND_NOW|Flags:.*\bNOW\b/.test(dynamic),
		'stack not executable': /GNU_STACK\s.* RW /.test(headers),
		'no RUNPATH': !/RUNPATH|RPATH/.test(dynamic),
	};
}

test("the module is hardened as Debian's own are", () => {
	const tm = run('find', ['/usr/lib', '-name', 'tm.so', '-path', '*kamailio/modules*']).trim();
	const { 'no RUNPATH': _, ...debian } = hardening(tm);
	const ours = hardening(SO);
	for (const [what, has] of Object.entries(debian)) assert.ok(!has || ours[what], what);
	assert.deepEqual(Object.keys(ours).filter((what) => !ours[what]), []);
});

test('make deb: on a machine without dpkg-dev it is installed first', () => {
	const there = path.join(tmp, 'bare');
	const bin = path.join(there, 'bin');
	fs.mkdirSync(path.join(there, 'tools'), { recursive: true });
	fs.mkdirSync(bin);
	fs.copyFileSync(path.join(ROOT, 'tools/deb'), path.join(there, 'tools/deb'));
	const program = (file, text) => fs.writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
	const made = path.join(bin, 'dpkg-buildpackage');
	program(path.join(there, 'tools/deps'), `echo "deps $*"; : >${made}; chmod 755 ${made}`);
	program(path.join(bin, 'dpkg-checkbuilddeps'), 'exit 1');
	for (const command of ['sh', 'dirname', 'id', 'chmod']) fs.symlinkSync(run('sh', ['-c', `command -v ${command}`]).trim(), path.join(bin, command));
	const said = spawnSync('/bin/sh', [path.join(there, 'tools/deb')], { encoding: 'utf8', env: { PATH: bin } });
	// Then what debian/control names, where this one ends.
	assert.match(said.stdout, /^deps build\n/, said.stderr);
	assert.ok(fs.existsSync(made), said.stderr);
});

test('make dist: the archive, unpacked elsewhere, builds the module, and is made again from there', () => {
	const name = run('make', ['-s', 'dist']).trim();
	const version = read('debian/changelog').match(/\((.*?)\)/)[1];
	assert.equal(name, `build/call_resume-${version}.tar.gz`);
	run('tar', ['-xzf', path.join(ROOT, name), '-C', tmp]);
	const there = path.join(tmp, `call_resume-${version}`);
	for (const gone of ['.git', 'build', '.cache', 'web/node_modules']) assert.ok(!fs.existsSync(path.join(there, gone)), gone);
	for (const file of ['README.md', 'COPYING', 'web/LICENSE', 'tests/build/package.test.mjs', 'debian/control']) {
		assert.equal(fs.readFileSync(path.join(there, file), 'utf8'), read(file), file);
	}
	run('make', ['-s', `KAMAILIO_SRC=${copyTree('tree')}`], there);
	assert.match(run('nm', ['-D', '--defined-only', path.join(there, 'build/call_resume.so')]), / exports$/m);

	const packed = (at, file) => run('tar', ['-tzf', path.join(at, file)]);
	run('make', ['-s', 'dist'], there);
	assert.equal(packed(there, name), packed(ROOT, name));
});

test('one version and one licence for each part, everywhere', () => {
	const version = read('debian/changelog').match(/\((.*?)\)/)[1];
	const npm = JSON.parse(read('web/package.json'));
	assert.equal(npm.version, version);
	assert.equal(npm.license, 'MIT');
	assert.match(read('debian/copyright'), /^Files: web\/\*\n.*\nLicense: Expat$/m);
	const heads = (folder, pattern) => fs.readdirSync(path.join(ROOT, folder), { recursive: true })
		.filter((file) => pattern.test(file) && !/(^|\/)(node_modules|bundle|\.)/.test(file)).map((file) => path.join(folder, file));
	const licensed = (files, licence) => {
		assert.ok(files.length > 1);
		assert.deepEqual(files.filter((file) => !read(file).slice(0, 200).includes(`SPDX-License-Identifier: ${licence}`)), []);
	};
	licensed(heads('web', /\.(js|css|html|ts)$/), 'MIT');
	for (const folder of ['modules', 'cfg', 'tests', 'tools', 'bench', 'examples']) {
		licensed(heads(folder, /\.(c|h|cfg|mjs)$/), 'GPL-2.0-or-later');
	}
});

test('the manual pages are pages, and tell every option', () => {
	for (const page of ['call_resume-check', 'call_resume-keyring']) {
		const text = read(`docs/${page}.8`);
		assert.match(text, new RegExp(`^\\.SH NAME\\n${page} \\\\- `, 'm'));
		if (!installed('man')) continue;
		assert.equal(spawnSync('man', ['--warnings', '-l', '-Tutf8', path.join(ROOT, `docs/${page}.8`)], { encoding: 'utf8' }).stderr, '');
	}
	for (const [, option] of read('tools/check').matchAll(/^\t(\w)\) \w+=/gm)) {
		assert.match(read('docs/call_resume-check.8'), new RegExp(`\\\\-${option}\\b`), option);
	}
});

test("debian/ says what it needs of the Kamailio that is installed", () => {
	const printed = run('make', ['-s', '-f', 'debian/rules', '-pn', 'override_dh_auto_test']);
	const variable = (name) => printed.match(new RegExp(`^${name} := (.*)$`, 'm'))[1];
	const [, kamailio] = run('kamailio', ['-v']).match(/^version: kamailio ([\d.]+) /m);
	const next = kamailio.replace(/\d+$/, (last) => Number(last) + 1);
	assert.equal(variable('KAMAILIO'), kamailio);
	assert.equal(variable('NEXT'), `${next}~`);
	const compare = (...args) => spawnSync('dpkg', ['--compare-versions', ...args]).status === 0;
	const there = run('dpkg-query', ['-W', '-f', '${Version}', 'kamailio']);
	assert.ok(compare(there, 'ge', kamailio) && compare(there, 'lt', `${next}~`), there);
	assert.ok(!compare(`${next}-1`, 'lt', `${next}~`));
	assert.ok(!compare(`${next}~rc1-1`, 'lt', `${next}~`));
});

test('the DocBook of the module is what its README.md is', () => {
	run('node', ['tools/docbook.mjs', '--check']);
	const xml = read('modules/call_resume/doc/call_resume_admin.xml');
	const markdown = read('modules/call_resume/README.md');
	for (const [, name] of read('modules/call_resume/call_resume_mod.c').matchAll(/^\t\{"(\w+)", PARAM_/gm)) {
		assert.match(xml, new RegExp(`<section id="call_resume\\.p\\.${name}">`));
	}
	const words = (text) => text.replace(/\[([^\]]+)\]\([^)]*\)/g, '$1').replace(/<[^>]*>/g, ' ').match(/\p{L}{4,}/gu).length;
	const written = words(markdown.replace(/^## Contents[^]*?(?=^## )/m, '').replaceAll('<', '').replaceAll('>', ''));
	assert.ok(words(xml.slice(xml.indexOf('<chapter>')).replace(/&[lg]t;|&amp;/g, ' ')) >= 0.97 * written, 'something is left out');
});

test('module, packages and page have one version', () => {
	const module = read('modules/call_resume/core/version.h').match(/CR_VERSION "([^"]+)"/)[1];
	assert.equal(JSON.parse(read('web/package.json')).version, module);
	assert.equal(read('debian/changelog').match(/^kamailio-call-resume \(([^)]+)\)/)[1], module);
});

test('a pull request: the folder, its documentation, and the lists of modules, in a Kamailio tree, where it builds', () => {
	const tree = copyTree('upstream');
	run('tools/upstream', [tree]);
	run('tools/upstream', [tree]); // again: the same
	const folder = path.join(tree, 'src/modules/call_resume');
	for (const file of ['Makefile', 'CMakeLists.txt', 'doc/Makefile', 'doc/call_resume.xml', 'doc/call_resume_admin.xml']) {
		assert.equal(fs.readFileSync(path.join(folder, file), 'utf8'), read(`modules/call_resume/${file}`), file);
	}
	for (const file of fs.readdirSync(path.join(ROOT, 'modules/call_resume/core'))) assert.ok(fs.existsSync(path.join(folder, 'core', file)), file);
	assert.ok(!fs.existsSync(path.join(folder, 'README.md')));
	if (installed('clang-format')) run('clang-format', ['--dry-run', '--Werror', ...['.', 'core'].flatMap((d) => fs.readdirSync(path.join(folder, d)).map((f) => path.join(d, f))).filter((f) => /\.[ch]$/.test(f))], folder);
	const groups = fs.readFileSync(path.join(tree, 'src/Makefile.groups'), 'utf8');
	assert.equal(groups.match(/call_resume/g).length, 6);
	fs.writeFileSync(path.join(tmp, 'groups.mk'), `include ${tree}/src/Makefile.groups\nall:; @echo $(mod_list_all) : $(module_group_kcall_resume)\n`);
	assert.match(run('make', ['-s', '-f', path.join(tmp, 'groups.mk'), 'all']), / call_resume .*: call_resume$/m);
	if (fs.existsSync(path.join(tree, 'cmake/groups.cmake')) && installed('cmake')) {
		run('cmake', ['-B', 'here', '-DMODULE_GROUP_NAME=KCALL_RESUME', '-DBUILD_DOC=OFF', '-DUSE_GIT=OFF'], tree);
		assert.doesNotMatch(run('cmake', ['--build', 'here', '--target', 'call_resume'], tree), /warning:/);
		assert.ok(fs.existsSync(path.join(tree, 'here/src/modules/call_resume/call_resume.so')));
	} else {
		assert.doesNotMatch(run('make', ['-s', '-j2', '-C', folder]), /warning:/);
		assert.ok(fs.existsSync(path.join(folder, 'call_resume.so')));
	}
	if (installed('xmllint') && fs.existsSync('/usr/share/xml/docbook/schema/dtd')) {
		run('xmllint', ['--noout', '--nonet', '--valid', 'call_resume_admin.xml'], path.join(folder, 'doc'));
	}
	if (!installed('xsltproc') || !installed('lynx')) return;
	const readme = fs.readFileSync(path.join(folder, 'README'), 'utf8');
	for (const chapter of ['Overview', 'Dependencies', 'Parameters', 'Functions', 'RPC commands']) {
		assert.match(readme, new RegExp(`^\\d+\\. ${chapter}$`, 'm'));
	}
	assert.match(readme, /^ *modparam\("call_resume", "key_ring", /m);
});
