// SPDX-License-Identifier: GPL-2.0-or-later
//
// The module's documentation as every module of Kamailio has it: doc/call_resume_admin.xml,
// DocBook, is made of README.md, which alone is written by hand. Kamailio makes its README of
// the DocBook.
//
// usage: node tools/docbook.mjs           writes it
//        node tools/docbook.mjs --check   says whether it is as README.md is

import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = new URL('../modules/call_resume/', import.meta.url);
const FROM = fileURLToPath(new URL('README.md', FOLDER));
const TO = fileURLToPath(new URL('doc/call_resume_admin.xml', FOLDER));

const HEAD = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE chapter PUBLIC "-//OASIS//DTD DocBook XML V4.4//EN"
"http://www.oasis-open.org/docbook/xml/4.4/docbookx.dtd" [

<!-- Include general documentation entities -->
<!ENTITY % docentities SYSTEM "../../../../doc/docbook/entities.xml">
%docentities;

]>
<!-- Made of README.md by tools/docbook.mjs of the call_resume project. -->

<chapter>

	<title>&adminguide;</title>
`;

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
	.replace(/[^\0-\x7f]/gu, (c) => `&#${c.codePointAt(0)};`);

/** As GitHub makes the anchors of headings, and so the links in README.md. */
const anchor = (heading) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-');

/** What sections of the second level are about: the letter in the ids of theirs, and what they are. */
const KINDS = {
	Parameters: { letter: 'p', element: 'varname', example: (name) => `Set <varname>${name}</varname> parameter` },
	Functions: { letter: 'f', element: 'function', example: (name) => `<function>${name}()</function> usage` },
	'RPC commands': { letter: 'r', element: 'function', example: (name) => `<function>${name}</function> usage` },
};

/** The ids of all headings, by their anchors. */
function identify(lines) {
	const ids = new Map();
	const used = new Map();
	let kind;
	for (const [, depth, heading] of lines.join('\n').matchAll(/^(##+) (.*)$/gm)) {
		if (depth === '##') kind = KINDS[heading];
		const name = kind && depth === '###' ? heading.match(/^(?:call_resume\.)?(\w+)/)[1] : anchor(heading);
		const id = `call_resume.${kind && depth === '###' ? kind.letter : 'sec'}.${name}`;
		const times = (used.get(id) ?? 0) + 1;
		used.set(id, times);
		ids.set(anchor(heading), times > 1 ? `${id}.${times}` : id);
	}
	return ids;
}

class Converter {
	constructor(lines) {
		this.lines = lines;
		this.ids = identify(lines);
		this.out = [];
		this.at = 0;
	}

	get line() { return this.lines[this.at]; }

	put(depth, ...lines) { for (const line of lines) this.out.push('\t'.repeat(depth) + line); }

	/** Code, links, strong and emphasis. */
	inline(text) {
		return text.split(/(`[^`]+`)/).map((part) => (part.startsWith('`') && part.length > 1
			? `<literal>${escaped(part.slice(1, -1))}</literal>`
			: escaped(part)
				.replace(/\[([^\]]+)\]\(#([^)]+)\)/g, (_, words, to) => `<link linkend="${this.#id(to)}">${words}</link>`)
				.replace(/\[([^\]]+)\]\((https?:[^)]+)\)/g, '<ulink url="$2">$1</ulink>')
				.replace(/\[([^\]]+)\]\((?:\.\.\/)*([^)#]+)[^)]*\)/g, '$1 (<filename>$2</filename>)')
				.replace(/\*\*([^*]+)\*\*/g, '<emphasis role="bold">$1</emphasis>')
				.replace(/(^|[^\w*])\*([^*]+)\*/g, '$1<emphasis>$2</emphasis>'))).join('');
	}

	#id(to) {
		const id = this.ids.get(to);
		if (!id) throw new Error(`README.md links to #${to}, which is no heading`);
		return id;
	}

	/** Lines up to the next that begins something else. */
	paragraph(depth) {
		const words = [];
		while (this.line && !/^(#|\* |\d+\. |\| | {4})/.test(this.line)) words.push(this.lines[this.at++].trim());
		this.put(depth, '<para>', ...this.inline(words.join('\n')).split('\n'), '</para>');
	}

	list(depth) {
		const element = this.line.startsWith('*') ? 'itemizedlist' : 'orderedlist';
		this.put(depth, `<${element}>`);
		while (/^(\* |\d+\. )/.test(this.line ?? '')) {
			const words = [this.lines[this.at++].replace(/^(\* |\d+\. )/, '')];
			while (/^ {1,3}\S/.test(this.line ?? '')) words.push(this.lines[this.at++].trim());
			this.put(depth, '<listitem><para>', ...this.inline(words.join('\n')).split('\n'), '</para></listitem>');
		}
		this.put(depth, `</${element}>`);
	}

	/** As modules of Kamailio tell of codes: a list. What the columns are stands in front. */
	table(depth) {
		const rows = [];
		while (this.line?.startsWith('|')) rows.push(this.lines[this.at++].replace(/^\| | \|$/g, '').split(' | '));
		const [head, , ...body] = rows;
		this.put(depth, '<para>', `${this.inline(head.join(' - '))}:`, '</para>', '<itemizedlist>');
		for (const row of body) this.put(depth, `<listitem><para>${this.inline(row.join(' - '))}</para></listitem>`);
		this.put(depth, '</itemizedlist>');
	}

	code(depth, title) {
		const text = [];
		while (this.line !== undefined && (/^ {4}/.test(this.line) || (this.line === '' && /^ {4}/.test(this.lines[this.at + 1] ?? '')))) {
			text.push(this.lines[this.at++].slice(4));
		}
		const last = !this.lines.slice(this.at, this.nextHeading()).some((line) => /^ {4}/.test(line));
		const example = title && last;
		if (example) this.put(depth, '<example>', `\t<title>${title}</title>`);
		const dots = example ? ['...'] : [];
		this.out.push('<programlisting format="linespecific">', ...dots, ...text.map(escaped), ...dots, '</programlisting>');
		if (example) this.put(depth, '</example>');
	}

	nextHeading() {
		const next = this.lines.findIndex((line, i) => i >= this.at && /^##+ /.test(line));
		return next < 0 ? this.lines.length : next;
	}

	/** Up to the next heading. */
	body(depth, title) {
		while (this.at < this.lines.length && !/^##+ /.test(this.line)) {
			if (this.line === '') this.at++;
			else if (/^ {4}/.test(this.line)) this.code(depth, title);
			else if (this.line.startsWith('|')) this.table(depth);
			else if (/^(\* |\d+\. )/.test(this.line)) this.list(depth);
			else this.paragraph(depth);
		}
	}

	title(heading, kind) {
		if (!kind) return this.inline(heading);
		const [, name, rest] = heading.match(kind.element === 'varname' ? /^(\w+)(.*)$/ : /^(.*)()$/);
		return `<${kind.element}>${escaped(name)}</${kind.element}>${escaped(rest)}`;
	}

	section(depth, kind) {
		const heading = this.lines[this.at++].replace(/^#+ /, '');
		const own = depth === 1 ? undefined : kind;
		this.put(depth, `<section id="${this.#id(anchor(heading))}">`, `\t<title>${this.title(heading, own)}</title>`);
		this.body(depth + 1, own?.example(escaped(heading.match(/^[\w.]+/)[0])));
		if (depth === 1) while (this.line?.startsWith('### ')) this.section(2, KINDS[heading]);
		this.put(depth, '</section>');
	}

	convert() {
		while (this.at < this.lines.length) {
			if (/^## (?!Contents$)/.test(this.line)) this.section(1);
			else this.at++;
		}
		return `${HEAD}\n${this.out.join('\n')}\n</chapter>\n`;
	}
}

const made = new Converter(fs.readFileSync(FROM, 'utf8').split('\n')).convert();
if (process.argv[2] !== '--check') {
	fs.writeFileSync(TO, made);
} else if (fs.readFileSync(TO, 'utf8') !== made) {
	console.error('docbook: doc/call_resume_admin.xml is not what README.md is; run: node tools/docbook.mjs');
	process.exit(1);
}
