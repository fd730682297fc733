// SPDX-License-Identifier: GPL-2.0-or-later
// The processes of one run: each in a process group of its own, its output in a
// file, its pid recorded, and none of them left behind, whatever happens.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { until } from './wait.mjs';

const running = new Set();

function signalGroup(pid, signal) {
	try {
		process.kill(-pid, signal);
	} catch (e) {
		if (e.code !== 'ESRCH') throw e;
	}
}

function killAll() {
	for (const p of running) signalGroup(p.pid, 'SIGKILL');
}

process.on('exit', killAll);
for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]]) {
	process.on(signal, () => process.exit(128 + number));
}

/** The processes of that group that still have anything open: none that is over and not yet asked for. */
function group(pgid) {
	return fs.readdirSync('/proc').filter((name) => {
		if (!/^\d+$/.test(name)) return false;
		try {
			const [state, , theirs] = fs.readFileSync(`/proc/${name}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ');
			return Number(theirs) === pgid && !/[ZX]/.test(state);
		} catch {
			return false; // it has ended meanwhile
		}
	});
}

/** All of its threads are stopped. */
function stands(pid) {
	try {
		return fs.readdirSync(`/proc/${pid}/task`).every((tid) => /^T/.test(fs.readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1').replace(/^.*\) /s, '')));
	} catch {
		return false; // one has ended meanwhile
	}
}

export class Proc {
	/**
	 * Start a program.
	 * @param name  names its log: dir/name.log
	 * @param dir   the run's folder, also the program's working directory
	 */
	constructor(name, dir, command, args, { env } = {}) {
		this.name = name;
		this.log = path.join(dir, `${name}.log`);
		const out = fs.openSync(this.log, 'a');
		this.child = spawn(command, args, {
			cwd: dir, detached: true, stdio: ['ignore', out, out], env: { ...process.env, ...env },
		});
		fs.closeSync(out);
		this.pid = this.child.pid;
		this.code = undefined; // exit code, or the name of the signal
		this.exited = new Promise((resolve) => {
			this.child.once('exit', (code, signal) => {
				this.code = code ?? signal;
				// Children of a process that was killed alone must go as well.
				if (this.pid) signalGroup(this.pid, 'SIGKILL');
				running.delete(this);
				// Until they are gone they have its ports.
				until('its children to end', () => group(this.pid).length === 0).catch(() => {}).then(() => resolve(this.code));
			});
			this.child.once('error', (e) => {
				this.code = `${command}: ${e.message}`;
				resolve(this.code);
			});
		});
		if (this.pid) {
			running.add(this);
			fs.appendFileSync(path.join(dir, 'pids'), `${this.pid} ${name}\n`);
		}
	}

	get alive() {
		return this.code === undefined;
	}

	output() {
		return fs.readFileSync(this.log, 'utf8');
	}

	/** Milliseconds on a processor since they started: all its processes, all their threads. */
	cpu_ms() {
		return group(this.pid).reduce((sum, pid) => sum + fs.readdirSync(`/proc/${pid}/task`).reduce((of, tid) => of
			+ Number(fs.readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1').split(' ')[0]), 0), 0) / 1e6;
	}

	/** Throws, with the end of the log, when the program has ended. */
	assertAlive() {
		if (this.alive) return;
		const tail = this.output().split('\n').filter((l) => !/ (INFO|NOTICE):/.test(l)).slice(-12).join('\n');
		throw Object.assign(new Error(`${this.name} ended (${this.code}):\n${tail}`), { fatal: true });
	}

	/** As a machine that has stopped: none of its threads runs any more. (A signal alone is not at once: one that is asleep
	 * has to be woken to tell the others, and meanwhile they answer.) */
	async freeze() {
		signalGroup(this.pid, 'SIGSTOP');
		await until(`${this.name} to stand still`, () => group(this.pid).every(stands), { every_ms: 1 });
	}

	thaw() {
		signalGroup(this.pid, 'SIGCONT');
	}

	/** The process and all its children, at once. */
	async kill(signal = 'SIGKILL') {
		if (this.alive && this.pid) signalGroup(this.pid, signal);
		return this.exited;
	}

	/** Ask politely, then insist. */
	async stop(timeout_ms = 10000) {
		if (!this.alive) return this.code;
		try {
			process.kill(this.pid, 'SIGTERM');
		} catch { /* gone already */ }
		const timer = setTimeout(() => this.kill(), timeout_ms);
		const code = await this.exited;
		clearTimeout(timer);
		return code;
	}
}
