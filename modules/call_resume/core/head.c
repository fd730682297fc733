/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "head.h"

#include <stdint.h>
#include <strings.h>

#include "bytes.h"
#include "wire.h"

#define STATE CR_HDR_STATE
#define LENGTH "Content-Length"
#define BLANKS_MAX 16 /* bytes of a keepalive that is no message */

static int is_line_end(char c)
{
	return c == '\r' || c == '\n';
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t';
}

cr_span_t cr_head_skip(cr_span_t text)
{
	size_t n = 0;

	while(n < text.len && is_line_end(text.s[n]))
		n++;
	return cr_span_sub(text, n, text.len);
}

/* ---- the first line --------------------------------------------------------- */

/* Up to its end, whatever that is for other readers. */
static cr_span_t first_line(cr_span_t text)
{
	const char *nl;

	text = cr_head_skip(text);
	nl = text.len > 0 ? memchr(text.s, '\n', text.len) : NULL;
	return (cr_span_t){text.s, nl != NULL ? (size_t)(nl - text.s) : text.len};
}

/* Where a line names a protocol, of which the slash is at that offset: by it, it is
 * found in one walk. NULL when it does not. */
static const char *name_in(cr_span_t line, cr_span_t name, size_t at)
{
	const char *p = line.s, *end = line.s + line.len;

	while(p < end && (p = memchr(p, '/', (size_t)(end - p))) != NULL) {
		size_t i = (size_t)(p - line.s);

		if(i >= at
				&& cr_span_eq_case(cr_span_sub(line, i - at, name.len), name))
			return p - at;
		p++;
	}
	return NULL;
}

int cr_head_is_http(cr_span_t text)
{
	cr_span_t line = first_line(text);
	const char *start = line.s, *p;

	while((p = name_in(line, CR_SPAN("HTTP/"), 4)) != NULL) {
		if(p == start || (unsigned char)p[-1] <= ' ')
			return 1;
		line = cr_span_sub(line, (size_t)(p - line.s) + 1, line.len);
	}
	return 0;
}

/* ---- lines -------------------------------------------------------------------- */

/* Many fields begin with a C, and none of the common ones has an s there. */
static int begins_state(cr_span_t line)
{
	return line.len >= sizeof(STATE) - 1 && (line.s[0] | 0x20) == 'c'
			&& (line.s[5] | 0x20) == 's'
			&& strncasecmp(line.s, STATE, sizeof(STATE) - 1) == 0;
}

/* Whether a line is a Content-Length, long or compact (RFC 3261 section 20.14). */
static int is_length(cr_span_t line, cr_span_t *value)
{
	size_t n = 0;

	if(line.len > 0 && (line.s[0] | 0x20) == 'l')
		n = 1;
	else if(line.len >= sizeof(LENGTH) && (line.s[8] | 0x20) == 'l'
			&& strncasecmp(line.s, LENGTH, sizeof(LENGTH) - 1) == 0)
		n = sizeof(LENGTH) - 1;
	if(n == 0)
		return 0;
	while(n < line.len && is_blank(line.s[n]))
		n++;
	if(n == line.len || line.s[n] != ':')
		return 0;
	*value = cr_span_sub(line, n + 1, line.len);
	return 1;
}

#define EACH_BYTE(b) (~(uint64_t)0 / 0xff * (b))

/* Which of eight bytes may be below 0x0e: they borrow from their highest bit. The first
 * one in memory is for certain where that is the lowest one of the number. */
static uint64_t low_bytes(const char *s)
{
	uint64_t bytes;

	memcpy(&bytes, s, sizeof(bytes));
	return (bytes - EACH_BYTE(0x0e)) & ~bytes & EACH_BYTE(0x80);
}

/* How many bytes of these eight come in front of the first that may be low. */
static size_t before_low(uint64_t low)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (size_t)__builtin_ctzll(low) / 8;
#else
	(void)low;
	return 0;
#endif
}

/* Offset of the next CR, LF or NUL at or behind i, or the length. */
static size_t line_end_at(cr_span_t s, size_t i)
{
	for(;; i++) {
		uint64_t low = 0;

		while(s.len - i >= 8 && (low = low_bytes(s.s + i)) == 0)
			i += 8;
		if(low != 0)
			i += before_low(low);
		if(i == s.len || s.s[i] == '\0' || is_line_end(s.s[i]))
			return i;
	}
}

static void look_at_line(cr_head_t *head, cr_span_t line)
{
	cr_span_t value;

	if(line.len > 0 && !is_blank(line.s[0]))
		head->fields++;
	/* Most begin with something else. */
	switch(line.len > 0 ? line.s[0] : 0) {
		case ' ':
		case '\t':
			head->folded = 1;
			return;
		case 'C':
		case 'c':
			head->states |= begins_state(line);
			/* fall through */
		case 'L':
		case 'l':
			if(is_length(line, &value)) {
				head->length = value;
				head->lengths++;
			}
			return;
		default:
			return;
	}
}

int cr_head_read(cr_head_t *head, cr_span_t text)
{
	cr_span_t rest = cr_head_skip(text);

	*head = (cr_head_t){0};
	/* Kamailio would look for the message behind them. */
	if(rest.len > BLANKS_MAX && (is_blank(*rest.s) || *rest.s == '\0'))
		return CR_EMALFORMED;
	if(name_in(first_line(rest), CR_SPAN("SIP/2.0"), 3) == NULL)
		return CR_OK;
	head->is_sip = 1;
	for(size_t start = 0, end; start < rest.len; start = end + 2) {
		const char *p = rest.s + start;

		end = line_end_at(rest, start);
		if(end == start && rest.len - start >= 2 && p[0] == '\r'
				&& p[1] == '\n') {
			head->len = (size_t)(p - text.s) + 2;
			return CR_OK; /* the body begins */
		}
		if(start > 0)
			look_at_line(head, (cr_span_t){p, end - start});
		if(end == rest.len)
			return CR_OK; /* cut off */
		if(rest.s[end] != '\r' || end + 1 == rest.len
				|| rest.s[end + 1] != '\n')
			return CR_EMALFORMED;
	}
	return CR_OK;
}

int cr_head_states(cr_span_t text)
{
	cr_span_t rest = cr_head_skip(text);
	const char *p = rest.s, *end = rest.s + rest.len;

	while(p < end && *p != '\n'
			&& (*p != '\r' || end - p < 2 || p[1] != '\n')) {
		p = memchr(p, '\n', (size_t)(end - p));
		if(p == NULL)
			return 0;
		p++;
		if(begins_state((cr_span_t){p, (size_t)(end - p)}))
			return 1;
	}
	return 0;
}

void cr_head_unfold(char *text, size_t len)
{
	size_t skipped = len - cr_head_skip((cr_span_t){text, len}).len;
	char *p = text + skipped, *end = text + len;

	while(p < end && (p = memchr(p, '\r', (size_t)(end - p))) != NULL) {
		if(end - p >= 4 && memcmp(p, "\r\n\r\n", 4) == 0)
			return;
		if(end - p >= 3 && p[1] == '\n' && is_blank(p[2]))
			p[0] = p[1] = p[2] = ' ';
		p++;
	}
}

/* ---- where a message ends --------------------------------------------------------- */

/* @return bytes, or -1 when it is no number of up to nine digits */
static int length_of(cr_span_t value)
{
	int n = 0;

	value = cr_span_trim(value);
	if(value.len == 0 || value.len > 9)
		return -1;
	for(size_t i = 0; i < value.len; i++) {
		if(value.s[i] < '0' || value.s[i] > '9')
			return -1;
		n = n * 10 + (value.s[i] - '0');
	}
	return n;
}

int cr_head_end(const cr_head_t *head, cr_span_t text, size_t *end)
{
	int length = length_of(head->length);

	*end = text.len;
	if(head->lengths == 0)
		return CR_EMISSING;
	if(head->lengths > 1 || length < 0 || head->len == 0
			|| (size_t)length > text.len - head->len)
		return CR_EMALFORMED;
	*end = head->len + (size_t)length;
	return CR_OK;
}

int cr_head_frame(
		char *out, size_t out_max, const cr_head_t *head, cr_span_t text)
{
	cr_writer_t w = cr_writer(out, out_max);

	if(head->len == 0)
		return CR_EMALFORMED;
	cr_put_span(&w, cr_span_sub(text, 0, head->len - 2));
	cr_put_str(&w, LENGTH ": ");
	cr_put_uint(&w, (uint32_t)(text.len - head->len));
	cr_put_str(&w, "\r\n\r\n");
	cr_put_span(&w, cr_span_sub(text, head->len, text.len));
	return cr_writer_end(&w) != CR_OK ? CR_ETOOBIG : (int)w.len;
}
