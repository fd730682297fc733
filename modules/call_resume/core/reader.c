/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "reader.h"

#include "sip.h"

#define MSRP "MSRP "
#define CHUNKED "chunked"

/* So much is looked through again for each head in front of such a word. */
#define BLOCK 512

/* By the rarest letter of it. */
static int has_chunked(cr_span_t text, char letter)
{
	const size_t at = 4; /* of the k */
	const char *p = text.s, *end = text.s + text.len;

	while(p < end && (p = memchr(p, letter, (size_t)(end - p))) != NULL) {
		size_t i = (size_t)(p++ - text.s);

		if(i >= at
				&& cr_span_eq_case(
						cr_span_sub(text, i - at, sizeof(CHUNKED) - 1),
						CR_SPAN(CHUNKED)))
			return 1;
	}
	return 0;
}

static int is_odd(cr_span_t text)
{
	return memmem(text.s, text.len, MSRP, sizeof(MSRP) - 1) != NULL
			|| has_chunked(text, 'k') || has_chunked(text, 'K');
}

/* Where the first block begins that has the beginning of something odd; or the end. */
static size_t odd_block(cr_span_t text)
{
	for(size_t at = 0; at < text.len; at += BLOCK) {
		if(is_odd(cr_span_sub(text, at, BLOCK + sizeof(CHUNKED) - 2)))
			return at;
	}
	return text.len;
}

/* Behind the first empty line that ends behind fresh; or the end. */
static size_t end_of_head(cr_span_t text, size_t fresh)
{
	for(size_t i = fresh; i < text.len; i++) {
		if(text.s[i] != '\n' || i == 0)
			continue;
		if(text.s[i - 1] == '\n'
				|| (i >= 2 && text.s[i - 1] == '\r' && text.s[i - 2] == '\n'))
			return i + 1;
	}
	return text.len;
}

size_t cr_reader_end_of(cr_span_t text, size_t fresh, size_t to_go)
{
	size_t odd = odd_block(text);

	if(odd > fresh)
		return odd;
	if(to_go == 0)
		return end_of_head(text, fresh);
	return to_go < text.len - fresh ? fresh + to_go : text.len;
}
