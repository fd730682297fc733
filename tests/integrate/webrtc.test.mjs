// SPDX-License-Identifier: GPL-2.0-or-later
// A gateway for browsers and phones with passwords, rtpengine, dialog and topoh: webrtc.cfg.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { integrate, integrationTests, linesAdded, patchFor } from '../lib/integrate.mjs';

const PASSWORD = 'a pass word';
const FILE = 'webrtc.cfg';

test('webrtc: the patch is eight lines at the most', () => {
	assert.ok(linesAdded(patchFor(FILE)) <= 8);
});

integrationTests('webrtc', {
	cfg: FILE,
	files: () => ({
		[FILE]: fs.readFileSync(fileURLToPath(new URL(FILE, import.meta.url))),
		'resume.cfg': fs.readFileSync(path.join(ROOT, 'cfg/resume.cfg')),
	}),
	prepare: ({ dir }) => {
		execFileSync('sqlite3', [path.join(dir, 'users.sqlite')], {
			input: `CREATE TABLE subscriber (username TEXT, domain TEXT, password TEXT);
				INSERT INTO subscriber VALUES ('alice', '${DOMAIN}', '${PASSWORD}');`,
		});
		integrate(dir, FILE);
	},
	defines: ({ dir, rtpengine, trunkPort }) => ({
		DOMAIN: `"${DOMAIN}"`, DBURL: `"sqlite:///${dir}/users.sqlite"`, TRUNK: `"sip:${TRUNK_IP}:${trunkPort}"`,
		RTPENGINE: `"udp:${rtpengine.control}:${rtpengine.ng}"`,
	}),
	password: PASSWORD,
	// The WebSockets' side gets what a browser needs, and these clients are none.
	relayed: ['udp'],
});
