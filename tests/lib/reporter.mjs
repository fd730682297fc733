// SPDX-License-Identifier: GPL-2.0-or-later
// A reporter for node --test: a line a test, what went wrong below it, and the
// sum as the last line.

import path from 'node:path';
import { inspect } from 'node:util';

export default async function* reporter(events) {
	let passed = 0;
	let failed = 0;
	let skipped = 0;
	for await (const { type, data } of events) {
		if (type === 'test:stderr' || type === 'test:stdout') yield data.message;
		if (type !== 'test:pass' && type !== 'test:fail') continue;
		const ok = type === 'test:pass';
		// Files and suites are reported too; they count only when they failed
		// for a reason of their own.
		const group = data.details?.type === 'suite' || /\.test\.m?js$/.test(data.name);
		if (group && (ok || data.details?.error?.failureType === 'subtestsFailed')) continue;
		if (data.skip !== undefined || data.todo !== undefined) {
			skipped++;
			yield `skip ${data.name}${typeof data.skip === 'string' ? `: ${data.skip}` : ''}\n`;
			continue;
		}
		if (ok) passed++;
		else failed++;
		const where = data.file ? `${path.basename(data.file, '.test.mjs')}: ` : '';
		yield `${ok ? 'ok  ' : 'FAIL'} ${where}${data.name} (${Math.round(data.details?.duration_ms ?? 0)} ms)\n`;
		if (!ok) {
			const error = data.details?.error?.cause ?? data.details?.error;
			// Not everything that comes out of another process can be made a string.
			yield `${(typeof error?.stack === 'string' ? error.stack : inspect(error)).replace(/^/gm, '     ')}\n`;
		}
	}
	if (skipped) yield `${skipped} skipped\n`;
	yield `${passed} passed, ${failed} failed\n`;
}
