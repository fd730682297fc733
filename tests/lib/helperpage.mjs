// SPDX-License-Identifier: GPL-2.0-or-later
// call-resume.js in a page without a gateway: a library that answers as a test says, and messages
// as the gateway sends them.

import path from 'node:path';
import { after, before } from 'node:test';

import { Browser } from './browser.mjs';
import { ROOT } from './kamailio.mjs';

const WEB = path.join(ROOT, 'web');
const PATIENCE_MS = 30_000;

/** A message as the gateway sends it, of the call c1 to alice unless the fields say else. */
export const sip = (start, cseq, fields = [], { from = '<sip:bob@example.org>;tag=b', to = '<sip:alice@example.org>', callId = 'c1' } = {}) => [
	start, 'Via: SIP/2.0/WSS a.invalid;branch=z9hG4bK1', `From: ${from}`, `To: ${to}`, `Call-ID: ${callId}`, `CSeq: ${cseq}`, ...fields, '', '',
].join('\r\n');
export const INVITE = 'INVITE sip:alice@a.invalid SIP/2.0';
export const OK = 'SIP/2.0 200 OK';
export const ID = 'Call-State-Id: abc';
export const ANSWER = sip(OK, '1 INVITE', ['Call-State: x']);
export const CALLED = sip(INVITE, '1 INVITE', ['Call-State: x']);
export const ACK = sip('ACK sip:alice@a.invalid SIP/2.0', '1 ACK', [], { to: '<sip:alice@example.org>;tag=1' });

/** What is run in the page, and waits there for what never comes, fails. */
function bounded(page) {
	const evaluate = page.evaluate.bind(page);
	page.evaluate = (...args) => Promise.race([evaluate(...args), new Promise((_, reject) => {
		setTimeout(() => reject(new Error(`the page is not done after ${PATIENCE_MS} ms`)), PATIENCE_MS).unref();
	})]);
}

/** In the page: a call of alice with bob that both ends have lost, whose state this web session can open. Its resume is
 * refused for a while, because the other page is away too. */
const bothLost = async ({ keyed = true, peer = 'sip:bob@example.org' } = {}) => {
	const b64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
		.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
	const utf8 = (text) => new TextEncoder().encode(text);
	const raw = crypto.getRandomValues(new Uint8Array(32));
	const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt']);
	const head = b64(utf8('{"alg":"dir","enc":"A256GCM","kid":"k1"}'));
	const iv = new Uint8Array(12);
	const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: utf8(head) }, key,
		utf8(JSON.stringify({ id: 'abc', remote_uri: peer ?? undefined, start: 1, exp: 2 }))));
	const jwe = [head, '', b64(iv), b64(sealed.slice(0, -16)), b64(sealed.slice(-16))].join('.');
	const store = {
		local: true, all: new Map([['one', JSON.stringify({ state: jwe, held: true })]]),
		async load() { return [...this.all]; }, async save(id, text) { this.all.set(id, text); }, async remove(id) { this.all.delete(id); },
	};
	const answers = Array(99).fill({ status: 491, away: true });
	const helper = window.helper({ store, patience: 20_000, answers });
	const keys = `Call-State-Key: kid=k1;key=${b64(raw)};exp=9`;
	if (keyed) helper.phone.report.receive(window.sip('SIP/2.0 200 OK', '1 REGISTER', [keys], { callId: 'r' }));
	while (!helper.log.some(({ type }) => type === 'resuming')) await new Promise((resolve) => { setTimeout(resolve, 5); });
	return { ...helper, jwe, keys };
};

/** In the page: a call that is up, whose connection has these tracks, or is that one; of(names) is what its record has of them. */
const sendingTracks = async (ANSWER, tracks, kept = {}, real = undefined) => {
	const helper = window.helper({ answers: [], ...kept });
	const connection = real ?? Object.assign(new EventTarget(), {
		signalingState: 'stable', iceConnectionState: 'connected', getSenders: () => tracks.map((track) => ({ track })),
		getTransceivers: () => tracks.map((track) => ({ direction: 'sendrecv', receiver: { track } })), async setRemoteDescription() {},
	});
	const session = {};
	helper.phone.connection = (one) => (one === session ? connection : undefined);
	helper.phone.report.began('c1', session);
	helper.phone.report.receive(ANSWER);
	const of = () => {
		helper.calls.remember(session, {});
		const { sends, off, screen, muted, videoMuted, held } = JSON.parse([...helper.store.all.values()][0]);
		return [sends.join(), off.join(), screen, muted, videoMuted, held].map((one) => one || '-').join(' ');
	};
	return { ...helper, connection, session, of };
};

/** In the page: a helper with a library that gives these answers, each once; log: its events. */
const helper = async () => {
	const { CallResume } = await import('/call-resume.js');
	window.helper = ({ answers = [], online = true, kept = [], tokenFails, ...options }) => {
		if (tokenFails) options.token = async () => { throw new Error('not now'); };
		const log = [];
		const phone = {
			user: 'alice', calls: 0,
			attach(report) { phone.report = report; },
			connected: () => online,
			async prepare() {}, prepared() {}, connection() {}, paused() {}, useToken() {}, useCall() {}, drop() {}, hangUp() { phone.hungUp = true; },
			async call(how, started) {
				phone.calls++;
				phone.media = how.media;
				started(`call ${phone.calls}`);
				const answer = answers.shift() ?? { status: 500 };
				if (answer === 200) return {};
				if (answer === 'never') {
					phone.report.began(`call ${phone.calls}`, {});
					await new Promise(() => {});
				}
				throw answer;
			},
		};
		const store = {
			local: true, all: new Map(kept.map((one) => (typeof one === 'string' ? [one, '{"state":"x"}'] : one))),
			async load() { return [...this.all]; },
			async save(id, text) { this.all.set(id, text); },
			async remove(id) { this.all.delete(id); },
		};
		const calls = new CallResume(phone, { store, patience: 0, ...options });
		for (const type of ['resuming', 'resumed', 'failed', 'storeerror', 'tokenerror']) {
			calls.addEventListener(type, ({ detail }) => log.push({ type, detail }));
		}
		return { calls, phone, store: options.store ?? store, log };
	};
};

export let browser;
export let page;

/** To be called once in a file. */
export function helperTests() {
	before(async () => {
		browser = await Browser.start();
		await browser.context.route('https://page.test/**', (route) => {
			const file = path.join(WEB, new URL(route.request().url()).pathname);
			return file.endsWith('.js') ? route.fulfill({ path: file })
				: route.fulfill({ contentType: 'text/html', body: '<!doctype html>' });
		});
		({ page } = await browser.open('https://page.test/'));
		bounded(page);
		await page.evaluate(`Object.assign(window, { sip: ${sip}, bothLost: ${bothLost}, sendingTracks: ${sendingTracks} }); (${helper})()`);
	});
	after(() => browser?.close());
}
