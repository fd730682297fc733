/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A node of a cluster that is to be empty.
 */
#ifndef KAM_DRAIN_H
#define KAM_DRAIN_H

#include "kam.h"

/** Checks drain_time. @return 0, or -1 and it is logged */
int kam_drain_init(void);
void kam_drain_destroy(void);

/** 1 while this node is to take nobody new. */
int kam_is_draining(void);

void kam_rpc_drain(rpc_t *rpc, void *ctx);

#endif
