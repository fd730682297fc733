// SPDX-License-Identifier: GPL-2.0-or-later
// A configuration that knows nothing of resuming, with the patch that docs/integrate.md
// shows for it, and what such a gateway has to do then.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP, runFolder } from './stack.mjs';
import { Kamailio, ROOT, writeKeyRing } from './kamailio.mjs';
import { freePort } from './ports.mjs';
import { Rtp } from './rtp.mjs';
import { Rtpengine } from './rtpengine.mjs';
import { Endpoint, FarEnd, message, random, replyTo, sdp } from './sip.mjs';
import { withPassword } from './phone.mjs';
import { until } from './wait.mjs';

const PAGE = path.join(ROOT, 'docs/integrate.md');

/** The block of docs/integrate.md that is the patch for that file, as it stands there. */
export function patchFor(file) {
	const blocks = [...fs.readFileSync(PAGE, 'utf8').matchAll(/^```diff\n([^]*?)^```$/gm)].map((m) => m[1]);
	const found = blocks.filter((b) => b.startsWith(`--- ${file}\n`));
	assert.equal(found.length, 1, `docs/integrate.md has one patch for ${file}`);
	return found[0];
}

/** How many lines a patch adds, those without anything in them not counted. */
export const linesAdded = (patch) => patch.split('\n').filter((l) => /^\+(?!\+\+ )\s*\S/.test(l)).length;

/** Apply a patch of docs/integrate.md to a file in dir that has the name that the patch says. */
export function integrate(dir, file) {
	execFileSync('patch', ['--quiet', '--no-backup-if-mismatch', path.join(dir, file)], { input: patchFor(file) });
}

/** Stack's other parts around a configuration in dir; see integrated(). */
export class Integrated extends Stack {
	static async start(name, { files, cfg = 'kamailio.cfg', prepare = () => {}, defines = () => ({}), trunk = {} }) {
		const self = new this();
		self.dir = runFolder(`integrate-${name}`);
		self.parties = [];
		try {
			self.rtpengine = await Rtpengine.start(self.dir, {});
			self.trunkIp = TRUNK_IP;
			self.trunkPort = await freePort(TRUNK_IP);
			for (const [file, text] of Object.entries(files(self))) fs.writeFileSync(path.join(self.dir, file), text);
			await prepare(self);
			self.kamailio = await Kamailio.start(self.dir, {
				cfg: path.join(self.dir, cfg),
				defines: {
					RESUME_KEY_RING: `"${writeKeyRing(path.join(self.dir, 'keyring'))}"`, RESUME_ALLOW_INSECURE: 1,
					MEDIA_DENIED: '""', ...defines(self),
				},
			});
			await trunk.ready?.(self);
		} catch (e) {
			await self.stop();
			throw e;
		}
		return self;
	}
}

/**
 * What every gateway with the five routes does.
 * @param how  {files: (stack) => {name: text} of the folder, cfg: which of them is Kamailio's,
 *              prepare: (stack) => that, before
 *              Kamailio starts, trunk: {ready: (stack) => that, when it runs},
 *              service: what the far end is called by, from: its address, transports,
 *              relayed: those of them whose media go over rtpengine, password: of alice,
 *              where she has one and no token, defines}
 */
export function integrationTests(name, { service = 'bob', from = `<sip:bob@trunk.example>`, transports = ['ws', 'udp'], relayed = transports, password, ...how }) {
	describe(name, () => {
		const Alice = password ? withPassword(FarEnd) : FarEnd;
		let stack, token;
		let open = [];
		const keep = (s) => (open.push(s), s);
		before(async () => {
			stack = await Integrated.start(name, how);
			token = password ? undefined : await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-1');
		});
		afterEach(async () => {
			open.splice(0).forEach((s) => s.close());
			await stack.dropMedia();
			// A call forks to twelve bindings at the most.
			for (const aor of ['alice', `alice@${DOMAIN}`]) await stack.kamailio.kamcmd('ul.rm', 'location', aor).catch(() => {});
		});
		after(() => stack?.stop());

		const to = (transport) => ({ ip: stack.kamailio.ip, port: transport === 'ws' ? stack.kamailio.ws : stack.kamailio.port });
		async function alice(transport) {
			const audio = keep(await Rtp.open());
			const client = keep(await Alice.open({
				user: 'alice', account: 'alice', transport, token, password, instance: null, media: audio.port, to: to(transport),
			}));
			const reply = await client.register();
			assert.equal(reply.status, 200);
			assert.match(reply.get('call-state-key') ?? '', /[\w-]{43}/, 'the client gets its key');
			return Object.assign(client, { audio });
		}
		async function bob() {
			const audio = keep(await Rtp.open({ ip: TRUNK_IP, echo: true }));
			return Object.assign(keep(await FarEnd.open({
				ip: TRUNK_IP, port: stack.trunkPort, media: audio.port, to: to('udp'),
			})), { audio });
		}
		const ack = (party, callId) => party.take('the ACK', (m) => m.method === 'ACK' && m.callId === callId);
		/** A call that is up, of either role: the far end's dialog and what resumes it. */
		async function call(one, far, role) {
			if (role === 'caller') {
				const mine = await one.call({ service });
				assert.equal(mine.final.status, 200);
				assert.equal(mine.state?.split('.').length, 5, 'a sealed state in the 200');
				await ack(far, mine.callId);
				return { mine, theirs: far.dialog(mine.callId), state: mine.state };
			}
			const theirs = await far.call({ service: 'alice', from });
			assert.equal(theirs.final.status, 200);
			await ack(one, theirs.callId);
			const mine = one.dialog(theirs.callId);
			const invite = one.requests.find((m) => m.method === 'INVITE' && m.callId === theirs.callId);
			assert.equal(invite.get('call-state')?.split('.').length, 5, 'a sealed state in the INVITE');
			return { mine, theirs, state: `${invite.get('call-state')};tag=${/;tag=(.*)/.exec(mine.local)[1]}` };
		}
		async function resume(one, state) {
			const back = await one.call({ state, service });
			assert.equal(back.final.status, 200, back.final.start);
			return back;
		}

		for (const transport of transports) {
			for (const role of ['caller', 'callee']) {
				test(`${transport}, ${role}: lost, resumed, audio, the far end hangs up`, async () => {
					const far = await bob();
					const one = await alice(transport);
					const { theirs, state } = await call(one, far, role);
					one.close();
					one.audio.close();
					const two = await alice(transport);
					const back = await resume(two, state);
					if (relayed.includes(transport)) await stack.talk(two, back.final.body, theirs.callId);
					assert.equal((await theirs.request('BYE')).status, 200);
					await two.take('the BYE', (m) => m.method === 'BYE');
					for (const m of far.requests) assert.doesNotMatch(m.text, /^(Call-State|Authorization)/mi);
				});

				test(`${transport}, ${role}: lost, resumed, lost again, resumed, hangs up`, async () => {
					const far = await bob();
					const one = await alice(transport);
					const { theirs, state } = await call(one, far, role);
					one.close();
					const second = await alice(transport);
					const { state: newer } = await resume(second, state);
					second.close();
					const back = await resume(await alice(transport), newer);
					assert.equal((await back.request('BYE')).status, 200);
					await far.take('the BYE', (m) => m.method === 'BYE' && m.callId === theirs.callId);
				});
			}

			test(`${transport}: lost while it rings, it rings again, answers and resumes`, async () => {
				const far = await bob();
				const one = await alice(transport);
				one.answer = (m) => m.method !== 'INVITE';
				const calling = far.call({ service: 'alice', from });
				one.reply(await one.take('the INVITE', (m) => m.method === 'INVITE'), 180, 'Ringing');
				await far.take('a 180', (m) => m.status === 180);
				one.close();
				const two = await alice(transport);
				const theirs = await calling;
				assert.equal(theirs.final.status, 200);
				await ack(two, theirs.callId);
				const sealed = two.requests.find((m) => m.method === 'INVITE').get('call-state');
				two.close();
				const back = await resume(await alice(transport), `${sealed};tag=${/;tag=(.*)/.exec(two.dialog(theirs.callId).local)[1]}`);
				assert.equal((await back.request('BYE')).status, 200);
				await far.take('the BYE', (m) => m.method === 'BYE' && m.callId === theirs.callId);
			});

			test(`${transport}: a caller is lost while it rings, hears ringing again, and resumes`, async () => {
				const far = await bob();
				far.answer = (m) => m.method !== 'INVITE' || !!m.tag('to');
				const one = await alice(transport);
				const calling = one.call({ service });
				calling.catch(() => {});
				const invite = await far.take('the INVITE', (m) => m.method === 'INVITE');
				invite.answer(replyTo(invite, 180, 'Ringing', {
					to: `${invite.get('to')};tag=rings`, fields: [...invite.recordRoutes.map((x) => `Record-Route: ${x}`), `Contact: <${far.uri}>`],
				}));
				const state = (await one.take('a 180', (m) => m.status === 180)).get('call-state');
				assert.equal(state?.split('.').length, 5, 'a sealed state in the 180');
				one.close();
				const two = await alice(transport);
				const waiting = two.call({ state, service });
				await two.take('a 180', (m) => m.status === 180);
				// As often as a phone says it (RFC 3261 section 13.3.1.4): nobody knows of a client on UDP that it is gone.
				await until('the ACK', () => {
					invite.answer(replyTo(invite, 200, 'OK', {
						to: `${invite.get('to')};tag=rings`, body: sdp(far.ip, far.media),
						fields: [...invite.recordRoutes.map((x) => `Record-Route: ${x}`), `Contact: <${far.uri}>`],
					}));
					return far.requests.some((m) => m.method === 'ACK');
				}, { every_ms: 500 });
				const { final } = await waiting;
				assert.match(final.start, /^SIP\/2.0 500 Call Answered/);
				// Where it came back as the answer came, that says when to come again (Retry-After).
				const back = await until('the call', async () => {
					const dialog = await two.call({ state: final.get('call-state') ?? state, service });
					assert.ok([200, 500].includes(dialog.final.status), dialog.final.start);
					return dialog.final.status === 200 && dialog;
				}, { every_ms: 500 });
				assert.equal((await back.request('BYE')).status, 200);
				await far.take('the BYE', (m) => m.method === 'BYE' && m.callId === invite.callId);
				await stack.noMedia();
			});

			test(`${transport}: what the far end sends while the client is away`, async () => {
				const far = await bob();
				const one = await alice(transport);
				const { theirs, state } = await call(one, far, 'caller');
				const opened = async () => Number(/opened_connections: (\d+)/.exec(await stack.kamailio.kamcmd('core.tcp_info'))[1]);
				const before = await opened();
				one.close();
				// In the moment in which a connection goes its request is answered by the operator's script.
				if (transport !== 'udp') await until('Kamailio to know', async () => await opened() < before);
				const info = await theirs.request('INFO', { timeout_ms: 20_000 });
				assert.equal(info.start, 'SIP/2.0 500 Client Away');
				assert.match(info.get('retry-after'), /^[1-9]$/);
				const reinvite = await theirs.request('INVITE', { timeout_ms: 20_000, headers: [`Contact: <${far.uri}>`] });
				assert.equal(reinvite.start, 'SIP/2.0 491 Request Pending');
				theirs.ack({ via: theirs.branch });
				assert.equal((await theirs.request('BYE', { timeout_ms: 20_000 })).status, 200);
				await stack.noMedia();
				far.answer = (m) => m.method !== 'INVITE' || (far.reply(m, 481, 'Call/Transaction Does Not Exist'), false);
				const late = await (await alice(transport)).call({ state, service });
				assert.equal(late.final.start, 'SIP/2.0 481 Call Ended While Away');
			});
		}

		test('a state is of its session, and a Call-State of the far end is not for the client', async () => {
			const far = await bob();
			const one = await alice(transports[0]);
			const { state } = await call(one, far, 'caller');
			const flipped = state.replace(/.{8}$/, (s) => (s === 'AAAAAAAA' ? 'BBBBBBBB' : 'AAAAAAAA'));
			const refused = await one.call({ state: flipped, service });
			assert.equal(refused.final.start, 'SIP/2.0 403 Call-State is not of this session');
			const two = await alice(transports[0]);
			const own = await far.call({ service: 'alice', from, headers: ['Call-State: forged', 'Call-State-Id: forged'] });
			assert.equal(own.final.status, 200);
			const invite = await two.take('the INVITE', (m) => m.method === 'INVITE' && m.callId === own.callId);
			assert.doesNotMatch(invite.text, /forged/);
		});

		test('a token stays here, and is as good as a password', async () => {
			const far = await bob();
			const sub = await stack.kamailio.token(`sip:alice@${DOMAIN}`, 'web-session-2');
			const one = keep(await FarEnd.open({ user: 'alice', transport: 'udp', token: sub, to: to('udp') }));
			assert.equal((await one.register()).status, 200);
			const { theirs, state } = await call(one, far, 'caller');
			const again = keep(await FarEnd.open({ user: 'alice', transport: 'udp', token: sub, to: to('udp') }));
			const back = await resume(again, state);
			assert.equal((await back.request('BYE', { headers: [`Authorization: Bearer ${sub}`] })).status, 200);
			await far.take('the BYE', (m) => m.method === 'BYE' && m.callId === theirs.callId);
			for (const m of far.requests) assert.ok(!m.text.includes(sub.slice(-40)), m.text);
		});

		test('what a stranger calls himself is shown in the log, and orders nothing there', async () => {
			const stranger = keep(await Endpoint.open({ to: to('udp') }));
			const log = () => fs.readFileSync(stack.kamailio.proc.log, 'latin1');
			const at = log().length;
			// ESC, BEL; in UTF-8 CSI, a line separator, right to left; bytes that are none.
			const odd = ['\x1b[2J', '\x07', '\xc2\x9b2J', '\xe2\x80\xa8', '\xe2\x80\xae', '\xff\xfe', 'last'];
			for (const [n, x] of odd.entries()) {
				stranger.send(message(`INVITE sip:bob@${DOMAIN} SIP/2.0`, [
					`Via: SIP/2.0/UDP ${stranger.host};branch=z9hG4bK${random()}`, 'Max-Forwards: 70', `From: <sip:mallory-${n}-${x}@${DOMAIN}>;tag=1`,
					`To: <sip:bob@${DOMAIN}>`, `Call-ID: ${random()}`, 'CSeq: 1 INVITE', 'Authorization: Bearer a.b.c', 'Call-State: a.b.c.d.e', `Contact: <sip:x@${stranger.host}>`,
				]));
			}
			const lines = () => log().slice(at).split('\n').filter((l) => l.includes('token refused'));
			await until('a line about the last ones', () => ['mallory-3', 'mallory-5', 'mallory-6-last'].every((name) => lines().some((l) => l.includes(name))));
			assert.match(lines().find((l) => l.includes('-last')), /sip:mallory-6-last@example.org from 127.0.0.1: token refused, malformed$/);
			for (const line of lines()) assert.match(line, /^[\x20-\x7e]*$/, JSON.stringify(line));
			assert.ok(!log().slice(at).includes('Traceback'));
		});

		test('nor does a Call-ID, in a line of the module', async () => {
			const far = await bob();
			const one = await alice(transports[0]);
			one.answer = (m) => m.method !== 'INVITE';
			far.call({ service: 'alice', from, callId: `odd-\x1b[2J-\xe2\x80\xa8-${random()}` }).catch(() => {});
			await one.take('the INVITE', (m) => m.method === 'INVITE');
			one.close();
			const two = await alice(transports[0]);
			await two.take('the INVITE again', (m) => m.method === 'INVITE');
			const line = await until('the line about it', () => fs.readFileSync(stack.kamailio.proc.log, 'latin1').split('\n').find((l) => l.includes('rings again, Call-ID odd-')));
			assert.match(line, /^[\x20-\x7e]*$/, JSON.stringify(line));
		});

		test('who has neither token nor password is asked for one', async () => {
			const stranger = keep(await FarEnd.open({ user: 'alice', transport: 'udp', to: to('udp') }));
			assert.match(String((await stranger.register()).status), /^40[17]$/);
			const { final } = await stranger.call({ service, state: 'a.b.c.d.e' });
			assert.match(String(final.status), /^40[17]$/);
		});
	});
}
