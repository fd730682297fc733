// SPDX-License-Identifier: GPL-2.0-or-later
//
// Add a user, or give a new password, read from standard input.
//
// usage: node add-user.mjs USERS-FILE USER

import { createInterface } from 'node:readline';

import { Users } from './users.mjs';

const [path, user] = process.argv.slice(2);
if (!user) {
	console.error('usage: node add-user.mjs USERS-FILE USER');
	process.exit(2);
}
for await (const password of createInterface({ input: process.stdin })) {
	await new Users(path).add(user, password);
	break;
}
