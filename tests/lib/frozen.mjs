// SPDX-License-Identifier: GPL-2.0-or-later
// An earlier version of the gateway: module and configuration as they were, from
// tests/vectors/frozen-N/node.tar.xz, the module built for the Kamailio of today.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from './kamailio.mjs';

/** Unpack it; resolves to the folder. */
export function unpackFrozen(version, dir) {
	fs.rmSync(dir, { recursive: true, force: true });
	fs.mkdirSync(dir, { recursive: true });
	execFileSync('tar', ['-xJf', path.join(ROOT, `tests/vectors/frozen-${version}/node.tar.xz`), '-C', dir]);
	return dir;
}

/** {module, cfg}: paths, as Kamailio.start() takes them. */
export function frozenNode(version) {
	const dir = unpackFrozen(version, path.join(ROOT, `build/frozen/${version}`));
	const module = path.join(dir, 'call_resume.so');
	execFileSync('tools/build-module', [
		process.env.KAMAILIO_SRC || '.cache/kamailio/tree', module, 'frozen', path.join(dir, 'modules/call_resume'),
	], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
	return { module, cfg: path.join(dir, 'cfg/kamailio.cfg') };
}
