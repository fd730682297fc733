/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Opening the state of a call, and resuming it.
 */
#ifndef CR_KAM_RESUME_H
#define CR_KAM_RESUME_H

#include "kam.h"

/* What resume_open() or resume_dialog() made of the message's Call-State. */
typedef struct kam_opened
{
	int open;           /* state holds something */
	int known;          /* so it does, or is expired, or was refused after */
	int dialled;        /* there is none: state has the names of an INVITE */
	int code;           /* status code to refuse with, 0: none */
	const char *reason; /* its reason phrase */
	cr_state_t state;
	char own_tag[256];              /* what the tag parameter said */
	char client_call_id[256];       /* of the INVITE that resumed; or empty */
	char mem[2][CR_STATE_JSON_MAX]; /* strings of the state and its update */
} kam_opened_t;

int ki_resume_open(struct sip_msg *msg);
int ki_resume_dialog(struct sip_msg *msg);
int ki_resume_again(struct sip_msg *msg);

/** The address of record of the other end of the call whose state has been opened,
 * where that was a client of a gateway of this key ring; empty where it was not. Good
 * until the next call of the core. */
cr_span_t kam_opened_callee(struct sip_msg *msg);

/** What a request asks for: "resume", an INVITE that brings a state; "again", the same of
 * a caller whose other end has lost the call too; "moved", a BYE by which a session of the
 * client leaves its call to another one; "stale", in a dialog by a name of ours that does
 * not open any more; "locked", for a Contact of a node under a key that we have not got; or
 * "none". */
const char *kam_asks(struct sip_msg *msg);

#endif
