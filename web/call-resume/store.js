// SPDX-License-Identifier: MIT
// Where a browser keeps the calls of its users.

/**
 * The browser's own storage: survives reloads, crashes and restarts of the browser.
 * IndexedDB is on the disk at once, also when the browser is killed; localStorage only
 * up to a minute later in Chromium. There is a copy for who cannot wait for the
 * answer of a database, and it is all that there is where databases are not allowed.
 * @param {string} user  keeps the calls of several users of one browser apart
 * @returns {import('../call-resume.js').Store}
 */
export function browserStore(user) {
	const prefix = `call-resume ${user} `;
	const opened = new Promise((resolve, reject) => {
		const request = indexedDB.open('call-resume');
		request.onupgradeneeded = () => request.result.createObjectStore('calls');
		request.onsuccess = () => resolve(request.result);
		request.onerror = reject;
	}).catch(() => undefined);
	const disk = async (mode, act) => {
		const database = await opened;
		if (!database) return undefined;
		const transaction = database.transaction('calls', mode);
		const request = act(transaction.objectStore('calls'));
		transaction.commit(); // at once, because the page may be about to go
		return new Promise((resolve, reject) => {
			transaction.oncomplete = () => resolve(request.result);
			transaction.onabort = () => reject(transaction.error);
		});
	};
	const all = (calls) => {
		const range = IDBKeyRange.bound(prefix, `${prefix}~`);
		const [keys, values] = [calls.getAllKeys(range), calls.getAll(range)];
		// By its key, so that it can be removed whatever it is.
		return { get result() { return keys.result.map((key, i) => [key.slice(prefix.length), values.result[i]?.[1]]); } };
	};
	return {
		local: true,
		async load() {
			return await disk('readonly', all).catch(() => undefined)
				?? Object.keys(localStorage).filter((key) => key.startsWith(prefix))
					.map((key) => [key.slice(prefix.length), localStorage.getItem(key)]);
		},
		async save(id, text) {
			let problem;
			try {
				localStorage.setItem(prefix + id, text);
			} catch (cause) {
				problem = cause;
			}
			if (!await disk('readwrite', (calls) => calls.put([id, text], prefix + id)) && problem) throw problem;
		},
		async remove(id) {
			try {
				localStorage.removeItem(prefix + id);
			} catch {
				// Not allowed: then it is not there either.
			}
			await disk('readwrite', (calls) => calls.delete(prefix + id));
		},
	};
}
