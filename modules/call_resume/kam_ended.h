/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls that are over, and whose client may come back.
 */
#ifndef KAM_ENDED_H
#define KAM_ENDED_H

#include "kam.h"

/** Before the fork. @return 0, or -1 and it is logged */
int kam_ended_init(void);
void kam_ended_destroy(void);

#define KAM_ENDED_WHILE_AWAY "Call Ended While Away"

/** The far end has sent this BYE to a client that can resume; it has proved to be in the
 * call (kam_in_call()). Good for state_lifetime. A client that is back, and waits for the far
 * end's answer, gets it here. */
void kam_ended_note(struct sip_msg *bye);

/** This INVITE resumes a call, and is about to go to the far end. @return 0 or -1 */
int kam_ended_watch(struct sip_msg *invite);

/** The client has refused that BYE: its call goes on. */
void kam_ended_forget(struct sip_msg *bye);

/** 1 when that call is over, as far as is known here. */
int kam_ended_is(const cr_state_t *st);

/** The same three for a dialog by its names, in O. */
void kam_ended_note_call(
		cr_span_t call_id, cr_span_t client_tag, cr_span_t far_tag);
void kam_ended_forget_call(
		cr_span_t call_id, cr_span_t client_tag, cr_span_t far_tag);
int kam_ended_is_call(
		cr_span_t call_id, cr_span_t client_tag, cr_span_t far_tag);

/** The page of a client says that it is being left: see leaving_after. @return 1, or -1: the
 * request is not of a client in a call of ours */
int ki_resume_leaving(struct sip_msg *msg);

/** 1 when it has said so, and has not come back. */
int kam_ended_is_leaving(
		cr_span_t call_id, cr_span_t client_tag, cr_span_t far_tag);

/** It has. */
void kam_ended_is_back(const cr_state_t *st);

#endif
