// SPDX-License-Identifier: GPL-2.0-or-later
// What nodes tell each other, in bytes, by the counters of a packet filter: in a network namespace of our own, with iptables.

import { execFileSync } from 'node:child_process';

/* How a datagram begins, IP and UDP in front of it. */
const FIRST = 28;

/* One after the other: what a rule takes does not get to the next one. */
const KINDS = {
	asked: 'OPTIONS ', // dispatcher
	nodes: 'KDMQ sip:notification_peer@',
	registrations: 'KDMQ sip:usrloc@',
	tables: 'KDMQ sip:htable@',
	dialogs: 'KDMQ sip:dialog@',
	replies: 'SIP/2.0 ',
	other: undefined,
};

export class Wire {
	/** @param ports  UDP ports at which nodes hear each other; throws where there is no iptables */
	constructor(ports) {
		if (process.env.CALL_RESUME_NETNS !== 'own') throw new Error('wants a network namespace of its own, see tools/in-netns');
		for (const port of ports) {
			for (const text of Object.values(KINDS)) {
				const match = text ? ['-m', 'string', '--algo', 'bm', '--from', FIRST, '--to', FIRST + text.length + 1, '--string', text] : [];
				this.#iptables('-A', 'INPUT', '-p', 'udp', '--dport', port, ...match, '-j', 'ACCEPT');
			}
		}
	}

	#iptables(...args) {
		return execFileSync('iptables', args.map(String), { encoding: 'utf8' });
	}

	/** Bytes so far, headers of IP and UDP among them: {asked, nodes, registrations, ...} */
	bytes() {
		const rules = this.#iptables('-L', 'INPUT', '-v', '-x', '-n').split('\n').filter((line) => / udp dpt:/.test(line));
		const sum = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, 0]));
		rules.forEach((line, i) => { sum[Object.keys(KINDS)[i % Object.keys(KINDS).length]] += Number(line.trim().split(/ +/)[1]); });
		return sum;
	}

	/** What act() has been the reason for, or what came meanwhile. */
	async during(act) {
		const before = this.bytes();
		await act();
		const after = this.bytes();
		return Object.fromEntries(Object.keys(after).map((kind) => [kind, after[kind] - before[kind]]));
	}

	close() {
		this.#iptables('-F', 'INPUT');
	}
}
