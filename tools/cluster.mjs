// SPDX-License-Identifier: GPL-2.0-or-later
//
// Three gateways with one key ring, nginx as balancer in front of them, and a softphone, in the foreground until Ctrl-C:
// to kill a node in the midst of a call.
//
//	make cluster                all on loopback: nodes at 127.0.0.11, .12 and .13, the page at 127.0.0.1
//	PORT=8443                   another port for the page
//	RUN_DIR                     another folder than build/run/cluster for logs and sockets

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { Cluster, followTargets } from '../tests/lib/cluster.mjs';
import { Echo } from '../tests/lib/echo.mjs';
import { ROOT } from '../tests/lib/kamailio.mjs';
import { DOMAIN, TRUNK_IP, emptied } from '../tests/lib/stack.mjs';

const USERS = ['alice', 'bob'];
const { PORT = 8443 } = process.env;
const dir = emptied(path.resolve(process.env.RUN_DIR ?? path.join(ROOT, 'build/run/cluster')));
const shown = (file) => path.relative(process.cwd(), file);

const tls = path.join(ROOT, 'build/tls');
execFileSync(path.join(ROOT, 'tools/certificate'), [tls, '127.0.0.1']);

const cluster = await Cluster.start('cluster', {
	nodes: 3, dir, web: { port: Number(PORT), certificate: { cert: path.join(tls, 'cert.pem'), key: path.join(tls, 'key.pem') } },
	defines: { RESUME_BIND_FINGERPRINT: 1 },
});
// Everybody who is not here answers and echoes.
const echo = followTargets(await Echo.open({ ip: TRUNK_IP, port: cluster.trunkPort, video: true, to: cluster.at(1) }));
const users = Object.fromEntries(USERS.map((user) => [user, cluster.portal.add(`${user}@${DOMAIN}`, randomBytes(9).toString('base64url'))]));

// Asks a node that is up where the user is, and kills that one, Kamailio and rtpengine.
const script = path.join(dir, 'kill-node-of');
fs.writeFileSync(script, `#!/bin/sh
cd '${dir}' || exit 1
for ctl in kamailio-*.ctl; do
	node=$(kamcmd -s "unixs:./$ctl" ul.dump 2>/dev/null | awk -v user="$1@" '/AoR: / { is = index($2, user) == 1 } is && /Server-Id: / { print $2; exit }')
	[ -n "$node" ] && break
done
case $node in
${cluster.nodes.map(({ number, kamailio, rtpengine }) => `${number}) kill -9 -${kamailio.proc.pid} -${rtpengine.proc.pid} ;;`).join('\n')}
*) echo "kill-node-of: $1 is registered nowhere" >&2; exit 1 ;;
esac 2>/dev/null && echo "node $node is dead" && exit
echo "kill-node-of: $1 has not come back yet: node $node is dead already" >&2
exit 1
`, { mode: 0o755 });

console.log(`
The softphone:  ${cluster.web.url}/

${USERS.map((user) => `  user ${user.padEnd(8)} password ${users[user]}`).join('\n')}

  The certificate is signed by itself. The browser will warn: go on ("Advanced"), or
  tell it to trust ${shown(tls)}/cert.pem.

  Sign in as alice, call "echo", hear yourself. Then kill the node that the page is on, for good:

  ${shown(script)} alice

  The call is still there. It can be done once more: a third node is left.

The nodes:

${cluster.nodes.map(({ number, ip, kamailio }) => `  ${number}  ${ip}, log ${shown(kamailio.proc.log)}
     kamcmd -s unixs:${shown(path.join(dir, `${kamailio.name}.ctl`))} call_resume.nodes`).join('\n')}

Ctrl-C ends everything.
`);

const { proc } = cluster.web;
await proc.exited;
console.error(`${proc.name} ended (${proc.code}), see ${shown(proc.log)}`);
echo.close();
await cluster.stop();
process.exitCode = 1;
