/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The edge: what every message goes through as it comes in from the network, and as it
 * goes out to it. Spliced dialogs are translated (splice.h), fields that nobody else
 * writes are taken off (screen.h), orders to seal are run (seal.h).
 */
#ifndef CR_EDGE_H
#define CR_EDGE_H

#include "env.h"

typedef enum cr_verdict
{
	CR_KEEP,    /* send the message on as it is */
	CR_CHANGED, /* send what is in the output buffer instead */
	CR_DROP, /* do not send it: it would show O to the client; or, of what has come
				   in: it has arrived, and goes no further */
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
	int quiet; /* 1 when it has become the answer to itself, or is the ACK to that: quiet.h */
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

#endif
