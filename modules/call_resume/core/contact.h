/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the far end of a call is told in a cluster. Its requests have to find the node that
 * the client is connected to, and its route set is for ever (RFC 3261 section 12.2); the
 * Contact is not. So it gets no Record-Route of ours: the Contact of the client stands for
 * both, and every resume moves it. Layout: wire.h.
 */
#ifndef CR_CONTACT_H
#define CR_CONTACT_H

#include "env.h"

/* Where a message leaves a node, or has come to it. */
typedef struct cr_contact_here
{
	cr_span_t host; /* an address, or a name */
	unsigned port;
	cr_span_t proto; /* in lower case; empty for UDP */
} cr_contact_here_t;

/**
 * A message goes out. One to a far end loses our Record-Route, and its Contact becomes that
 * of the node. A far end is who gets a new INVITE of a client, and is no client; who has
 * sent one to a client, in the replies; and where CR_HDR_FAR says so, whose value are the
 * parameters of our Route.
 * @param out  receives the message, at most out_max bytes; not text itself
 * @return its length; 0: it is none of those; CR_EMALFORMED, CR_ETOOBIG, CR_EKEY,
 *         CR_EINTERNAL: it is, and must not go out as it is
 */
int cr_contact_hide(char *out, size_t out_max, const cr_env_t *env,
		cr_span_t text, const cr_contact_here_t *here) CR_MUST_CHECK;

/**
 * A message has come in. In a request to such a Contact the client's own is back, and in a
 * dialog a Route that names here.
 * @param out  as cr_contact_hide()
 * @return its length; 0: it is none of those; CR_EKEY, CR_EFORGED, CR_EMALFORMED,
 *         CR_ETOOBIG, CR_EINTERNAL: it is, and does not open
 */
int cr_contact_show(char *out, size_t out_max, const cr_env_t *env,
		cr_span_t text, const cr_contact_here_t *here) CR_MUST_CHECK;

/** 1 for a Record-Route of a new INVITE that cr_contact_hide() takes off. */
int cr_contact_is_hidden(const cr_sip_t *m, cr_span_t route);

/** The value of CR_HDR_FAR for a request in a dialog, of the URI of our Route: what a far
 * end is to be told instead of it. */
void cr_contact_put_params(cr_writer_t *w, cr_span_t route);

#endif
