// SPDX-License-Identifier: GPL-2.0-or-later
// The same fault with what people would build instead, of calls of pages on WebSockets: dialog with dmq at two nodes, and a
// pair that shares an address and has topos in Redis. Signalling only, and each has its best: the other node takes the
// Route of the one that is gone, and the far end has a way to it.

import path from 'node:path';

import { loaded, plain, rowsInstead } from '../cpu.mjs';
import { CFG, freshFolder, pin } from '../gateway.mjs';
import { INSTEAD } from '../instead.mjs';
import { missing, row } from '../stats.mjs';
import { Wire } from '../wire.mjs';
import { Pair } from './pair.mjs';
import { followTargets } from '../../tests/lib/cluster.mjs';
import { Kamailio, ROOT, writeKeyRing } from '../../tests/lib/kamailio.mjs';
import { freePort } from '../../tests/lib/ports.mjs';
import { FarEnd, sdp } from '../../tests/lib/sip.mjs';
import { runFolder } from '../../tests/lib/stack.mjs';
import { until } from '../../tests/lib/wait.mjs';

const CALLS = 20;
const WAIT_MS = 2000; // what has not been answered by then is not

/* Two nodes with an address each: {client, far, trunkPort, dies, lives: {ip, port, ws}, lose(), boot(), bytes(), stop()} */
async function dialogDmq(dir) {
	const [far, trunkPort, dmq] = ['127.0.0.2', await freePort('127.0.0.2'), 5097];
	const ips = ['127.0.0.31', '127.0.0.32'];
	const start = (i) => Kamailio.start(dir, {
		ip: ips[i], name: `dialog-${i}`, cfg: CFG, ports: { port: 5060, ws: 8080 }, defines: {
			NEXT: `"sip:${far}:${trunkPort}"`, WITH_WS: true, ALIASES: ips.join(' '), USE_DIALOG: true, DIALOG_DMQ: `udp:${ips[i]}:${dmq}`,
			DMQ_PORT: `"${dmq}"`, DMQ_ADDRESS: `"sip:${ips[i]}:${dmq}"`, OTHER_DMQ: `"sip:${ips[1 - i]}:${dmq}"`,
		},
	});
	const nodes = [await start(0)];
	nodes.push(await start(1).catch(async (e) => { await nodes[0].stop(); throw e; }));
	const ready = () => Promise.all(nodes.map((node) => until('both nodes to know each other', async () => {
		const list = await node.kamcmd('dmq.list_nodes');
		return ips.every((ip) => list.includes(ip)) && !/status: (?!active)/.test(list);
	}, { timeout_ms: 90_000, every_ms: 250 })));
	return {
		client: '127.0.0.1', far, trunkPort, dies: nodes[0], lives: nodes[1], ready, lose: () => nodes[0].kill(), boot: () => nodes[0].boot(),
		wire: () => new Wire([dmq]), stop: () => Promise.all(nodes.map((node) => (node.proc.alive ? node.stop() : undefined))),
	};
}

/** What these calls still are at the node that lives. */
async function left(to, { calls, far }) {
	const at = { ip: to.lives.ip, port: to.lives.port };
	const ok = async (promise) => (await promise.catch(() => ({}))).status === 200;
	const count = async (list, act) => (await Promise.all(list.map(act))).filter(Boolean).length;
	const [first, second] = [calls.slice(0, CALLS / 2), calls.slice(CALLS / 2)];
	/* The far end hangs up, before anybody has come back. */
	const bye = async ({ theirs, dialog, there }) => {
		const heard = there.take('the BYE', (m) => m.method === 'BYE' && !m.status && m.callId === dialog.callId, { timeout_ms: WAIT_MS }).then(() => true, () => false);
		await ok(theirs.request('BYE', { timeout_ms: WAIT_MS }));
		return heard;
	};
	const early = await count(first, async (call) => ok(call.theirs.request('BYE', { timeout_ms: WAIT_MS })));
	/* The page lives: it connects to the other node, and sends a re-INVITE. */
	const back = await count(second, async (call) => {
		const { user, host, media } = call.page;
		const there = await FarEnd.open({ ip: to.client, user, transport: 'ws', media, to: { ip: at.ip, port: to.lives.ws } });
		Object.assign(there, { host, dialogs: call.page.dialogs });
		Object.assign(call, { there });
		call.dialog.party = there;
		const answer = await call.dialog.request('INVITE', { body: sdp(to.client, media, 2), timeout_ms: WAIT_MS }).catch(() => ({}));
		if (answer.status === 200) call.dialog.ack();
		return answer.status === 200;
	});
	const reached = await count(second.slice(0, CALLS / 4), bye);
	far.through = at;
	const around = await count(second.slice(CALLS / 4), bye);
	return { early, back, reached, around };
}

async function round(to) {
	const far = followTargets(await FarEnd.open({ ip: to.far, port: to.trunkPort }));
	const open = [far];
	try {
		const calls = [];
		for (let i = 0; i < CALLS; i++) {
			const page = await FarEnd.open({ ip: to.client, user: `u${i}`, transport: 'ws', to: { ip: to.dies.ip, port: to.dies.ws } });
			open.push(page);
			const dialog = await page.call();
			if (dialog.final.status !== 200) throw new Error(dialog.final.start);
			calls.push({ page, dialog, theirs: far.dialog(dialog.callId) });
		}
		await to.lose();
		const seen = await left(to, { calls, far });
		open.push(...calls.map(({ there }) => there).filter(Boolean));
		return seen;
	} finally {
		for (const one of open) one.close();
	}
}

/** Bytes for each call, between a node and where its calls are kept. */
async function bytesOf(to, n = 50) {
	const wire = await to.wire?.();
	if (!wire) return undefined;
	const far = followTargets(await FarEnd.open({ ip: to.far, port: to.trunkPort }));
	const page = await FarEnd.open({ ip: to.client, user: 'alice', transport: 'ws', to: { ip: to.dies.ip, port: to.dies.ws } });
	try {
		const of = await wire.during(async () => {
			for (let i = 0; i < n; i++) {
				const dialog = await page.call();
				const { status, start } = await dialog.request('BYE');
				if (status !== 200) throw new Error(start);
			}
		});
		return (of.bytes ?? of.dialogs + of.replies + of.other) / n;
	} finally {
		wire.close();
		for (const one of [far, page]) one.close();
	}
}

const KINDS = {
	'dialog with dmq': dialogDmq,
	'pair with one address, topos in Redis': (dir) => Pair.start(dir),
};

async function measure(name, start, { rounds, note }) {
	const seen = { early: [], back: [], reached: [], around: [] };
	const to = await start(runFolder('bench-cluster-instead'));
	let bytes;
	try {
		await to.ready();
		bytes = await bytesOf(to).catch((e) => e);
		for (let i = 0; i < rounds; i++) {
			if (i > 0) {
				await to.boot();
				await to.ready();
			}
			const one = await round(to);
			note(`${name}, ${i + 1} of ${rounds}: ${JSON.stringify(one)}`);
			for (const [k, v] of Object.entries(one)) seen[k].push(v);
		}
	} finally {
		await to.stop();
	}
	const each = (what, of, key) => row(`${name}: ${what}, of ${of}`, seen[key], 'calls');
	return [
		each('node killed, far end hangs up before the page is back: gets its 200', CALLS / 2, 'early'),
		each('... page that lives is at the other node: its re-INVITE is answered', CALLS / 2, 'back'),
		each('... then the far end hangs up, by the route that it has: the page hears of it', CALLS / 4, 'reached'),
		each('... by the node that lives, whatever its route says: the page hears of it', CALLS / 4, 'around'),
		missing(`${name}: ... page that was loaded anew is in its call`, '', 'it has nothing to come back with: the dialog was in the page, and the gateway has no way to take another one for it'),
		bytes instanceof Error ? missing(`${name}: replicated or stored for each call`, 'bytes', bytes.message) : row(`${name}: replicated or stored for each call`, bytes, 'bytes'),
	];
}

export async function instead(o) {
	const rows = [];
	for (const [name, start] of Object.entries(KINDS)) {
		try {
			rows.push(...await measure(name, start, o));
		} catch (e) {
			o.note(e.stack);
			rows.push(missing(name, '', e.message));
		}
	}
	return rows;
}

/* ---- what they cost --------------------------------------------------------------- */

const LOADS = [
	['plain', 'plain', 'plain'], ['sealed', 'sealed', 'token'], ['dialog-dmq', 'dialog-dmq', 'plain'],
	['topos-redis', 'topos-redis', 'plain'], ['again', 'plain-again', 'plain'],
];
const EACH = { calls: 200, rate: 100 };

/** Of make bench, the loads that are about this: last, because from then on all is on one processor. */
export async function insteadCpu({ rounds, note }) {
	pin(note);
	const dir = freshFolder(path.join(ROOT, `build/run/bench-cluster-cpu.${process.pid}`));
	const { all, again, without } = await loaded(dir, { ...EACH, rounds, note, keyRing: writeKeyRing(path.join(dir, 'keyring')) }, LOADS);
	return [
		row('CPU a call: sealed, at one node / plain', all.map((u) => u.sealed / plain(u)), 'ratio'),
		...['dialog-dmq', 'topos-redis'].flatMap((name) => rowsInstead(all, name, INSTEAD[name], without)),
		row('messages that SIPp had to send again, all rounds', again, 'messages'),
	];
}
