/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * TURN long-term credentials that are good for some time, in the form that TURN
 * servers check against a shared secret (coturn: use-auth-secret): the username
 * is when they end and whom they are for, the password is a MAC of it.
 */
#ifndef CR_TURN_H
#define CR_TURN_H

#include <stdint.h>

#include "crypto.h"
#include "private_file.h"

/** Plain data: may be copied, also into shared memory. Wipe with cr_wipe(). */
typedef struct cr_turn_secret
{
	size_t len; /* 0: there is none */
	char text[CR_TURN_SECRET_MAX];
} cr_turn_secret_t;

typedef struct cr_turn
{
	char user[CR_TURN_USER_MAX + 1]; /* zero-terminated */
	char pass[CR_TURN_PASS_LEN + 1]; /* zero-terminated; wipe after use */
} cr_turn_t;

/**
 * Read the secret from text: one line of CR_TURN_SECRET_MIN to _MAX visible
 * ASCII characters, without quotes and backslash.
 * @param why  on failure one sentence that says what to do; CR_WHY_MAX
 *             bytes, never holds any of the text
 * @return CR_OK, CR_EMALFORMED or CR_ETOOBIG; secret then untouched
 */
int cr_turn_secret_parse(
		cr_turn_secret_t *secret, char *why, cr_span_t text) CR_MUST_CHECK;

/** Read it from a file. @return as cr_turn_secret_parse() and
 * cr_private_file_read() */
int cr_turn_secret_load(
		cr_turn_secret_t *secret, char *why, const char *path) CR_MUST_CHECK;

/**
 * Make credentials.
 * @param exp  when they end, seconds since 1970
 * @return CR_OK, CR_EMISSING (no secret), CR_EMALFORMED (sub is empty or has
 *         characters in it that it may not have), CR_ETOOBIG (sub) or
 *         CR_EINTERNAL; out then untouched
 */
int cr_turn_issue(cr_turn_t *out, const cr_turn_secret_t *secret, cr_span_t sub,
		int64_t exp) CR_MUST_CHECK;

#endif
