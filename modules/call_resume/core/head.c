/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "head.h"

#include <strings.h>

#include "block.h"
#include "bytes.h"
#include "sip.h"
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

cr_span_t cr_head_skip_all(cr_span_t text)
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

	nl = text.len > 0 ? memchr(text.s, '\n', text.len) : NULL;
	return (cr_span_t){text.s, nl != NULL ? (size_t)(nl - text.s) : text.len};
}

static int is_http(cr_span_t line, size_t slash)
{
	return slash >= 4
			&& cr_span_eq_case(
					cr_span_sub(line, slash - 4, 5), CR_SPAN("HTTP/"))
			&& (slash == 4 || (unsigned char)line.s[slash - 5] <= ' ');
}

/* Which protocols it names: what is in front of a slash says it. Kamailio takes for HTTP what
 * begins a word so. */
static void read_first_line(cr_head_t *head, cr_span_t line)
{
	const char *p = line.s, *end = line.s + line.len;

	while(p < end && (p = memchr(p, '/', (size_t)(end - p))) != NULL) {
		size_t i = (size_t)(p++ - line.s);

		if(i < 3 || (line.s[i - 1] | 0x20) != 'p')
			continue;
		if((line.s[i - 2] | 0x20) == 'i')
			head->is_sip |= (line.s[i - 3] | 0x20) == 's' && line.len - i >= 4
					&& memcmp(line.s + i, "/2.0", 4) == 0;
		else
			head->is_http |= is_http(line, i);
	}
}

/* ---- lines -------------------------------------------------------------------- */

/* (Many fields begin with a C, and none of the common ones has an s there.) */
static int begins_state(cr_span_t line)
{
	return line.len >= sizeof(STATE) - 1 && (line.s[0] | 0x20) == 'c'
			&& (line.s[5] | 0x20) == 's'
			&& cr_sip_is_state((cr_span_t){line.s, sizeof(STATE) - 1});
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

static void look_at_name(cr_head_t *head, cr_span_t line)
{
	cr_span_t value;

	head->states |= begins_state(line);
	if(is_length(line, &value)) {
		head->length = value;
		head->lengths++;
	}
}

/* Whether a line that is not empty may be a field that is looked for: most are told by their
 * first letter, and those with a C by one more. */
static inline int may_be_looked_for(cr_span_t line)
{
	char first = line.s[0] | 0x20;

	return first == 'l'
			|| (first == 'c' && line.len >= sizeof(STATE) - 1
					&& ((line.s[5] | 0x20) == 's'
							|| (line.s[8] | 0x20) == 'l'));
}

/* One that is not empty. */
static inline void look_at_line(cr_head_t *head, cr_span_t line)
{
	if(is_blank(line.s[0])) {
		head->folded = 1;
		return;
	}
	head->fields++;
	if(may_be_looked_for(line))
		look_at_name(head, line);
}

/* Up to the empty line, or the end of the text. */
static int read_lines(cr_head_t *head, cr_span_t text)
{
	size_t start = 0;

	for(size_t block = 0; block < text.len; block += CR_BLOCK) {
		/* Line ends and NUL, and what is as low. */
		uint64_t low = cr_block_outside(text, block, '\r' + 1, 0xff);

		for(; low != 0; low &= low - 1) {
			size_t i = block + (size_t)__builtin_ctzll(low);

			if(i < start)
				continue;
			if(text.len - i < 2 || memcmp(text.s + i, "\r\n", 2) != 0) {
				if(text.s[i] == '\0' || is_line_end(text.s[i]))
					return CR_EMALFORMED;
				continue;
			}
			if(i == start) {
				head->len = i + 2;
				return CR_OK; /* the body begins */
			}
			if(start > 0)
				look_at_line(head, (cr_span_t){text.s + start, i - start});
			start = i + 2;
			low &= low - 1; /* its LF; one in the next block is passed over */
		}
	}
	if(start > 0 && start < text.len)
		look_at_line(head, cr_span_sub(text, start, text.len)); /* cut off */
	return CR_OK;
}

/* Of HTTP, whose lines may end with an LF alone.
 * @return its length, the empty line not included */
static size_t count_fields(cr_head_t *head, cr_span_t text)
{
	const char *end = text.s + text.len;
	const char *p = memchr(text.s, '\n', text.len);

	while(p != NULL && ++p < end && *p != '\n'
			&& (end - p < 2 || memcmp(p, "\r\n", 2) != 0)) {
		p = memchr(p, '\n', (size_t)(end - p));
		head->fields++;
	}
	return p != NULL ? (size_t)(p - text.s) : text.len;
}

/* A short head cannot have too many, and is not counted. */
static int count_parts(cr_span_t text)
{
	int n = 0;

	if(text.len <= CR_HEAD_PARTS_MAX)
		return 0;
	for(size_t i = 0; i < text.len; i++)
		n += text.s[i] == ';' || text.s[i] == ',';
	return n;
}

int cr_head_read(cr_head_t *head, cr_span_t text)
{
	cr_span_t rest = cr_head_skip(text);
	int err;

	*head = (cr_head_t){0};
	/* Kamailio would look for the message behind them. */
	if(rest.len > BLANKS_MAX && (is_blank(*rest.s) || *rest.s == '\0'))
		return CR_EMALFORMED;
	read_first_line(head, first_line(rest));
	if(!head->is_sip) {
		if(head->is_http)
			head->parts = count_parts(
					cr_span_sub(rest, 0, count_fields(head, rest)));
		return CR_OK;
	}
	err = read_lines(head, rest);
	head->parts = count_parts(
			head->len > 0 ? cr_span_sub(rest, 0, head->len) : rest);
	if(head->len > 0)
		head->len += (size_t)(rest.s - text.s);
	return err;
}

/* Whether Call-S is anywhere: of the letters in it the dash is the rarest, or what is taken for one. */
static int may_have_states(cr_span_t text, char dash)
{
	const char *p = text.s, *end = text.s + text.len;

	while(p < end && (p = memchr(p, dash, (size_t)(end - p))) != NULL) {
		if(p - text.s >= 4 && end - p >= 2 && (p[1] | 0x20) == 's'
				&& (p[-4] | 0x20) == 'c')
			return 1;
		p++;
	}
	return 0;
}

int cr_head_states(cr_span_t text)
{
	cr_span_t rest = cr_head_skip(text);
	const char *p = rest.s, *end = rest.s + rest.len;

	if(!may_have_states(text, '-') && !may_have_states(text, '_'))
		return 0;
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

/* ---- what Kamailio will read -------------------------------------------------------- */

/* The name of the field that a line is; empty for one that is none, or an odd one. */
static cr_span_t name_of(cr_span_t line)
{
	size_t n = 0, i;

	while(n < line.len
			&& (((line.s[n] | 0x20) >= 'a' && (line.s[n] | 0x20) <= 'z')
					|| line.s[n] == '-'))
		n++;
	for(i = n; i < line.len && is_blank(line.s[i]); i++)
		;
	return cr_span_sub(line, 0, i < line.len && line.s[i] == ':' ? n : 0);
}

static int is_easy(cr_span_t line)
{
	cr_span_t name = name_of(line), value;

	switch(name.len) {
		case 0:
			return 0;
		case 1: /* compact */
			if((name.s[0] | 0x20) == 'v' || (name.s[0] | 0x20) == 't')
				return 0;
			break;
		case 2:
			return !cr_span_eq_case(name, CR_SPAN("To"));
		case 3:
			return !cr_span_eq_case(name, CR_SPAN("Via"));
		case 4:
			return !cr_span_eq_case(name, CR_SPAN("CSeq"));
		case 11:
			return !cr_span_eq_case(name, CR_SPAN("Retry-After"));
	}
	return !is_length(line, &value) || length_of(value) >= 0;
}

int cr_head_is_easy(cr_span_t lines)
{
	const char *p = lines.s, *end = lines.s + lines.len;

	while(p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		if(lf == NULL || lf == p || lf[-1] != '\r')
			return 0;
		if(lf == p + 1)
			return 1;
		if(!is_easy((cr_span_t){p, (size_t)(lf - 1 - p)}))
			return 0;
		p = lf + 1;
	}
	return 0;
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
