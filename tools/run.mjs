// SPDX-License-Identifier: GPL-2.0-or-later
//
// The stack in the foreground, until Ctrl-C, for one's own phone or browser.
//
//	IP=192.0.2.1 make run      on that address; otherwise on 127.0.0.1

import { execFileSync } from 'node:child_process';
import path from 'node:path';

import { ROOT } from '../tests/lib/kamailio.mjs';
import { DOMAIN, Stack } from '../tests/lib/stack.mjs';

const ip = process.env.IP || '127.0.0.1';
const dir = path.join(ROOT, 'build/run/foreground');

// One that stays, so that a browser has to be told only once that it may be trusted.
const tls = path.join(ROOT, 'build/tls');
execFileSync(path.join(ROOT, 'tools/certificate'), [tls, ip]);

const stack = await Stack.start('foreground', {
	dir,
	web: { port: 8443, certificate: { cert: path.join(tls, 'cert.pem'), key: path.join(tls, 'key.pem') } },
	// SIP in the clear too, for phones and scenarios without TLS.
	defines: { RESUME_ALLOW_INSECURE: 1 },
	kamailio: { ip, ports: { port: 5060, ws: 8080 } },
	rtpengine: { ip, timeout_s: 120 },
});
await stack.peer('echo', 'echo/peer.xml', { calls: 0, timeout_s: 0 });
const { kamailio } = stack;
const passwords = Object.fromEntries(['alice', 'bob'].map((user) => [user, stack.portal.add(`${user}@${DOMAIN}`)]));
const token = await kamailio.token(`sip:alice@${DOMAIN}`);

console.log(`
The gateway runs. For a browser, with a certificate of its own that the browser has to be told to trust
(${path.relative(process.cwd(), tls)}/cert.pem):

  origin      ${stack.web.url}, with portal and WebSocket (docs/portal.md)
${Object.entries(passwords).map(([user, password]) => `  user        ${user}, password ${password}`).join('\n')}

For a phone or a SIPp scenario:

  SIP         ${ip}:${kamailio.port} over UDP or TCP
  WebSocket   ws://${ip}:${kamailio.ws}
  user        sip:alice@${DOMAIN}, outbound proxy as above
  token       to be sent with REGISTER and INVITE as
              Authorization: Bearer ${token}

Any number you call is answered by a far end that echoes your voice.
More tokens and what else the gateway can tell (in ${path.relative(process.cwd(), dir)}/):

  kamcmd -s unixs:./kamailio.ctl call_resume.issue sip:carol@${DOMAIN}
  kamcmd -s unixs:./kamailio.ctl call_resume.stats

Tokens cross the network in the clear here: this is for trying out only.
Its log is ${path.relative(process.cwd(), kamailio.proc.log)}. Ctrl-C ends everything.
`);

const ended = await Promise.race(
	[kamailio.proc, stack.rtpengine.proc, stack.web.proc].map((p) => p.exited.then(() => p)));
console.error(`${ended.name} ended (${ended.code}), see ${path.relative(process.cwd(), ended.log)}`);
await stack.stop();
process.exitCode = 1;
