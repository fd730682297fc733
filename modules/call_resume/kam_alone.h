/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One call under a Call-ID at a time.
 */
#ifndef CR_KAM_ALONE_H
#define CR_KAM_ALONE_H

#include "kam.h"

/** Before the fork. @return 0 or -1 */
int kam_alone_init(void);
void kam_alone_destroy(void);

int ki_resume_alone(struct sip_msg *msg);

#endif
