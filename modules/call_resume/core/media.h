/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What rtpengine says of a call: its answer to the command query, as JSON.
 */
#ifndef CR_MEDIA_H
#define CR_MEDIA_H

#include "jose.h"

#define CR_MEDIA_SDP_MAX 4096

/**
 * Describe the media of one side of a dialog as they are, so that an offer which was
 * refused can be taken back (RFC 3261 section 14.1). Formats are those that need no
 * further line (RFC 3551 section 6): rtpengine passes on all others too.
 * @param out   receives a session description, at most out_max bytes
 * @param call  the answer, of cr_json_object()
 * @param from  the tag of the side
 * @param to    that of the other side
 * @return its length; CR_EMISSING: one of the tags is not in the call; CR_EUNSUPPORTED:
 *         there are keys to it, or ICE, which the answer does not have, or it says
 *         something else than that of a media server; CR_ETOOBIG
 */
int cr_media_describe(char *out, size_t out_max, const json_t *call,
		cr_span_t from, cr_span_t to) CR_MUST_CHECK;

/** 1 when the dialog of these tags is none of those that a media server has of a call. It tells of the
 * side in To and those that this one has had to do with: where To is not known there is none; where it
 * stands alone anybody may be the other one.
 * @param call  as for cr_media_describe(), with the same tags in the question */
int cr_media_is_of_others(const json_t *call, cr_span_t from, cr_span_t to);

#endif
