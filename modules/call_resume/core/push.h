/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The full state of a client that has just answered an INVITE. None of the
 * messages that it gets says what that state has to say: the INVITE that called
 * it has no tag of its own, and a re-INVITE of the far end neither a route set
 * nor a CSeq of the client. Its 2xx and the transaction together do.
 */
#ifndef CR_PUSH_H
#define CR_PUSH_H

#include "env.h"

/* One INVITE and its answer, as the script of the gateway sees them: in O. */
typedef struct cr_push
{
	cr_sip_t reply;    /* the client's 2xx */
	cr_sip_t sent;     /* the INVITE as it went to the client */
	cr_sip_t received; /* the INVITE as it came from the far end */
} cr_push_t;

/**
 * Take the three messages apart; they have to live as long as p.
 * @return CR_OK; CR_EMISSING: no 2xx to an INVITE; an error of cr_sip_parse()
 */
int cr_push_parse(cr_push_t *p, cr_span_t reply, cr_span_t sent,
		cr_span_t received) CR_MUST_CHECK;

/**
 * Seal the state, into env->work->jwe.
 * @return its length; CR_EMISSING: the sender of the 2xx is no client, or the
 *         call was not sealed when it began; CR_EUNSUPPORTED: a re-INVITE that
 *         came through a proxy, so that the client's route set is not known; an
 *         error of cr_ref_open() or cr_sealed_make(), CR_EKEY, CR_EMALFORMED or
 *         CR_ETOOBIG
 */
int cr_push_seal(const cr_env_t *env, const cr_push_t *p) CR_MUST_CHECK;

/** The client's Contact, exactly as it gave it: without our map. */
void cr_push_target(cr_writer_t *w, const cr_push_t *p);

/** The client's address in this call. */
cr_span_t cr_push_address(const cr_push_t *p);

#endif
