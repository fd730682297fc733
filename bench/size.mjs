// SPDX-License-Identifier: GPL-2.0-or-later
// What a resume adds to the re-INVITE that the peer gets: the messages as they
// arrive there, through the gateway and one record-routing proxy behind it.

import fs from 'node:fs';

import { Gateway } from './gateway.mjs';
import { Load, PEER_IP, SUB } from './load.mjs';
import { row } from './stats.mjs';
import { freePort } from '../tests/lib/ports.mjs';

const CALLS = 9;

/* The INVITEs in a SIPp trace: [{bytes, cseq, text}]. */
function invites(file) {
	return fs.readFileSync(file, 'latin1').split(/^-{20,}.*\n/m)
		.map((part) => part.match(/message received \[(\d+)\] bytes ?:\s*\n\n([^]*)/))
		.filter((m) => m && m[2].startsWith('INVITE '))
		.map(([, bytes, text]) => ({ bytes: Number(bytes), cseq: Number(text.match(/^CSeq: *(\d+)/m)[1]), text }));
}

/* Of each call, in the order in which they came: first, re-INVITE, resume. */
function byKind(list) {
	return {
		first: list.filter((m) => m.cseq === 1),
		again: list.filter((m) => m.cseq === 2),
		resume: list.filter((m) => m.cseq > 1000),
	};
}

const bytes = (list) => list.map((m) => m.bytes);
const less = (a, b) => bytes(a).map((v, i) => v - b[i].bytes);

/** @return {rows} */
export async function size(dir, { keyRing, module }) {
	const peerPort = await freePort(PEER_IP);
	const load = new Load(dir, peerPort);
	let proxy, gateway;
	try {
		proxy = await Gateway.start(dir, 'proxy', { next: `${PEER_IP}:${peerPort}`, keyRing, module });
		gateway = await Gateway.start(dir, 'gateway', { next: proxy.address, keyRing, module, defines: { USE_RESUME: true } });
		const token = await gateway.token(SUB);
		const same = await trace(load, 'reinvite', gateway, token);
		const other = await trace(load, 'reinvite-other', gateway, token);
		return {
			rows: [
				row('re-INVITE at the peer, ordinary, one proxy in the path', bytes(same.again), 'bytes'),
				row('added to it by a resume', less(same.resume, same.again), 'bytes', 400),
				row('added to it by a resume, when the client calls another address than before', less(other.resume, other.again), 'bytes', 400),
				row('added to the first INVITE at the peer (session reference)',
					same.first.map((m) => m.text.match(/;crs-a=[a-z2-7]*/)[0].length), 'bytes'),
			],
		};
	} finally {
		await gateway?.stop();
		await proxy?.stop();
	}
}

async function trace(load, scenario, gateway, token) {
	const { messages } = await load.run(scenario, gateway.address, { calls: CALLS, rate: 5, token, trace: true, timeout_s: 30 });
	const found = byKind(invites(messages));
	for (const [kind, list] of Object.entries(found)) {
		if (list.length !== CALLS) throw new Error(`${scenario}: the peer got ${list.length} of ${CALLS} INVITEs (${kind})`);
	}
	return found;
}
