// SPDX-License-Identifier: GPL-2.0-or-later
// From the RTP sequence numbers of a client's last life to those of the next, where the routes are in Lua or in Python:
// as tests/sip/steps.test.mjs has it for resume.cfg.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { Integrated } from '../lib/integrate.mjs';
import { FarEnd } from '../lib/sip.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { Voice, pitch, sdp } from '../lib/voice.mjs';
import { audioPort } from '../lib/rtp.mjs';
import { until } from '../lib/wait.mjs';
import { LANGUAGES, withSteps } from './kemi.mjs';

for (const language of Object.keys(LANGUAGES)) {
	describe(language, () => {
		let stack;
		const open = [];
		before(async () => { stack = await Integrated.start(`steps-${language}`, withSteps(language)); });
		after(async () => {
			open.forEach((s) => s.close());
			await stack?.stop();
		});

		async function party(options) {
			const voice = await Voice.open({ ip: options.ip });
			const one = await FarEnd.open({ to: { ip: stack.kamailio.ip, port: stack.kamailio.port }, ...options });
			open.push(voice, one);
			return Object.assign(one, { voice, describe: () => sdp(voice) });
		}

		test('three packets before all others, then the client, in one re-INVITE', async () => {
			const bob = await party({ ip: TRUNK_IP, port: stack.trunkPort });
			const token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
			const one = await party({ user: 'alice', token });
			const call = await one.call({ body: one.describe() });
			assert.equal(call.final.status, 200, call.final.start);
			one.voice.speak({ port: audioPort(call.final.body) }, { hertz: pitch(0), seq: 30000, ssrc: 1 });
			await until('the far end to hear it', () => bob.voice.streams.get(1)?.length > 10);
			one.close();
			one.voice.close();
			const two = await party({ user: 'alice', token });
			bob.voice.forget();
			const back = await two.call({ state: call.state, body: two.describe() });
			assert.equal(back.final.status, 200, back.final.start);
			two.voice.speak({ port: audioPort(back.final.body) }, { hertz: pitch(1), seq: 20000, ssrc: 2 });
			await until('the far end to hear it', () => bob.voice.streams.get(2)?.length > 10);
			const [[, first], [ssrc, second], ...more] = [...bob.voice.streams].filter(([of]) => of !== 1);
			assert.deepEqual([first, ssrc, second[0], more], [[21845, 43690, 65535], 2, 20000, []]);
			const ports = bob.requests.filter((m) => m.method === 'INVITE').map((m) => audioPort(m.body));
			assert.equal(ports.length, 2);
			assert.equal(ports[0], ports[1], 'they come from where all comes from');
			assert.equal((await back.request('BYE')).status, 200);
			await stack.noMedia();
		});
	});
}
