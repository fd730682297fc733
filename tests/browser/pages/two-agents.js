// SPDX-License-Identifier: GPL-2.0-or-later
// A page with a user agent of each of two users, as far as ../password.test.mjs asks.

import JsSIP from '/bundle/jssip.js';
import { resumeJsSIP } from '/call-resume.js';
import { onDial, row, say } from '/examples/view.js';

const call = { mediaConstraints: { audio: true, video: false } };
const back = [];
const agents = JSON.parse(sessionStorage.getItem('accounts')).map(({ user, password }) => {
	const ua = new JsSIP.UA({
		sockets: [new JsSIP.WebSocketInterface(`wss://${location.host}/ws`)], uri: `sip:${user}`, password, session_timers: false,
	});
	resumeJsSIP(ua, { call }).addEventListener('resumed', ({ detail }) => {
		back.push(user.replace(/@.*/, ''));
		say(`Resumed, away for ${detail.away} ms: ${back.sort()}`);
	});
	ua.on('newRTCSession', ({ session }) => {
		const view = row(user, {
			...session.direction === 'incoming' ? { answer: () => session.answer(call) } : {},
			hangup: () => session.terminate(),
		});
		if (session.connection) view.hear(session.connection);
		else session.on('peerconnection', (e) => view.hear(e.peerconnection));
		session.on('confirmed', () => view.state('up'));
		for (const event of ['ended', 'failed']) session.on(event, () => view.remove());
	});
	return ua;
});
const registered = new Set();
for (const ua of agents) {
	ua.on('registered', () => {
		if (registered.add(ua).size === agents.length) document.title = 'registered';
	});
	ua.start();
}
onDial((number) => agents[0].call(number, call));
