/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A call as the tests of the edge play it: a client that comes back as N, the
 * gateway's two edges, and a peer that knows O. The gateway between the edges is
 * left out, but for its own Via.
 */
#ifndef HELPER_EDGE_H
#define HELPER_EDGE_H

#include "helper.h"

#include "edge.h"
#include "splice.h"

#define OUT_MAX 16384

extern cr_env_t env;
extern cr_state_t call;      /* O, as the client's state says it */
extern char buf[4][OUT_MAX]; /* messages on their way */
extern cr_sip_t m;           /* the one that was looked at last */
extern const char resume_invite[];

/* What the peer holds of the client: its Via, and the URI of its Contact. */
extern char *client_via, *client_contact;

/** Fixture: fills env and call. Each test's teardown is teardown(). */
int edge_setup(void **state);

/** Group teardown: frees what learn() has kept. */
int edge_teardown(void **state);

void assert_span(cr_span_t s, const char *want);

/** The value of a field that has to be in m. */
cr_span_t field(cr_hdr_t id);

/** Take a message apart into m. @return it */
cr_span_t parsed(const char *text, size_t len);

/** Through one of the edges; what comes out is in buf[to] and in m. */
cr_span_t pass(cr_edge_t (*edge)(char *, size_t, const cr_env_t *, cr_span_t),
		int to, cr_span_t text);

/** cr_edge_in() of a socket that nobody asks for: one for pass(). */
cr_edge_t edge_in(char *out, size_t out_max, const cr_env_t *e, cr_span_t text);

/** Print into buf[to]. */
cr_span_t text_of(int to, const char *format, ...);

int has(cr_span_t text, const char *needle);

/** The re-INVITE that the resume INVITE is turned into, in buf[0] and m. */
cr_span_t resumed(void);

/** To be freed. */
char *copy_of(cr_span_t s);

/** Resume, and fill client_via and client_contact. */
void learn(void);

/** A reply, or a request, of the peer in O. */
cr_span_t reply_of_peer(int to, int code, const char *cseq);
cr_span_t request_of_peer(int to, const char *method, const char *more);

/** A request of the client in N, to the tag that n_remote_tag() has given. */
cr_span_t request_of_client(
		int to, const char *method, const char *tag, const char *more);

/** The tag by which the client knows the peer after its resume; to be freed. */
char *n_remote_tag(void);

#endif
