// SPDX-License-Identifier: GPL-2.0-or-later
// Without a key that is fit for use Kamailio does not start, and says what to do;
// no key material gets into its log.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';

import { Kamailio, MODULE, ROOT, writeKeyRing } from '../lib/kamailio.mjs';
import { Portal } from '../lib/portal.mjs';
import { runFolder } from '../lib/stack.mjs';

let base;
let n = 0;
before(() => {
	base = runFolder('start');
});
after(() => fs.rmSync(base, { recursive: true, force: true }));

const key = (bytes = 32) => randomBytes(bytes).toString('base64url');

/** A configuration of nothing but the module and what it is told to load. */
function config({ modules = ['tm', 'rr', 'sl'], ring, more = '' }) {
	return [
		'#!KAMAILIO', 'debug=2', 'children=1', 'disable_tcp=yes', 'listen=LISTEN_UDP',
		'loadmodule "kex.so"', 'loadmodule "ctl.so"', 'modparam("ctl", "binrpc", CTL_SOCKET)',
		...modules.map((m) => `loadmodule "${m}.so"`), `loadmodule "${MODULE}"`,
		ring ? `modparam("call_resume", "key_ring", "${ring}")` : '',
		more, 'request_route { exit; }', '',
	].join('\n');
}

/** Try to start; resolves with {started, log}. */
async function start({ ring, mode = 0o600, file, defines = {}, cfg }) {
	const dir = path.join(base, String(++n));
	fs.mkdirSync(dir, { mode: 0o700 });
	const ringFile = file ?? path.join(dir, 'keyring');
	if (ring !== undefined) fs.writeFileSync(ringFile, ring);
	if (ring !== undefined) fs.chmodSync(ringFile, mode);
	let cfgFile = path.join(ROOT, 'cfg/kamailio.cfg');
	if (cfg) {
		cfgFile = path.join(dir, 'kamailio.cfg');
		fs.writeFileSync(cfgFile, config({ ring: ringFile, ...cfg }));
	}
	let kamailio;
	try {
		kamailio = await Kamailio.start(dir, {
			cfg: cfgFile,
			// No rtpengine here: the module is not what asks for it.
			defines: { RESUME_KEY_RING: `"${ringFile}"`, RTPENGINE: '"udp:127.0.0.1:9"', ...defines },
		});
	} catch (e) {
		assert.match(e.message, /kamailio ended \((?!0\))/);
	} finally {
		await kamailio?.stop();
	}
	const log = fs.readFileSync(path.join(dir, 'kamailio.log'), 'utf8');
	for (const word of (ring ?? '').split(/\s+/).filter((w) => w.length > 20 && !w.includes(':'))) {
		assert.ok(!log.includes(word.slice(0, 12)), 'no key material in the log');
	}
	return { started: kamailio !== undefined, log };
}

function refuses(what, options, message) {
	test(`refused: ${what}`, async () => {
		const { started, log } = await start(options);
		assert.ok(!started, 'it must not start');
		const errors = log.split('\n').filter((l) => /ERROR: call_resume/.test(l)).join('\n');
		assert.match(errors, message, log);
	});
}

refuses('no key_ring parameter', { cfg: { ring: null } }, /set modparam\("call_resume", "key_ring".*openssl rand/);
refuses('an empty key_ring parameter', { defines: { RESUME_KEY_RING: '""' } }, /set modparam/);
refuses('no file', {}, /cannot open .*keyring; .*openssl rand -base64 32/);
refuses('a file that others may read', { ring: `k1 ${key()}\n`, mode: 0o640 }, /open to group or others \(mode 0640\); chmod 600/);
refuses('a file that others may write', { ring: `k1 ${key()}\n`, mode: 0o602 }, /\(mode 0602\)/);
refuses('a folder', { file: '/tmp' }, /not a regular file/);
refuses('a device', { file: '/dev/null' }, /not a regular file/);
refuses('an empty file', { ring: '' }, /no usable key \(0 retired\); add a line/);
refuses('only comments', { ring: '# nothing yet\n\n' }, /no usable key/);
refuses('a kid alone', { ring: `k2 ${key()}\nk1\n` }, /line 2: wants a kid, a key/);
refuses('four words', { ring: `# the ring\n\nk1 ${key()} 2099-01-01T00:00:00Z more\n` }, /line 3: wants/);
refuses('a kid with a slash', { ring: `k/1 ${key()}\n` }, /line 1: a kid has 1 to 32 characters/);
refuses('a key with padding', { ring: `k1 ${randomBytes(32).toString('base64')}\n` }, /line 1: the key is not base64url.*openssl/);
refuses('a key that is too short', { ring: `k1 ${key(16)}\n` }, /line 1: the key is not 32 bytes long; make one with/);
refuses('a key that is too long', { ring: `k1 ${key(48)}\n` }, /line 1: the key is not 32 bytes long/);
refuses('a time that is none', { ring: `k1 ${key()} tomorrow\n` }, /line 1: not-after is a UTC time like/);
refuses('a duplicate kid', { ring: `k1 ${key()}\nk2 ${key()}\nk1 ${key()}\n` }, /line 3: the kid k1 stands on an earlier line/);
refuses('17 keys', { ring: Array.from({ length: 17 }, (_, i) => `k${i} ${key()}\n`).join('') }, /line 17: more than 16 keys/);
refuses('only retired keys', { ring: `k1 ${key()} 2020-01-01T00:00:00Z\n` }, /no usable key \(1 retired\)/);
refuses('abandoned_after below 0', { ring: `k1 ${key()}\n`, defines: { RESUME_ABANDONED: -1 } }, /abandoned_after is not negative, and a year at the most/);
refuses('abandoned_after of over a year', { ring: `k1 ${key()}\n`, defines: { RESUME_ABANDONED: 31622401 } }, /abandoned_after is not negative/);
refuses('leaving_after 0', { ring: `k1 ${key()}\n`, defines: { RESUME_LEAVING: 0 } }, /leaving_after has to be positive/);
refuses('abandoned_after without media_server', { ring: `k1 ${key()}\n`, cfg: { more: 'modparam("call_resume", "abandoned_after", 60)' } },
	/abandoned_after needs media_server/);
refuses('a trunk_uri that is none', { ring: `k1 ${key()}\n`, cfg: { more: 'modparam("call_resume", "trunk_uri", "192.0.2.7:5060")' } },
	/trunk_uri: \[192\.0\.2\.7:5060\] is no SIP URI/);
for (const where of ['tcp:127.0.0.1:2223', 'udp:127.0.0.1', 'udp:', '127.0.0.1:2223']) {
	refuses(`media_server ${where}`, {
		ring: `k1 ${key()}\n`, cfg: { more: `modparam("call_resume", "abandoned_after", 60)\nmodparam("call_resume", "media_server", "udp:127.0.0.1:1 ${where}")` },
	}, new RegExp(`media_server: ${where} is not udp:host:port`));
}
for (const [name, define] of [['token_lifetime', 'RESUME_TOKEN_LIFETIME'], ['clock_skew', 'RESUME_CLOCK_SKEW']]) {
	// Their sum is how long a revocation lasts, and was below zero.
	refuses(`a ${name} beyond measure`, { ring: `k1 ${key()}\n`, defines: { [define]: 2147483647 } }, new RegExp(`${name}.* a year at the most`));
}
for (const most of [-1, 100001]) {
	refuses(`${most} resumes a second`, { ring: `k1 ${key()}\n`, defines: { RESUMES_MAX: most } }, /resumes_max is from 0 to 100000/);
}
refuses('a lifetime of nothing', { ring: `k1 ${key()}\n`, defines: { RESUME_MAP_LIFETIME: 0 } }, /map_lifetime.* positive/);
refuses('a proxy that is no address', { ring: `k1 ${key()}\n`, defines: { RESUME_TRUSTED_PROXY: '"127.0.0.1, localhost"' } },
	/trusted_proxy: \[localhost\] is no address/);
refuses('nine proxies', {
	ring: `k1 ${key()}\n`, defines: { RESUME_TRUSTED_PROXY: `"${Array.from({ length: 9 }, (_, i) => `192.0.2.${i}`).join(' ')}"` },
}, /trusted_proxy: more than 8 addresses/);
for (const inner of ['dialog', 'topoh', 'topos', 'sipcapture']) {
	refuses(`${inner} in front of it`, { ring: `k1 ${key()}\n`, cfg: { modules: ['tm', 'rr', 'sl', inner] } },
		new RegExp(`${inner} is loaded in front of call_resume.* move loadmodule "${inner}.so" behind`));
}
for (const used of ['usrloc', 'registrar']) {
	refuses(`${used} behind resume.cfg`, {
		ring: `k1 ${key()}\n`, cfg: {
			modules: ['tm', 'rr', 'sl', ...(used === 'usrloc' ? [] : ['usrloc'])],
			more: `modparam("call_resume", "manage", 1)\nloadmodule "${used}.so"\nmodparam("tm|usrloc", "xavp_contact", "client")`,
		},
	}, new RegExp(`${used} is loaded behind resume.cfg.* behind loadmodule "${used}.so"`));
}
refuses('bindings that cannot keep a session', {
	ring: `k1 ${key()}\n`, cfg: { modules: ['tm', 'rr', 'sl', 'usrloc'], more: 'modparam("call_resume", "manage", 1)' },
}, /set modparam\("tm\|usrloc", "xavp_contact"/);
for (const missing of ['tm', 'rr', 'sl']) {
	refuses(`without the module ${missing}`,
		{ ring: `k1 ${key()}\n`, cfg: { modules: ['tm', 'rr', 'sl'].filter((m) => m !== missing) } },
		/load the modules tm, rr and sl in front of call_resume/);
}

test('a ring of a retired, a current and an older key starts', async () => {
	const { started, log } = await start({
		ring: `# newest first\nk0 ${key()} 2020-01-01T00:00:00Z\nk2 ${key()}\r\n\tk1\t${key()}  2099-01-01T00:00:00Z`,
	});
	assert.ok(started, log);
	assert.doesNotMatch(log, /allow_insecure/);
});

test('allow_insecure warns', async () => {
	const { started, log } = await start({ ring: `k1 ${key()}\n`, defines: { RESUME_ALLOW_INSECURE: 1 } });
	assert.ok(started, log);
	assert.match(log, /WARNING: call_resume.*allow_insecure is set: .* in the clear/);
});

for (const [what, more, line] of [
	['a number of a node that is none', 'modparam("call_resume", "node", 10000)', /node is a number from 1 to 9999, or 0/],
	['a node without a socket for nodes', 'modparam("call_resume", "node", 1)', /node needs node_socket/],
	['a node with a socket that is signed in vain', 'modparam("call_resume", "node", 1)\nmodparam("call_resume", "node_socket", "tcp:127.0.0.1:5090")', /node needs node_socket/],
	['a node whose socket for nodes is another one than it listens on', 'modparam("call_resume", "node", 1)\nmodparam("call_resume", "node_socket", "udp:127.0.0.1:5090")', /node_socket udp:127\.0\.0\.1:5090 is none of the sockets/],
	['a node whose far ends hear of no resume', 'modparam("call_resume", "node", 1)\nmodparam("call_resume", "node_socket", "udp:127.0.0.1:5090")\nmodparam("call_resume", "quiet", 1)', /quiet has to be 0 in a cluster/],
]) {
	refuses(what, { ring: `k1 ${key()}\n`, cfg: { more } }, line);
}

test('nothing but tm, rr and sl is needed', async () => {
	const { started, log } = await start({ ring: `k1 ${key()}\n`, cfg: {} });
	assert.ok(started, log);
});

// Each define alone, any two together, and all: what one loads another may load too, and
// Kamailio takes no module twice. Those that need another one have it.
const SWITCHES = [
	['WITH_TLS'], ['WITH_PORTAL'], ['WITH_PORTAL', 'WITH_NETWORK_STORE'], ['WITH_DIGEST'], ['WITH_ACC'], ['WITH_REVOCATION'],
	['WITH_REVOCATION', 'WITH_REVOKED_DB'], ['WITH_REVOCATION', 'WITH_DMQ'], ['WITH_NEWEST_STATE'], ['WITH_PROMETHEUS'],
	['WITH_SLOW_DOWN'], ['WITH_AWAY_ANNOUNCEMENT'], ['RESUME_PUSH'], ['RESUME_SESSION_ID'], ['RESUME_BIND_FINGERPRINT=1'], ['RESUME_TURN_SECRET_FILE="/dev/null"'],
	['WITH_CLUSTER'],
];

const check = (defines) => new Promise((resolve) => {
	const args = ['-c', '-M', '16', '-f', path.join(ROOT, 'cfg/kamailio.cfg'), '-A', `RESUME_MODULE="${MODULE}"`];
	execFile('kamailio', [...args, ...defines.flatMap((d) => ['-A', d])], { timeout: 20_000 }, (e, out, err) => {
		resolve(e || /twice|ERROR|CRITICAL/.test(err) ? err || String(e) : undefined);
	});
});

test('the configuration can be read with every two of its switches, without resuming, and with all', async () => {
	const sets = [[], ['WITHOUT_RESUME'], ['WITHOUT_RESUME', 'WITHOUT_AUTH', 'WITH_TLS', 'WITH_ACC'], SWITCHES.flat()];
	for (const one of SWITCHES) for (const other of SWITCHES) if (one <= other) sets.push([...one, ...other]);
	sets.push(['WITHOUT_STRANGERS_LIMIT'], ['WITHOUT_STRANGERS_LIMIT', ...SWITCHES.flat()]);
	for (const set of sets) {
		const defines = [...new Set(set)];
		assert.equal(await check(defines), undefined, defines.join(' '));
	}
});

// The table in docs/operations.md.
test('sockets and files are for their owner alone', async () => {
	const dir = path.join(base, 'modes');
	fs.mkdirSync(dir, { mode: 0o700 });
	const ring = writeKeyRing(path.join(dir, 'keyring'));
	const portal = Portal.create(dir);
	portal.add('alice@example.org');
	const kamailio = await Kamailio.start(dir, {
		defines: { ...portal.defines, RESUME_KEY_RING: `"${ring}"`, RTPENGINE: '"udp:127.0.0.1:9"' },
	});
	try {
		const mode = (name) => {
			const stat = fs.statSync(path.join(dir, name));
			return [stat.isSocket() ? 'socket' : stat.isFIFO() ? 'fifo' : 'file', (stat.mode & 0o777).toString(8)];
		};
		assert.deepEqual(['kamailio.ctl', 'kamailio.fifo', 'portal.sqlite', 'keyring'].map(mode),
			[['socket', '600'], ['fifo', '600'], ['file', '600'], ['file', '600']]);
	} finally {
		await kamailio.stop();
	}
});
