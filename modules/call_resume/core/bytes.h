/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bounded reader and the bounded writer: no other file does pointer
 * arithmetic on bytes from outside.
 *
 * Both remember the first error: a chain of calls needs one check at its end.
 */
#ifndef CR_BYTES_H
#define CR_BYTES_H

#include <stdint.h>

#include "err.h"
#include "span.h"

typedef struct cr_reader
{
	const uint8_t *p;
	size_t left; /* bytes */
	int bad;     /* 1 after a read beyond the end; all later reads give 0 */
} cr_reader_t;

cr_reader_t cr_reader(const void *data, size_t len);
uint8_t cr_get_u8(cr_reader_t *r);
uint16_t cr_get_be16(cr_reader_t *r);
uint32_t cr_get_be32(cr_reader_t *r);
/** The next len bytes, in place; empty when there are fewer. */
cr_span_t cr_get_bytes(cr_reader_t *r, size_t len);
/** A u8 length and that many bytes, in place. */
cr_span_t cr_get_span8(cr_reader_t *r);
/** The bytes before the next end, in place; end itself is passed over. A
 * text without it is a read beyond the end. */
cr_span_t cr_get_until(cr_reader_t *r, char end);
/** The same where the last one may lack its end: up to end, or all that is left. */
cr_span_t cr_get_part(cr_reader_t *r, char end);
/** CR_OK when every read was good and nothing is left, else CR_EMALFORMED. */
int cr_reader_end(const cr_reader_t *r) CR_MUST_CHECK;

typedef struct cr_writer
{
	uint8_t *p;
	size_t len; /* bytes written */
	size_t max; /* bytes available */
	int bad;    /* 1 after a write that did not fit; later writes do nothing */
} cr_writer_t;

static inline cr_writer_t cr_writer(void *out, size_t max)
{
	return (cr_writer_t){out, 0, max, 0};
}

/* Inlined: most of what is written is a word or two that the compiler knows. */
static inline void cr_put_bytes(cr_writer_t *w, const void *data, size_t len)
{
	if(w->bad || len > w->max - w->len) {
		w->bad = 1;
		return;
	}
	if(len == 0)
		return;
	memcpy(w->p + w->len, data, len);
	w->len += len;
}

static inline void cr_put_u8(cr_writer_t *w, uint8_t v)
{
	cr_put_bytes(w, &v, 1);
}

void cr_put_be16(cr_writer_t *w, uint16_t v);
void cr_put_be32(cr_writer_t *w, uint32_t v);

static inline void cr_put_str(cr_writer_t *w, const char *zstr)
{
	cr_put_bytes(w, zstr, strlen(zstr));
}

static inline void cr_put_span(cr_writer_t *w, cr_span_t s)
{
	cr_put_bytes(w, s.s, s.len);
}

/** A u8 length and the bytes; bad when longer than 255. */
void cr_put_span8(cr_writer_t *w, cr_span_t s);
/** Unsigned decimal. */
void cr_put_uint(cr_writer_t *w, uint64_t v);
/** CR_OK when everything fitted, else CR_ETOOBIG. */
int cr_writer_end(const cr_writer_t *w) CR_MUST_CHECK;
/** What has been written so far, as a span into the writer's buffer. */
cr_span_t cr_written(const cr_writer_t *w);

#endif
