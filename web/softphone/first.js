// SPDX-License-Identifier: MIT
// Before the first paint, and before the modules are here: what the page will be. With a
// call in the storage it shows that call at once, and never the dial screen.
// A classic script, because a module runs only after the page was painted.

(() => {
	const show = (view) => { document.documentElement.dataset.view = view; };
	const text = (value) => (typeof value === 'string' ? value : undefined);
	/** What the page itself has written. What is damaged, the helper says when it is here. */
	const read = (kept) => {
		try {
			const { data, held } = JSON.parse(kept);
			return { held, name: text(data?.name), address: text(data?.address), start: data?.start };
		} catch {
			return {};
		}
	};
	try {
		const user = localStorage.getItem('softphone user');
		if (!user) return show('sign-in');
		// As browserStore() of call-resume.js keeps them, in the copy that needs no waiting.
		const kept = Object.keys(localStorage).filter((key) => [' ', '@'].some((next) => key.startsWith(`call-resume ${user}${next}`)));
		for (const key of kept) {
			const { name = 'Call', address, start, held } = read(localStorage.getItem(key));
			const card = document.getElementById('card').content.cloneNode(true).firstElementChild;
			card.dataset.id = key.split(' ').pop();
			card.dataset.state = 'resuming';
			if (kept.length > 1 && held) card.dataset.compact = '';
			card.querySelector('.name').textContent = name;
			card.querySelector('.number').textContent = address ?? '';
			card.querySelector('.number').hidden = !address || address === name;
			card.querySelector('.avatar').textContent = /^\p{L}/u.test(name) ? name[0].toUpperCase() : '#';
			const seconds = Math.floor((Date.now() - start) / 1000);
			if (seconds >= 0 && seconds < 3600) {
				card.querySelector('.timer').textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
			}
			card.querySelector('.text').textContent = 'Coming back to your call…';
			for (const what of ['mute', 'hold', 'pad', 'camera', 'transfer']) card.querySelector(`[data-do=${what}]`).disabled = true;
			// Who hangs up already now is taken at their word when the modules are here.
			card.querySelector('[data-do=hangup]').addEventListener('click', () => {
				card.dataset.leaving = '';
				card.querySelector('.text').textContent = 'Hanging up…';
			}, { once: true });
			document.getElementById('calls').append(card);
		}
		if (kept.length) document.documentElement.dataset.busy = '';
		return show('phone');
	} catch {
		return show('sign-in'); // without a storage nobody is remembered
	}
})();
