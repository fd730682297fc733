/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What other nodes and far ends are told.
 */
#ifndef CR_KAM_PASS_H
#define CR_KAM_PASS_H

#include "kam.h"

int ki_resume_pass(struct sip_msg *msg, str *from);

/** Say to the far end of a call what cr_contact_hide() needs: in the request at hand, or in the
 * replies to it. @return 0, or -1 and it is logged */
int kam_pass_hide(struct sip_msg *msg);

/** The far end of a new call is told no Record-Route of ours, and the client needs one: have
 * it put back into the replies. @return 0, or -1 and it is logged */
int kam_pass_watch_call(struct sip_msg *msg);

#endif
