/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The glue between Kamailio and the core: what all of its files share, which is little: the
 * parameters, and the modules that all of them need. What kam_NAME.c does for others is in
 * kam_NAME.h. The core, in core/, includes nothing of Kamailio's.
 */
#ifndef CR_KAM_H
#define CR_KAM_H

#include "../../core/sr_module.h"
#include "../../core/parser/msg_parser.h"
#include "../../core/pvar.h"
#include "../../core/rpc.h"
#include "../../modules/rr/api.h"
#include "../../modules/sl/sl.h"
#include "../../modules/tm/tm_load.h"

#include "core/env.h"
#include "core/ref.h"
#include "core/token.h"
#include "core/turn.h"

/* ---- module parameters (call_resume_mod.c) -------------------------------- */

typedef struct kam_config
{
	char *key_ring;         /* path */
	cr_issuers_t issuers;   /* without their keys */
	int token_lifetime;     /* s */
	int state_lifetime;     /* s */
	int map_lifetime;       /* s */
	int clock_skew;         /* s */
	int allow_insecure;     /* 1: tokens and keys on any transport */
	char *authz_server;     /* of the challenge; empty: none */
	char *scope;            /* likewise */
	char *turn_secret_file; /* path; NULL: no TURN credentials */
	int turn_lifetime;      /* s */
	int unproved_max;       /* connections of one address; 0: no limit */
	int unproved_time;      /* s */
	int proved_max;         /* connections of one user; 0: no limit */
	char *revoked_htable;   /* a table of htable; unset: no revocation */
	char *event_callback;   /* KEMI function for what are event routes */
	int bind_fingerprint;   /* a kam_bind_t */
	int ref_lifetime;       /* s, of what proves a call in a request */
	int log_damaged;        /* 0: nothing is logged about a damaged message */
	int connect_back;       /* 0: no connection is opened but by a script */
	int manage;             /* 1: does by itself what a script would have to */
	int push;               /* 1: a client that answers gets its full state */
	char *location;         /* usrloc's table of bindings */
	int ring_wait;          /* ms; 0: no call waits for who is called */
	int answer_wait; /* s, that a call that was answered has for its caller */
	int session_id;  /* 1: Session-ID is put where there is none */
	int resumes_max; /* a second; 0: no limit */
	int quiet;       /* a kam_quiet_mode_t */
	int abandoned_after; /* s of silence; 0: no call is ended by us */
	int leaving_after;   /* s, of who has said that it leaves */
	char *media_server;  /* of which calls are asked, see kam_ng.h */
	int node;            /* our number in a cluster; 0: there is none */
	char *node_socket;   /* where nodes talk to each other */
	int drain_time;      /* s, until all clients are told that they should go */
} kam_config_t;

/* Whether states are bound to the certificate of their client. */
typedef enum kam_bind
{
	KAM_BIND_OFF,
	KAM_BIND_WANTED, /* where the client asks for it */
	KAM_BIND_NEEDED, /* a state that is not bound is refused */
	KAM_BIND_N,
} kam_bind_t;

#define KAM_LIFETIME_MAX (366 * 86400) /* s */

extern kam_config_t kam_config;
extern struct tm_binds kam_tm;
extern struct rr_binds kam_rr;
extern sl_api_t kam_sl;

static inline cr_span_t kam_span(str s)
{
	return (cr_span_t){s.s, s.s != NULL && s.len > 0 ? (size_t)s.len : 0};
}

static inline str kam_str(cr_span_t s)
{
	return (str){(char *)s.s, (int)s.len};
}

#endif
