// SPDX-License-Identifier: GPL-2.0-or-later
// The phone of examples/native: one process of it is one life, and its file is what it keeps.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from './kamailio.mjs';
import { PCMA } from './voice.mjs';
import { until } from './wait.mjs';

const RATE = 8000;
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** Build it; returns the program. */
export function build(dir) {
	execFileSync('make', ['-s', '-C', path.join(ROOT, 'examples/native'), `OUT=${dir}`]);
	return path.join(dir, 'phone');
}

/** A tone as A-law, so long that no test hears its end. */
function tone(file, hertz) {
	const second = Buffer.alloc(RATE);
	for (let i = 0; i < RATE; i++) second[i] = PCMA.encode(12000 * Math.sin(2 * Math.PI * hertz * i / RATE));
	fs.writeFileSync(file, Buffer.concat(Array(60).fill(second)));
	return file;
}

export class Native {
	/**
	 * @param keeps  the file of the call
	 * @param hums   what it says, in hertz
	 */
	constructor(program, { dir, keeps, hums, args = [], call }) {
		this.keeps = keeps;
		this.hears = [];
		this.says = '';
		const input = fs.openSync(tone(path.join(dir, `tone-${hums}`), hums), 'r');
		this.child = spawn(program, ['-u', 'sip:alice@example.org', '-l', '127.0.0.1', '-f', keeps, ...args, ...(call ? [call] : [])],
			{ cwd: dir, stdio: [input, 'pipe', 'pipe'] });
		fs.closeSync(input);
		running.add(this.child);
		this.child.stdout.on('data', (chunk) => this.hears.push(chunk));
		this.child.stderr.on('data', (chunk) => {
			this.says += chunk;
		});
		this.exited = new Promise((resolve) => {
			this.child.once('exit', (code, signal) => {
				running.delete(this.child);
				this.code = code ?? signal;
				resolve(this.code);
			});
		});
	}

	/** Wait for a line of it. */
	line(text) {
		return until(`"${text}" of the phone, which said "${this.says}"`, () => {
			if (this.says.includes(text)) return true;
			if (this.code !== undefined) throw Object.assign(new Error(`it ended (${this.code}): ${this.says}`), { fatal: true });
			return false;
		});
	}

	/** How it ends by itself. */
	ended() {
		return until(`the phone to end, which said "${this.says}"`, () => this.code !== undefined).then(() => this.code);
	}

	/** What it has heard last, as samples. */
	heard() {
		const bytes = Buffer.concat(this.hears).subarray(-RATE);
		return Int16Array.from(bytes, (b) => PCMA.samples[b]);
	}

	kill(signal = 'SIGKILL') {
		this.child.kill(signal);
		return this.exited;
	}
}
