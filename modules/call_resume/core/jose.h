/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What JWS (RFC 7515) and JWE (RFC 7516) share: the protected header, and
 * reading JSON that came from outside.
 */
#ifndef CR_JOSE_H
#define CR_JOSE_H

#include <jansson.h>

#include "err.h"
#include "span.h"
#include "wire.h"

#define CR_JOSE_NAME_MAX 31

/* Members that are absent are empty strings; all are visible ASCII without
 * quotes and backslash. */
typedef struct cr_jose
{
	char alg[CR_JOSE_NAME_MAX + 1];
	char enc[CR_JOSE_NAME_MAX + 1];
	char typ[CR_JOSE_NAME_MAX + 1];
	char kid[CR_JOSE_KID_MAX + 1]; /* others name theirs as they like */
} cr_jose_t;

/**
 * Read a protected header. Members that it does not know are passed over, as
 * RFC 7515 section 4 wants it, but not those that change how to process it.
 * @param text  its base64url, at most CR_JOSE_HEADER_MAX characters
 * @return CR_OK, CR_EMALFORMED, CR_ETOOBIG, CR_EUNSUPPORTED (crit, zip, b64),
 *         CR_EINTERNAL
 */
int cr_jose_header(cr_jose_t *out, cr_span_t text) CR_MUST_CHECK;

#define CR_JOSE_HEADER_MAX 1024

/**
 * Read the header of a token or JWE that nobody has verified, to tell what it is.
 * @return as cr_jose_header(); CR_EMALFORMED also without a dot
 */
int cr_jose_peek(cr_jose_t *out, cr_span_t compact) CR_MUST_CHECK;

/**
 * Read one JSON object; a member that stands twice is refused.
 * @param out  to be given to json_decref()
 * @return CR_OK, CR_EMALFORMED or CR_EINTERNAL (memory)
 */
int cr_json_object(json_t **out, cr_span_t text) CR_MUST_CHECK;

/** The string at value, or an empty span at NULL when it is none. */
cr_span_t cr_json_span(const json_t *value);

/**
 * Copy the string member name of an object, zero-terminated. An absent member
 * is an empty string.
 * @param max  bytes at out, the zero included
 * @return CR_OK or CR_EMALFORMED (not a string, or too long)
 */
int cr_json_copy(char *out, size_t max, const json_t *object,
		const char *name) CR_MUST_CHECK;

#endif
