/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who is believed.
 */
#ifndef CR_KAM_TRUST_H
#define CR_KAM_TRUST_H

#include "kam.h"

/** Open the session reference of one side: in a request as kam_open_route_ref(), in
 * a reply that of the Record-Route.
 * @return as kam_open_route_ref(), or CR_EEXPIRED: the call began longer ago than
 *         ref_lifetime */
int kam_open_ref(
		cr_ref_t *ref, struct sip_msg *msg, cr_purpose_t purpose) CR_MUST_CHECK;

/** 1 when a message proves that it is of a call of ours: it came in translated, or
 * brought back a session reference of this call, of either side. A request in
 * request_route, after loose_route(); or a reply. */
int kam_in_call(struct sip_msg *msg);

/** 1 for a reply of the far end to a client that has resumed: it brings back the map
 * that we had put on the client's Via. */
int kam_is_mapped_reply(struct sip_msg *msg);

/** 1 for a request for which kam_in_call() is 1, and whose call is of no session that
 * has been revoked; BYE, ACK and OPTIONS without a body may be of one. */
int kam_is_known(struct sip_msg *msg);

/** 1 for a reply to the request of a transaction, or a CANCEL of it, that has its Call-ID and
 * tags, as it has to (RFC 3261 sections 8.2.6.2 and 9.1). */
int kam_has_names_of(struct sip_msg *msg, const struct cell *t);

/** 1 for a reply that tm has a transaction for, whatever names it is in. */
int kam_has_been_asked(struct sip_msg *msg);

/** The address of record of one side of a call: of a new INVITE's sender its session's, also at the
 * node that it was passed on to; in a dialog that in the session reference.
 * @return empty when it is no client, or not known; lives until the next reference is opened */
cr_span_t kam_party(struct sip_msg *msg, cr_purpose_t side);

int ki_resume_check_head(struct sip_msg *msg);
int ki_resume_check_reply(struct sip_msg *msg);

#endif
