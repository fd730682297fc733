// SPDX-License-Identifier: MIT
// What both adapters use, and the others of this folder.
//
// Neither waits for more than the first candidate: rtpengine learns the others from
// the checks that come from them (RFC 8445 section 7.3.1.3).

/** What the gateway says when the far end is a client that is away too. */
export const AWAY = 'Far End Away';

/** Whom a resume INVITE is for does not matter, as its state says that; so it need not wait
 * for the key that opens the state. */
export const TARGET = 'call-resume';

const wants = (media, kind, constraint) => media.some((m) => m.kind === kind && !m.rejected) && (constraint ?? true);

/** What to capture for the m-lines of a dialog, as far as the page wants it. */
export const capturing = (media = [{ kind: 'audio' }], { audio, video } = {}) => ({
	audio: wants(media, 'audio', audio), video: wants(media, 'video', video),
});

/** Ask for microphone and camera at once, while the page still connects. */
export async function capture(constraints) {
	if (!constraints.audio && !constraints.video) return undefined;
	return navigator.mediaDevices.getUserMedia(constraints).catch(() => undefined);
}

/** Let go of what was captured. */
export const release = async (media) => (await media)?.getTracks().forEach((track) => track.stop());

/** One transceiver for each m-line that the dialog has, in its order (RFC 3264 section 8). */
export function layOut(connection, { media, held }, constraints) {
	return media.filter(({ kind }) => kind === 'audio' || kind === 'video').map(({ kind, rejected }) => {
		const direction = rejected ? 'inactive' : held ? 'sendonly' : constraints[kind] ? 'sendrecv' : 'recvonly';
		return connection.addTransceiver(kind, { direction });
	});
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** How long to wait after a 491 (RFC 3261 section 14.1), in milliseconds. @param owner  of the Call-ID */
export const glare = (owner) => (owner ? 2_100 : 0) + 1_900 * Math.random();
