/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Steps from an old RTP stream to a new one, see core/steps.h.
 */
#ifndef KAM_STEPS_H
#define KAM_STEPS_H

#include "kam.h"

/** Our offer, since ki_resume_steps(); empty otherwise. In this process, until the next
 * call of either. */
cr_span_t kam_steps_sdp(void);

/** Prepare the steps for the sender of a request in a dialog.
 * @param query  what rtpengine answers to a query for the call, as JSON
 * @return 1, or -1 when this call needs none, or cannot have any */
int ki_resume_steps(struct sip_msg *msg, str *query);

/** Send the first one; takes 2 ms. @return 1, or -1 when none have been prepared */
int ki_resume_step(struct sip_msg *msg);

/** Has the last one been passed on? Then the next one is sent. Takes 2 ms.
 * @param query  as for ki_resume_steps()
 * @return 1 after the last of all, also when that cannot be told, or -1: not yet */
int ki_resume_stepped(struct sip_msg *msg, str *query);

#endif
