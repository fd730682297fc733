// SPDX-License-Identifier: MIT
// What does not wait until the library is here: is somebody signed in, and, with a call to bring back, the WebSocket.

import { EarlySocket } from '../early-socket.js';
import { session } from '../portal.js';

export const asked = session();
asked.catch(() => {}); // who awaits it says so

const kept = Object.keys(localStorage).some((key) => key.startsWith('call-resume '));
export const socket = kept ? new EarlySocket(`${location.origin.replace(/^http/, 'ws')}/ws`) : undefined;
