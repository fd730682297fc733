// SPDX-License-Identifier: GPL-2.0-or-later
// What the page helper reads of messages, and what nobody but the gateway can tell it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ACK, ANSWER, CALLED, helperTests, ID, INVITE, OK, page } from '../lib/helperpage.mjs';

helperTests();

for (const [what, fields, who, start = INVITE] of [
	['somebody else', [ID], { from: '<sip:mallory@example.org>;tag=1' }],
	['somebody else, with its name as display name', [ID], { from: '"<sip:bob@example.org>" <sip:mallory@example.org>;tag=1' }],
	['nobody whom one could name', [ID], { from: '"open <sip:bob@example.org>' }],
	['itself, by an id behind a bare CR', [`Subject: x\r${ID}`]],
	['itself, by an id behind a bare LF', [`Subject: x\n${ID}`]],
	['itself, by an id behind U+2028', [`Subject: x\u2028${ID}`]],
	['itself, by an id in a folded line', [`Subject: x\r\n ${ID}`]],
	['itself, by two ids', [ID, 'Call-State-Id: def']],
	['itself, within a dialog', [ID], { to: '<sip:alice@example.org>;tag=1' }],
	['itself, by a message that is no INVITE', [ID], {}, 'MESSAGE sip:alice@a.invalid SIP/2.0'],
]) {
	test(`a call that both ends had lost is not answered for ${what}`, async () => {
		const seen = await page.evaluate(async (given) => {
			const { calls, phone, store, jwe } = await window.bothLost();
			const answered = [];
			phone.answer = async (session) => { answered.push(session); };
			phone.report.began('n2', { name: 'n2' });
			phone.report.receive(window.sip(given.start, `1 ${given.start.split(' ')[0]}`, [`Call-State: ${jwe}`, ...given.fields], { callId: 'n2', ...given.who }));
			// The true one is taken all the same, after it.
			phone.report.began('n3', { name: 'n3' });
			phone.report.receive(window.sip(given.INVITE, '1 INVITE', [`Call-State: ${jwe}`, given.ID], { callId: 'n3' }));
			while (!answered.length) await new Promise((resolve) => { setTimeout(resolve, 5); });
			await new Promise((resolve) => { setTimeout(resolve, 50); });
			calls.stop();
			return { answered: answered.map(({ name }) => name), kept: store.all.size };
		}, { fields, who, start, ID, INVITE });
		assert.deepEqual(seen, { answered: ['n3'], kept: 1 });
	});
}

test('a state that says not with whom the call is goes on with no other call', async () => {
	const answered = await page.evaluate(async ([INVITE, ID]) => {
		const { calls, phone } = await window.bothLost({ peer: null });
		let count = 0;
		phone.answer = async () => { count++; };
		phone.report.began('n2', {});
		phone.report.receive(window.sip(INVITE, '1 INVITE', [ID], { callId: 'n2', from: '<>' }));
		await new Promise((resolve) => { setTimeout(resolve, 100); });
		calls.stop();
		return count;
	}, [INVITE, ID]);
	assert.equal(answered, 0);
});

test('the client key is that of the 200 to REGISTER, whatever other messages say', async () => {
	const opened = await page.evaluate(async ([INVITE, OK]) => {
		const { calls, phone, keys } = await window.bothLost({ keyed: false });
		const other = `Call-State-Key: kid=k1;key=${'A'.repeat(43)};exp=1`;
		phone.report.receive(window.sip(OK, '1 REGISTER', [keys], { callId: 'r' }));
		for (const [start, cseq] of [[INVITE, '1 INVITE'], [OK, '1 INVITE'], [OK, '1 OPTIONS'], ['SIP/2.0 202 Accepted', '1 REGISTER'],
			['REGISTER sip:a SIP/2.0', '1 REGISTER'], ['NOTIFY sip:a SIP/2.0', '1 NOTIFY'], ['SIP/2.0 183 x', '1 INVITE']]) {
			phone.report.receive(window.sip(start, cseq, [other]));
		}
		for (const before of ['\r', '\n', '\u2028', '\u2029']) phone.report.receive(window.sip(OK, '2 REGISTER', [`Server: x${before}${other}`]));
		await new Promise((resolve) => { setTimeout(resolve, 50); });
		const stored = await calls.stored();
		calls.stop();
		return stored.map(({ peer }) => peer);
	}, [INVITE, OK]);
	assert.deepEqual(opened, ['sip:bob@example.org']);
});

test('the state of a call is read where the gateway writes it, and nowhere else', async () => {
	const seen = await page.evaluate(async ([ANSWER, ACK, CALLED, INVITE, OK]) => {
		const within = { to: '<sip:alice@example.org>;tag=1' };
		const states = [];
		for (const [start, cseq, fields, who] of [
			['SIP/2.0 183 x', '2 INVITE', ['Call-State: no']], ['SIP/2.0 486 x', '2 INVITE', ['Call-State: no']], [OK, '2 REGISTER', ['Call-State: no']],
			['MESSAGE sip:a SIP/2.0', '2 MESSAGE', ['Call-State: no']], ['INFO sip:a SIP/2.0', '2 INFO', ['Call-State: no'], within],
			['NOTIFY sip:a SIP/2.0', '2 NOTIFY', ['Call-State: no', 'Event: refer'], within], ['ACK sip:a SIP/2.0', '2 ACK', ['Call-State: no'], within],
			[OK, '2 INVITE', ['Server: x\rCall-State: no']], [OK, '2 INVITE', ['Server: x\u2028Call-State: no']], [OK, '2 INVITE', ['Call-State: no', 'Call-State: no']],
			// Another call with the same Call-ID.
			[INVITE, '2 INVITE', ['Call-State: no']],
			[OK, '2 INVITE', ['Call-State: 200']], [OK, '2 UPDATE', ['Call-State: update']], [INVITE, '3 INVITE', ['Call-State: re;update'], within],
		]) {
			const { calls, phone, store } = window.helper({});
			phone.report.began('c1', {});
			phone.report.receive(start === INVITE ? CALLED : ANSWER);
			if (start === INVITE) phone.report.receive(ACK);
			phone.report.receive(window.sip(start, cseq, fields, who));
			phone.report.sent(window.sip(OK, cseq, [], who)); // if it was a request
			await null;
			states.push([...store.all.values()].map((text) => JSON.parse(text)).map(({ state, update }) => update ?? state).join());
			calls.stop();
		}
		return states;
	}, [ANSWER, ACK, CALLED, INVITE, OK]);
	assert.deepEqual(seen, [...Array(11).fill('x'), '200', 'update', 're']);
});

test('what the far end offers counts when it is accepted', async () => {
	const seen = await page.evaluate(async ([CALLED, ACK, INVITE]) => {
		const { calls, phone, store } = window.helper({});
		const within = { to: '<sip:alice@example.org>;tag=1' };
		const kept = () => [...store.all.values()].map((text) => JSON.parse(text)).map(({ update, media }) => `${update} ${media?.map(({ kind }) => kind)}`).join();
		phone.report.began('c1', {});
		phone.report.receive(CALLED);
		phone.report.receive(ACK);
		const found = [];
		for (const [cseq, method, ...answers] of [[2, 'INVITE', 100, 488], [3, 'INVITE', 491], [4, 'UPDATE', 500], [5, 'INVITE', 200], [6, 'UPDATE', 200], [7, 'INVITE']]) {
			const offer = window.sip(method === 'INVITE' ? INVITE : 'UPDATE sip:a SIP/2.0', `${cseq} ${method}`, [`Call-State: n${cseq};update`], within);
			phone.report.receive(`${offer}v=0\r\nm=image 9 udptl t38\r\n`);
			phone.report.sent(window.sip('SIP/2.0 200 OK', `${cseq - 1} ${method}`, [], within)); // to another one
			for (const status of answers) phone.report.sent(window.sip(`SIP/2.0 ${status} x`, `${cseq} ${method}`, [], within));
			await null;
			found.push(kept());
		}
		calls.stop();
		return found;
	}, [CALLED, ACK, INVITE]);
	assert.deepEqual(seen, ['undefined undefined', 'undefined undefined', 'undefined undefined', 'n5 image', 'n6 image', 'n6 image']);
});

test('m-lines that no browser makes keep their places', async () => {
	const seen = await page.evaluate(async () => {
		const { layOut } = await import('/call-resume/shared.js');
		const names = (sdp) => sdp.match(/^m=\S+ \d+ \S+/gm).map((line) => line.replace(/ [1-9]\d*/, ' P'));
		const [one, two] = [new RTCPeerConnection(), new RTCPeerConnection()];
		const media = [{ kind: 'image', rejected: true }, { kind: 'audio' }, { kind: 'x\r\na=y' }, { kind: 'video', rejected: true }, { kind: 'text' }];
		layOut(one, { media }, { audio: true });
		await one.setLocalDescription(await one.createOffer());
		const offer = one.localDescription;
		const found = [one.localDescription.type, names(offer.sdp), /a=y/.test(offer.sdp)];
		// A far end that has them all.
		const split = (sdp) => sdp.split(/^(?=m=)/m);
		await two.setRemoteDescription({ type: 'offer', sdp: split(offer.sdp).filter((line) => !/^m=(?!audio|video)/.test(line)).join('') });
		await two.setLocalDescription(await two.createAnswer());
		const [head, audio, video] = split(two.localDescription.sdp);
		const rest = 'm=x 0 RTP/AVP 0\r\n';
		await one.setRemoteDescription({ type: 'answer', sdp: head + rest + audio + rest + video + rest });
		found.push(one.signalingState, one.remoteDescription.sdp.match(/^m=/gm).length);
		// Without any it is as the browser made it.
		const plain = new RTCPeerConnection();
		layOut(plain, { media: [{ kind: 'audio' }] }, { audio: true });
		await plain.setLocalDescription(await plain.createOffer());
		found.push(names(plain.localDescription.sdp), plain.setRemoteDescription === RTCPeerConnection.prototype.setRemoteDescription);
		for (const connection of [one, two, plain]) connection.close();
		return found;
	});
	assert.deepEqual(seen, [
		'offer', ['m=image 0 udptl', 'm=audio P UDP/TLS/RTP/SAVPF', 'm=application 0 UDP/BFCP', 'm=video P UDP/TLS/RTP/SAVPF', 'm=text 0 RTP/AVP'], false,
		'stable', 2, ['m=audio P UDP/TLS/RTP/SAVPF'], true,
	]);
});

test('another call with the Call-ID of one takes nothing from it', async () => {
	const seen = await page.evaluate(async ([ACK, INVITE, OK]) => {
		const found = [];
		for (const role of ['caller', 'callee']) {
			const { calls, phone, store } = window.helper({});
			const session = {};
			const theirs = { from: '<sip:bob@example.org>;tag=theirs', to: '<sip:alice@example.org>;tag=1' };
			phone.report.began('c1', session);
			if (role === 'caller') phone.report.receive(window.sip(OK, '1 INVITE', ['Call-State: x'], { from: '<sip:alice@example.org>;tag=1', to: '<sip:bob@example.org>;tag=b' }));
			else phone.report.receive(window.sip(INVITE, '1 INVITE', ['Call-State: x']));
			if (role === 'callee') phone.report.receive(ACK);
			// A stranger's, from its beginning to its end.
			const other = {};
			phone.report.began('c1', other);
			phone.report.receive(window.sip(INVITE, '1 INVITE', ['Call-State: no'], { from: theirs.from }));
			phone.report.receive(window.sip('ACK sip:a SIP/2.0', '1 ACK', [], theirs));
			phone.report.receive(window.sip(INVITE, '2 INVITE', ['Call-State: no;update'], theirs));
			phone.report.sent(window.sip(OK, '2 INVITE', [], theirs));
			phone.report.receive(window.sip(OK, '7 INVITE', ['Call-State: no'], { from: theirs.to, to: theirs.from }));
			phone.report.changed('c1', { held: true, muted: true }, other);
			phone.report.receive(window.sip('BYE sip:a SIP/2.0', '3 BYE', [], theirs));
			phone.report.receive(window.sip('CANCEL sip:a SIP/2.0', '1 CANCEL', [], { from: theirs.from }));
			phone.report.ended('c1', other);
			await null;
			const kept = [...store.all.values()].map((text) => JSON.parse(text));
			// Its own messages are its own.
			phone.report.receive(window.sip(INVITE, '2 INVITE', ['Call-State: y;update'], { to: '<sip:alice@example.org>;tag=1' }));
			phone.report.sent(window.sip(OK, '2 INVITE', [], { to: '<sip:alice@example.org>;tag=1' }));
			await null;
			kept.push(...[...store.all.values()].map((text) => JSON.parse(text)));
			phone.report.ended('c1', session);
			await null;
			found.push(...kept.map(({ state, update, held }) => [state, update, held].join(' ')), store.all.size);
			calls.stop();
		}
		return found;
	}, [ACK, INVITE, OK]);
	assert.deepEqual(seen, [...Array(2)].flatMap(() => ['x  ', 'x y ', 0]));
});

test('an answer to a call that the page has not placed is of no call', async () => {
	const kept = await page.evaluate(async (ANSWER) => {
		const { calls, phone, store } = window.helper({});
		phone.report.receive(ANSWER);
		await null;
		calls.stop();
		return store.all.size;
	}, ANSWER);
	assert.equal(kept, 0);
});
