// SPDX-License-Identifier: MIT
// The smallest page with the SessionManager of SIP.js whose calls survive a reload.

import { Web } from '/bundle/sip.js';
import { resumeSessionManager } from '../session-manager.js';
import { asked } from './asked.js';
import { configuration, kept, onDial, row, say, signedIn, store, token, video } from './view.js';

const portal = await signedIn(asked);
const own = await kept(portal);
const options = {
	extraHeaders: own ? [own.header] : [],
	sessionDescriptionHandlerOptions: { iceGatheringTimeout: 500 },
};
const bearer = [...options.extraHeaders, `Authorization: Bearer ${portal.token}`];
const rows = new Map(); // session: its row

const manager = new Web.SessionManager(portal.websocket, {
	aor: portal.user,
	autoStop: false, // it would hang up when the page is left
	media: { constraints: { audio: true, video }, remote: (session) => ({ audio: rows.get(session).audio }) },
	registererOptions: { extraHeaders: bearer },
	userAgentOptions: {
		logLevel: 'error',
		sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: configuration(portal, own) },
	},
	delegate: {
		onCallCreated: show,
		onCallReceived: (session) => rows.get(session).state('rings'),
		onCallAnswered: (session) => rows.get(session).state('up'),
		onCallHold: (session, held) => rows.get(session).state(held ? 'held' : 'up'),
		onCallHangup(session) {
			rows.get(session).remove();
			rows.delete(session);
			say('Ended');
		},
		onRegistered: () => { document.title = 'registered'; },
	},
});

const calls = resumeSessionManager(manager, { call: options, token, store });
calls.addEventListener('resumed', ({ detail }) => {
	rows.get(detail.session).state(detail.held ? 'held' : 'up');
	say(`Resumed, away for ${detail.away} ms.`);
});
calls.addEventListener('failed', ({ detail }) => say(detail.error.message));
calls.addEventListener('lost', () => say('The connection is lost; the call may go on.'));
calls.addEventListener('connected', () => say('The connection is back.'));
calls.addEventListener('waiting', () => say('The call is in another tab.'));

function show(session) {
	rows.set(session, row(session.remoteIdentity.uri.user, {
		...session.accept ? { answer: () => manager.answer(session, options) } : {},
		hangup: () => manager.hangup(session),
		hold: () => (manager.isHeld(session) ? manager.unhold(session) : manager.hold(session)),
		mute: () => (manager.isMuted(session) ? manager.unmute(session) : manager.mute(session)),
	}));
	rows.get(session).state('calling');
}

onDial((number) => manager.call(`sip:${number}@${portal.user.replace(/^.*@/, '')}`, { ...options, extraHeaders: bearer }).catch((e) => say(e.message)));
await manager.connect();
await manager.register();
