// SPDX-License-Identifier: GPL-2.0-or-later
// Requests on a connection that is closed before their answer: none is opened back.

import { after, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { once } from 'node:events';

import { Lab, STRANGER_IP } from '../lib/lab.mjs';
import { message, random } from '../lib/sip.mjs';
import { DOMAIN } from '../lib/stack.mjs';
import { until } from '../lib/wait.mjs';

describe('requests on a connection that is closed before their answer', () => {
	let lab;
	before(async () => { lab = await Lab.start('closed', { defines: { STRANGERS_MAX: 1000000 } }); });
	beforeEach(() => lab.clear());
	after(async () => {
		await lab?.clear();
		await lab?.stack.stop();
	});

	/** Write it all at once and reset the connection, before Kamailio reads. @return a trap at its port */
	async function hitAndRun(port, text) {
		const { pid } = lab.stack.kamailio.proc;
		const pids = [pid, ...fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').map(Number)];
		const all = (signal) => { for (const one of pids) process.kill(one, signal); };
		all('SIGSTOP');
		try {
			const socket = net.connect({ host: lab.stack.kamailio.ip, port, localAddress: STRANGER_IP });
			socket.on('error', () => {});
			await once(socket, 'connect'); // by the kernel
			const { localPort } = socket;
			await new Promise((resolve) => { socket.write(text, resolve); });
			socket.resetAndDestroy();
			await once(socket, 'close');
			return await lab.trap(STRANGER_IP, localPort);
		} finally {
			all('SIGCONT');
		}
	}

	const gone = () => until('the connection to be gone', async () => /opened_connections: 0/.test(await lab.stack.kamailio.kamcmd('core.tcp_info')));

	test('SIP: none is opened back', async () => {
		for (const user of ['closed-1', 'closed-2', 'closed-3']) {
			const requests = ['INVITE', 'OPTIONS', 'MESSAGE', 'BYE', 'INVITE', 'REGISTER'].map((method) => message(`${method} sip:x@${DOMAIN} SIP/2.0`, [
				`Via: SIP/2.0/TCP ${STRANGER_IP}:9;branch=z9hG4bK${random()}`, 'Max-Forwards: 70', `From: <sip:${user}@${DOMAIN}>;tag=1`,
				`To: <sip:x@${DOMAIN}>${method === 'BYE' ? ';tag=2' : ''}`, `Call-ID: ${random()}`, `CSeq: 1 ${method}`]));
			const back = await hitAndRun(lab.stack.kamailio.port, requests.join(''));
			await until('all of them to be refused', () => lab.stack.kamailio.log().split(`${user}@`).length > 4);
			await gone();
			assert.equal(back.connections, 0);
		}
	});

	test('HTTP: none is opened back', async () => {
		for (let round = 0; round < 3; round++) {
			const back = await hitAndRun(lab.stack.kamailio.ws, 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
			await gone();
			assert.equal(back.connections, 0);
		}
	});
});
