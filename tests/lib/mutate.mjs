// SPDX-License-Identifier: GPL-2.0-or-later
// SIP messages with something wrong in them, the same ones for the same seed.

/** Numbers from 0 to 1, the same in every run (mulberry32). */
function prng(seed) {
	let a = seed >>> 0;
	return () => {
		a = (a + 0x6d2b79f5) >>> 0;
		let t = Math.imul(a ^ (a >>> 15), a | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

/** A SIP message whose head not all readers would split alike: it has a CR, LF or NUL
 * that is no line end. */
export function hasBrokenHead(text) {
	const message = text.replace(/^[\r\n]+/, '');
	const end = message.indexOf('\r\n\r\n');
	const head = end < 0 ? message : message.slice(0, end + 2);
	return /^[^\n]*SIP\/2\.0/i.test(head) && /\r(?!\n)|(?<!\r)\n|\0/.test(head);
}

/** Texts are latin1: one character is one byte. */
export class Mutator {
	constructor(seed) {
		this.random = prng(seed);
	}

	below(n) {
		return Math.floor(this.random() * n);
	}

	pick(list) {
		return list[this.below(list.length)];
	}

	#lines(text, change) {
		const end = text.indexOf('\r\n\r\n');
		if (end < 0) return text;
		const lines = text.slice(0, end).split('\r\n');
		change(lines);
		return lines.join('\r\n') + text.slice(end);
	}

	static kinds = ['flip', 'flips', 'truncate', 'cut', 'insert', 'repeat', 'double', 'remove', 'swap', 'shuffle', 'fold', 'graft'];

	mutate(text, kind = this.pick(Mutator.kinds)) {
		const at = this.below(text.length);
		const flip = (t, i) => t.slice(0, i) + String.fromCharCode(t.charCodeAt(i) ^ (1 << this.below(8))) + t.slice(i + 1);
		switch (kind) {
		case 'flip': return flip(text, at);
		case 'flips': return [1, 2, 3, 4].reduce((t) => flip(t, this.below(t.length)), text);
		case 'truncate': return text.slice(0, at + 1);
		case 'cut': return text.slice(0, at) + text.slice(at + 1 + this.below(20));
		case 'insert': return text.slice(0, at) + this.pick(['\0', '\r\n', ',', ';', '<', '>', '"', '\\', '%00', ' ', '\t', '\xff', ':', '@', '=', '(']) + text.slice(at);
		case 'repeat': return text.slice(0, at) + text.slice(at, at + 1 + this.below(30)).repeat(1 + this.below(40)) + text.slice(at);
		case 'double': return this.#lines(text, (l) => l.splice(1 + this.below(l.length), 0, l[1 + this.below(l.length - 1)] ?? ''));
		case 'remove': return this.#lines(text, (l) => l.splice(1 + this.below(l.length - 1), 1));
		case 'swap': return this.#lines(text, (l) => {
			const [i, j] = [1 + this.below(l.length - 1), 1 + this.below(l.length - 1)];
			[l[i], l[j]] = [l[j], l[i]];
		});
		case 'shuffle': return this.#lines(text, (l) => {
			for (let i = l.length - 1; i > 1; i--) {
				const j = 1 + this.below(i);
				[l[i], l[j]] = [l[j], l[i]];
			}
		});
		case 'fold': return this.#lines(text, (l) => {
			const i = 1 + this.below(l.length - 1);
			l[i] = l[i].replace(/[:;,]\s*/, (m) => `${m}\r\n \t`);
		});
		case 'graft': {
			const from = this.below(text.length);
			return text.slice(0, at) + text.slice(from, from + 80) + text.slice(at);
		}
		default: throw new Error(kind);
		}
	}
}
