/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a client without a good token is told: WWW-Authenticate with the Bearer
 * scheme, as RFC 8898 section 4 has it.
 */
#ifndef CR_CHALLENGE_H
#define CR_CHALLENGE_H

#include "err.h"
#include "span.h"

#define CR_CHALLENGE_MAX 1280     /* bytes, CR LF included */
#define CR_CHALLENGE_TEXT_MAX 255 /* bytes of realm, server and scope each */

typedef struct cr_challenge
{
	cr_span_t realm;
	cr_span_t server; /* https URI where tokens are had; empty: not said */
	cr_span_t scope;  /* what the token has to be good for; empty: not said */
	cr_span_t why;    /* a word for what is wrong with the token that there was;
						 empty: there was none */
} cr_challenge_t;

/** 1 when it is an https URI that may stand in authz_server. */
int cr_challenge_is_server(cr_span_t s);

/** 1 when it is a list of scope tokens, one blank between two (RFC 6749 section
 * 3.3). */
int cr_challenge_is_scope(cr_span_t s);

/**
 * Write the header field, with CR LF.
 * @return its length, CR_EMALFORMED (realm, server or scope) or CR_ETOOBIG
 */
int cr_challenge_write(
		char *out, size_t max, const cr_challenge_t *c) CR_MUST_CHECK;

#endif
