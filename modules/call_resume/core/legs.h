/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How long the sides of a call have been silent, and what is kept of it for us: from what
 * rtpengine says of it in its answer to the command query.
 */
#ifndef CR_LEGS_H
#define CR_LEGS_H

#include <jansson.h>

#include "label.h"

/** The newest time in an answer, in seconds since 1970 by rtpengine's clock; 0: none. */
int64_t cr_legs_newest(const json_t *answer);

/* What a media server's clock says, as far as the times that it tells show. It may be wrong,
 * and then is wrong by the same for all that is compared with it. All zero: nothing is known. */
typedef struct cr_clock
{
	int64_t newest_s; /* what the last look has seen */
	int64_t now_s;    /* what it said then; 0: not known */
	int64_t at_s;     /* when that was, by a clock of ours that is never set */
} cr_clock_t;

/** What it says now, at the most a little too low; 0: not known. */
int64_t cr_clock_now(const cr_clock_t *clock, int64_t at_s);

/**
 * A look at all that a media server knows: what comes in there shows the time. Where nothing
 * comes in, the time goes on from what it was.
 * @param newest_s  the newest time of all calls; 0: there was none
 */
void cr_clock_look(cr_clock_t *clock, int64_t newest_s, int64_t at_s);

/**
 * When something was last heard of a side.
 * @param last_s  receives it, by rtpengine's clock
 * @return CR_OK; CR_EMISSING: there is no such side; CR_EUNSUPPORTED: it need not send (it
 *         is on hold, and has no ICE, with which silence says something: RFC 7675)
 */
int cr_legs_last(
		int64_t *last_s, const json_t *answer, cr_span_t tag) CR_MUST_CHECK;

/**
 * Open the newest label of a call.
 * @param mem  CR_BOX_PLAIN_MAX bytes, holds the strings of label
 * @return CR_OK; CR_EMISSING: none that opens
 */
int cr_legs_label(cr_label_t *label, uint8_t mem[CR_BOX_PLAIN_MAX],
		const cr_env_t *env, const json_t *answer,
		cr_span_t call_id) CR_MUST_CHECK;

#endif
