// SPDX-License-Identifier: GPL-2.0-or-later
// What is counted of strangers is counted in windows of time. htable looks every 20 s for what is over, and until then that of
// Kamailio 5.6.3 begins it anew with each one that is counted: see docs/upstream.md.

import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';

import { Phone } from '../lib/phone.mjs';
import { QUICK, Visitor } from '../lib/portal.mjs';
import { Endpoint, message, random } from '../lib/sip.mjs';
import { DOMAIN, Stack, TRUNK_IP, runFolder } from '../lib/stack.mjs';
import { sleep, until } from '../lib/wait.mjs';

const MAX = 5; // of anything
const ADDRESSES = 6;
const SECONDS = 6;
const OVER = (SECONDS + 1.2) * 1000; // Kamailio's clock has seconds
const table = (name) => `"${name}=>size=4;autoexpire=${SECONDS};updateexpire=0;initval=0;"`;

let stack;
let open = [];
const at = () => ({ ip: stack.kamailio.ip, port: stack.kamailio.port });
const entries = async (name) => (await stack.kamailio.kamcmd('htable.dump', name)).match(/name: .*/g) ?? [];
afterEach(() => open.splice(0).forEach((p) => p.close()));

/** Run, and wait until what was counted is over. It is there still: where htable has looked meanwhile, again. */
async function overAndThere(name, run) {
	for (let i = 0; i < 3; i++) {
		for (const each of ['strangers', 'familiar', 'signins']) await stack.kamailio.kamcmd('htable.flush', each);
		await run();
		await sleep(OVER);
		if ((await entries(name)).length > 0) return;
	}
	assert.fail(`nothing is left in ${name}`);
}

const start = (name, defines) => {
	const dir = runFolder(name);
	return Stack.start(name, {
		dir, web: { values: QUICK }, defines: { WITH_DIGEST: true, DIGEST_DB: `"sqlite:///${path.join(dir, 'portal.sqlite')}"`, ...defines },
	});
};

describe('requests of strangers', () => {
	// Of several processes each may begin a window at the same moment, and then one that was counted is not.
	before(async () => { stack = await start('strangers-window', { CHILDREN: 1, STRANGERS_MAX: MAX, STRANGERS_ADDRESSES: ADDRESSES, STRANGERS_TABLE: table('strangers'), TRUNK_REQUESTS_MAX: MAX }); });
	after(() => stack?.stop());

	async function scan(times, ip) {
		const scanner = await Endpoint.open({ ip, to: at() });
		open.push(scanner);
		for (let i = 0; i < times; i++) {
			scanner.send(message(`REGISTER sip:${DOMAIN} SIP/2.0`, [`Via: SIP/2.0/UDP ${scanner.host};branch=z9hG4bK${random()}`, 'Max-Forwards: 70',
				`From: <sip:100@${DOMAIN}>;tag=1`, `To: <sip:100@${DOMAIN}>`, `Call-ID: ${random()}`, 'CSeq: 1 REGISTER']));
		}
		return scanner.inbox;
	}

	test('get no more answers in the next window', async () => {
		await overAndThere('strangers', () => scan(1, '127.0.5.1'));
		const answers = await scan(5 * MAX, '127.0.5.1');
		await until('the answers', () => answers.length >= MAX);
		await sleep(300);
		assert.equal(answers.length, MAX);
	});

	test('with the address of the trunk, to a client that is there, get no further in it', async () => {
		const phone = await Phone.open({ user: 'alice', password: stack.portal.add(`alice@${DOMAIN}`), to: at() });
		open.push(phone);
		assert.equal((await phone.register()).status, 200);
		const forge = async (times) => {
			const forger = await Endpoint.open({ ip: TRUNK_IP, to: at() });
			open.push(forger);
			for (let i = 0; i < times; i++) {
				forger.send(message(`MESSAGE sip:alice@${DOMAIN} SIP/2.0`, [`Via: SIP/2.0/UDP ${forger.host};branch=z9hG4bK${random()}`, 'Max-Forwards: 70',
					`From: <sip:x@${DOMAIN}>;tag=1`, `To: <sip:alice@${DOMAIN}>`, `Call-ID: ${random()}`, 'CSeq: 1 MESSAGE']));
			}
			return forger.inbox;
		};
		await overAndThere('strangers', () => forge(1));
		const answers = await forge(3 * MAX);
		const refused = () => answers.filter((m) => m.start === 'SIP/2.0 503 Too Many Requests').length;
		await until('the refusals', () => refused() >= 2 * MAX);
		assert.equal(refused(), 2 * MAX);
	});

	test('of many addresses, which may be made up, take no more memory in it', async () => {
		await overAndThere('strangers', () => scan(1, '127.0.5.1'));
		for (let i = 1; i <= 4 * ADDRESSES; i++) await scan(1, `127.0.7.${i}`);
		await until('all of them to be counted', async () => (await entries('strangers')).some((e) => /others|127\.0\.7\.24/.test(e)));
		await sleep(300);
		const names = await entries('strangers');
		assert.ok(names.length <= ADDRESSES + 3, names.join()); // all and others of UDP, and who was there before
	});
});

describe('guesses', () => {
	let password;
	before(async () => {
		stack = await start('strangers-window-guesses', {
			STRANGERS_MAX: 100000, PORTAL_FAILURES_MAX: MAX, PORTAL_ADDRESS_FAILURES_MAX: 2 * MAX, PORTAL_NEW_SESSIONS_MAX: MAX, PORTAL_WINDOW: table('signins'),
			SIGNINS_USERS: ADDRESSES, SIGNINS_ADDRESSES: ADDRESSES,
		});
		password = stack.portal.add(`alice@${DOMAIN}`);
	});
	after(() => stack?.stop());

	async function atPhones(secret, { ip, user = 'alice' }) {
		const phone = await Phone.open({ ip, user, password: secret, to: at() });
		open.push(phone);
		return (await phone.register()).status;
	}

	async function atPortal(secret, { ip }) {
		return (await new Visitor(stack.web.url, { ca: stack.certificate.cert }).signIn('alice', secret, { localAddress: ip })).status;
	}

	const times = async (n, run) => {
		const answers = [];
		for (let i = 0; i < n; i++) answers.push(await run(i));
		return answers;
	};
	const some = (n, status) => Array(n).fill(status);

	for (const [where, door, later] of [['the phones\' door', atPhones, 503], ['the portal\'s door', atPortal, 429]]) {
		test(`at ${where}: no more in the next window`, async () => {
			const guess = (i) => door(`guess ${i}`, { ip: '127.0.4.1' });
			await overAndThere('signins', () => guess(0));
			assert.deepEqual(await times(2 * MAX, guess), [...some(MAX, 401), ...some(MAX, later)]);
		});
	}

	test('for many users: no more in it, and no more memory', async () => {
		const guess = (i) => atPhones('guess', { ip: '127.0.4.2', user: `user${i}` });
		await overAndThere('signins', () => guess(0));
		assert.deepEqual(await times(3 * MAX, guess), [...some(2 * MAX, 401), ...some(MAX, 503)]);
		const names = await entries('signins');
		assert.ok(names.length <= ADDRESSES + 3, names.join()); // users, IPv4, the address
	});

	test('new sessions of who knows the password: no more in it', async () => {
		const signIn = () => atPortal(password, { ip: '127.0.4.3' });
		await overAndThere('signins', signIn);
		assert.deepEqual(await times(2 * MAX, signIn), [...some(MAX, 200), ...some(MAX, 429)]);
	});
});
