// SPDX-License-Identifier: MIT
// What both adapters use, and the others of this folder.
//
// Neither waits for more than the first candidate of each m-line: rtpengine learns the others from
// the checks that come from them (RFC 8445 section 7.3.1.3).

/** What the gateway says when the far end is a client that is away too. */
export const AWAY = 'Far End Away';

/** Whom a resume INVITE is for does not matter, as its state says that; so it need not wait
 * for the key that opens the state. */
export const TARGET = 'call-resume';

/** Tracks that were seen, and whether each is a camera's. A screen is none, nor what the page draws itself. */
const cameras = new WeakMap();

function isCamera(track) {
	const { deviceId, displaySurface } = track.getSettings();
	if (displaySurface || !deviceId) return false;
	// Not all browsers tell of a screen. The devices are known a moment later.
	if (!cameras.has(track)) {
		cameras.set(track, true);
		navigator.mediaDevices.enumerateDevices().then(
			(all) => cameras.set(track, all.some((device) => device.kind === 'videoinput' && device.deviceId === deviceId)), () => {});
	}
	return cameras.get(track);
}

/** What the page sends; undefined when nobody can tell now. It is for the page to say, and not for the far end, which
 * asks for what it likes. A camera is taken from the call by ending its track; a microphone whose track has ended was
 * unplugged, and is wanted again.
 * @returns {{sends: string[], off: string[], screen: boolean} | undefined}  kinds of what can be captured again; those of them
 *          that are switched off; whether a picture is sent that cannot */
export function sending(connection) {
	if (!connection || connection.signalingState === 'closed') return undefined;
	const tracks = connection.getSenders().map(({ track }) => track)
		.filter((track) => track && (track.kind === 'audio' || track.readyState === 'live'));
	const others = tracks.filter((track) => track.kind === 'video' && !isCamera(track));
	const of = (kind) => tracks.filter((track) => track.kind === kind && !others.includes(track));
	const sends = ['audio', 'video'].filter((kind) => of(kind).length);
	return { sends, off: sends.filter((kind) => of(kind).every(({ enabled }) => !enabled)), screen: others.length > 0 };
}

/** Send nothing of what the page did not send: neither a sound nor a picture. */
export function silence(connection, { held, muted, videoMuted, off = [] }) {
	const quiet = [...off, muted && 'audio', videoMuted && 'video'];
	for (const { track } of connection?.getSenders() ?? []) if (track && (held || quiet.includes(track.kind))) track.enabled = false;
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

/** Whether an offer may go: each m-line that is not rejected has a candidate. Without one it says port 9 and 0.0.0.0, and nothing can be
 * sent to that. Firefox tells the candidates of one m-line after those of another. */
export const hasCandidates = ({ localDescription }) => localDescription.sdp.split(/^m=/m).slice(1)
	.every((line) => /^\w+ 0 /.test(line) || line.includes('\na=candidate:'));

const named = new WeakSet();

/** Have the transport of a page without a token write the name of its session into each REGISTER and INVITE, whoever
 * has made it. What goes before the name is known waits for it.
 * @param {string | Promise<string>} session  see sessionName() */
export function nameSession(transport, session) {
	if (named.has(transport)) return;
	named.add(transport);
	const send = transport.send.bind(transport);
	transport.send = (message) => {
		const text = String(message);
		if (!/^(REGISTER|INVITE) /.test(text)) return send(message);
		const go = (name) => send(text.replace('\r\n', `\r\nCall-State-Session: ${name}\r\n`));
		return session.then ? session.then(go) : go(session);
	};
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** How long to wait after a 491 (RFC 3261 section 14.1), in milliseconds. @param owner  of the Call-ID */
export const glare = (owner) => (owner ? 2_100 : 0) + 1_900 * Math.random();
