/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The box: a short authenticated and encrypted token for URI parameters and
 * dialog tags. Layout, key and nonce derivation: wire.h.
 */
#ifndef CR_BOX_H
#define CR_BOX_H

#include "ring.h"

/**
 * Seal.
 * @param out    receives lower-case base32, no zero behind it
 * @param key    the key to seal with
 * @param context, n_context  at most CR_BOX_CONTEXT_MAX strings, authenticated;
 *        the AAD made of them at most CR_BOX_AAD_MAX bytes
 * @return the number of characters, CR_ETOOBIG or CR_EINTERNAL
 */
int cr_box_seal(char *out, size_t out_max, cr_crypto_t *c, const cr_key_t *key,
		cr_purpose_t purpose, const cr_span_t *context, size_t n_context,
		cr_span_t plain) CR_MUST_CHECK;

/**
 * Open.
 * @param out  receives the plaintext, at most CR_BOX_PLAIN_MAX; wiped on
 *             failure
 * @param key  set on success to the key of the ring that it was sealed with
 * @return the length of the plaintext, CR_EMALFORMED, CR_ETOOBIG, CR_EKEY,
 *         CR_EFORGED (also: another purpose or context), CR_EINTERNAL
 */
int cr_box_open(uint8_t *out, size_t out_max, const cr_key_t **key,
		cr_crypto_t *c, const cr_ring_t *ring, int64_t now,
		cr_purpose_t purpose, const cr_span_t *context, size_t n_context,
		cr_span_t text) CR_MUST_CHECK;

/**
 * What a box says that cr_box_open() refuses as CR_EFORGED: nobody has proved a byte
 * of it. For statistics.
 * @param out  receives it, at most CR_BOX_PLAIN_MAX; to be wiped
 * @return its length, or an error of cr_box_open()
 */
int cr_box_peek(uint8_t *out, size_t out_max, cr_crypto_t *c,
		const cr_ring_t *ring, int64_t now, cr_span_t text) CR_MUST_CHECK;

#endif
