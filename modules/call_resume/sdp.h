/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which media a session description has, and in which direction.
 */
#ifndef CR_SDP_H
#define CR_SDP_H

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

#endif
