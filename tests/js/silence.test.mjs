// SPDX-License-Identifier: GPL-2.0-or-later
// What a page did not send when it was lost is off before its new connection has it, and only then.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { silenceFirst } from '../../web/call-resume/shared.js';

class Connection extends EventTarget {
	signalingState = 'stable';

	tracks = [];

	addTrack(track) {
		this.tracks.push(`${track.kind} ${track.enabled ? 'on' : 'off'}`);
	}

	becomes(state) {
		this.signalingState = state;
		this.dispatchEvent(new Event('signalingstatechange'));
	}
}

const tracks = () => ['audio', 'video'].map((kind) => ({ kind, enabled: true }));

for (const [what, how, first] of [
	['on hold', { held: true }, ['audio off', 'video off']], ['muted', { muted: true }, ['audio off', 'video on']], ['without its picture', { videoMuted: true }, ['audio on', 'video off']],
	['with a camera that is off', { off: ['video'] }, ['audio on', 'video off']], ['as ever', {}, ['audio on', 'video on']],
]) {
	for (const [library, before] of [['JsSIP, in front of the offer', 'stable'], ['SIP.js, behind it', 'have-remote-offer']]) {
		test(`${what}: ${library}; what is added when that has been answered is as it comes`, () => {
			const connection = new Connection();
			silenceFirst(connection, how);
			if (before !== 'stable') connection.becomes(before);
			for (const track of tracks()) connection.addTrack(track);
			assert.deepEqual(connection.tracks.splice(0), first);
			if (before === 'stable') connection.becomes('have-remote-offer');
			connection.becomes('stable');
			for (const track of tracks()) connection.addTrack(track);
			assert.deepEqual(connection.tracks, ['audio on', 'video on']);
		});
	}
}
