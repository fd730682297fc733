// SPDX-License-Identifier: GPL-2.0-or-later
// A page with React and the hook of web/examples, as far as ../react.test.mjs asks.

import { StrictMode, useEffect, useRef, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { usePhone } from './use-phone.js';

const ask = async (body) => {
	const answer = await fetch('/session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });
	return answer.ok ? answer.json() : undefined;
};
// The gateway's own address is another origin where Vite serves the page.
const websocket = `${location.origin.replace(/^http/, 'ws')}/ws`;

function Call({ session, options }) {
	const audio = useRef();
	useEffect(() => {
		const hear = (connection) => connection.addEventListener('track', ({ streams }) => { audio.current.srcObject = streams[0]; });
		if (session.connection) hear(session.connection);
		else session.on('peerconnection', ({ peerconnection }) => hear(peerconnection));
	}, [session]);
	const held = session.isOnHold().local;
	return (
		<li>
			<span>{held ? 'held' : session.isEstablished() ? 'up' : 'calling'}</span>
			{session.direction === 'incoming' && <button className="answer" onClick={() => session.answer(options)}>answer</button>}
			<button className="hangup" onClick={() => session.terminate()}>hang up</button>
			<button className="hold" onClick={() => (held ? session.unhold() : session.hold())}>hold</button>
			<audio ref={audio} autoPlay />
		</li>
	);
}

function Phone({ portal }) {
	const call = { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } };
	const { ua, sessions, registered, news } = usePhone(websocket, portal.user, {
		call, token: portal.token, freshToken: async () => (await ask()).token,
	});
	const [mounts, setMounts] = useState(0);
	useEffect(() => setMounts((n) => n + 1), []);
	const number = useRef();
	useEffect(() => { if (registered) document.title = 'registered'; }, [registered]);
	return (
		<>
			<form onSubmit={(e) => { e.preventDefault(); ua.call(number.current.value, call); }}>
				<input id="number" ref={number} />
				<button id="call">Call</button>
			</form>
			<p id="line" data-mounts={mounts}>{news?.type === 'resumed' ? `Resumed, away for ${news.away} ms` : news?.error?.message}</p>
			<ul id="calls">{sessions.map((session) => <Call key={session.id} session={session} options={call} />)}</ul>
		</>
	);
}

function SignIn({ done }) {
	const [user, password] = [useRef(), useRef()];
	const submit = async (event) => {
		event.preventDefault();
		done(await ask({ user: user.current.value, password: password.current.value }));
	};
	return (
		<form id="sign-in" onSubmit={submit}>
			<input id="user" ref={user} />
			<input id="password" type="password" ref={password} />
			<button>Sign in</button>
		</form>
	);
}

function App({ first }) {
	const [portal, setPortal] = useState(first);
	return portal ? <Phone portal={portal} /> : <SignIn done={setPortal} />;
}

const first = await ask();
createRoot(document.getElementById('root')).render(<StrictMode><App first={first} /></StrictMode>);
