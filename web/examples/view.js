// SPDX-License-Identifier: MIT
// What both example pages show: a sign-in form, a line to say things, and one row of
// buttons for each call. Nothing here knows of SIP.

import { networkStore } from '../network-store.js';
import { session, signIn } from '../portal.js';

const $ = (id) => document.getElementById(id);

document.body.innerHTML = `
	<form id="sign-in" method="dialog" hidden>
		<input id="user" placeholder="user" autocomplete="username">
		<input id="password" type="password" placeholder="password" autocomplete="current-password">
		<button>Sign in</button>
	</form>
	<form id="dial" method="dialog"><input id="number" placeholder="number"> <button id="call">Call</button></form>
	<p id="line" role="status"></p>
	<ul id="calls"></ul>`;

let current;

/** The web session; asks for user and password when there is none yet.
 * @param asked  what session() has said, or will say */
export async function signedIn(asked = session()) {
	current = await asked ?? await form(signIn);
	return current;
}

/** For a page without a portal: address of record and password, asked for once in the life of a tab. */
export async function account() {
	const kept = sessionStorage.getItem('account');
	const one = kept ? JSON.parse(kept) : await form((user, password) => user.includes('@') && { user, password });
	sessionStorage.setItem('account', JSON.stringify(one));
	return one;
}

/** Ask for them again when the page is loaded again. */
export const forgetAccount = () => sessionStorage.removeItem('account');

/** A fresh token of it. */
export const token = async () => (await signedIn()).token;

function form(check) {
	$('sign-in').hidden = false;
	return new Promise((resolve) => {
		$('sign-in').onsubmit = async (event) => {
			event.preventDefault();
			try {
				const fresh = await check($('user').value, $('password').value);
				if (!fresh) return say('Wrong user or password.');
				$('sign-in').hidden = true;
				return resolve(fresh);
			} catch (error) {
				return say(error.message);
			}
		};
	});
}

export function say(text) {
	$('line').textContent = text;
}

// What the address of the page can ask for.
const asked = new URLSearchParams(location.search);

// ?dial=NUMBER: fills the number in, and no more. A link may come from anywhere, and a call has the microphone.
$('number').value = asked.get('dial') ?? '';

/** ?video */
export const video = asked.has('video');

/** ?bound: calls are bound to a certificate that the browser keeps. */
export async function kept({ user }) {
	if (!asked.has('bound')) return undefined;
	const { keptCertificate } = await import('../certificate.js');
	return keptCertificate(user.match(/^sip:(.*)@/)[1]);
}

/** ?relay: media through the portal's TURN server only. */
export const configuration = (portal, own) => ({
	iceServers: portal.ice_servers, iceTransportPolicy: asked.has('relay') ? 'relay' : 'all',
	...own && { certificates: [own.certificate] },
});

/** ?store=network: the gateway keeps the calls, and not the browser. */
export const store = asked.get('store') === 'network' ? networkStore('/session/calls', () => current.token) : undefined;

export function onDial(call) {
	$('dial').onsubmit = (event) => {
		event.preventDefault();
		call($('number').value);
	};
}

/** Show the screen where the camera was. @returns whether the session has to offer it: nothing was sent there */
export async function share(connection) {
	const [track] = (await navigator.mediaDevices.getDisplayMedia({ video: true })).getVideoTracks();
	const line = connection.getTransceivers().find(({ receiver }) => receiver.track.kind === 'video');
	await line.sender.replaceTrack(track);
	if (line.direction === 'sendrecv') return false;
	line.direction = 'sendrecv';
	return true;
}

/** A row for a call. @param buttons  {name: function}; a name that is not there has no button */
export function row(title, buttons) {
	const li = document.createElement('li');
	const state = document.createElement('span');
	const audio = document.createElement('audio');
	audio.autoplay = true;
	li.append(`${title} `, state, ' ', audio);
	for (const [name, act] of Object.entries(buttons)) {
		const button = document.createElement('button');
		button.textContent = name;
		button.className = name;
		button.onclick = act;
		li.append(button);
	}
	$('calls').append(li);
	return {
		audio,
		state(text) { state.textContent = text; },
		hear(connection) {
			connection.addEventListener('track', ({ track, streams }) => {
				if (track.kind === 'audio') audio.srcObject = streams[0] ?? new MediaStream([track]);
			});
		},
		play(track) { audio.srcObject = new MediaStream([track]); },
		remove() { li.remove(); },
	};
}
