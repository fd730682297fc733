/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "screen.h"

#include "text.h"

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

/* ---- what can be shown -------------------------------------------------------- */

/* A control character of ASCII that is no line end or tab; or, in UTF-8, one of C1, a
 * line or paragraph separator, or a mark that turns the direction of writing. */
static int is_control(cr_span_t s, size_t i)
{
	unsigned char c = (unsigned char)s.s[i];
	unsigned char next = i + 1 < s.len ? (unsigned char)s.s[i + 1] : 0;
	unsigned char last = i + 2 < s.len ? (unsigned char)s.s[i + 2] : 0;

	if(c < 0x20)
		return c != '\t' && c != '\r' && c != '\n';
	if(c < 0xc2)
		return c == 0x7f;
	if(c == 0xc2)
		return next >= 0x80 && next <= 0x9f;
	return c == 0xe2
			&& ((next == 0x80 && last >= 0xa8 && last <= 0xae)
					|| (next == 0x81 && last >= 0xa6 && last <= 0xa9));
}

static int is_plain_head(const cr_sip_t *m)
{
	cr_span_t head = cr_span_sub(
			m->text, 0, (size_t)(m->body.s - m->text.s));

	for(size_t i = 0; i < head.len; i++) {
		if(is_control(head, i))
			return 0;
	}
	return 1;
}

static int is_visible(cr_span_t s, size_t max)
{
	return s.len <= max && cr_text_is_visible(s);
}

/* What is left of a value that is read from its front. */
static void skip_blanks(cr_span_t *s)
{
	while(s->len > 0 && (is_line_end(*s->s) || *s->s == ' ' || *s->s == '\t'))
		*s = cr_span_sub(*s, 1, s->len);
}

/* Pass over the characters that are not among stop. @return how many */
static size_t skip_until(cr_span_t *s, const char *stop)
{
	size_t n = 0;

	while(n < s->len && s->s[n] != '\0' && strchr(stop, s->s[n]) == NULL)
		n++;
	*s = cr_span_sub(*s, n, s->len);
	return n;
}

static int skip_char(cr_span_t *s, char c)
{
	if(s->len == 0 || *s->s != c)
		return 0;
	*s = cr_span_sub(*s, 1, s->len);
	return 1;
}

/* quoted-string, in one line. @return 1, or 0 when there is none or it does not end */
static int skip_quoted(cr_span_t *s)
{
	if(!skip_char(s, '"'))
		return 0;
	for(;;) {
		skip_until(s, "\"\\\r\n");
		if(!skip_char(s, '\\'))
			return skip_char(s, '"');
		if(s->len == 0 || is_line_end(*s->s))
			return 0;
		*s = cr_span_sub(*s, 1, s->len);
	}
}

/* name-addr or addr-spec. */
static int skip_address(cr_span_t *s)
{
	cr_span_t bare = *s;
	size_t n;

	if(s->len > 0 && *s->s == '"') {
		if(!skip_quoted(s))
			return 0;
	} else {
		n = skip_until(&bare, "<>\" \t\r\n;");
		skip_until(s, "\"<>\r\n");
		if(s->len == 0 || *s->s != '<') {
			*s = bare;
			return n > 0;
		}
	}
	skip_blanks(s);
	return skip_char(s, '<') && skip_until(s, "<>\" \t\r\n") > 0
			&& skip_char(s, '>');
}

/* *( SEMI generic-param ) */
static int skip_params(cr_span_t *s)
{
	skip_blanks(s);
	while(skip_char(s, ';')) {
		skip_blanks(s);
		if(skip_until(s, "<>\" \t\r\n=;") == 0)
			return 0;
		skip_blanks(s);
		if(skip_char(s, '=')) {
			skip_blanks(s);
			if(skip_until(s, "<>\" \t\r\n=;") == 0 && !skip_quoted(s))
				return 0;
		}
		skip_blanks(s);
	}
	return s->len == 0;
}

/* From and To, and one Contact (RFC 3261 section 25.1). */
static int is_name_addr(cr_span_t s)
{
	skip_blanks(&s);
	return skip_address(&s) && skip_params(&s);
}

static int is_folded(cr_span_t s)
{
	return memchr(s.s, '\n', s.len) != NULL;
}

static int are_contacts_plain(const cr_sip_t *m)
{
	for(int i = 0; i < m->n_fields; i++) {
		const cr_field_t *f = &m->fields[i];

		if(f->id == CR_CONTACT && is_folded(f->value)
				&& !is_name_addr(f->value))
			return 0;
	}
	return 1;
}

static int is_party(const cr_sip_t *m, cr_hdr_t id)
{
	cr_span_t value = cr_sip_field(m, id)->value;

	return value.len <= CR_SCREEN_NAME_MAX && is_name_addr(value);
}

static int is_host_short(const cr_sip_t *m)
{
	cr_addr_t a;
	const char *at;

	if(cr_addr_parse(&a, cr_sip_field(m, CR_FROM)->value) != CR_OK)
		return 0;
	at = memchr(a.uri.s, '@', a.uri.len);
	if(at == NULL)
		at = memchr(a.uri.s, ':', a.uri.len);
	if(at != NULL)
		a.uri = cr_span_sub(a.uri, (size_t)(at - a.uri.s) + 1, a.uri.len);
	return skip_until(&a.uri, ";:?") <= CR_SCREEN_HOST_MAX;
}

int cr_screen_shows(const cr_sip_t *m)
{
	return is_visible(m->call_id, m->text.len)
			&& is_visible(m->method, CR_SCREEN_METHOD_MAX) && is_plain_head(m)
			&& is_party(m, CR_FROM) && is_party(m, CR_TO) && is_host_short(m)
			&& are_contacts_plain(m);
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
