/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The message at hand: what others have found out about it.
 */
#ifndef CR_KAM_KNOWN_H
#define CR_KAM_KNOWN_H

#include "kam.h"
#include "kam_resume.h"
#include "kam_session.h"

/** The session of the message, never NULL; empty for a new message and outside
 * of request_route. */
kam_session_t *kam_session(struct sip_msg *msg);

/** As kam_session(). */
kam_opened_t *kam_opened(struct sip_msg *msg);

/** For the edge: a message has come in, of which nothing is known yet. */
void kam_know_received(void);

/** When the message has come in that this process received last, as kam_now_us(). */
uint64_t kam_received_us(void);

/** For the edge: whether it came in as N and has been translated. */
void kam_know_spliced(int is);

/** 1 when the message that this process received last came in as N and has been
 * translated. */
int kam_is_spliced(void);

/** 1 when the message that this process received last reads without a complaint of any
 * parser and can be shown, see screen.h. @param text  that message */
int kam_is_plain(cr_span_t text);

/** For resume_within_dialog(), before the Route changes. */
void kam_know_to_client(struct sip_msg *msg, int is);

/** As kam_is_to_client(), which need not be asked twice for a message. */
int kam_goes_to_client(struct sip_msg *msg);

/** For who makes the BYE of a client that does not come back (kam_hang_up.c): it is being
 * received, or no more. */
void kam_know_abandoned(int is);

/** 1 for a BYE that is sent in the place of a client which does not come back. Nothing from
 * the network is one. */
int kam_is_abandoned(void);

#endif
