/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "screen.h"

#include "block.h"
#include "grammar.h"
#include "head.h"
#include "text.h"

/* ---- what can be shown -------------------------------------------------------- */

/* A control character of ASCII that is no line end or tab; or, in UTF-8, one of C1, a
 * line or paragraph separator, or a mark that turns the direction of writing. */
static int is_control(cr_span_t s, size_t i)
{
	unsigned char c = (unsigned char)s.s[i];
	unsigned char next = i + 1 < s.len ? (unsigned char)s.s[i + 1] : 0;

	if(c < 0x20)
		return c != '\t' && c != '\r' && c != '\n';
	if(c < 0xc2)
		return c == 0x7f;
	if(c == 0xc2)
		return next >= 0x80 && next <= 0x9f;
	return c == 0xe2 && cr_text_is_mark(cr_span_sub(s, i, s.len));
}

static int is_plain_head(const cr_sip_t *m)
{
	cr_span_t head = cr_span_sub(m->text, 0, (size_t)(m->body.s - m->text.s));

	for(size_t block = 0; block < head.len; block += CR_BLOCK) {
		uint64_t others = cr_block_outside(head, block, ' ', '~');

		for(; others != 0; others &= others - 1) {
			if(is_control(head, block + (size_t)__builtin_ctzll(others)))
				return 0;
		}
	}
	return 1;
}

static int is_visible(cr_span_t s, size_t max)
{
	return s.len <= max && cr_text_is_visible(s);
}

static int is_folded(cr_span_t s)
{
	return memchr(s.s, '\n', s.len) != NULL;
}

static int are_contacts_plain(const cr_sip_t *m)
{
	cr_value_iter_t it = {0};
	cr_span_t value;

	while(cr_sip_next(m, CR_CONTACT, &it, &value)) {
		if(is_folded(value) && !cr_is_name_addr(value))
			return 0;
	}
	return 1;
}

static int is_party(const cr_sip_t *m, cr_hdr_t id)
{
	cr_span_t value = cr_sip_field(m, id)->value;

	return value.len <= CR_SCREEN_NAME_MAX && cr_is_name_addr(value);
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
	return cr_skip_host(&a.uri) <= CR_SCREEN_HOST_MAX;
}

int cr_screen_shows(const cr_sip_t *m)
{
	return is_visible(m->call_id, m->text.len)
			&& is_visible(m->method, CR_SCREEN_METHOD_MAX) && is_plain_head(m)
			&& is_party(m, CR_FROM) && is_party(m, CR_TO) && is_host_short(m)
			&& are_contacts_plain(m);
}

/* ---- what can be read ---------------------------------------------------------- */

static int are_values(const cr_sip_t *m, cr_hdr_t id, int (*is)(cr_span_t))
{
	cr_value_iter_t it = {0};
	cr_span_t value;

	while(cr_sip_next(m, id, &it, &value)) {
		if(!is(value) && !cr_span_eq(value, CR_SPAN("*")))
			return 0;
	}
	return 1;
}

static int is_address(cr_span_t s)
{
	cr_addr_t a;

	return cr_is_name_addr(s) && cr_addr_parse(&a, s) == CR_OK
			&& cr_is_uri(a.uri);
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

static int is_fold(cr_span_t line)
{
	return line.len > 0 && (line.s[0] == ' ' || line.s[0] == '\t');
}

/* Fields that Kamailio reads whenever it sees them. */
static int is_numeric(cr_span_t name)
{
	static const char *const names_of[]
			= {"Content-Length", "l", "Max-Forwards", "Expires", "Retry-After"};

	for(size_t i = 0; i < sizeof(names_of) / sizeof(names_of[0]); i++) {
		if(cr_span_eq_case(name, cr_span_str(names_of[i])))
			return 1;
	}
	return 0;
}

/* One field, the lines that continue it included. */
static int is_field(cr_span_t field)
{
	const char *colon = memchr(field.s, ':', field.len);
	cr_span_t name;
	size_t at;

	if(colon == NULL)
		return 0;
	at = (size_t)(colon - field.s);
	name = cr_span_sub(field, 0, at);
	return cr_is_field_name(name)
			&& (!is_numeric(cr_span_trim(name))
					|| cr_is_number(cr_span_sub(field, at + 1, field.len)));
}

static int are_fields(const cr_sip_t *m)
{
	cr_span_t rest = cr_head_skip(
			cr_span_sub(m->text, 0, (size_t)(m->body.s - m->text.s)));

	next_line(&rest);
	while(rest.len > 2) {
		cr_span_t field = next_line(&rest);

		while(is_fold(rest))
			field.len += next_line(&rest).len + 1;
		if(!is_field(field))
			return 0;
	}
	return 1;
}

int cr_screen_reads(const cr_sip_t *m)
{
	return (m->status != 0 || cr_is_uri(m->ruri)) && are_fields(m)
			&& cr_is_cseq(cr_sip_field(m, CR_CSEQ)->value)
			&& are_values(m, CR_VIA, cr_is_via)
			&& are_values(m, CR_FROM, is_address)
			&& are_values(m, CR_TO, is_address)
			&& are_values(m, CR_CONTACT, is_address)
			&& are_values(m, CR_ROUTE, is_address)
			&& are_values(m, CR_RECORD_ROUTE, is_address);
}

/* ---- does it concern us ------------------------------------------------------ */

/* memchr() for its rarest character is several times faster than memmem() for so
 * short a mark. */
int cr_screen_mark_in(cr_span_t text)
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

#ifdef __SSE2__
/* Which of 16 pairs may be the m1 of a mark, or the -S of a field of ours. Both begin with a
 * byte that is 0x2d but for one bit, and the two differ in the bits 0x5c, of 0xdd; so do m3 and
 * -q, which are as rare. */
static inline __m128i pairs_of_16(const char *s)
{
	__m128i a = _mm_loadu_si128((const __m128i *)s);
	__m128i b = _mm_loadu_si128((const __m128i *)(s + 1));
	__m128i first = _mm_cmpeq_epi8(
			_mm_and_si128(a, _mm_set1_epi8((char)0xbf)), _mm_set1_epi8(0x2d));
	__m128i differ = _mm_cmpeq_epi8(
			_mm_and_si128(_mm_xor_si128(a, b), _mm_set1_epi8((char)0xdd)),
			_mm_set1_epi8(0x5c));

	return _mm_and_si128(first, differ);
}

static inline int are_pairs_at(const char *s)
{
	return _mm_movemask_epi8(_mm_or_si128(
				   _mm_or_si128(pairs_of_16(s), pairs_of_16(s + 16)),
				   _mm_or_si128(pairs_of_16(s + 32), pairs_of_16(s + 48))))
			!= 0;
}
#endif

/* Most messages have nothing of the kind, and are done with at this look. */
static int may_be_concerned(cr_span_t text)
{
#ifdef __SSE2__
	if(text.len <= CR_BLOCK)
		return 1;
	for(size_t i = 0; i < text.len - CR_BLOCK; i += CR_BLOCK) {
		if(are_pairs_at(text.s + i))
			return 1;
	}
	return are_pairs_at(text.s + text.len - CR_BLOCK - 1);
#else
	(void)text;
	return 1;
#endif
}

int cr_screen_concerned(cr_span_t text)
{
	return may_be_concerned(text)
			&& (cr_screen_mark_in(text) || cr_head_states(text));
}

/* ---- which fields may pass ---------------------------------------------------- */

static int is_method(const cr_sip_t *m, const char *name)
{
	return m->status == 0 && cr_span_eq(m->method, cr_span_str(name));
}

static int may_come_in(const cr_sip_t *m, const cr_field_t *f)
{
	int invite = is_method(m, "INVITE");
	int in_dialog = cr_sip_tag(m, CR_TO).len > 0;

	switch(f->id) {
		case CR_CALL_STATE:
			if(is_method(m, "BYE"))
				return cr_span_eq(f->value, CR_SPAN(CR_STATE_REPLACED));
			if(is_method(m, "OPTIONS"))
				return in_dialog
						&& cr_span_eq(f->value, CR_SPAN(CR_STATE_LEAVING));
			return invite && !in_dialog;
		case CR_FINGERPRINT:
		case CR_SESSION:
			return invite || is_method(m, "REGISTER");
		case CR_STATE_OTHER:
			return 0;
		default:
			return 1;
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

void cr_screen_in(cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m)
{
	for(int i = 0; i < m->n_fields; i++) {
		if(!may_come_in(m, &m->fields[i])
				&& mark_of(env, m->fields[i].value).len == 0)
			cr_edit_replace(e, m->fields[i].line, NULL, 0);
	}
}

void cr_screen_out(cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m,
		const cr_field_t *sealed)
{
	for(int i = 0; i < m->n_fields; i++) {
		const cr_field_t *f = &m->fields[i];
		cr_span_t mark;

		if(f == sealed
				|| (f->id != CR_CALL_STATE && f->id != CR_FINGERPRINT
						&& f->id != CR_SESSION && f->id != CR_STATE_OTHER))
			continue;
		mark = mark_of(env, f->value);
		cr_edit_replace(e, mark.len > 0 ? mark : f->line, NULL, 0);
	}
}
