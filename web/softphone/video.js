// SPDX-License-Identifier: MIT
// The camera of a call, on and off by a re-INVITE. Loaded when it is used first.

import { deviceMessage } from '../call-resume/errors.js';
import { hasCandidates } from '../call-resume/shared.js';
import { reoffer } from './reoffer.js';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const live = (sender) => sender.track?.kind === 'video' && sender.track.readyState === 'live';

export async function toggleCamera(call, phone) {
	if (call.busy || call.held) return;
	call.set({ busy: true, line: undefined });
	try {
		const sender = call.session.connection.getSenders().find(live);
		const said = sender ? await off(call, sender) : await on(call, phone);
		call.set({ busy: false, line: said });
		phone.say(said ?? (sender ? 'Video stopped' : 'Video started'));
	} catch (e) {
		if (call.state === 'up') call.set({ busy: false, line: deviceMessage(e) ?? 'The video could not be changed.' });
		phone.say(call.line ?? '');
	}
}

/** @returns what there is to say when the other side does not take it */
async function on(call, phone) {
	const { session } = call;
	const { connection } = session;
	const stream = await navigator.mediaDevices.getUserMedia({ video: phone.options(true).mediaConstraints.video });
	const [track] = stream.getVideoTracks();
	// Meanwhile it may have ended, or come back by another session, or been put on hold by another call.
	if (call.session !== session || call.state !== 'up') return void track.stop();
	if (call.held) {
		track.stop();
		return 'No video while the call is on hold.';
	}
	call.taken.push(track);
	const line = connection.getTransceivers().find((t) => t.receiver.track.kind === 'video' && t.direction !== 'stopped');
	if (line) {
		await line.sender.replaceTrack(track);
		line.direction = 'sendrecv';
	} else {
		connection.addTrack(track, stream);
	}
	const mine = () => connection.getTransceivers().find((t) => t.sender.track === track && t.direction !== 'stopped');
	if (await renegotiate(call) && ['sendrecv', 'sendonly'].includes(mine()?.currentDirection)) return undefined;
	track.stop();
	const refused = mine();
	await refused?.sender.replaceTrack(null);
	// One that was never agreed on is not offered again, not even as inactive.
	if (refused?.mid === null) refused.stop();
	else if (refused) refused.direction = 'inactive';
	return 'The other side takes no video.';
}

async function off(call, sender) {
	const { session } = call;
	const line = session.connection.getTransceivers().find((t) => t.sender === sender);
	sender.track.stop();
	await sender.replaceTrack(null);
	line.direction = line.currentDirection === 'sendrecv' ? 'recvonly' : 'inactive';
	await renegotiate(call);
}

/** @returns {Promise<boolean>}  whether the other side has taken it */
async function renegotiate(call) {
	const { session } = call;
	for (let i = 0; i < 50 && !session.isReadyToReOffer(); i++) await sleep(100);
	const { connection } = session;
	// In the middle of a call the library does not wait for the candidates of a new m-line. Those of an offer that is set before its own
	// are of no use: with each offer Firefox takes new ports for that m-line.
	connection.setLocalDescription = async (description) => {
		await RTCPeerConnection.prototype.setLocalDescription.call(connection, description);
		for (let i = 0; i < 20 && !hasCandidates(connection); i++) await sleep(50);
	};
	try {
		// On hold the library would switch on what it has not put on hold itself.
		return await reoffer(session, (done) => !call.held && session.renegotiate({}, done), 2);
	} finally {
		delete connection.setLocalDescription;
	}
}
