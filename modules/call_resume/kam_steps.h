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

/** Prepare the steps for the sender of a request in a dialog: rtpengine is asked for the call.
 * @return 1, or -1 when this call needs none, or cannot have any */
int ki_resume_steps(struct sip_msg *msg);

/** Send them, each when rtpengine has passed on the one before; takes 1 to 30 ms.
 * @return 1 after the last one, or -1 when none have been prepared */
int ki_resume_step(struct sip_msg *msg);

#endif
