// SPDX-License-Identifier: GPL-2.0-or-later
// What people would take instead of call_resume, for the same calls: Kamailio's modules
// that know of a dialog, in memory, at another node or in another process. What the other
// one uses is counted apart.

import fs from 'node:fs';

import { Gateway } from './gateway.mjs';
import { freePort } from '../tests/lib/ports.mjs';
import { Redis } from '../tests/lib/redis.mjs';
import { until } from '../tests/lib/wait.mjs';

const IP = '127.0.0.1';

/** Nanoseconds on a processor, all threads of a process, since their start. */
export function process_ns(pid) {
	return fs.readdirSync(`/proc/${pid}/task`).reduce((sum, tid) => sum
		+ Number(fs.readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1').split(' ')[0]), 0);
}

/* A counter in what a program says, which has to be there. */
function counter(text, pattern) {
	const m = text.match(pattern);
	if (!m) throw new Error(`no ${pattern} in: ${text.slice(0, 200)}`);
	return Number(m[1]);
}

const alone = (defines) => async (dir, name, options) => {
	const gateway = await Gateway.start(dir, name, { ...options, defines });
	return { gateway, stop: () => gateway.stop() };
};

/* Each knows the other by its first request; the node that has nothing to do gets what dialog sends to all. */
async function withDmq(dir, name, options) {
	const ports = [await freePort(IP), await freePort(IP)];
	const one = (i) => Gateway.start(dir, i === 0 ? name : `${name}-other`, {
		...options, defines: {
			USE_DIALOG: true, DIALOG_DMQ: `udp:${IP}:${ports[i]}`, DMQ_PORT: `"${ports[i]}"`,
			DMQ_ADDRESS: `"sip:${IP}:${ports[i]}"`, OTHER_DMQ: `"sip:${IP}:${ports[1 - i]}"`,
		},
	});
	const other = await one(1);
	let gateway;
	const stop = async () => {
		await gateway?.stop();
		await other.stop();
	};
	try {
		gateway = await one(0);
		for (const g of [gateway, other]) {
			await until('both nodes to know each other', async () => {
				const nodes = await g.kamailio.kamcmd('dmq.list_nodes');
				return ports.every((p) => nodes.includes(String(p))) && !/status: (?!active)/.test(nodes);
			}, { timeout_ms: 70_000, every_ms: 250 });
		}
	} catch (e) {
		await stop();
		throw e;
	}
	const work = async () => counter(await other.kamailio.kamcmd('stats.get_statistics', 'rcv_requests'), /rcv_requests = (\d+)/);
	return { gateway, beside: () => other.cpu_ns(), work, stop };
}

const withRedis = (defines) => async (dir, name, options) => {
	const redis = await Redis.start(dir, { name: `${name}-server` });
	let gateway;
	const stop = async () => {
		await gateway?.stop();
		await redis.stop();
	};
	try {
		/* db_redis has no tables, but modules ask for their versions. */
		for (const table of ['dialog', 'dialog_vars']) redis.cli('HSET', `version:entry::${table}`, 'table_version', table === 'dialog' ? 7 : 1);
		gateway = await Gateway.start(dir, name, { ...options, defines: defines(redis) });
	} catch (e) {
		await stop();
		throw e;
	}
	const work = () => counter(redis.cli('INFO', 'stats'), /total_commands_processed:(\d+)/);
	return { gateway, beside: () => process_ns(redis.proc.pid), work, stop };
};

/** name: what it is called, what the other process is called, and how it starts. Resolves with
 * {gateway, beside: () => nanoseconds of the other process, work: () => how often it was asked
 * for something, stop}. */
export const INSTEAD = {
	topoh: { title: 'topoh', start: alone({ USE_TOPOH: true }) },
	'dialog-dmq': { title: 'dialog, with dmq to a second node', other: 'the second node', start: withDmq },
	'dialog-redis': {
		title: 'dialog, in Redis (db_redis, db_mode 1)', other: 'Redis',
		start: withRedis((r) => ({ USE_DIALOG: true, DIALOG_DB: `"redis://:${r.password}@${r.ip}:${r.port}/0"` })),
	},
	'topos-redis': {
		title: 'topos, in Redis', other: 'Redis',
		start: withRedis((r) => ({ TOPOS_REDIS: `"${r.server('topos').replace('name=topos', 'name=srv1')};db=0"` })),
	},
};
