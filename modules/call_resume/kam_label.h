/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the media server keeps of a call.
 */
#ifndef CR_KAM_LABEL_H
#define CR_KAM_LABEL_H

#include "kam.h"

int ki_resume_label(struct sip_msg *msg);

/** What resume_label() has made last; empty when it has made nothing. */
cr_span_t kam_label(void);

#endif
