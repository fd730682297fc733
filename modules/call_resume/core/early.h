/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the far end plays before it answers, for a client that has called, was lost, and is
 * back: the media server gets an offer and an answer for the client's new side of the call,
 * in messages of the old dialog that nobody sends. The far end's side stays as it is, and
 * hears of nothing: in a dialog that is early it could not be told (RFC 3261 section 14.1).
 */
#ifndef CR_EARLY_H
#define CR_EARLY_H

#include "err.h"
#include "sip.h"

#define CR_EARLY_SDP_MAX 8192 /* bytes of a description of the far end's */

typedef struct cr_early
{
	const cr_sip_t *first; /* the INVITE that rings */
	cr_span_t tag;         /* of the far end that plays: a token */
	const cr_sip_t *again; /* the INVITE of the client that is back */
} cr_early_t;

/** The description (RFC 8866) that a message has; empty when it has something else. */
cr_span_t cr_early_sdp(const cr_sip_t *m);

/**
 * Write the offer: an INVITE within the dialog that is early, by the Vias of the client.
 * @param fresh  1: with the fingerprint of no certificate; see cr_early_is_same_dtls()
 * @return its length; CR_EMISSING: the client offers nothing; CR_ETOOBIG
 */
int cr_early_offer(char *out, size_t out_max, const cr_early_t *e,
		int fresh) CR_MUST_CHECK;

/**
 * Write the answer: the reply to that. Its second Via says WSS where the client is a page, and
 * UDP for all else.
 * @param sdp  what the far end has said
 * @return its length, or CR_ETOOBIG
 */
int cr_early_answer(char *out, size_t out_max, const cr_early_t *e,
		cr_span_t sdp) CR_MUST_CHECK;

/** 1 when the client has kept its certificate: then its offer is one for the DTLS connection
 * that the media server has (RFC 8842 section 4), and that needs one with another certificate
 * in between. */
int cr_early_is_same_dtls(const cr_early_t *e);

#endif
