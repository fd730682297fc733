// SPDX-License-Identifier: GPL-2.0-or-later
// Calls that are bound to a certificate which the browser keeps: they come back in that
// browser, and in no other, not even with the state and the token.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { Browser } from '../lib/browser.mjs';
import { until } from '../lib/wait.mjs';
import { WebCall } from '../lib/webcall.mjs';
import { browser, chromium, goOnIn, stack, webTests } from '../lib/webtests.mjs';

const REFUSED = /^You are not allowed to come back into this call/;

webTests('browser-bound', { defines: { RESUME_BIND_FINGERPRINT: 1 } });

let thief;
afterEach(async () => {
	await thief?.close();
	thief = undefined;
});

/** What the newest connection of a page says its certificate is. */
const certificate = (tab) => tab.page.evaluate(() => (
	window.connections.at(-1).localDescription.sdp.match(/^a=fingerprint:(.*?)\s*$/m)[1]));
const refusals = async () => Number(/fingerprints_refused: (\d+)/.exec(await stack.kamailio.kamcmd('call_resume.stats'))[1]);

/** A page in another browser with what the first one has: its web session and its state. */
async function steal(call, library, query, script, argument) {
	const session = await call.tab.page.evaluate(() => fetch('/session', { method: 'POST' }).then((answer) => answer.json()));
	thief = await chromium.another();
	if (script) await thief.context.addInitScript(script, argument);
	await thief.context.route('**/session', (route) => route.fulfill({ json: session }));
	const tab = await thief.open(stack.page(library, query));
	await tab.registered();
	await tab.plant('alice', await call.tab.record());
	await tab.page.reload();
	return tab;
}

for (const library of ['jssip', 'sipjs']) {
	for (const [role, by] of [['caller', 'far'], ['callee', 'page']]) {
		test(`${library}, ${role}: reloaded twice, with the same certificate`, async () => {
			const call = await WebCall.up(stack, browser, { library, role, query: '?bound' });
			const own = await certificate(call.tab);
			for (let lives = 1; lives <= 2; lives++) {
				await call.tab.page.reload();
				await call.back({ lives });
				assert.equal(await certificate(call.tab), own);
			}
			await call.endsBy(by);
		});

		test(`${library}, ${role}: a thief with the state and the token is refused, and the call goes on`, async () => {
			const call = await WebCall.up(stack, browser, { library, role, query: '?bound' });
			const before = await refusals();
			for (const [i, query] of ['', '?bound'].entries()) {
				const tab = await steal(call, library, query);
				await until('the thief to be refused', async () => REFUSED.test(await tab.line()));
				assert.equal(await refusals(), before + i + 1);
				await thief.close();
			}
			thief = undefined;
			assert.equal(call.far.reinvites, 0, 'the far end was not asked');
			await call.talks();
			await call.tab.page.reload();
			await call.back();
			await call.endsBy(by);
		});
	}

	test(`${library}: reloaded while the far end plays something before it answers`, async () => {
		let invite;
		stack.echo.answer = (m) => m.method !== 'INVITE' || !!m.tag('to') || !(invite ??= m);
		const tab = await stack.signedIn(browser, library, { query: '?bound' });
		await tab.dial('echo');
		const far = await stack.echo.play(await until('the far end to be called', () => invite));
		await tab.rings();
		await Promise.all([tab.hears(), far.hears()]);
		const own = await certificate(tab);
		for (let lives = 1; lives <= 2; lives++) {
			await tab.page.reload();
			await until('it to ring on', async () => /rings on/.test(await tab.line()));
			await Promise.all([tab.hears(), far.hears()]);
			assert.equal(await certificate(tab), own);
		}
		stack.echo.answer = () => true;
		await stack.echo.pickUp(invite);
		await tab.up();
		await Promise.all([tab.hears(), far.hears()]);
		assert.equal((await far.hangUp()).status, 200);
		await stack.noMedia();
	});

	test(`${library}: put on hold and taken off`, async () => {
		const call = await WebCall.up(stack, browser, { library, query: '?bound' });
		await call.tab.click('hold');
		await call.tab.up(1, 'held');
		await call.far.hearsSilence();
		await call.tab.click('hold');
		await call.tab.up();
		await call.talks();
		await call.endsBy('far');
	});

	test(`${library}: a thief who writes the right fingerprint into his offer has nothing to hear and nothing to say`, async () => {
		const call = await WebCall.up(stack, browser, { library, query: '?bound' });
		const before = stack.rtpengine.proc.output().length;
		const tab = await steal(call, library, '', (own) => {
			const send = WebSocket.prototype.send;
			WebSocket.prototype.send = function (text) {
				send.call(this, text.replace(/^a=fingerprint:sha-256 [0-9A-F:]{95}/gm, `a=fingerprint:${own}`));
			};
		}, await certificate(call.tab));
		await until('rtpengine to refuse his certificate', () => /certificate rejected - fingerprint mismatch/.test(stack.rtpengine.proc.output().slice(before)), { timeout_ms: 30000 });
		assert.equal((await tab.media()).inbound, 0);
		await thief.close();
		thief = undefined;
		// It was he who was taken for the client; now it is the client again.
		await call.tab.page.reload();
		await call.tab.up();
		await call.talks();
		await call.endsBy('far');
	});

	test(`${library}: the same thief has a call that is not bound`, async () => {
		const call = await WebCall.up(stack, browser, { library });
		const tab = await steal(call, library, '');
		await tab.up();
		await tab.hears();
		assert.equal(call.far.reinvites, 1);
		assert.equal((await call.far.hangUp()).status, 200);
		await stack.noMedia();
	});

	test(`${library}: the browser is killed just after, and started again`, async () => {
		await browser.close();
		// Signed in yesterday: Chromium keeps a cookie in memory for half a minute.
		goOnIn(await Browser.spawn(stack.dir, 'browser'));
		await stack.signedIn(browser, 'jssip');
		await browser.quit();
		goOnIn(await Browser.spawn(stack.dir, 'browser'));
		const call = await WebCall.up(stack, browser, { library, query: '?bound' });
		const own = await certificate(call.tab);
		await browser.kill();
		goOnIn(await Browser.spawn(stack.dir, 'browser'));
		call.tab = await browser.open(stack.page(library, '?bound'));
		await call.back();
		assert.equal(await certificate(call.tab), own);
		await call.endsBy('page');
	});
}

test('the softphone does it by itself, and forgets the certificate when its user signs out', async () => {
	const before = stack.echo.calls.length;
	const { page, ...tab } = await browser.open('about:blank');
	page.setDefaultTimeout(30000);
	const signIn = async () => {
		await page.fill('#user', 'alice');
		await page.fill('#password', stack.passwords.alice);
		await page.click('#sign-in button');
		await page.locator('#status[data-is=on]').waitFor();
	};
	const up = () => page.locator('.call[data-state=up]').waitFor().catch((e) => { throw new Error(`${e.message}\n${tab.console.join('\n')}`); });
	await page.goto(stack.web.url);
	await signIn();
	await page.fill('#number', 'echo');
	await page.click('#call');
	await up();
	const own = await certificate({ page });
	assert.equal((await kept({ page })).fingerprint, own);
	const state = await page.evaluate(async () => JSON.parse((await window.inDatabase('readonly', (calls) => calls.getAll()))[0][1]).state);
	const { sid } = await page.evaluate(() => fetch('/session', { method: 'POST' }).then((answer) => answer.json()));
	assert.match(await stack.kamailio.kamcmd('call_resume.inspect', state, 'sip:alice@example.org', `s:${sid}`), /bound: 1/);
	await page.reload();
	await up();
	const call = stack.echo.calls[before];
	await Promise.all([call.hears(), stack.audio(call.id)]);
	assert.equal(await certificate({ page }), own);
	assert.equal((await call.hangUp()).status, 200);
	await stack.noMedia();
	await page.locator('.call').waitFor({ state: 'detached' });
	await page.click('#sign-out');
	await page.locator('#sign-in:visible').waitFor();
	assert.notEqual((await kept({ page })).fingerprint, own);
});

// ---- certificate.js alone ---------------------------------------------------

const page = async () => browser.open(`${stack.web.url}/examples/view.js`);

/** Its answer, as far as it can leave the page. */
const kept = (tab, user = 'alice', options = undefined) => tab.page.evaluate(async ([who, how]) => {
	const { keptCertificate } = await import('/certificate.js');
	const answer = await keptCertificate(who, how);
	return answer && { ...answer, expires: answer.certificate.expires, certificate: undefined };
}, [user, options]);

test('it is one for each user, the same in all tabs, also when two make it at once, and forgotten on demand', async () => {
	const tab = await page();
	const other = await page();
	const [one, two] = await Promise.all([kept(tab), kept(other)]);
	assert.match(one.fingerprint, /^sha-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
	assert.equal(one.header, `Call-State-Fingerprint: ${one.fingerprint}`);
	assert.equal(one.fingerprint, two.fingerprint);
	assert.ok(one.expires > Date.now() + 360 * 86400e3);
	assert.notEqual((await kept(tab, 'bob')).fingerprint, one.fingerprint);
	await tab.page.reload();
	assert.equal((await kept(tab)).fingerprint, one.fingerprint);
	await tab.page.evaluate(() => import('/certificate.js').then((m) => m.forgetCertificate('alice')));
	assert.notEqual((await kept(tab)).fingerprint, one.fingerprint);
});

test('a browser that does not tell fingerprints is asked for an offer', async () => {
	const tab = await page();
	const { fingerprint } = await kept(tab);
	await tab.page.evaluate(() => { delete RTCCertificate.prototype.getFingerprints; });
	assert.equal((await kept(tab)).fingerprint, fingerprint);
});

test('it is made anew before it expires, but not while a call is stored, unless it is over', async () => {
	const tab = await page();
	/** Put one into the storage that is good for so long. */
	const plant = (ms) => tab.page.evaluate(async (expires) => {
		const made = await RTCPeerConnection.generateCertificate({ name: 'ECDSA', namedCurve: 'P-256', expires });
		await new Promise((resolve) => {
			const opening = indexedDB.open('call-resume-certificate');
			opening.onupgradeneeded = () => opening.result.createObjectStore('certificates');
			opening.onsuccess = () => {
				const transaction = opening.result.transaction('certificates', 'readwrite');
				transaction.objectStore('certificates').put(made, 'alice');
				transaction.oncomplete = () => { opening.result.close(); resolve(); };
			};
		});
		return `sha-256 ${made.getFingerprints()[0].value.toUpperCase()}`;
	}, ms);
	const month = 30 * 86400e3;
	const same = async (old, options) => (await kept(tab, 'alice', options)).fingerprint === old;
	assert.equal(await same(await plant(3 * month)), true);
	assert.equal(await same(await plant(month)), false);
	assert.equal(await same(await plant(month), { busy: true }), true);
	await tab.page.evaluate(() => localStorage.setItem('call-resume alice x', '{}'));
	assert.equal(await same(await plant(month)), true);
	const short = await plant(1);
	await until('it to be over', async () => !await same(short));
});

test('no script gets at the private key, and a browser without a storage says nothing', async () => {
	const tab = await page();
	assert.deepEqual(await tab.page.evaluate(async () => {
		const { certificate } = await (await import('/certificate.js')).keptCertificate('alice');
		return { kind: certificate.constructor.name, text: JSON.stringify(certificate), names: Object.keys(RTCCertificate.prototype).sort() };
	}), { kind: 'RTCCertificate', text: '{}', names: ['expires', 'getFingerprints'] });
	await tab.page.evaluate(() => { indexedDB.open = () => { throw new DOMException('no', 'SecurityError'); }; });
	assert.equal(await kept(tab), undefined);
});
