/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sealing a call state into a message that goes to the client.
 *
 * The state must say what the client sees, after every other module has had its
 * say (Record-Route, Contact alias); so the script's resume_seal() only leaves
 * an order in the message, and the edge carries it out on the final bytes:
 *
 *	Call-State: crm1 MARK ROLE TIME RINGING REF [~FAR] [TARGET ROUTE...]
 *
 * MARK is random and known to this gateway's processes only, so that nobody
 * else can give an order. ROLE is a or b (caller, callee), or A in what answers a new call: then
 * our Record-Route has when that was too, see answered.h. TIME when the
 * state is to say that it was sealed, in milliseconds since 1970: when the same
 * message is sent again, the same state goes with it. RINGING is the [ringing] of the
 * state, 0 in what is no ringing. REF is the session
 * reference as it stands in our Record-Route. FAR is what the far end said of itself, as
 * nobody says it any more where the order is carried out: FLAGS,TIMER,SDP, the last in
 * base64url. TARGET and ROUTE are those of the
 * client's in-dialog request, which its reply does not say. An order never
 * leaves the gateway.
 */
#ifndef CR_SEAL_H
#define CR_SEAL_H

#include "env.h"
#include "ref.h"

#define CR_SEAL_ORDER_MAX (4096 + 2 * CR_FAR_SDP_MAX)

typedef struct cr_order
{
	cr_purpose_t
			purpose; /* CR_PURPOSE_CALLER or CR_PURPOSE_CALLEE: which reference */
	cr_span_t ref;   /* base32 */
	int64_t iat_ms; /* what the state will say as its [iat], milliseconds since 1970 */
	int64_t ringing; /* likewise as its [ringing] */
	int answers;     /* 1: for a caller, in the 2xx to a new call */
	cr_far_t
			far; /* what is known of the far end; its sdp is empty where nothing is */
	const cr_sip_t
			*request; /* the client's in-dialog request, to take target and
								route set from; NULL when the message that gets the
								order has them */
} cr_order_t;

/**
 * Write the value of an order.
 * @param out  receives the value, no zero behind it
 * @return the length or CR_ETOOBIG
 */
int cr_seal_order(char *out, size_t out_max, const cr_env_t *env,
		const cr_order_t *order) CR_MUST_CHECK;

/**
 * Carry out the order in a message, if there is one: replace it by the sealed
 * state, or take it out when that is not possible.
 * @param order  set to the field that had it, or to NULL; all the others are
 *               cr_screen_out()'s
 * @return CR_OK: sealed; CR_EMISSING: no order; another error: taken out
 */
int cr_seal_run_order(cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m,
		const cr_field_t **order) CR_MUST_CHECK;

/**
 * Seal a state into env->work->jwe. Its start, and what it is bound to, are taken
 * from the reference, its end from its iat.
 * @return the length, CR_EKEY (no usable key) or an error of
 *         cr_sealed_make()
 */
int cr_seal_state(
		const cr_env_t *env, const cr_ref_t *ref, cr_state_t *st) CR_MUST_CHECK;

/**
 * Take the route set out of the fields of a kind: in their order for the side that
 * got a request, reversed for the one that got the reply (RFC 3261 sections 12.1.1
 * and 12.1.2).
 * @param id  CR_RECORD_ROUTE or CR_ROUTE
 * @return CR_OK; CR_ETOOBIG (over CR_STATE_ROUTES_MAX) or CR_EMALFORMED: the routes
 *         of st are undefined then
 */
int cr_seal_routes(cr_state_t *st, const cr_sip_t *m, cr_hdr_t id,
		int reversed) CR_MUST_CHECK;

/**
 * The call session identifier (32 hex digits as in RFC 7989): from Call-ID and
 * the caller's tag, so that every message of the call gives the same.
 * @return CR_OK or CR_EINTERNAL
 */
int cr_session_id(char id[CR_SESSION_ID_LEN + 1], cr_crypto_t *c,
		cr_span_t call_id, cr_span_t caller_tag) CR_MUST_CHECK;

#endif
