/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "sip.h"
#include "wire.h"

#include <strings.h>

/* ---- spans --------------------------------------------------------------- */

int cr_span_eq_case(cr_span_t a, cr_span_t b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.s, b.s, a.len) == 0);
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

cr_span_t cr_span_trim(cr_span_t s)
{
	while(s.len > 0 && is_blank(s.s[0])) {
		s.s++;
		s.len--;
	}
	while(s.len > 0 && is_blank(s.s[s.len - 1]))
		s.len--;
	return s;
}

/* Signs that divide values, by what they do. */
enum
{
	QUOTE = 1,
	OPEN = 2,
	CLOSE = 4,
	COMMA = 8,
	SEMICOLON = 16,
	QUESTION = 32,
	EQUALS = 64,
	BLANK = 128,
};

static const uint8_t signs[256] = {
		['"'] = QUOTE,
		['<'] = OPEN,
		['>'] = CLOSE,
		[','] = COMMA,
		[';'] = SEMICOLON,
		['?'] = QUESTION,
		['='] = EQUALS,
		[' '] = BLANK,
		['\t'] = BLANK,
		['\r'] = BLANK,
		['\n'] = BLANK,
};

/* The offset of the first of these signs at or behind i, or the length. */
static size_t find_sign(cr_span_t s, size_t i, unsigned which)
{
	while(i < s.len && !(signs[(unsigned char)s.s[i]] & which))
		i++;
	return i;
}

/* Behind the quoted string that begins at i. */
static size_t skip_quoted(cr_span_t s, size_t i)
{
	for(i++; i < s.len && s.s[i] != '"'; i++) {
		if(s.s[i] == '\\')
			i++;
	}
	return i + 1;
}

/* Behind the URI in brackets that begins at i. */
static size_t skip_bracketed(cr_span_t s, size_t i)
{
	for(;;) {
		i = find_sign(s, i, QUOTE | CLOSE);
		if(i >= s.len || s.s[i] == '>')
			return i + 1;
		i = skip_quoted(s, i);
	}
}

/* The offset of the first of these signs that is neither in a quoted string nor, when
 * brackets is set, between < and >; s.len when there is none. */
static size_t find_unquoted(cr_span_t s, unsigned which, int brackets)
{
	unsigned stop = which | QUOTE | (brackets ? OPEN : 0);
	size_t i = 0;

	while((i = find_sign(s, i, stop)) < s.len) {
		if(signs[(unsigned char)s.s[i]] & which)
			return i;
		i = s.s[i] == '"' ? skip_quoted(s, i) : skip_bracketed(s, i);
	}
	return s.len;
}

/* ---- the message --------------------------------------------------------- */

/* Long and compact names (RFC 3261 section 7.3.3; RFC 3515 for r). */
static const struct
{
	cr_span_t name;
	char compact;
} hdr_names[CR_HDR_N] = {
		[CR_VIA] = {CR_SPAN_INIT("Via"), 'v'},
		[CR_FROM] = {CR_SPAN_INIT("From"), 'f'},
		[CR_TO] = {CR_SPAN_INIT("To"), 't'},
		[CR_CALL_ID] = {CR_SPAN_INIT("Call-ID"), 'i'},
		[CR_CSEQ] = {CR_SPAN_INIT("CSeq"), '\0'},
		[CR_CONTACT] = {CR_SPAN_INIT("Contact"), 'm'},
		[CR_ROUTE] = {CR_SPAN_INIT("Route"), '\0'},
		[CR_RECORD_ROUTE] = {CR_SPAN_INIT("Record-Route"), '\0'},
		[CR_RACK] = {CR_SPAN_INIT("RAck"), '\0'},
		[CR_REPLACES] = {CR_SPAN_INIT("Replaces"), '\0'},
		[CR_JOIN] = {CR_SPAN_INIT("Join"), '\0'},
		[CR_REFER_TO] = {CR_SPAN_INIT("Refer-To"), 'r'},
		[CR_TARGET_DIALOG] = {CR_SPAN_INIT("Target-Dialog"), '\0'},
		[CR_AUTHORIZATION] = {CR_SPAN_INIT("Authorization"), '\0'},
		[CR_SESSION_ID] = {CR_SPAN_INIT("Session-ID"), '\0'},
		[CR_CALL_STATE] = {CR_SPAN_INIT("Call-State"), '\0'},
		[CR_FINGERPRINT] = {CR_SPAN_INIT(CR_HDR_FINGERPRINT), '\0'},
		[CR_SESSION] = {CR_SPAN_INIT(CR_HDR_SESSION), '\0'},
		[CR_STATE_OTHER] = {CR_SPAN_INIT("Call-State-"), '\0'},
};

/* Lengths first: most fields of a message have none of these names. */
static cr_hdr_t hdr_by_name(cr_span_t name)
{
	for(int i = 0; i < CR_HDR_N; i++) {
		if(name.len == 1 ? hdr_names[i].compact == (name.s[0] | 0x20)
						 : name.len == hdr_names[i].name.len
								&& cr_span_eq_case(name, hdr_names[i].name))
			return i;
	}
	/* The last of them is only how a name begins. */
	name.len = name.len > hdr_names[CR_STATE_OTHER].name.len
			? hdr_names[CR_STATE_OTHER].name.len
			: 0;
	return cr_span_eq_case(name, hdr_names[CR_STATE_OTHER].name)
			? CR_STATE_OTHER
			: CR_HDR_N;
}

/* Take one line, with its line end and, for a header field, with the lines
 * that continue it (RFC 3261 section 7.3.1). */
static cr_span_t take_line(cr_span_t *rest, int folds)
{
	size_t i = 0;

	do {
		const char *nl = memchr(rest->s + i, '\n', rest->len - i);

		if(nl == NULL)
			return (cr_span_t){rest->s, 0};
		i = (size_t)(nl - rest->s) + 1;
	} while(folds && i < rest->len
			&& (rest->s[i] == ' ' || rest->s[i] == '\t'));

	cr_span_t line = {rest->s, i};
	*rest = cr_span_sub(*rest, i, rest->len);
	return line;
}

static int parse_status(cr_sip_t *m, cr_span_t line)
{
	cr_span_t code = cr_span_sub(line, 8, 3);

	if(code.len < 3 || line.len < 11)
		return CR_EMALFORMED;
	for(size_t i = 0; i < 3; i++) {
		if(code.s[i] < '0' || code.s[i] > '9')
			return CR_EMALFORMED;
		m->status = m->status * 10 + (code.s[i] - '0');
	}
	return m->status >= 100 ? CR_OK : CR_EMALFORMED;
}

static int parse_first_line(cr_sip_t *m, cr_span_t line)
{
	line = cr_span_trim(line);
	if(cr_span_eq_case(cr_span_sub(line, 0, 8), CR_SPAN("SIP/2.0 ")))
		return parse_status(m, line);

	const char *sp = memchr(line.s, ' ', line.len);
	if(sp == NULL || sp == line.s)
		return CR_EMALFORMED;
	m->method = cr_span_sub(line, 0, (size_t)(sp - line.s));
	line = cr_span_sub(line, m->method.len + 1, line.len);
	sp = memchr(line.s, ' ', line.len);
	if(sp == NULL || sp == line.s
			|| !cr_span_eq_case(cr_span_sub(line, (size_t)(sp - line.s) + 1, 8),
					CR_SPAN("SIP/2.0")))
		return CR_EMALFORMED;
	m->ruri = cr_span_sub(line, 0, (size_t)(sp - line.s));
	return CR_OK;
}

static int add_field(cr_sip_t *m, cr_span_t line)
{
	const char *colon = memchr(line.s, ':', line.len);

	if(colon == NULL)
		return CR_EMALFORMED;
	size_t at = (size_t)(colon - line.s);
	cr_hdr_t id = hdr_by_name(cr_span_trim(cr_span_sub(line, 0, at)));
	if(id == CR_HDR_N)
		return CR_OK;
	if(m->n_fields == CR_SIP_FIELDS_MAX)
		return CR_ETOOBIG;
	m->fields[m->n_fields++] = (cr_field_t){
			.id = id,
			.line = line,
			.value = cr_span_trim(cr_span_sub(line, at + 1, line.len)),
	};
	return CR_OK;
}

/* CSeq = 1*DIGIT LWS Method, below 2^31 (RFC 3261 section 8.1.1.5). */
static int parse_cseq(cr_sip_t *m, cr_span_t value)
{
	uint64_t n = 0;
	size_t i = 0;

	while(i < value.len && i < 10 && value.s[i] >= '0' && value.s[i] <= '9')
		n = n * 10 + (uint64_t)(value.s[i++] - '0');
	if(i == 0 || n > INT32_MAX || i == value.len || !is_blank(value.s[i]))
		return CR_EMALFORMED;
	m->cseq = (uint32_t)n;
	m->cseq_digits = cr_span_sub(value, 0, i);
	if(m->status != 0)
		m->method = cr_span_trim(cr_span_sub(value, i, value.len));
	return CR_OK;
}

static int check_fields(cr_sip_t *m)
{
	static const cr_hdr_t once[] = {CR_FROM, CR_TO, CR_CALL_ID, CR_CSEQ};
	int count[CR_HDR_N] = {0};

	for(int i = 0; i < m->n_fields; i++)
		count[m->fields[i].id]++;
	for(size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		if(count[once[i]] != 1)
			return count[once[i]] ? CR_EDUPLICATE : CR_EMALFORMED;
	}
	if(count[CR_VIA] == 0)
		return CR_EMALFORMED;
	m->call_id = cr_sip_field(m, CR_CALL_ID)->value;
	if(m->call_id.len == 0)
		return CR_EMALFORMED;
	return parse_cseq(m, cr_sip_field(m, CR_CSEQ)->value);
}

static int begins_with(cr_span_t s, const char *start)
{
	return cr_span_eq(cr_span_sub(s, 0, strlen(start)), cr_span_str(start));
}

int cr_sip_parse(cr_sip_t *m, cr_span_t text)
{
	cr_span_t rest = text, line;
	int err, end;

	m->text = text;
	m->status = 0;
	m->n_fields = 0;
	m->ruri = m->method = m->body = (cr_span_t){text.s, 0};
	/* RFC 3261 section 7.5: line ends in front of a message are nothing. */
	while(rest.len > 0 && is_blank(rest.s[0]))
		rest = cr_span_sub(rest, 1, rest.len);
	if(rest.len == 0)
		return CR_EMALFORMED;
	line = take_line(&rest, 0);
	if(line.len == 0)
		return CR_EMALFORMED;
	err = parse_first_line(m, line);
	while(err == CR_OK) {
		if(rest.len == 0)
			return CR_EMALFORMED; /* no empty line before the body */
		end = begins_with(rest, "\r\n") || begins_with(rest, "\n");
		line = take_line(&rest, !end);
		if(line.len == 0)
			return CR_EMALFORMED;
		if(end)
			break;
		err = add_field(m, line);
	}
	m->body = rest;
	return err == CR_OK ? check_fields(m) : err;
}

const cr_field_t *cr_sip_field(const cr_sip_t *m, cr_hdr_t id)
{
	for(int i = 0; i < m->n_fields; i++) {
		if(m->fields[i].id == id)
			return &m->fields[i];
	}
	return NULL;
}

int cr_sip_next(
		const cr_sip_t *m, cr_hdr_t id, cr_value_iter_t *it, cr_span_t *value)
{
	for(;;) {
		while(it->rest.len == 0) {
			if(it->field == m->n_fields)
				return 0;
			if(m->fields[it->field].id == id)
				it->rest = m->fields[it->field].value;
			it->field++;
		}
		size_t comma = find_unquoted(it->rest, COMMA, 1);
		*value = cr_span_trim(cr_span_sub(it->rest, 0, comma));
		it->rest = cr_span_sub(it->rest, comma + 1, it->rest.len);
		if(value->len > 0)
			return 1;
	}
}

/* ---- values -------------------------------------------------------------- */

int cr_addr_parse(cr_addr_t *a, cr_span_t value)
{
	size_t open = find_unquoted(value, OPEN, 0), end;

	a->value = value;
	if(open < value.len) {
		cr_span_t from = cr_span_sub(value, open, value.len);
		const char *close = memchr(from.s, '>', from.len);

		if(close == NULL)
			return CR_EMALFORMED;
		end = open + (size_t)(close - from.s) + 1;
		a->spec = cr_span_sub(value, open, end - open);
		a->uri = cr_span_sub(value, open + 1, a->spec.len - 2);
	} else {
		/* RFC 3261 section 20: without brackets, parameters are the field's */
		end = find_unquoted(value, SEMICOLON | BLANK, 0);
		a->uri = a->spec = cr_span_sub(value, 0, end);
	}
	a->params = cr_span_sub(value, end, value.len);
	return a->uri.len > 0 ? CR_OK : CR_EMALFORMED;
}

static size_t skip_blanks(cr_span_t s, size_t i)
{
	while(i < s.len && is_blank(s.s[i]))
		i++;
	return i;
}

/* Where a value that begins at i ends. */
static size_t value_end(cr_span_t s, size_t i)
{
	return i
			+ find_unquoted(cr_span_sub(s, i, s.len),
					SEMICOLON | QUESTION | COMMA | CLOSE | BLANK, 0);
}

/* SEMI and EQUAL have white space around them (RFC 3261 section 25.1). */
int cr_param_find(
		cr_span_t text, const char *name, cr_span_t *value, cr_span_t *whole)
{
	const unsigned name_ends
			= SEMICOLON | QUESTION | COMMA | CLOSE | BLANK | EQUALS | QUOTE;
	size_t semi = find_unquoted(text, SEMICOLON, 1);

	while(semi < text.len) {
		size_t from = skip_blanks(text, semi + 1);
		size_t end = find_sign(text, from, name_ends);
		size_t at = skip_blanks(text, end), stop;

		if(at < text.len && text.s[at] == '=')
			stop = value_end(text, at = skip_blanks(text, at + 1));
		else
			stop = at = end;
		if(cr_span_eq_case(
				   cr_span_sub(text, from, end - from), cr_span_str(name))) {
			if(value != NULL)
				*value = cr_span_sub(text, at, stop - at);
			if(whole != NULL)
				*whole = cr_span_sub(text, semi, stop - semi);
			return 1;
		}
		semi = stop
				+ find_unquoted(
						cr_span_sub(text, stop, text.len), SEMICOLON, 0);
	}
	return 0;
}

/* What stands in front of the host: scheme and user part. */
static size_t uri_host_at(cr_span_t uri)
{
	const char *at = memchr(uri.s, '@', uri.len);
	const char *colon = memchr(uri.s, ':', uri.len);

	if(at != NULL)
		return (size_t)(at - uri.s) + 1;
	return colon != NULL ? (size_t)(colon - uri.s) + 1 : 0;
}

void cr_put_host(cr_writer_t *w, cr_span_t host)
{
	int bare = host.len > 0 && host.s[0] != '['
			&& memchr(host.s, ':', host.len) != NULL;

	if(bare)
		cr_put_str(w, "[");
	cr_put_span(w, host);
	if(bare)
		cr_put_str(w, "]");
}

void cr_uri_rehome(cr_writer_t *w, cr_span_t uri, cr_span_t host, unsigned port,
		cr_span_t transport)
{
	size_t host_at = uri_host_at(uri);
	cr_span_t rest = cr_span_sub(uri, host_at, uri.len), gone;

	rest = cr_span_sub(rest, find_unquoted(rest, SEMICOLON, 0), rest.len);
	cr_put_span(w, cr_span_sub(uri, 0, host_at));
	cr_put_host(w, host);
	cr_put_str(w, ":");
	cr_put_uint(w, port);
	if(transport.len > 0) {
		cr_put_str(w, ";transport=");
		cr_put_span(w, transport);
	}
	if(cr_param_find(rest, "transport", NULL, &gone)) {
		size_t at = (size_t)(gone.s - rest.s);

		cr_put_span(w, cr_span_sub(rest, 0, at));
		rest = cr_span_sub(rest, at + gone.len, rest.len);
	}
	cr_put_span(w, rest);
}

cr_span_t cr_tag_of(cr_span_t value)
{
	cr_addr_t a;
	cr_span_t tag;

	if(cr_addr_parse(&a, value) == CR_OK
			&& cr_param_find(a.params, "tag", &tag, NULL))
		return tag;
	return cr_span_sub(value, 0, 0);
}

/* ---- edits --------------------------------------------------------------- */

void cr_edits_init(cr_edits_t *e, const cr_sip_t *m)
{
	e->m = m;
	e->n = 0;
	e->bad = 0;
	e->arena = cr_writer(e->mem, sizeof(e->mem));
}

void cr_edit_replace(
		cr_edits_t *e, cr_span_t old, const cr_span_t *parts, size_t n_parts)
{
	size_t from = e->arena.len;
	int i = e->n;

	for(size_t p = 0; p < n_parts; p++)
		cr_put_span(&e->arena, parts[p]);
	if(e->n == CR_EDITS_MAX || cr_writer_end(&e->arena) != CR_OK) {
		e->bad = 1;
		return;
	}
	cr_edit_t edit = {
			.at = (size_t)(old.s - e->m->text.s),
			.del = old.len,
			.ins = cr_span_sub(cr_written(&e->arena), from, CR_EDITS_ARENA),
	};
	for(; i > 0 && e->list[i - 1].at > edit.at; i--)
		e->list[i] = e->list[i - 1];
	e->list[i] = edit;
	e->n++;
}

int cr_edits_apply(char *out, size_t out_max, cr_edits_t *e)
{
	cr_writer_t w = cr_writer(out, out_max);
	cr_span_t text = e->m->text;
	size_t done = 0;

	if(e->bad)
		return CR_ETOOBIG;
	for(int i = 0; i < e->n; i++) {
		const cr_edit_t *edit = &e->list[i];

		if(edit->at < done || edit->at + edit->del > text.len)
			return CR_EMALFORMED;
		cr_put_span(&w, cr_span_sub(text, done, edit->at - done));
		cr_put_span(&w, edit->ins);
		done = edit->at + edit->del;
	}
	cr_put_span(&w, cr_span_sub(text, done, text.len));
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}
