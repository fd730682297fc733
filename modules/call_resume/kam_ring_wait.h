/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients that are not there yet when they are called.
 */
#ifndef CR_KAM_RING_WAIT_H
#define CR_KAM_RING_WAIT_H

#include "kam.h"

/** Checks ring_wait. @return 0, or -1 and it is logged */
int kam_ring_wait_init(void);

/** 1 when the user that the Request-URI names had a client whose connection has just gone. */
int kam_has_left(struct sip_msg *msg);

int ki_resume_wait(struct sip_msg *msg);

/** usrloc's functions; NULL where it is not loaded, or manage is 0. */
struct usrloc_api *kam_usrloc(void);

#endif
