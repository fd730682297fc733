/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Revocation of web sessions, users and tokens before they expire.
 */
#ifndef CR_KAM_REVOKE_H
#define CR_KAM_REVOKE_H

#include "../../core/rpc.h"
#include "../../core/str.h"

#include "core/token.h"

struct sip_msg;

/** Bind the module htable when revoked_htable is set.
 * @return 0, or -1 and it is logged */
int kam_revoke_init(void);

/** Once the tables are there: is ours? @return 0, or -1 and it is logged */
int kam_revoke_check(void);

/** 1 when revoked_htable is set. */
int kam_revoke_is_on(void);

/** How to turn it on. */
const char *kam_revoke_how_to(void);

/**
 * @param kind   "sid", "sub" or "jti"; sub revokes what was issued up to now
 * @param ttl_s  0: token_lifetime and clock_skew, so that no token outlives it
 * @return CR_OK, CR_EMISSING (off), CR_EUNSUPPORTED (kind), CR_EMALFORMED
 *         (value), CR_ETOOBIG (ttl_s), CR_EINTERNAL
 */
int kam_revoke(cr_span_t kind, cr_span_t value, int ttl_s) CR_MUST_CHECK;

/** Tell whether and when. @param at  0: it is not; @param left  seconds
 * @return as kam_revoke() */
int kam_revoked_tell(cr_span_t kind, cr_span_t value, int64_t *at,
		unsigned *left) CR_MUST_CHECK;

/** 1 when the token, its session or its user has been revoked. */
int kam_is_revoked(const cr_token_t *token);

int ki_resume_revoke(struct sip_msg *msg, str *kind, str *value);
int ki_resume_revoke_ttl(struct sip_msg *msg, str *kind, str *value, int ttl_s);

void kam_rpc_revoke(rpc_t *rpc, void *ctx);
void kam_rpc_revoked(rpc_t *rpc, void *ctx);

#endif
