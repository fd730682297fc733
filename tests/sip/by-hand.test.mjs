// SPDX-License-Identifier: GPL-2.0-or-later
// docs/sipp.md as it stands there: its gateway on loopback, a call through it, and a resume.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from '../lib/kamailio.mjs';
import { Proc } from '../lib/proc.mjs';
import { runFolder } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

// Its ports are fixed.
const skip = process.env.CALL_RESUME_NETNS ? false : 'wants a network namespace of its own, see tools/in-netns';

const procs = [];
let dir, using;

/** What a section says is to be typed. */
function typed(section) {
	const page = fs.readFileSync(path.join(ROOT, 'docs/sipp.md'), 'utf8');
	const text = page.split(/^## /m).find((s) => s.startsWith(`${section}\n`));
	return text.match(/^ {4}.*\n|^\n/gm).map((line) => line.slice(4) || '\n').join('').replaceAll('/tmp/gw', dir);
}
/** Of that, the only command that begins so. */
const command = (section, begin) => typed(section).match(new RegExp(`^${begin}(?:.*\\\\\\n)*.*`, 'm'))[0];

/** In a shell of its own. */
function shell(name, text, cwd = dir) {
	const proc = new Proc(name, dir, 'sh', ['-euc', `cd '${cwd}'\n${text}`]);
	procs.push(proc);
	return proc;
}
const play = (name, section, begin) => shell(name, using + command(section, begin));
async function well(proc) {
	assert.equal(await proc.exited, 0, proc.output());
}
const listens = (port) => fs.readFileSync('/proc/net/udp', 'latin1').includes(`:${port.toString(16).toUpperCase().padStart(4, '0')} `);
/** The far end, which is there before it is called. */
async function farEnd(section) {
	const far = play(`${section}-far`, section, 'far ');
	await until('the far end', () => listens(5080));
	return far;
}
const log = (name) => fs.readFileSync(path.join(dir, 'sipp_scenarios', name), 'latin1');

before(async () => {
	if (skip) return;
	dir = runFolder('by-hand');
	fs.cpSync(path.join(ROOT, 'sipp_scenarios'), path.join(dir, 'sipp_scenarios'), { recursive: true });
	const section = 'A gateway on loopback';
	await well(shell('make', command(section, 'mkdir'), ROOT));
	shell('rtpengine', `exec ${command(section, 'rtpengine')}`, ROOT);
	await until('rtpengine', () => listens(2223));
	shell('kamailio', `exec ${command(section, 'kamailio')}`, ROOT);
	await until('the gateway', () => fs.existsSync(path.join(dir, 'ctl')));
	const token = command(section, 'TOKEN=');
	await well(shell('token', `${token}\nprintf %s "$TOKEN" >token`));
	using = typed(section).split(`${token}\n`)[1].replace(/^/, `TOKEN=${fs.readFileSync(path.join(dir, 'token'))}\n`);
});
after(async () => {
	for (const proc of procs.reverse()) await proc.kill();
});

test('call', { skip }, async () => {
	const far = await farEnd('call');
	await well(play('call-client', 'call', 'client '));
	await well(far);
	for (const said of [/^registered [\w-]/m, /^answered \d/m, /^state [\w-]+\./m, /^up/m]) assert.match(log('call.log'), said);
});

test('resume', { skip }, async () => {
	const far = await farEnd('resume');
	const client = play('resume-client', 'resume', 'client resume/client');
	await until('up', () => /^up/m.test(log('one.log')));
	await client.kill();
	await well(play('resumed', 'resume', 'client resume/resumed'));
	await well(far);
	assert.match(log('two.log'), /^bye/m);
});
