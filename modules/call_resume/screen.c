/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "screen.h"

#include <strings.h>

#define PROTOCOL "SIP/2.0"
#define STATE CR_HDR_STATE

/* ---- the head -------------------------------------------------------------- */

static int is_line_end(char c)
{
	return c == '\r' || c == '\n';
}

/* Without the line ends in front of it (RFC 3261 section 7.5). */
static cr_span_t skip_line_ends(cr_span_t s)
{
	size_t n = 0;

	while(n < s.len && is_line_end(s.s[n]))
		n++;
	return cr_span_sub(s, n, s.len);
}

/* The first line, whatever ends it, names the protocol: by its slash it is found
 * in one walk. */
static int is_sip(cr_span_t text)
{
	const size_t at = 3; /* of the slash */
	const char *nl = memchr(text.s, '\n', text.len);
	cr_span_t line = {text.s, nl != NULL ? (size_t)(nl - text.s) : text.len};
	const char *p = line.s, *end = line.s + line.len;

	while((p = memchr(p, '/', (size_t)(end - p))) != NULL) {
		if((size_t)(p - line.s) >= at
				&& cr_span_eq_case(
						cr_span_sub(line, (size_t)(p - line.s) - at,
								sizeof(PROTOCOL) - 1),
						CR_SPAN(PROTOCOL)))
			return 1;
		p++;
	}
	return 0;
}

/* The next line without its LF, or all that is left. */
static cr_span_t next_line(cr_span_t *rest)
{
	const char *nl = memchr(rest->s, '\n', rest->len);
	size_t len = nl != NULL ? (size_t)(nl - rest->s) : rest->len;
	cr_span_t line = {rest->s, len};

	*rest = cr_span_sub(*rest, len + 1, rest->len);
	return line;
}

int cr_screen_head(cr_span_t text)
{
	cr_span_t rest = skip_line_ends(text);

	if(rest.len == 0 || !is_sip(rest))
		return CR_OK;
	while(rest.len > 0) {
		cr_span_t line = next_line(&rest);
		int ended = line.s + line.len < text.s + text.len;
		size_t good = ended && line.len > 0 ? line.len - 1 : line.len;

		if(memchr(line.s, '\0', line.len) != NULL
				|| memchr(line.s, '\r', good) != NULL
				|| (ended && (line.len == 0 || line.s[good] != '\r')))
			return CR_EMALFORMED;
		if(good == 0)
			return CR_OK; /* the body begins */
	}
	return CR_OK;
}

/* ---- does it concern us ------------------------------------------------------ */

/* memchr() for its rarest character is several times faster than memmem() for so
 * short a mark. */
static int has_mark(cr_span_t text)
{
	static const char mark[] = CR_MAP_MARK;
	const size_t at = 2; /* of the m */
	const char *p = text.s, *end = text.s + text.len;

	if(text.len < sizeof(mark) - 1)
		return 0;
	p += at;
	while((p = memchr(p, mark[at], (size_t)(end - p))) != NULL) {
		if(end - p >= (ptrdiff_t)(sizeof(mark) - 1 - at)
				&& memcmp(p - at, mark, sizeof(mark) - 1) == 0)
			return 1;
		p++;
	}
	return 0;
}

static int begins_state(cr_span_t s)
{
	return s.len >= sizeof(STATE) - 1 && (s.s[0] | 0x20) == 'c'
			&& strncasecmp(s.s, STATE, sizeof(STATE) - 1) == 0;
}

int cr_screen_states(cr_span_t text)
{
	cr_span_t rest = skip_line_ends(text);

	while(rest.len > 0) {
		cr_span_t line = next_line(&rest);

		if(line.len == 0 || (line.len == 1 && line.s[0] == '\r'))
			return 0;
		if(begins_state(rest))
			return 1;
	}
	return 0;
}

int cr_screen_concerned(cr_span_t text)
{
	return has_mark(text) || cr_screen_states(text);
}

/* ---- which fields may pass ---------------------------------------------------- */

static int is_method(const cr_sip_t *m, const char *name)
{
	return m->status == 0 && cr_span_eq(m->method, cr_span_str(name));
}

static int may_come_in(const cr_sip_t *m, const cr_field_t *f)
{
	int invite = is_method(m, "INVITE");

	switch(f->id) {
		case CR_CALL_STATE:
			if(is_method(m, "BYE"))
				return cr_span_eq(f->value, CR_SPAN(CR_STATE_REPLACED));
			return invite && cr_tag_of(cr_sip_field(m, CR_TO)->value).len == 0;
		case CR_FINGERPRINT:
			return invite || is_method(m, "REGISTER");
		case CR_STATE_OTHER:
			return 0;
		default:
			return 1;
	}
}

void cr_screen_in(cr_edits_t *e, const cr_sip_t *m)
{
	for(int i = 0; i < m->n_fields; i++) {
		if(!may_come_in(m, &m->fields[i]))
			cr_edit_replace(e, m->fields[i].line, NULL, 0);
	}
}

void cr_screen_mark(cr_writer_t *w, const cr_env_t *env)
{
	cr_put_str(w, CR_MAP_MARK " ");
	cr_put_str(w, env->order_mark);
	cr_put_str(w, " = ");
}

/* The mark in front of a value that is to go out as it is; empty when there is
 * none. */
static cr_span_t mark_of(const cr_env_t *env, cr_span_t value)
{
	char mem[64];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	cr_span_t mark;

	cr_screen_mark(&w, env);
	mark = cr_span_sub(value, 0, w.len);
	if(cr_writer_end(&w) != CR_OK || !cr_span_eq(mark, cr_written(&w)))
		mark.len = 0;
	return mark;
}

void cr_screen_out(cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m,
		const cr_field_t *sealed)
{
	for(int i = 0; i < m->n_fields; i++) {
		const cr_field_t *f = &m->fields[i];
		cr_span_t mark;

		if(f == sealed
				|| (f->id != CR_CALL_STATE && f->id != CR_FINGERPRINT
						&& f->id != CR_STATE_OTHER))
			continue;
		mark = mark_of(env, f->value);
		cr_edit_replace(e, mark.len > 0 ? mark : f->line, NULL, 0);
	}
}
