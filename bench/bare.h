/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * OpenSSL's primitives without anything around them, to compare with: contexts
 * and keys are there, one buffer goes in. Each returns 1.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stddef.h>

int bare_setup(void);
void bare_cleanup(void);

/** HMAC-SHA256 with a key of 32 bytes. */
int bare_hmac(size_t len);

/** AES-256-GCM with another key and nonce each time. */
int bare_gcm_seal(size_t aad_len, size_t len);

/** Open it again. */
int bare_gcm_open(size_t aad_len, size_t len);

/** Verify a signature of so many bytes. */
int bare_ed25519(size_t len);
int bare_es256(size_t len);

#endif
