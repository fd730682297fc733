/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pace.h"

#define SECOND 1000000

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A leaky bucket, by the time at which the next one is due. A second has room for a burst, and
 * for as many as are due in it. */
uint64_t cr_pace_take(
		cr_pace_t *p, uint64_t now_us, unsigned int per_s, unsigned int burst)
{
	uint64_t steady = per_s - burst;
	uint64_t each = (SECOND + steady - 1) / steady;

	p->due_us = later(p->due_us, now_us);
	if(p->due_us - now_us <= burst * each) {
		p->due_us += each;
		return 0;
	}
	p->queue_us = later(p->queue_us, now_us) + each;
	if(p->queue_us - now_us > CR_PACE_WAIT_MAX)
		p->queue_us = now_us + CR_PACE_WAIT_MAX;
	return p->queue_us - now_us;
}
