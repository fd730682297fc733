/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether a body has a session description in it, by its name and by what it is: some
 * readers do not look at the name.
 */
#ifndef CR_BODY_H
#define CR_BODY_H

#include "sip.h"

typedef enum cr_body
{
	CR_BODY_NONE, /* no description, whoever reads it */
	CR_BODY_SDP,  /* a description, all of it */
	CR_BODY_PART, /* several parts (RFC 2046 section 5.1), one of them a description
					   that anybody can read; the others are not */
	CR_BODY_HIDDEN, /* something that a reader may take for a description, under
					   another name, in another encoding or beside another one */
} cr_body_t;

/**
 * What a body is. A line m= makes a description of it (RFC 8866 section 5), and so do the
 * words application/sdp, wherever they stand in it.
 * @param sdp   receives the description: the body or a span of it; only with CR_BODY_SDP
 *              and CR_BODY_PART
 * @param type  the value of Content-Type; empty when there is none: then it is taken for
 *              application/sdp, as Kamailio's modules do
 */
cr_body_t cr_body_read(cr_span_t *sdp, cr_span_t type, cr_span_t body);

#endif
