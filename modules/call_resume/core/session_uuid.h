/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Session-ID (RFC 7989), by which one call is seen in messages of different names. The
 * gateway adds it on behalf of a user agent that has none (section 7), and leaves the one
 * of a user agent that has. Nothing is kept: a user agent's UUID comes from the names of O,
 * which are the same before and after each resume, at each node.
 */
#ifndef CR_SESSION_UUID_H
#define CR_SESSION_UUID_H

#include "env.h"

/**
 * Put a Session-ID into a message of a call that has none. When OpenSSL fails, or the names
 * are too long, it stays without.
 * @param e  of m
 * @param m  about to go out, in the names of O
 */
void cr_session_uuid_put(cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m);

#endif
