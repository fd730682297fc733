/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which media a session description has, in which direction, and where to.
 */
#ifndef CR_SDP_H
#define CR_SDP_H

#include "net.h"
#include "state.h"

/** The next line of a description, with its end: up to LF and nothing else (RFC 8866
 * section 5). @param rest  not empty; what is behind the line then */
cr_span_t cr_sdp_line(cr_span_t *rest);

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

/* What a media server makes of one has to fit into its answer, which is a datagram; rtpengine 10.5 ends
 * where it is longer than 100 kB. It adds some 20 kB to one that has all there can be, and for each format
 * that a stream names once more all that is known of that: so many bytes, if all of it is. */
#define CR_SDP_MAX 32768
#define CR_SDP_REPEATED_MAX 8192

#define CR_SDP_EDITS_MAX 32

/** What to take out of a description. */
typedef struct cr_sdp_edits
{
	int n;
	cr_span_t
			line[CR_SDP_EDITS_MAX]; /* of the description, with its line end */
	cr_span_t instead[CR_SDP_EDITS_MAX]; /* a line of ours, or nothing */
	int is_ice; /* media are of SRTP, and find their way by ICE */
	int is_foreign; /* there are streams, and none that a browser has kind and codec of */
} cr_sdp_edits_t;

/** Whose addresses a description may not have. */
typedef struct cr_sdp_denied
{
	const cr_net_t *net;
	int n;
	/* These are good in candidates, which are sent STUN alone until they answer, and in
	 * c= of a stream that is SRTP with ICE of its own: a browser's default candidate, and
	 * with 0.0.0.0 it would be on hold. Of any other stream a media server sends to the
	 * address in c= whatever comes. */
	const cr_net_t *ice_only;
	int n_ice_only;
	/* One that is not denied, whatever the networks say; or NULL. */
	const uint8_t *own;
} cr_sdp_denied_t;

/**
 * Whether a description is one that a media server may be given, which sends to
 * whatever addresses it names, and takes ports for all of its m= lines.
 *
 * - The address in c= and a=rtcp (RFC 3605) is a literal one; that of a candidate (RFC
 *   8839 section 5.1) too, or a name of mDNS.
 * - There are no more m= lines than a state has, each with one port, and the formats of RTP are
 *   payload types; it is no longer than CR_SDP_MAX, with those that are repeated.
 * - ice-ufrag and ice-pwd are of ice-char, and there is no NUL.
 * - No address is of the denied networks: where media find their way by ICE such
 *   candidates are taken out, and c= becomes the unspecified address.
 * @param edits   receives what to take out, with CR_OK
 * @param sdp     in whichever part of a body it is; nothing at all is none
 * @param denied  all may be zero: no address is
 * @return CR_OK; CR_EMALFORMED, CR_ETOOBIG: not one; CR_EUNSUPPORTED: a denied address
 */
int cr_sdp_check(cr_sdp_edits_t *edits, cr_span_t sdp,
		const cr_sdp_denied_t *denied) CR_MUST_CHECK;

#endif
