/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The head of a message, before it is taken apart: whether all readers will find the
 * same fields in it, and where the message ends.
 */
#ifndef CR_HEAD_H
#define CR_HEAD_H

#include "err.h"
#include "sip.h"

/* No message has as many fields, and what is done for each of them may look at all
 * of the others. */
#define CR_HEAD_FIELDS_MAX 256

/* Nor as many parameters and values in its fields, each of which Kamailio's parsers keep
 * in memory of its own. */
#define CR_HEAD_PARTS_MAX 2048

typedef struct cr_head
{
	int is_sip;  /* SIP/2.0 is in the first line */
	int is_http; /* and a word that begins with HTTP/, which Kamailio takes for
					   * HTTP on every transport */
	size_t len;  /* bytes, the empty line and what is in front of the message
					   * included; 0 when it is cut off */
	int states;  /* there is a field of which cr_sip_is_state() */
	int folded;  /* a field goes on in another line */
	int fields;  /* how many there are */
	int parts;   /* semicolons and commas, where there may be too many */
	int lengths; /* how many Content-Length fields there are */
	cr_span_t length; /* the value of the last of them */
} cr_head_t;

/**
 * A SIP message is a head of lines that end in CR LF, and a body (RFC 3261 section
 * 7). Some readers end a line at a CR or LF alone, or the text at a NUL: they find
 * other fields than we do, so such a head is nobody's message. The body is not
 * looked at, and what names no SIP/2.0 in its first line is not judged; of HTTP fields
 * and parts are counted.
 * @param head  receives what was found; refers to text
 * @return CR_OK or CR_EMALFORMED
 */
int cr_head_read(cr_head_t *head, cr_span_t text) CR_MUST_CHECK;

/** 1 when there is a field whose name begins with Call-State. Finds no less than
 * cr_head_read(), in messages of ours too, which may have other line ends. */
int cr_head_states(cr_span_t text);

/**
 * Whether Kamailio's parser reads the rest of a head without a complaint: of the fields that it
 * takes apart at once (Via, To, CSeq, Retry-After, Content-Length) there is a Content-Length at
 * the most, with a number, and all the others have a name. Says no of some that it would read.
 * @param lines  from the beginning of a field, or the empty line, on
 */
int cr_head_is_easy(cr_span_t lines);

/** A field that goes on in another line means the same in one (RFC 3261 section 7.3.1):
 * each CR LF and the blank behind it become three blanks. The body stays as it is. */
void cr_head_unfold(char *text, size_t len);

/**
 * Where a message ends by its Content-Length: what is behind that is none of it (RFC
 * 3261 section 18.3).
 * @param end  receives the offset; the length of the text when there is no such field
 * @return CR_OK; CR_EMISSING: no such field; CR_EMALFORMED: several, no number, or
 *         more than there is
 */
int cr_head_end(
		const cr_head_t *head, cr_span_t text, size_t *end) CR_MUST_CHECK;

/**
 * The message with a Content-Length, which it has not: all that is behind the head.
 * @param out  receives the message, at most out_max bytes; not text itself
 * @return its length; CR_EMALFORMED: the head is cut off; CR_ETOOBIG
 */
int cr_head_frame(char *out, size_t out_max, const cr_head_t *head,
		cr_span_t text) CR_MUST_CHECK;

/** The text without the line ends in front of it (RFC 3261 section 7.5). */
cr_span_t cr_head_skip_all(cr_span_t text);

/** The same; most have none. */
static inline cr_span_t cr_head_skip(cr_span_t text)
{
	return text.len > 0 && text.s[0] > '\r' ? text : cr_head_skip_all(text);
}

#endif
