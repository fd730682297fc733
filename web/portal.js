// SPDX-License-Identifier: MIT
// The web portal (docs/portal.md): signs in, and gives a web session its token.

import { patientFetch } from './patient-fetch.js';

async function ask(method, body) {
	const answer = await patientFetch('/session', {
		method,
		headers: { 'Content-Type': 'application/json' },
		body: body && JSON.stringify(body),
	});
	if (answer.status === 401) return undefined;
	if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `HTTP ${answer.status}`);
	return answer.status === 204 ? undefined : answer.json();
}

/** The web session of this browser, with a fresh token; undefined when there is none. */
export const session = () => ask('POST');

/** Sign in; undefined when user or password are wrong. */
export const signIn = (user, password) => ask('POST', { user, password });

export const signOut = () => ask('DELETE');
