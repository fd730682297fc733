/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "sip.h"

#include "eight.h"
#include "wire.h"

#include <strings.h>

/* ---- spans --------------------------------------------------------------- */

/* Names are mostly written as in their RFC. */
int cr_span_eq_case(cr_span_t a, cr_span_t b)
{
	return a.len == b.len
			&& (a.len == 0 || memcmp(a.s, b.s, a.len) == 0
					|| strncasecmp(a.s, b.s, a.len) == 0);
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

/* Which of eight bytes may be one of these signs. */
static inline __attribute__((always_inline)) uint64_t signs_in(
		uint64_t bytes, unsigned which)
{
	uint64_t hits = 0;

	if(which & (QUOTE | BLANK))
		hits |= cr_eight_below(bytes, '"' + 1);
	if(which & COMMA)
		hits |= cr_eight_equal(bytes, ',');
	if(which & (SEMICOLON | OPEN | EQUALS | CLOSE | QUESTION))
		hits |= cr_eight_below(bytes ^ CR_EIGHT('?'), '?' - ';' + 1);
	return hits;
}

/* The offset of the first of these signs at or behind i; when there is none, the length,
 * or i when that is behind it. Inlined, so that which is constant. */
static inline __attribute__((always_inline)) size_t find_sign(
		cr_span_t s, size_t i, unsigned which)
{
	for(; i < s.len; i++) {
		uint64_t hits = 0;

		while(s.len - i >= 8
				&& (hits = signs_in(cr_eight_at(s.s + i), which)) == 0)
			i += 8;
		if(hits != 0)
			i += cr_eight_before(hits);
		if(i == s.len || signs[(unsigned char)s.s[i]] & which)
			return i;
	}
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
static inline __attribute__((always_inline)) size_t find_unquoted(
		cr_span_t s, unsigned which, int brackets)
{
	const unsigned stop = which | QUOTE | (brackets ? OPEN : 0);
	size_t i = 0;

	while((i = find_sign(s, i, stop)) < s.len) {
		if(signs[(unsigned char)s.s[i]] & which)
			return i;
		i = s.s[i] == '"' ? skip_quoted(s, i) : skip_bracketed(s, i);
	}
	return s.len;
}

/* ---- the message --------------------------------------------------------- */

/* Long and compact names (RFC 3261 section 7.3.3; RFC 3515 for r, RFC 6665 for o). */
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
		[CR_PATH] = {CR_SPAN_INIT("Path"), '\0'},
		[CR_RACK] = {CR_SPAN_INIT("RAck"), '\0'},
		[CR_EVENT_HDR] = {CR_SPAN_INIT("Event"), 'o'},
		[CR_REPLACES] = {CR_SPAN_INIT("Replaces"), '\0'},
		[CR_JOIN] = {CR_SPAN_INIT("Join"), '\0'},
		[CR_REFER_TO] = {CR_SPAN_INIT("Refer-To"), 'r'},
		[CR_TARGET_DIALOG] = {CR_SPAN_INIT("Target-Dialog"), '\0'},
		[CR_AUTHORIZATION] = {CR_SPAN_INIT("Authorization"), '\0'},
		[CR_SESSION_ID] = {CR_SPAN_INIT("Session-ID"), '\0'},
		[CR_CALL_STATE] = {CR_SPAN_INIT("Call-State"), '\0'},
		[CR_FINGERPRINT] = {CR_SPAN_INIT(CR_HDR_FINGERPRINT), '\0'},
		[CR_SESSION] = {CR_SPAN_INIT(CR_HDR_SESSION), '\0'},
};

/* By letter, so that most fields of a message are told from all of these by their first
 * one: those that may begin so, 0 for the end. */
static const uint8_t hdr_by_letter[32][8] = {
		['a' & 31] = {CR_AUTHORIZATION + 1},
		['c' & 31] = {CR_CALL_ID + 1, CR_CSEQ + 1, CR_CONTACT + 1,
				CR_CALL_STATE + 1, CR_FINGERPRINT + 1, CR_SESSION + 1},
		['e' & 31] = {CR_EVENT_HDR + 1},
		['f' & 31] = {CR_FROM + 1},
		['j' & 31] = {CR_JOIN + 1},
		['p' & 31] = {CR_PATH + 1},
		['r' & 31] = {CR_ROUTE + 1, CR_RECORD_ROUTE + 1, CR_RACK + 1,
				CR_REPLACES + 1, CR_REFER_TO + 1},
		['s' & 31] = {CR_SESSION_ID + 1},
		['t' & 31] = {CR_TO + 1, CR_TARGET_DIALOG + 1},
		['v' & 31] = {CR_VIA + 1},
};

static cr_hdr_t hdr_by_compact(char c)
{
	for(int i = 0; i < CR_HDR_N; i++) {
		if(hdr_names[i].compact == (c | 0x20))
			return i;
	}
	return CR_HDR_N;
}

int cr_sip_is_state(cr_span_t name)
{
	static const char state[] = CR_HDR_STATE;
	const size_t dash = 4;

	return name.len >= sizeof(state) - 1
			&& (name.s[dash] == '-' || name.s[dash] == '_')
			&& strncasecmp(name.s, state, dash) == 0
			&& strncasecmp(&name.s[dash + 1], &state[dash + 1],
					   sizeof(state) - 2 - dash)
			== 0;
}

/* One of ours, whether dashes are written as dashes or not: nothing else has the name. */
static int is_state_other(cr_span_t name)
{
	const size_t len = sizeof(CR_HDR_STATE) - 1;

	return (name.s[0] | 0x20) == 'c' && cr_sip_is_state(name)
			&& (name.len == len || name.s[len] == '-' || name.s[len] == '_');
}

static cr_hdr_t hdr_by_name(cr_span_t name)
{
	const uint8_t *may;

	if(name.len <= 1)
		return name.len == 1 ? hdr_by_compact(name.s[0]) : CR_HDR_N;
	for(may = hdr_by_letter[name.s[0] & 31]; *may != 0; may++) {
		if(name.len == hdr_names[*may - 1].name.len
				&& cr_span_eq_case(name, hdr_names[*may - 1].name))
			return *may - 1;
	}
	return is_state_other(name) ? CR_STATE_OTHER : CR_HDR_N;
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
	if(i == 0 || n > INT32_MAX || i == value.len || !cr_is_blank(value.s[i]))
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
	m->from_tag = cr_tag_of(cr_sip_field(m, CR_FROM)->value);
	m->to_tag = cr_tag_of(cr_sip_field(m, CR_TO)->value);
	return parse_cseq(m, cr_sip_field(m, CR_CSEQ)->value);
}

/* The line that is empty. */
static int begins_body(cr_span_t s)
{
	return s.s[0] == '\n' || (s.len >= 2 && s.s[0] == '\r' && s.s[1] == '\n');
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
	while(rest.len > 0 && cr_is_blank(rest.s[0]))
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
		end = begins_body(rest);
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
	size_t open = value.len > 0 && value.s[0] == '<'
			? 0
			: find_unquoted(value, OPEN, 0);
	size_t end;

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
	while(i < s.len && cr_is_blank(s.s[i]))
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
int cr_param_next(cr_span_t text, size_t *next, cr_param_t *param)
{
	const unsigned name_ends
			= SEMICOLON | QUESTION | COMMA | CLOSE | BLANK | EQUALS | QUOTE;
	cr_span_t rest = cr_span_sub(text, *next, text.len);
	size_t semi = *next, from, end, at;

	/* Mostly one begins where the one before it ends. */
	if(rest.len > 0 && rest.s[0] != ';')
		semi += *next == 0 ? find_unquoted(rest, SEMICOLON, 1)
						   : find_unquoted(rest, SEMICOLON, 0);
	if(semi >= text.len)
		return 0;
	from = skip_blanks(text, semi + 1);
	end = find_sign(text, from, name_ends);
	at = skip_blanks(text, end);
	if(at < text.len && text.s[at] == '=')
		*next = value_end(text, at = skip_blanks(text, at + 1));
	else
		*next = at = end;
	param->name = cr_span_sub(text, from, end - from);
	param->value = cr_span_sub(text, at, *next - at);
	param->whole = cr_span_sub(text, semi, *next - semi);
	return 1;
}

int cr_param_find(
		cr_span_t text, const char *name, cr_span_t *value, cr_span_t *whole)
{
	cr_span_t wanted = cr_span_str(name);
	cr_param_t param;
	size_t next = 0;

	while(cr_param_next(text, &next, &param)) {
		if(!cr_span_eq_case(param.name, wanted))
			continue;
		if(value != NULL)
			*value = param.value;
		if(whole != NULL)
			*whole = param.whole;
		return 1;
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

cr_span_t cr_sip_tag(const cr_sip_t *m, cr_hdr_t id)
{
	return id == CR_FROM ? m->from_tag : m->to_tag;
}

cr_span_t cr_sip_contact(const cr_sip_t *m)
{
	cr_value_iter_t it = {0};
	cr_span_t value, none = {m->text.s, 0};
	cr_addr_t a;

	return cr_sip_next(m, CR_CONTACT, &it, &value)
					&& cr_addr_parse(&a, value) == CR_OK
			? a.uri
			: none;
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
