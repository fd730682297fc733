/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Replies, in front of the script.
 */
#ifndef CR_KAM_REPLY_H
#define CR_KAM_REPLY_H

#include "kam.h"

int kam_reply_init(void);

#endif
