/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The BYE in the place of a client that does not come back.
 */
#ifndef KAM_HANG_UP_H
#define KAM_HANG_UP_H

#include "kam.h"
#include "kam_event.h"

#include "core/label.h"

/* Whose call it is, for the log and the event route. */
typedef struct kam_gone
{
	kam_event_t e;
	int silent_s;
	char far_tag[KAM_EVENT_TEXT_MAX + 1];
} kam_gone_t;

/** Before the fork; once is enough. @return 0, or -1 and it is logged */
int kam_hang_up_init(void);

/** What the Via of a BYE for kam_hang_up_receive() says (RFC 3261 section 18.1.1), empty where
 * that cannot be used. */
cr_span_t kam_hang_up_via(void);

/**
 * Receive a BYE that has been written in the place of a client. Its answer goes where
 * nobody listens, but it goes: tm tells dialog and acc of no answer that cannot be sent.
 * $resume(abandoned) is 1 meanwhile.
 * @param text  zero-terminated, in a buffer of BUF_SIZE bytes
 */
void kam_hang_up_receive(char *text, int len);

/**
 * Send the BYE. What becomes of it is counted and logged; where it is refused the call is one
 * that has not ended (kam_ended.h).
 * @param side  of the client that is gone
 * @param ref   of that side
 */
void kam_hang_up(const cr_env_t *env, const cr_label_t *label,
		cr_span_t call_id, cr_side_t side, const cr_ref_t *ref,
		const kam_gone_t *g);

#endif
