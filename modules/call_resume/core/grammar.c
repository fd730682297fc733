/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "grammar.h"

#include <stdint.h>
#include <string.h>

#include "text.h"

static int is_line_end(char c)
{
	return c == '\r' || c == '\n';
}

/* What is left of a value that is read from its front. */
static void skip_blanks(cr_span_t *s)
{
	while(s->len > 0 && (is_line_end(*s->s) || *s->s == ' ' || *s->s == '\t'))
		*s = cr_span_sub(*s, 1, s->len);
}

/* What ends the parts of a value, and zero all of them. */
enum
{
	QUOTED = 1,    /* in a quoted-string */
	DISPLAY = 2,   /* what is in front of a URI in brackets */
	OPAQUE = 4,    /* and in these */
	BARE = 8,      /* a URI without brackets */
	PARAM = 16,    /* name and value of a parameter */
	TOKEN = 32,    /* RFC 3261 section 25.1 */
	SCHEME = 64,   /* of a URI */
	USER = 128,    /* ... and its user part */
	ADDRESS = 256, /* IPv6, in brackets */
	HOST = 512,    /* and port */
};

#define ALL 1023

/* clang-format off */
static const uint16_t ends[256] = {
	['\0'] = ALL,
	['\r'] = ALL & ~HOST, ['\n'] = ALL & ~HOST, ['"'] = ALL & ~HOST,
	['<'] = ALL & ~(HOST | QUOTED), ['>'] = ALL & ~(HOST | QUOTED),
	[' '] = ALL & ~(HOST | QUOTED | DISPLAY), ['\t'] = ALL & ~(HOST | QUOTED | DISPLAY),
	[';'] = BARE | PARAM | TOKEN | SCHEME | ADDRESS | HOST,
	['='] = PARAM | TOKEN, [','] = TOKEN | ADDRESS, ['?'] = TOKEN | HOST,
	['@'] = TOKEN | SCHEME | USER | ADDRESS, [':'] = TOKEN | SCHEME | HOST,
	['['] = TOKEN | ADDRESS, [']'] = TOKEN | ADDRESS, ['\\'] = QUOTED | TOKEN,
	['('] = TOKEN, [')'] = TOKEN, ['/'] = TOKEN, ['{'] = TOKEN, ['}'] = TOKEN,
};
/* clang-format on */

/* Pass over all that does not end such a part. @return how many */
static size_t skip(cr_span_t *s, unsigned part)
{
	size_t n = 0;

	while(n < s->len && (ends[(uint8_t)s->s[n]] & part) == 0)
		n++;
	*s = cr_span_sub(*s, n, s->len);
	return n;
}

size_t cr_skip_host(cr_span_t *s)
{
	return skip(s, HOST);
}

static int skip_char(cr_span_t *s, char c)
{
	if(s->len == 0 || *s->s != c)
		return 0;
	*s = cr_span_sub(*s, 1, s->len);
	return 1;
}

/* quoted-string, in one line. @return 1, or 0 when there is none or it does not end */
static int skip_quoted(cr_span_t *s)
{
	if(!skip_char(s, '"'))
		return 0;
	for(;;) {
		skip(s, QUOTED);
		if(!skip_char(s, '\\'))
			return skip_char(s, '"');
		if(s->len == 0 || is_line_end(*s->s))
			return 0;
		*s = cr_span_sub(*s, 1, s->len);
	}
}

/* name-addr or addr-spec. */
static int skip_address(cr_span_t *s)
{
	cr_span_t bare = *s;
	size_t n;

	if(s->len > 0 && *s->s == '"') {
		if(!skip_quoted(s))
			return 0;
	} else {
		n = skip(&bare, BARE);
		skip(s, DISPLAY);
		if(s->len == 0 || *s->s != '<') {
			*s = bare;
			return n > 0;
		}
	}
	skip_blanks(s);
	return skip_char(s, '<') && skip(s, OPAQUE) > 0 && skip_char(s, '>');
}

/* *( SEMI generic-param ) */
static int skip_params(cr_span_t *s)
{
	skip_blanks(s);
	while(skip_char(s, ';')) {
		skip_blanks(s);
		if(skip(s, PARAM) == 0)
			return 0;
		skip_blanks(s);
		if(skip_char(s, '=')) {
			skip_blanks(s);
			if(skip(s, PARAM) == 0 && !skip_quoted(s))
				return 0;
		}
		skip_blanks(s);
	}
	return s->len == 0;
}

/* From and To, and one Contact (RFC 3261 section 25.1). */
int cr_is_name_addr(cr_span_t s)
{
	skip_blanks(&s);
	return skip_address(&s) && skip_params(&s);
}

/* A quoted-string with nothing escaped in it, and blanks behind it. @return 0 when it is another */
static int skip_plain_name(cr_span_t *s)
{
	size_t n = 1;

	if(s->len == 0 || *s->s != '"')
		return 1;
	while(n < s->len && (unsigned char)s->s[n] >= ' ' && s->s[n] != '"'
			&& s->s[n] != '\\')
		n++;
	*s = cr_span_sub(*s, n, s->len);
	if(!skip_char(s, '"'))
		return 0;
	skip_blanks(s);
	return 1;
}

int cr_is_plain_party(cr_span_t s)
{
	static const char tag[] = ">;tag=";
	cr_span_t uri, rest;
	const char *end;

	if(!skip_plain_name(&s) || !skip_char(&s, '<')
			|| (end = memchr(s.s, '>', s.len)) == NULL)
		return 0;
	uri = (cr_span_t){s.s, (size_t)(end - s.s)};
	rest = cr_span_sub(s, uri.len, s.len);
	return rest.len >= sizeof(tag) && memcmp(rest.s, tag, sizeof(tag) - 1) == 0
			&& cr_text_is_token(cr_span_sub(rest, sizeof(tag) - 1, rest.len))
			&& cr_text_is_uri(uri);
}

/* ---- fields that every SIP program reads first ------------------------------------ */

static size_t skip_digits(cr_span_t *s)
{
	size_t n = 0;

	while(n < s->len && s->s[n] >= '0' && s->s[n] <= '9')
		n++;
	*s = cr_span_sub(*s, n, s->len);
	return n;
}

static size_t skip_token(cr_span_t *s)
{
	return skip(s, TOKEN);
}

static int skip_port(cr_span_t *s)
{
	unsigned port = 0;
	size_t n = 0;

	for(; n < s->len && n < 6 && s->s[n] >= '0' && s->s[n] <= '9'; n++)
		port = port * 10 + (unsigned)(s->s[n] - '0');
	*s = cr_span_sub(*s, n, s->len);
	return n > 0 && n < 6 && port <= 65535;
}

/* host [ COLON port ] */
static int skip_sent_by(cr_span_t *s)
{
	if(skip_char(s, '[')) {
		if(skip(s, ADDRESS) == 0 || !skip_char(s, ']'))
			return 0;
	} else if(skip_token(s) == 0) {
		return 0;
	}
	skip_blanks(s);
	if(!skip_char(s, ':'))
		return 1;
	skip_blanks(s);
	return skip_port(s);
}

int cr_is_via(cr_span_t s)
{
	static const char *const version[] = {"SIP", "2.0"};

	skip_blanks(&s);
	for(int i = 0; i < 2; i++) {
		cr_span_t word = s;

		word.len = skip_token(&s);
		if(!cr_span_eq_case(word, cr_span_str(version[i])))
			return 0;
		skip_blanks(&s);
		if(!skip_char(&s, '/'))
			return 0;
		skip_blanks(&s);
	}
	if(skip_token(&s) == 0)
		return 0;
	skip_blanks(&s);
	return skip_sent_by(&s) && skip_params(&s);
}

int cr_is_cseq(cr_span_t s)
{
	size_t digits, blanks;

	skip_blanks(&s);
	digits = skip_digits(&s);
	blanks = s.len;
	skip_blanks(&s);
	blanks -= s.len;
	return digits > 0 && digits <= 10 && blanks > 0 && skip_token(&s) > 0
			&& (skip_blanks(&s), s.len == 0);
}

/* Of another scheme than SIP's all that follows is opaque. */
int cr_is_uri(cr_span_t s)
{
	const char *at = memchr(s.s, '@', s.len);
	cr_span_t scheme = s;

	scheme.len = skip(&s, SCHEME);
	if(scheme.len == 0 || !skip_char(&s, ':'))
		return 0;
	if(!cr_span_eq_case(scheme, CR_SPAN("sip"))
			&& !cr_span_eq_case(scheme, CR_SPAN("sips")))
		return skip(&s, OPAQUE) > 0 && s.len == 0;
	if(at != NULL) {
		if(skip(&s, USER) == 0)
			return 0;
		skip_char(&s, '@');
	}
	if(!skip_sent_by(&s))
		return 0;
	skip(&s, USER);
	return s.len == 0;
}

int cr_is_field_name(cr_span_t s)
{
	while(s.len > 0 && (s.s[s.len - 1] == ' ' || s.s[s.len - 1] == '\t'))
		s.len--;
	return cr_text_is_token(s);
}

int cr_is_number(cr_span_t s)
{
	size_t n;

	s = cr_span_trim(s);
	n = skip_digits(&s);
	return n > 0 && n < 10
			&& (s.len == 0
					|| (memchr("; \t(", *s.s, 4) != NULL
							&& cr_span_trim(s).len > 0));
}
