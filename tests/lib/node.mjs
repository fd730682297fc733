// SPDX-License-Identifier: GPL-2.0-or-later
// What nodes of a cluster send each other, signed by hand: docs/wire-formats.md.

import { createHash, createHmac, hkdfSync } from 'node:crypto';
import fs from 'node:fs';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

export function base32(bytes) {
	const bits = [...bytes].map((b) => b.toString(2).padStart(8, '0')).join('');
	return bits.match(/.{1,5}/g).map((five) => ALPHABET[Number.parseInt(five.padEnd(5, '0'), 2)]).join('');
}

/** The keys of a ring: [{kid, node}]. */
export const nodeKeys = (file) => fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => {
	const [kid, master] = line.split(' ');
	return { kid, node: Buffer.from(hkdfSync('sha256', Buffer.from(master, 'base64url'), 'call_resume/1', `node HMAC-SHA256\0${kid}`, 32)) };
});

/**
 * Sign a message, which has the field value in CR_HDR_NODE put behind its Call-ID.
 * @param value  the number of the node and what it says
 * @param ahead  of our clock, seconds
 */
export function sign(text, { kid, node }, { value = '1', ahead = 0 } = {}) {
	const hint = base32(createHash('sha256').update(kid).digest().subarray(0, 2));
	const stamp = `;t=${Math.floor(Date.now() / 1000) + ahead};k=${hint}`;
	const [, before, after] = /^([^]*?\r\nCall-ID:[^\r]*\r\n)([^]*)$/.exec(text);
	const head = `${before}Call-State-Node: ${value}${stamp}`;
	const rest = `\r\n${after}`;
	const mac = createHmac('sha256', node).update(head + rest, 'latin1').digest().subarray(0, 20);
	return `${head};mac=${base32(mac)}${rest}`;
}
