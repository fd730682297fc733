// SPDX-License-Identifier: GPL-2.0-or-later
// linphone at the far end.

import { Linphone } from '../lib/linphone.mjs';
import { farEnd } from '../lib/farend.mjs';

farEnd('linphone', (stack, network) => Linphone.start(stack, network), { skip: Linphone.possible ? false : 'no linphonec here: Debian 14 has none' });
