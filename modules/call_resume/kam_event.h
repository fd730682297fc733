/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What became of a call that lost its client: counted, one line in the log, and
 * an event route, for CDRs, alarms and limits.
 */
#ifndef CR_KAM_EVENT_H
#define CR_KAM_EVENT_H

#include "kam.h"

#define KAM_EVENT_TEXT_MAX 255

/* What $resume() says in an event route. */
typedef struct kam_event
{
	int code; /* of the reply, 0: none */
	char reason[64];
	char sub[CR_SUB_MAX + 1]; /* empty: not known, as all strings here */
	char sid[CR_SID_MAX + 1];
	char id[CR_SESSION_ID_LEN + 1];
	char call_id[KAM_EVENT_TEXT_MAX + 1];
	char client_call_id[KAM_EVENT_TEXT_MAX + 1]; /* of N */
	char local_uri[KAM_EVENT_TEXT_MAX + 1];
	char local_tag[KAM_EVENT_TEXT_MAX + 1];
	char remote_uri[KAM_EVENT_TEXT_MAX + 1];
	const char *role;
	int64_t start; /* 0: not known */
	int away;      /* s, -1: not known */
} kam_event_t;

/** Look up the routes. @return 0, or -1 and it is logged */
int kam_event_init(void);

/** The event whose route runs now, or NULL. */
const kam_event_t *kam_event(void);

/** resume_dialog() refused the request. */
void kam_event_refused(struct sip_msg *msg);

/** resume_auth() refused it. Nothing happens when it is no resume.
 * @param code  status code that fits
 * @param why   word for the reason */
void kam_event_unauthorized(struct sip_msg *msg, int code, const char *why);

/** resume_dialog() was true: see what the far end says to it.
 * @return 0, or -1 and it is logged */
int kam_event_watch(struct sip_msg *msg);

/** resume_again() was true: tell when the new call is answered, and what is left of the
 * old one can go. @return 0, or -1 and it is logged */
int kam_event_watch_again(struct sip_msg *msg);

/** The call that a request is of is over here: its media can go. */
void kam_event_over(struct sip_msg *msg);

/** As kam_event_over(), of the INVITE of a transaction. */
void kam_event_call_over(const struct cell *t);

/** A client is back while its call rings, and the far end plays something: the script has to
 * give the client's offer to the media server. Nobody sends msg. */
void kam_event_offer(struct sip_msg *msg);

/** The reply to that, or one that may hold an answer, and whose transaction is not here, goes on, for it has
 * proved itself: the script may have to see to its SDP. */
void kam_event_answer(struct sip_msg *msg);

/** A call has been ended in the place of a client that did not come back. */
void kam_event_abandoned(const kam_event_t *e);

int ki_resume_ended(struct sip_msg *msg);

#endif
