// SPDX-License-Identifier: GPL-2.0-or-later
// Who is believed in a dialog where the routes are in Lua or in Python and say who the trunk
// is: resume.is_from_trunk of resume.lua and resume.py, as RESUME_FROM_TRUNK of resume.cfg.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';

import { Integrated } from '../lib/integrate.mjs';
import { STRANGER_IP } from '../lib/lab.mjs';
import { Dialog, FarEnd, sdp } from '../lib/sip.mjs';
import { DOMAIN, TRUNK_IP } from '../lib/stack.mjs';
import { LANGUAGES, changed } from './kemi.mjs';

/** What the routes say of the trunk, and the table of what is revoked. */
const TRUNK = {
	lua: ['resume.password = password\n', `$&resume.is_from_trunk = function() return KSR.pv.get("$si") == "${TRUNK_IP}" end\n`],
	python: ['Resume(KSR, password)', `Resume(KSR, password, is_from_trunk=lambda: KSR.pv.get("$si") == "${TRUNK_IP}")`],
};
const REVOCATION = '#!define WITH_REVOCATION\nloadmodule "htable.so"\nmodparam("htable", "htable", "revoked=>size=4;autoexpire=43260;")\n$&';

for (const language of Object.keys(LANGUAGES)) {
	describe(language, () => {
		let stack;
		let open = [];
		const keep = (party) => (open.push(party), party);
		before(async () => {
			stack = await Integrated.start(`trunk-${language}`, changed(language, {
				[LANGUAGES[language]]: [TRUNK[language]], 'kemi.cfg': [['include_file "resume.cfg"', REVOCATION]],
			}));
		});
		afterEach(async () => {
			open.splice(0).forEach((party) => party.close());
			await stack.dropMedia();
		});
		after(() => stack?.stop());

		const party = async (options) => keep(await FarEnd.open({ to: { ip: stack.kamailio.ip, port: stack.kamailio.port }, ...options }));
		const token = (user, sid = `s-${user}`) => stack.kamailio.token(`sip:${user}@${DOMAIN}`, sid);
		/** A call of alice with the trunk: her side, and the far end's. */
		async function call(sid) {
			const far = await party({ ip: TRUNK_IP, port: stack.trunkPort });
			const alice = await party({ user: 'alice', token: await token('alice', sid) });
			const mine = await alice.call({ service: 'bob' });
			assert.equal(mine.final.status, 200);
			await far.take('the ACK', (m) => m.method === 'ACK' && m.callId === mine.callId);
			return { far, alice, mine, theirs: far.dialog(mine.callId) };
		}
		const as = (sender, dialog, more) => new Dialog(sender, { ...dialog, party: sender, cseq: 90, ...more });
		const METHODS = ['INFO', 'UPDATE', 'INVITE', 'BYE'];
		/** All of them get that, and nobody gets them. */
		async function refused(dialog, status, receivers, methods = METHODS) {
			const seen = receivers.map((r) => r.requests.length);
			for (const method of methods) {
				const answer = await dialog.request(method, { body: method === 'INVITE' ? sdp(TRUNK_IP, 9, 5) : '' });
				assert.equal(answer.status, status, method);
			}
			assert.deepEqual(receivers.map((r) => r.requests.length), seen);
			assert.equal((await stack.rtpengine.calls()).length, 1);
		}

		test('with the address of the trunk over UDP: only of a call of ours', async () => {
			const { far, alice, mine, theirs } = await call();
			const forger = await party({ ip: TRUNK_IP });
			for (const routes of [[], [`<sip:${stack.gateway};lr>`], theirs.routes.map((r) => r.replace(/crs-a=...../, 'crs-a=aaaaa'))]) {
				await refused(as(forger, theirs, { routes }), 481, [far, alice]);
			}
			assert.equal((await theirs.request('INFO')).status, 200);
			assert.equal((await alice.take('the INFO', (m) => m.method === 'INFO')).callId, mine.callId);
			assert.equal((await mine.request('BYE')).status, 200);
		});

		test('... and not in the names that a client has from a resume', async () => {
			const { far, alice, mine, theirs } = await call();
			alice.close();
			const two = await party({ user: 'alice', token: await token('alice') });
			const back = await two.call({ state: mine.state });
			assert.equal(back.final.status, 200);
			await far.take('the ACK', (m) => m.method === 'ACK' && m.callId === mine.callId);
			const forger = await party({ ip: TRUNK_IP });
			await refused(as(forger, back), 481, [far, two]);
			assert.equal((await theirs.request('INFO')).status, 200);
			assert.equal((await back.request('BYE')).status, 200);
		});

		test('from anywhere else: of a call of ours, or with a token of the user in From, which asks for no media', async () => {
			const { far, alice, mine } = await call();
			const stranger = await party({ ip: STRANGER_IP });
			await refused(as(stranger, mine, { routes: [`<sip:${stack.gateway};lr>`] }), 403, [far, alice]);
			await refused(as(stranger, mine, { routes: [] }), 481, [far, alice]);
			const bearer = ['alice', 'mallory'].map(async (user) => `Authorization: Bearer ${await token(user)}`);
			const bare = as(stranger, mine, { routes: [`<sip:${stack.gateway};lr>`] });
			const [own, other] = await Promise.all(bearer);
			const asks = far.requests.length;
			for (const method of ['INVITE', 'UPDATE', 'PRACK']) assert.equal((await bare.request(method, { headers: [own], body: sdp(STRANGER_IP, 9, 5) })).status, 403, method);
			assert.equal((await bare.request('INFO', { headers: [other] })).status, 403);
			bare.ack({ headers: [own], body: sdp(STRANGER_IP, 9, 6) });
			assert.equal((await bare.request('INFO', { headers: [own] })).status, 200);
			assert.deepEqual(far.requests.slice(asks).map((m) => m.method), ['INFO']);
			assert.ok(!far.requests.at(-1).get('authorization'));
			assert.equal((await mine.request('BYE')).status, 200);
		});

		test('of a session that has been revoked: the end of the call, by either side', async () => {
			const { far, alice, mine, theirs } = await call('gone');
			await stack.kamailio.kamcmd('call_resume.revoke', 'sid', 'gone');
			const forger = await party({ ip: TRUNK_IP });
			await refused(mine, 403, [far, alice], ['INFO', 'UPDATE', 'INVITE']);
			await refused(as(forger, mine), 403, [far, alice], ['INFO', 'UPDATE', 'INVITE']);
			assert.equal((await theirs.request('BYE')).status, 200);
			await alice.take('the BYE', (m) => m.method === 'BYE');
		});
	});
}
