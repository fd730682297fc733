/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The session reference: which web session a call leg belongs to, sealed into
 * our own Record-Route, so that the gateway need not remember it.
 */
#ifndef CR_REF_H
#define CR_REF_H

#include "box.h"
#include "fingerprint.h"

typedef struct cr_ref
{
	/* Of the ring key that the session's token named; nobody asks for it. */
	uint8_t hint[CR_BOX_HINT_LEN];
	uint32_t start; /* when the INVITE passed, seconds since 1970 */
	uint32_t cseq;  /* of the client's INVITE; 0 when that was no high one */
	cr_span_t sub;
	cr_span_t sid;
	cr_fp_t fp; /* what the states of the call are bound to, if anything */
} cr_ref_t;

/**
 * Seal with the purposes CR_PURPOSE_CALLER or CR_PURPOSE_CALLEE.
 * @return the number of characters (lower-case base32), CR_ETOOBIG or
 *         CR_EINTERNAL (also: another purpose)
 */
int cr_ref_seal(char *out, size_t out_max, cr_crypto_t *c, const cr_key_t *key,
		cr_purpose_t purpose, cr_span_t call_id,
		const cr_ref_t *ref) CR_MUST_CHECK;

/**
 * Open. @param mem  CR_BOX_PLAIN_MAX bytes, holds the strings of ref
 * @return CR_OK, or an error of cr_box_open(), or CR_EMALFORMED; mem then wiped
 */
int cr_ref_open(cr_ref_t *ref, uint8_t mem[CR_BOX_PLAIN_MAX], cr_crypto_t *c,
		const cr_ring_t *ring, int64_t now, cr_purpose_t purpose,
		cr_span_t call_id, cr_span_t text) CR_MUST_CHECK;

/** Seconds since the INVITE of the reference passed; below 0 with a clock that is
 * ahead of ours. */
static inline int64_t cr_ref_age(const cr_ref_t *ref, int64_t now_s)
{
	return now_s - ref->start;
}

#endif
