/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * So many a second and no more, for what everybody wants at once.
 */
#ifndef CR_PACE_H
#define CR_PACE_H

#include <stdint.h>

/** No longer than this is anybody told to wait, in microseconds. */
#define CR_PACE_WAIT_MAX 60000000

/** Zeros: nobody has been here yet. */
typedef struct cr_pace
{
	uint64_t due_us;   /* when the next one is due, one after the other */
	uint64_t queue_us; /* until when those that were refused would take */
} cr_pace_t;

/**
 * May one more go on?
 * @param now_us  of a clock that does not go back
 * @param per_s   how many may, in whatever second one looks at; over 0
 * @param burst   how many of these may come together; less than per_s
 * @return 0: yes. Otherwise within how many microseconds all that were refused so far can
 *         have had their turn, CR_PACE_WAIT_MAX at the most: whoever comes back at a random
 *         moment of these meets few others
 */
uint64_t cr_pace_take(
		cr_pace_t *p, uint64_t now_us, unsigned int per_s, unsigned int burst);

#endif
