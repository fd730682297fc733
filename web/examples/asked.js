// SPDX-License-Identifier: MIT
// Is somebody signed in? Asked while the scripts of the library are still being loaded.

import { session } from '../portal.js';

export const asked = session();
asked.catch(() => {}); // who awaits it says so
