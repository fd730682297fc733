// SPDX-License-Identifier: MIT
// The smallest page with SIP.js whose calls survive a reload.

import { Inviter, Registerer, UserAgent } from '/bundle/sip.js';
import { resumeSIPjs } from '/bundle/call-resume.js';
import { asked } from './asked.js';
import { configuration, kept, onDial, row, say, share, signedIn, store, token, video } from './view.js';

const portal = await signedIn(asked);
const own = await kept(portal);
const options = {
	earlyMedia: true,
	extraHeaders: own ? [own.header] : [],
	sessionDescriptionHandlerOptions: {
		constraints: { audio: true, video },
		iceGatheringTimeout: 500,
	},
};
const userAgent = new UserAgent({
	uri: UserAgent.makeURI(portal.user),
	transportOptions: { server: portal.websocket },
	logLevel: 'error',
	sessionDescriptionHandlerFactoryOptions: {
		peerConnectionConfiguration: configuration(portal, own),
	},
	delegate: { onInvite: (invitation) => show(invitation, invitation.remoteIdentity.uri.user) },
});
const bearer = { extraHeaders: [...options.extraHeaders, `Authorization: Bearer ${portal.token}`] };
const registerer = new Registerer(userAgent, bearer);

const calls = resumeSIPjs(userAgent, { Inviter, registerer, call: options, token, store });
calls.addEventListener('resumed', ({ detail }) => {
	// A call that both ends had lost comes as an Invitation, which is shown already.
	if (shown.has(detail.session)) shown.get(detail.session)(detail);
	else show(detail.session, 'resumed', detail);
	say(`Resumed, away for ${detail.away} ms.${detail.screen ? ' Your screen is not shared any more.' : ''}`);
});
calls.addEventListener('failed', ({ detail }) => say(detail.error.message));
calls.addEventListener('ringing', ({ detail }) => {
	show(detail.session, 'rings on', detail);
	say('Your call rings on.');
});
calls.addEventListener('lost', () => say('The connection is lost; the call may go on.'));
calls.addEventListener('connected', () => say('The connection is back.'));
calls.addEventListener('waiting', () => say('The call is in another tab.'));

const shown = new WeakMap(); // session: what takes its call as it was

// Without it the library calls whomever the far end names, and asks nobody.
const decline = (referral) => referral.reject({ statusCode: 603 });

function show(session, title, { held = false, muted = false, videoMuted = false } = {}) {
	const connection = () => session.sessionDescriptionHandler.peerConnection;
	const hangup = { Initial: 'reject', Establishing: 'cancel', Established: 'bye' };
	// Without constraints the library captures nothing anew.
	const offer = () => session.invite({
		sessionDescriptionHandlerOptions: { ...options.sessionDescriptionHandlerOptions, constraints: undefined, hold: held },
	});
	const view = row(title, {
		...session.accept ? { answer: () => session.accept(options) } : {},
		hangup: () => (session.state === 'Initial' && !session.accept ? session.dispose() : session[hangup[session.state]]()),
		async hold() {
			held = !held;
			// In this order: a track that is off while nobody knows of a hold has been muted.
			if (held) calls.remember(session, { held });
			// Whether or not the other side has answered what it was asked before.
			speak();
			if (!held) calls.remember(session, { held });
			await offer();
			view.state(held ? 'held' : 'up');
		},
		mute() {
			muted = !muted;
			speak();
			calls.remember(session, { muted });
		},
		...video ? {
			camera() {
				videoMuted = !videoMuted;
				speak();
				calls.remember(session, { videoMuted });
			},
			screen: async () => { if (await share(connection())) offer(); },
		} : {},
	});
	// On hold the library still sends what the microphone hears.
	const speak = () => {
		for (const { track } of connection().getSenders()) if (track) track.enabled = !held && !(track.kind === 'audio' ? muted : videoMuted);
	};
	const changed = (state) => {
		if (state === 'Established') view.state(held ? 'held' : 'up');
		if (state === 'Terminated') { view.remove(); say('Ended'); }
	};
	calls.add(session);
	shown.set(session, (was) => {
		({ held, muted, videoMuted } = was);
		speak();
		changed(session.state);
	});
	session.stateChange.addListener(changed);
	const hear = (handler) => view.hear(handler.peerConnection);
	if (session.sessionDescriptionHandler) {
		hear(session.sessionDescriptionHandler);
		speak();
		for (const { track } of connection().getReceivers()) if (track.kind === 'audio') view.play(track);
	} else {
		session.delegate = { onSessionDescriptionHandler: hear, onRefer: decline };
	}
	view.state('calling');
	changed(session.state);
}

function dial(number) {
	const target = userAgent.configuration.uri.clone();
	target.user = number;
	const inviter = new Inviter(userAgent, target, { ...options, ...bearer });
	show(inviter, number);
	inviter.invite().catch((e) => say(e.message));
}
onDial(dial);
await userAgent.start();
await registerer.register({ requestDelegate: { onAccept: () => { document.title = 'registered'; } } });
