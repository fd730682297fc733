// SPDX-License-Identifier: GPL-2.0-or-later
// A gateway whose routes are in Lua or in Python with the five: kemi.mjs.

import { test } from 'node:test';
import assert from 'node:assert/strict';

import { integrationTests, linesAdded, patchFor } from '../lib/integrate.mjs';
import { LANGUAGES, kemi } from './kemi.mjs';

for (const [language, routes] of Object.entries(LANGUAGES)) {
	test(`${language}: the patches are eight lines at the most`, () => {
		assert.ok(linesAdded(patchFor('kemi.cfg')) + linesAdded(patchFor(routes)) <= 8);
	});

	integrationTests(language, {
		...kemi(language), transports: ['udp', 'ws'],
		// As those of webrtc.cfg.
		relayed: ['udp'],
	});
}
