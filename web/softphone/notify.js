// SPDX-License-Identifier: MIT
// Being told of a call when another window is in front. Loaded after the page is registered.

const $ = (id) => document.getElementById(id);
const ICON = 'softphone/icon-192.png';
/** Of the user who does not want to be asked. */
const NOT_NOW = 'softphone no notifications';

const can = 'Notification' in window;
const shown = new Map(); // call: its notification

/** Browsers let a page ask only after a click, and once. So the page asks first, when there is nothing else to do.
 * @param idle  whether there is no call */
export function offer(idle) {
	const asked = localStorage.getItem(NOT_NOW) !== null;
	$('notify').hidden = !idle || !can || asked || Notification.permission !== 'default';
}

async function ask(say) {
	const answer = await Notification.requestPermission();
	offer(true);
	state();
	say(answer === 'granted' ? 'You are told of calls.' : 'The browser does not allow notifications.');
}

/** What the settings say of it. */
export function state() {
	const permission = can ? Notification.permission : 'none';
	$('notify-state').textContent = {
		granted: 'Notifications of calls are on.',
		denied: 'Notifications are blocked. Allow them in the address bar.',
		default: 'Notifications of calls are off.',
		none: 'This browser has no notifications for pages.',
	}[permission];
	$('notify-on').hidden = permission !== 'default';
}

/** Once, when the module is loaded. */
export function listen(say) {
	$('notify-yes').onclick = $('notify-on').onclick = () => ask(say);
	$('notify-no').onclick = () => {
		localStorage.setItem(NOT_NOW, '');
		offer(true);
		$('number').focus();
	};
}

const inFront = () => document.visibilityState === 'visible' && document.hasFocus();

/** Somebody calls, or does not any more. */
export function tell(call) {
	const old = shown.get(call);
	if (call.state === 'incoming' && !old) show(call, `Incoming ${call.offersVideo ? 'video call' : 'call'}`, true);
	if (call.state === 'incoming' || !old) return;
	old.close();
	shown.delete(call);
	if (call.missed) show(call, 'Missed call', false);
}

function show(call, title, requireInteraction) {
	if (!can || Notification.permission !== 'granted' || inFront()) return;
	let notification;
	try {
		notification = new Notification(title, { body: call.who, icon: ICON, tag: `softphone ${call.number}`, requireInteraction });
	} catch {
		return; // Chrome on Android: only a service worker may
	}
	notification.onclick = () => {
		window.focus();
		call.card.focus();
		notification.close();
	};
	if (requireInteraction) shown.set(call, notification);
}
