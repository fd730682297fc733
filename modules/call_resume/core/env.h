/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the core needs from the process that runs it: keys, clock, limits and
 * room to work in.
 */
#ifndef CR_ENV_H
#define CR_ENV_H

#include "issuer.h"
#include "ring.h"
#include "sip.h"
#include "state.h"

/* Buffers too large for the stack. One per process; no function keeps
 * anything in here from one call to the next. */
typedef struct cr_work
{
	cr_sip_t msg;
	cr_edits_t edits;
	cr_state_t state;
	char json[CR_STATE_JSON_MAX];
	char jwe[CR_JWE_MAX + 1];
	uint8_t box[CR_BOX_PLAIN_MAX];
	char far[CR_FAR_MAX];
	char route[CR_TARGET_MAX];
} cr_work_t;

typedef struct cr_env
{
	cr_crypto_t *crypto;
	const cr_ring_t *ring;
	cr_trust_t *trust; /* other issuers of tokens; NULL: none */
	cr_work_t *work;
	const char *order_mark; /* random characters, see seal.h */
	int64_t now_ms;         /* milliseconds since 1970 */
	int64_t state_ttl_s;    /* how long a sealed state opens */
	int64_t map_ttl_s;      /* how long a splice lasts */
	int session_uuids;      /* 1: Session-ID is put where there is none */
	int keeps_far;          /* 1: states have what the far end said of itself */
	int keeps_far_by_update; /* 1: if it allows UPDATE */
} cr_env_t;

/** Seconds since 1970. */
static inline int64_t cr_now_s(const cr_env_t *env)
{
	return env->now_ms / 1000;
}

#endif
