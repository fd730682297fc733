/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "far.h"

#include "sip.h"

/* Attributes that say how media flow. A description without the others means the same. */
static const char *const kept[] = {"rtpmap", "fmtp", "rtcp-fb", "ptime",
		"maxptime", "rtcp", "rtcp-mux", "sendrecv", "sendonly", "recvonly",
		"inactive", "fingerprint", "setup", "tls-id", "ice-ufrag", "ice-pwd",
		"ice-lite", "ice-options", "candidate", "end-of-candidates", "mid",
		"group"};

/* ---- header fields ------------------------------------------------------------- */

/* The next line of a head, without CR and LF; empty at the end of the head. */
static cr_span_t next_field(cr_span_t *rest)
{
	const char *nl = memchr(rest->s, '\n', rest->len);
	size_t len = nl != NULL ? (size_t)(nl - rest->s) : rest->len;
	cr_span_t line = {rest->s, len};

	*rest = cr_span_sub(*rest, len + 1, rest->len);
	if(line.len > 0 && line.s[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* @return 1 when the line is that field */
static int is_field(
		cr_span_t line, cr_span_t name, char compact, cr_span_t *value)
{
	const char *colon = line.len > 0 ? memchr(line.s, ':', line.len) : NULL;
	size_t at = colon != NULL ? (size_t)(colon - line.s) : 0;
	cr_span_t is = cr_span_trim(cr_span_sub(line, 0, at));

	if(colon == NULL
			|| !(cr_span_eq_case(is, name)
					|| (compact != 0 && is.len == 1
							&& (is.s[0] | 0x20) == compact)))
		return 0;
	*value = cr_span_trim(cr_span_sub(line, at + 1, line.len));
	return 1;
}

cr_span_t cr_far_field(cr_span_t text, cr_span_t name, char compact)
{
	cr_span_t line, value = {text.s, 0};

	next_field(&text);
	while((line = next_field(&text)).len > 0) {
		if(is_field(line, name, compact, &value))
			break;
	}
	return value;
}

static int has_token(cr_span_t list, cr_span_t token)
{
	while(list.len > 0) {
		const char *comma = memchr(list.s, ',', list.len);
		size_t len = comma != NULL ? (size_t)(comma - list.s) : list.len;

		if(cr_span_eq_case(cr_span_trim(cr_span_sub(list, 0, len)), token))
			return 1;
		list = cr_span_sub(list, len + 1, list.len);
	}
	return 0;
}

int cr_far_lists(cr_span_t text, cr_span_t name, char compact, cr_span_t token)
{
	cr_span_t line, value;

	next_field(&text);
	while((line = next_field(&text)).len > 0) {
		if(is_field(line, name, compact, &value) && has_token(value, token))
			return 1;
	}
	return 0;
}

/* ---- the description -------------------------------------------------------------- */

cr_span_t cr_far_line(cr_span_t *rest)
{
	size_t len = 0;
	cr_span_t line;

	while(len < rest->len && rest->s[len] != '|' && rest->s[len] != '\n')
		len++;
	line = cr_span_sub(*rest, 0, len);
	*rest = cr_span_sub(*rest, len + 1, rest->len);
	if(line.len > 0 && line.s[line.len - 1] == '\r')
		line.len--;
	return line;
}

static int is_kept(cr_span_t line)
{
	size_t len = 2;

	if(line.len < 2 || line.s[1] != '=')
		return 0;
	if(line.s[0] == 'm' || line.s[0] == 'c')
		return 1;
	while(len < line.len && line.s[len] != ':')
		len++;
	for(size_t i = 0; line.s[0] == 'a' && i < sizeof(kept) / sizeof(kept[0]);
			i++) {
		if(cr_span_eq(cr_span_sub(line, 2, len - 2), cr_span_str(kept[i])))
			return 1;
	}
	return 0;
}

/* What goes into JSON and comes back as it was. */
static int is_plain(cr_span_t s)
{
	for(size_t i = 0; i < s.len; i++) {
		if(s.s[i] < ' ' || s.s[i] > '~' || s.s[i] == '"' || s.s[i] == '\\')
			return 0;
	}
	return 1;
}

int cr_far_pack(char *out, cr_span_t sdp)
{
	cr_writer_t w = cr_writer(out, CR_FAR_SDP_MAX);
	int media = 0;

	if(memmem(sdp.s, sdp.len, "a=crypto", 8) != NULL
			|| memchr(sdp.s, '|', sdp.len) != NULL)
		return CR_EUNSUPPORTED;
	while(sdp.len > 0) {
		cr_span_t line = cr_far_line(&sdp);

		if(!is_kept(line))
			continue;
		if(!is_plain(line))
			return CR_EUNSUPPORTED;
		media += line.s[0] == 'm';
		if(w.len > 0)
			cr_put_str(&w, "|");
		cr_put_span(&w, line);
	}
	if(media == 0)
		return CR_EUNSUPPORTED;
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}

/* ---- reading ----------------------------------------------------------------------- */

static int is_timer(cr_span_t s)
{
	size_t digits = 0;
	cr_span_t rest;

	while(digits < s.len && s.s[digits] >= '0' && s.s[digits] <= '9')
		digits++;
	rest = cr_span_sub(s, digits, s.len);
	return digits > 0 && digits < 10
			&& (rest.len == 0 || cr_span_eq(rest, CR_SPAN(CR_FAR_UAC))
					|| cr_span_eq(rest, CR_SPAN(CR_FAR_UAS)));
}

int cr_far_is_good(const cr_far_t *far)
{
	return far->sdp.len > 0 && far->sdp.len <= CR_FAR_SDP_MAX
			&& cr_span_eq(cr_span_sub(far->sdp, 1, 1), CR_SPAN("="))
			&& is_plain(far->sdp)
			&& (far->timer.len == 0 || is_timer(far->timer));
}

/* Who refreshes: in a request of the far end's uac is the far end (RFC 4028 section 4).
 * @return empty when nobody says */
static const char *refresher(cr_span_t value, int request)
{
	cr_span_t who;

	if(!cr_param_find(value, "refresher", &who, NULL))
		return "";
	if(cr_span_eq_case(who, CR_SPAN("uac")))
		return request ? CR_FAR_UAS : CR_FAR_UAC;
	if(cr_span_eq_case(who, CR_SPAN("uas")))
		return request ? CR_FAR_UAC : CR_FAR_UAS;
	return "";
}

static int read_timer(cr_writer_t *w, cr_span_t text, int request)
{
	cr_span_t value = cr_far_field(text, CR_SPAN("Session-Expires"), 'x');
	size_t digits = 0;

	if(value.len == 0)
		return CR_OK;
	while(digits < value.len && value.s[digits] >= '0'
			&& value.s[digits] <= '9')
		digits++;
	if(digits == 0 || digits > 9)
		return CR_EUNSUPPORTED;
	cr_put_span(w, cr_span_sub(value, 0, digits));
	cr_put_str(w, refresher(value, request));
	return CR_OK;
}

int cr_far_read(cr_far_t *far, char *mem, cr_span_t text, int offer, int update)
{
	const char *end = memmem(text.s, text.len, "\r\n\r\n", 4);
	int request = !cr_span_eq(cr_span_sub(text, 0, 4), CR_SPAN("SIP/"));
	cr_span_t type = cr_far_field(text, CR_SPAN("Content-Type"), 'c');
	cr_writer_t w = cr_writer(mem, CR_FAR_MAX);
	cr_far_t read = {.offer = offer};
	cr_span_t body;
	int len, err;

	if(end == NULL || end + 4 == text.s + text.len)
		return CR_EMISSING;
	body = cr_span_sub(text, (size_t)(end + 4 - text.s), text.len);
	if(!cr_span_eq_case(cr_span_sub(type, 0, 15), CR_SPAN("application/sdp")))
		return CR_EUNSUPPORTED;
	len = cr_far_pack(mem, body);
	if(len < 0)
		return len;
	w.len = (size_t)len;
	err = read_timer(&w, text, request);
	if(err != CR_OK)
		return err;
	read.sdp = (cr_span_t){mem, (size_t)len};
	read.timer = (cr_span_t){mem + len, w.len - (size_t)len};
	read.update = cr_far_lists(text, CR_SPAN("Allow"), 0, CR_SPAN("UPDATE"));
	if(update && !read.update)
		return CR_EUNSUPPORTED;
	*far = read;
	return CR_OK;
}
