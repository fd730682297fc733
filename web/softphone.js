// SPDX-License-Identifier: MIT
// The softphone: sign in, register, and keep the calls. What makes them survive a reload
// is call-resume.js; what is here shows it.

import JsSIP from '/bundle/jssip.js';
import { browserStore, resumeJsSIP } from '/bundle/call-resume.js';
import { readMessage } from './call-resume/message.js';
import { hasCandidates } from './call-resume/shared.js';
import { forgetCertificate, keptCertificate } from './certificate.js';
import { session as webSession, signIn, signOut } from './portal.js';
import { Call, callerOf, user as userOf } from './softphone/call.js';
import { arrange, keys } from './softphone/card.js';
import * as chosen from './softphone/chosen.js';
import { asked, socket } from './softphone/early.js';
import { firstAudio } from './softphone/media.js';
import { ringing } from './softphone/rings.js';
import { sound } from './softphone/tones.js';
import { whyNot } from './softphone/words.js';

const $ = (id) => document.getElementById(id);
const root = document.documentElement;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const CALLS_MAX = 2;
/** What has no answer after that long, in milliseconds, is not only slow. */
const LATE = 1_500;
/** Cards of missed calls; who calls and hangs up again and again has one of them. */
const MISSED_MAX = 3;

// ---- what is said ---------------------------------------------------------

function say(text, where = 'say') {
	$(where).textContent = text;
}

let late;

/** What is at the top of the page. What says that it connects does not say so for long. */
function status(is, text) {
	clearTimeout(late);
	if (is === 'connecting') late = setTimeout(() => status('lost', 'Reconnecting…'), LATE);
	$('status').dataset.is = is;
	$('status-text').textContent = text;
}

const view = (name) => { root.dataset.view = name; };

// ---- signing in -----------------------------------------------------------

/** The web session, asked for until there is an answer. */
async function ask(first = webSession()) {
	for (let attempt = 0; ; attempt++) {
		try {
			return await (attempt ? webSession() : first);
		} catch {
			await sleep(Math.min(4000, 500 * 2 ** attempt));
		}
	}
}

function form() {
	// first.js has found somebody who was here.
	if (root.dataset.view === 'phone') $('sign-in-why').textContent = 'Your last session is over.';
	view('sign-in');
	status('out', 'Signed out');
	$('user').focus();
	const button = $('sign-in').querySelector('button');
	button.disabled = false;
	return new Promise((resolve) => {
		$('sign-in').onsubmit = async (event) => {
			event.preventDefault();
			button.disabled = true;
			say('', 'sign-in-error');
			const noAnswer = setTimeout(() => say('The service does not answer yet. Trying again…', 'sign-in-error'), LATE);
			try {
				const portal = await signIn($('user').value.trim().toLowerCase(), $('password').value);
				if (portal) return resolve(portal);
				say('Wrong user or password.', 'sign-in-error');
				$('password').select();
			} catch (e) {
				say(e instanceof TypeError ? 'The service cannot be reached.' : `${e.message}.`, 'sign-in-error');
			} finally {
				clearTimeout(noAnswer);
				button.disabled = false;
			}
			return undefined;
		};
	});
}

async function enter() {
	status('connecting', 'Connecting…');
	const portal = await ask(asked) ?? await form();
	$('password').value = '';
	remember(userOf(portal.user));
	view('phone');
	status('connecting', 'Connecting…');
	return portal;
}

/** For first.js, at the next reload. */
function remember(user) {
	try {
		// Calls of somebody else, who was here before, are not shown.
		if (localStorage.getItem('softphone user') !== user) $('calls').replaceChildren();
		localStorage.setItem('softphone user', user);
	} catch { /* the next reload asks again */ }
}

// ---- the phone ------------------------------------------------------------

const portal = await enter();
const me = userOf(portal.user);
const domain = portal.user.replace(/^.*@/, '');
chosen.load(`${me}@${domain}`);
const devicesKnown = chosen.look();
// Where the gateway binds calls to the certificate of their media, this browser keeps one.
const own = portal.bind ? await keptCertificate(me) : undefined;
const extraHeaders = own ? [own.header] : [];
const pcConfig = { iceServers: portal.ice_servers, ...own && { certificates: [own.certificate] } };
const ua = new JsSIP.UA({
	sockets: [socket?.url === portal.websocket ? socket : new JsSIP.WebSocketInterface(portal.websocket)],
	uri: portal.user,
	authorization_jwt: `Bearer ${portal.token}`,
	connection_recovery_min_interval: 1,
	connection_recovery_max_interval: 4,
	// A session timer would end a call whose page is away for longer than its 90 seconds.
	session_timers: false,
});

/** Options for ua.call() and session.answer(). */
const options = (video) => ({
	mediaConstraints: { audio: chosen.constraint('audioinput'), video: video && chosen.constraint('videoinput') },
	pcConfig,
	extraHeaders,
	// The gateway learns further candidates from the checks that come from them.
	eventHandlers: { icecandidate({ ready }) { if (hasCandidates(this.connection)) ready(); } },
});

/** Take what a fresh web session brings. */
function use(fresh) {
	ua.set('authorization_jwt', `Bearer ${fresh.token}`);
	pcConfig.iceServers = fresh.ice_servers;
	return fresh.token;
}

/** A new token in good time, for as long as the web session lasts. */
async function keepToken({ expires }) {
	await sleep(Math.max(1000, (expires * 1000 - Date.now()) * 0.8));
	const fresh = await ask();
	if (!fresh) return sessionOver();
	use(fresh);
	return keepToken(fresh);
}

let over = false;

/** Who is no longer signed in may end the calls that are up. */
function sessionOver() {
	over = true;
	layOut();
	status('lost', 'Signed out');
}

const calls = resumeJsSIP(ua, {
	call: async () => {
		await devicesKnown;
		return { ...options(true), eventHandlers: {} };
	},
	token: async () => {
		const fresh = await webSession();
		if (fresh) return use(fresh);
		sessionOver();
		throw new Error('the web session is over');
	},
});

/** A part of the page that no call waits for: loaded when it is used, or when the page is at rest.
 * @param begin  is given the module, once */
function part(file, begin = () => {}) {
	let loading;
	return () => loading ??= import(file).then((module) => {
		begin(module);
		return module;
	}).catch((e) => {
		loading = undefined; // no network: the next use tries again
		throw e;
	});
}
const parts = {
	transfer: part('./softphone/transfer.js'),
	video: part('./softphone/video.js'),
	devices: part('./softphone/devices.js', (devices) => devices.listen(phone)),
	notify: part('./softphone/notify.js', (notify) => {
		notify.listen(say);
		offerNotifications = notify.offer;
		layOut();
	}),
	history: part('./softphone/history.js', (history) => history.open(`${me}@${domain}`, (number) => dial(number, false))),
};
let offerNotifications;

/** All of them, when no call is on its way back: so that they are there when there is no network. */
function atRest() {
	if (ua.isRegistered() && !live().some((call) => call.state === 'resuming')) for (const load of Object.values(parts)) load().catch(() => {});
}

const all = new Set();
const live = () => [...all].filter((call) => call.live);

const phone = {
	...parts,
	calls,
	options,
	say,
	live,
	play: chosen.play,
	replacing: new WeakSet(), // sessions that take the place of another one
	callerOf: (session) => callerOf(session.remote_identity, domain),
	isOurs: (uri) => uri.host === domain,
	address: (text) => text.replaceAll(/[\s()]/g, ''),
	full: () => live().length >= CALLS_MAX,
	/** Whom a call could be connected with. */
	other: (call) => live().find((one) => one !== call && one.state === 'up'),
	dial: (number, video) => dial(number, video),
	/** A call that the library places. */
	place(session, data) {
		const call = new Call(phone, { state: 'calling', data: { ...data, start: Date.now() } });
		all.add(call);
		call.begin(session);
		layOut();
		return call;
	},
	changed(call) {
		call.rang ||= call.state === 'incoming';
		if (call.rang) parts.notify().then((notify) => notify.tell(call), () => {});
		if (call.state === 'over' && !call.ended) finished(call);
		call.ended = call.state === 'over';
		layOut();
		atRest();
	},
	/** Talk to this one. */
	async focus(call) {
		phone.holdOthers(call);
		await call.hold(false);
	},
	/** @returns {Promise<void[]>}  when their other sides have been told */
	holdOthers(call) {
		return Promise.all(live().filter((other) => other !== call && other.state === 'up').map((other) => other.hold(true)));
	},
	again(call) {
		phone.close(call);
		dial(call.number, false);
	},
	close(call) {
		// It would be tried again otherwise, and the other side is waiting.
		if (call.retry) calls.end(call.id);
		call.card.remove();
		all.delete(call);
		layOut();
	},
};

/** Which card is large, in which order they are, what sounds, and what the title says. */
function layOut() {
	const now = live();
	if (over && !all.size) setTimeout(() => location.reload(), 500); // after the BYE
	const by = (...states) => now.find((c) => states.includes(c.state) && !c.held);
	const rings = by('incoming');
	const main = by('answering', 'calling', 'ringing', 'up') ?? rings ?? by('resuming') ?? now[0];
	const order = (call) => (call === rings ? 0 : call === main ? 1 : call.state === 'over' ? 3 : 2);
	arrange([...all].sort((a, b) => order(a) - order(b)).map((call) => call.card));
	for (const call of all) {
		call.compact = call.state === 'waiting' || call.live && call !== main;
		call.card.show(call);
	}
	root.toggleAttribute('data-busy', now.length > 0);
	$('add-call').hidden = now.length >= CALLS_MAX || now.some((c) => !['up', 'waiting'].includes(c.state));
	if (!now.length) openDialer(false);
	const up = now.some((c) => ['up', 'answering'].includes(c.state));
	sound(rings ? (up ? 'knock' : 'ring') : now.some((c) => c.state === 'ringing' && !c.plays) ? 'ringback' : undefined);
	const title = rings ?? main;
	document.title = title ? `${rings ? 'Incoming call: ' : ''}${title.who} · Softphone` : 'Softphone';
	offerNotifications?.(!now.length);
}

async function finished(call) {
	const { was, ours, missed, text, who, number, retry } = call;
	say(ours ? 'Call ended' : `${who}: ${text}`);
	// One that may still be there is not over.
	if (number && !retry) parts.history().then((history) => history.keep(call), () => {});
	if (missed) makeRoom(({ missed: too }) => too);
	// What the user has done needs no word; other ends stay to be read, failures until closed.
	if (ours) phone.close(call);
	else if (was === 'up') {
		await sleep(6000);
		if (all.has(call)) phone.close(call);
	}
}

/** Cards of calls that are over go; of missed calls the last one of each caller stays, and few in all. */
function makeRoom(which = () => true) {
	const callers = new Set();
	for (const call of [...all].reverse()) {
		if (call.state !== 'over' || call.retry || !which(call)) continue;
		if (!call.missed || callers.has(call.number) || callers.size === MISSED_MAX) phone.close(call);
		else callers.add(call.number);
	}
}

function dial(number, video) {
	const target = number.trim();
	say('', 'dial-error');
	if (!target) return $('number').focus();
	if (live().length >= CALLS_MAX) return say('Two calls at once are all this phone can do.', 'dial-error');
	for (const old of all) if (old.state === 'over' && !old.retry) phone.close(old);
	let session;
	try {
		session = ua.call(phone.address(target), options(video));
	} catch {
		return say('That is neither a name nor a number.', 'dial-error');
	}
	const call = phone.place(session, { name: target, number: target });
	phone.holdOthers(call);
	$('number').value = '';
	openDialer(false);
	say(`Calling ${target}`);
	return undefined;
}

// ---- calls that come in, and back -----------------------------------------

const heard = new WeakMap(); // session: when it was first heard

ua.on('newRTCSession', ({ originator, session, request }) => {
	// One that we place is in dial(). One that the library places brings a call back.
	if (originator === 'local') {
		if (request.hasHeader('Call-State')) heard.set(session, firstAudio(session.connection, 20_000));
		return;
	}
	if (phone.replacing.has(session)) return;
	const who = phone.callerOf(session);
	// Both ends had lost the call, and the other one was first to call again: the helper takes it.
	if (readMessage(request.data)?.one('call-state-id') && live().some((call) => call.state === 'resuming' && call.number === who.number)) return;
	if (phone.full()) return session.terminate({ status_code: 486 });
	makeRoom();
	const call = new Call(phone, {
		state: 'incoming', offersVideo: /\nm=video [1-9]/.test(request.body ?? ''), data: { ...who, incoming: true },
	});
	all.add(call);
	call.begin(session);
	phone.changed(call);
	call.card.focus();
	say(`Incoming call from ${call.who}`, 'alarm');
});

const byId = (id) => [...all].find((call) => call.id === id);

/** The call of that name in the storage. */
function kept(id, data, state) {
	const call = byId(id) ?? new Call(phone, { id, state, data });
	all.add(call);
	return call;
}

calls.addEventListener('resuming', ({ detail: { id, data, held, muted } }) => {
	const call = [...all].find((c) => c.state === 'up' && data && c.number === data.number && c.start === data.start)
		?? kept(id, data, 'resuming');
	// Of a page that was alive all the time: its session goes on until there is a new one.
	Object.assign(call, { id, before: call.session, session: undefined });
	call.set({ state: 'resuming', held, muted, text: undefined, retry: false });
	say('Coming back to your call');
});
calls.addEventListener('ringing', ({ detail: { id, data, session } }) => kept(id, data, 'resuming').ringsOn(session));
calls.addEventListener('resumed', ({ detail }) => {
	say('You are back in the call');
	kept(detail.id, detail.data, 'resuming').back(detail.session, detail, heard.get(detail.session));
});
calls.addEventListener('failed', ({ detail: { id, data, error } }) => {
	const call = kept(id, data, 'resuming');
	if (error.reason === 'canceled') return phone.close(call);
	if (call.before && !call.before.isEnded()) {
		return call.set({ session: call.before, state: 'up', line: `The connection is not good: ${error.message}` });
	}
	return call.set({
		state: 'over', was: error.reason === 'unanswered' ? 'ringing' : 'resuming', text: error.reason === 'unanswered' ? whyNot(error.status) : error.message, retry: !error.final,
	});
});
const ofSession = (session) => [...all].find((call) => call.session === session);
calls.addEventListener('lost', ({ detail }) => ofSession(detail.session)?.alone(true));
calls.addEventListener('connected', ({ detail }) => ofSession(detail.session)?.alone(false));
calls.addEventListener('waiting', ({ detail: { id, data } }) => kept(id, data, 'waiting').set({ state: 'waiting' }));
// The other tab has hung up.
addEventListener('storage', ({ key, newValue }) => {
	const call = newValue === null && byId(key?.split(' ').pop());
	if (call?.state === 'waiting') phone.close(call);
});

// ---- the connection -------------------------------------------------------

const elsewhere = () => status('elsewhere', `${me}, rings in another window`);
const rings = ringing(`softphone rings ${portal.user}`, { elsewhere, again: registerAgain });
function registered() {
	rings.registered();
	status('on', me);
	atRest();
}
/** The library does not tell that a registration was renewed. */
function registerAgain() {
	ua.register();
	registered();
}
ua.on('registered', registered);
// What another tab has registered since is not taken from it.
ua.on('registrationExpiring', () => { if (rings.here) registerAgain(); });
ua.on('connecting', () => { if ($('status').dataset.is !== 'connecting') status('lost', 'Reconnecting…'); });
ua.on('disconnected', () => status('lost', 'Reconnecting…'));
ua.on('registrationFailed', ({ response }) => {
	if (response?.status_code !== 401) status('lost', 'Not connected');
});
// A user is registered from one tab, the last one: that shall be the one in front.
document.addEventListener('visibilitychange', () => { if (!document.hidden && ua.isConnected()) registerAgain(); });
addEventListener('offline', () => status('lost', 'No network: reconnecting…'));
addEventListener('online', () => {
	if (!ua.isRegistered() || !ua.isConnected()) return;
	if (rings.here) status('on', me);
	else elsewhere();
});

// ---- dialling -------------------------------------------------------------

function openDialer(open) {
	root.toggleAttribute('data-dialer', open);
	$('add-call').setAttribute('aria-expanded', open);
	if (open) $('number').focus();
}

keys($('keys'), (key) => {
	$('number').value += key;
});
$('erase').onclick = () => {
	$('number').value = $('number').value.slice(0, -1);
	$('number').focus();
};
$('dial').onsubmit = (event) => {
	event.preventDefault();
	dial($('number').value, false);
};
$('video-call').onclick = () => dial($('number').value, true);
$('add-call').onclick = () => openDialer(!root.hasAttribute('data-dialer'));

// ---- settings -------------------------------------------------------------

$('settings-open').onclick = async () => {
	const [devices, notify] = await Promise.all([parts.devices(), parts.notify()]);
	notify.state();
	devices.openSettings(phone);
};

// ---- leaving --------------------------------------------------------------

async function leave() {
	status('out', 'Signing out…');
	// BYEs and the end of the registration leave before the session ends.
	const gone = new Promise((resolve) => { ua.on('disconnected', resolve); });
	// The library may not find a session any more: it keeps them under names that others give.
	for (const call of live()) call.hangUp();
	ua.stop();
	await Promise.race([gone, sleep(3000)]);
	calls.stop();
	await signOut().catch(() => {});
	await forgetCertificate(me);
	// What could not be hung up is nobody's any more.
	const kept = browserStore(`${me}@${domain}`);
	for (const [id] of await kept.load()) await kept.remove(id).catch(() => {});
	for (const key of Object.keys(localStorage).filter((one) => one.startsWith('softphone '))) localStorage.removeItem(key);
	location.reload();
}

$('sign-out').onclick = () => (live().length ? $('leave').showModal() : leave());
$('leave').onclose = () => { if ($('leave').returnValue === 'leave') leave(); };

// ---- and go ---------------------------------------------------------------

setInterval(() => { for (const call of all) call.card.tick(); }, 500);
setInterval(() => {
	if (!document.hidden) for (const call of all) call.meter();
}, 120);
layOut();
ua.registrator().setExtraHeaders(extraHeaders);
ua.start();
keepToken(portal);
