// SPDX-License-Identifier: GPL-2.0-or-later
// The module's folder drops into a Kamailio tree and builds there as it is; what
// is installed is where it belongs; a key ring is never written over.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = path.join(ROOT, 'modules/call_resume');

let tmp;
before(() => { tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'call_resume-')); });
after(() => fs.rmSync(tmp, { recursive: true, force: true }));

const run = (command, args, cwd = ROOT) =>
	execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env: cleanEnv() });

/** Without what a make around us hands down to its children. */
function cleanEnv() {
	const { MAKEFLAGS, MFLAGS, MAKELEVEL, MAKEOVERRIDES, DESTDIR, PREFIX, ...env } = process.env;
	return env;
}

/** Kamailio's source as it is unpacked; off-line a copy of the one that we have. */
function freshTree() {
	const tree = path.join(tmp, 'kamailio/tree');
	try {
		run('tools/kamailio-source', [path.dirname(tree)]);
	} catch (e) {
		const have = process.env.KAMAILIO_SRC || path.join(ROOT, '.cache/kamailio/tree');
		if (!fs.existsSync(have)) throw e;
		fs.cpSync(have, tree, { recursive: true, verbatimSymlinks: true });
		for (const built of ['call_resume', 'call_resume_frozen', 'call_resume_sanitize']) {
			fs.rmSync(path.join(tree, 'src/modules', built), { recursive: true, force: true });
			fs.rmSync(path.join(tree, `build-${built}`), { recursive: true, force: true });
		}
	}
	return tree;
}

/** An empty element in it would be the folder in which Kamailio was started. */
const noSearchPath = (so) => assert.doesNotMatch(run('readelf', ['-d', so]), /R(UN)?PATH/);

/** Debian's Kamailio is built with CMake from 6.1 on, and takes only modules that are. */
const cmake = /\/Linux\)/.test(spawnSync('kamailio', ['-v'], { encoding: 'utf8' }).stdout);

/** Build as that tree builds its own modules; resolves to the module. */
function buildIn(tree) {
	const folder = path.join(tree, 'src/modules/call_resume');
	const steps = cmake
		? [['cmake', ['-B', 'here', '-DMODULE_GROUP_NAME=', '-DINCLUDE_MODULES=call_resume', '-DCMAKE_SKIP_RPATH=ON'], tree],
			['cmake', ['--build', 'here', '--target', 'call_resume'], tree]]
		: [['make', [], folder]];
	for (const [command, args, cwd] of steps) {
		const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', env: cleanEnv() });
		assert.equal(status, 0, stdout + stderr);
		assert.doesNotMatch(stderr, /warning:/);
	}
	return path.join(cmake ? path.join(tree, 'here/src/modules/call_resume') : folder, 'call_resume.so');
}

/** Which functions each object file has, and of which files it calls some. */
function calls(objects) {
	const files = objects.map((o) => ({ name: path.basename(o), symbols: run('nm', ['-P', o]).split('\n').map((line) => line.split(' ')) }));
	const at = new Map(files.flatMap(({ name, symbols }) => symbols.filter(([, type]) => type === 'T').map(([symbol]) => [symbol, name])));
	return new Map(files.map(({ name, symbols }) => [name, new Set(symbols.filter(([symbol, type]) => type === 'U' && at.has(symbol)).map(([symbol]) => at.get(symbol)))]));
}

/** The way from a file back to it, or none. */
function circle(graph) {
	const done = new Set();
	const from = (file, way) => {
		if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
		if (done.has(file)) return undefined;
		for (const next of graph.get(file)) {
			const found = from(next, [...way, file]);
			if (found) return found;
		}
		done.add(file);
		return undefined;
	};
	for (const file of graph.keys()) {
		const found = from(file, []);
		if (found) return found.join(' > ');
	}
	return undefined;
}

test(`the folder, copied into a fresh Kamailio tree, builds there with plain ${cmake ? 'CMake' : 'make'}, without a warning`, () => {
	const tree = freshTree();
	const modules = path.join(tree, 'src/modules');
	assert.ok(!fs.existsSync(path.join(modules, 'call_resume')), 'a fresh tree');
	fs.cpSync(FOLDER, path.join(modules, 'call_resume'), { recursive: true });
	const so = buildIn(tree);
	assert.match(run('nm', ['-D', '--defined-only', so]), / exports$/m);
	noSearchPath(so);

	// Each file stands on others, and none of these on it.
	const graph = calls(run('find', [path.dirname(so), '-name', '*.o']).trim().split('\n'));
	assert.ok(graph.size > 80, `${graph.size} files`);
	assert.equal(circle(graph), undefined);

	// Kamailio loads it: the version and the flags it was built with are right.
	const cfg = path.join(tmp, 'kamailio.cfg');
	const ring = path.join(tmp, 'ring');
	run('tools/keyring', [ring]);
	fs.writeFileSync(cfg, ['#!KAMAILIO', 'listen=udp:127.0.0.1:5060',
		...['tm', 'rr', 'sl'].map((m) => `loadmodule "${m}.so"`), `loadmodule "${so}"`,
		`modparam("call_resume", "key_ring", "${ring}")`, 'request_route { resume_auth(); exit; }', ''].join('\n'));
	const checked = spawnSync('kamailio', ['-c', '-f', cfg, '-Y', tmp], { encoding: 'utf8' });
	assert.equal(checked.status, 0, checked.stderr);
});

test('what make builds has no path of its own to look for libraries in', () => noSearchPath(path.join(ROOT, 'build/call_resume.so')));

test('the core includes nothing of Kamailio', () => {
	for (const file of fs.readdirSync(FOLDER).filter((f) => /\.[ch]$/.test(f) && !/^(kam|call_resume_mod)/.test(f))) {
		assert.doesNotMatch(fs.readFileSync(path.join(FOLDER, file), 'utf8'), /#include "\.\./, file);
	}
});

test('no condition of cfg/ goes on behind a route that may end the script: Kamailio would run what is behind && all the same', () => {
	const text = fs.readdirSync(path.join(ROOT, 'cfg')).filter((f) => f.endsWith('.cfg'))
		.map((f) => fs.readFileSync(path.join(ROOT, 'cfg', f), 'utf8')).join('\n').replace(/^#.*$/gm, '').replace(/^\t+#.*$/gm, '');
	const routes = [...text.matchAll(/^route\[(\w+)\] \{\n([^]*?)^\}/gm)];
	const ends = new Set();
	for (let n = -1; n < ends.size;) {
		n = ends.size;
		for (const [, name, body] of routes) {
			if (/\b(exit|drop);/.test(body) || [...body.matchAll(/\broute\((\w+)\)/g)].some(([, called]) => ends.has(called))) ends.add(name);
		}
	}
	assert.ok(ends.has('RESUME_CLIENT') && !ends.has('FROM_TRUNK'), [...ends].join());
	const wrong = [...text.matchAll(/\broute\((\w+)\)[ )]*(?:&&|\|\|)/g)].filter(([, name]) => ends.has(name));
	assert.deepEqual(wrong.map(([found]) => found), []);
});

test("systemd takes the drop-in for Debian's service", () => {
	const units = path.join(tmp, 'units');
	const unit = path.join(units, 'kamailio.service');
	fs.mkdirSync(`${unit}.d`, { recursive: true });
	fs.copyFileSync('/lib/systemd/system/kamailio.service', unit);
	fs.copyFileSync(path.join(ROOT, 'cfg/systemd.conf'), `${unit}.d/call_resume.conf`);
	const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], {
		encoding: 'utf8', env: { ...process.env, SYSTEMD_UNIT_PATH: `${units}:` },
	});
	assert.equal(status, 0, stderr);
	assert.doesNotMatch(stderr, /call_resume\.conf/);
});

test('make install-web puts the page where cfg/nginx.conf looks for it', () => {
	const dest = path.join(tmp, 'web');
	// What an earlier version has left.
	const examples = path.join(dest, 'usr/share/call_resume/web/examples');
	fs.mkdirSync(examples, { recursive: true });
	run('make', ['-s', 'install-web', `DESTDIR=${dest}`]);
	assert.ok(!fs.existsSync(examples), 'examples are not for a web root');
	const nginx = fs.readFileSync(path.join(ROOT, 'cfg/nginx.conf'), 'utf8');
	const value = (mark) => nginx.match(new RegExp(`(\\S+); # ${mark}$`, 'm'))[1];
	assert.ok(fs.existsSync(path.join(dest, value('ROOT'), 'index.html')));
	assert.ok(fs.existsSync(path.join(dest, value('ROOT'), 'softphone/call.js')));
	assert.ok(fs.existsSync(path.join(dest, value('BUNDLE'), 'jssip.js')));
	assert.ok(!fs.existsSync(path.join(dest, value('ROOT'), 'node_modules')));
});

test('make install DESTDIR puts module, examples and documentation where they belong', () => {
	const dest = path.join(tmp, 'dest');
	run('make', ['-s', 'install', `DESTDIR=${dest}`]);
	const files = run('find', [dest, '-type', 'f']).split('\n').filter(Boolean);
	const relative = files.map((f) => `/${path.relative(dest, f)}`);
	const tm = run('find', ['/usr/lib', '-name', 'tm.so', '-path', '*kamailio/modules*']).trim();
	const so = path.join(path.dirname(tm), 'call_resume.so');
	assert.ok(relative.includes(so), `${so} in ${relative}`);
	for (const f of fs.readdirSync(path.join(ROOT, 'cfg'))) {
		assert.ok(relative.includes(`/usr/share/doc/kamailio-call-resume/examples/${f}`), f);
	}
	const commands = ['call_resume-check', 'call_resume-check-sip', 'call_resume-keyring'];
	const others = [so, ...commands.flatMap((name) => [`/usr/sbin/${name}`, `/usr/share/man/man8/${name}.8`])];
	for (const f of others) assert.ok(relative.includes(f), f);
	assert.ok(relative.every((f) => others.includes(f) || f.startsWith('/usr/share/doc/kamailio-call-resume/')), relative.join(' '));
	for (const f of relative) assert.equal(fs.statSync(path.join(dest, f)).mode & 0o777, f.startsWith('/usr/sbin/') ? 0o755 : 0o644, f);
});

test('make install can be told other places', () => {
	const dest = path.join(tmp, 'other');
	run('make', ['-s', 'install', `DESTDIR=${dest}`, 'MODULES_DIR=/opt/kamailio/modules', 'DOC_DIR=/opt/doc', 'SBIN_DIR=/opt/sbin', 'MAN_DIR=/opt/man']);
	assert.ok(fs.existsSync(path.join(dest, 'opt/kamailio/modules/call_resume.so')));
	assert.ok(fs.existsSync(path.join(dest, 'opt/doc/examples/resume.cfg')));
	for (const name of ['call_resume-check', 'call_resume-check-sip']) fs.accessSync(path.join(dest, 'opt/sbin', name), fs.constants.X_OK);
	assert.ok(fs.existsSync(path.join(dest, 'opt/man/man8/call_resume-check.8')));
	assert.ok(!fs.existsSync(path.join(dest, 'usr')));
});

test('make keyring: a file of mode 0600 that the module takes, and never over another', () => {
	const ring = path.join(tmp, 'new folder/ring');
	const make = () => spawnSync('tools/keyring', [ring], { cwd: ROOT, encoding: 'utf8' });
	assert.equal(make().status, 0);
	const text = fs.readFileSync(ring, 'utf8');
	assert.match(text, /^k\d{8} [\w-]{43}\n$/);
	assert.equal(fs.statSync(ring).mode & 0o777, 0o600);
	const again = make();
	assert.notEqual(again.status, 0);
	assert.match(again.stderr, /is there already, not touched/);
	assert.equal(fs.readFileSync(ring, 'utf8'), text);

	const simple = path.join(tmp, 'ring2');
	run('make', ['-s', 'keyring', `KEYRING=${simple}`]);
	const kept = fs.readFileSync(simple, 'utf8');
	assert.notEqual(kept.split(' ')[1], text.split(' ')[1], 'another key each time');
	assert.throws(() => run('make', ['-s', 'keyring', `KEYRING=${simple}`]), /not touched/);
	assert.equal(fs.readFileSync(simple, 'utf8'), kept);
	const link = path.join(tmp, 'link');
	fs.symlinkSync(path.join(tmp, 'nowhere'), link);
	assert.throws(() => run('make', ['-s', 'keyring', `KEYRING=${link}`]), /not touched/);
});

test('make help lists the targets that there are', () => {
	const help = run('make', ['-s', 'help']);
	for (const target of ['build', 'deps', 'test', 'demo', 'run', 'bench', 'keyring', 'install', 'deb', 'dist', 'clean']) {
		assert.match(help, new RegExp(`^ +${target} `, 'm'));
	}
});

test('what make bench measures of the core works, each of it', () => {
	const at = path.join(tmp, 'bench');
	run('make', ['-s', '-C', path.join(ROOT, 'bench'), `BUILD=${at}`, 'CFLAGS=-O0']);
	const { status, stdout, stderr } = spawnSync(path.join(at, 'core'), ['0.1'], { encoding: 'utf8' });
	assert.equal(status, 0, stdout + stderr);
	assert.match(stdout, /^the core's work for a forged state\t\d/m);
});
