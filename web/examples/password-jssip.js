// SPDX-License-Identifier: MIT
// The smallest page with JsSIP and a SIP password, without a portal, whose calls survive a reload.

import JsSIP from '/bundle/jssip.js';
import { resumeJsSIP } from '../call-resume.js';
import { account, forgetAccount, onDial, row, say } from './view.js';

const { user, password } = await account();
const call = { mediaConstraints: { audio: true, video: false } };
const ua = new JsSIP.UA({
	sockets: [new JsSIP.WebSocketInterface(`wss://${location.host}/ws`)],
	uri: `sip:${user}`,
	password,
	session_timers: false,
});

const calls = resumeJsSIP(ua, { call });
calls.addEventListener('resumed', ({ detail }) => say(`Resumed, away for ${detail.away} ms.`));
calls.addEventListener('failed', ({ detail }) => say(detail.error.message));

ua.on('newRTCSession', ({ session }) => {
	const incoming = session.direction === 'incoming';
	const view = row(session.remote_identity.uri.user, {
		...incoming ? { answer: () => session.answer(call) } : {},
		hangup: () => session.terminate(),
	});
	if (session.connection) view.hear(session.connection);
	else session.on('peerconnection', (e) => view.hear(e.peerconnection));
	view.state(incoming ? 'rings' : 'calling');
	session.on('confirmed', () => view.state('up'));
	for (const event of ['ended', 'failed']) session.on(event, () => view.remove());
});
ua.on('registered', () => { document.title = 'registered'; });
ua.on('registrationFailed', ({ cause }) => {
	document.title = cause;
	if (cause === 'Authentication Error') forgetAccount();
});
onDial((number) => ua.call(number, call));
ua.start();
