/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The splice: between N, the dialog that a resumed client sees, and O, the one
 * that everybody else sees. Where the maps travel:
 *
 *	map to N  on the client's Via (it comes back in every reply) and on the
 *	          Contact that the peer gets (it comes back as Request-URI)
 *	map to O  inside the remote tag that the client gets (it comes back in
 *	          everything that names the dialog: requests, replies, Replaces)
 *
 *	message                   found by               done
 *	in,  request from client  map in the To tag      N to O
 *	in,  reply from client    map in the From tag    N to O
 *	out, request to client    map in the Request-URI O to N
 *	out, reply to client      map in the top Via     O to N
 *
 * What goes out to a client with a map that does not open is dropped: it would
 * show O, in which the client is not any more.
 *
 * From and To URIs, Call-ID, the client's tag, CSeq and RAck of the client's
 * requests, and dialog names in other fields are translated; nothing else is.
 */
#ifndef CR_SPLICE_H
#define CR_SPLICE_H

#include "env.h"

/**
 * Turn a fresh INVITE with a Call-State into the re-INVITE of O: Request-URI,
 * Route, From, To, Call-ID and CSeq are O's, Via and Contact get their maps,
 * Call-State and Authorization go.
 * @param state    the opened state
 * @param own_tag  the client's tag in O where the state has none; may be empty
 * @return the length of the new message; CR_EMALFORMED (no SIP, no INVITE or
 *         no Contact), CR_EUNSUPPORTED (it has a To tag), CR_EMISSING (no tag
 *         of the client), CR_ETOOBIG, CR_EKEY, CR_EINTERNAL
 */
int cr_splice_resume(char *out, size_t out_max, const cr_env_t *env,
		const cr_state_t *state, cr_span_t own_tag,
		cr_span_t text) CR_MUST_CHECK;

#endif
