// SPDX-License-Identifier: MIT
// The smallest page with SIP.js and a SIP password, without a portal, whose calls survive a reload.

import { Inviter, Registerer, UserAgent } from '/bundle/sip.js';
import { resumeSIPjs } from '../call-resume.js';
import { account, forgetAccount, onDial, row, say } from './view.js';

const { user, password } = await account();
const call = { sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false }, iceGatheringTimeout: 500 } };
const userAgent = new UserAgent({
	uri: UserAgent.makeURI(`sip:${user}`),
	authorizationUsername: user.replace(/@.*/, ''),
	authorizationPassword: password,
	transportOptions: { server: `wss://${location.host}/ws` },
	logLevel: 'error',
	delegate: { onInvite: (invitation) => show(invitation, invitation.remoteIdentity.uri.user) },
});
const registerer = new Registerer(userAgent);

const calls = resumeSIPjs(userAgent, { Inviter, registerer, call });
calls.addEventListener('resumed', ({ detail }) => {
	// A call that both ends had lost comes as an Invitation, which is shown already.
	if (!shown.has(detail.session)) show(detail.session, 'resumed');
	say(`Resumed, away for ${detail.away} ms.`);
});
calls.addEventListener('failed', ({ detail }) => say(detail.error.message));

const shown = new WeakSet();

// Without it the library calls whomever the far end names, and asks nobody.
const decline = (referral) => referral.reject({ statusCode: 603 });

function show(session, title) {
	const hangup = { Initial: 'reject', Establishing: 'cancel', Established: 'bye' };
	const view = row(title, {
		...session.accept ? { answer: () => session.accept(call) } : {},
		hangup: () => (session.state === 'Initial' && !session.accept ? session.dispose() : session[hangup[session.state]]()),
	});
	const changed = (state) => {
		if (state === 'Established') view.state('up');
		if (state === 'Terminated') view.remove();
	};
	shown.add(session);
	calls.add(session);
	session.stateChange.addListener(changed);
	const handler = session.sessionDescriptionHandler;
	if (handler) {
		for (const { track } of handler.peerConnection.getReceivers()) if (track.kind === 'audio') view.play(track);
	} else {
		session.delegate = { onSessionDescriptionHandler: ({ peerConnection }) => view.hear(peerConnection), onRefer: decline };
	}
	view.state('calling');
	changed(session.state);
}

onDial((number) => {
	const target = userAgent.configuration.uri.clone();
	target.user = number;
	const inviter = new Inviter(userAgent, target, call);
	show(inviter, number);
	inviter.invite().catch((e) => say(e.message));
});
await userAgent.start();
await registerer.register({
	requestDelegate: {
		onAccept: () => { document.title = 'registered'; },
		onReject: ({ message }) => {
			document.title = message.reasonPhrase;
			if (message.statusCode === 401) forgetAccount();
		},
	},
});
