/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A client that has answered gets its state.
 */
#ifndef CR_KAM_PUSH_H
#define CR_KAM_PUSH_H

#include "kam.h"

int ki_resume_push(struct sip_msg *msg);

/** Send a client a NOTIFY outside of a dialog.
 * @param contact  the Request-URI
 * @param address  its address of record
 * @param hop      the URI of the next hop
 * @param state    the value of Call-State
 * @return CR_OK, CR_ETOOBIG or CR_EINTERNAL */
int kam_notify(cr_span_t contact, cr_span_t address, cr_span_t hop,
		struct socket_info *si, int proto, cr_span_t state) CR_MUST_CHECK;

#endif
