/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sealing the state of a call.
 */
#ifndef CR_KAM_SEAL_H
#define CR_KAM_SEAL_H

#include "kam.h"

int ki_resume_seal(struct sip_msg *msg);
int ki_resume_seal_session(struct sip_msg *msg, str *sub, str *sid, str *kid);
int ki_resume_seal_bound(
		struct sip_msg *msg, str *sub, str *sid, str *kid, str *fingerprint);

/** 1 when that transaction is of an INVITE by which that session has begun a call.
 * @param st  with its Call-ID
 * @param fp  receives what the call is bound to */
int kam_seal_is_of(struct cell *t, const cr_state_t *st, const cr_token_t *by,
		cr_fp_t *fp);

/** The session reference of who calls, as resume_seal() makes it.
 * @param text  max bytes @return its length, or an error of the core */
int kam_make_caller_ref(struct sip_msg *msg, char *text, size_t max);

/** Have the client's route set, and a remote target where the far end names none,
 * written into the replies of a resume INVITE.
 * @return 0, or -1 and it is logged */
int kam_watch_resumed(struct sip_msg *msg);

#endif
