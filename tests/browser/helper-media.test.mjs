// SPDX-License-Identifier: GPL-2.0-or-later
// What the page helper captures and sends when a call comes back: what its page was sending, and no more.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FIREFOX } from '../lib/browser.mjs';
import { ANSWER, helperTests, page } from '../lib/helperpage.mjs';

helperTests();

const BOTH = [{ kind: 'audio', direction: 'sendrecv' }, { kind: 'video', direction: 'sendrecv' }];
for (const [what, record, captured, directions] of [
	['audio and video', { sends: ['audio', 'video'] }, 'audio,video', 'sendrecv,sendrecv'],
	['audio alone', { sends: ['audio'] }, 'audio', 'sendrecv,recvonly'],
	['nothing', { sends: [] }, '', 'recvonly,recvonly'],
	['audio alone, and is on hold', { sends: ['audio'], held: true }, 'audio', 'sendonly,inactive'],
	['nobody knows what, as an earlier version kept it', {}, 'audio', 'sendrecv,recvonly'],
	['nobody knows what, and the record says null', { sends: null }, 'audio', 'sendrecv,recvonly'],
	['nobody knows what, nor in which m-lines', { sends: null, media: null }, 'audio', 'sendrecv'],
]) {
	for (const library of ['JsSIP', 'JsSIP with a stream of the page\'s', 'SIP.js']) {
		test(`${library}: a call with video, in which the page sent ${what}: just that is captured`, async () => {
			const seen = await page.evaluate(async ([library, kept]) => {
				const { resumeJsSIP, resumeSIPjs } = await import('/call-resume.js');
				const { mediaDevices } = navigator;
				const capture = mediaDevices.getUserMedia.bind(mediaDevices);
				const whole = await capture({ audio: true, video: true });
				const store = { local: true, load: async () => [['one', JSON.stringify(kept)]], async save() {}, async remove() {} };
				const asked = new Set();
				mediaDevices.getUserMedia = async (wanted) => {
					for (const kind of ['audio', 'video']) if (wanted[kind]) asked.add(kind);
					return new MediaStream();
				};
				const connection = new RTCPeerConnection();
				let given;
				const tried = new Promise((resolve) => {
					const listeners = {};
					const ua = {
						get: () => 'alice', isConnected: () => true, on(type, act) { listeners[type] = act; },
						call(target, { mediaConstraints, mediaStream, eventHandlers }) {
							// The library captures what it was not given.
							if (!mediaStream) mediaDevices.getUserMedia(mediaConstraints);
							given = mediaStream;
							const session = { on() {}, isEnded: () => false, local_identity: { uri: {} }, connection };
							listeners.newRTCSession({ session, request: { call_id: 'n1' } });
							setTimeout(() => { resolve(); eventHandlers.failed({ cause: 'x', message: { status_code: 481, getHeader() {} } }); });
							return session;
						},
					};
					class Inviter {
						request = { callId: 'n1' };
						stateChange = { addListener() {} };
						async invite({ sessionDescriptionHandlerOptions: { constraints }, requestDelegate }) {
							mediaDevices.getUserMedia(constraints);
							this.delegate.onSessionDescriptionHandler({ peerConnection: connection });
							resolve();
							requestDelegate.onReject({ message: { statusCode: 481, data: 'x', getHeader() {} } });
						}
					}
					const agent = {
						configuration: { uri: { user: 'alice', clone: () => ({}) } }, state: 'Started', isConnected: () => true,
						transport: { onMessage() {}, async send() {}, stateChange: { addListener() {} } }, userAgentCore: {},
					};
					const mediaStream = library.includes('stream') ? whole : undefined;
					window.calls = library === 'SIP.js' ? resumeSIPjs(agent, { Inviter, store, token: 'token' }) : resumeJsSIP(ua, { store, call: { mediaStream } });
				});
				await tried;
				window.calls.stop();
				mediaDevices.getUserMedia = capture;
				const kinds = (stream) => stream.getTracks().map(({ kind }) => kind).sort().join();
				const found = [library.includes('stream') ? kinds(given) : [...asked].join(), connection.getTransceivers().map((t) => t.direction).join(), kinds(whole)];
				whole.getTracks().forEach((track) => track.stop());
				return found;
			}, [library, { state: 'x', media: BOTH, ...record }]);
			assert.deepEqual(seen, [captured, directions, 'audio,video']);
		});
	}
}

test('what the page sends is kept with its call, as it changes, and is not what a connection sends that is none yet or any more', async () => {
	const seen = await page.evaluate(async (ANSWER) => {
		const all = new Map();
		const store = { local: false, load: async () => [], async save(id, text) { all.set(id, text); }, async remove(id) { all.delete(id); } };
		const { calls, phone } = window.helper({ store, answers: [] });
		const { deviceId } = (await navigator.mediaDevices.enumerateDevices()).find(({ kind }) => kind === 'videoinput');
		const fake = (kind, readyState) => ({ track: { kind, readyState, enabled: true, getSettings: () => ({ deviceId }) } });
		const [audio, video] = ['audio', 'video'].map((kind) => fake(kind, 'live'));
		const senders = [audio, video, { track: null }];
		let iceChanged;
		const streams = ['audio', 'video'].map((kind) => ({ direction: 'sendrecv', receiver: { track: { kind } } }));
		const connection = { signalingState: 'stable', getSenders: () => senders, getTransceivers: () => streams, addEventListener(type, act) { iceChanged = act; }, async setRemoteDescription() {} };
		const session = {};
		const fresh = { ...connection, getSenders: () => [], getTransceivers: () => [] };
		phone.connection = (one) => one && (one === session ? connection : fresh);
		const sends = () => JSON.parse([...all.values()][0]).sends.join();
		const changed = async (what) => {
			for (let i = 0; sends() !== what && i < 60; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
			return sends();
		};
		phone.report.began('c1', session);
		phone.report.receive(ANSWER);
		const found = [sends()];
		// The page says nothing: the heartbeat sees it.
		video.track.readyState = 'ended';
		found.push(await changed('audio'));
		audio.track = null;
		found.push(await changed(''));
		Object.assign(audio, fake('audio', 'ended'));
		Object.assign(video.track, { readyState: 'live' });
		found.push(await changed('audio,video'));
		// The far end has switched a stream off, and that is not for it to say.
		const [sound] = senders.splice(0, 1);
		streams.shift();
		calls.remember(session, { data: 1 });
		found.push(sends());
		senders.unshift(sound);
		connection.signalingState = 'closed';
		senders.length = 0;
		calls.remember(session, { data: 1 });
		found.push(sends());
		// It comes back: the new connection has no track yet when the state of the call arrives.
		connection.iceConnectionState = 'failed';
		phone.probe = async () => true;
		const back = new Promise((resolve) => { calls.addEventListener('resumed', resolve); });
		phone.call = async (how, started) => {
			const other = {};
			started('n2');
			phone.report.began('n2', other);
			phone.report.receive(ANSWER.replace('c1', 'n2'));
			found.push(how.sends.join(), sends());
			return other;
		};
		iceChanged();
		await back;
		calls.stop();
		return found;
	}, ANSWER);
	assert.deepEqual(seen, ['audio,video', 'audio', '', ...Array(5).fill('audio,video')]);
});

test('a picture that is not a camera\'s is not captured again, whoever the browser says it is from', async () => {
	// In Firefox a user has to choose the screen.
	const seen = await page.evaluate(async ([ANSWER, screens]) => {
		const up = window.sendingTracks;
		const canvas = Object.assign(document.createElement('canvas'), { width: 9 });
		canvas.getContext('2d');
		const streams = {
			camera: await navigator.mediaDevices.getUserMedia({ audio: true, video: true }),
			...screens && { screen: await navigator.mediaDevices.getDisplayMedia({ video: true }) },
			canvas: canvas.captureStream(),
			away: new RTCPeerConnection().addTransceiver('video').receiver,
		};
		const found = {};
		for (const [name, from] of Object.entries(streams)) {
			const { calls, of } = await up(ANSWER, from.track ? [from.track] : from.getTracks());
			const wanted = name === 'camera' ? '-' : 'true';
			for (let i = 0; of().split(' ')[2] !== wanted && i < 60; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
			found[name] = of();
			calls.stop();
			from.getTracks?.().forEach((track) => track.stop());
		}
		// As a browser tells it that does not know of displaySurface.
		const { calls, of } = await up(ANSWER, [{ kind: 'video', readyState: 'live', enabled: true, getSettings: () => ({ deviceId: 'screen' }) }]);
		const first = of();
		for (let i = 0; of() === first && i < 60; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
		calls.stop();
		return { ...found, untold: [first, of()] };
	}, [ANSWER, !FIREFOX]);
	assert.deepEqual(seen, {
		camera: 'audio,video - - - - -', ...FIREFOX ? {} : { screen: '- - true - - -' }, canvas: '- - true - - -', away: '- - true - - -',
		untold: ['video - - - - -', '- - true - - -'],
	});
});

test('what is switched off is kept as it changes; on hold, where all is, as it was before and as the page says', async () => {
	const seen = await page.evaluate(async (ANSWER) => {
		const { deviceId } = (await navigator.mediaDevices.enumerateDevices()).find(({ kind }) => kind === 'videoinput');
		const [audio, video] = ['audio', 'video'].map((kind) => ({ kind, readyState: 'live', enabled: true, getSettings: () => ({ deviceId }) }));
		const { calls, phone, of, session } = await window.sendingTracks(ANSWER, [audio, video]);
		const found = [of()];
		video.enabled = false;
		found.push(of());
		// By the library, because the far end holds.
		phone.paused = () => true;
		audio.enabled = false;
		found.push(of());
		phone.paused = () => false;
		audio.enabled = true;
		found.push(of());
		// By the page.
		audio.enabled = false;
		calls.remember(session, { held: true });
		found.push(of());
		calls.remember(session, { muted: true });
		calls.remember(session, { muted: false, videoMuted: false });
		found.push(of());
		calls.stop();
		return found;
	}, ANSWER);
	assert.deepEqual(seen, [
		'audio,video - - - - -', 'audio,video video - - - -', 'audio,video video - - - -', 'audio,video video - - - -',
		'audio,video video - - - true', 'audio,video - - - - true',
	]);
});

test('a connection that is lost is replaced by one that sends no more than it, and the page is told what that is', async () => {
	const seen = await page.evaluate(async (ANSWER) => {
		const { deviceId } = (await navigator.mediaDevices.enumerateDevices()).find(({ kind }) => kind === 'videoinput');
		const [audio, video] = ['audio', 'video'].map((kind) => ({ kind, readyState: 'live', enabled: true, getSettings: () => ({ deviceId }) }));
		const { calls, phone, connection, log } = await window.sendingTracks(ANSWER, [audio, video]);
		phone.probe = async () => true;
		// No heartbeat sees it.
		video.enabled = false;
		const back = new Promise((resolve) => { calls.addEventListener('resumed', resolve); });
		phone.call = async (how, started) => {
			started('n2');
			phone.how = `${how.sends} ${how.off}`;
			return {};
		};
		connection.iceConnectionState = 'failed';
		connection.dispatchEvent(new Event('iceconnectionstatechange'));
		await back;
		calls.stop();
		return [phone.how, ...log.map(({ type, detail }) => [type, detail.held, detail.muted, detail.videoMuted, detail.screen, detail.start instanceof Date].join(' '))];
	}, ANSWER);
	assert.deepEqual(seen, ['audio,video video', 'resuming false false true false true', 'resumed false false true false true']);
});

for (const role of ['has called', 'was called']) {
	for (const change of ['nothing', 'hold', 'ICE', 'a camera']) {
		test(`a page that ${role}, and offers anew (${change}): the answer of another media server is not for its connection, but begins a resume`, async () => {
			const seen = await page.evaluate(async ([ANSWER, caller, what]) => {
				const [one, server, other] = [0, 1, 2].map(() => new RTCPeerConnection());
				const agree = async (from, to) => {
					await from.setLocalDescription();
					await to.setRemoteDescription(from.localDescription);
					await to.setLocalDescription();
					await from.setRemoteDescription(to.localDescription);
				};
				const begin = caller ? one : server;
				begin.addTransceiver('audio');
				await agree(begin, caller ? server : one);
				const { calls, phone } = await window.sendingTracks(ANSWER, [], {}, one);
				const found = [];
				let times = 0;
				phone.call = () => {
					times++;
					return new Promise(() => {});
				};
				await agree(one, server);
				found.push(times);
				const before = one.currentRemoteDescription.sdp;
				if (what === 'hold') one.getTransceivers()[0].direction = 'sendonly';
				if (what === 'ICE') one.restartIce();
				if (what === 'a camera') one.addTransceiver('video');
				await agree(one, other);
				await new Promise((resolve) => { setTimeout(resolve); });
				found.push(times, one.signalingState, one.currentRemoteDescription.sdp === before);
				calls.stop();
				for (const connection of [one, server, other]) connection.close();
				return found;
			}, [ANSWER, role === 'has called', change]);
			assert.deepEqual(seen, [0, 1, 'stable', true]);
		});
	}
}

test('SIP.js: who asks again after the WebSocket was lost captures nothing more', async () => {
	const seen = await page.evaluate(async (ANSWER) => {
		const { resumeSIPjs } = await import('/call-resume.js');
		let changed;
		const agent = {
			configuration: { uri: { user: 'alice' } }, state: 'Started', isConnected: () => true,
			transport: { onMessage() {}, async send() {}, stateChange: { addListener(act) { changed = act; } } }, userAgentCore: {},
		};
		const store = { local: true, load: async () => [], async save() {}, async remove() {} };
		const calls = resumeSIPjs(agent, { Inviter: class {}, store, call: { sessionDescriptionHandlerOptions: { constraints: { audio: true, video: true } } } });
		const asked = new Promise((resolve) => {
			calls.add({ request: { callId: 'c1' }, stateChange: { addListener() {} }, invite: async (options) => resolve(options) });
		});
		agent.transport.onMessage(ANSWER);
		changed('Disconnected');
		changed('Connected');
		const { sessionDescriptionHandlerOptions: { constraints } } = await asked;
		calls.stop();
		return constraints ?? 'those that there are';
	}, ANSWER);
	assert.equal(seen, 'those that there are');
});
