// SPDX-License-Identifier: MIT
// Where a browser keeps the calls of its users, and which of its tabs has one.

/** What the names of a user's calls begin with; the last one is what they get. The one of versions that left the
 * domain out is read too. */
export const prefixes = (user) => [user.replace(/@[^@]*$/, ''), user].map((name) => `call-resume ${name} `);

/** What is in localStorage under names that begin so: the rest of each name, and the text. */
export const copies = (begin) => Object.keys(localStorage).filter((key) => key.startsWith(begin))
	.map((key) => [key.slice(begin.length), localStorage.getItem(key)]);

const openDatabase = () => new Promise((resolve, reject) => {
	const request = indexedDB.open('call-resume');
	request.onupgradeneeded = () => request.result.createObjectStore('calls');
	request.onsuccess = () => resolve(request.result);
	request.onerror = reject;
}).catch(() => undefined);

/** What a sid may be: the gateway takes nothing else. */
const isName = (text) => typeof text === 'string' && /^[\w.-]{1,64}$/.test(text);

/** The name of the web session of this browser and user, where no token has one: made once. In IndexedDB for the same
 * reason as the calls, and of two tabs that are the first ones both have the same.
 * @returns {string | Promise<string>}  at once from the copy in localStorage */
export function sessionName(user) {
	const key = `call-resume-session ${user}`;
	let name;
	try {
		name = localStorage.getItem(key);
	} catch {
		// Not allowed.
	}
	return isName(name) ? name : firstName(key);
}

async function firstName(key) {
	let name = crypto.randomUUID();
	const transaction = (await openDatabase())?.transaction('calls', 'readwrite');
	if (transaction) {
		const calls = transaction.objectStore('calls');
		const request = calls.get(key);
		request.onsuccess = () => {
			if (isName(request.result)) name = request.result;
			else calls.put(name, key);
		};
		await new Promise((done) => { transaction.oncomplete = transaction.onabort = done; });
	}
	try {
		localStorage.setItem(key, name);
	} catch {
		// Full, or not allowed: the database has it.
	}
	return name;
}

/**
 * The browser's own storage: survives reloads, crashes and restarts of the browser.
 * IndexedDB is on the disk at once, also when the browser is killed; localStorage only
 * up to a minute later in Chromium. There is a copy for who cannot wait for the
 * answer of a database, and it is all that there is where databases are not allowed.
 * @param {string} user  keeps the calls of several users of one browser apart: alice@example.org
 * @returns {import('../call-resume.js').Store}
 */
export function browserStore(user) {
	const [old, prefix] = prefixes(user);
	const opened = openDatabase();
	const disk = async (mode, act) => {
		const database = await opened;
		if (!database) return undefined;
		const transaction = database.transaction('calls', mode);
		const request = act(transaction.objectStore('calls'));
		transaction.commit(); // at once, because the page may be about to go
		await new Promise((resolve, reject) => {
			transaction.oncomplete = resolve;
			transaction.onabort = () => reject(transaction.error);
		});
		return request.result;
	};
	const all = (begin) => (calls) => {
		const range = IDBKeyRange.bound(begin, `${begin}~`);
		const [keys, values] = [calls.getAllKeys(range), calls.getAll(range)];
		// By its key, so that it can be removed whatever it is.
		return { get result() { return keys.result.map((key, i) => [key.slice(begin.length), values.result[i]?.[1]]); } };
	};
	const load = async (begin) => await disk('readonly', all(begin)).catch(() => undefined) ?? copies(begin);
	return {
		local: true,
		peek() {
			try {
				return prefixes(user).flatMap(copies);
			} catch {
				return []; // not allowed
			}
		},
		async load() {
			return (await Promise.all([...new Set([old, prefix])].map(load))).flat();
		},
		async save(id, text) {
			let problem;
			try {
				localStorage.setItem(prefix + id, text);
				if (old !== prefix) localStorage.removeItem(old + id);
			} catch (cause) {
				problem = cause;
			}
			const put = (calls) => {
				if (old !== prefix) calls.delete(old + id);
				return calls.put([id, text], prefix + id);
			};
			if (!await disk('readwrite', put) && problem) throw problem;
		},
		async remove(id) {
			try {
				for (const begin of [old, prefix]) localStorage.removeItem(begin + id);
			} catch {
				// Not allowed: then it is not there either.
			}
			await disk('readwrite', (calls) => [old, prefix].map((begin) => calls.delete(begin + id)).at(-1));
		},
	};
}

/** Hold the lock of one call, so that one tab is in charge of it. Where there are no
 * locks, one tab in charge too many is better than none.
 * @returns {Promise<() => void>} what lets go of it */
export function holdLock(name) {
	return new Promise((held) => {
		const none = () => held(() => {});
		if (navigator.locks) navigator.locks.request(name, () => new Promise(held)).catch(none);
		else none();
	});
}
