/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Quiet resumes: where nothing but the client's own side of a call has changed, the far end
 * gets no re-INVITE, see core/quiet.h. rtpengine joins the client's new media to the far
 * end's as they are.
 */
#ifndef KAM_QUIET_H
#define KAM_QUIET_H

#include "kam.h"

typedef enum kam_quiet_mode
{
	KAM_QUIET_OFF,
	KAM_QUIET_UPDATE, /* an UPDATE tells the far end where the client is now */
	KAM_QUIET_SILENT, /* nothing does */
	KAM_QUIET_N,
} kam_quiet_mode_t;

/** When all modules are loaded. @return 0, or -1 and it is logged */
int kam_quiet_init(void);

/** resume_dialog() was true: see whether the far end has to be asked, and if not, see to it
 * that it is not. Nothing is an error: the far end is asked then. */
void kam_quiet_prepare(struct sip_msg *msg);

/** 1 for the answer to an INVITE that the far end has not seen. */
int kam_is_quiet(struct sip_msg *reply);

/** That answer has gone to the client. @param t  its transaction */
void kam_quiet_answered(struct cell *t);

/** What comes in may be such an answer: to the script it comes from the far end.
 * @return 1 when it is */
int kam_quiet_in(cr_span_t text);

/** Before the next message. */
void kam_quiet_forget(void);

#endif
