/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * base64url without padding (RFC 4648 section 5) and lower-case base32 without
 * padding (section 6). Decoding is strict: no foreign character, no padding,
 * unused bits zero, so that one byte string has one text.
 */
#ifndef CR_BASE_H
#define CR_BASE_H

#include <stdint.h>

#include "err.h"
#include "span.h"

#define CR_B64_LEN(bytes) (((bytes)*4 + 2) / 3)
#define CR_B32_LEN(bytes) (((bytes)*8 + 4) / 5)

/**
 * Encode as base64url.
 * @param out      receives CR_B64_LEN(in_len) characters, no zero behind them
 * @param out_max  bytes at out
 * @return the number of characters, or CR_ETOOBIG
 */
int cr_b64_encode(char *out, size_t out_max, const void *in, size_t in_len);

/**
 * Decode base64url.
 * @return the number of bytes written, CR_EMALFORMED, or CR_ETOOBIG
 */
int cr_b64_decode(uint8_t *out, size_t out_max, cr_span_t in) CR_MUST_CHECK;

/** As cr_b64_encode(), for base32 and CR_B32_LEN. */
int cr_b32_encode(char *out, size_t out_max, const void *in, size_t in_len);

/** As cr_b64_decode(), for base32. */
int cr_b32_decode(uint8_t *out, size_t out_max, cr_span_t in) CR_MUST_CHECK;

#endif
