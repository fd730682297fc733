// SPDX-License-Identifier: GPL-2.0-or-later
// Whose memory a Kamailio is in, by its own account. Places by name want the debugging
// allocator: -x qm -X qm.

import { until } from './wait.mjs';

/** Two accounts with nothing in them would be the same. */
function some(account) {
	if (Object.keys(account).length === 0) throw new Error('an account of memory with nothing in it');
	return account;
}

export class Usage {
	constructor(kamailio) {
		this.kamailio = kamailio;
	}

	/** What the module has: {shm: {place: bytes}, pkg: {...}} */
	async module() {
		const of = async (kind) => some(Object.fromEntries([...(await this.kamailio.kamcmd('mod.stats', 'call_resume', kind))
			.matchAll(/(\S+): (\d+)/g)].map((m) => [m[1].replace(/\(.*/, ''), Number(m[2])])));
		return { shm: await of('shm'), pkg: await of('pkg') };
	}

	/** Bytes of private memory in use in each process: {pid: bytes} */
	async processes() {
		const text = await this.kamailio.kamcmd('pkg.stats');
		return some(Object.fromEntries([...text.matchAll(/pid: (\d+)\s+rank: \S+\s+used: (\d+)[^}]*desc: ([^\n]*)/g)]
			.filter((m) => !/ctl|JSONRPC|fifo/i.test(m[3])).map((m) => [m[1], Number(m[2])])));
	}

	/** Bytes of shared memory in use, all of Kamailio; without what counts for a minute, see MANY of cfg/kamailio.cfg: the
	 * counts begin anew. */
	async sharedForLong() {
		await this.kamailio.kamcmd('htable.flush', 'strangers');
		return this.shared();
	}

	/** Bytes of shared memory in use, all of Kamailio. */
	async shared() {
		return Number(/used: (\d+)/.exec(await this.kamailio.kamcmd('core.shmmem'))[1]);
	}

	/** Transactions that there are. */
	async transactions() {
		return Number(/current: (\d+)/.exec(await this.kamailio.kamcmd('tm.stats'))[1]);
	}

	/** Transactions have memory of ours while they last: wait until there are none. */
	settled(timeout_ms = 20000) {
		return until('the transactions to end', async () => (await this.transactions()) === 0, { timeout_ms, every_ms: 100 });
	}
}
