// SPDX-License-Identifier: GPL-2.0-or-later
// Debian's kamailio.cfg with the five routes: debian.mjs.

import { test } from 'node:test';
import assert from 'node:assert/strict';

import { integrationTests, linesAdded, patchFor } from '../lib/integrate.mjs';
import { DEBIAN } from './debian.mjs';

test('debian: the patch is eight lines at the most', () => {
	assert.ok(linesAdded(patchFor('kamailio.cfg')) <= 8);
});

integrationTests('debian', {
	...DEBIAN,
	service: '+4930123456',
	// Whom it takes for somebody behind a NAT, all others talk to each other.
	relayed: ['ws'],
});
