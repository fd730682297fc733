// SPDX-License-Identifier: GPL-2.0-or-later
// A page with a call loses its WebSocket and nothing else: audio goes on meanwhile, and
// signalling comes back by itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { enable } from '../lib/browser.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, stack, webTests } from '../lib/webtests.mjs';

webTests('browser-alive');

/** How the connection is cut; what runs while it is. */
const cuts = {
	'nginx is stopped and started': async (meanwhile) => {
		await stack.web.stop();
		await meanwhile();
		await stack.web.boot();
	},
	'Kamailio closes the WebSocket': async (meanwhile) => {
		const [, id] = /^\s*(\d+): /m.exec(await stack.kamailio.kamcmd('ws.dump'));
		await stack.kamailio.kamcmd('ws.close', id);
		await meanwhile();
	},
};

const refreshed = (call, times = 1) => until('the call to be refreshed', () => call.far.reinvites === times, { timeout_ms: 40000 });

for (const [i, library] of ['jssip', 'sipjs'].entries()) {
	for (const [j, [what, cut]] of Object.entries(cuts).entries()) {
		for (const [k, role] of ['caller', 'callee'].entries()) {
			const by = (i + j + k) % 2 ? 'page' : 'far';
			test(`${library}, ${role}: ${what}, then ${by === 'far' ? 'the far end' : 'the page'} hangs up`, async () => {
				const call = await WebCall.up(stack, browser, { library, role });
				const { count } = await call.tab.media();
				await cut(() => call.talks());
				await refreshed(call);
				await call.talks();
				assert.equal((await call.tab.media()).count, count, 'the same connection for media');
				assert.deepEqual(await call.tab.states(), ['up']);
				await call.endsBy(by);
			});
		}
	}

	test(`${library}: a call on hold is still on hold`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		await call.tab.click('hold');
		await call.tab.up(1, 'held');
		await call.far.hearsSilence();
		const { loud } = call.far.rtp.audio;
		await cuts['nginx is stopped and started'](() => {});
		await refreshed(call, 2);
		await call.far.hearsSilence();
		assert.equal(call.far.rtp.audio.loud, loud);
		assert.equal(call.far.echoes, false);
		await call.tab.click('hold');
		await call.tab.up();
		await call.talks();
		await call.endsBy('far');
	});

	test(`${library}: ICE has failed, and the call comes back`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		await call.tab.page.evaluate(() => {
			const connection = window.connections.at(-1);
			Object.defineProperty(connection, 'iceConnectionState', { value: 'failed' });
			connection.dispatchEvent(new Event('iceconnectionstatechange'));
		});
		await call.back();
		assert.equal(call.far.bye, undefined);
		await call.endsBy('far');
	});

	test(`${library}: a microphone that the page has switched off stays off`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		await enable(call.tab, false);
		// Not for a moment: that is heard, if seldom.
		await call.tab.page.evaluate(() => {
			const { get, set } = Object.getOwnPropertyDescriptor(MediaStreamTrack.prototype, 'enabled');
			window.switchedOn = 0;
			Object.defineProperty(MediaStreamTrack.prototype, 'enabled', { configurable: true, get, set(yes) { if (yes) window.switchedOn++; set.call(this, yes); } });
		});
		await call.far.hearsSilence();
		const { loud } = call.far.rtp.audio;
		await cuts['nginx is stopped and started'](() => {});
		await refreshed(call);
		await call.far.hearsSilence();
		assert.equal(call.far.rtp.audio.loud, loud);
		assert.equal(await call.tab.page.evaluate(() => window.switchedOn), 0);
		await enable(call.tab, true);
		await call.talks();
		await call.endsBy('page');
	});

	test(`${library}: a network that changes and leaves the connection as it was changes nothing`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		const { count } = await call.tab.media();
		const sockets = () => call.tab.page.evaluate(() => window.sockets);
		const before = await sockets();
		await call.tab.page.evaluate(() => dispatchEvent(new Event('online')));
		// A probe that is not content makes another connection two seconds later.
		await call.tab.page.waitForTimeout(2500);
		assert.equal(await sockets(), before, 'the connection is the same');
		assert.equal(call.far.reinvites, 0);
		assert.equal((await call.tab.media()).count, count);
		await call.endsBy('page');
	});

	test(`${library}: lost and reloaded at once`, async () => {
		const call = await WebCall.up(stack, browser, { library, role: 'callee' });
		await cuts['nginx is stopped and started'](() => {});
		await call.tab.page.addInitScript(() => {
			const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
			window.captured = [];
			navigator.mediaDevices.getUserMedia = async (wants) => {
				const stream = await real(wants);
				window.captured.push(...stream.getTracks());
				return stream;
			};
		});
		await call.tab.page.reload();
		await until('the call to be back', async () => /^Resumed/.test(await call.tab.line()));
		await call.tab.up();
		await call.talks();
		await call.endsBy('page');
		await until('the microphone to be closed', () => call.tab.page.evaluate(
			() => window.captured.length > 0 && window.captured.every((track) => track.readyState === 'ended')));
	});

	test(`${library}: lost while the call comes back after a reload`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		let answers = false;
		let asked = false;
		stack.echo.answer = (m) => {
			asked ||= m.method === 'INVITE';
			return m.method !== 'INVITE' || answers;
		};
		await call.tab.page.reload();
		await until('the far end to be asked', () => asked);
		await cuts['nginx is stopped and started'](() => { answers = true; });
		await call.tab.up();
		await call.talks();
		await call.endsBy('far');
	});

	test(`${library}: the far end hangs up meanwhile, which the page learns afterwards`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		await cuts['nginx is stopped and started'](async () => {
			assert.equal((await call.far.hangUp()).status, 200);
		});
		await call.gone();
	});
}
