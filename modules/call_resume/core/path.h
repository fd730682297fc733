/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients whose first hop is a proxy, and not we. How it stays on the way, by Record-Route (RFC
 * 3261 section 16.6) and Path (RFC 3327), is taken off what comes in, and stands sealed in the
 * client's Contact, and in the Via for the replies. So everybody here sees a client that is
 * reached at the address of the proxy. On the way out it is put back. What the client sends within
 * the dialog brings it back in a Route of ours: a proxy need not record its route there (RFC 5626
 * section 5.3 has all in the token of the first one). Layout: wire.h.
 */
#ifndef CR_PATH_H
#define CR_PATH_H

#include "env.h"

/** 1 for a URI in a Route or Record-Route that names us. */
typedef int cr_path_own_f(cr_span_t uri);

/**
 * A message has come in from such a proxy.
 * @param out  receives the message, at most out_max bytes; not text itself
 * @return its length; 0: nothing is to be done; CR_ETOOBIG, CR_EMALFORMED, CR_EKEY,
 *         CR_EINTERNAL
 */
int cr_path_in(char *out, size_t out_max, const cr_env_t *env, cr_span_t text,
		cr_path_own_f *is_own) CR_MUST_CHECK;

/** A message goes out to such a proxy. As cr_path_in(); what does not open is taken off. */
int cr_path_out(char *out, size_t out_max, const cr_env_t *env, cr_span_t text,
		cr_path_own_f *is_own) CR_MUST_CHECK;

#endif
