// SPDX-License-Identifier: GPL-2.0-or-later
// The project's configuration with other lines in it, for what another gateway's
// configuration may do.

import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from './kamailio.mjs';

/** Write kamailio.cfg with lines at the beginning of a route; returns its path. */
export function variant(dir, name, route, lines) {
	const head = `\nroute[${route}] {`;
	const text = fs.readFileSync(path.join(ROOT, 'cfg/kamailio.cfg'), 'utf8')
		.replace(/include_file "(\w+\.cfg)"/g, (_, name) => `include_file "${path.join(ROOT, 'cfg', name)}"`);
	if (!text.includes(head)) throw new Error(`kamailio.cfg has no route ${route}`);
	const file = path.join(dir, `${name}.cfg`);
	fs.writeFileSync(file, text.replace(head, `${head}\n${lines}`));
	return file;
}
