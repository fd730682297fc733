// SPDX-License-Identifier: GPL-2.0-or-later
// A far end that decodes what it gets, and looks at the sequence numbers, hears a client that has come back.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { Asterisk } from '../lib/asterisk.mjs';
import { Browser } from '../lib/browser.mjs';
import { Integrated } from '../lib/integrate.mjs';
import { LANGUAGES, withSteps } from '../integrate/kemi.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { FarEnd } from '../lib/sip.mjs';
import { PCMA, PCMU, Voice, heard, pitch, sdp } from '../lib/voice.mjs';
import { WebStack } from '../lib/webstack.mjs';
import { audioPort } from '../lib/rtp.mjs';
import { until } from '../lib/wait.mjs';

const RESUMES = 20;
/** What the microphone of tests/lib/browser.mjs hums. */
const HUM = 440;

/** Who is called, in which law of G.711, and how one knows that a pitch was heard. */
const HEARERS = {
	'Record()': { service: 'record', law: PCMA },
	'a bridge of A-law and u-law': { service: 'phone', law: PCMU },
	'ConfBridge()': { service: 'conference', law: PCMU },
};

/** Call and come back by hand; every new stream begins behind the old one, where a browser may begin. */
function clients(what, { steps, quiet = 0, resumes, hears, start = () => Stack.start('farends-heard', { defines: { RESUME_STEPS: steps, RESUME_QUIET: quiet } }) }) {
	describe(what, () => {
		let stack, asterisk, phone, token;
		let open = [];
		const keep = (s) => (open.push(s), s);
		before(async () => {
			stack = await start();
			token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
			asterisk = await Asterisk.start(stack);
			({ phone } = asterisk);
		});
		afterEach(async () => {
			open.splice(0).forEach((s) => s.close());
			await stack.dropMedia();
		});
		after(async () => {
			await asterisk?.stop();
			await stack?.stop();
		});

		/** A life of alice, with a voice. */
		async function alice(law) {
			const voice = keep(await Voice.open({ law }));
			const client = keep(await FarEnd.open({
				user: 'alice', token, to: { ip: stack.kamailio.ip, port: stack.kamailio.port },
			}));
			return Object.assign(client, { voice, describe: () => sdp(voice) });
		}

		/** The n-th life speaks. */
		const speak = (one, n, body) => {
			phone.voice.forget();
			one.voice.speak({ port: audioPort(body) }, { hertz: pitch(n), seq: 30000 - 1200 * n });
		};
		const byPhone = (n) => until('the phone to hear it', () => phone.voice.hears(pitch(n)), { timeout_ms: hears ? 6000 : 1500 })
			.then(() => true, () => false);
		const spoke = (one) => until('it to have spoken', () => one.voice.sent > 25);

		/** How many resumes Asterisk got no re-INVITE for. */
		const unasked = async () => Number(/resumes_quiet: (\d+)/.exec(await stack.kamailio.kamcmd('call_resume.stats'))[1]);

		/** Be lost and come back; which of the lives were not heard, as far as that is known now. */
		async function live(one, dialog, { state, law, service, body }) {
			const lost = [];
			const before = await unasked();
			for (let n = 0; ; n++) {
				speak(one, n, body);
				if (service === 'record') await spoke(one);
				else if (!await byPhone(n)) lost.push(n);
				if (n === resumes) break;
				one.close();
				one.voice.close();
				one = await alice(law);
				dialog = await one.call({ state, service, body: sdp(one.voice) });
				assert.equal(dialog.final.status, 200, dialog.final.start);
				({ state, final: { body } } = dialog);
			}
			assert.equal((await dialog.request('BYE')).status, 200);
			assert.equal(await unasked() - before, quiet ? resumes : 0, stack.kamailio.log().match(/the far end is asked.*/)?.[0]);
			return lost;
		}

		const nearly = (lost) => assert.deepEqual(lost, hears ? [] : Array.from({ length: resumes }, (_, i) => i + 1));

		for (const [name, { service, law }] of Object.entries(HEARERS)) {
			test(`${name}, after each of ${resumes} resumes: ${hears ? 'heard' : 'not heard'}`, async () => {
				let inside;
				if (service === 'conference') {
					inside = await phone.call({ service, body: sdp(phone.voice) });
					phone.voice.speak({ ip: TRUNK_IP, port: audioPort(inside.final.body) }, { hertz: 100 });
				}
				const one = await alice(law);
				const call = await one.call({ service, body: sdp(one.voice) });
				assert.equal(call.final.status, 200, call.final.start);
				const lost = await live(one, call, { state: call.state, law, service, body: call.final.body });
				phone.voice.hush();
				await inside?.request('BYE');
				if (service !== 'record') return nearly(lost);
				// It is written a moment after the call is over.
				const all = Array.from({ length: resumes + 1 }, (_, n) => n);
				const unheard = () => all.filter((n) => !heard(asterisk.recorded(), pitch(n)));
				await until('the recording', () => unheard().length <= (hears ? 0 : resumes), { timeout_ms: 5000 }).catch(() => {});
				nearly(unheard());
			});
		}

		test(`Asterisk calls, and bridges A-law and u-law, after each of ${resumes} resumes: ${hears ? 'heard' : 'not heard'}`, async () => {
			const one = await alice(PCMU);
			assert.equal((await one.register()).status, 200);
			const call = await phone.call({ service: 'alice', body: sdp(phone.voice) });
			assert.equal(call.final.status, 200, call.final.start);
			const invite = await one.take('the INVITE', (m) => m.method === 'INVITE');
			await one.take('the ACK', (m) => m.method === 'ACK');
			const state = `${invite.get('call-state')};tag=${/;tag=(.*)/.exec(one.dialog(invite.callId).local)[1]}`;
			nearly(await live(one, one.dialog(invite.callId), { state, law: PCMU, service: 'phone', body: invite.body }));
		});
	});
}

clients('without steps', { steps: 0, resumes: 2, hears: false });
clients('with steps', { steps: 2, resumes: RESUMES, hears: true });
clients('without a re-INVITE', { steps: 2, quiet: 1, resumes: RESUMES, hears: true });
for (const language of Object.keys(LANGUAGES)) {
	clients(`routes in ${language}`, { resumes: RESUMES, hears: true, start: () => Integrated.start(`heard-${language}`, withSteps(language)) });
}

describe('pages, as they are by default', () => {
	let stack, asterisk, phone, chromium;
	before(async () => {
		stack = await WebStack.start('farends-heard-pages', { echo: false });
		asterisk = await Asterisk.start(stack);
		({ phone } = asterisk);
		chromium = await Browser.start();
	});
	after(async () => {
		await chromium?.close();
		await asterisk?.stop();
		await stack?.stop();
	});

	/** Whether the hum is in what comes from now on. */
	const hears = {
		phone: () => (phone.voice.forget(), until('the phone to hear it', () => phone.voice.hears(HUM))),
		record: () => {
			const { length } = asterisk.recorded();
			return until('the recording to have it', () => heard(asterisk.recorded().subarray(length), HUM));
		},
	};

	for (const library of ['jssip', 'sipjs']) {
		for (const [name, { service }] of Object.entries(HEARERS)) {
			test(`${library}: ${name}, after each of ${RESUMES} reloads`, async () => {
				const browser = await chromium.another();
				let inside;
				if (service === 'conference') {
					inside = await phone.call({ service, body: sdp(phone.voice) });
					phone.voice.speak({ ip: TRUNK_IP, port: audioPort(inside.final.body) }, { hertz: 100 });
				}
				try {
					const tab = await stack.signedIn(browser, library);
					await tab.dial(service);
					await tab.up();
					const listen = hears[service === 'record' ? 'record' : 'phone'];
					const lost = [];
					for (let n = 0; n <= RESUMES; n++) {
						if (n) await tab.page.reload();
						await tab.up();
						await listen().catch(() => lost.push(n));
					}
					assert.deepEqual(lost, []);
					await tab.click('hangup');
					await tab.up(0);
				} finally {
					phone.voice.hush();
					await inside?.request('BYE');
					await browser.close();
					await stack.dropMedia();
				}
			});
		}
	}
});
