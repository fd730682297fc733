// SPDX-License-Identifier: MIT

import type { CallBefore } from './call-resume.js';

/** The calls of a user that will be brought back, at once: for the first picture that a page paints.
 * @param user as of browserStore(): `alice@example.org` */
export function keptCalls(user: string): CallBefore[];
