/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who else may issue tokens: portals, each with its name and its public keys.
 */
#ifndef CR_ISSUER_H
#define CR_ISSUER_H

#include "jwk.h"

#define CR_ISSUER_MAX 8          /* issuers */
#define CR_ISSUER_KEYS_MAX 32    /* keys of all of them */
#define CR_ISSUER_FILE_MAX 65536 /* bytes of a file with keys */
#define CR_ISSUER_PATH_MAX 255

typedef struct cr_issuer
{
	char iss[CR_ISS_MAX + 1];
	char aud[CR_ISS_MAX + 1]; /* who we are to it; empty: no name */
	char path[CR_ISSUER_PATH_MAX + 1];
	int first, n; /* its keys */
} cr_issuer_t;

/** Plain data: may be copied, also into shared memory. */
typedef struct cr_issuers
{
	int n, n_keys;
	cr_issuer_t list[CR_ISSUER_MAX];
	cr_jwk_t keys[CR_ISSUER_KEYS_MAX];
} cr_issuers_t;

/**
 * Add an issuer, without its keys: "iss=NAME;keys=PATH" and, where wanted,
 * ";aud=NAME".
 * @param why  on failure one sentence; CR_WHY_MAX bytes
 * @return CR_OK, CR_EMALFORMED, CR_EMISSING (iss or keys), CR_EDUPLICATE,
 *         CR_ETOOBIG; set then untouched
 */
int cr_issuers_add(cr_issuers_t *set, char *why, cr_span_t text) CR_MUST_CHECK;

/**
 * Read the keys of all issuers from their files, which group and others must
 * not be able to write.
 * @param why  on failure one sentence that names the file
 * @return CR_OK, or an error of cr_public_file_read() or cr_jwk_parse(); the keys in
 *         set are then undefined
 */
int cr_issuers_load(cr_issuers_t *set, char *why, cr_crypto_t *c) CR_MUST_CHECK;

/** The issuer of that name, or NULL. */
const cr_issuer_t *cr_issuers_find(const cr_issuers_t *set, cr_span_t iss);

/** The issuer's key for tokens with that kid, which may be empty: the one with
 * the same, or its only one when that has none. NULL: there is none. */
const cr_jwk_t *cr_issuers_key(
		const cr_issuers_t *set, const cr_issuer_t *issuer, cr_span_t kid);

/** A process' own: the issuers, and what OpenSSL made of the keys that it has
 * used. Zeros are an empty one. */
typedef struct cr_trust
{
	cr_issuers_t set;
	cr_verifier_t *verifiers[CR_ISSUER_KEYS_MAX];
} cr_trust_t;

/** Replace the issuers. */
void cr_trust_set(cr_trust_t *trust, const cr_issuers_t *set);

/** Free what OpenSSL made. */
void cr_trust_clear(cr_trust_t *trust);

/**
 * Is it a signature of text by that key, which is one of trust->set?
 * @return CR_OK, CR_EFORGED or CR_EINTERNAL
 */
int cr_trust_check(cr_trust_t *trust, const cr_jwk_t *key, cr_span_t text,
		const uint8_t signature[CR_SIGNATURE_LEN]) CR_MUST_CHECK;

#endif
