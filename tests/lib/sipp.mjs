// SPDX-License-Identifier: GPL-2.0-or-later
// One SIPp process that plays one scenario.
//
// Scenarios tell what happened with <log message="name value"/>: one line each
// in SIPp's log file, which waitLog() follows.

import fs from 'node:fs';
import path from 'node:path';

import { Proc } from './proc.mjs';
import { freePort } from './ports.mjs';
import { ROOT } from './kamailio.mjs';
import { until } from './wait.mjs';

const TRANSPORT = { udp: 'u1', tcp: 't1', tls: 'l1' };

export class Sipp {
	/**
	 * @param scenario  below sipp_scenarios/, or an absolute path
	 * @param keys      [name] in the scenario
	 * @param calls, timeout_s  0: no end
	 * @param to        'ip:port' where requests go; a far end needs none
	 */
	static async start(dir, {
		name, scenario, ip = '127.0.0.1', port, media_port, transport = 'udp', to, keys = {},
		calls = 1, rtp_echo = false, timeout_s = 120, service = 'bob', args = [],
	}) {
		const self = new Sipp();
		self.ip = ip;
		self.port = port ?? await freePort(ip);
		self.media_port = media_port ?? await freePort(ip);
		self.logFile = path.join(dir, `${name}.lines`);
		self.messages = path.join(dir, `${name}.messages`);
		const command = [
			'-sf', path.resolve(ROOT, 'sipp_scenarios', scenario), '-i', ip, '-p', String(self.port),
			'-mi', ip, '-mp', String(self.media_port), '-t', TRANSPORT[transport], '-s', service, '-nostdin',
			'-trace_logs', '-log_file', self.logFile, '-trace_msg', '-message_file', self.messages,
			'-trace_err', '-error_file', path.join(dir, `${name}.errors`), '-message_overwrite', 'true',
			...args,
		];
		if (calls) command.push('-m', String(calls));
		if (timeout_s) command.push('-timeout', String(timeout_s), '-timeout_error');
		if (rtp_echo) command.push('-rtp_echo');
		for (const [k, v] of Object.entries(keys)) command.push('-key', k, String(v));
		if (to) command.push(to);
		self.proc = new Proc(name, dir, 'sipp', command, { env: { TERM: 'dumb' } });
		self.errors = path.join(dir, `${name}.errors`);
		if (!to) await until(`${name} to listen`, () => {
			self.assertAlive();
			return listens(self.port, transport);
		});
		return self;
	}

	/** All lines that the scenario logged: [{name, value}]. */
	lines() {
		let text = '';
		try {
			text = fs.readFileSync(this.logFile, 'latin1');
		} catch { /* nothing logged yet */ }
		return text.split('\n').slice(0, -1).filter(Boolean).map((line) => {
			const at = line.indexOf(' ');
			return at < 0 ? { name: line, value: '' } : { name: line.slice(0, at), value: line.slice(at + 1).trim() };
		});
	}

	/** Wait for the n-th line of that name; resolves with its value. */
	async waitLog(name, { nth = 1, timeout_ms = 20000 } = {}) {
		const line = await until(`"${name}" from ${this.proc.name}`, () => {
			const found = this.lines().filter((l) => l.name === name)[nth - 1];
			if (!found) this.assertAlive();
			return found;
		}, { timeout_ms, every_ms: 2 });
		return line.value;
	}

	/**
	 * When the first message that begins with start was sent, by SIPp's own clock
	 * in its message trace; in ms on the scale of performance.now().
	 */
	sentAt(start) {
		const trace = fs.readFileSync(this.messages, 'latin1');
		// SIPp 3.8 says the time in UTC, as "2026-01-31T12:00:00.000000Z"; 3.7 and before in local time.
		const sent = /^-+ (\d+-\d+-\d+)[ T](\d+:\d+:\d+)\.(\d+)(Z?)\n\w+ message sent .*\n\n(.*)/gm;
		for (const [, day, time, us, utc, line] of trace.matchAll(sent)) {
			if (line.startsWith(start)) {
				return new Date(`${day}T${time}${utc}`).getTime() + us / 1000 - performance.timeOrigin;
			}
		}
		throw new Error(`${this.proc.name} never sent ${start}`);
	}

	problem() {
		let text = '';
		try {
			text = fs.readFileSync(this.errors, 'latin1');
		} catch { /* none */ }
		return text.slice(0, 3000);
	}

	assertAlive() {
		if (this.proc.alive) return;
		throw Object.assign(new Error(`${this.proc.name} ended (${this.proc.code})\n${this.problem()}`), { fatal: true });
	}

	/** Wait for the scenario's end; throws when it failed. */
	async done() {
		const code = await this.proc.exited;
		if (code !== 0) throw new Error(`${this.proc.name} failed (${code})\n${this.problem()}`);
	}

	kill() {
		return this.proc.kill('SIGKILL');
	}
}

/** Whether somebody has that port. */
export function listens(port, transport) {
	const file = transport === 'udp' ? '/proc/net/udp' : '/proc/net/tcp';
	const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
	return fs.readFileSync(file, 'latin1').split('\n')
		.some((line) => line.trim().split(/ +/)[1]?.endsWith(hex));
}
