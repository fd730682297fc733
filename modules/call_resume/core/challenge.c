/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "challenge.h"

#include "bytes.h"
#include "text.h"

int cr_challenge_is_server(cr_span_t s)
{
	cr_span_t scheme = CR_SPAN("https://");

	return s.len > scheme.len && memcmp(s.s, scheme.s, scheme.len) == 0
			&& cr_text_is_plain(s, CR_CHALLENGE_TEXT_MAX);
}

int cr_challenge_is_scope(cr_span_t s)
{
	cr_reader_t r = cr_reader(s.s, s.len);

	if(s.len > CR_CHALLENGE_TEXT_MAX)
		return 0;
	for(;;) {
		cr_reader_t ahead = r;
		cr_span_t word = cr_get_until(&ahead, ' ');

		if(ahead.bad)
			return cr_text_is_plain(cr_get_bytes(&r, r.left), s.len);
		if(!cr_text_is_plain(word, s.len))
			return 0;
		r = ahead;
	}
}

static void put_param(cr_writer_t *w, const char *name, cr_span_t value)
{
	if(value.len == 0)
		return;
	cr_put_str(w, ", ");
	cr_put_str(w, name);
	cr_put_str(w, "=\"");
	cr_put_span(w, value);
	cr_put_str(w, "\"");
}

int cr_challenge_write(char *out, size_t max, const cr_challenge_t *c)
{
	cr_writer_t w = cr_writer(out, max);

	if(!cr_text_is_plain(c->realm, CR_CHALLENGE_TEXT_MAX)
			|| (c->server.len > 0 && !cr_challenge_is_server(c->server))
			|| (c->scope.len > 0 && !cr_challenge_is_scope(c->scope)))
		return CR_EMALFORMED;
	cr_put_str(&w, "WWW-Authenticate: Bearer realm=\"");
	cr_put_span(&w, c->realm);
	cr_put_str(&w, "\"");
	put_param(&w, "scope", c->scope);
	put_param(&w, "authz_server", c->server);
	/* Without a token there is no error (RFC 6750 section 3.1). The word is
	 * an auth-param more, which RFC 8898 allows. */
	if(c->why.len > 0)
		put_param(&w, "error", CR_SPAN("invalid_token"));
	put_param(&w, "error_description", c->why);
	cr_put_str(&w, "\r\n");
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}
