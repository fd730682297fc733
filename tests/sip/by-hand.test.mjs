// SPDX-License-Identifier: GPL-2.0-or-later
// docs/sipp.md as it stands there: its gateway on loopback, and every flow through it that wants nothing else.

import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from '../lib/kamailio.mjs';
import { Proc } from '../lib/proc.mjs';
import { runFolder } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

// Its ports are fixed.
const skip = process.env.CALL_RESUME_NETNS ? false : 'wants a network namespace of its own, see tools/in-netns';

const procs = [];
let dir, using, gateway;
// Of the client: each test has its own, as what the last one did not live to answer comes again.
let port = 5100;

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
	return lines.slice(at, end).join('\n').replace(/ # kill -9.*/, '').replaceAll(/\b5070\b/g, port);
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
async function farEnd(section, begin = 'far ', rings = 20_000) {
	const far = shell(`${section}-far`, using + command(section, begin).replace(' -d 20000', ` -d ${rings}`));
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
/** A client that is called, and is lost once its log says that word. @returns the far end */
async function lostCalled(section, begin, { register = 'client called/register', far = 'far ', word = 'up' } = {}) {
	await well(play(`${section}-register`, section, register));
	fs.rmSync(path.join(dir, 'sipp_scenarios/one.log'), { force: true });
	const client = play(`${section}-called`, section, begin);
	await until('the client', () => listens(port));
	const caller = play(`${section}-far`, section, far);
	await until(word, () => { caller.assertAlive(); return new RegExp(`^${word}`, 'm').test(log('one.log')); });
	await client.kill();
	return caller;
}
function log(name) {
	const file = path.join(dir, 'sipp_scenarios', name);
	return fs.existsSync(file) ? fs.readFileSync(file, 'latin1') : '';
}

async function startGateway(change = (text) => text) {
	const begin = (name) => shell(name, `exec ${change(command('A gateway on loopback', name))}`, ROOT);
	for (const proc of gateway ?? []) await proc.kill();
	fs.rmSync(path.join(dir, 'ctl'), { force: true });
	gateway = [begin('rtpengine')];
	await until('rtpengine', () => listens(2223));
	gateway.push(begin('kamailio'));
	await until('the gateway', () => fs.existsSync(path.join(dir, 'ctl')));
}

before(async () => {
	if (skip) return;
	const outer = runFolder('by-hand');
	const section = 'A gateway on loopback';
	dir = path.join(outer, 'gw');
	await well(new Proc('make', outer, 'sh', ['-euc', `cd '${ROOT}'\n${command(section, 'mkdir')}`]));
	fs.cpSync(path.join(ROOT, 'sipp_scenarios'), path.join(dir, 'sipp_scenarios'), { recursive: true });
	await startGateway();
	const token = command(section, 'TOKEN=');
	await well(shell('token', `${token}\nprintf %s "$TOKEN" >token`));
	using = typed(section).split(`${token}\n`)[1].replace(/^/, `TOKEN=${fs.readFileSync(path.join(dir, 'token'))}\n`);
});
beforeEach(() => { port += 4; });
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
	await until('the client', () => listens(port));
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

test('quiet', { skip }, async () => {
	const far = await farEnd('quiet');
	await (await lost('quiet', 'client resume/client')).kill();
	await well(play('quiet-resumed', 'quiet', 'client resume/resumed'));
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
	const far = await lostCalled('resume-callee', 'client resume-callee/client');
	await well(play('resumed-callee', 'resume-callee', 'client resume/resumed'));
	await well(far);
});

test('ringing-caller', { skip }, async () => {
	const far = await farEnd('ringing-caller', 'far ', 3000);
	await (await lost('ringing-caller', 'client ringing-caller/client', 'ringing')).kill();
	await well(play('ringing-resumed', 'ringing-caller', 'client ringing-caller/resumed'));
	await well(far);
	assert.match(log('two.log'), /^ringing[^]*^told[^]*^bye/m);
});

test('ringing-callee', { skip }, async () => {
	const section = 'ringing-callee';
	const far = await lostCalled(section, 'client ringing-callee/client', { register: 'client called/register.xml 5070', word: 'ringing' });
	await well(play('ringing-again', section, 'client called/register.xml 5090'));
	await well(play('ringing-answers', section, 'client called/client'));
	await well(far);
	assert.match(log('two.log'), /^bye/m);
});

test('in-call, the client calls', { skip }, async () => {
	const far = await farEnd('in-call', 'far    in-call/peer');
	await (await lost('in-call', 'client in-call/client', 'ready')).kill();
	await well(play('in-call-resumed', 'in-call', 'client in-call/resumed'));
	await well(far);
});

test('in-call, the client is called', { skip }, async () => {
	const far = await lostCalled('in-call', 'client in-call/called', { far: 'far    in-call/caller', word: 'ready' });
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

test('load: calls that ring', { skip }, async () => {
	const typedFar = typed('Load').match(/^far ringing-caller.*$/m)[0];
	const far = shell('load-ringing-far', using + few(typedFar, 20));
	await until('the far end', () => listens(5080));
	await well(shell('load-ringing', using + few(command('Load', 'sipp -sf load/ringing'), 20)));
	await well(far);
});

test('load: called clients that are lost while they ring', { skip }, async () => {
	const count = 20;
	const file = typed('Load').match(/^for i in [^]*?users\.csv$/m)[0].replace('seq 1000', `seq ${count}`);
	await well(shell('load-users', using + file));
	const first = shell('load-first', using + few(command('Load', 'client load/register.xml 5070'), count));
	const rpc = (name) => execFileSync('kamcmd', ['-s', `unixs:${dir}/ctl`, name], { encoding: 'latin1' });
	await until('the first ones', () => rpc('ul.dump').match(/AoR: user/g)?.length === count);
	const far = shell('load-calls', using + few(command('Load', 'far    load/calls'), count));
	// All of them: who registers before its user is called takes the first one's place.
	await until('all calls to ring', () => log('one.log').match(/^rings/gm)?.length === count);
	const next = shell('load-next', using + few(command('Load', 'client load/register.xml 5090'), count));
	await well(far);
	await well(next);
	first.assertAlive();
	await until('all of the first ones to have rung', () => log('one.log').match(/^canceled/gm)?.length === count);
	await first.kill();
});

test('what the gateway thinks of it', { skip }, async () => {
	const stats = shell('stats', command('What the gateway thinks of it', 'kamcmd'));
	await well(stats);
	for (const none of ['seals_failed', 'maps_malformed', 'maps_forged', 'maps_misplaced', 'messages_dropped']) {
		assert.match(stats.output(), new RegExp(`\\b${none}: 0\\b`));
	}
});

// The last one: it would hang up for calls that others have left, too.
test('abandoned', { skip }, async () => {
	await startGateway((text) => text.replace('RESUME_ABANDONED=0', 'RESUME_ABANDONED=5'));
	const far = await farEnd('abandoned');
	await (await lost('abandoned', 'client resume/client')).kill();
	await well(far);
});
