// SPDX-License-Identifier: GPL-2.0-or-later
// A gateway whose routes are in Lua or in Python: kemi.cfg, gateway.lua, gateway.py.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { integrate } from '../lib/integrate.mjs';

const PASSWORD = 'a pass word';
const here = (file) => fs.readFileSync(fileURLToPath(new URL(file, import.meta.url)));
const ours = (file) => fs.readFileSync(path.join(ROOT, 'cfg', file));

export const LANGUAGES = { lua: 'gateway.lua', python: 'gateway.py' };

/** For integrationTests() and Integrated.start(). */
export const kemi = (language, routes = LANGUAGES[language]) => ({
	cfg: 'kemi.cfg',
	files: () => ({
		'kemi.cfg': here('kemi.cfg'), [routes]: here(routes), 'resume.cfg': ours('resume.cfg'),
		[routes.replace('gateway', 'resume')]: ours(routes.replace('gateway', 'resume')),
	}),
	prepare: ({ dir }) => {
		execFileSync('sqlite3', [path.join(dir, 'users.sqlite')], {
			input: `CREATE TABLE subscriber (username TEXT, domain TEXT, password TEXT);
				INSERT INTO subscriber VALUES ('alice', '${DOMAIN}', '${PASSWORD}');`,
		});
		integrate(dir, 'kemi.cfg');
		integrate(dir, routes);
		// Where a user has it: /etc/kamailio.
		fs.writeFileSync(path.join(dir, routes), fs.readFileSync(path.join(dir, routes), 'utf8').replaceAll('/etc/kamailio', dir));
	},
	defines: ({ dir, rtpengine, trunkPort }) => ({
		DOMAIN: `"${DOMAIN}"`, DBURL: `"sqlite:///${dir}/users.sqlite"`, TRUNK: `"sip:${TRUNK_IP}:${trunkPort}"`,
		RTPENGINE: `"udp:${rtpengine.control}:${rtpengine.ng}"`, ROUTES: `"${path.join(dir, routes)}"`, WITH_PYTHON: language === 'python',
	}),
	password: PASSWORD,
});

/** The same with other files. @param changes  {name of a file: [[text, what to put there], ...]} */
export function changed(language, changes) {
	const how = kemi(language);
	return {
		...how,
		prepare: (stack) => {
			how.prepare(stack);
			for (const [file, pairs] of Object.entries(changes)) {
				const at = path.join(stack.dir, file);
				let text = fs.readFileSync(at, 'utf8');
				for (const [from, to] of pairs) {
					assert.ok(text.includes(from), `${from} in ${file}`);
					text = text.replace(from, to);
				}
				fs.writeFileSync(at, text);
			}
		},
	};
}

/** With what a far end needs that reads RTP sequence numbers, for every client. */
export const withSteps = (language) => changed(language, {
	'kemi.cfg': [['include_file "resume.cfg"', 'loadmodule "textopsx.so"\n$&']],
	[LANGUAGES[language]]: [['replace-session-connection', '$& port-latching'], ...{
		lua: [['resume.password = password\n', '$&resume.steps = 2\nresume.offer = function() KSR.rtpengine.rtpengine_offer(FLAGS) end\n']],
		python: [['Resume(KSR, password)', 'Resume(KSR, password, steps=2, offer=lambda: KSR.rtpengine.rtpengine_offer(FLAGS))']],
	}[language]],
});
