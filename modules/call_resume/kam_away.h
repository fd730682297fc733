/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients that are away.
 */
#ifndef CR_KAM_AWAY_H
#define CR_KAM_AWAY_H

#include "kam.h"

int kam_away_init(void);

/** See to it that a call in the place of one that both ends have lost is tried once more
 * when the other end is not back yet. @return 0, or -1 and it is logged */
int kam_away_watch_again(struct sip_msg *msg);

int ki_resume_within_dialog(struct sip_msg *msg);

int ki_resume_away(struct sip_msg *msg);

#endif
