/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which media a session description has, in which direction, and where to.
 */
#ifndef CR_SDP_H
#define CR_SDP_H

#include "net.h"
#include "state.h"

/**
 * Read the m= lines and their directions (RFC 8866 section 5.14, 6.7).
 * @param media   receives at most CR_STATE_MEDIA_MAX entries, spans of sdp or
 *                of constants
 * @param mirror  1 when the description is the far end's: sendonly there is
 *                recvonly here (RFC 3264 section 6.1)
 * @return the number of entries; 0 when this is no description or has more
 *         m-lines than that
 */
int cr_sdp_media(cr_media_t *media, cr_span_t sdp, int mirror);

/**
 * Whether a description names an address of these networks for media: in c=, a=rtcp (RFC
 * 3605) or a=candidate (RFC 8839 section 5.1), in whichever part of a body it is. The
 * unspecified address is none: it puts media on hold (RFC 3264 section 8.4).
 * @return 1 or 0
 */
int cr_sdp_names(cr_span_t sdp, const cr_net_t *nets, int n);

#endif
