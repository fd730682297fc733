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

typedef enum cr_verdict
{
	CR_KEEP,    /* send the message on as it is */
	CR_CHANGED, /* send what is in the output buffer instead */
	CR_DROP,    /* do not send it: it would show O to the client */
} cr_verdict_t;

typedef struct cr_edge
{
	cr_verdict_t verdict;
	size_t len;   /* of the new message, with CR_CHANGED */
	int refused;  /* why a map was refused, or CR_OK */
	int failed;   /* why nothing could be made of a map that opened, or CR_OK */
	int unsealed; /* why a state that was ordered was not sealed, or CR_OK */
	int spliced;  /* 1 when it was translated */
	int sealed;   /* 1 when a Call-State was sealed into the message */
	cr_span_t call_id; /* of the message; empty when it could not be parsed */
} cr_edge_t;

/**
 * A message has come in from the network.
 * @param out  out_max bytes, written with CR_CHANGED only; not text itself
 * @param own  the URI of the socket that it came to, or empty. A translated request
 *             in a dialog that has no Route gets one of it: its sender knows no route
 *             set, for the reply that had it was lost, and we are all there is between
 *             it and its target (RFC 3261 section 16.12)
 */
cr_edge_t cr_edge_in(char *out, size_t out_max, const cr_env_t *env,
		cr_span_t text, cr_span_t own);

/** A message is about to go out to the network. As cr_edge_in(). */
cr_edge_t cr_edge_out(
		char *out, size_t out_max, const cr_env_t *env, cr_span_t text);

/** 1 when a reply brings back a map of ours, which opens for its dialog, on the Via of
 * a client that has resumed. It has not been translated yet: cr_edge_out() does that. */
int cr_edge_proves(const cr_env_t *env, cr_span_t text);

/** 1 when a request names a dialog, as in Replaces (RFC 3891), for which the map in its
 * Request-URI opens: its sender has the Contact of a client that has resumed, and the
 * names of that call. */
int cr_edge_names(const cr_env_t *env, cr_span_t text);

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
