// SPDX-License-Identifier: GPL-2.0-or-later
// A gateway for browsers and phones with passwords, rtpengine, dialog and topoh: webrtc.cfg.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { integrate } from '../lib/integrate.mjs';

const PASSWORD = 'a pass word';
export const FILE = 'webrtc.cfg';

/** For integrationTests() and Integrated.start(). */
export const WEBRTC = {
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
};
