// SPDX-License-Identifier: GPL-2.0-or-later
// tools/check on a stack that runs.

import { spawnSync } from 'node:child_process';
import path from 'node:path';

import { ROOT } from './kamailio.mjs';

/** Run it on a stack's gateway, asking over SIP or not; {code, text}. */
export function check(stack, { cfg = stack.kamailio.cfg, socket = `unixs:./${stack.kamailio.name}.ctl`, sip = true, domain, user, transport, nginx = '/nobody', rtpengine = '/nobody' } = {}) {
	const defines = Object.entries(stack.kamailio.defines).filter(([, v]) => v !== undefined && v !== false)
		.flatMap(([k, v]) => ['-A', v === true ? k : `${k}=${v}`]).filter((v) => !/\s/.test(v));
	const run = spawnSync(path.join(ROOT, 'tools/check'),
		['-f', path.resolve(ROOT, cfg), '-s', socket, '-n', nginx, '-r', rtpengine, ...(sip ? [] : ['-S']), ...(domain ? ['-d', domain] : []),
			...(user ? ['-u', user] : []), ...(transport ? ['-t', transport] : []), ...defines],
		{ cwd: stack.dir, encoding: 'utf8', timeout: 120_000 });
	return { code: run.status, text: run.stdout + run.stderr };
}
