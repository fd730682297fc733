/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The web session.
 */
#ifndef CR_KAM_SESSION_H
#define CR_KAM_SESSION_H

#include "kam.h"

/* What is known about the message at hand. */
typedef struct kam_session
{
	int authenticated; /* by resume_auth() or resume_session() */
	int error;         /* else why not, cr_err_t or KAM_EINSECURE */
	cr_token_t token;
	char issued[CR_TOKEN_MAX + 1]; /* by resume_issue() */
	cr_turn_t turn;                /* by resume_turn() */
	int turn_ttl;                  /* s */
} kam_session_t;

/* Beside cr_err_t: a token or key on a transport that shows it. */
#define KAM_EINSECURE (-19)
/* A good token that has been revoked, or its session or user. */
#define KAM_EREVOKED (-20)

/** 1 when nobody can have read the message on its way to us. */
int kam_is_secure(const struct sip_msg *msg);

/* The script's functions (README.md), for KEMI as for the native script: 1, or
 * negative as listed there; 0 ends the script. */
int ki_resume_issue(struct sip_msg *msg, str *sub);
int ki_resume_issue_sid(struct sip_msg *msg, str *sub, str *sid);
int ki_resume_auth(struct sip_msg *msg);
int ki_resume_is_sender(struct sip_msg *msg);
int ki_resume_session(struct sip_msg *msg, str *sub, str *sid);
int ki_resume_session_named(struct sip_msg *msg, str *sub);
int ki_resume_challenge(struct sip_msg *msg, str *realm);
int ki_resume_key(struct sip_msg *msg);
int ki_resume_hide_token(struct sip_msg *msg);
int ki_resume_turn(struct sip_msg *msg, str *sub);

/** A word for an error of resume_auth(). */
const char *kam_auth_word(int err);

#endif
