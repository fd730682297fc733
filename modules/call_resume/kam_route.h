/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Our own Route.
 */
#ifndef CR_KAM_ROUTE_H
#define CR_KAM_ROUTE_H

#include "kam.h"

/** The Route of ours in a request in a dialog. One of a strict router (RFC 3261 section
 * 16.4), which is in the Request-URI, is left to rr. @return 1 when there is one */
int kam_own_route(struct sip_msg *msg, cr_span_t *uri);

/** The session reference of one side, as it is. @return 1 when there is one */
int kam_route_ref(struct sip_msg *msg, cr_purpose_t side, cr_span_t *ref);

/** Open the session reference of one side, in the Route that brought the request
 * here; after loose_route(). Its strings are good until the next call of the core.
 * @return CR_OK, CR_EMISSING or an error of cr_ref_open() */
int kam_open_route_ref(
		cr_ref_t *ref, struct sip_msg *msg, cr_purpose_t purpose) CR_MUST_CHECK;

/** 1 for a URI that names this Kamailio. */
int kam_is_own(cr_span_t uri);

/** 1 when the receiver of a request in a dialog is a client that can resume; after
 * loose_route(). */
int kam_is_to_client(struct sip_msg *msg);

/** 1 when its sender is one; after loose_route(). */
int kam_is_by_client(struct sip_msg *msg);

/** When the INVITE of the call passed, seconds since 1970, by the session reference of
 * either side in our Route; 0: none opens. */
long kam_begun(struct sip_msg *msg);

/** Likewise when it was answered, where our Route says so: of a call that a client has begun, and
 * that this client has sent a request in since. */
long kam_answered(struct sip_msg *msg);

/** 1 when a request in a dialog is of the side that began it, by the ftag that rr has
 * written into our Route (its parameter append_fromtag), or where there is none; 0 when it
 * is of the other side. */
int kam_is_from_caller(struct sip_msg *msg);

/** Which side sends a request in a dialog. */
cr_purpose_t kam_sender(struct sip_msg *msg);

cr_purpose_t kam_other_side(cr_purpose_t side);

#endif
