/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The sealed call state: the state as JSON, signed by the gateway, in a JWE
 * under the client key of the web session.
 *
 * Two keys, because the client has the one of the JWE, to look into its own
 * state: with that key alone it could make states, also of other people's
 * calls. The signature is the last member of the JSON,
 *
 *	,"mac":"base64url"}
 *
 * HMAC-SHA256 under a key that never leaves the gateway, over be16 length | sid
 * | be16 length | sub | all of the JSON in front of that member. The first 20
 * bytes are the signature, the last 12 the nonce of the JWE: the same state
 * gives the same JWE, so that a retransmission is one, and another state gets
 * another nonce.
 */
#ifndef CR_SEALED_H
#define CR_SEALED_H

#include "env.h"

/**
 * Seal a state for a web session. Without randomness: the same input gives the
 * same output.
 * @param out     receives the JWE, zero-terminated, at most CR_JWE_MAX + 1
 * @param master  the key of the ring to use
 * @return its length, CR_EMALFORMED (state, sub or sid), CR_ETOOBIG or
 *         CR_EINTERNAL
 */
int cr_sealed_make(char *out, size_t out_max, const cr_env_t *env,
		const cr_key_t *master, cr_span_t sub, cr_span_t sid,
		const cr_state_t *st) CR_MUST_CHECK;

/**
 * Open a state for a web session.
 * @param st   its spans point into mem; filled in with CR_OK and CR_EEXPIRED
 * @param mem  CR_STATE_JSON_MAX bytes, to live as long as st
 * @return CR_OK; CR_EMALFORMED, CR_EUNSUPPORTED or CR_ETOOBIG (no JWE of our
 *         profile); CR_EFORGED: all that does not open with this session's key
 *         or was not signed by us for it, whatever the reason; CR_EEXPIRED;
 *         CR_EINTERNAL
 */
int cr_sealed_open(cr_state_t *st, char mem[CR_STATE_JSON_MAX],
		const cr_env_t *env, cr_span_t sub, cr_span_t sid,
		cr_span_t jwe) CR_MUST_CHECK;

#endif
