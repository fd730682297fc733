/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How many connections there may be.
 */
#ifndef CR_KAM_LIMIT_H
#define CR_KAM_LIMIT_H

#include "kam.h"

#define KAM_UNPROVED_TIME_MAX 3600

/** Checks unproved_max and unproved_time. @return 0, or -1 and it is logged */
int kam_limit_init(void);

/** Forks the process that closes connections; by the main process. @return 0 or -1 */
int kam_limit_start(void);

/** Whose a request is, where requests are counted: of who has proved it by a token or password, with it
 * or over its connection before; else of who has begun the call that it is in, or was called, counted
 * apart. 0: nobody's. */
int64_t kam_limit_user(struct sip_msg *msg);

int ki_resume_admit(struct sip_msg *msg);
int ki_resume_proved(struct sip_msg *msg);
int ki_resume_speaks_for(struct sip_msg *msg, str *address);

#endif
