// SPDX-License-Identifier: GPL-2.0-or-later
// A proxy that is the first hop of clients, in front of a gateway: the one of docs/integrate.md, or an edge of RFC 5626.

import path from 'node:path';

import { Kamailio, ROOT } from './kamailio.mjs';
import { freePort } from './ports.mjs';

/**
 * Its ports are port and ws, unless told otherwise just any.
 * @param dir      the run's folder
 * @param gateway  the URI of the gateway
 * @param outbound  with flow tokens, and without a Record-Route within a dialog
 */
export async function firstHop(dir, { ip, gateway, outbound = false, name = 'first-hop', ports, defines = {} }) {
	return Kamailio.start(dir, {
		name, ip, cfg: path.join(ROOT, `tests/lib/${outbound ? 'outbound' : 'first-hop'}.cfg`),
		ports: ports ?? { port: await freePort(ip), ws: await freePort(ip) },
		defines: { GATEWAY: `"${gateway}"`, ...defines },
	});
}
