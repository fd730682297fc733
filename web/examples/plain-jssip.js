// SPDX-License-Identifier: MIT
// The smallest page with JsSIP, as jssip.js was before its calls survived a reload.

import JsSIP from '/bundle/jssip.js';
import { asked } from './asked.js';
import { configuration, kept, onDial, row, say, share, signedIn, video } from './view.js';

const portal = await signedIn(asked);
const own = await kept(portal);
const extraHeaders = own ? [own.header] : [];
const call = { mediaConstraints: { audio: true, video }, pcConfig: configuration(portal, own), extraHeaders };
const ua = new JsSIP.UA({
	sockets: [new JsSIP.WebSocketInterface(portal.websocket)],
	uri: portal.user,
	authorization_jwt: `Bearer ${portal.token}`,
	connection_recovery_min_interval: 1,
	connection_recovery_max_interval: 4,
});
ua.registrator().setExtraHeaders(extraHeaders);

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
