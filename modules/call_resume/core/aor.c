/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "aor.h"

#include "sip.h"

typedef struct aor
{
	cr_span_t scheme, user, host, port;
} aor_t;

/* Up to the first such character, which is taken off with it. */
static cr_span_t take_until(cr_span_t *rest, char c)
{
	const char *at = rest->len > 0 ? memchr(rest->s, c, rest->len) : NULL;
	size_t len = at != NULL ? (size_t)(at - rest->s) : rest->len;
	cr_span_t part = cr_span_sub(*rest, 0, len);

	*rest = cr_span_sub(*rest, len + (at != NULL), rest->len);
	return part;
}

/* host [ ":" port ], an IPv6 address in brackets */
static void take_host(aor_t *a, cr_span_t rest)
{
	size_t n = 0;

	if(rest.len > 0 && rest.s[0] == '[') {
		while(n < rest.len && rest.s[n] != ']')
			n++;
		a->host = cr_span_sub(rest, 0, n + 1);
		rest = cr_span_sub(rest, n + 1, rest.len);
		if(take_until(&rest, ':').len > 0)
			a->host.len = 0;
	} else {
		a->host = take_until(&rest, ':');
	}
	a->port = rest;
}

static cr_span_t default_port(const aor_t *a)
{
	return a->scheme.len == 4 ? CR_SPAN("5061") : CR_SPAN("5060");
}

/* @return 0 when it is no SIP URI with a user */
static int parse(aor_t *a, cr_span_t uri)
{
	cr_span_t rest = uri, params;

	a->scheme = take_until(&rest, ':');
	if(!cr_span_eq_case(a->scheme, CR_SPAN("sip"))
			&& !cr_span_eq_case(a->scheme, CR_SPAN("sips")))
		return 0;
	if(memchr(rest.s, '@', rest.len) == NULL)
		return 0;
	a->user = take_until(&rest, '@');
	params = rest;
	rest = take_until(&params, ';');
	params = rest;
	take_host(a, take_until(&params, '?'));
	if(cr_span_eq(a->port, default_port(a)))
		a->port.len = 0;
	return a->host.len > 0;
}

static int hex(char c)
{
	if(c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next character of a user part, out of its escape unless it is a reserved one (RFC
 * 3261 section 25.1). */
static char next_char(cr_span_t *s)
{
	int hi = s->len > 2 && s->s[0] == '%' ? hex(s->s[1]) : -1;
	int lo = hi >= 0 ? hex(s->s[2]) : -1;
	int c = lo >= 0 ? hi * 16 + lo : 0;
	int escaped = c > ' ' && c < 0x7f && strchr(";/?:@&=+$,%", c) == NULL;
	char first = s->s[0];

	*s = cr_span_sub(*s, escaped ? 3 : 1, s->len);
	return escaped ? (char)c : first;
}

static int is_user(cr_span_t user, cr_span_t name)
{
	size_t n = 0;

	if(cr_span_eq(user, name))
		return 1;
	for(; user.len > 0; n++) {
		if(n == name.len || next_char(&user) != name.s[n])
			return 0;
	}
	return n == name.len;
}

int cr_aor_is(cr_span_t uri, cr_span_t aor)
{
	aor_t x, y;

	if(!parse(&x, uri) || !parse(&y, aor))
		return cr_span_eq(uri, aor);
	return cr_span_eq_case(x.scheme, y.scheme) && is_user(x.user, y.user)
			&& cr_span_eq_case(x.host, y.host) && cr_span_eq(x.port, y.port);
}

int cr_aor_is_anonymous(cr_span_t uri)
{
	return cr_aor_is(uri, CR_SPAN("sip:anonymous@anonymous.invalid"));
}
