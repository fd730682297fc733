/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A quiet resume: the re-INVITE that a client's resume becomes is not sent to the far end,
 * whose side of the call stays as it is. It goes to the gateway itself, and is turned into
 * the far end's answer on the way:
 *
 *	Call-State: crm1 MARK q ADDRESS PORT PROTO SOCKET TIMER REST
 *
 * in the INVITE, where MARK is as in seal.h; ADDRESS, PORT and PROTO are where the far end
 * would have got it, and SOCKET from which of ours; TIMER is its session timer, or -; REST,
 * in base64url, is what follows the names of the dialog in the answer. The answer has the
 * same field without REST, by which the gateway knows it again. Neither leaves the gateway.
 */
#ifndef CR_QUIET_H
#define CR_QUIET_H

#include "env.h"
#include "far.h"

#define CR_QUIET_SDP_MAX (2 * CR_FAR_SDP_MAX)
#define CR_QUIET_ORDER_MAX (2 * CR_QUIET_SDP_MAX)
#define CR_QUIET_ROLE "q"

typedef struct cr_quiet
{
	cr_span_t address, port, proto, socket;
	cr_span_t timer; /* as in cr_far_t */
	cr_span_t rest;  /* base64url; empty in an answer */
} cr_quiet_t;

/**
 * What the far end would answer to an offer of a client that comes back, if for it nothing
 * has changed: the same streams, in the directions that the state says, and each format
 * that is in use has the number and the meaning that it had.
 * @param out    CR_QUIET_SDP_MAX bytes, receives a description (RFC 8866)
 * @param offer  the client's description
 * @return its length; CR_EUNSUPPORTED: the far end has to be asked; CR_ETOOBIG
 */
int cr_quiet_answer(
		char *out, const cr_state_t *st, cr_span_t offer) CR_MUST_CHECK;

/**
 * 1 when a description of the far end's, as it is, answers that offer: one medium of its kind
 * for each, and each format with the number and the meaning that it has there (RFC 3264
 * section 6).
 */
int cr_quiet_suits(cr_span_t answer, cr_span_t offer);

/** 1 when the other end of the call is a client of this gateway, or may be one. */
int cr_quiet_has_two_clients(const cr_state_t *st);

/**
 * Write the value of the field.
 * @param q        without its rest
 * @param far      of the state
 * @param timer    1 when the client knows session timers
 * @param sdp      of cr_quiet_answer()
 */
int cr_quiet_order(char *out, size_t out_max, const cr_env_t *env,
		const cr_quiet_t *q, const cr_far_t *far, int timer,
		cr_span_t sdp) CR_MUST_CHECK;

/** 1 when a message has the field, with the mark of this gateway. */
int cr_quiet_has(const cr_env_t *env, const cr_sip_t *m);

/** Read the field in a message that this gateway has marked. @return 1, or 0: there is
 * none */
int cr_quiet_find(cr_quiet_t *q, const cr_env_t *env, cr_span_t text);

/**
 * Turn an INVITE with the field into its answer.
 * @return its length, or an error
 */
int cr_quiet_reply(char *out, size_t out_max, const cr_env_t *env,
		cr_span_t text) CR_MUST_CHECK;

#endif
