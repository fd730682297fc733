// SPDX-License-Identifier: GPL-2.0-or-later
// One Kamailio under measurement, and what it has used.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { Kamailio, ROOT } from '../tests/lib/kamailio.mjs';

export const CFG = path.join(ROOT, 'bench/kamailio.cfg');
export const OWN_CFG = path.join(ROOT, 'cfg/kamailio.cfg');

/* Named with every figure: Debian's default, qm, costs 2.6 times as much and
 * blurs everything else. */
export const ALLOCATOR = 'fm';

/** Kamailio's arguments for a memory manager, of shared and private memory. */
export const using = (allocator = ALLOCATOR) => ['-x', allocator, '-X', allocator];

export class Gateway {
	/** @param defines  for the configuration, bench/kamailio.cfg if cfg does not say another */
	static async start(dir, name, { next, keyRing, module, shm_mb = 64, allocator = ALLOCATOR, cfg = CFG, defines = {}, under }) {
		const self = new Gateway();
		self.name = name;
		self.kamailio = await Kamailio.start(dir, {
			name, cfg, under, args: [...using(allocator), '-m', String(shm_mb)],
			defines: {
				NEXT: `"sip:${next}"`, RESUME_KEY_RING: `"${keyRing}"`, RESUME_ALLOW_INSECURE: 1,
				...(module ? { RESUME_MODULE: `"${module}"` } : {}), ...defines,
			},
		});
		self.address = `${self.kamailio.ip}:${self.kamailio.port}`;
		self.pids = [self.kamailio.proc.pid, ...children(self.kamailio.proc.pid)];
		return self;
	}

	/** Nanoseconds on a processor, all processes together, since their start. */
	cpu_ns() {
		return this.pids.reduce((sum, pid) => sum
			+ Number(fs.readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0]), 0);
	}

	/** Resolves with the counters of call_resume. */
	async counters() {
		const out = await this.kamailio.kamcmd('call_resume.stats');
		return Object.fromEntries([...out.matchAll(/(\w+): (\d+)/g)].map(([, k, v]) => [k, Number(v)]));
	}

	token(sub) {
		return this.kamailio.token(sub);
	}

	stop() {
		return this.kamailio.stop();
	}
}

function children(pid) {
	return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(/ +/).filter(Boolean).map(Number);
}

/** A folder for one run that nobody else uses. (Those above it are for all: tests run there too.) */
export function freshFolder(dir) {
	fs.rmSync(dir, { recursive: true, force: true });
	fs.mkdirSync(path.dirname(dir), { recursive: true });
	fs.mkdirSync(dir, { mode: 0o700 });
	return dir;
}

/** Everything on one processor. To wake another one costs a virtual machine an
 * exit to its host, whose price changes all the time and would be all that is
 * measured. SIPp's work is not counted, and leaves Kamailio room enough. */
export function pin(note) {
	try {
		const allowed = execFileSync('taskset', ['-pc', String(process.pid)], { encoding: 'utf8' });
		const cpu = allowed.trim().match(/(\d+)$/)[1];
		execFileSync('taskset', ['-apc', cpu, String(process.pid)], { stdio: 'ignore' });
	} catch {
		note('cannot stay on one processor (taskset): the figures will scatter more');
	}
}
