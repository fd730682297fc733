/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a reader of a stream that cannot read everything may be given at a time.
 */
#ifndef CR_READER_H
#define CR_READER_H

#include "span.h"

/** Most of the time all of it. When there is something of MSRP, or of HTTP in chunks, in
 * it: what is some way in front of that, and then no more than of one message, the head first.
 * @param text   what is there of the message so far, and what has arrived
 * @param fresh  from where in it that has arrived; less than its length
 * @param to_go  bytes that its body lacks; 0: its head is not over
 * @return up to where in text, more than fresh */
size_t cr_reader_end_of(cr_span_t text, size_t fresh, size_t to_go);

#endif
