/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Re-INVITEs of far ends that were told to try again.
 */
#ifndef KAM_PENDING_H
#define KAM_PENDING_H

#include "kam.h"

/** Before the fork. @return 0, or -1 and it is logged */
int kam_pending_init(void);
void kam_pending_destroy(void);

/** This re-INVITE is about to be refused for a client that is away.
 * @return 1 when those of its dialog have been refused for so long that 491 is no answer any
 *         more, else 0 */
int kam_pending_is_long(struct sip_msg *invite);

#endif
