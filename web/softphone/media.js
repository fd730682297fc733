// SPDX-License-Identifier: MIT
// What can be seen and heard of a connection.

/** Loudness of both sides, 0 to 1 as an ear has it, and packets that came.
 * getStats() needs no click on the page, as an AudioContext would. */
export async function listen(connection) {
	const now = { near: 0, far: 0, packets: 0 };
	for (const report of (await connection.getStats()).values()) {
		if (report.kind !== 'audio') continue;
		if (report.type === 'media-source') now.near = loudness(report.audioLevel);
		if (report.type === 'inbound-rtp') {
			now.far = loudness(report.audioLevel);
			now.packets += report.packetsReceived;
		}
	}
	return now;
}

/** The upper 50 dB, linear. */
function loudness(level = 0) {
	return level > 0 ? Math.max(0, Math.min(1, 1 + Math.log10(level) * 20 / 50)) : 0;
}

/** When the first audio of the other side came, in milliseconds since 1970; undefined
 * when none does. */
export async function firstAudio(connection, timeout = 10_000) {
	const end = Date.now() + timeout;
	while (Date.now() < end && connection.connectionState !== 'closed') {
		if ((await listen(connection)).packets > 0) return Date.now();
		await new Promise((resolve) => setTimeout(resolve, 30));
	}
	return undefined;
}

/** The track of one kind that comes from the other side. */
export const farTrack = (connection, kind) =>
	connection.getReceivers().map((r) => r.track).find((t) => t?.kind === kind);

/** The track of one kind that we send. */
export const nearTrack = (connection, kind) =>
	connection.getSenders().map((s) => s.track).find((t) => t?.kind === kind);

/** The pictures that go one way and the other, as far as there are any. */
export function pictures(connection) {
	const goes = (...directions) => connection.getTransceivers()
		.some((t) => t.receiver.track.kind === 'video' && ['sendrecv', ...directions].includes(t.currentDirection));
	return {
		far: goes('recvonly') ? farTrack(connection, 'video') : undefined,
		near: goes('sendonly') ? nearTrack(connection, 'video') : undefined,
	};
}
