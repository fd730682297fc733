// SPDX-License-Identifier: GPL-2.0-or-later
// The tools that make what the portal and nginx need: users, and a certificate.

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';

import { ROOT } from '../lib/kamailio.mjs';
import { runFolder } from '../lib/stack.mjs';

let dir;
before(() => { dir = runFolder('portal-tools'); });

const tool = (name, args, input) => spawnSync(path.join(ROOT, 'tools', name), args, { input, encoding: 'utf8' });

test('portal-user makes the tables that Kamailio has', () => {
	const file = path.join(dir, 'users.sqlite');
	assert.equal(tool('portal-user', [file]).status, 0);
	assert.equal(fs.statSync(file).mode & 0o777, 0o600);
	const schema = '/usr/share/kamailio/db_sqlite';
	const theirs = execFileSync('sqlite3', [':memory:', '-cmd', `.read ${schema}/standard-create.sql`, '-cmd', `.read ${schema}/auth_db-create.sql`,
		'pragma table_info(subscriber); select table_version from version where table_name = \'subscriber\''], { encoding: 'utf8' });
	const ours = execFileSync('sqlite3', [file, 'pragma table_info(subscriber); select table_version from version where table_name = \'subscriber\''],
		{ encoding: 'utf8' });
	assert.equal(ours, theirs);
	assert.equal(tool('portal-user', [file, 'dave@example.org'], 'pass word \\1\n').status, 0);
	const md5 = (text) => createHash('md5').update(text).digest('hex');
	assert.equal(execFileSync('sqlite3', [file, 'select password, ha1, ha1b from subscriber'], { encoding: 'utf8' }).trim(),
		`|${md5('dave:example.org:pass word \\1')}|${md5('dave@example.org:example.org:pass word \\1')}`);
});

test('portal-user gives a file of an earlier version what it lacks, and what ends is written down', () => {
	const file = path.join(dir, 'earlier.sqlite');
	const sql = (query) => execFileSync('sqlite3', [file, query], { encoding: 'utf8' }).trim();
	assert.equal(tool('portal-user', [file, 'dave@example.org'], 'long enough').status, 0);
	sql('drop table web_ended; drop trigger web_session_ended; drop trigger subscriber_password; drop trigger subscriber_removed');
	assert.equal(tool('portal-user', [file]).status, 0);
	const ended = () => sql('select sub, sid, revoked from web_ended order by id; delete from web_ended');
	const begin = (hash, sid) => sql(`insert into web_session (hash, sub, sid, expires) values ('${hash}', 'sip:dave@example.org', '${sid}', 9999999999)`);

	begin('a', 'one');
	begin('b', 'one');
	sql("delete from web_session where hash = 'a'");
	assert.equal(ended(), '', 'the session goes on under another cookie');
	sql("delete from web_session where hash = 'b'");
	assert.equal(ended(), 'sip:dave@example.org|one|0');
	begin('c', 'two');
	// The same one is a new one too.
	assert.equal(tool('portal-user', [file, 'dave@example.org'], 'long enough').status, 0);
	assert.equal(ended(), 'sip:dave@example.org|two|0\nsip:dave@example.org||0');
	begin('d', 'three');
	assert.equal(tool('portal-user', ['-d', file, 'dave@example.org']).status, 0);
	assert.equal(ended(), 'sip:dave@example.org|three|0\nsip:dave@example.org||0');
	assert.equal(sql('select count(*) from web_session'), '0');
});

test("portal-user, run by root, works as the folder's owner: the files are its, and root's stay root's", { skip: process.getuid() === 0 ? false : 'not root' }, (t) => {
	const mine = fs.mkdtempSync(path.join(os.tmpdir(), 'call_resume-portal-user-'));
	t.after(() => fs.rmSync(mine, { recursive: true }));
	const [folder, secret] = ['kamailio', 'secret'].map((name) => path.join(mine, name));
	const file = path.join(folder, 'users.sqlite');
	fs.chmodSync(mine, 0o755);
	fs.mkdirSync(folder);
	fs.chownSync(folder, 65534, 65534);
	assert.equal(tool('portal-user', [file, 'dave@example.org'], 'long enough').status, 0);
	for (const name of fs.readdirSync(folder)) assert.equal(fs.statSync(path.join(folder, name)).uid, 65534, name);
	assert.equal(fs.statSync(file).mode & 0o777, 0o600);

	// What the owner puts in their place leads elsewhere.
	fs.writeFileSync(secret, '', { mode: 0o600 });
	fs.rmSync(file);
	fs.symlinkSync(secret, file);
	assert.notEqual(tool('portal-user', [file, 'dave@example.org'], 'long enough').status, 0);
	assert.equal(fs.statSync(secret).uid, 0);
	assert.equal(fs.readFileSync(secret, 'utf8'), '');
});

test('portal-user takes no bad names and no short passwords', () => {
	const file = path.join(dir, 'users.sqlite');
	for (const [args, input, message] of [
		[[file, 'Dave@example.org'], 'long enough', /a user's name/], [[file, "d'@example.org"], 'long enough', /a user's name/],
		[[file, "dave@x';"], 'long enough', /a domain/], [[file, 'dave'], 'long enough', /usage/], [[file, 'dave@example.org'], 'short', /8 bytes/],
		[[file, 'dave@example.org'], '', /no password/], [['-d', file], '', /usage/], [[], '', /usage/],
	]) {
		const { status, stderr } = tool('portal-user', args, input);
		assert.notEqual(status, 0, args.join(' '));
		assert.match(stderr, message);
	}
});

test('certificate: a private key of its own for localhost and what is asked for, made once', () => {
	const where = path.join(dir, 'tls');
	const make = (...names) => {
		assert.equal(tool('certificate', [where, ...names]).status, 0);
		return new X509Certificate(fs.readFileSync(path.join(where, 'cert.pem')));
	};
	const one = make('192.0.2.1', 'www.example.org');
	assert.match(one.subjectAltName, /DNS:localhost.*IP Address:127\.0\.0\.1.*IP Address:192\.0\.2\.1.*DNS:www\.example\.org/);
	assert.equal(one.publicKey.asymmetricKeyDetails.namedCurve, 'prime256v1');
	assert.equal(fs.statSync(path.join(where, 'key.pem')).mode & 0o777, 0o600);
	assert.equal(make('192.0.2.1', 'www.example.org').fingerprint, one.fingerprint);
	assert.notEqual(make('192.0.2.1').fingerprint, one.fingerprint);
});
