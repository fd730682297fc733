// SPDX-License-Identifier: GPL-2.0-or-later
// The memory of connections: a client that closes while another process of Kamailio is still
// sending to it leaves nothing behind.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';

import { EarlyCalls } from '../lib/early.mjs';
import { Stack } from '../lib/stack.mjs';
import { sleep, until } from '../lib/wait.mjs';

const ROUNDS = 150;

let early;
before(async () => {
	early = await EarlyCalls.start('memory-connections', {
		defines: { RINGING_MAX: ROUNDS, UNPROVED_MAX: 10 * ROUNDS }, kamailio: { args: ['-x', 'qm', '-X', 'qm'] },
	});
});
afterEach(() => early.end());
after(() => early?.stop());

/** Bytes of shared memory that connections have. */
async function connections({ kamailio } = early.stack) {
	const text = await kamailio.kamcmd('mod.stats', 'core', 'shm');
	return Number(/tcpconn_new\(\d+\): (\d+)/.exec(text)?.[1] ?? 0);
}

// (One in thirty had its connection left.)
for (const transport of ['ws', 'wss', 'tcp', 'tls']) {
	test(`over ${transport}: ${ROUNDS} clients go as soon as they hear that it rings`, async () => {
		const was = await connections();
		await early.client({ transport });
		assert.ok(await connections() > was);
		await early.end();
		await early.gone();
		for (let i = 0; i < ROUNDS; i++) {
			const { far } = await early.left({ transport });
			far.refuses(486, 'Busy Here');
			await far.over();
		}
		await until('the memory to be free', async () => await connections() <= was, { timeout_ms: 30_000, every_ms: 200 });
	});
}

/** Requests over HTTP, each over a connection of its own that is reset behind the answer, in so many at a time. */
function churn(port, n) {
	const it = { made: 0, over: false };
	const one = (i) => new Promise((resolve) => {
		const s = net.connect({ host: '127.0.0.1', port, localAddress: `127.0.66.${1 + i}` });
		s.on('error', () => {}).on('close', resolve).on('data', () => { it.made++; s.resetAndDestroy(); });
		s.write('GET /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n');
	});
	it.all = Array.from({ length: n }, async (_, i) => {
		while (!it.over) await one(i);
	});
	it.stop = () => { it.over = true; return Promise.all(it.all); };
	return it;
}

// (Without a limit of connections that have proved nothing it is looked for connections that are over once a second.)
test('who opens connections and closes them at once has no more memory than that of some', async () => {
	const own = await Stack.start('memory-connections-own', { defines: { UNPROVED_MAX: 0 }, kamailio: { args: ['-x', 'qm', '-X', 'qm'] } });
	const it = churn(own.kamailio.ws, 50);
	let most = 0;
	try {
		while (it.made < 10_000) {
			await sleep(300);
			most = Math.max(most, await connections(own));
		}
		assert.ok(most < 15e6, `${most} bytes`);
		await it.stop();
		await until('the memory to be free', async () => await connections(own) === 0, { timeout_ms: 30_000, every_ms: 200 });
	} finally {
		await it.stop();
		await own.stop();
	}
});
