// SPDX-License-Identifier: GPL-2.0-or-later
// Firefox in another network namespace, that of the process NETWORK. It is driven over a WebSocket on its own loopback
// interface, and says on which port; here is the same port, for Playwright, and a way from one to the other. (It takes
// no other one: that is in the Host of a request.)
//
//	Playwright --- 127.0.0.1 here --- a Node.js in that namespace --- 127.0.0.1 there --- Firefox

import { spawn } from 'node:child_process';
import net from 'node:net';
import { createInterface } from 'node:readline';

const there = (stdio, ...command) => spawn('nsenter', ['-t', process.env.NETWORK, '-n', ...command], { stdio });

/** What is run there: standard input and output to a port, and back. */
const pipe = 'const s = require("net").connect(process.argv[1], "127.0.0.1"); process.stdin.pipe(s).pipe(process.stdout);';

const firefox = there(['ignore', 'inherit', 'pipe'], '/usr/bin/firefox-esr', ...process.argv.slice(2));
firefox.on('exit', (code) => process.exit(code ?? 1));

createInterface({ input: firefox.stderr }).on('line', (line) => {
	const [, port] = line.match(/WebDriver BiDi listening on ws:\/\/127\.0\.0\.1:(\d+)$/) ?? [];
	if (!port) return console.error(line);
	const server = net.createServer((socket) => {
		const other = there(['pipe', 'pipe', 'inherit'], process.execPath, '-e', pipe, port);
		for (const one of [socket, other.stdin, other.stdout]) one.on('error', () => {});
		socket.pipe(other.stdin);
		other.stdout.pipe(socket);
	});
	server.listen(Number(port), '127.0.0.1', () => console.error(line));
	return undefined;
});
