// SPDX-License-Identifier: GPL-2.0-or-later
// What both example pages show: a sign-in form, a line to say things, and one row of
// buttons for each call. Nothing here knows of SIP.

import { session, signIn } from '../portal.js';

const $ = (id) => document.getElementById(id);

document.body.innerHTML = `
	<form id="sign-in" hidden>
		<input id="user" placeholder="user" autocomplete="username">
		<input id="password" type="password" placeholder="password" autocomplete="current-password">
		<button>Sign in</button>
	</form>
	<form id="dial"><input id="number" placeholder="number"> <button id="call">Call</button></form>
	<p id="line" role="status"></p>
	<ul id="calls"></ul>`;

/** The web session; asks for user and password when there is none yet. */
export async function signedIn() {
	const now = await session();
	if (now) return now;
	$('sign-in').hidden = false;
	return new Promise((resolve) => {
		$('sign-in').onsubmit = async (event) => {
			event.preventDefault();
			const fresh = await signIn($('user').value, $('password').value);
			if (!fresh) return say('Wrong user or password.');
			$('sign-in').hidden = true;
			return resolve(fresh);
		};
	});
}

export function say(text) {
	$('line').textContent = text;
}

/** The number in a link that dials: ?dial=NUMBER. */
export const linked = new URLSearchParams(location.search).get('dial');

export function onDial(call) {
	$('dial').onsubmit = (event) => {
		event.preventDefault();
		call($('number').value);
	};
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
