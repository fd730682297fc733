/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections, by whose they are, and which of them are too many.
 */
#ifndef CR_CROWD_H
#define CR_CROWD_H

#include <stdint.h>

#include "span.h"

typedef struct cr_member
{
	uint64_t whose; /* an address or a user */
	int id;         /* rises with each connection, and wraps */
	int is_surplus;
} cr_member_t;

/** 1 when a connection is older than another one. */
static inline int cr_crowd_is_older(int id, int other)
{
	return (int)((unsigned)id - (unsigned)other) < 0;
}

/** As whose a user counts, however its name is written. */
uint64_t cr_crowd_user(cr_span_t sub);

/** Sort by whose they are, the oldest ones first. */
void cr_crowd_sort(cr_member_t *m, int n);

/**
 * How many everybody may have when there shall be no more than all of them: the
 * most that makes do, so that who has few keeps them, and who has most gives.
 * @param m     sorted
 * @param each  how many one may have in any case
 * @return 1 to each, also where one each is too many; each when that is 0
 */
int cr_crowd_share(const cr_member_t *m, int n, int each, int all);

/** Mark what is more than that of one. @param m  sorted  @param is_oldest  1: the
 * oldest ones go, 0: the newest  @return how many */
int cr_crowd_mark(cr_member_t *m, int n, int each, int is_oldest);

/** Mark the oldest ones that are left, so that no more than all are.
 * @param m  in any order, and out of order afterwards  @return how many */
int cr_crowd_mark_oldest(cr_member_t *m, int n, int all);

#endif
