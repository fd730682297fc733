/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When a call was answered: sealed into our own Record-Route of the answer, towards the client that
 * has called. So it stands in the Route of what that one sends in the call, and in its states.
 * Layout: wire.h.
 */
#ifndef CR_ANSWERED_H
#define CR_ANSWERED_H

#include "env.h"

#define CR_ANSWERED_MAX 80 /* characters of the parameter */

/**
 * Write the parameter of our Record-Route, with its semicolon and name.
 * @param answered_s  seconds since 1970
 * @return CR_OK, CR_ETOOBIG (no room in w), CR_EKEY (no usable key) or CR_EINTERNAL
 */
int cr_answered_put(cr_writer_t *w, const cr_env_t *env, cr_span_t call_id,
		int64_t answered_s) CR_MUST_CHECK;

/** What a Route of ours says of it, without brackets: seconds since 1970; 0: nothing, or nothing
 * that opens in this call. */
int64_t cr_answered_of(const cr_env_t *env, cr_span_t call_id, cr_span_t route);

#endif
