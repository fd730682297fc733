// SPDX-License-Identifier: GPL-2.0-or-later
// A system log for one process: a /dev of its own whose log is a socket that we read, in a
// mount namespace. What a program gives to syslog() arrives as it is, before any
// syslog daemon has made it harmless.

import fs from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';

import { Proc } from './proc.mjs';
import { until } from './wait.mjs';

/* One datagram a line, in hexadecimal. Node.js has no datagram sockets of that kind, and Perl is part of every Debian. */
const READER = `use IO::Socket::UNIX; $| = 1;
my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "log.socket") or die "log.socket: $!";
chmod 0666, "log.socket";
while (defined $s->recv(my $text, 65536)) { print unpack("H*", $text), "\\n"; }`;

/* $1: the folder, then the command. */
const DEV = `set -e
dev=$1/dev
log=$1/log.socket
shift
mkdir -p "$dev"
mount -t tmpfs none "$dev"
for f in null zero random urandom; do : >"$dev/$f"; mount --bind "/dev/$f" "$dev/$f"; done
mkdir "$dev/shm"
ln -s /proc/self/fd "$dev/fd"
ln -s "$log" "$dev/log"
mount --rbind "$dev" /dev
exec "$@"`;

export class Syslog {
	/** Where mount namespaces are allowed. */
	static get possible() {
		try {
			execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' });
			return true;
		} catch {
			return false;
		}
	}

	static async start(dir) {
		const self = new Syslog();
		self.dir = path.resolve(dir);
		self.reader = new Proc('syslog', dir, 'perl', ['-e', READER]);
		await until('the log socket', () => {
			self.reader.assertAlive();
			return fs.existsSync(path.join(dir, 'log.socket'));
		});
		return self;
	}

	/** A command line that runs that command with this log. */
	command(...command) {
		return ['unshare', '--mount', 'sh', '-c', DEV, 'syslog', this.dir, ...command];
	}

	/** What was logged: a text for each datagram, byte by byte (latin1). */
	messages() {
		return this.reader.output().split('\n').filter(Boolean).map((hex) => Buffer.from(hex, 'hex').toString('latin1'));
	}

	stop() {
		return this.reader.stop();
	}
}
