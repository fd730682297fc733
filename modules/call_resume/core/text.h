/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a string may hold before it is written into a SIP message, a log line
 * or a JSON document. Every cr_text_is_...() returns 1 or 0; the empty string is
 * never good.
 */
#ifndef CR_TEXT_H
#define CR_TEXT_H

#include "span.h"

/** A kid or sid: A-Z a-z 0-9 . _ - and at most max of them. */
int cr_text_is_id(cr_span_t s, size_t max);

/** A token as RFC 3261 section 25.1 has it: tags, media kinds. */
int cr_text_is_token(cr_span_t s);

/**
 * A Call-ID. Wider than RFC 3261 section 25.1, because callers are: visible ASCII
 * without the comma and semicolon that would end it inside Replaces.
 */
int cr_text_is_call_id(cr_span_t s);

/**
 * An absolute URI that may stand between angle brackets or alone as a
 * Request-URI: a scheme, then UTF-8 without blanks, control characters,
 * quotes, backslashes and angle brackets.
 */
int cr_text_is_uri(cr_span_t s);

/** A token's sub: UTF-8 without control characters, double quotes, backslashes
 * and angle brackets. The apostrophe stays: it is a legal user part. */
int cr_text_is_sub(cr_span_t s);

/** Visible ASCII. */
int cr_text_is_visible(cr_span_t s);

/** Visible ASCII without quotes and backslash, at most max characters. */
int cr_text_is_plain(cr_span_t s, size_t max);

/** 1 when s begins with a line or paragraph separator of Unicode, or a mark that turns the
 * direction of writing (UAX #9), in UTF-8. */
int cr_text_is_mark(cr_span_t s);

/**
 * Copy what somebody else has written for people to read, in a log line say: a
 * byte that is no UTF-8, or part of a control character or of a mark as above, becomes a
 * question mark.
 * What is too long is cut off behind a whole character.
 * @param max  bytes at out, over 0; the zero behind the text needs one
 */
void cr_text_show(char *out, size_t max, cr_span_t s);

#endif
