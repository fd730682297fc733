// SPDX-License-Identifier: MIT
// A call as it is seen. Knows nothing of SIP: it is told what to show, and tells what
// was clicked.

import { clock } from './words.js';

const LETTERS = { 2: 'ABC', 3: 'DEF', 4: 'GHI', 5: 'JKL', 6: 'MNO', 7: 'PQRS', 8: 'TUV', 9: 'WXYZ', 0: '+' };

/** Fill an element with the twelve keys. @param press  is told which */
export function keys(into, press) {
	for (const key of '123456789*0#') {
		const button = document.createElement('button');
		button.type = 'button';
		button.append(key);
		const letters = document.createElement('small');
		letters.textContent = LETTERS[key] ?? '';
		letters.ariaHidden = 'true';
		button.append(letters);
		button.setAttribute('aria-label', { '*': 'star', '#': 'hash' }[key] ?? key);
		button.addEventListener('click', () => press(key));
		into.append(button);
	}
}

/** What stands for somebody. */
const initial = (name) => (/^\p{L}/u.test(name) ? name[0].toUpperCase() : '#');

const TEXTS = {
	calling: 'Calling…',
	ringing: 'Ringing…',
	answering: 'Connecting…',
	incoming: 'Incoming call',
	resuming: 'Coming back to your call…',
	waiting: 'This call is in another tab. Close that one to have it here.',
	up: '',
};

/** What goes on only while the call is up. */
const IN_CALL = ['mute', 'hold', 'pad', 'camera', 'transfer'];

export class Card {
	#call = {};
	#act;
	#audio = document.createElement('audio'); // not in the card, which may be moved
	#from; // where the focus was when somebody called

	/**
	 * @param id   of the call in the storage: first.js may have made its card already
	 * @param act  what the buttons do: answer, hangup, mute, ...; press(key) of the keypad
	 */
	constructor(id, act) {
		this.#act = act;
		this.element = id && document.querySelector(`#calls [data-id="${CSS.escape(id)}"]`);
		if (!this.element) {
			this.element = document.getElementById('card').content.cloneNode(true).firstElementChild;
			document.getElementById('calls').append(this.element);
		}
		this.#audio.autoplay = true;
		document.getElementById('sounds').append(this.#audio);
		this.element.addEventListener('click', (event) => {
			const what = event.target.closest('[data-do]')?.dataset.do;
			if (what === 'pad') this.#togglePad();
			else if (what) this.#act[what]?.();
		});
		keys(this.#in('.pad'), (key) => this.#press(key));
		this.element.addEventListener('keydown', ({ key, target }) => {
			if (target.localName === 'input' || this.#in('.pad').hidden) return;
			if (/^[0-9*#]$/.test(key)) this.#press(key);
			if (key === 'Escape') this.#togglePad(false);
		});
	}

	#in(selector) {
		return this.element.querySelector(selector);
	}

	/**
	 * @param call  with state, name, address, start, text, line, held, away (held by the other side), muted,
	 *              camera, offersVideo, compact, retry, number, ask (what the other side wants of us), busy (being transferred)
	 */
	show(call) {
		const { element } = this;
		const focused = element.contains(document.activeElement);
		this.#call = call;
		element.dataset.state = call.state;
		element.toggleAttribute('data-compact', !!call.compact);
		element.toggleAttribute('data-held', !!call.held);
		element.setAttribute('aria-label', call.state === 'incoming' ? `Incoming call from ${call.who}` : `Call with ${call.who}`);
		this.#say('.name', call.name);
		this.#say('.number', call.address !== call.name && call.address);
		this.#in('.avatar').textContent = initial(call.name);
		this.#in('.text').textContent = call.text ?? this.#text(call);
		this.#say('.line', call.line);
		this.#say('.ask p', call.ask);
		this.#in('.ask').hidden = !call.ask;
		this.#toggle('mute', call.muted, call.muted ? 'Unmute' : 'Mute', call.muted ? 'mic-off' : 'mic');
		this.#toggle('camera', call.camera, call.camera ? 'Stop video' : 'Start video', call.camera ? 'video-off' : 'video');
		const swap = call.compact && call.held;
		this.#toggle('hold', call.held && !swap, swap ? 'Swap' : call.held ? 'Resume' : 'Hold', swap ? 'swap' : call.held ? 'resume' : 'hold');
		for (const name of IN_CALL) this.#in(`[data-do=${name}]`).disabled = call.state !== 'up' || !!call.busy;
		this.#in('[data-do=video]').hidden = !call.offersVideo;
		// One thing to do after a failure.
		this.#in('[data-do=retry]').hidden = !call.retry;
		this.#in('[data-do=again]').hidden = !call.number || !!call.retry;
		if (call.state !== 'up' || call.compact) {
			this.#togglePad(false);
			this.extra();
		}
		this.tick();
		// The button that was pressed may be gone. Not the next one instead: who presses twice
		// on Answer does not want to hang up.
		if (focused && (!document.activeElement.getClientRects().length || document.activeElement.disabled)) element.focus();
	}

	/** Somebody calls. The card, and no button of it: whoever is typing has not seen it yet. */
	focus() {
		for (const open of document.querySelectorAll('dialog[open]')) open.close();
		this.#from = document.activeElement;
		this.element.focus();
	}

	/** Text that is there or not. */
	#say(selector, text) {
		const element = this.#in(selector);
		element.hidden = !text;
		if (element.textContent !== (text || '')) element.textContent = text || '';
	}

	#text({ state, held, away, muted, offersVideo }) {
		if (state === 'incoming' && offersVideo) return 'Incoming video call';
		if (state !== 'up') return TEXTS[state];
		return [held ? 'On hold' : away && 'On hold by the other side', muted && 'Muted'].filter(Boolean).join(' · ');
	}

	/** A button that says what it does next. */
	#toggle(name, on, text, icon) {
		const button = this.#in(`[data-do=${name}]`);
		button.toggleAttribute('data-on', !!on);
		button.querySelector('span').textContent = text;
		button.querySelector('use').setAttribute('href', `#i-${icon}`);
	}

	/** The timer goes on. */
	tick() {
		const { state, start } = this.#call;
		const runs = start && ['up', 'ringing', 'resuming'].includes(state);
		this.#in('.timer').textContent = runs ? clock(Date.now() - start) : '';
	}

	/** How loud both sides are, 0 to 1. */
	level(near, far) {
		this.#in('.near i').style.setProperty('--level', near);
		this.#in('.far i').style.setProperty('--level', far);
	}

	/** Let the other side be heard. */
	async hear(track) {
		const audio = this.#audio;
		audio.srcObject = new MediaStream([track]);
		const blocked = await audio.play().then(() => false, (e) => e.name === 'NotAllowedError');
		this.element.toggleAttribute('data-silent', blocked);
	}

	/** By that loudspeaker. @param apply  is given the element that sounds */
	sound(apply) {
		return apply(this.#audio);
	}

	unblock() {
		this.#audio.play().then(() => this.element.removeAttribute('data-silent'), () => {});
	}

	/** The pictures, as far as there are any. */
	see(far, near) {
		this.#in('.picture').hidden = !far && !near;
		for (const [video, track] of [[this.#in('video.far'), far], [this.#in('video.own'), near]]) {
			video.hidden = !track;
			if (track && video.srcObject?.getTracks()[0] !== track) video.srcObject = new MediaStream([track]);
			if (!track) video.srcObject = null;
		}
	}

	#togglePad(open = this.#in('.pad').hidden) {
		const pad = this.#in('.pad');
		const focused = pad.contains(document.activeElement);
		const button = this.#in('[data-do=pad]');
		pad.hidden = !open;
		this.element.toggleAttribute('data-pad', open);
		button.setAttribute('aria-expanded', open);
		if (open) this.#in('.pad button').focus();
		else if (focused) button.focus();
	}

	/** A form in the card, in the place of what was there; none: what was there goes. */
	extra(form) {
		const place = this.#in('.extra');
		const focused = place.contains(document.activeElement);
		const button = this.#in('[data-do=transfer]');
		if (form) place.replaceChildren(form);
		else place.replaceChildren();
		button.setAttribute('aria-expanded', !!form);
		if (focused && !form) button.focus();
	}

	#press(key) {
		this.#act.press(key);
		this.#say('.digits', `${this.#in('.digits').textContent}${key}`.slice(-24));
	}

	remove() {
		this.#audio.srcObject = null;
		this.#audio.remove();
		const focused = this.element.contains(document.activeElement);
		this.element.remove();
		if (focused) this.#back();
	}

	/** Where the focus goes when the card is gone. Not into a field on a phone, where that would bring up the keyboard. */
	#back() {
		const number = document.getElementById('number');
		const places = [this.#from, document.querySelector('.call:not([data-compact], [data-state=over])'),
			matchMedia('(pointer: fine)').matches && number, document.getElementById('dialer')];
		places.find((one) => one && one !== document.body && one.getClientRects().length)?.focus();
	}
}

/** Bring cards into this order; the focus stays, and so does what is played. */
export function arrange(cards) {
	const calls = document.getElementById('calls');
	const { activeElement } = document;
	let at = calls.firstElementChild;
	for (const { element } of cards) {
		if (element === at) at = at.nextElementSibling;
		else if (calls.moveBefore) calls.moveBefore(element, at);
		else calls.insertBefore(element, at);
	}
	if (activeElement !== document.activeElement && calls.contains(activeElement)) activeElement.focus();
}
