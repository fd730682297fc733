// SPDX-License-Identifier: GPL-2.0-or-later
// SIPp's own scenarios, as the SIPp that is installed prints them (sipp -sd NAME).

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { DOMAIN } from './sip.mjs';

/**
 * What RFC 3261 wants of a dialog, and they do not do: as UAS copy Record-Route (section 12.1.1; SIPp 3.7's uas does), as
 * UAC send requests to the remote target by the route set (12.2.1.1).
 */
export const inDialog = (xml) => xml
	.replace(/^( *)\[last_Via:\]\n(?! *\[last_Record-Route:\])/gm, '$1[last_Via:]\n$1[last_Record-Route:]\n')
	.replace(/<recv response="200"/g, '<recv response="200" rrs="true"')
	.replace(/^( *)(ACK|BYE) sip:\S+ SIP\/2\.0\n( *Via: .*)$/gm, '$1$2 [next_url] SIP/2.0\n$3\n$1[routes]');

/** As a client of the gateway, who has a token. Others are challenged, and they know no answer to that. */
export const asClient = (xml) => inDialog(xml
	.replace(/^( *)(INVITE|REGISTER) sip:(?:\w+@|\[service\]@)?\S+/gm, (_, space, method) => `${space}${method} sip:${method === 'INVITE' ? '[service]@' : ''}${DOMAIN}`)
	.replace(/^( *From: ).*?(;tag=.*)$/gm, `$1<sip:[user]@${DOMAIN}>$2\n      Authorization: Bearer [token]`)
	.replace(/^( *To: ua1) .*$/gm, `$1 <sip:[user]@${DOMAIN}>`));

/** How long they wait in a call says -d. */
const pauses = (xml) => xml.replace(/<pause[^>]*\/>/g, '<pause/>');

/** The scenario of that name, as it is. */
export function printed(name) {
	// (It ends with 99.)
	const { stdout } = spawnSync('sipp', ['-sd', name], { encoding: 'latin1', env: { ...process.env, TERM: 'dumb' } });
	const xml = stdout.slice(stdout.indexOf('<?xml'));
	assert.match(xml, /<\/scenario>/, `SIPp has ${name}`);
	return xml;
}

/** Write it, changed or not, into the folder. @return where it is */
export function builtin(dir, name, change = (xml) => xml) {
	const xml = printed(name);
	// The recordings of uac_pcap, where the package has them.
	if (!fs.existsSync(path.join(dir, 'pcap'))) fs.symlinkSync('/usr/share/sip-tester', path.join(dir, 'pcap'));
	const file = path.join(dir, `${name}-${change.name}.xml`);
	fs.writeFileSync(file, pauses(change(xml)), 'latin1');
	return file;
}
