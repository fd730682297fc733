// SPDX-License-Identifier: GPL-2.0-or-later
// Asterisk of Debian 14, in the root that tools/farends makes, as the trunk of a test, and a phone behind it.
// It is in the test's network namespace, in a mount namespace of its own, and sees its folder as /mnt.
//
//	alice (127.0.0.1) --- gateway (127.0.0.1) --- Asterisk (127.0.0.2) --- the phone (127.0.0.12)

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { FarEnd } from './sip.mjs';
import { Proc } from './proc.mjs';
import { ROOT } from './kamailio.mjs';
import { Voice } from './voice.mjs';
import { freePort } from './ports.mjs';
import { writeTone } from './wav.mjs';
import { until } from './wait.mjs';

/** Whom a call for that name gets; phone is somebody else behind Asterisk. */
const EXTENSIONS = `
[gateway]
exten => record,1,Answer()
 same => n,Record(/mnt/heard.sln,0,0,kq)
exten => conference,1,Answer()
 same => n,ConfBridge(room)
exten => phone,1,Dial(PJSIP/phone,30)
exten => carol,1,Dial(PJSIP/gateway/sip:carol@\${GATEWAY},30)
[phone]
exten => conference,1,Answer()
 same => n,ConfBridge(room)
exten => alice,1,Dial(PJSIP/gateway/sip:alice@\${GATEWAY},30)
exten => carol,1,Dial(PJSIP/gateway/sip:carol@\${GATEWAY},30)
`;

/** What Asterisk has of one side. direct_media is off, so that its audio goes through, unless extra has it on. */
const endpoint = (name, ip, at, contact, codecs, extra) => `
[${name}]
type=endpoint
context=${name}
disallow=all
allow=${codecs}
${Object.entries({ direct_media: 'no', ...extra }).map(([k, v]) => `${k}=${v}`).join('\n')}
media_address=${ip}
bind_rtp_to_media_address=yes
aors=${name}
[${name}]
type=aor
contact=${contact}
[${name}]
type=identify
endpoint=${name}
match=${at.split(':')[0]}
`;

const PHONE_IP = '127.0.0.12';

export class Asterisk {
	/**
	 * At the trunk's address of a stack; asterisk.phone is a FarEnd with a Voice, which A-law is sent to.
	 * @param phone  another one, by hand
	 * @param extra  {OPTION: value} for both endpoints
	 * @param network  where it is, if not in that of the test
	 */
	static async start(stack, { phone, extra = {}, network } = {}) {
		const self = Object.assign(new Asterisk(), { extra });
		const voice = phone?.voice ?? await Voice.open({ ip: PHONE_IP });
		self.phone = phone?.party ?? Object.assign(await FarEnd.open({
			user: 'phone', ip: PHONE_IP, port: await freePort(PHONE_IP), media: voice.port, to: { ip: stack.trunkIp, port: stack.trunkPort },
		}), { voice });
		self.voice = voice;
		try {
			await self.#boot(stack, network?.enter ?? []);
		} catch (e) {
			await self.stop();
			throw e;
		}
		return self;
	}

	async #boot({ dir, trunkIp: ip, trunkPort: port, gateway }, enter) {
		const self = this;
		self.root = execFileSync(path.join(ROOT, 'tools/farends'), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
		self.dir = path.join(dir, 'asterisk');
		fs.mkdirSync(path.join(self.dir, 'music'), { recursive: true });
		writeTone(path.join(self.dir, 'music/tone.wav'), { hertz: 200, seconds: 2 });
		const [triplet] = fs.readdirSync(path.join(self.root, 'usr/lib')).filter((d) => /-linux-gnu/.test(d)
			&& fs.existsSync(path.join(self.root, 'usr/lib', d, 'asterisk/modules')));
		const files = {
			'asterisk.conf': `[directories]
astetcdir => /mnt
astmoddir => /usr/lib/${triplet}/asterisk/modules
astvarlibdir => /usr/share/asterisk
astdbdir => /mnt
astkeydir => /mnt
astdatadir => /usr/share/asterisk
astspooldir => /mnt
astrundir => /mnt
astlogdir => /mnt
[options]
verbose = 3
`,
			'modules.conf': '[modules]\nautoload=yes\n',
			'logger.conf': '[general]\n[logfiles]\nconsole => error,warning,notice,verbose\n',
			'extensions.conf': `[globals]\nGATEWAY=${gateway}\n${EXTENSIONS}`,
			'rtp.conf': '[general]\nrtpstart=24000\nrtpend=24998\n',
			'confbridge.conf': '[general]\n[default_user]\ntype=user\nquiet=yes\n[default_bridge]\ntype=bridge\n',
			'musiconhold.conf': '[default]\nmode=files\ndirectory=/mnt/music\n',
			'pjsip.conf': `[global]
type=global
[udp]
type=transport
protocol=udp
bind=${ip}:${port}
`
				+ endpoint('gateway', ip, gateway, `sip:${gateway}`, 'alaw,ulaw', self.extra)
				+ endpoint('phone', ip, self.phone.ip, `sip:phone@${self.phone.host}`, 'alaw', self.extra),
		};
		for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(self.dir, name), text);
		const [command, ...args] = [...enter, 'unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-euc', `
			mount --bind "$2" "$1/mnt"
			mount -t proc proc "$1/proc"
			exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin LANG=C.UTF-8 asterisk -f -C /mnt/asterisk.conf`, 'asterisk', self.root, self.dir];
		self.proc = new Proc('asterisk', dir, command, args);
		await until('Asterisk', () => {
			self.proc.assertAlive();
			return /Asterisk Ready/.test(self.proc.output());
		});
	}

	/** What Record() has written so far, 8000 samples a second. */
	recorded() {
		const file = path.join(this.dir, 'heard.sln');
		const data = fs.existsSync(file) ? fs.readFileSync(file) : Buffer.alloc(0);
		return new Int16Array(data.buffer, data.byteOffset, data.length >> 1);
	}

	/** It is the first process of its namespace, and all others end with it. */
	async stop() {
		this.voice.close();
		this.phone.close();
		await this.proc?.kill();
	}
}
