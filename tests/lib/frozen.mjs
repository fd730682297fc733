// SPDX-License-Identifier: GPL-2.0-or-later
// An earlier version of the gateway: module and configuration as they were, from
// node.tar.xz of a folder of tests/vectors/, the module built for the Kamailio of today.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from './kamailio.mjs';

/** Unpack that of tests/vectors/NAME; resolves to the folder. */
function unpack(name, dir) {
	fs.rmSync(dir, { recursive: true, force: true });
	fs.mkdirSync(dir, { recursive: true });
	execFileSync('tar', ['-xJf', path.join(ROOT, `tests/vectors/${name}/node.tar.xz`), '-C', dir]);
	return dir;
}

/** Unpack it; resolves to the folder. */
export const unpackFrozen = (version, dir) => unpack(`frozen-${version}`, dir);

/** {module, cfg}: paths, as Kamailio.start() takes them. */
function node(name) {
	const dir = unpack(name, path.join(ROOT, `build/frozen/${name}`));
	const module = path.join(dir, 'call_resume.so');
	execFileSync('tools/build-module', [
		process.env.KAMAILIO_SRC || '.cache/kamailio/tree', module, 'frozen', path.join(dir, 'modules/call_resume'),
	], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
	return { module, cfg: path.join(dir, 'cfg/kamailio.cfg') };
}

export const frozenNode = (version) => node(`frozen-${version}`);

/** One that has a cluster. */
export const frozenClusterNode = (version) => node(`cluster-${version}`);
