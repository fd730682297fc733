/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether a value is what RFC 3261 section 25.1 calls so, with blanks and folds where
 * it allows some. Each is somewhat wider than the RFC in its characters, and exact in
 * what ends a part. They return 1 or 0.
 */
#ifndef CR_GRAMMAR_H
#define CR_GRAMMAR_H

#include "sip.h"

/** From and To, and one value of Contact, Route or Record-Route. */
int cr_is_name_addr(cr_span_t s);

/** From or To as most are: perhaps a name in quotation marks, a URI in brackets, and nothing but
 * a tag behind it, which is a token. Narrower than the RFC: all readers find that one tag. */
int cr_is_plain_party(cr_span_t s);

/** One value of a Via. */
int cr_is_via(cr_span_t s);

/** The value of a CSeq. */
int cr_is_cseq(cr_span_t s);

/** A URI; one of SIP has user part if any, host, port, and the rest in their places. */
int cr_is_uri(cr_span_t s);

/** What stands in front of a field's colon, blanks behind the name included. */
int cr_is_field_name(cr_span_t s);

/** One to nine digits, and what may stand behind those of a Retry-After. */
int cr_is_number(cr_span_t s);

/** Pass over host and port of a URI, whatever they are: up to zero, ";", ":" or "?". @return
 * how many */
size_t cr_skip_host(cr_span_t *s);

#endif
