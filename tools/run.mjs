// SPDX-License-Identifier: GPL-2.0-or-later
//
// The stack in the foreground, until Ctrl-C, for one's own browser or phone.
//
//	make run                    on 127.0.0.1
//	IP=192.0.2.1 make run       on that address, for other machines too: SIP, the page and media; what
//	                            controls them stays on loopback
//	TURN=1 make run             with coturn; the browser gets its credentials from the portal
//	PORT, SIP_PORT, WS_PORT     other ports than 8443, 5060 and 8080
//	RUN_DIR                     another folder than build/run/foreground for logs and sockets

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { Echo } from '../tests/lib/echo.mjs';
import { ROOT } from '../tests/lib/kamailio.mjs';
import { replyTo } from '../tests/lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../tests/lib/stack.mjs';

const USERS = ['alice', 'bob'];
const LOOPBACK = '127.0.0.1';
const { IP: ip = '127.0.0.1', TURN, PORT = 8443, SIP_PORT = 5060, WS_PORT = 8080 } = process.env;
const dir = path.resolve(process.env.RUN_DIR ?? path.join(ROOT, 'build/run/foreground'));
const shown = (file) => path.relative(process.cwd(), file);

/** The users' passwords: made once, and kept, as the browser may keep them. */
function passwords(file) {
	if (!fs.existsSync(file)) {
		const made = Object.fromEntries(USERS.map((user) => [user, randomBytes(9).toString('base64url')]));
		fs.mkdirSync(path.dirname(file), { recursive: true });
		fs.writeFileSync(file, `${JSON.stringify(made)}\n`, { mode: 0o600 });
	}
	return JSON.parse(fs.readFileSync(file, 'utf8'));
}

/** The far end: everybody who is not here answers and echoes, but for a few. */
async function farEnd(stack) {
	const refusals = {
		busy: [486, 'Busy Here'], nobody: [404, 'Not Found'],
		// Of the users we know that they exist.
		...Object.fromEntries(USERS.map((user) => [user, [480, 'Temporarily Unavailable']])),
	};
	return Echo.open({
		ip: TRUNK_IP, port: stack.trunkPort, video: true, to: { ip, port: stack.kamailio.port },
		answer(m, call) {
			const refusal = !call && m.method === 'INVITE' && refusals[m.start.match(/^INVITE sip:([^@;]+)@/)?.[1]];
			if (refusal) m.answer(replyTo(m, ...refusal));
			return !refusal;
		},
	});
}

// A certificate that stays, so that a browser has to be told only once that it may be trusted.
const tls = path.join(ROOT, 'build/tls');
execFileSync(path.join(ROOT, 'tools/certificate'), [tls, ip]);

const stack = await Stack.start('foreground', {
	dir,
	web: { port: Number(PORT), kamailio: `${LOOPBACK}:${WS_PORT}`, certificate: { cert: path.join(tls, 'cert.pem'), key: path.join(tls, 'key.pem') } },
	turn: TURN ? { peers: [ip] } : false,
	// SIP in the clear too, for phones and scenarios without TLS.
	defines: {
		RESUME_ALLOW_INSECURE: 1, RESUME_BIND_FINGERPRINT: 1,
		// What comes over this port is taken for the web server's. Others come through that.
		LISTEN_WS: `tcp:${LOOPBACK}:${WS_PORT}`, RESUME_TRUSTED_PROXY: `"${LOOPBACK}"`,
	},
	kamailio: { ip, ports: { port: Number(SIP_PORT), ws: Number(WS_PORT) } },
	// Nothing flows while both sides are away; that must not end their call.
	rtpengine: { ip, timeout_s: 3600 },
});
const echo = await farEnd(stack);
const { kamailio } = stack;
const users = passwords(path.join(ROOT, 'build/run/passwords.json'));
for (const user of USERS) stack.portal.add(`${user}@${DOMAIN}`, users[user]);
const token = await kamailio.token(`sip:alice@${DOMAIN}`);

console.log(`
The softphone:  ${stack.web.url}/

${USERS.map((user) => `  user ${user.padEnd(8)} password ${users[user]}`).join('\n')}

  The certificate is signed by itself. The browser will warn: go on ("Advanced"), or
  tell it to trust ${shown(tls)}/cert.pem.

  Sign in as alice, call "echo", hear yourself, and press reload: the call is still there.
  Sign in as bob in a private window, let the two call each other, and reload either.
  "busy" and "nobody" are what they say. Everybody else echoes, video as well.

For a phone or a SIPp scenario (docs/sipp.md):

  SIP         ${ip}:${kamailio.port} over UDP or TCP
  WebSocket   ${stack.web.url.replace('https', 'wss')}/ws, on this machine also ws://${LOOPBACK}:${kamailio.ws}
  user        sip:alice@${DOMAIN}, outbound proxy as above
  token       to be sent with REGISTER and INVITE as
              Authorization: Bearer ${token}

  More tokens and what else the gateway can tell (in ${shown(dir)}/):

  kamcmd -s unixs:./kamailio.ctl call_resume.issue sip:carol@${DOMAIN}
  kamcmd -s unixs:./kamailio.ctl call_resume.stats

  Tokens cross the network in the clear there: this is for trying out only.

The gateway's log is ${shown(kamailio.proc.log)}. Ctrl-C ends everything.
`);

const ended = await Promise.race(
	[kamailio, stack.rtpengine, stack.web, ...stack.turn ? [stack.turn] : []].map(({ proc }) => proc.exited.then(() => proc)));
console.error(`${ended.name} ended (${ended.code}), see ${shown(ended.log)}`);
echo.close();
await stack.stop();
process.exitCode = 1;
