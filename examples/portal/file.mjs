// SPDX-License-Identifier: GPL-2.0-or-later
// A JSON file that is small, private, and whole at every moment.

import fs from 'node:fs';

export function readJson(path, otherwise) {
	try {
		return JSON.parse(fs.readFileSync(path, 'utf8'));
	} catch (e) {
		if (e.code === 'ENOENT') return otherwise;
		throw e;
	}
}

export function writeJson(path, value) {
	fs.writeFileSync(`${path}.new`, JSON.stringify(value), { mode: 0o600 });
	fs.renameSync(`${path}.new`, path);
}
