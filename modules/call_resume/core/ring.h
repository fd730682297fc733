/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The key ring: the master keys and what is derived from each of them.
 *
 * The file has one key a line, in words separated by blanks:
 *
 *	kid  base64url-of-32-bytes  [not-after]
 *
 * not-after is a UTC time, 2027-01-31T00:00:00Z. Lines that are empty or begin
 * with # are passed over. The first usable key seals, every usable key opens.
 */
#ifndef CR_RING_H
#define CR_RING_H

#include <stdint.h>

#include "crypto.h"
#include "private_file.h"

typedef struct cr_key
{
	char kid[CR_KID_MAX + 1];
	uint8_t hint[CR_BOX_HINT_LEN]; /* how a box names this key */
	int64_t not_after;             /* seconds since 1970, 0: no end */
	uint8_t token[CR_KEY_LEN];     /* signs tokens */
	uint8_t state[CR_KEY_LEN];     /* signs call states */
	uint8_t box[CR_KEY_LEN];       /* seals boxes */
	uint8_t nonce[CR_KEY_LEN];     /* makes their nonces */
	uint8_t node[CR_KEY_LEN];      /* signs what nodes send each other */
	uint8_t prk[CR_KEY_LEN];       /* client keys are expanded from it */
} cr_key_t;

/** Plain data: may be copied, also into shared memory. Wipe with cr_wipe(). */
typedef struct cr_ring
{
	int n_keys;
	cr_key_t keys[CR_RING_MAX];
} cr_ring_t;

/**
 * Read a ring from text.
 * @param why  on failure one sentence that names the line and says what to do;
 *             CR_WHY_MAX bytes, never holds key material
 * @param now  seconds since 1970; a ring without a usable key is refused
 * @return CR_OK, CR_EMALFORMED (bad line), CR_EDUPLICATE (kid, or two kids
 *         with the same hint), CR_ETOOBIG (more than CR_RING_MAX keys),
 *         CR_EMISSING (no usable key), CR_EINTERNAL; ring then untouched
 */
int cr_ring_parse(cr_ring_t *ring, char *why, cr_crypto_t *c, cr_span_t text,
		int64_t now) CR_MUST_CHECK;

/**
 * Read a ring from a file. The file has to be regular and neither readable nor
 * writable by group or others.
 * @return as cr_ring_parse(), and CR_EMISSING (cannot be opened), CR_EFORGED
 *         (mode or kind of file), CR_ETOOBIG (over CR_RING_FILE_MAX)
 */
int cr_ring_load(cr_ring_t *ring, char *why, cr_crypto_t *c, const char *path,
		int64_t now) CR_MUST_CHECK;

/* Of one line. The fourth is there to be noticed. */
#define CR_RING_WORDS_MAX 4

/** The words of a line of the file, in place. @return how many there are */
size_t cr_ring_words(cr_span_t words[CR_RING_WORDS_MAX], cr_span_t line);

/** The key that seals now: the first usable one; NULL when all are retired. */
const cr_key_t *cr_ring_sealing(const cr_ring_t *ring, int64_t now);

/** The usable key with that kid, or NULL. */
const cr_key_t *cr_ring_by_kid(
		const cr_ring_t *ring, cr_span_t kid, int64_t now);

/** The usable key with that hint, or NULL. */
const cr_key_t *cr_ring_by_hint(const cr_ring_t *ring,
		const uint8_t hint[CR_BOX_HINT_LEN], int64_t now);

/** 1 while a key may be used. */
int cr_key_usable(const cr_key_t *key, int64_t now);

/**
 * What nonces of digest authentication are made with, at all gateways that have this key.
 * @param out  32 bytes, wipe after use
 * @return CR_OK, CR_EINTERNAL
 */
int cr_digest_secret(uint8_t out[CR_KEY_LEN], cr_crypto_t *c,
		const cr_key_t *key) CR_MUST_CHECK;

/**
 * The client encryption key of a web session: HKDF Expand with the label
 * CR_LABEL_CLIENT, the kid and (sid, sub) as context (wire.h).
 * @param out  32 bytes, wipe after use
 * @return CR_OK, CR_EMALFORMED (empty or over CR_SUB_MAX, CR_SID_MAX),
 * CR_EINTERNAL
 */
int cr_client_key(uint8_t out[CR_KEY_LEN], cr_crypto_t *c, const cr_key_t *key,
		cr_span_t sub, cr_span_t sid) CR_MUST_CHECK;

#endif
