// SPDX-License-Identifier: GPL-2.0-or-later
// Debian's kamailio.cfg as it is in the package, with passwords, rtpengine, a PSTN gateway,
// and what the documentation of the module websocket adds for browsers.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { ROOT } from '../lib/kamailio.mjs';
import { integrate } from '../lib/integrate.mjs';

const PASSWORD = 'a pass word';

/** What an operator switches on and sets, in the file that kamailio.cfg imports first. */
const local = (stack) => `
#!define WITH_AUTH
#!define WITH_NAT
#!define WITH_RTPENGINE
#!define WITH_PSTN
#!define DBURL "sqlite:///${stack.dir}/users.sqlite"
alias="${DOMAIN}"
auto_aliases=no
listen=LISTEN_UDP
listen=LISTEN_TCP
listen=LISTEN_WS
tcp_accept_no_cl=yes
loadmodule "db_sqlite.so"
`;

const WEBSOCKET = `
# The binding of a page that is gone goes as well.
modparam("usrloc", "handle_lost_tcp", 1)
loadmodule "xhttp.so"
loadmodule "websocket.so"
event_route[xhttp:request] {
	set_reply_no_connect();
	if ($hdr(Upgrade) =~ "websocket" && $hdr(Connection) =~ "Upgrade") {
		ws_handle_handshake();
		exit;
	}
	xhttp_reply("404", "Not Found", "", "");
}
`;

/** The sockets of this run in the place of the package's. */
const adapted = (text, stack) => text
	.replace('udp:127.0.0.1:2223', `udp:${stack.rtpengine.control}:${stack.rtpengine.ng}`)
	.replace(/^loadmodule "ctl.so"$/m, `$&
modparam("ctl", "binrpc", CTL_SOCKET)
modparam("jsonrpcs", "transport", 2)
modparam("jsonrpcs", "fifo_name", RPC_FIFO)`) + WEBSOCKET;

function prepare({ dir }) {
	execFileSync('sqlite3', [path.join(dir, 'users.sqlite')], {
		input: `CREATE TABLE version (table_name TEXT, table_version INTEGER);
			INSERT INTO version VALUES ('subscriber', 7);
			CREATE TABLE subscriber (username TEXT, domain TEXT, password TEXT);
			INSERT INTO subscriber VALUES ('alice', '${DOMAIN}', '${PASSWORD}');`,
	});
	integrate(dir, 'kamailio.cfg');
}

/** For integrationTests() and Integrated.start(). */
export const DEBIAN = {
	files: (stack) => ({
		'kamailio.cfg': adapted(fs.readFileSync('/etc/kamailio/kamailio.cfg', 'utf8'), stack),
		'kamailio-local.cfg': local(stack),
		'resume.cfg': fs.readFileSync(path.join(ROOT, 'cfg/resume.cfg')),
	}),
	prepare,
	password: PASSWORD,
	trunk: {
		ready: async ({ kamailio, trunkPort }) => {
			await kamailio.kamcmd('cfg.sets', 'pstn', 'gw_ip', TRUNK_IP);
			await kamailio.kamcmd('cfg.sets', 'pstn', 'gw_port', `s:${trunkPort}`);
		},
	},
};
