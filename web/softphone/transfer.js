// SPDX-License-Identifier: MIT
// Transfers (RFC 5589): ours, blind and attended, by REFER; and those of the other side. Loaded when there is one.

import { user } from './call.js';
import { whyNot } from './words.js';

/** How long the other side may take to say how it went, in milliseconds. */
const PATIENCE = 60_000;
/** How long the user may think about where the other side sends him. */
const QUESTION = 60_000;
/** How long the others may take to be put on hold, before we call there. */
const HELD = 2_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- ours -----------------------------------------------------------------

/** Open the form in the card of a call, or close it. */
export function toggleForm(call, phone) {
	if (call.card.element.querySelector('form.transfer')) return call.card.extra();
	const form = document.getElementById('transfer').content.cloneNode(true).firstElementChild;
	const other = phone.other(call);
	const [connect, input] = [form.querySelector('[data-how=connect]'), form.querySelector('input')];
	const error = form.querySelector('.error');
	connect.hidden = !other;
	connect.textContent = other ? `Connect ${call.name} with ${other.name}` : '';
	form.querySelector('[data-how=ask]').hidden = !!other; // two calls are all there can be
	const act = {
		connect: () => connectBoth(call, other, phone),
		now: () => blind(call, input.value, phone),
		ask: () => phone.dial(input.value, false),
	};
	const go = (how) => {
		const target = input.value.trim();
		if (how !== 'connect' && !target) {
			error.textContent = 'To whom?';
			return input.focus();
		}
		call.card.extra();
		return act[how]();
	};
	form.addEventListener('click', ({ target: { dataset: { how } } }) => { if (how && how !== 'now') go(how); });
	form.addEventListener('submit', (event) => {
		event.preventDefault();
		go('now');
	});
	form.addEventListener('keydown', ({ key }) => { if (key === 'Escape') call.card.extra(); });
	call.card.extra(form);
	return (other ? connect : input).focus();
}

/** Send the other side to somebody, without asking. */
async function blind(call, number, phone) {
	const name = number.trim();
	await call.hold(true);
	await transfer(call, name, phone, () => [phone.address(name)], () => phone.focus(call));
}

/** Connect the other sides of two calls of ours; then we are out of both. */
async function connectBoth(call, other, phone) {
	for (const one of [call, other]) await one.hold(true);
	const join = async (one, two) => {
		two.farewell = `Connected with ${one.name}.`; // it hangs up on us when the other one is there
		const failure = await transfer(one, two.name, phone, () => joining(two, phone));
		if (failure === undefined) two.hangUp(two.farewell);
		else two.farewell = undefined;
		return failure;
	};
	// It does not know the other call by the name that we have for it, as after a reload over there: then the other way round.
	if (await join(call, other) === 481 && other.state === 'up') await join(other, call);
}

/** What a REFER says so that its call joins another one of ours. (The library has the tags of a call that came in the wrong
 * way round: to-tag is the one of who gets the INVITE, RFC 3891 section 3.) */
function joining({ session, number }, phone) {
	const { _request, _from_tag, _to_tag } = session;
	return [phone.address(number), session.direction === 'outgoing' ? session : { _request, _from_tag: _to_tag, _to_tag: _from_tag }];
}

/** @param takeBack  the call, when it failed
 * @returns the status that it failed with, 0 for none; undefined when it worked, and the call is over */
async function transfer(call, name, phone, to, takeBack) {
	call.set({ busy: true, line: `Transferring to ${name}…` });
	phone.say(`Transferring to ${name}`);
	let result;
	try {
		const [target, replaces] = to();
		result = await refer(call.session, target, replaces);
	} catch {
		result = { why: 'that is neither a name nor a number.' };
	}
	if (result.done) {
		call.hangUp(`Connected with ${name}.`);
		return undefined;
	}
	if (call.state === 'up') {
		await takeBack?.();
		const why = result.why ?? whyNot(result.status);
		call.set({ busy: false, line: `Not transferred to ${name}: ${why}` });
		phone.say(call.line);
	}
	return result.status ?? 0;
}

/** @returns {Promise<{done?: boolean, status?: number, why?: string}>} */
function refer(session, target, replaces) {
	return new Promise((resolve) => {
		setTimeout(() => resolve({ why: 'the other side does not say what became of it.' }), PATIENCE);
		session.on('ended', () => resolve({ why: 'the call has ended.' }));
		const sent = session.refer(target, {
			replaces,
			eventHandlers: {
				requestFailed: ({ response }) => resolve(refused(response?.status_code)),
				accepted: () => resolve({ done: true }),
				failed: ({ status_line: { status_code: status } }) => resolve({ status }),
			},
		});
		if (!sent) resolve({ why: 'the call is not up.' });
	});
}

/** What an answer to the REFER itself means: it is about the transfer, and not about whom it is to. */
const refused = (status) => ({ status, why: status ? 'the other side does not take transfers.' : 'the other side cannot be reached.' });

// ---- theirs ---------------------------------------------------------------

/** The library writes what stands there into the INVITE, decoded: it may be one line, or more. */
function isOneLine(replaces) {
	try {
		return !/[\0-\x1f\x7f]/.test(decodeURIComponent(replaces));
	} catch {
		return false;
	}
}

/** The other side sends us to somebody: the user says whether we call there. */
export function askUser(call, phone, { request, accept, reject }) {
	const to = request.refer_to.uri;
	const name = phone.isOurs(to) ? user(to.toString()) : `${user(to.toString())}@${to.host}`;
	if (call.asked || phone.full() || !isOneLine(to.getHeader('replaces') ?? '')) return reject();
	const done = (act) => () => {
		clearTimeout(timer);
		call.asked = undefined;
		call.set({ ask: undefined });
		act();
	};
	const timer = setTimeout(done(reject), QUESTION);
	call.asked = {
		accept: done(async () => {
			// Between our answer and the ACK to it the library over there would not hear how it went.
			await Promise.race([phone.holdOthers(), sleep(HELD)]);
			accept((session) => {
				phone.place(session, { name, number: name, address: name });
				session.on('failed', () => { if (call.state === 'up') phone.focus(call); });
			}, phone.options(call.camera));
		}),
		decline: done(reject),
	};
	call.session.on('ended', () => clearTimeout(timer));
	call.set({ ask: `${call.name} wants to connect you with ${name}.` });
	return phone.say(call.ask, 'alarm');
}

/** The other side has connected us with somebody, who takes its place (RFC 3891). The gateway has let him call, and he knows the
 * names of our call; who is in a call need not answer again. */
export function takePlace(call, phone, { accept, reject }) {
	if (call.state !== 'up' || call.replaced) return reject();
	return accept((session) => {
		phone.replacing.add(session);
		queueMicrotask(() => {
			call.replaceBy(session, phone.callerOf(session));
			session.answer(phone.options(call.camera));
		});
	});
}
