// SPDX-License-Identifier: GPL-2.0-or-later
// A tone, as a WAV file (RIFF, PCM) of 16 bits, one channel.

import fs from 'node:fs';

export function writeTone(file, { seconds = 2, hertz = 440, rate = 8000, loudest = 8000 } = {}) {
	const samples = rate * seconds;
	const wav = Buffer.alloc(44 + 2 * samples);
	wav.write('RIFF', 0);
	wav.writeUInt32LE(wav.length - 8, 4);
	wav.write('WAVEfmt ', 8);
	wav.writeUInt32LE(16, 16);			// bytes of the format
	wav.writeUInt16LE(1, 20);			// PCM
	wav.writeUInt16LE(1, 22);			// channels
	wav.writeUInt32LE(rate, 24);
	wav.writeUInt32LE(2 * rate, 28);	// bytes a second
	wav.writeUInt16LE(2, 32);			// bytes a sample
	wav.writeUInt16LE(16, 34);
	wav.write('data', 36);
	wav.writeUInt32LE(2 * samples, 40);
	for (let i = 0; i < samples; i++) {
		wav.writeInt16LE(Math.round(loudest * Math.sin((2 * Math.PI * hertz * i) / rate)), 44 + 2 * i);
	}
	fs.writeFileSync(file, wav);
	return file;
}
