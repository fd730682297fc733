// SPDX-License-Identifier: MIT

import type { Store } from './call-resume.js';

/** The portal's store on the network (docs/portal.md), for browsers that keep nothing. */
export function networkStore(url: string, token: () => string | Promise<string>): Store;
