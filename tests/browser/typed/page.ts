// SPDX-License-Identifier: GPL-2.0-or-later
// A page in TypeScript that has call-resume from npm, as far as ../package.test.mjs asks.

import * as JsSIP from 'jssip';
import type { RTCSession } from 'jssip/lib/RTCSession';
import { resumeJsSIP, type CallInfo, type CallResume, type ResumeError } from 'call-resume';

interface Portal {
	user: string;
	token: string;
	websocket: string;
}

function element<E extends HTMLElement>(id: string): E {
	const found = document.getElementById(id);
	if (!found) throw new Error(`no #${id}`);
	return found as E;
}

async function ask(body?: { user: string; password: string }): Promise<Portal | undefined> {
	const answer = await fetch('/session', {
		method: 'POST', headers: { 'Content-Type': 'application/json' }, ...body && { body: JSON.stringify(body) },
	});
	return answer.ok ? await answer.json() as Portal : undefined;
}

function signIn(): Promise<Portal> {
	const form = element<HTMLFormElement>('sign-in');
	form.hidden = false;
	return new Promise((resolve) => {
		form.onsubmit = async () => {
			const portal = await ask({
				user: element<HTMLInputElement>('user').value, password: element<HTMLInputElement>('password').value,
			});
			if (!portal) return;
			form.hidden = true;
			resolve(portal);
		};
	});
}

function say(text: string): void {
	element('line').textContent = text;
}

const portal = await ask() ?? await signIn();
const ua = new JsSIP.UA({
	sockets: [new JsSIP.WebSocketInterface(portal.websocket)],
	uri: portal.user,
	authorization_jwt: `Bearer ${portal.token}`,
	session_timers: false,
});

const call = { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] as RTCIceServer[] } };
const calls: CallResume<RTCSession> = resumeJsSIP(ua, { call, token: async () => (await ask())?.token ?? '' });
calls.addEventListener('resumed', async ({ detail }) => {
	const away: number = detail.away;
	const info: CallInfo | undefined = await calls.info(detail.session);
	say(`Resumed, away for ${away} ms: ${info?.role} of ${info?.peer}`);
});
calls.addEventListener('failed', ({ detail }) => {
	const error: ResumeError = detail.error;
	say(error.message);
});

ua.on('newRTCSession', ({ session }: { session: RTCSession }) => {
	const row = document.createElement('li');
	const state = document.createElement('span');
	const hangUp = document.createElement('button');
	hangUp.className = 'hangup';
	hangUp.onclick = () => session.terminate();
	row.append(state, hangUp);
	element('calls').append(row);
	const audio = new Audio();
	const hear = (connection: RTCPeerConnection): void => connection.addEventListener('track', ({ streams }) => {
		audio.srcObject = streams[0] ?? null;
		void audio.play();
	});
	if (session.connection) hear(session.connection);
	else session.on('peerconnection', ({ peerconnection }) => hear(peerconnection));
	session.on('confirmed', () => { state.textContent = 'up'; });
	session.on('ended', () => row.remove());
	session.on('failed', () => row.remove());
});
ua.on('registered', () => { document.title = 'registered'; });
element<HTMLFormElement>('dial').onsubmit = () => { ua.call(element<HTMLInputElement>('number').value, call); };
ua.start();
