// SPDX-License-Identifier: GPL-2.0-or-later
// Hostile bytes. RFC 4475's messages and thousands of damaged real ones pass a
// Kamailio with the module as they pass one without it; damaged resumes, and
// damaged messages in a call that was resumed, do no harm.
//
// Damaged addresses lead anywhere: only in a network namespace of its own.
//
// TORTURE=10 plays ten times as many; TORTURE_SEED=n others.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { Kamailio, ROOT, writeKeyRing } from '../lib/kamailio.mjs';
import { Mutator, hasBrokenHead } from '../lib/mutate.mjs';
import { freePort } from '../lib/ports.mjs';
import { TORTURE } from '../lib/rfc4475.mjs';
import { Client, Endpoint, FarEnd, message, replyTo, sdp } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

const TIMES = Number(process.env.TORTURE ?? 1);
const SEED = Number(process.env.TORTURE_SEED ?? 4475);
const skip = process.env.CALL_RESUME_NETNS !== 'own' && 'no network namespace';
const SINK_IP = '127.0.0.2';

/* ---- real messages ----------------------------------------------------------- */

/** A party that keeps every text that it sends and gets. */
function recorded(party, texts) {
	const send = party.send.bind(party);
	party.send = (text, to) => {
		texts.push(text);
		send(text, to);
	};
	const handle = party.handle;
	party.handle = (m) => {
		texts.push(m.text);
		const { answer } = m;
		m.answer = (text) => {
			texts.push(text);
			answer(text);
		};
		return handle?.(m) ?? false;
	};
	return party;
}

/** A stack with one call that was resumed and one that nobody touches. */
class Lab {
	static async start(name, texts = []) {
		const self = new Lab();
		self.stack = await Stack.start(name, {
			defines: { FR_TIMER: 2000, FR_INV_TIMER: 3000, USER_REQUESTS_MAX: 0 }, kamailio: { args: ['-x', 'qm', '-X', 'qm'] },
		});
		const to = self.to = { ip: self.stack.kamailio.ip, port: self.stack.kamailio.port };
		const token = self.token = await self.stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
		self.far = recorded(await FarEnd.open({ ip: TRUNK_IP, port: self.stack.trunkPort, to }), texts);
		const one = recorded(await Client.open({ token, to }), texts);
		self.first = await one.call();
		self.alice = recorded(await Client.open({ token, to }), texts);
		self.n = await self.alice.call({ state: self.first.state });
		assert.equal(self.n.final.status, 200);
		self.other = await Client.open({ token: await self.stack.kamailio.token(`sip:carol@${DOMAIN}`, 'web-session-2'), user: 'carol', to });
		self.quiet = await self.other.call();
		assert.equal((await self.n.request('OPTIONS')).status, 200);
		return self;
	}

	/** The other call is up, both ways and with its media. */
	async undisturbed() {
		assert.equal((await this.quiet.request('OPTIONS')).status, 200);
		const answer = this.far.dialog(this.quiet.callId).request('INFO');
		const got = await this.other.take('INFO', (m) => m.method === 'INFO');
		assert.equal(got.callId, this.quiet.callId);
		got.answer(replyTo(got, 200, 'OK'));
		assert.equal((await answer).status, 200);
		assert.ok((await this.stack.rtpengine.calls()).includes(this.quiet.callId));
	}

	async stop() {
		for (const p of [this.alice, this.other, this.far, this.first?.party]) p?.close();
		await this.stack?.stop();
	}
}

/** What a call and its resume said, without our marks: in this test nobody shall know them. */
async function realMessages() {
	const texts = [];
	const lab = await Lab.start('torture-real', texts);
	try {
		await lab.n.request('BYE');
	} finally {
		await lab.stop();
	}
	return texts.map((t) => t.replaceAll('crm1', 'crm2').replaceAll('Call-State', 'Call-Skate').replace(/^X-Relay.*\r\n/m, ''));
}

/* ---- with and without the module ------------------------------------------------ */

const fenceText = (n, port) => message('OPTIONS sip:bob@192.0.2.9 SIP/2.0', [
	`Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK-f${n}`, 'Max-Forwards: 70', 'From: <sip:a@example.org>;tag=f',
	'To: <sip:b@example.org>', `Call-ID: fence-${n}`, 'CSeq: 1 OPTIONS']);

async function memory(kamailio, module) {
	const pkg = await kamailio.kamcmd('pkg.stats');
	const receivers = [...pkg.matchAll(/used: (\d+)[^}]*desc: ([^\n]*)/g)].filter((m) => /udp|receiver/i.test(m[2]));
	assert.ok(receivers.length > 0, pkg);
	return {
		shared: Number(/used: (\d+)/.exec(await kamailio.kamcmd('core.shmmem'))[1]),
		private: receivers.map((m) => Number(m[1])),
		module: module ? await kamailio.kamcmd('mod.stats', 'call_resume', 'all') : '',
	};
}

/** When it stands still: receivers of Kamailio 6.1 may be at their own start after they can be asked. */
async function settled(...args) {
	let last;
	return until('memory to stand still', async () => {
		const before = last;
		last = await memory(...args);
		return JSON.stringify(last) === JSON.stringify(before) && last;
	}, { every_ms: 200 });
}

const bugsIn = (kamailio) => kamailio.log().split('\n').filter((l) => /CRITICAL|BUG:|signal 11/.test(l) && !l.includes('receive_fd'));

/** All that leaves Kamailio for the sink, batch by batch, and what memory has grown by. */
async function play(dir, texts, { ports, module, batch }) {
	const kamailio = await Kamailio.start(dir, {
		name: `${module ? 'with' : 'without'}-${texts.length}`, cfg: path.join(ROOT, 'tests/lib/plain.cfg'), ports: { port: ports.kamailio },
		args: ['-x', 'qm', '-X', 'qm'],
		defines: { SINK: `"sip:${SINK_IP}:${ports.sink}"`, WITH_MODULE: module, RESUME_KEY_RING: `"${path.join(dir, 'keyring')}"` },
	});
	const sink = await Endpoint.open({ ip: SINK_IP, port: ports.sink });
	const client = await Endpoint.open({ port: ports.client, to: { ip: kamailio.ip, port: kamailio.port } });
	const heard = [];
	let n = 0;
	const fence = async () => {
		const id = `fence-${++n}`;
		client.send(fenceText(n, ports.client));
		await sink.take(id, (m) => m.callId === id, { timeout_ms: 20000 });
		const text = [...sink.inbox.splice(0), ...client.inbox.splice(0)].map((m) => m.text);
		return text.map((t) => t.replace(/(branch=z9hG4bK)[\w.]+/g, '$1-').replace(/;tag=[0-9a-f]{32}[-.][0-9a-f.]+/g, ';tag=-'));
	};
	try {
		await fence();
		const start = await settled(kamailio, module);
		for (let i = 0; i < texts.length; i += batch) {
			for (const text of texts.slice(i, i + batch)) client.send(text.replaceAll('PORT', ports.client));
			heard.push(await fence());
			kamailio.proc.assertAlive();
		}
		const end = await settled(kamailio, module);
		assert.equal(end.module, start.module, 'memory of the module');
		const bugs = bugsIn(kamailio).map((l) => l.replace(/^.*?(CRITICAL|BUG)/, '$1'));
		return { heard, bugs, log: kamailio.log(), grown: [end.shared - start.shared, ...end.private.map((b, i) => b - start.private[i])] };
	} catch (e) {
		throw new Error(`${module ? 'with' : 'without'}, batch ${heard.length}: ${e.message}`);
	} finally {
		client.close();
		sink.close();
		await kamailio.stop();
	}
}

/**
 * What the module makes of a datagram before anybody reads it: one line of each field, nothing behind the body, and
 * nothing of a reply whose length is none.
 */
function plainly(text) {
	const skipped = /^[\r\n]*/.exec(text)[0].length;
	if (!/^[^\n]*SIP\/2\.0/i.test(text.slice(skipped))) return text;
	const end = text.indexOf('\r\n\r\n', skipped);
	const head = (end < 0 ? text : text.slice(0, end + 2)).slice(skipped).replace(/\r\n[ \t]/g, '   ');
	const body = end < 0 ? '' : text.slice(end + 2);
	const whole = text.slice(0, skipped) + head + body;
	const lengths = [...head.matchAll(/^(?:content-length|l)[ \t]*:(.*)\r?$/gim)].map((m) => m[1].trim());
	if (lengths.length === 0) return whole;
	const length = lengths.length === 1 && end >= 0 && /^\d{1,9}$/.test(lengths[0]) ? Number(lengths[0]) : NaN;
	if (length <= body.length - 2) return whole.slice(0, whole.length - (body.length - 2) + length);
	return /^SIP\//i.test(head) ? '' : whole;
}

describe('with and without the module', { skip }, () => {
	let dir;
	let real;
	before(async () => {
		dir = runFolder('torture');
		writeKeyRing(path.join(dir, 'keyring'));
		real = await realMessages();
	});
	after(() => fs.rmSync(dir, { recursive: true, force: true }));

	const same = async (texts, batch, names = []) => {
		const ports = { kamailio: await freePort(), client: await freePort(), sink: await freePort(SINK_IP) };
		const without = await play(dir, texts.map(plainly), { ports, module: false, batch });
		const withIt = await play(dir, texts, { ports, module: true, batch });
		for (const [i, t] of without.heard.entries()) {
			assert.deepEqual(withIt.heard[i], t, `seed ${SEED}, ${names[i] ?? `batch ${i}: ${JSON.stringify(texts.slice(i * batch, (i + 1) * batch)).slice(0, 4000)}`}`);
		}
		// Kamailio has some of its own.
		assert.deepEqual(withIt.bugs, without.bugs);
		// With tools/sanitize private memory is elsewhere as soon as the module is there.
		if (!process.env.CALL_RESUME_SANITIZE) assert.deepEqual(withIt.grown, without.grown, 'bytes that memory grew by');
		return without.heard.flat().length;
	};

	test(`RFC 4475: ${TORTURE.length} torture messages`, async () => {
		const marked = TORTURE.map(([name, text]) => [`${name}, crm1`, text.replace(/\r\n\r\n/, '\r\nSubject: crm1 ;crm1=abc\r\n\r\n')]);
		const all = [...TORTURE, ...marked].filter(([, t]) => !hasBrokenHead(t));
		assert.ok(all.length > TORTURE.length);
		assert.ok(await same(all.map(([, t]) => t), 1, all.map(([name]) => name)) > 40);
	});

	test(`${10000 * TIMES} damaged messages of a call and its resume`, async () => {
		assert.ok(real.length > 20, `${real.length} real messages`);
		const m = new Mutator(SEED);
		console.log(`     seed ${SEED}`);
		const texts = Array.from({ length: 10000 * TIMES }, () => m.mutate(m.pick(real)));
		assert.ok(await same(texts.filter((t) => !hasBrokenHead(t)), 20) > 3000 * TIMES);
	});

	test('the ones whose head not all readers would split alike: dropped without a word', async () => {
		const m = new Mutator(SEED + 2);
		const broken = [...TORTURE.map(([, t]) => t), ...Array.from({ length: 2000 }, () => m.mutate(m.pick(real)))].filter(hasBrokenHead);
		// And each kind, wherever it can be.
		for (const text of real.slice(0, 6)) {
			const lines = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n');
			for (const end of ['\r', '\n', '\0']) {
				for (let i = 1; i < lines.length; i++) broken.push(`${lines.slice(0, i).join('\r\n')}${end}${lines.slice(i).join('\r\n')}\r\n\r\n`);
			}
		}
		assert.ok(broken.length > 100);
		const ports = { kamailio: await freePort(), client: await freePort(), sink: await freePort(SINK_IP) };
		const { heard, bugs, log } = await play(dir, broken, { ports, module: true, batch: 20 });
		// What is left is the fence: our own question, and its answer.
		for (const texts of heard) assert.ok(texts.every((t) => t.includes('fence-')), texts.join('\n---\n'));
		assert.deepEqual(bugs, []);
		assert.doesNotMatch(log, /parse|message=</, 'no line about them');
	});
});

/* ---- damaged resumes ---------------------------------------------------------------- */

describe('a call that was resumed', { skip }, () => {
	let lab;
	let mutator;
	before(async () => {
		lab = await Lab.start('torture-resumed');
		mutator = new Mutator(SEED + 1);
		console.log(`     seed ${SEED + 1}`);
	});
	after(() => lab?.stop());

	/** Send n damaged messages, in portions, and see that all else goes on. */
	async function damage(n, send) {
		for (let i = 0; i < n; i++) {
			await send(i);
			if (i % 100 === 99 || i === n - 1) {
				lab.stack.kamailio.proc.assertAlive();
				await lab.undisturbed();
			}
		}
		assert.deepEqual(bugsIn(lab.stack.kamailio), []);
	}

	/** Requests whose reply had other Vias: what the far end says there goes where it says, as ever in SIP. */
	const strayed = new Set();

	/** No message to a client is named as in the old dialog, or shows an order to seal. */
	function noOldName(messages, why) {
		for (const m of messages) {
			assert.doesNotMatch(m.text, /crm1 [\w-]{11} /, why);
			if (strayed.has(m.cseq)) continue;
			assert.notEqual(m.callId, lab.first.callId, `${why}\n---\n${m.text}`);
			for (const f of ['from', 'to']) assert.notEqual(m.tag(f), lab.first.local.match(/tag=(\w+)/)[1], `${why}\n---\n${m.text}`);
		}
	}

	test(`${500 * TIMES} damaged resume INVITEs`, async () => {
		const thief = await Client.open({ token: lab.token, to: lab.to });
		const good = () => message(`INVITE sip:bob@${DOMAIN} SIP/2.0`, [
			`Via: SIP/2.0/UDP ${thief.host};branch=z9hG4bK${mutator.below(1e9)}`, 'Max-Forwards: 70',
			`From: <sip:alice@${DOMAIN}>;tag=t${mutator.below(1e9)}`, `To: <sip:bob@${DOMAIN}>`, `Call-ID: c${mutator.below(1e9)}`, 'CSeq: 1 INVITE',
			`Contact: <${thief.uri}>`, `Authorization: Bearer ${lab.token}`, `Call-State: ${lab.first.state}`], sdp('127.0.0.1', 4000));
		let texts = [];
		await damage(500 * TIMES, async () => {
			const text = mutator.mutate(good());
			texts.push(text);
			thief.send(text);
			if (texts.length === 20) {
				// Its own OPTIONS comes back when all these have been looked at.
				await thief.outside('OPTIONS', `sip:${DOMAIN}`);
				noOldName(thief.inbox.splice(0), JSON.stringify(texts));
				texts = [];
			}
		});
		thief.close();
	});

	/* What the damage has left of our mark is the gateway's to judge. Where the mark itself is
	 * gone, the message is like any other; and what comes twice is not the gateway's either. */
	const whole = (text, mark) => text.includes(mark) && (text.match(/call-id|^i:/gim) ?? []).length === 1;

	const vias = (text) => /^SIP\/2\.0 .*\r\n/.test(text) && String(text.split('\r\n\r\n')[0].match(/^v.*$/gim));

	for (const [what, from] of [['requests of the client', 'client'], ['requests of the far end', 'far'], ['replies of the far end', 'reply']]) {
		test(`${500 * TIMES} damaged ${what}`, async () => {
			let sent;
			const bob = lab.far.dialog(lab.first.callId);
			await damage(500 * TIMES, async (i) => {
				let text;
				sent ??= [];
				if (from === 'client') {
					text = mutator.mutate(lab.n.text('INFO'));
					lab.alice.send(text);
				} else if (from === 'far') {
					const right = bob.text('INFO');
					text = mutator.mutate(right);
					lab.far.send(whole(text, /;crm1=[a-z2-7]+/.exec(right)?.[0] ?? '-') ? text : right);
				} else {
					lab.far.answer = (m) => {
						if (m.method !== 'INFO' || m.callId !== lab.first.callId) return true;
						const right = replyTo(m, 200, 'OK');
						text = mutator.mutate(right);
						if (vias(text) !== vias(right)) strayed.add(m.cseq);
						m.answer(whole(text, '') ? text : right);
						sent.push(text);
						return false;
					};
					lab.alice.send(lab.n.text('INFO'));
				}
				if (i % 20 === 19) {
					await lab.other.outside('OPTIONS', `sip:${DOMAIN}`);
					noOldName(lab.alice.inbox.splice(0), JSON.stringify(sent.splice(0), null, 1));
					lab.far.inbox.splice(0);
				}
			});
			lab.far.answer = () => true;
			noOldName(lab.alice.inbox.splice(0), 'at the end');
		});
	}

	test('after all that the client is in its call, and hangs up', async () => {
		const state = lab.first.state;
		const back = await lab.alice.call({ state });
		assert.equal(back.final.status, 200);
		assert.equal((await back.request('BYE')).status, 200);
		await lab.undisturbed();
		const stats = await lab.stack.kamailio.kamcmd('call_resume.stats');
		const counted = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(stats)[1]);
		for (const name of ['maps_misplaced', 'messages_dropped', 'dialogs_resumed']) assert.ok(counted(name) > 10, stats);
	});
});
