// SPDX-License-Identifier: MIT
// The calls that there were: whom, when, for how long. One list for each user, in this browser. Loaded after the page is
// registered.

import { withAddress } from './call.js';
import { day, lasted } from './words.js';

const $ = (id) => document.getElementById(id);
const KEPT = 100;
const SHOWN = 6;

let key;
let all = false; // are shown
let dial;

/** @param user  whose list it is; call(number)  what a click does */
export function open(user, call) {
	key = `softphone history ${user}`;
	dial = call;
	$('recent-all').onclick = () => {
		all = !all;
		show();
	};
	$('recent-clear').onclick = () => $('clear').showModal();
	$('clear').onclose = () => {
		if ($('clear').returnValue === 'clear') clear();
		else $('recent-clear').focus();
	};
	show();
}

/** What is stored, as far as it is what we have written. */
function list() {
	try {
		return JSON.parse(localStorage.getItem(key)).filter(({ name, number, at, seconds }) => (
			typeof name === 'string' && typeof number === 'string' && Number.isFinite(at) && (seconds === undefined || Number.isFinite(seconds))));
	} catch {
		return [];
	}
}

/** @param call  that is over */
export function keep({ name, number, address, incoming, missed, start, was }) {
	const now = Date.now();
	const seconds = was === 'up' ? Math.max(0, Math.round((now - start) / 1000)) : undefined;
	const away = was === 'resuming' || undefined;
	const kept = [{ name, number, address, incoming, missed, at: start ?? now, seconds, away }, ...list()];
	try {
		localStorage.setItem(key, JSON.stringify(kept.slice(0, KEPT)));
	} catch { /* they are a comfort only */ }
	show();
}

export function clear() {
	localStorage.removeItem(key);
	all = false;
	show();
	$('number').focus();
}

function show() {
	const calls = list();
	$('recent').hidden = !calls.length;
	$('recent-all').hidden = calls.length <= SHOWN;
	$('recent-all').textContent = all ? 'Show fewer' : `Show all ${calls.length}`;
	$('recent-all').setAttribute('aria-expanded', all);
	const focused = [...$('recent').querySelectorAll('li button')].indexOf(document.activeElement);
	$('recent').querySelector('ul').replaceChildren(...calls.slice(0, all ? KEPT : SHOWN).map(line));
	if (focused >= 0) $('recent').querySelectorAll('li button')[focused]?.focus();
}

function line(call) {
	const { number, incoming, missed, at, seconds, away } = call;
	const whom = withAddress(call);
	const what = missed ? 'missed' : seconds !== undefined ? lasted(seconds) : away ? 'ended while away' : 'not answered';
	const li = document.createElement('li');
	const button = document.createElement('button');
	button.type = 'button';
	button.className = missed ? 'missed' : '';
	const when = document.createElement('time');
	const date = new Date(at);
	when.dateTime = date.toISOString();
	when.textContent = day(date);
	const long = document.createElement('small');
	long.textContent = what;
	const who = document.createElement('span');
	who.textContent = whom;
	button.append(icon(incoming ? 'in' : 'out'), who, when, long);
	button.setAttribute('aria-label', `Call ${whom}. ${incoming ? 'Called you' : 'You called'} ${date.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })}, ${what}`);
	button.onclick = () => dial(number);
	li.append(button);
	return li;
}

function icon(name) {
	const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
	const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
	use.setAttribute('href', `#i-${name}`);
	svg.append(use);
	svg.setAttribute('aria-hidden', 'true');
	return svg;
}
