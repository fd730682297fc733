// SPDX-License-Identifier: GPL-2.0-or-later
// A proxy that is the first hop of clients, and is not a gateway of ours:
//
//	alice (127.0.0.4) --- proxy (127.0.0.3) --- gateway (127.0.0.1) --- bob (127.0.0.2)
//	                  \-- edge  (127.0.0.5) --/

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';

import { firstHop } from '../lib/first-hop.mjs';
import { Rtp } from '../lib/rtp.mjs';
import { FarEnd, message, sdp } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';

const PROXY_IP = '127.0.0.3';
const OTHER_IP = '127.0.0.5';
const CLIENT_IP = '127.0.0.4';
const isRequest = (method) => (m) => m.method === method && !m.status;

/**
 * @param hop       transport between proxy and gateway
 * @param outbound  two edges of RFC 5626; clients over UDP and WebSocket know it too
 */
function behind(hop, transports, { outbound = false } = {}) {
	describe(`${hop} to the gateway${outbound ? ', outbound' : ''}`, () => {
		const open = [];
		const keep = (s) => (open.push(s), s);
		const proxies = {};
		let stack, token;

		before(async () => {
			stack = await Stack.start(`first-hop-${hop}${outbound ? '-outbound' : ''}`, {
				defines: { RESUME_FIRST_HOP: `"${PROXY_IP}, ${OTHER_IP}"`, RESUME_ALLOW_INSECURE: 0, AWAY_TIMER: 2000 },
			});
			for (const ip of outbound ? [PROXY_IP, OTHER_IP] : [PROXY_IP]) {
				proxies[ip] = await firstHop(stack.dir, { name: `first-hop-${ip}`, ip, outbound, gateway: `sip:${stack.gateway};transport=${hop}` });
			}
			token = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
		});
		afterEach(async () => {
			open.splice(0).forEach((s) => s.close());
			await stack.dropMedia();
		});
		after(async () => {
			for (const proxy of Object.values(proxies)) await proxy.stop();
			await stack?.stop();
		});

		async function bobs() {
			const media = keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
			return keep(await FarEnd.open({
				ip: TRUNK_IP, port: stack.trunkPort, media: media.port, to: { ip: stack.kamailio.ip, port: stack.kamailio.port },
			}));
		}

		/** One life of alice, who has registered; or one of her flows. */
		async function life(transport, { through = PROXY_IP, flow = { instance: `urn:uuid:${randomUUID()}`, id: 1 } } = {}) {
			const proxy = proxies[through];
			const audio = keep(await Rtp.open({ ip: CLIENT_IP }));
			const alice = keep(await FarEnd.open({
				ip: CLIENT_IP, user: 'alice', transport, token, media: audio.port, flow: outbound && transport !== 'tcp' && flow,
				to: { ip: through, port: transport === 'ws' ? proxy.ws : proxy.port },
			}));
			const answer = await alice.register();
			assert.equal(answer.status, 200, answer.start);
			assert.ok(answer.get('call-state-key'), 'what comes through the proxy is secure');
			assert.doesNotMatch(answer.text, /crp=/);
			return Object.assign(alice, { audio });
		}

		const lose = (alice) => {
			alice.close();
			alice.audio.close();
		};

		async function call(transport, role) {
			const bob = await bobs();
			const alice = await life(transport);
			if (role === 'caller') {
				const dialog = await alice.call();
				assert.equal(dialog.final.status, 200, dialog.final.start);
				return { bob, alice, dialog, callId: dialog.callId, state: dialog.state, answer: dialog.final };
			}
			const theirs = await bob.call({ service: 'alice' });
			assert.equal(theirs.final.status, 200, theirs.final.start);
			const answer = await alice.take('the INVITE', isRequest('INVITE'));
			const dialog = alice.dialog(answer.callId);
			return { bob, alice, dialog, callId: theirs.callId, state: `${answer.get('call-state')};tag=${dialog.local.split(';tag=')[1]}`, answer };
		}

		async function resume({ alice: before, bob, callId, state }, transport, options) {
			lose(before);
			const alice = await life(transport, options);
			const dialog = await alice.call({ state });
			assert.equal(dialog.final.status, 200, dialog.final.start);
			assert.ok(!dialog.final.text.includes(callId), 'alice does not see the old Call-ID');
			return { bob, alice, dialog, callId, state: dialog.state, answer: dialog.final };
		}

		/** Whatever there is in a dialog, both ways, with audio. */
		async function converse({ alice, bob, dialog, callId, answer }) {
			await stack.talk(alice, answer.body, callId);
			assert.ok(bob.requests.every((m) => !m.text.includes(`sip:${PROXY_IP}`)), 'the far end is told nothing of the proxy');
			for (const side of [dialog, bob.dialog(callId)]) {
				const other = side === dialog ? bob : alice;
				for (const method of ['INFO', 'UPDATE', 'INVITE', 'REFER']) {
					const offers = method === 'INVITE' || method === 'UPDATE';
					other.inbox = [];
					const final = await side.request(method, {
						...offers && { body: sdp(side.party.ip, side.party.media, 9) }, headers: method === 'REFER' ? ['Refer-To: <sip:carol@example.org>'] : [],
					});
					assert.equal(final.status, 200, `${method} of ${side.party.user}: ${final.start}`);
					const got = await other.take(method, isRequest(method));
					assert.equal(got.callId, other === bob ? callId : dialog.callId);
					if (method !== 'INVITE') continue;
					side.ack();
					await other.take('the ACK', isRequest('ACK'));
				}
			}
			await stack.talk(alice, answer.body, callId);
		}

		async function hangUp({ alice, bob, dialog, callId }, who) {
			const [side, other] = who === 'client' ? [dialog, bob] : [bob.dialog(callId), alice];
			other.inbox = [];
			const done = await side.request('BYE');
			assert.equal(done.status, 200, done.start);
			await other.take('the BYE', isRequest('BYE'));
			await stack.noMedia();
		}

		if (outbound) {
			test(`${hop}: one of two edges dies: the call over the other one goes on, and that over it comes back there; new calls go to the flow that registered last`, async () => {
				const instance = `urn:uuid:${randomUUID()}`;
				const bob = await bobs();
				const up = async (id, through) => {
					const alice = await life('ws', { through, flow: { instance, id } });
					const dialog = await alice.call();
					assert.equal(dialog.final.status, 200, dialog.final.start);
					return { bob, alice, dialog, callId: dialog.callId, state: dialog.state, answer: dialog.final };
				};
				const first = await up(1, PROXY_IP);
				await converse(first);
				const second = await up(2, OTHER_IP);
				await converse(second);
				await proxies[PROXY_IP].kill();
				await converse(second);
				// For one who is away.
				assert.equal((await bob.dialog(first.callId).request('INFO', { timeout_ms: 20000 })).status, 500);
				const back = await resume(first, 'ws', { through: OTHER_IP, flow: { instance, id: 1 } });
				await converse(back);
				await converse(second);
				// Who calls her reaches the flow that has registered last.
				const theirs = await bob.call({ service: 'alice' });
				await back.alice.take('the INVITE', (m) => isRequest('INVITE')(m) && m.callId === theirs.callId);
				assert.equal((await theirs.request('BYE')).status, 200);
				assert.equal((await back.dialog.request('BYE')).status, 200);
				await hangUp(second, 'far end');
				// That of its edge, until it registers anew.
				await proxies[OTHER_IP].kill();
				assert.equal((await bob.call({ service: 'alice' })).final.status, 480);
				for (const proxy of Object.values(proxies)) await proxy.boot();
				const again = await life('ws', { flow: { instance, id: 1 } });
				assert.equal((await bob.call({ service: 'alice' })).final.status, 200);
				await again.take('the INVITE', isRequest('INVITE'));
				assert.equal((await [...again.dialogs.values()][0].request('BYE')).status, 200);
				await stack.noMedia();
			});
		}

		test(`${hop}: a way that the client has made up leads nowhere`, async () => {
			const bob = await bobs();
			const alice = await life('udp');
			const contact = alice.uri.replace(/;|$/, ';crp=nk44mti22nupevxyzpp3uuwvhjj4hjgk42wenj3avpexnk7tve3d6qhmpnmm4br3o5uvtnzn7nzl5cosouz5laa$&');
			Object.defineProperty(alice, 'uri', { value: contact, configurable: true });
			const dialog = await alice.call();
			assert.equal(dialog.final.status, 200);
			const [, ours] = /crp=(\w+)/.exec(bob.dialog(dialog.callId).target);
			assert.ok(!contact.includes(ours));
			delete alice.uri;
			assert.equal((await bob.dialog(dialog.callId).request('INFO')).status, 200);
			assert.equal((await dialog.request('BYE')).status, 200);
			await stack.noMedia();
		});

		for (const transport of transports) {
			for (const role of ['caller', 'callee']) {
				for (const who of ['client', 'far end']) {
					test(`${hop}, a ${role} over ${transport}: call, loss, resume, loss, resume; the ${who} hangs up`, async () => {
						let one = await call(transport, role);
						await converse(one);
						one = await resume(one, transport);
						await converse(one);
						one = await resume(one, transport);
						await converse(one);
						await hangUp(one, who);
					});
				}
			}

			test(`${hop}, ${transport}: a call to the client is given up by the caller, and another one comes when it is gone`, async () => {
				const bob = await bobs();
				const alice = await life(transport);
				alice.answer = (m) => m.method !== 'INVITE';
				const calling = bob.call({ service: 'alice' });
				const invite = await alice.take('the INVITE', isRequest('INVITE'));
				assert.doesNotMatch(invite.start, /crp=/);
				alice.reply(invite, 180, 'Ringing');
				const { branch, callId, tag, cseq } = bob.last;
				bob.send(message(`CANCEL sip:alice@${DOMAIN} SIP/2.0`, [
					`Via: SIP/2.0/UDP ${bob.host};branch=${branch}`, `From: <sip:bob@${DOMAIN}>;tag=${tag}`, `To: <sip:alice@${DOMAIN}>`,
					`Call-ID: ${callId}`, `CSeq: ${cseq} CANCEL`, 'Max-Forwards: 70',
				]));
				const cancel = await alice.take('the CANCEL', isRequest('CANCEL'));
				assert.equal(cancel.uri, invite.uri);
				alice.reply(invite, 487, 'Request Terminated');
				assert.equal((await calling).final.status, 487);
				lose(alice);
				if (transport !== 'udp') assert.equal((await bob.call({ service: 'alice' })).final.status, 480);
				await stack.noMedia();
			});

			test(`${hop}, ${transport}: what the far end sends while the client is away`, async () => {
				const one = await call(transport, 'caller');
				await converse(one);
				lose(one.alice);
				const far = one.bob.dialog(one.callId);
				assert.equal((await far.request('INFO', { timeout_ms: 20000 })).status, 500);
				assert.equal((await far.request('INVITE', { body: sdp(one.bob.ip, one.bob.media, 10), timeout_ms: 20000 })).status, 491);
				const two = await resume(one, transport);
				await converse(two);
				lose(two.alice);
				assert.equal((await far.request('BYE', { timeout_ms: 20000 })).status, 200);
				const three = await life(transport);
				assert.equal((await three.call({ state: two.state })).final.start, 'SIP/2.0 481 Call Ended While Away');
				await stack.noMedia();
			});
		}
	});
}

behind('udp', ['ws', 'udp', 'tcp']);
behind('tcp', ['ws', 'udp']);
behind('tcp', ['ws', 'udp', 'tcp'], { outbound: true });
