/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The call state: what a client needs to go on with its call, as JSON.
 *
 * A full state has everything. An update has what a target refresh by the far
 * end changes (the gateway cannot know the rest at that moment); a client
 * presents both and the gateway merges them.
 */
#ifndef CR_STATE_H
#define CR_STATE_H

#include <stdint.h>

#include "err.h"
#include "far.h"
#include "fingerprint.h"
#include "span.h"
#include "wire.h"

typedef enum cr_role
{
	CR_CALLER, /* the client sent the first INVITE */
	CR_CALLEE,
} cr_role_t;

typedef struct cr_media
{
	cr_span_t kind;      /* "audio", "video", ... as in the m= line */
	cr_span_t direction; /* "sendrecv", "sendonly", "recvonly", "inactive" */
} cr_media_t;

/* JSON member in brackets. F: in a full state only. [media] is an array of
 * objects with the members kind and direction. */
typedef struct cr_state
{
	int update;                     /* [update] true; absent in a full state */
	char id[CR_SESSION_ID_LEN + 1]; /* [id] call session identifier */
	cr_role_t role;                 /* [role] "caller" or "callee" */
	cr_span_t call_id;              /* [call_id] of O */
	cr_span_t local_uri;            /* [local_uri] F */
	cr_span_t
			local_tag; /* [local_tag] F; empty and absent in a callee's first */
	cr_span_t remote_uri; /* [remote_uri] F */
	cr_span_t remote_tag; /* [remote_tag] F */
	cr_span_t target;     /* [target] remote target URI, no brackets */
	cr_span_t
			routes[CR_STATE_ROUTES_MAX]; /* [routes] F, in the client's order */
	int n_routes;
	int64_t cseq; /* [cseq] F, the client's last in O; absent and -1: not known
				   */
	cr_media_t media[CR_STATE_MEDIA_MAX]; /* [media], absent when not known */
	int n_media;
	cr_far_t far; /* [far], absent when nothing is known of the far end */
	cr_fp_t fp; /* [fp] F, base64url: what the state is bound to; absent when to
				   nothing */
	int64_t ringing; /* [ringing] F, of a call that is not answered: the number of its
						transaction, from 1; absent and 0: answered */
	int64_t start; /* [start] F, when the INVITE passed, seconds since 1970 */
	int64_t iat;   /* [iat] when sealed, milliseconds since 1970 */
	int64_t exp;   /* [exp] seconds since 1970 */
} cr_state_t;

/**
 * Write as compact JSON, with [v] first.
 * @return the length, CR_EMALFORMED (what cr_state_decode() would refuse) or
 *         CR_ETOOBIG (out_max, or over CR_STATE_JSON_MAX)
 */
int cr_state_encode(
		char *out, size_t out_max, const cr_state_t *st) CR_MUST_CHECK;

/**
 * Read JSON. Strict: every member of the right type, tags and media kinds are
 * tokens, Call-ID and URIs as cr_text_is_call_id() and cr_text_is_uri() have
 * them, so that no string can add syntax to a SIP message; unknown members are
 * passed over.
 * @param st   written on success only
 * @param mem  receives the strings; must live as long as st. CR_STATE_JSON_MAX
 *             bytes are always enough.
 * @return CR_OK, CR_EMALFORMED, CR_EUNSUPPORTED (version), CR_ETOOBIG,
 *         CR_EINTERNAL (memory)
 */
int cr_state_decode(cr_state_t *st, char *mem, size_t mem_max,
		cr_span_t json) CR_MUST_CHECK;

/**
 * Take over from an update what is newer: target, media and what the far end said
 * of them.
 * @return CR_OK; CR_EMALFORMED when up is no update or st is one; CR_EFORGED
 *         when it is of another call or role. An update that is older than st
 *         changes nothing.
 */
int cr_state_merge(cr_state_t *st, const cr_state_t *up) CR_MUST_CHECK;

#endif
