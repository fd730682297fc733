/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JSON Web Encryption (RFC 7516), compact serialization, one profile: alg
 * "dir", enc "A256GCM" (RFC 7518 sections 4.5 and 5.3), a kid, nothing critical
 * and nothing compressed.
 *
 * The protected header is written as
 *
 *	{"alg":"dir","enc":"A256GCM","kid":"..."}
 *
 * without typ: a client key has one use, which its label fixes (wire.h), and
 * each character counts in a header field. Other members are passed over.
 */
#ifndef CR_JWE_H
#define CR_JWE_H

#include "crypto.h"

/**
 * Seal.
 * @param out    receives the JWE, zero-terminated
 * @param kid    named in the protected header
 * @param nonce  12 fresh random bytes: never twice with one key
 * @param plain  at most CR_STATE_JSON_MAX bytes
 * @return its length, CR_EMALFORMED (kid), CR_ETOOBIG or CR_EINTERNAL
 */
int cr_jwe_seal(char *out, size_t out_max, cr_crypto_t *c, cr_span_t kid,
		const uint8_t key[CR_KEY_LEN], const uint8_t nonce[12],
		cr_span_t plain) CR_MUST_CHECK;

/**
 * Read from the protected header which key a JWE names, before any crypto. The
 * other parts are not looked at: whatever is wrong with them, cr_jwe_open()
 * finds, and a truncated state gets the same answer as a forged one.
 * @param kid  at least CR_KID_MAX + 1 bytes, zero-terminated on success
 * @return CR_OK, CR_EMALFORMED, CR_ETOOBIG (over CR_JWE_MAX), CR_EUNSUPPORTED
 *         (another alg or enc, crit, zip), CR_EINTERNAL
 */
int cr_jwe_kid(char kid[CR_KID_MAX + 1], cr_span_t jwe) CR_MUST_CHECK;

/**
 * Open.
 * @param out  receives the plaintext; wiped on failure
 * @return its length, an error of cr_jwe_kid(), CR_EFORGED, CR_ETOOBIG (does
 *         not fit out) or CR_EINTERNAL
 */
int cr_jwe_open(char *out, size_t out_max, cr_crypto_t *c,
		const uint8_t key[CR_KEY_LEN], cr_span_t jwe) CR_MUST_CHECK;

#endif
