// SPDX-License-Identifier: GPL-2.0-or-later
// What a phone at the far end goes through when its caller, or whom it has called, is lost: the same tests for each;
// and what tests of one far end alone need.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { GATEWAY_IP, Network } from './network.mjs';
import { Lives } from './lives.mjs';
import { PCMA, Voice, pitch, sdp } from './voice.mjs';
import { audioPort } from './rtp.mjs';
import { TRUNK_IP, runFolder } from './stack.mjs';
import { sleep, until } from './wait.mjs';

/** Where the far end is: in a network of its own, since most send their media from whatever address is the first. */
export const FAR_IP = '10.99.0.2';

const of = (method) => (m) => !m.status && m.method === method;
const direction = (body) => /^a=(sendrecv|sendonly|recvonly|inactive)/m.exec(body)?.[1] ?? 'sendrecv';

/**
 * @param name   of the far end
 * @param start  (stack, network) => one that answers every call, and hums: {user, hums, hears(hertz), dial(uri), hold(),
 *               unhold(), transfer(uri), hangup(), calls(), stop()}. hums is a pitch; domain is where it
 *               looks for others, where that is not ours; all but the first three and the last
 *               are for the only call that it has
 * @param apart  in a network of its own
 * @param skip   why not, where it is not there
 * @param tests  (kit) => the tests, from what is at the end of this function
 */
export function farScene(name, start, { apart = true, skip = false }, tests) {
	const gateway = apart ? GATEWAY_IP : '127.0.0.1';
	describe(name, { skip: apart && !Network.possible ? 'no network namespaces here' : skip }, () => {
		let network, lives, far;
		let talks = 0;
		before(async () => {
			const dir = runFolder(`farend-${name.replace(/\W+/g, '-')}`);
			network = apart ? await Network.start(dir) : undefined;
			lives = await Lives.start(name, {
				dir: `${dir}/stack`, trunk: apart ? FAR_IP : TRUNK_IP, kamailio: { ip: gateway }, rtpengine: { ip: gateway },
			});
			far = await start(lives.stack, network);
		});
		afterEach(async () => {
			if (await far.calls()) await far.hangup().catch(() => {});
			await lives.end();
		});
		after(async () => {
			await far?.stop();
			await lives?.stack.stop();
			await network?.stop();
		});

		/** The n-th life. Its numbers begin behind those of the one before. */
		async function alice(n) {
			const voice = lives.keep(await Voice.open({ law: PCMA }));
			const one = await lives.alice('tcp', { media: voice.port });
			return Object.assign(one, { n, voice, describe: () => sdp(voice), leave: () => (one.close(), voice.close()) });
		}

		/** Each hears the other. */
		async function talk(one, body) {
			const hertz = pitch(++talks % 12);
			one.voice.forget();
			one.voice.speak({ ip: gateway, port: audioPort(body) }, { hertz, seq: 30000 - 1200 * one.n });
			await until(`the far end to hear life ${one.n}`, () => far.hears(hertz));
			await until(`life ${one.n} to hear the far end`, () => one.voice.hears(far.hums));
		}

		/** A call that is up: {one, mine, state, body}. */
		async function up(role) {
			const one = await alice(0);
			let call;
			if (role === 'caller') {
				const mine = await one.call({ service: far.user, body: sdp(one.voice) });
				assert.equal(mine.final.status, 200, mine.final.start);
				call = { mine, state: mine.state, body: mine.final.body };
			} else {
				await far.dial('sip:alice@example.org');
				const invite = await one.take('the INVITE', of('INVITE'));
				await one.take('the ACK', of('ACK'));
				const mine = one.dialog(invite.callId);
				call = { mine, state: `${invite.get('call-state')};tag=${/;tag=(.*)/.exec(mine.local)[1]}`, body: invite.body };
			}
			await talk(one, call.body);
			return { one, ...call };
		}

		/** Resume; where an offer of the far end is under way (491), again, as clients do. */
		async function resume(one, state) {
			for (;;) {
				const mine = await one.call({ state, body: sdp(one.voice) });
				if (mine.final.status !== 491) return mine;
				await sleep(500);
			}
		}

		/** The next life. */
		async function back({ one, state }) {
			one.leave();
			const next = await alice(one.n + 1);
			const mine = await resume(next, state);
			assert.equal(mine.final.status, 200, mine.final.start);
			await talk(next, mine.final.body);
			return { one: next, mine, state: mine.state, body: mine.final.body };
		}

		/** A re-INVITE of the client. */
		async function offer({ one, mine }, way) {
			const ok = await mine.request('INVITE', { body: sdp(one.voice).replace('sendrecv', way) });
			assert.equal(ok.status, 200, ok.start);
			mine.ack();
			return ok;
		}

		/** Have the far end put the client on hold, or take it off; resolves with its offer. Others may come before. */
		async function held({ one, mine }, way) {
			one.inbox.length = 0;
			await (way === 'sendrecv' ? far.unhold() : far.hold());
			const invite = await one.take('a re-INVITE', (m) => of('INVITE')(m) && m.callId === mine.callId
				&& (direction(m.body) === 'sendrecv') === (way === 'sendrecv'));
			await one.take('its ACK', (m) => of('ACK')(m) && m.cseq === invite.cseq);
			return { update: invite.get('call-state'), body: invite.body };
		}

		async function isOver() {
			await until('the far end to be in no call', async () => await far.calls() === 0);
			// Asterisk with direct_media tries to take the media back first, for 32 s.
			await until('rtpengine to have no calls', async () => (await lives.stack.rtpengine.calls()).length === 0, { timeout_ms: 45000 });
		}

		async function endedBy({ one, mine }, who) {
			if (who === 'client') {
				assert.equal((await mine.request('BYE')).status, 200);
			} else {
				await far.hangup();
				await one.take('the BYE', (m) => of('BYE')(m) && m.callId === mine.callId);
			}
			await isOver();
		}

		/** Somebody else, who can be called. */
		async function another() {
			const voice = lives.keep(await Voice.open({ law: PCMA }));
			const token = await lives.stack.kamailio.token('sip:carol@example.org', 'web-session-2');
			return Object.assign(await lives.alice('tcp', { user: 'carol', token, media: voice.port }), { voice, describe: () => sdp(voice) });
		}

		tests({ gateway, alice, talk, up, resume, back, offer, held, isOver, endedBy, another, far: () => far, stack: () => lives.stack });
	});
}

/**
 * What every far end goes through.
 * @param name, start, options  as for farScene()
 * @param pbx  it is behind a PBX, which transfers by itself: nobody gets a REFER
 */
export function farEnd(name, start, { pbx = false, ...options } = {}) {
	farScene(name, start, options, ({ gateway, alice, talk, up, resume, back, offer, held, isOver, endedBy, another, ...kit }) => {
		/** The client is told to call carol (RFC 3515), and says that it has. */
		async function refers({ one, mine }) {
			const refer = await one.take('the REFER', (m) => of('REFER')(m) && m.callId === mine.callId);
			assert.match(refer.get('refer-to'), /sip:carol@example\.org/);
			for (const [state, line] of [['active', '100 Trying'], ['terminated;reason=noresource', '200 OK']]) {
				const ok = await mine.request('NOTIFY', {
					headers: ['Event: refer', `Subscription-State: ${state}`, `Contact: <${one.uri}>`, 'Content-Type: message/sipfrag'],
					body: `SIP/2.0 ${line}\r\n`,
				});
				assert.equal(ok.status, 200, ok.start);
			}
		}

		for (const role of ['caller', 'callee']) {
			for (const who of ['client', 'far end']) {
				test(`${role}: lost and back, twice, with audio; BYE of the ${who}`, async () => {
					await endedBy(await back(await back(await up(role))), who);
				});
			}

			test(`${role}: on hold from either side, before and after`, async () => {
				let call = await up(role);
				for (let n = 0; n < 2; n++) {
					await offer(call, 'sendonly');
					const ok = await offer(call, 'sendrecv');
					await talk(call.one, ok.body);
					await held(call, 'sendonly');
					const { update } = await held(call, 'sendrecv');
					await talk(call.one, ok.body);
					if (n) break;
					assert.match(update, /;update$/);
					call = await back({ ...call, state: `${ok.get('call-state')};update=${update.replace(/;update$/, '')}` });
				}
				await endedBy(call, 'client');
			});

			test(`${role}: lost while on hold by the far end, which takes it off hold then`, async () => {
				const call = await up(role);
				const { update } = await held(call, 'sendonly');
				call.one.leave();
				const one = await alice(1);
				const mine = await resume(one, `${call.state};update=${update.replace(/;update$/, '')}`);
				assert.equal(mine.final.status, 200, mine.final.start);
				const { body } = await held({ one, mine }, 'sendrecv');
				await talk(one, body);
				await endedBy({ one, mine }, 'far end');
			});

			test(`${role}: the far end transfers the one that is back`, async () => {
				const call = await back(await up(role));
				if (pbx) {
					const carol = await another();
					await kit.far().transfer('sip:carol@example.org');
					const invite = await carol.take('the INVITE', of('INVITE'));
					carol.voice.speak({ ip: gateway, port: audioPort(invite.body) }, { hertz: 1500 });
					await until('the one that is back to hear carol', () => call.one.voice.hears(1500));
					assert.equal((await call.mine.request('BYE')).status, 200);
					await carol.take('the BYE', of('BYE'));
					// Whoever has transferred hangs up by himself.
					if (await kit.far().calls()) await kit.far().hangup();
					return isOver();
				}
				await kit.far().transfer('sip:carol@example.org');
				await refers(call);
				// Some hang up by themselves now, some leave it to the one that was transferred.
				const bye = await call.one.take('a BYE', of('BYE'), { timeout_ms: 1000 }).catch(() => {});
				return bye ? isOver() : endedBy(call, 'client');
			});

			test(`${role}: the one that is back transfers the far end`, async () => {
				const call = await back(await up(role));
				const carol = await another();
				const accepted = await call.mine.request('REFER', { headers: [`Refer-To: <sip:carol@${kit.far().domain ?? 'example.org'}>`, `Contact: <${call.one.uri}>`] });
				assert.equal(accepted.status, 202, accepted.start);
				await carol.take('the INVITE', of('INVITE'));
				await until('word that it has worked', async () => {
					const notify = await call.one.take('a NOTIFY', (m) => of('NOTIFY')(m) && m.callId === call.mine.callId);
					return /^SIP\/2\.0 200/.test(notify.body);
				});
				const [theirs] = carol.dialogs.values();
				await call.mine.request('BYE').catch(() => {});
				assert.equal((await theirs.request('BYE')).status, 200);
				await isOver();
			});

			test(`${role}: hung up while it was away`, async () => {
				const call = await back(await up(role));
				call.one.leave();
				await kit.far().hangup();
				await isOver();
				const one = await alice(2);
				const start = performance.now();
				const { final } = await one.call({ state: call.state });
				assert.equal(final.start, 'SIP/2.0 481 Call Ended While Away');
				assert.ok(performance.now() - start < 2000);
			});
		}
	});
}
