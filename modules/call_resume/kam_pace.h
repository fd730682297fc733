/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How many resumes a second.
 */
#ifndef CR_KAM_PACE_H
#define CR_KAM_PACE_H

#include "kam.h"

/** Checks resumes_max. @return 0, or -1 and it is logged */
int kam_pace_init(void);
void kam_pace_destroy(void);

/** Counts a resume of a user, by the address of record.
 * @return 0: it may go on. Otherwise within how many seconds, 60 at the most, those that were
 *         refused so far can be back */
unsigned int kam_pace_resume(const str *user);

/** Put Retry-After (RFC 3261 section 20.33) into the reply to a request: from 1 to most_s
 * seconds, 255 at the most, at random, so that not all come again at once. */
void kam_put_retry_after(struct sip_msg *msg, unsigned int most_s);

#endif
