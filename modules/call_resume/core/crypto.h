/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The primitives, all OpenSSL's. A cr_crypto_t holds what OpenSSL 3 is slow to
 * look up (fetched algorithms, contexts); each process makes one of its own
 * after the fork and uses it from one thread.
 */
#ifndef CR_CRYPTO_H
#define CR_CRYPTO_H

#include <stdint.h>

#include "err.h"
#include "span.h"
#include "wire.h"

typedef struct cr_crypto cr_crypto_t;

/** A new context, or NULL when OpenSSL or memory fails. Freed by
 * cr_crypto_free(). */
cr_crypto_t *cr_crypto_new(void);
void cr_crypto_free(cr_crypto_t *c);

/** Before a fork: OpenSSL forgets what it keeps for this thread, its errors above all,
 * so that parent and child each begin anew. It goes on working in both. */
void cr_crypto_before_fork(void);

/** Fill out with len random bytes. @return CR_OK or CR_EINTERNAL, out then
 * zero */
int cr_random(void *out, size_t len) CR_MUST_CHECK;

/** A random name in hex digits, such as that of a Via branch (RFC 3261 section 8.1.1.7).
 * @param out  digits + 1 bytes, receives a string; empty on failure
 * @param digits  even, 64 at the most
 * @return CR_OK or CR_EINTERNAL */
int cr_random_hex(char *out, size_t digits) CR_MUST_CHECK;

/** Overwrite len bytes in a way that the compiler keeps. */
void cr_wipe(void *p, size_t len);

/** 1 when a and b hold the same len bytes, in constant time. */
int cr_equal_ct(const void *a, const void *b, size_t len);

/**
 * HMAC-SHA256 (RFC 2104) of the parts one after the other.
 * @param out  32 bytes
 * @return CR_OK or CR_EINTERNAL
 */
int cr_hmac(cr_crypto_t *c, uint8_t out[32], const void *key, size_t key_len,
		const cr_span_t *parts, size_t n_parts) CR_MUST_CHECK;

/**
 * HMAC-SHA1 (RFC 2104), for formats of others that have no other choice: as a
 * MAC it is sound.
 * @param out  20 bytes
 * @return CR_OK or CR_EINTERNAL
 */
int cr_hmac_sha1(uint8_t out[20], const void *key, size_t key_len,
		cr_span_t text) CR_MUST_CHECK;

/** HKDF-SHA256 Extract (RFC 5869 section 2.2): out = PRK, 32 bytes. */
int cr_hkdf_extract(cr_crypto_t *c, uint8_t out[32], cr_span_t salt,
		const void *ikm, size_t ikm_len) CR_MUST_CHECK;

/** HKDF-SHA256 Expand (RFC 5869 section 2.3) to 32 bytes. */
int cr_hkdf_expand(cr_crypto_t *c, uint8_t out[32], const uint8_t prk[32],
		cr_span_t info) CR_MUST_CHECK;

/**
 * AES-256-GCM.
 * @param out  receives in_len bytes; may be in itself
 * @param tag  receives 16 bytes
 * @return CR_OK or CR_EINTERNAL
 */
int cr_gcm_seal(cr_crypto_t *c, uint8_t *out, uint8_t tag[16],
		const uint8_t key[32], const uint8_t nonce[12], cr_span_t aad,
		const void *in, size_t in_len) CR_MUST_CHECK;

/**
 * AES-256-GCM.
 * @param out  receives in_len bytes; wiped when the tag is wrong
 * @return CR_OK, CR_EFORGED when the tag is wrong, or CR_EINTERNAL
 */
int cr_gcm_open(cr_crypto_t *c, uint8_t *out, const uint8_t key[32],
		const uint8_t nonce[12], cr_span_t aad, const void *in, size_t in_len,
		const uint8_t tag[16]) CR_MUST_CHECK;

/**
 * What a text says that cr_gcm_open() refuses: nobody has proved a byte of it.
 * @param out  receives in_len bytes; wiped on failure
 * @return CR_OK or CR_EINTERNAL
 */
int cr_gcm_peek(cr_crypto_t *c, uint8_t *out, const uint8_t key[32],
		const uint8_t nonce[12], const void *in, size_t in_len) CR_MUST_CHECK;

/** SHA-256 of data. @return CR_OK or CR_EINTERNAL */
int cr_sha256(cr_crypto_t *c, uint8_t out[32], const void *data,
		size_t len) CR_MUST_CHECK;

#endif
