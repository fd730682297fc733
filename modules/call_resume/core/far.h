/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a state keeps of the far end, so that a client can come back without asking it:
 * its session description, whether it takes an UPDATE (RFC 3311), and its session timer
 * (RFC 4028).
 */
#ifndef CR_FAR_H
#define CR_FAR_H

#include "err.h"
#include "span.h"

#define CR_FAR_SDP_MAX 1536 /* bytes of a packed description */
#define CR_FAR_UAC ";refresher=uac"
#define CR_FAR_UAS ";refresher=uas"
#define CR_FAR_MAX (CR_FAR_SDP_MAX + 32) /* and of the timer */

/* JSON member of the state in brackets, inside [far]. */
typedef struct cr_far
{
	/* [sdp] packed, see cr_far_pack(); empty: nothing is known */
	cr_span_t sdp;
	int offer;  /* [offer] it is an offer of the far end's; else its answer */
	int update; /* [update] the far end allows UPDATE */
	/* [timer] as Session-Expires would say it in a 2xx to the client: uac is the client, uas
	 * the far end, and without either nobody has said; empty: there is none */
	cr_span_t timer;
} cr_far_t;

/** 1 when a far end has been read, or may stand in a state. */
int cr_far_is_good(const cr_far_t *far);

/**
 * Read a message of the far end's.
 * @param far    its spans are of mem and of text; written on success only
 * @param mem    CR_FAR_MAX bytes
 * @param offer  1 when the description is an offer
 * @param update  1: only of a far end that allows UPDATE
 * @return CR_OK; CR_EMISSING: no description; CR_EUNSUPPORTED: one that a state does not
 *         keep, no UPDATE, or a timer that is none; CR_ETOOBIG
 */
int cr_far_read(cr_far_t *far, char *mem, cr_span_t text, int offer,
		int update) CR_MUST_CHECK;

/**
 * Pack a description (RFC 8866): the lines that an answer needs, with a bar between
 * them. Keys are not among those: one with a=crypto (RFC 4568) is refused.
 * @param out  CR_FAR_SDP_MAX bytes, no zero behind them
 * @return its length, CR_EUNSUPPORTED or CR_ETOOBIG
 */
int cr_far_pack(char *out, cr_span_t sdp) CR_MUST_CHECK;

/** The next line of a packed description, or of one as it is that has no bar: without its end.
 * @param rest  what follows it; there is no line in an empty one */
cr_span_t cr_far_line(cr_span_t *rest);

/** The value of a header field of a message, of the first of that name.
 * @param compact  its compact form, or 0
 * @return empty when there is none */
cr_span_t cr_far_field(cr_span_t text, cr_span_t name, char compact);

/** 1 when a field of that name has the token in its list. */
int cr_far_lists(cr_span_t text, cr_span_t name, char compact, cr_span_t token);

#endif
