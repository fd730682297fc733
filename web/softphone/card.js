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

export class Card {
	#call = {};
	#act;

	/**
	 * @param id   of the call in the storage: first.js may have made its card already
	 * @param act  what the buttons do: answer, hangup, mute, ...; press(key) of the keypad
	 */
	constructor(id, act) {
		this.#act = act;
		this.element = id && document.querySelector(`#calls [data-id="${CSS.escape(id)}"]`);
		if (!this.element) {
			this.element = document.getElementById('card').content.cloneNode(true).firstElementChild;
			const calls = document.getElementById('calls');
			calls.insertBefore(this.element, calls.querySelector('[data-state=over]'));
		}
		this.element.addEventListener('click', (event) => {
			const what = event.target.closest('[data-do]')?.dataset.do;
			if (what === 'pad') this.#togglePad();
			else if (what) this.#act[what]?.();
		});
		keys(this.#in('.pad'), (key) => this.#press(key));
		this.element.addEventListener('keydown', ({ key }) => {
			if (!this.#in('.pad').hidden && /^[0-9*#]$/.test(key)) this.#press(key);
		});
	}

	#in(selector) {
		return this.element.querySelector(selector);
	}

	/**
	 * @param call  with state, name, address, start, text, line, held, away (held by the other side), muted,
	 *              video, offersVideo, compact, retry, number
	 */
	show(call) {
		const { element } = this;
		const focused = element.contains(document.activeElement);
		this.#call = call;
		element.dataset.state = call.state;
		element.toggleAttribute('data-compact', !!call.compact);
		element.toggleAttribute('data-held', !!call.held);
		element.setAttribute('aria-label', `Call with ${call.who}`);
		this.#in('.name').textContent = call.name;
		this.#in('.number').textContent = call.address ?? '';
		this.#in('.number').hidden = !call.address || call.address === call.name;
		this.#in('.avatar').textContent = initial(call.name);
		this.#in('.text').textContent = call.text ?? this.#text(call);
		this.#in('.line').hidden = !call.line;
		this.#in('.line').textContent = call.line ?? '';
		this.#button('mute', call.muted, call.muted ? 'Unmute' : 'Mute', call.muted ? 'mic-off' : 'mic');
		const swap = call.compact && call.held;
		this.#button('hold', swap ? undefined : call.held, swap ? 'Swap' : call.held ? 'Resume' : 'Hold',
			swap ? 'swap' : call.held ? 'resume' : 'hold');
		for (const name of ['mute', 'hold', 'pad']) this.#in(`[data-do=${name}]`).disabled = call.state !== 'up';
		this.#in('[data-do=video]').hidden = !call.offersVideo;
		this.#in('[data-do=again]').hidden = !call.number;
		this.#in('[data-do=retry]').hidden = !call.retry;
		if (call.state !== 'up' || call.compact) this.#togglePad(false);
		this.tick();
		// The button that was pressed may be gone. Not the next one instead: who presses twice
		// on Answer does not want to hang up.
		if (focused && !document.activeElement.getClientRects().length) {
			element.tabIndex = -1;
			element.focus();
		}
	}

	#text({ state, held, away, muted, offersVideo }) {
		if (state === 'incoming' && offersVideo) return 'Incoming video call';
		if (state !== 'up') return TEXTS[state];
		return [held ? 'On hold' : away && 'On hold by the other side', muted && 'Muted'].filter(Boolean).join(' · ');
	}

	#button(name, pressed, text, icon) {
		const button = this.#in(`[data-do=${name}]`);
		if (pressed === undefined) button.removeAttribute('aria-pressed');
		else button.setAttribute('aria-pressed', !!pressed);
		button.querySelector('span').textContent = text;
		button.querySelector('use').setAttribute('href', `#i-${icon}`);
	}

	/** The timer goes on. */
	tick() {
		const { state, start } = this.#call;
		const runs = start && ['up', 'resuming'].includes(state);
		this.#in('.timer').textContent = runs ? clock(Date.now() - start) : '';
	}

	/** How loud both sides are, 0 to 1. */
	level(near, far) {
		this.#in('.near i').style.setProperty('--level', near);
		this.#in('.far i').style.setProperty('--level', far);
	}

	/** Let the other side be heard. */
	async hear(track) {
		const audio = this.#in('audio');
		audio.srcObject = new MediaStream([track]);
		const blocked = await audio.play().then(() => false, (e) => e.name === 'NotAllowedError');
		this.element.toggleAttribute('data-silent', blocked);
	}

	unblock() {
		this.#in('audio').play().then(() => this.element.removeAttribute('data-silent'), () => {});
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

	/** Behind the others: the call is over. (One that goes on would fall silent for a moment.) */
	last() {
		const { activeElement } = document;
		if (!this.element.nextElementSibling) return;
		this.element.parentNode.append(this.element);
		if (this.element.contains(activeElement)) activeElement.focus();
	}

	#togglePad(open = this.#in('.pad').hidden) {
		this.#in('.pad').hidden = !open;
		this.element.toggleAttribute('data-pad', open);
		this.#in('[data-do=pad]').setAttribute('aria-expanded', open);
		if (open) this.#in('.pad button').focus();
	}

	#press(key) {
		this.#act.press(key);
		this.#in('.line').hidden = false;
		this.#in('.line').textContent = `${/^[0-9*# ]+$/.test(this.#in('.line').textContent) ? this.#in('.line').textContent : ''}${key}`;
	}

	remove() {
		this.#in('audio').srcObject = null;
		// Not on a phone, where it would bring up the keyboard.
		if (this.element.contains(document.activeElement) && matchMedia('(pointer: fine)').matches) {
			document.getElementById('number').focus();
		}
		this.element.remove();
	}
}
