/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The fingerprint of a DTLS certificate (RFC 8122 section 5): whose private key a
 * client has to have for the media that it offers.
 */
#ifndef CR_FINGERPRINT_H
#define CR_FINGERPRINT_H

#include <stdint.h>

#include "err.h"
#include "span.h"
#include "wire.h"

typedef struct cr_fp
{
	int known;               /* 0: there is none, and hash is nothing */
	uint8_t hash[CR_FP_LEN]; /* the first bytes of the SHA-256 */
} cr_fp_t;

/**
 * Read what stands behind a=fingerprint: and in Call-State-Fingerprint, such as
 * "sha-256 AB:CD:..." with one blank, digits in either case.
 * @param fp  written on success only
 * @return CR_OK; CR_EMISSING (empty); CR_EUNSUPPORTED (another hash function
 *         than SHA-256); CR_EMALFORMED
 */
int cr_fp_parse(cr_fp_t *fp, cr_span_t text) CR_MUST_CHECK;

/** 1 when both are known and the same. In constant time. */
int cr_fp_equal(const cr_fp_t *a, const cr_fp_t *b) CR_MUST_CHECK;

/**
 * The one certificate that all media of a description need.
 *
 * Strict, because whoever sends it may want it to be read in two ways: nothing but
 * lines of a letter and "="; one v= line, the first; every fingerprint in it, of the session
 * or of a medium, is one and the same SHA-256; every m-line whose port is not 0 is
 * UDP/TLS/RTP/SAVP or SAVPF, or RTP/SAVPF, and has one, of its own or of the session; no keys
 * in the description itself (a=crypto, RFC 4568; a=key-mgmt, RFC 4567; k=).
 * @param fp  written on success only
 * @return CR_OK; CR_EMISSING: no description, no medium, or a medium without a
 *         fingerprint; CR_EDUPLICATE: two different ones; CR_EUNSUPPORTED: another
 *         hash function, or media that are not protected by DTLS alone;
 *         CR_EMALFORMED
 */
int cr_fp_of_sdp(cr_fp_t *fp, cr_span_t sdp) CR_MUST_CHECK;

#endif
