// SPDX-License-Identifier: MIT
// A hook for React: a phone with JsSIP whose calls survive a reload. It is for the root of an application: who unmounts it hangs up.

import JsSIP from 'jssip';
import { useEffect, useRef, useState } from 'react';
import { resumeJsSIP } from 'call-resume';

/**
 * @param {string} websocket  with uri and a change of either: another phone
 * @param {{token: string, freshToken: () => Promise<string>, call: object}} options  may be other ones at each rendering
 * @returns {{ua, calls, sessions: object[], registered: boolean, news?: object}} news: the last event of calls, as {type, ...detail}
 */
export function usePhone(websocket, uri, options) {
	const latest = useRef(options);
	const [phone, setPhone] = useState({ sessions: [] });
	useEffect(() => { latest.current = options; });
	useEffect(() => {
		const change = (how) => setPhone((now) => ({ ...now, ...how?.(now) }));
		const ua = new JsSIP.UA({
			sockets: [new JsSIP.WebSocketInterface(websocket)], uri, session_timers: false, authorization_jwt: `Bearer ${latest.current.token}`,
		});
		const calls = resumeJsSIP(ua, { call: () => latest.current.call, token: () => latest.current.freshToken() });
		for (const type of ['lost', 'connected', 'resuming', 'resumed', 'failed', 'waiting']) {
			calls.addEventListener(type, ({ detail }) => change(() => ({ news: { type, ...detail } })));
		}
		for (const event of ['registered', 'unregistered', 'disconnected']) ua.on(event, () => change(() => ({ registered: event === 'registered' })));
		ua.on('newRTCSession', ({ session }) => {
			change(({ sessions }) => ({ sessions: [...sessions, session] }));
			for (const event of ['confirmed', 'hold', 'unhold', 'muted', 'unmuted']) session.on(event, () => change());
			for (const event of ['ended', 'failed']) session.on(event, () => change(({ sessions }) => ({ sessions: sessions.filter((one) => one !== session) })));
		});
		ua.start();
		setPhone({ ua, calls, sessions: [] });
		// StrictMode mounts twice: the first helper must let go of the calls in the storage.
		return () => {
			calls.stop();
			ua.stop();
		};
	}, [websocket, uri]);
	return phone;
}
