/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the edge looks at in every message: whether it concerns us at all, whether it
 * can be read and shown, and which of the Call-State fields may pass.
 */
#ifndef CR_SCREEN_H
#define CR_SCREEN_H

#include "env.h"

/** 1 when a message may hold a map or an order. */
int cr_screen_mark_in(cr_span_t text);

/**
 * Whether a message can be shown: in a log line, say, that is one line and gives no
 * orders to a terminal. Nothing in its head is a control character but in line ends and
 * folds (RFC 3261 section 25.1), nor one that in Unicode ends a line or turns the
 * direction of writing; method and Call-ID are visible ASCII; From, To and a folded
 * Contact are of the grammar, and nobody's name is longer than CR_SCREEN_NAME_MAX.
 * @param m  taken apart by cr_sip_parse()
 * @return 1 or 0
 */
int cr_screen_shows(const cr_sip_t *m);

#define CR_SCREEN_NAME_MAX 3071 /* bytes of From or To */
#define CR_SCREEN_HOST_MAX 255  /* bytes of the host in From */
#define CR_SCREEN_METHOD_MAX 32 /* bytes */

/**
 * Whether a SIP parser reads the message without a complaint: what it complains of it
 * prints, with all that stands behind it.
 * @param m  taken apart by cr_sip_parse()
 * @return 1 or 0
 */
int cr_screen_reads(const cr_sip_t *m);

/** 1 when a message may hold a map, an order, or a field whose name begins with
 * Call-State. Everything else is left after this look. */
int cr_screen_concerned(cr_span_t text);

/**
 * Take off what nobody but a gateway writes: in a request there may be Call-State in
 * an INVITE that begins a dialog, its value CR_STATE_REPLACED in a BYE or
 * CR_STATE_LEAVING in an OPTIONS in a dialog, and
 * Call-State-Fingerprint and Call-State-Session in INVITE and REGISTER; in a reply there is nothing.
 * What has the mark of env (cr_screen_mark()) another node has written: see node.h.
 * @param e  of m
 */
void cr_screen_in(cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m);

/**
 * Take off what this gateway has not written: a field goes out when its value begins
 * with the mark of env, which is taken off it (cr_screen_mark()). Not the orders to
 * seal: they are run first, see seal.h.
 * @param sealed  a field that is left alone, or NULL
 */
void cr_screen_out(cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m,
		const cr_field_t *sealed);

/** Begin the value of a Call-State field that is to go out as it is. */
void cr_screen_mark(cr_writer_t *w, const cr_env_t *env);

#endif
