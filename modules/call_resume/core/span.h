/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A run of bytes that somebody else owns.
 */
#ifndef CR_SPAN_H
#define CR_SPAN_H

#include <stddef.h>
#include <string.h>

typedef struct cr_span
{
	const char *s; /* not zero-terminated; NULL only with len 0 */
	size_t len;
} cr_span_t;

/** The span of a string literal. */
#define CR_SPAN(lit) ((cr_span_t){(lit), sizeof(lit) - 1})

/** The same as an initializer of static data. */
#define CR_SPAN_INIT(lit)                                                      \
	{                                                                          \
		(lit), sizeof(lit) - 1                                                 \
	}

/** The span of a zero-terminated string. */
static inline cr_span_t cr_span_str(const char *s)
{
	return (cr_span_t){s, strlen(s)};
}

/** 1 when both hold the same bytes. Not for secrets: see cr_equal_ct(). */
static inline int cr_span_eq(cr_span_t a, cr_span_t b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

/** The part of s from offset at, at most len long. */
static inline cr_span_t cr_span_sub(cr_span_t s, size_t at, size_t len)
{
	if(at > s.len)
		at = s.len;
	if(len > s.len - at)
		len = s.len - at;
	return (cr_span_t){s.s + at, len};
}

/** The empty place behind s. */
static inline cr_span_t cr_span_end(cr_span_t s)
{
	return (cr_span_t){s.s + s.len, 0};
}

#endif
