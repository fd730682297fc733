/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dialog_name.h"

#include <ctype.h>

#define NAME_MAX_LEN 2048 /* characters of one Replaces value, unescaped */

/* callid *(;param), two of which are tags: to-tag and from-tag in Replaces,
 * local-tag and remote-tag in Target-Dialog. */
static int name_parse(cr_dialog_name_t *name, cr_span_t value)
{
	static const char *const pairs[2][2]
			= {{"to-tag", "from-tag"}, {"local-tag", "remote-tag"}};
	const char *semi = memchr(value.s, ';', value.len);

	if(semi == NULL)
		return CR_EMALFORMED;
	size_t len = (size_t)(semi - value.s);
	name->call_id = cr_span_trim(cr_span_sub(value, 0, len));
	value = cr_span_sub(value, len, value.len);
	for(int i = 0; i < 2; i++) {
		cr_span_t a, b;

		if(cr_param_find(value, pairs[i][0], &a, NULL)
				&& cr_param_find(value, pairs[i][1], &b, NULL)) {
			name->tags[0] = a.s < b.s ? a : b;
			name->tags[1] = a.s < b.s ? b : a;
			return CR_OK;
		}
	}
	return CR_EMALFORMED;
}

/* value with the parts of old, which are spans of it, replaced by those of new. */
static void name_write(cr_writer_t *w, cr_span_t value,
		const cr_dialog_name_t *old, const cr_dialog_name_t *new)
{
	const cr_span_t from[] = {old->call_id, old->tags[0], old->tags[1]};
	const cr_span_t to[] = {new->call_id, new->tags[0], new->tags[1]};
	size_t done = 0;

	for(size_t i = 0; i < 3; i++) {
		size_t at = (size_t)(from[i].s - value.s);

		cr_put_span(w, cr_span_sub(value, done, at - done));
		cr_put_span(w, to[i]);
		done = at + from[i].len;
	}
	cr_put_span(w, cr_span_sub(value, done, value.len));
}

/* The renamed value, written to w; 0 when it stays as it is. */
static int name_rename(
		cr_writer_t *w, cr_span_t value, cr_rename_f rename, void *arg)
{
	cr_dialog_name_t old, new;

	if(name_parse(&old, value) != CR_OK || !rename(arg, &new, &old))
		return 0;
	name_write(w, value, &old, &new);
	return cr_writer_end(w) == CR_OK;
}

static void rename_field(
		cr_edits_t *e, const cr_field_t *f, cr_rename_f rename, void *arg)
{
	char mem[NAME_MAX_LEN];
	cr_writer_t w = cr_writer(mem, sizeof(mem));

	if(name_rename(&w, f->value, rename, arg))
		CR_EDIT(e, f->value, cr_written(&w));
}

/* ---- Refer-To: the name is a URI header, escaped (RFC 3261 section 19.1.1) */

static int hex_digit(char c)
{
	if(c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void unescape(cr_writer_t *w, cr_span_t s)
{
	for(size_t i = 0; i < s.len; i++) {
		int hi = i + 2 < s.len && s.s[i] == '%' ? hex_digit(s.s[i + 1]) : -1;
		int lo = hi >= 0 ? hex_digit(s.s[i + 2]) : -1;

		if(lo >= 0) {
			cr_put_u8(w, (uint8_t)(hi * 16 + lo));
			i += 2;
		} else {
			cr_put_u8(w, (uint8_t)s.s[i]);
		}
	}
}

static void escape(cr_writer_t *w, cr_span_t s)
{
	static const char digits[] = "0123456789ABCDEF";

	for(size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.s[i];

		if(isalnum(c) || (c != '\0' && strchr("-_.!~*'()", c) != NULL)) {
			cr_put_u8(w, c);
		} else {
			cr_put_u8(w, '%');
			cr_put_u8(w, (uint8_t)digits[c >> 4]);
			cr_put_u8(w, (uint8_t)digits[c & 15]);
		}
	}
}

/* The value of the URI header Replaces; empty when there is none. */
static cr_span_t uri_replaces(cr_span_t uri)
{
	const char *q = memchr(uri.s, '?', uri.len);
	cr_span_t rest = cr_span_end(uri);

	if(q != NULL)
		rest = cr_span_sub(uri, (size_t)(q - uri.s) + 1, uri.len);
	while(rest.len > 0) {
		const char *amp = memchr(rest.s, '&', rest.len);
		size_t len = amp != NULL ? (size_t)(amp - rest.s) : rest.len;
		cr_span_t name = cr_span_sub(rest, 0, sizeof("Replaces=") - 1);

		if(name.len <= len && cr_span_eq_case(name, CR_SPAN("Replaces=")))
			return cr_span_sub(rest, name.len, len - name.len);
		rest = cr_span_sub(rest, len + 1, rest.len);
	}
	return rest;
}

static void rename_refer_to(
		cr_edits_t *e, const cr_field_t *f, cr_rename_f rename, void *arg)
{
	char plain_mem[NAME_MAX_LEN], new_mem[NAME_MAX_LEN];
	char escaped_mem[3 * NAME_MAX_LEN];
	cr_writer_t plain = cr_writer(plain_mem, sizeof(plain_mem));
	cr_writer_t new = cr_writer(new_mem, sizeof(new_mem));
	cr_writer_t escaped = cr_writer(escaped_mem, sizeof(escaped_mem));
	cr_addr_t a;

	if(cr_addr_parse(&a, f->value) != CR_OK)
		return;
	cr_span_t name = uri_replaces(a.uri);
	unescape(&plain, name);
	if(name.len == 0 || cr_writer_end(&plain) != CR_OK
			|| !name_rename(&new, cr_written(&plain), rename, arg))
		return;
	escape(&escaped, cr_written(&new));
	if(cr_writer_end(&escaped) == CR_OK)
		CR_EDIT(e, name, cr_written(&escaped));
}

void cr_rename_dialogs(
		cr_edits_t *e, const cr_sip_t *m, cr_rename_f rename, void *arg)
{
	for(int i = 0; i < m->n_fields; i++) {
		const cr_field_t *f = &m->fields[i];

		if(f->id == CR_REPLACES || f->id == CR_JOIN
				|| f->id == CR_TARGET_DIALOG)
			rename_field(e, f, rename, arg);
		else if(f->id == CR_REFER_TO)
			rename_refer_to(e, f, rename, arg);
	}
}
