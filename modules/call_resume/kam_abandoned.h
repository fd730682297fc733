/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls whose client does not come back.
 */
#ifndef KAM_ABANDONED_H
#define KAM_ABANDONED_H

#include "kam.h"

/** Checks abandoned_after and media_server. @return 0, or -1 and it is logged */
int kam_abandoned_init(void);
void kam_abandoned_destroy(void);

/** How many calls have a client that is registered at this node, of those that the media
 * servers tell of; -1: none is asked, or one does not answer. */
int kam_calls_here(void);

/** Forks the process that looks; by the main process. @return 0 or -1 */
int kam_abandoned_start(void);

/** 1 where such calls are ended. */
int kam_abandoned_is_on(void);

/** See what becomes of such a BYE; nothing for other requests. */
void kam_abandoned_watch(struct sip_msg *msg);

/** call_resume.abandoned and call_resume.end. */
void kam_rpc_abandoned(rpc_t *rpc, void *ctx);
void kam_rpc_end(rpc_t *rpc, void *ctx);

#endif
