/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What rtpengine says of a call: its answer to the command query, as JSON.
 */
#ifndef CR_MEDIA_H
#define CR_MEDIA_H

#include "err.h"
#include "span.h"

#define CR_MEDIA_SDP_MAX 4096

/**
 * Describe the media of one side of a dialog as they are, so that an offer which was
 * refused can be taken back (RFC 3261 section 14.1). Formats are those that need no
 * further line (RFC 3551 section 6): rtpengine passes on all others too.
 * @param out   receives a session description, at most out_max bytes
 * @param json  the answer
 * @param from  the tag of the side
 * @param to    that of the other side
 * @return its length; CR_EMISSING: one of the tags is not in the call; CR_EUNSUPPORTED:
 *         there are keys to it, or ICE, which the answer does not have, or it says
 *         something else than that of a media server; CR_EMALFORMED: it is no JSON;
 *         CR_ETOOBIG, CR_EINTERNAL
 */
int cr_media_describe(char *out, size_t out_max, cr_span_t json, cr_span_t from,
		cr_span_t to) CR_MUST_CHECK;

#endif
