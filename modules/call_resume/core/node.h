/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What nodes of a cluster send each other: each message, as a whole, is signed with the
 * key ring that they share. Layout: wire.h.
 */
#ifndef CR_NODE_H
#define CR_NODE_H

#include "env.h"

/* What a node says of a message that it passes on. Whoever gets it believes that, and
 * nothing that anybody else could have written. */
typedef struct cr_node_note
{
	unsigned node;            /* who has signed it */
	int64_t signed_s;         /* when, by its clock, seconds since 1970 */
	char kid[CR_KID_MAX + 1]; /* with which key */
	char from[8];  /* "trunk" or "client"; empty where it passes nothing on */
	char proto[8]; /* that it came over, in lower case */
	int resumed;   /* 1 for an INVITE that has resumed a call */
	char ref[CR_BOX_TEXT_MAX]; /* of the client that begins a call with it, or empty */
	size_t ref_len;
} cr_node_note_t;

/** Write the value of CR_HDR_NODE that cr_node_sign() completes. */
void cr_node_put(cr_writer_t *w, const cr_node_note_t *note);

/**
 * Sign a message. What it has of CR_HDR_NODE is completed, else there is one now.
 * @param out   receives the message, at most out_max bytes; not text itself
 * @param node  our own number
 * @return its length; CR_EMALFORMED (no SIP message), CR_EDUPLICATE (more than one such
 *         field), CR_ETOOBIG, CR_EKEY, CR_EINTERNAL
 */
int cr_node_sign(char *out, size_t out_max, const cr_env_t *env, cr_span_t text,
		unsigned node) CR_MUST_CHECK;

/**
 * Verify a message. CR_HDR_NODE is taken off; the other fields of gateways in it are as
 * good as our own, and marked so (cr_screen_mark()).
 * @param out    receives the message, at most out_max bytes; not text itself
 * @param note   receives what its sender says; with CR_EEXPIRED and CR_ENOTYET too
 * @param skew_s how far its clock and ours may differ, seconds
 * @return its length; CR_EMISSING (it is not signed), CR_EMALFORMED, CR_EDUPLICATE,
 *         CR_EKEY (with a key that we have not got), CR_EFORGED, CR_EEXPIRED or
 *         CR_ENOTYET (signed too long ago, or too far ahead), CR_ETOOBIG, CR_EINTERNAL
 */
int cr_node_open(char *out, size_t out_max, cr_node_note_t *note,
		const cr_env_t *env, cr_span_t text, int64_t skew_s) CR_MUST_CHECK;

#endif
