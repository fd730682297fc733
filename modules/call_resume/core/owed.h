/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a client owes the far end for a reply to its INVITE, written in its place when it
 * is not there: the ACK to a 2xx, the PRACK to a reliable provisional reply, and the BYE of
 * a call that it does not come back to.
 */
#ifndef CR_OWED_H
#define CR_OWED_H

#include "sip.h"

typedef struct cr_owed
{
	cr_span_t method; /* ACK, PRACK or BYE */
	uint32_t cseq;    /* an ACK has that of its INVITE (RFC 3261 13.2.2.4) */
	cr_span_t via;    /* its transport and sent-by; empty: the client's */
	cr_span_t branch; /* of its Via, behind the magic cookie: a token */
	uint32_t rseq;    /* of the reply, for PRACK (RFC 3262 section 7.2) */
	cr_span_t sdp;    /* its body; empty: none */
} cr_owed_t;

/**
 * Write a request in the dialog that a reply begins for its client (RFC 3261 sections
 * 12.1.2 and 12.2.1.1).
 * @param out    receives the message, no zero behind it
 * @param reply  to an INVITE, above 100 and below 300, as the client would get it
 * @return the length; CR_EMALFORMED: the reply begins no dialog; CR_ETOOBIG
 */
int cr_owed_request(char *out, size_t out_max, const cr_sip_t *reply,
		const cr_owed_t *what) CR_MUST_CHECK;

/**
 * Write an answer that takes no stream of an offer (RFC 3264 section 6): the call of a
 * client that is not there has no media until it is back.
 * @return the length; CR_EMALFORMED: no offer; CR_ETOOBIG
 */
int cr_owed_answer(char *out, size_t out_max, cr_span_t offer) CR_MUST_CHECK;

#endif
