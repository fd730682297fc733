// SPDX-License-Identifier: MIT
// A certificate for the media of calls, kept by the browser over reloads. Its private key is in
// the browser, and no script can read it: a call that the gateway has bound to it
// (bind_fingerprint) comes back in this browser and in no other.

const DAY = 24 * 60 * 60 * 1000;
/** As long as browsers allow. */
const LIFE = 365 * DAY;
/** Another one is made from then on, as soon as no call needs the old one. */
const RENEW = 60 * DAY;

async function database() {
	const request = indexedDB.open('call-resume-certificate');
	request.onupgradeneeded = () => request.result.createObjectStore('certificates');
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
}

/** What a request has found; undefined also where Firefox throws: it gives no certificate back that is over. */
function found(request) {
	try {
		return request.result;
	} catch {
		return undefined;
	}
}

/** One transaction; on the disk when it resolves, as the states of calls are. */
async function disk(mode, act) {
	const opened = await database();
	try {
		const transaction = opened.transaction('certificates', mode, { durability: 'strict' });
		const request = act(transaction.objectStore('certificates'));
		await new Promise((resolve, reject) => {
			transaction.oncomplete = resolve;
			transaction.onabort = () => reject(transaction.error);
		});
		return found(request);
	} finally {
		opened.close();
	}
}

/** In the copy that browserStore() keeps, which needs no waiting. */
const hasCalls = (user) => Object.keys(localStorage).some((key) => [' ', '@'].some((next) => key.startsWith(`call-resume ${user}${next}`)));

const isGood = (kept, busy) => kept && kept.expires > Date.now() + (busy ? 0 : RENEW);

/** What an offer with it says (RFC 8122); not every browser tells it otherwise. */
async function fingerprintOf(certificate) {
	const told = certificate.getFingerprints?.().find(({ algorithm }) => algorithm === 'sha-256');
	if (told) return `sha-256 ${told.value.toUpperCase()}`;
	const connection = new RTCPeerConnection({ certificates: [certificate] });
	try {
		connection.createDataChannel('');
		const { sdp } = await connection.createOffer();
		return sdp.match(/^a=fingerprint:(sha-256 [0-9A-F:]{95})\s*$/mi)[1];
	} finally {
		connection.close();
	}
}

/**
 * The certificate of this browser for one user, made when there is none.
 * @param {string} user  keeps several users of one browser apart, as in browserStore()
 * @param {{busy?: boolean}} [options]
 * @returns {Promise<import('./certificate.js').KeptCertificate | undefined>}
 */
export async function keptCertificate(user, { busy } = {}) {
	try {
		busy ??= hasCalls(user);
		let certificate = await disk('readonly', (store) => store.get(user));
		if (!isGood(certificate, busy)) {
			const fresh = await RTCPeerConnection.generateCertificate({ name: 'ECDSA', namedCurve: 'P-256', expires: LIFE });
			// Another tab may have made one in the meantime: the first one stays.
			await disk('readwrite', (store) => {
				const request = store.get(user);
				request.onsuccess = () => { if (!isGood(found(request), busy)) store.put(fresh, user); };
				return request;
			});
			// What is used is what comes back from the storage, for the next page gets nothing else.
			certificate = await disk('readonly', (store) => store.get(user));
		}
		const fingerprint = await fingerprintOf(certificate);
		return { certificate, fingerprint, header: `Call-State-Fingerprint: ${fingerprint}` };
	} catch {
		return undefined;
	}
}

/** Forget it, when the user signs out: calls that are bound to it cannot come back. */
export async function forgetCertificate(user) {
	await disk('readwrite', (store) => store.delete(user)).catch(() => {});
}
