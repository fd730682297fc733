/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The memory of connections that are over.
 */
#ifndef CR_KAM_HOLD_H
#define CR_KAM_HOLD_H

#include "kam.h"

/** Before the fork. @return 0, or -1 and it is logged */
int kam_hold_init(void);
void kam_hold_destroy(void);

/** Hold a connection until it is over; again and again, if need be.
 * @param id  its number; by the process that reads from it */
void kam_hold(int id);

/** Give back those that are over; now and then, by one process with a socket to that which has
 * the connections. */
void kam_hold_check(void);

#endif
