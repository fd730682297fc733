// SPDX-License-Identifier: GPL-2.0-or-later
//
// The samples of earlier versions, which tests/unit/test_frozen.c opens, are what
// those versions made: their own code, kept beside the samples, makes them again.

import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { unpackFrozen } from '../lib/frozen.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const tmp = mkdtempSync(join(tmpdir(), 'call_resume-'));
after(() => rmSync(tmp, { recursive: true, force: true }));

const versions = readdirSync(join(ROOT, 'tests/vectors')).filter((name) => name.startsWith('frozen-')).map((name) => ({
  name, number: name.slice('frozen-'.length), folder: join(ROOT, 'tests/vectors', name),
}));

test('there are samples of the first version', () => assert.equal(versions[0].name, 'frozen-1'));

for (const { name, number, folder } of versions) {
  test(`${name}: nothing was changed since`, () => {
    const listed = execFileSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: folder, encoding: 'utf8' });
    const files = readdirSync(folder).filter((file) => !['SHA256SUMS', 'README.md'].includes(file));
    for (const file of files) assert.ok(listed.includes(`${file}: OK`), `${file} is not in SHA256SUMS`);
  });

  test(`${name}: the code in node.tar.xz is that of its commit`, (t) => {
    const [, commit] = readFileSync(join(folder, 'README.md'), 'utf8').match(/\b([0-9a-f]{40})\b/);
    if (spawnSync('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: ROOT }).status !== 0) {
      t.diagnostic('not looked at: this is no clone with that commit; SHA256SUMS holds all the same');
      return;
    }
    const theirs = join(tmp, `${name}-git`);
    mkdirSync(theirs);
    const tar = execFileSync('git', ['archive', commit, 'modules/call_resume', 'cfg'], { cwd: ROOT, maxBuffer: 1 << 26 });
    execFileSync('tar', ['-xf', '-', '-C', theirs], { input: tar });
    execFileSync('diff', ['-r', theirs, unpackFrozen(number, join(tmp, `${name}-kept`))]);
  });

  test(`${name}: its own code makes the same samples`, () => {
    const core = join(unpackFrozen(number, join(tmp, name)), 'modules/call_resume');
    const sources = readdirSync(core).filter((file) => file.endsWith('.c') && !/^(kam_|call_resume_mod)/.test(file));
    const made = join(tmp, `${name}-made`);
    mkdirSync(made);
    execFileSync('cc', ['-std=c11', `-I${core}`, '-o', join(tmp, 'make'), join(folder, 'make.c'),
      ...sources.map((file) => join(core, file)), '-ljansson', '-lcrypto']);
    execFileSync(join(tmp, 'make'), [made]);
    for (const file of readdirSync(made)) {
      assert.equal(readFileSync(join(made, file), 'utf8'), readFileSync(join(folder, file), 'utf8'), file);
    }
    assert.deepEqual(readdirSync(made), readdirSync(folder).filter((file) => file.endsWith('.json')));
  });
}
