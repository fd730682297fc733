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

/** Kinds of what the page sends; undefined when nobody can tell now. It is for the page to say, and not for the
 * far end, which asks for what it likes. A camera is switched off by ending its track; a microphone whose track
 * has ended was unplugged, and is wanted again. */
export function sending(connection) {
	if (!connection || connection.signalingState === 'closed') return undefined;
	const tracks = connection.getSenders().map(({ track }) => track);
	return ['audio', 'video'].filter((kind) => tracks.some((t) => t?.kind === kind && (kind === 'audio' || t.readyState === 'live')));
}

/** What to capture for the m-lines of a dialog: what the page has sent, as far as it wants it. Where that
 * is not known, no camera. */
export function capturing({ media = [{ kind: 'audio' }], sends = ['audio'] }, { audio, video } = {}) {
	const wants = (kind, constraint) => sends.includes(kind) && media.some((m) => m.kind === kind && !m.rejected) && (constraint ?? true);
	return { audio: wants('audio', audio), video: wants('video', video) };
}

/** Ask for microphone and camera at once, while the page still connects. */
export async function capture(constraints) {
	if (!constraints.audio && !constraints.video) return undefined;
	return navigator.mediaDevices.getUserMedia(constraints).catch(() => undefined);
}

/** Let go of what was captured. */
export const release = async (media) => (await media)?.getTracks().forEach((track) => track.stop());

/** One transceiver for each m-line that the dialog has, in its order (RFC 3264 section 8).
 * @returns {() => void} what takes them off hold */
export function layOut(connection, { media, held }, constraints) {
	const lines = media.filter(({ kind }) => kind === 'audio' || kind === 'video');
	const direction = ({ kind, rejected }, hold) => (
		rejected || hold && !constraints[kind] ? 'inactive' : hold ? 'sendonly' : constraints[kind] ? 'sendrecv' : 'recvonly');
	const transceivers = lines.map((line) => connection.addTransceiver(line.kind, { direction: direction(line, held) }));
	return () => transceivers.forEach((t, i) => {
		if (t.direction !== 'stopped') t.direction = direction(lines[i]);
	});
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** How long to wait after a 491 (RFC 3261 section 14.1), in milliseconds. @param owner  of the Call-ID */
export const glare = (owner) => (owner ? 2_100 : 0) + 1_900 * Math.random();
