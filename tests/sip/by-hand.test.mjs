// SPDX-License-Identifier: GPL-2.0-or-later
// docs/sipp.md as it stands there: its gateway on loopback, and every flow through it that wants nothing else.

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

/** What a section says is to be typed; but that calls are shorter. */
function typed(section) {
	const page = fs.readFileSync(path.join(ROOT, 'docs/sipp.md'), 'utf8');
	const text = page.split(/^## /m).find((s) => s.startsWith(`${section}\n`));
	return text.match(/^ {4}.*\n|^\n/gm).map((line) => line.slice(4) || '\n').join('').replaceAll('/tmp/gw', dir).replaceAll(' -d 5000', ' -d 500');
}
/** Of that, the command that begins so, with the lines that go on with it. */
function command(section, begin) {
	const lines = typed(section).split('\n');
	const at = lines.findIndex((line) => line.startsWith(begin));
	assert.ok(at >= 0, `${section} has no ${begin}`);
	let end = at + 1;
	while (lines[end - 1].endsWith('\\')) end++;
	return lines.slice(at, end).join('\n').replace(/ # kill -9.*/, '');
}

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
async function farEnd(section, begin = 'far ') {
	const far = play(`${section}-far`, section, begin);
	await until('the far end', () => listens(5080));
	return far;
}
/** A client that is lost once its log says that word. */
async function lost(section, begin, word = 'up') {
	fs.rmSync(path.join(dir, 'sipp_scenarios/one.log'), { force: true });
	const client = play(`${section}-client`, section, begin);
	await until(word, () => { client.assertAlive(); return new RegExp(`^${word}`, 'm').test(log('one.log')); });
	return client;
}
function log(name) {
	const file = path.join(dir, 'sipp_scenarios', name);
	return fs.existsSync(file) ? fs.readFileSync(file, 'latin1') : '';
}

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

test('call, the far end hangs up', { skip }, async () => {
	const far = await farEnd('call', 'far    call/peer-hangup');
	await well(play('call-hangup', 'call', 'client resume/client'));
	await well(far);
});

test('called', { skip }, async () => {
	await well(play('called-register', 'called', 'client called/register'));
	const client = play('called-client', 'called', 'client called/client');
	await until('the client', () => listens(5070));
	await well(play('called-far', 'called', 'far '));
	await well(client);
	assert.match(log('called.log'), /^state [\w-]+\./m);
	assert.match(log('called.log'), /^tag \S/m);
});

test('echo', { skip }, async () => {
	const far = await farEnd('echo');
	await well(play('echo-client', 'call', 'client '));
	await well(far);
});

test('resume', { skip }, async () => {
	const far = await farEnd('resume');
	await (await lost('resume', 'client resume/client')).kill();
	await well(play('resumed', 'resume', 'client resume/resumed'));
	await well(far);
	assert.match(log('two.log'), /^bye/m);
});

test('resume-hangup', { skip }, async () => {
	const far = await farEnd('resume-hangup');
	await (await lost('resume-hangup', 'client resume/client')).kill();
	await well(play('resumed-hangup', 'resume-hangup', 'client resume-hangup/resumed'));
	await well(far);
});

test('resume-callee', { skip }, async () => {
	await well(play('callee-register', 'resume-callee', 'client called/register'));
	fs.rmSync(path.join(dir, 'sipp_scenarios/one.log'), { force: true });
	const client = play('callee-client', 'resume-callee', 'client resume-callee/client');
	await until('the client', () => listens(5070));
	const far = play('callee-far', 'resume-callee', 'far ');
	await until('up', () => { far.assertAlive(); return /^up/m.test(log('one.log')); });
	await client.kill();
	await well(play('resumed-callee', 'resume-callee', 'client resume/resumed'));
	await well(far);
});

test('in-call, the client calls', { skip }, async () => {
	const far = await farEnd('in-call', 'far    in-call/peer');
	await (await lost('in-call', 'client in-call/client', 'ready')).kill();
	await well(play('in-call-resumed', 'in-call', 'client in-call/resumed'));
	await well(far);
});

test('in-call, the client is called', { skip }, async () => {
	await well(play('in-call-register', 'in-call', 'client called/register'));
	fs.rmSync(path.join(dir, 'sipp_scenarios/one.log'), { force: true });
	const client = play('in-call-called', 'in-call', 'client in-call/called');
	await until('the client', () => listens(5070));
	const far = play('in-call-far', 'in-call', 'far    in-call/caller');
	await until('ready', () => { far.assertAlive(); return /^ready/m.test(log('one.log')); });
	await client.kill();
	await well(play('in-call-back', 'in-call', 'client in-call/resumed'));
	await well(far);
});

test('refused', { skip }, async () => {
	await well(play('refused-client', 'refused', 'client '));
	assert.match(log('refused.log'), /^refused 400 Call-State is not a JWE with dir and A256GCM/m);
});

// As many as fit into a few seconds; the far end for one more, as the page says.
const few = (text, calls) => text.replace(/ -m \d+/, ` -m ${calls}`);
for (const [name, scenario, peer] of [['calls', 'call/client', 'call/peer'], ['resumes', 'load/client', 'echo/peer']]) {
	test(`load: ${name}`, { skip }, async () => {
		const far = shell(`load-${name}-far`, `${using}far ${peer}.xml -m 41`);
		await until('the far end', () => listens(5080));
		const load = few(command('Load', `sipp -sf ${scenario}`), 40).replace(/ -d \d+/, ' -d 500');
		await well(shell(`load-${name}`, using + load));
		await far.kill();
		assert.match(typed('Load') + fs.readFileSync(path.join(ROOT, 'docs/sipp.md'), 'utf8'), new RegExp(`far +${peer}.xml -m \\d+1\\b`));
	});
}

test('what the gateway thinks of it', { skip }, async () => {
	const stats = shell('stats', command('What the gateway thinks of it', 'kamcmd'));
	await well(stats);
	for (const none of ['seals_failed', 'maps_malformed', 'maps_forged', 'maps_misplaced', 'messages_dropped']) {
		assert.match(stats.output(), new RegExp(`\\b${none}: 0\\b`));
	}
});
