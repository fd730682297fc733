/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients that are lost before their call is answered. kam_early.c: one that is back while
 * it rings waits for the answer; kam_early_media.c: it hears what the far end plays until then;
 * kam_dialled.c: it had no state yet; kam_unheard.c: an answer that nobody is there for is
 * acknowledged in the client's place.
 */
#ifndef CR_KAM_EARLY_H
#define CR_KAM_EARLY_H

#include "kam.h"
#include "kam_resume.h"

/**
 * The state of a call that was answered while its client was away, as sealed then.
 * @param jwe   CR_JWE_MAX + 1 bytes
 * @param more  1: it has some more time now for its resume
 * @return the length, 0 when there is none
 */
typedef size_t (*kam_kept_t)(char *jwe, const cr_state_t *st, int more);

/* ---- kam_early.c ------------------------------------------------------------------- */

/** 1 for the transaction of the INVITE with those call_id, local_tag and cseq. */
int kam_early_is_of(struct cell *t, const cr_state_t *st);

/**
 * A client is back with a state of a call that was not answered when it was sealed.
 * @param o     opened; not changed, but for code and reason
 * @param kept  where the state is when the answer comes in between
 * @return 1: the call was answered, and msg is to resume it; 0: it has been seen to, the
 *         script has to end; -1: refused with code and reason; -2: likewise, and
 *         nothing is wrong with the state
 */
int kam_early_join(struct sip_msg *msg, kam_opened_t *o, kam_kept_t kept);

/** 1 when a client waits for the answer that is being relayed. */
int kam_early_waits(void);

/** It has been relayed: those who wait for it are to come again.
 * @param state  what they shall bring; empty: the one that they have, in a moment */
void kam_early_settle(cr_span_t state);

/** The reply at hand has been relayed: who waits for its call hears what the far end plays. */
void kam_early_hear(void);

/* ---- kam_early_media.c ------------------------------------------------------------- */

/** See what the far end plays before it answers the INVITE of a client, which is about to be
 * relayed. @return 0, or -1 and it is logged */
int kam_early_media_watch(struct sip_msg *msg);

/** The transaction for which the far end has begun to play with the reply at hand, referenced,
 * or NULL. Each is told once. */
struct cell *kam_early_media_begun(void);

/**
 * Have the media server join a client that is back to what the far end plays, and tell it.
 * @param first          the transaction that rings
 * @param index, label   of the one that waits
 * @return 1, or 0: nothing is played, or it cannot be heard
 */
int kam_early_media_play(struct cell *first, unsigned index, unsigned label);

/* ---- kam_dialled.c ---------------------------------------------------------------- */

/**
 * A client is back that has dialled, and had no state when it was lost.
 * @param st  with call_id, local_tag and cseq of its INVITE; receives ringing and fp
 * @return 1 when that is here, and by this session
 */
int kam_dialled_find(cr_state_t *st, const cr_token_t *by);

/* ---- kam_unheard.c ----------------------------------------------------------------- */

/* A reply to an INVITE of a client that is about to be sent to it. */
typedef struct kam_unheard
{
	int new_call;  /* the INVITE began it */
	int canceled;  /* the client wants it no more */
	int other;     /* another one than that of the call: of a fork */
	int repeated;  /* it has been sent before */
	int late;      /* the INVITE had no offer */
	int stray;     /* it has no transaction here, and goes where its Via says */
	uint32_t rseq; /* of a reliable provisional reply; 0: none */
	uint32_t cseq; /* for the PRACK to it */
	size_t ref_len;
	char ref[CR_BOX_TEXT_MAX]; /* the caller's session reference, of a new call */
} kam_unheard_t;

/** Before the fork; of the process that ends calls, by the main process. @return 0 or -1 */
int kam_unheard_init(void);
int kam_unheard_start(void);
void kam_unheard_destroy(void);

/** See whether somebody is there when that reply is sent: the next one to an INVITE. */
void kam_unheard_expect(const kam_unheard_t *what);

/** A message has been made ready for the network; at the edge. */
void kam_unheard_sent(const str *text, const struct dest_info *dst);

/** The reply at hand has been seen to, by tm as well: what it needs is done. */
void kam_unheard_settle(void);

/** A reply is over that was not sent. */
void kam_unheard_drop(void);

/** As kam_kept_t. */
size_t kam_unheard_state(char *jwe, const cr_state_t *st, int more);

/** The client has resumed that call, or acknowledged the answer itself: nobody hangs up for
 * it any more. The state stays for a client that is lost again before it has a newer one. */
void kam_unheard_resumed(const str *call_id);

/** That call is over. */
void kam_unheard_forget(const str *call_id);

#endif
