/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Public keys that verify the signatures of a JWS: Ed25519 (RFC 8037) and
 * P-256 with SHA-256 (RFC 7518 section 3.4).
 */
#ifndef CR_VERIFIER_H
#define CR_VERIFIER_H

#include <stdint.h>

#include "err.h"
#include "span.h"

/* What a key can be used for; no key can be used for two. */
typedef enum cr_alg
{
	CR_ALG_EDDSA = 1, /* Ed25519 */
	CR_ALG_ES256,
} cr_alg_t;

#define CR_ED25519_LEN 32   /* bytes of the public key */
#define CR_P256_LEN 32      /* bytes of a coordinate */
#define CR_POINT_MAX 64     /* both coordinates of P-256 */
#define CR_SIGNATURE_LEN 64 /* bytes, of either */

/** The name that a JOSE header and a JWK have for it. */
const char *cr_alg_name(cr_alg_t alg);

/** 1 when a JOSE header with that alg asks for what the key is for. RFC 9864
 * has a second name for EdDSA with Ed25519. */
int cr_alg_is(cr_alg_t alg, cr_span_t name);

/** What OpenSSL makes of a key. Belongs to one process and one thread. */
typedef struct cr_verifier cr_verifier_t;

/**
 * @param point  the 32 bytes of an Ed25519 key, or x and y of a P-256 one
 * @return NULL when it is no point of the curve, or OpenSSL or memory fails.
 *         Freed by cr_verifier_free().
 */
cr_verifier_t *cr_verifier_new(cr_alg_t alg, const uint8_t point[CR_POINT_MAX]);
void cr_verifier_free(cr_verifier_t *v);

/**
 * Is it a signature of text?
 * @return CR_OK, CR_EFORGED or CR_EINTERNAL
 */
int cr_verifier_check(cr_verifier_t *v, cr_span_t text,
		const uint8_t signature[CR_SIGNATURE_LEN]) CR_MUST_CHECK;

#endif
