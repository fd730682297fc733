/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients that are called.
 */
#ifndef CR_KAM_BINDING_H
#define CR_KAM_BINDING_H

#include "kam.h"

/** Watches the script. @return 0, or -1 and it is logged */
int kam_binding_init(void);

int ki_resume_register(struct sip_msg *msg);
int ki_resume_call(struct sip_msg *msg);

#endif
