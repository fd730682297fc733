/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients that are lost while they ring.
 */
#ifndef CR_KAM_RING_AGAIN_H
#define CR_KAM_RING_AGAIN_H

#include "kam.h"

/** Before the fork. @return 0, also where there is no registrar, or -1 */
int kam_ring_again_init(void);
void kam_ring_again_destroy(void);

/** A call of which a branch goes to a client of that user. */
void kam_ring_again_note(struct cell *t, const str *user);

/** End the branches of a call whose client was reached over a connection that is gone:
 * what the other ones say is all that there will be.
 * @param but  a branch that stays as it is; -1: none
 * @return how many others have no final answer yet */
int kam_ring_again_end_gone(struct cell *t, int but);

/** 1 when that call of a user, who was called, is here, and has not been answered by the
 * client of that state: its 200 got lost, and the call rings, or another client has it. */
int kam_ring_again_is_other(const str *user, const cr_state_t *st);

/** 1 for a branch to a client whose connection is there no more. */
int kam_ring_again_is_gone(const struct ua_client *uac);

/** A client has registered: what rings at its user rings there too, as much as its connection
 * has room for.
 * @param msg      its REGISTER
 * @param user     an address of record
 * @param contact  the URI of the client's */
void kam_ring_again(struct sip_msg *msg, str *user, const str *contact);

/** The script is over that has had a reply: where it was a client's, to a call that rings
 * again, others may do so. */
void kam_ring_again_heard(void);

/** The script is over that has called clients, and whoever registers now finds its calls;
 * likewise for those that registered meanwhile. */
void kam_ring_again_made(void);

#endif
