// SPDX-License-Identifier: GPL-2.0-or-later
// baresip at the far end: 1.0, as Debian 12 has it, and 1.1 of Debian 13.

import { test } from 'node:test';

import { Baresip, version } from '../lib/baresip.mjs';
import { farEnd } from '../lib/farend.mjs';

if (/^1\.[01]/.test(version)) farEnd('baresip', (stack, network) => Baresip.start(stack, network));
else test('baresip', { skip: `it is ${version}` }, () => {});
