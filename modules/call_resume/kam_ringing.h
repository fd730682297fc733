/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls that nobody has answered.
 */
#ifndef CR_KAM_RINGING_H
#define CR_KAM_RINGING_H

#include "kam.h"

/** Before the fork. @return 0 or -1 */
int kam_ringing_init(void);
void kam_ringing_destroy(void);

int ki_resume_ring(struct sip_msg *msg, str *name, int most);

#endif
