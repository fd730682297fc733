// SPDX-License-Identifier: GPL-2.0-or-later
// The smallest page with JsSIP whose calls survive a reload.

import JsSIP from '/bundle/jssip.js';
import { resumeJsSIP } from '../call-resume.js';
import { networkStore } from '../network-store.js';
import { linked, onDial, row, say, signedIn } from './view.js';

const portal = await signedIn();
const call = {
	mediaConstraints: { audio: true, video: location.search.includes('video') },
	pcConfig: {
		iceServers: portal.ice_servers,
		iceTransportPolicy: location.search.includes('relay') ? 'relay' : 'all',
	},
};
const ua = new JsSIP.UA({
	sockets: [new JsSIP.WebSocketInterface(portal.websocket)],
	uri: portal.user,
	authorization_jwt: `Bearer ${portal.token}`,
	connection_recovery_min_interval: 1,
	connection_recovery_max_interval: 4,
});

const token = async () => (await signedIn()).token;
// The browser keeps the calls by default; ?store=network has the gateway keep them.
const store = location.search.includes('store=network') ? networkStore('/session/calls', () => portal.token) : undefined;
const calls = resumeJsSIP(ua, { call, token, store });
calls.addEventListener('resumed', ({ detail }) => say(`Resumed, away for ${detail.away} ms.`));
calls.addEventListener('failed', ({ detail }) => say(detail.error.message));
calls.addEventListener('waiting', () => say('The call is in another tab.'));

ua.on('newRTCSession', ({ session }) => {
	const incoming = session.direction === 'incoming';
	const view = row(session.remote_identity.uri.user, {
		...incoming ? { answer: () => session.answer(call) } : {},
		hangup: () => session.terminate(),
		hold: () => (session.isOnHold().local ? session.unhold() : session.hold()),
		mute: () => (session.isMuted().audio ? session.unmute() : session.mute()),
	});
	if (session.connection) view.hear(session.connection);
	else session.on('peerconnection', (e) => view.hear(e.peerconnection));
	view.state(incoming ? 'rings' : 'calling');
	session.on('confirmed', () => view.state('up'));
	session.on('hold', () => view.state('held'));
	session.on('unhold', () => view.state('up'));
	session.on('ended', ({ cause }) => { view.remove(); say(`Ended: ${cause}`); });
	session.on('failed', ({ cause }) => { view.remove(); say(`Failed: ${cause}`); });
});
ua.on('registered', () => { document.title = 'registered'; });
onDial((number) => ua.call(number, call));
if (linked) ua.once('connected', () => ua.call(linked, call));
ua.start();
