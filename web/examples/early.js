// SPDX-License-Identifier: MIT
// What a page with JsSIP begins before the library is here, when it has a call to bring back.

import { EarlySocket } from '../early-socket.js';
import './asked.js';

const kept = Object.keys(localStorage).some((key) => key.startsWith('call-resume '));
export const socket = kept ? new EarlySocket(`${location.origin.replace(/^http/, 'ws')}/ws`) : undefined;
