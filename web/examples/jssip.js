// SPDX-License-Identifier: MIT
// The smallest page with JsSIP whose calls survive a reload.

import JsSIP from '/bundle/jssip.js';
import { resumeJsSIP } from '/bundle/call-resume.js';
import { asked } from './asked.js';
import { socket } from './early.js';
import { configuration, kept, onDial, row, say, share, signedIn, store, token, video } from './view.js';

const portal = await signedIn(asked);
const own = await kept(portal);
const extraHeaders = own ? [own.header] : [];
const call = { mediaConstraints: { audio: true, video }, pcConfig: configuration(portal, own), extraHeaders };
const ua = new JsSIP.UA({
	sockets: [socket?.url === portal.websocket ? socket : new JsSIP.WebSocketInterface(portal.websocket)],
	uri: portal.user,
	authorization_jwt: `Bearer ${portal.token}`,
	connection_recovery_min_interval: 1,
	connection_recovery_max_interval: 4,
	session_timers: false,
});
ua.registrator().setExtraHeaders(extraHeaders);

const calls = resumeJsSIP(ua, { call, token, store });
calls.addEventListener('resumed', ({ detail }) => say(`Resumed, away for ${detail.away} ms.${detail.screen ? ' Your screen is not shared any more.' : ''}`));
calls.addEventListener('failed', ({ detail }) => say(detail.error.message));
calls.addEventListener('ringing', () => say('Your call rings on.'));
calls.addEventListener('lost', () => say('The connection is lost; the call may go on.'));
calls.addEventListener('connected', () => say('The connection is back.'));
calls.addEventListener('waiting', () => say('The call is in another tab.'));

ua.on('newRTCSession', ({ session }) => {
	const incoming = session.direction === 'incoming';
	const view = row(session.remote_identity.uri.user, {
		...incoming ? { answer: () => session.answer(call) } : {},
		hangup: () => session.terminate(),
		hold: () => (session.isOnHold().local ? session.unhold() : session.hold()),
		mute: () => (session.isMuted().audio ? session.unmute({ audio: true }) : session.mute({ audio: true })),
		...video ? {
			camera: () => (session.isMuted().video ? session.unmute({ video: true }) : session.mute({ video: true })),
			screen: async () => { if (await share(session.connection)) session.renegotiate(); },
		} : {},
	});
	if (session.connection) view.hear(session.connection);
	else session.on('peerconnection', (e) => view.hear(e.peerconnection));
	view.state(incoming ? 'rings' : 'calling');
	session.on('progress', ({ originator }) => originator === 'remote' && view.state('ringing'));
	session.on('confirmed', () => view.state('up'));
	session.on('hold', () => view.state('held'));
	session.on('unhold', () => view.state('up'));
	session.on('ended', ({ cause }) => { view.remove(); say(`Ended: ${cause}`); });
	session.on('failed', ({ cause }) => { view.remove(); say(`Failed: ${cause}`); });
});
ua.on('registered', () => { document.title = 'registered'; });
onDial((number) => ua.call(number, call));
ua.start();
