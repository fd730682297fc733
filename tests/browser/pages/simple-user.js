// SPDX-License-Identifier: GPL-2.0-or-later
// A page with the SimpleUser of SIP.js, as far as ../manager.test.mjs asks.

import { Web } from '/bundle/sip.js';
import { resumeSessionManager } from '/session-manager.js';
import { configuration, onDial, row, say, signedIn, token } from '/examples/view.js';

const portal = await signedIn();
const bearer = { extraHeaders: [`Authorization: Bearer ${portal.token}`] };
const asked = new URLSearchParams(location.search);
const audio = document.body.appendChild(new Audio());
let view;

const user = new Web.SimpleUser(portal.websocket, {
	aor: portal.user,
	media: { remote: { audio } },
	registererOptions: bearer,
	userAgentOptions: {
		logLevel: 'error', gracefulShutdown: asked.has('graceful'),
		sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: configuration(portal), iceGatheringTimeout: 500 },
	},
	delegate: {
		onCallCreated() {
			view?.remove();
			view = row('call', {
				answer: () => user.answer(), hangup: () => user.hangup(),
				hold: () => (user.isHeld() ? user.unhold() : user.hold()), mute: () => (user.isMuted() ? user.unmute() : user.mute()),
			});
			view.state('calling');
		},
		onCallReceived: () => view.state('rings'),
		onCallAnswered: () => view.state('up'),
		onCallHold: (held) => view.state(held ? 'held' : 'up'),
		onCallHangup() {
			view?.remove();
			view = undefined;
		},
		onRegistered: () => { document.title = 'registered'; },
	},
});
try {
	const calls = resumeSessionManager(user, { token });
	calls.addEventListener('resumed', ({ detail }) => {
		view.state(detail.held ? 'held' : 'up');
		say(`Resumed, away for ${detail.away} ms.`);
	});
	calls.addEventListener('failed', ({ detail }) => say(detail.error.message));
} catch (e) {
	say(e.message);
	throw e;
}
onDial((number) => user.call(`sip:${number}@${portal.user.replace(/^.*@/, '')}`, bearer));
await user.connect();
await user.register();
