/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bytes.h"

/* ---- reader -------------------------------------------------------------- */

cr_reader_t cr_reader(const void *data, size_t len)
{
	return (cr_reader_t){data, len, 0};
}

/* Every read passes here: this is the one place that checks a length. */
static const uint8_t *take(cr_reader_t *r, size_t len)
{
	const uint8_t *at = r->p;

	if(r->bad || len > r->left) {
		r->bad = 1;
		return NULL;
	}
	if(len > 0)
		r->p += len;
	r->left -= len;
	return at;
}

uint8_t cr_get_u8(cr_reader_t *r)
{
	const uint8_t *p = take(r, 1);

	return p ? p[0] : 0;
}

uint16_t cr_get_be16(cr_reader_t *r)
{
	const uint8_t *p = take(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

uint32_t cr_get_be32(cr_reader_t *r)
{
	const uint8_t *p = take(r, 4);

	if(!p)
		return 0;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8
			| p[3];
}

cr_span_t cr_get_bytes(cr_reader_t *r, size_t len)
{
	const uint8_t *p = take(r, len);

	return p ? (cr_span_t){(const char *)p, len} : (cr_span_t){NULL, 0};
}

cr_span_t cr_get_span8(cr_reader_t *r)
{
	return cr_get_bytes(r, cr_get_u8(r));
}

cr_span_t cr_get_until(cr_reader_t *r, char end)
{
	const uint8_t *hit = r->left > 0 ? memchr(r->p, end, r->left) : NULL;
	cr_span_t s;

	if(!hit)
		r->bad = 1;
	s = cr_get_bytes(r, hit ? (size_t)(hit - r->p) : 0);
	take(r, 1);
	return s;
}

cr_span_t cr_get_part(cr_reader_t *r, char end)
{
	cr_reader_t ahead = *r;
	cr_span_t s = cr_get_until(&ahead, end);

	if(ahead.bad)
		return cr_get_bytes(r, r->left);
	*r = ahead;
	return s;
}

int cr_reader_end(const cr_reader_t *r)
{
	return !r->bad && r->left == 0 ? CR_OK : CR_EMALFORMED;
}

/* ---- writer -------------------------------------------------------------- */

void cr_put_be16(cr_writer_t *w, uint16_t v)
{
	const uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	cr_put_bytes(w, b, sizeof(b));
}

void cr_put_be32(cr_writer_t *w, uint32_t v)
{
	const uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16),
			(uint8_t)(v >> 8), (uint8_t)v};

	cr_put_bytes(w, b, sizeof(b));
}

void cr_put_span8(cr_writer_t *w, cr_span_t s)
{
	if(s.len > UINT8_MAX) {
		w->bad = 1;
		return;
	}
	cr_put_u8(w, (uint8_t)s.len);
	cr_put_span(w, s);
}

void cr_put_uint(cr_writer_t *w, uint64_t v)
{
	char digits[20]; /* of UINT64_MAX */
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while(v > 0);
	cr_put_bytes(w, digits + at, sizeof(digits) - at);
}

int cr_writer_end(const cr_writer_t *w)
{
	return w->bad ? CR_ETOOBIG : CR_OK;
}

cr_span_t cr_written(const cr_writer_t *w)
{
	return (cr_span_t){(const char *)w->p, w->len};
}
