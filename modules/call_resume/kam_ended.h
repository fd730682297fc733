/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls that the far end of a client has ended.
 */
#ifndef KAM_ENDED_H
#define KAM_ENDED_H

#include "kam.h"

/** Before the fork. @return 0, or -1 and it is logged */
int kam_ended_init(void);
void kam_ended_destroy(void);

/** The far end has sent this BYE to a client that can resume; it has proved to be in the
 * call (kam_in_call()). Good for state_lifetime. */
void kam_ended_note(struct sip_msg *bye);

/** The client has refused that BYE: its call goes on. */
void kam_ended_forget(struct sip_msg *bye);

/** 1 when the far end of that call has hung up, as far as is known here. */
int kam_ended_is(const cr_state_t *st);

#endif
