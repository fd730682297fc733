/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Public keys as files have them: a PEM public key (RFC 7468 section 13) or
 * JSON Web Keys (RFC 7517), one of them or a set.
 */
#ifndef CR_JWK_H
#define CR_JWK_H

#include "crypto.h"
#include "jose.h"
#include "verifier.h"

/** Plain data: may be copied, also into shared memory. */
typedef struct cr_jwk
{
	cr_alg_t alg;
	char kid[CR_JOSE_KID_MAX + 1]; /* empty: none, it is the only key */
	uint8_t point[CR_POINT_MAX];   /* as cr_verifier_new() wants it */
	uint8_t thumbprint[32];        /* RFC 7638, SHA-256 */
} cr_jwk_t;

/**
 * Read all keys of a text that verify signatures with EdDSA or ES256. In a set,
 * keys of other kinds and for other uses are passed over.
 *
 * Refused are private and symmetric keys, which have no business here; several
 * keys of which one has no kid; a kid that stands twice; a text without any key
 * of use.
 * @param max  how many keys there is room for
 * @param why  on failure one sentence; CR_WHY_MAX bytes, never key material
 * @return the number of keys, at least 1, or CR_EMALFORMED, CR_EUNSUPPORTED
 *         (not a public key, or of another kind), CR_EDUPLICATE, CR_ETOOBIG,
 *         CR_EMISSING, CR_EINTERNAL; what is at out is then undefined
 */
int cr_jwk_parse(cr_jwk_t *out, int max, char *why, cr_crypto_t *c,
		cr_span_t text) CR_MUST_CHECK;

#endif
