// SPDX-License-Identifier: GPL-2.0-or-later
// Maps and seal orders that are not ours, in messages made by hand: each is left
// untranslated and counted once, with one line in the log that tells no secret;
// the old dialog's names do not get to the client, and the call stays up.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { DOMAIN, Stack, TRUNK_IP } from '../lib/stack.mjs';
import { Client, FarEnd, random, replyTo } from '../lib/sip.mjs';
import { until } from '../lib/wait.mjs';

const SUB = `sip:alice@${DOMAIN}`;
const SID = 'web-session-1';
const COUNTERS = ['maps_malformed', 'maps_forged', 'maps_misplaced', 'maps_expired', 'splices_failed', 'messages_dropped', 'spliced_in', 'spliced_out'];

const CRM1 = /crm1[.=]([a-z2-7]+)/;
const flip = (text, at = text.length >> 1) => text.slice(0, at) + (text[at] === 'a' ? 'b' : 'a') + text.slice(at + 1);

// With the name of our key in front, and nothing else of ours.
const madeUp = (text) => text.slice(0, 5) + 'a'.repeat(text.length - 5);

class Lab {
	static async start(name, defines) {
		const self = new Lab();
		self.stack = await Stack.start(name, { defines });
		const gateway = { ip: self.stack.kamailio.ip, port: self.stack.kamailio.port };
		self.token = await self.stack.kamailio.token(SUB, SID);
		self.far = await FarEnd.open({ ip: TRUNK_IP, port: self.stack.trunkPort, to: gateway });
		self.far.answer = (m) => {
			// A dialog that it does not know: it was not translated.
			if (!m.tag('to') || self.far.dialogs.has(m.callId)) return true;
			self.far.reply(m, 481, 'Call/Transaction Does Not Exist');
			return false;
		};
		const one = await Client.open({ token: self.token, to: gateway });
		const first = await one.call();
		await self.far.take('the ACK', (m) => m.method === 'ACK');
		one.close();
		self.o = first.callId;
		self.lost = first.state;
		self.alice = await Client.open({ token: self.token, to: gateway });
		await self.resume();
		return self;
	}

	/** alice gets her call back; learn all the maps that there are. */
	async resume() {
		this.n = await this.alice.call({ state: this.lost });
		assert.equal(this.n.final.status, 200);
		await this.far.take('the ACK', (m) => m.method === 'ACK');
		const reinvite = this.far.requests.findLast((m) => m.method === 'INVITE');
		this.bob = this.far.dialog(this.o);
		this.maps = {
			tag: CRM1.exec(this.n.final.tag('to'))[1],
			via: CRM1.exec(reinvite.all('via')[1])[1],
			contact: CRM1.exec(reinvite.contact)[1],
		};
	}

	async stats() {
		const text = await this.stack.kamailio.kamcmd('call_resume.stats');
		return Object.fromEntries([...text.matchAll(/(\w+): (\d+)/g)].map((m) => [m[1], Number(m[2])]));
	}

	/** The next request of that method; bob leaves it, and its retransmissions, unanswered. */
	held(method) {
		const normal = this.far.answer;
		let branch;
		return new Promise((resolve) => {
			this.far.answer = (m) => {
				if (branch ? m.get('via') !== branch : m.method !== method) return normal(m);
				branch = m.get('via');
				resolve(m);
				return false;
			};
		});
	}

	/** alice's dialog with another map in her remote tag. */
	withTag(map) {
		return { remote: this.n.remote.replace(CRM1, `crm1.${map}`) };
	}

	/** bob's dialog with another map in his remote target. */
	withTarget(map) {
		return { target: this.bob.target.replace(CRM1, `crm1=${map}`) };
	}

	/**
	 * Play something and see what was counted and logged for it.
	 * @param expected  what goes up, by how much; nothing else may
	 */
	async counts(expected, play) {
		const before = await this.stats();
		const at = this.stack.kamailio.log().length;
		const seen = await play();
		const went = async () => {
			const now = await this.stats();
			return Object.fromEntries(COUNTERS.filter((c) => now[c] !== before[c]).map((c) => [c, now[c] - before[c]]));
		};
		// What the far end has sent may be on its way still.
		await until('it to be counted', async () => {
			const now = await went();
			return Object.keys(expected).every((c) => now[c] >= expected[c]);
		}).catch(() => {});
		assert.deepEqual(await went(), expected);
		const log = this.stack.kamailio.log().slice(at);
		const refused = log.split('\n').filter((l) => l.includes('map refused'));
		// Once a second and process.
		assert.ok(refused.length <= (Object.keys(expected).some((c) => c.startsWith('maps_')) ? 1 : 0), log);
		this.noSecret(log);
		return seen;
	}

	noSecret(log) {
		const secrets = [this.token, this.lost].flatMap((t) => t.split('.').slice(1)).filter((p) => p.length > 20);
		for (const s of [...secrets, ...Object.values(this.maps)]) assert.ok(!log.includes(s), 'no secret in the log');
	}

	/** The call is up: each side reaches the other, in its own names. */
	async alive() {
		assert.equal((await this.n.request('OPTIONS')).status, 200);
		assert.equal(this.far.requests.at(-1).callId, this.o);
		const answer = this.bob.request('OPTIONS');
		const got = await this.alice.take('OPTIONS', (m) => m.method === 'OPTIONS');
		assert.equal(got.callId, this.n.callId);
		got.answer(replyTo(got, 200, 'OK'));
		assert.equal((await answer).status, 200);
	}

	async hangUp() {
		assert.equal((await this.n.request('BYE')).status, 200);
		assert.equal(this.far.requests.at(-1).callId, this.o);
		await this.stack.noMedia();
	}

	async stop() {
		this.alice?.close();
		this.far?.close();
		await this.stack?.stop();
	}
}

describe('maps that are not ours', () => {
	let lab;
	before(async () => { lab = await Lab.start('maps'); });
	after(() => lab?.stop());

	/* ---- in the To tag: from the client ---- */

	const fromClient = (what, counter, make) => test(`To tag: ${what}`, async () => {
		const asked = lab.far.requests.length;
		const reply = await lab.counts({ [counter]: 1 }, () => lab.n.request('INFO', lab.withTag(make(lab.maps))));
		assert.equal(reply.status, 481);
		assert.ok(!reply.text.includes(lab.o), 'alice does not see the old Call-ID');
		assert.equal(lab.far.requests.length, asked, 'it does not get to the far end');
		await lab.alive();
	});
	fromClient('made up', 'maps_forged', (m) => madeUp(m.tag));
	fromClient('changed', 'maps_misplaced', (m) => flip(m.tag));
	fromClient('changed in its last characters', 'maps_misplaced', (m) => flip(m.tag, m.tag.length - 4));
	fromClient('truncated by a byte or two', 'maps_forged', (m) => m.tag.slice(0, m.tag.length & ~7));
	fromClient('truncated to some characters', 'maps_malformed', (m) => m.tag.slice(0, 12));
	fromClient('too long', 'maps_forged', (m) => m.tag.repeat(2).slice(0, (m.tag.length & ~7) + 8));
	fromClient('no map at all', 'maps_malformed', () => '0189');
	fromClient('a map for the Via', 'maps_misplaced', (m) => m.via);
	fromClient('a map for the Contact', 'maps_misplaced', (m) => m.contact);
	fromClient('of a key that the ring does not have', 'maps_expired', (m) => flip(flip(m.tag, 0), 1));

	test('To tag: an authentic map in another dialog', async () => {
		const reply = await lab.counts({ maps_misplaced: 1 }, () => lab.n.request('INFO', { callId: random() }));
		assert.equal(reply.status, 481);
		await lab.alive();
	});
	test('To tag: an authentic map with another From tag', async () => {
		const reply = await lab.counts({ maps_misplaced: 1 },
			() => lab.n.request('INFO', { local: lab.n.local.replace(/tag=.*/, `tag=${random()}`) }));
		assert.equal(reply.status, 481);
		await lab.alive();
	});
	test('the BYE of a SIPp that gives up: Call-ID of the old dialog, tags of the new one', async () => {
		const bye = () => lab.n.request('BYE', { callId: lab.o });
		assert.equal((await lab.counts({ maps_misplaced: 1 }, bye)).status, 481);
		await until('its line, of which there is one a second', async () => {
			await bye();
			return lab.stack.kamailio.log().includes(`in: map refused: of another dialog, or changed, Call-ID ${lab.o}`);
		});
		await lab.alive();
	});
	test('a BYE with a changed map ends nothing', async () => {
		const reply = await lab.counts({ maps_misplaced: 1 },
			() => lab.n.request('BYE', lab.withTag(flip(lab.maps.tag))));
		assert.equal(reply.status, 481);
		assert.equal(await lab.stack.onlyCall(), lab.o);
		await lab.alive();
	});

	/* ---- in the Request-URI: from the far end ---- */

	const fromPeer = (what, counter, make) => test(`Request-URI: ${what}`, async () => {
		const reply = await lab.counts({ [counter]: 1, messages_dropped: 1 },
			() => lab.bob.request('INFO', lab.withTarget(make(lab.maps))));
		assert.match(reply.start, /^SIP.2.0 [45]/);
		assert.ok(!lab.alice.inbox.some((m) => m.text.includes(lab.o)), 'alice does not see the old Call-ID');
		await lab.alive();
	});
	fromPeer('made up', 'maps_forged', (m) => madeUp(m.contact));
	fromPeer('changed', 'maps_misplaced', (m) => flip(m.contact));
	fromPeer('truncated by a byte or two', 'maps_forged', (m) => m.contact.slice(0, m.contact.length & ~7));
	fromPeer('truncated to some characters', 'maps_malformed', (m) => m.contact.slice(0, 12));
	fromPeer('a map for the Via', 'maps_misplaced', (m) => m.via);
	fromPeer('a map for the tag', 'maps_misplaced', (m) => m.tag);

	/* ---- in the Via: replies of the far end ---- */

	const inReply = (what, counter, make) => test(`Via: ${what}`, async () => {
		await lab.counts({ [counter]: 1, messages_dropped: 1, spliced_in: 1 }, async () => {
			const held = lab.held('INFO');
			const nothing = assert.rejects(lab.n.request('INFO', { timeout_ms: 300 }), /waited 300 ms/);
			const got = await held;
			got.answer(replyTo(got, 200, 'OK').replace(CRM1, `crm1=${make(lab.maps)}`));
			await nothing;
		});
		assert.ok(!lab.alice.inbox.some((m) => m.text.includes(lab.o)), 'alice does not see the old Call-ID');
		await lab.alive();
	});
	inReply('made up', 'maps_forged', (m) => madeUp(m.via));
	inReply('changed', 'maps_misplaced', (m) => flip(m.via));
	inReply('truncated to some characters', 'maps_malformed', (m) => m.via.slice(0, 12));
	inReply('a map for the Contact', 'maps_misplaced', (m) => m.contact);
	inReply('a map for the tag', 'maps_misplaced', (m) => m.tag);

	/* ---- seal orders, and states, from outside ---- */

	const reference = () => /;crs-a=([a-z2-7]+)/.exec(lab.far.requests[0].recordRoutes.join())[1];

	test('an order to seal from the client does not get to the far end', async () => {
		const reply = await lab.n.request('INFO', { headers: [`Call-State: crm1 a ${reference()} sip:evil@${TRUNK_IP}`] });
		assert.equal(reply.status, 200);
		assert.equal(lab.far.requests.at(-1).get('call-state'), undefined);
		await lab.alive();
	});
	test('nor does one in a new request', async () => {
		const asked = lab.far.requests.length;
		const reply = await lab.alice.outside('MESSAGE', `sip:bob@${DOMAIN}`, {
			headers: [`Call-State: crm1 b ${reference()}`],
		});
		assert.equal(reply.status, 200);
		assert.equal(lab.far.requests[asked].get('call-state'), undefined);
	});

	test('nor does a Call-State-Id, which would have a page take the call by itself', async () => {
		const asked = lab.far.requests.length;
		const reply = await lab.alice.outside('MESSAGE', `sip:bob@${DOMAIN}`, { headers: [`Call-State-Id: ${'0'.repeat(32)}`] });
		assert.equal(reply.status, 200);
		assert.equal(lab.far.requests[asked].get('call-state-id'), undefined);
	});

	for (const [status, planted] of [
		[200, () => `crm1 a ${reference()} sip:evil@192.0.2.1`], [200, () => lab.lost],
		[486, () => `crm1 a ${reference()} sip:evil@192.0.2.1`],
	]) {
		test(`what a far end plants in a ${status} does not get to the client`, async () => {
			const value = planted();
			const held = lab.held('INFO');
			const answer = lab.n.request('INFO');
			const got = await held;
			lab.far.reply(got, status, 'Planted', { headers: [`Call-State: ${value}`] });
			const final = await answer;
			const state = final.get('call-state');
			assert.notEqual(state, value);
			if (state) {
				const seen = await lab.stack.kamailio.kamcmd('call_resume.inspect', state, SUB, SID);
				assert.match(seen, /verdict: opens/);
				assert.ok(!seen.includes('192.0.2.1'), seen);
			}
			await lab.alive();
		});
	}

	test('a reply without the client\'s Via does not show the order to seal', async () => {
		await lab.counts({ messages_dropped: 1, spliced_in: 1 }, async () => {
			const held = lab.held('INFO');
			const nothing = assert.rejects(lab.n.request('INFO', { timeout_ms: 300 }), /waited 300 ms/);
			const got = await held;
			got.answer(replyTo(got, 200, 'OK').replace(/Via: [^\r]*;crm1=[^\r]*\r\n/, ''));
			await nothing;
		});
		assert.ok(!lab.alice.inbox.some((m) => m.get('call-state')?.startsWith('crm1')), 'alice does not see the mark');
		await lab.alive();
	});

	test('nor what it plants in a 183', async () => {
		const held = lab.held('INVITE');
		const calling = lab.alice.call();
		const got = await held;
		lab.far.reply(got, 183, 'Planted', { headers: [`Call-State: ${lab.lost}`] });
		const early = await lab.alice.take('the 183', (m) => m.status === 183);
		assert.equal(early.get('call-state'), undefined);
		lab.far.accept(got);
		const call = await calling;
		assert.match(call.state, /^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/);
		assert.equal((await call.request('BYE')).status, 200);
	});

	test('after all that: Kamailio is up, the call too, and the client hangs up', async () => {
		lab.stack.kamailio.proc.assertAlive();
		assert.deepEqual(lab.stack.kamailio.logged(/CRITICAL|BUG/), []);
		lab.noSecret(lab.stack.kamailio.log());
		await lab.hangUp();
	});
});

describe('maps that are expired', () => {
	let lab;
	before(async () => { lab = await Lab.start('maps-expired', { RESUME_MAP_LIFETIME: 4 }); });
	after(() => lab?.stop());

	test('each way they are left alone, and the client resumes again', async () => {
		// Asked and translated in time, answered too late.
		const held = lab.held('INFO');
		const late = assert.rejects(lab.n.request('INFO', { timeout_ms: 6000 }), /waited/);
		const info = await held;
		await until('the maps to expire', async () => (await lab.n.request('OPTIONS')).status === 481,
			{ every_ms: 200 });

		await lab.counts({ maps_expired: 1 }, async () => {
			const reply = await lab.n.request('INFO');
			assert.equal(reply.status, 481);
			assert.ok(!reply.text.includes(lab.o));
		});
		await lab.counts({ maps_expired: 1, messages_dropped: 1 }, async () => {
			assert.match((await lab.bob.request('INFO')).start, /^SIP.2.0 [45]/);
		});
		await lab.counts({ maps_expired: 1, messages_dropped: 1 }, async () => {
			lab.far.reply(info, 200, 'OK');
			await late;
		});
		await lab.resume();
		await lab.alive();
		await lab.hangUp();
	});
});
