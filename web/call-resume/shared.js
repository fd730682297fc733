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
 * asks for what it likes: where a stream is switched off (port 0), or has no codec in common, what was sent in it is as it
 * was. A camera is taken from the call by ending its track; a microphone whose track has ended was unplugged, and is wanted
 * again.
 * @param was  what this has said before
 * @returns {{sends: string[], off: string[], screen: boolean} | undefined}  kinds of what can be captured again; those of them
 *          that are switched off; whether a picture is sent that cannot */
export function sending(connection, was) {
	if (!connection || connection.signalingState === 'closed') return undefined;
	const streams = connection.getTransceivers().filter(({ direction }) => direction !== 'stopped').map(({ receiver }) => receiver.track.kind);
	const tracks = connection.getSenders().map(({ track }) => track)
		.filter((track) => track && (track.kind === 'audio' || track.readyState === 'live'));
	const others = tracks.filter((track) => track.kind === 'video' && !isCamera(track));
	const of = (kind) => tracks.filter((track) => track.kind === kind && !others.includes(track));
	const kept = (kind, list) => !streams.includes(kind) && (list ?? []).includes(kind);
	const sends = ['audio', 'video'].filter((kind) => of(kind).length || kept(kind, was.sends));
	return {
		sends, off: sends.filter((kind) => (of(kind).length ? of(kind).every(({ enabled }) => !enabled) : kept(kind, was.off))), screen: others.length > 0,
	};
}

/** Whether nothing of a track is to be sent, as the page did not send that: neither a sound nor a picture. */
const isQuiet = ({ kind }, { held, muted, videoMuted, off = [] }) => held || [...off, muted && 'audio', videoMuted && 'video'].includes(kind);

/** Send nothing of what the page did not send. */
export function silence(connection, how) {
	for (const { track } of connection?.getSenders() ?? []) if (track && isQuiet(track, how)) track.enabled = false;
}

/** The same for what the connection is given for its first answer: it keeps what was captured from when it has a track, and may send the
 * last of that. */
export function silenceFirst(connection, how) {
	const add = connection.addTrack.bind(connection);
	connection.addTrack = (track, ...streams) => {
		if (isQuiet(track, how)) track.enabled = false;
		return add(track, ...streams);
	};
	connection.addEventListener('signalingstatechange', () => { if (connection.signalingState === 'stable') delete connection.addTrack; });
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

/** What stands behind m=, and the port 0, for a stream that is switched off, by its kind. */
const OFF = { __proto__: null, application: 'UDP/BFCP *', image: 'udptl t38', message: 'TCP/MSRP *' };
const hasTracks = ({ kind }) => kind === 'audio' || kind === 'video';

/** m-lines of other kinds than audio and video, which no browser makes, keep their places in what a connection tells and is told (RFC 3264
 * section 8): the far end has offered them once, and they were refused. */
function keepPlaces(connection, media) {
	const places = new Map(media.map((line, i) => [i, line]).filter(([, line]) => !hasTracks(line)).map(([i, { kind }]) => {
		const name = /^[\w-]+$/.test(kind) ? kind : 'application';
		return [i, `m=${name} 0 ${OFF[name] ?? 'RTP/AVP 0'}\r\nc=IN IP4 0.0.0.0\r\n`];
	}));
	if (!places.size) return;
	const split = (sdp) => sdp.split(/^(?=m=)/m);
	const insert = (sdp) => {
		const [head, ...lines] = split(sdp);
		for (const [i, line] of places) if (i <= lines.length) lines.splice(i, 0, line);
		return [head, ...lines].join('');
	};
	const remove = (sdp) => split(sdp).filter((line, i) => !places.has(i - 1)).join('');
	const setRemote = connection.setRemoteDescription.bind(connection);
	Object.defineProperty(connection, 'localDescription', {
		get: () => {
			const told = Reflect.get(Object.getPrototypeOf(connection), 'localDescription', connection);
			return told && new RTCSessionDescription({ type: told.type, sdp: insert(told.sdp) });
		},
	});
	connection.setRemoteDescription = ({ type, sdp }) => setRemote({ type, sdp: sdp && remove(sdp) });
}

/** One transceiver for each m-line that the dialog has, in its order (RFC 3264 section 8).
 * @returns {() => void} what takes them off hold */
export function layOut(connection, { media, held }, constraints) {
	const lines = media.filter(hasTracks);
	const direction = ({ kind, rejected }, hold) => (
		rejected || hold && !constraints[kind] ? 'inactive' : hold ? 'sendonly' : constraints[kind] ? 'sendrecv' : 'recvonly');
	const transceivers = lines.map((line) => connection.addTransceiver(line.kind, { direction: direction(line, held) }));
	keepPlaces(connection, media);
	return () => transceivers.forEach((t, i) => {
		if (t.direction !== 'stopped') t.direction = direction(lines[i]);
	});
}

/** Whether an offer may go: each m-line that is not rejected has a candidate. Without one it says port 9 and 0.0.0.0, and nothing can be
 * sent to that. Firefox tells the candidates of one m-line after those of another. */
export const hasCandidates = ({ localDescription }) => localDescription.sdp.split(/^m=/m).slice(1)
	.every((line) => /^\w+ 0 /.test(line) || line.includes('\na=candidate:'));

const watched = new WeakSet();

/** Have every message that a transport sends pass through look(), as text; what that returns, a promise perhaps, goes
 * out. Once for a transport. */
function onSend(transport, look) {
	const send = transport.send.bind(transport);
	transport.send = (message) => {
		const text = look(String(message));
		return text.then ? text.then(send) : send(text);
	};
}

/** Watch what a transport sends, and have that of a page without a token write the name of its session into each REGISTER
 * and INVITE, whoever has made it. What goes before the name is known waits for it.
 * @param {(text: string) => void} sent  is told of every message
 * @param {string | Promise<string>} [session]  see sessionName() */
export function watchTransport(transport, sent, session) {
	if (watched.has(transport)) return;
	watched.add(transport);
	onSend(transport, (text) => {
		sent(text);
		if (!session || !/^(REGISTER|INVITE) /.test(text)) return text;
		const go = (name) => text.replace('\r\n', `\r\nCall-State-Session: ${name}\r\n`);
		return session.then ? session.then(go) : go(session);
	});
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** How long to wait after a 491 (RFC 3261 section 14.1), in milliseconds. @param owner  of the Call-ID */
export const glare = (owner) => (owner ? 2_100 : 0) + 1_900 * Math.random();
