// SPDX-License-Identifier: MIT
// What the page says.

/** 3:07, or 1:03:07 */
export function clock(ms) {
	const s = Math.max(0, Math.floor(ms / 1000));
	const two = (n) => String(n).padStart(2, '0');
	const hours = Math.floor(s / 3600);
	return `${hours ? `${hours}:${two(Math.floor(s / 60) % 60)}` : Math.floor(s / 60)}:${two(s % 60)}`;
}

/** 1.4 s, 42 s, 3 min, with a space that does not break. */
export function span(ms) {
	if (ms < 9_950) return `${(ms / 1000).toFixed(1)}\u00a0s`;
	return ms < 120_000 ? `${Math.round(ms / 1000)}\u00a0s` : `${Math.round(ms / 60_000)}\u00a0min`;
}

/** How long a call was, for a list. */
export const lasted = (seconds) => (seconds < 60 ? `${seconds}\u00a0s` : `${Math.round(seconds / 60)}\u00a0min`);

/** When it was, as short as it is clear: the time today, else the day. */
export function day(date, now = new Date()) {
	const start = new Date(now).setHours(0, 0, 0, 0);
	const time = date.toLocaleTimeString([], { hour: 'numeric', minute: '2-digit' });
	if (date >= start) return time;
	if (date >= start - 86_400_000) return `Yesterday ${time}`;
	return date.toLocaleDateString([], { day: 'numeric', month: 'short', year: date.getFullYear() === now.getFullYear() ? undefined : 'numeric' });
}

const BY_STATUS = {
	403: 'You are not allowed to call there.',
	404: 'There is nobody with this name or number.',
	408: 'Nobody answers.',
	410: 'This number is no longer in use.',
	480: 'Not available at the moment.',
	484: 'This number is not complete.',
	486: 'The line is busy.',
	488: 'The other side cannot take this kind of call.',
	600: 'The line is busy.',
	603: 'The call was declined.',
	604: 'There is nobody with this name or number.',
};
const BY_CAUSE = {
	'User Denied Media Access': 'The microphone or camera cannot be used. Allow it in the address bar, and see that it is plugged in.',
	'Connection Error': 'The telephone service cannot be reached.',
	'Request Timeout': 'The telephone service does not answer.',
	'WebRTC Error': 'The call could not be set up.',
	'Bad Media Description': 'The other side cannot take this kind of call.',
	'No Answer': 'Nobody answers.',
	'RTP Timeout': 'Nothing was heard of the other side any more.',
};

/** Why a call came to nothing. @param status  of the SIP answer; cause  JsSIP's */
export function whyNot(status, cause) {
	return BY_STATUS[status] ?? BY_CAUSE[cause]
		?? (status >= 500 ? 'The telephone service cannot do that now.' : 'The call could not be made.');
}
