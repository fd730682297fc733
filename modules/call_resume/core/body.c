/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "body.h"

#define BOUNDARY_MAX 70 /* RFC 2046 section 5.1.1 */

static const cr_span_t sdp_type = CR_SPAN_INIT("application/sdp");

static int begins(cr_span_t s, cr_span_t with)
{
	return cr_span_eq_case(cr_span_sub(s, 0, with.len), with);
}

/* Up to the first of these characters, or all of it. */
static cr_span_t until(cr_span_t s, cr_chars_t ends)
{
	size_t n = 0;

	while(n < s.len && !cr_chars_have(&ends, s.s[n]))
		n++;
	return cr_span_sub(s, 0, n);
}

static int is_type(cr_span_t value, cr_span_t type)
{
	return cr_span_eq_case(cr_span_trim(until(value, cr_chars(";"))), type);
}

/* With its end. */
static cr_span_t take_line(cr_span_t *rest)
{
	const char *nl = memchr(rest->s, '\n', rest->len);
	size_t len = nl != NULL ? (size_t)(nl - rest->s) + 1 : rest->len;
	cr_span_t line = cr_span_sub(*rest, 0, len);

	*rest = cr_span_sub(*rest, len, rest->len);
	return line;
}

/* A line ends at a CR, LF or NUL, whoever reads it. */
static int may_be_description(cr_span_t s)
{
	int new_line = 1;

	for(size_t i = 0; i < s.len; i++) {
		char c = s.s[i];

		if(new_line && begins(cr_span_sub(s, i, 2), CR_SPAN("m=")))
			return 1;
		if(begins(cr_span_sub(s, i, sdp_type.len), sdp_type))
			return 1;
		new_line = c == '\r' || c == '\n' || c == '\0'
				|| (new_line && (c == ' ' || c == '\t'));
	}
	return 0;
}

/* ---- several parts --------------------------------------------------------- */

/* @return 1 when the body has parts, and can be taken apart */
static int find_boundary(cr_span_t *boundary, cr_span_t type)
{
	const cr_span_t name = CR_SPAN("boundary=");
	cr_span_t b = CR_SPAN("");

	if(!begins(type, CR_SPAN("multipart/")))
		return 0;
	while(type.len > 0 && !begins(b, name)) {
		b = until(type, cr_chars(";"));
		type = cr_span_sub(type, b.len + 1, type.len);
		b = cr_span_trim(b);
	}
	if(!begins(b, name))
		return 0;
	b = cr_span_sub(b, name.len, b.len);
	if(b.len >= 2 && b.s[0] == '"' && b.s[b.len - 1] == '"')
		b = cr_span_sub(b, 1, b.len - 2);
	*boundary = b;
	return b.len > 0 && b.len <= BOUNDARY_MAX
			&& until(b, cr_chars("\"\\")).len == b.len;
}

/* @return 1: a part begins behind this line; 2: the last one has ended; 0: neither */
static int is_delimiter(cr_span_t line, cr_span_t boundary)
{
	cr_span_t rest = cr_span_sub(line, 2 + boundary.len, line.len);

	if(!cr_span_eq(cr_span_sub(line, 0, 2), CR_SPAN("--"))
			|| !cr_span_eq(cr_span_sub(line, 2, boundary.len), boundary))
		return 0;
	rest = cr_span_trim(rest);
	if(rest.len == 0)
		return 1;
	return cr_span_eq(rest, CR_SPAN("--")) ? 2 : 0;
}

/* Up to the next delimiter. @return that delimiter's kind; 0 at the end of the body */
static int take_segment(cr_span_t *segment, cr_span_t *rest, cr_span_t boundary)
{
	const cr_span_t all = *rest;
	size_t len = 0;
	int kind = 0;

	while(rest->len > 0 && kind == 0) {
		cr_span_t line = take_line(rest);

		kind = is_delimiter(line, boundary);
		if(kind == 0)
			len += line.len;
	}
	*segment = cr_span_sub(all, 0, len);
	return kind;
}

/* A field of a part. @return 0 when the part is not plain application/sdp by it */
static int read_field(int *types, cr_span_t line)
{
	cr_span_t name = until(line, cr_chars(":"));
	cr_span_t value = cr_span_trim(cr_span_sub(line, name.len + 1, line.len));

	name = cr_span_trim(name);
	if(cr_span_eq_case(name, CR_SPAN("Content-Type"))) {
		(*types)++;
		return is_type(value, sdp_type);
	}
	if(cr_span_eq_case(name, CR_SPAN("Content-Transfer-Encoding")))
		return cr_span_eq_case(value, CR_SPAN("7bit"))
				|| cr_span_eq_case(value, CR_SPAN("8bit"))
				|| cr_span_eq_case(value, CR_SPAN("binary"));
	return !cr_span_eq_case(name, CR_SPAN("Content-Encoding"));
}

/* The line end in front of a delimiter is of that (RFC 2046 section 5.1.1), but a
 * description needs one (RFC 8866 section 9). */
static cr_span_t without_line_end(cr_span_t s)
{
	size_t len = s.len;

	if(len > 0 && s.s[len - 1] == '\n')
		len--;
	if(len > 0 && s.s[len - 1] == '\r')
		len--;
	return len == 0 || s.s[len - 1] == '\n' ? cr_span_sub(s, 0, len) : s;
}

/* @return 1 and the description when the part is one */
static int read_part(cr_span_t *sdp, cr_span_t part)
{
	int types = 0;

	while(part.len > 0) {
		cr_span_t line = take_line(&part);

		if(cr_span_trim(line).len == 0) {
			*sdp = without_line_end(part);
			return types == 1 && sdp->len > 0;
		}
		/* It goes on in a second line. */
		if(line.s[0] == ' ' || line.s[0] == '\t' || !read_field(&types, line))
			return 0;
	}
	return 0;
}

static cr_body_t read_parts(cr_span_t *sdp, cr_span_t boundary, cr_span_t body)
{
	cr_span_t one = {NULL, 0};
	int kind = 0, next;

	do {
		cr_span_t segment;

		next = kind == 2 ? 0 : take_segment(&segment, &body, boundary);
		if(kind == 2)
			segment = body;
		if(may_be_description(segment)) {
			/* In front of the first part, behind the last one, or not ended. */
			if(kind != 1 || next == 0 || one.len > 0
					|| !read_part(&one, segment))
				return CR_BODY_HIDDEN;
		}
		kind = next;
	} while(kind != 0);
	if(one.len == 0)
		return CR_BODY_NONE;
	*sdp = one;
	return CR_BODY_PART;
}

cr_body_t cr_body_read(cr_span_t *sdp, cr_span_t type, cr_span_t body)
{
	cr_span_t boundary;

	type = cr_span_trim(type);
	if(type.len == 0 || is_type(type, sdp_type)) {
		*sdp = body;
		return CR_BODY_SDP;
	}
	if(find_boundary(&boundary, type))
		return read_parts(sdp, boundary, body);
	return may_be_description(body) ? CR_BODY_HIDDEN : CR_BODY_NONE;
}
