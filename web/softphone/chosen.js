// SPDX-License-Identifier: MIT
// Which microphone, camera and loudspeaker the user has chosen, and how loud. What a call needs to know before it is
// placed; choosing is in devices.js.

let key;
let choice = {};
let there = []; // ids of the devices

/** @param user  whose choice it is */
export function load(user) {
	key = `softphone devices ${user}`;
	try {
		choice = JSON.parse(localStorage.getItem(key)) ?? {};
	} catch { /* as if nothing was chosen */ }
}

/** @param kind  of a MediaDeviceInfo, or volume (0 to 100) */
export const chosen = (kind) => choice[kind];

export function choose(kind, value) {
	choice[kind] = value;
	try {
		localStorage.setItem(key, JSON.stringify(choice));
	} catch { /* until the page is loaded again */ }
	return look();
}

/** Which devices there are, where that matters. To be waited for before constraint(). */
export async function look() {
	if (!choice.audioinput && !choice.videoinput) return;
	there = (await navigator.mediaDevices.enumerateDevices()).map(({ deviceId }) => deviceId);
}

/** For getUserMedia(). Another device is better than none. (As "ideal" Chromium takes the system's own.) */
export const constraint = (kind) => (there.includes(choice[kind]) ? { deviceId: { exact: choice[kind] } } : true);

export const canChooseOutput = 'setSinkId' in HTMLMediaElement.prototype;

/** As loud as chosen, where chosen. @param audio  element that sounds */
export function play(audio) {
	const volume = Number(choice.volume ?? 100) / 100;
	audio.volume = volume >= 0 && volume <= 1 ? volume : 1;
	if (!canChooseOutput || typeof choice.audiooutput !== 'string') return undefined;
	// One that is gone: the system's own, and the choice stays for when it is back.
	return audio.setSinkId(choice.audiooutput).catch(() => audio.setSinkId(''));
}
