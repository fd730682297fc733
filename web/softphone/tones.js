// SPDX-License-Identifier: MIT
// What a phone sounds like: made here, nothing is loaded. A browser that does not let a
// page sound before it was clicked on stays silent; what rings can be seen as well.

let context;
let current;

/** One tone: frequencies in Hz, from and length in seconds. */
function beep(at, frequencies, length, volume) {
	const gain = context.createGain();
	gain.connect(context.destination);
	gain.gain.setValueAtTime(0, at);
	gain.gain.linearRampToValueAtTime(volume, at + 0.02);
	gain.gain.setValueAtTime(volume, at + length - 0.05);
	gain.gain.linearRampToValueAtTime(0, at + length);
	for (const frequency of frequencies) {
		const tone = context.createOscillator();
		tone.frequency.value = frequency;
		tone.connect(gain);
		tone.start(at);
		tone.stop(at + length);
	}
	return gain;
}

const PATTERNS = {
	/** Somebody calls us. */
	ring: {
		every: 3, play: (at) => [[659], [784], [659], [784]].map((f, i) => beep(at + i * 0.28, f, 0.26, 0.2)),
	},
	/** It rings at the other side. */
	ringback: { every: 5, play: (at) => [beep(at, [425], 1, 0.06)] },
	/** Somebody calls while we talk. */
	knock: { every: 4, play: (at) => [beep(at, [425], 0.2, 0.08), beep(at + 0.3, [425], 0.2, 0.08)] },
};

/** Sound like that until told otherwise. @param name  of PATTERNS; undefined: be silent */
export function sound(name) {
	if (name === current?.name) return;
	clearInterval(current?.timer);
	for (const gain of current?.gains ?? []) gain.disconnect();
	current = undefined;
	if (!name) return;
	context ??= new AudioContext();
	context.resume().catch(() => {});
	const { every, play } = PATTERNS[name];
	const mine = { name, gains: [] };
	const once = () => { if (context.state === 'running') mine.gains = play(context.currentTime + 0.05); };
	once();
	mine.timer = setInterval(once, every * 1000);
	current = mine;
}
