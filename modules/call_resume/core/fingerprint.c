/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fingerprint.h"

#include "bytes.h"
#include "crypto.h"
#include "sip.h"

#define SHA256_LEN 32

static int hex_digit(uint8_t c)
{
	if(c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int cr_fp_parse(cr_fp_t *fp, cr_span_t text)
{
	cr_reader_t r = cr_reader(text.s, text.len);
	cr_fp_t read = {.known = 1};
	cr_span_t name;

	if(text.len == 0)
		return CR_EMISSING;
	name = cr_get_until(&r, ' ');
	if(r.bad)
		return CR_EMALFORMED;
	if(!cr_span_eq_case(name, CR_SPAN("sha-256")))
		return CR_EUNSUPPORTED;
	for(int i = 0; i < SHA256_LEN; i++) {
		int colon = i == 0 ? ':' : cr_get_u8(&r);
		int high = hex_digit(cr_get_u8(&r)), low = hex_digit(cr_get_u8(&r));

		if(colon != ':' || high < 0 || low < 0)
			return CR_EMALFORMED;
		if(i < CR_FP_LEN)
			read.hash[i] = (uint8_t)(high << 4 | low);
	}
	if(cr_reader_end(&r) != CR_OK)
		return CR_EMALFORMED;
	*fp = read;
	return CR_OK;
}

int cr_fp_equal(const cr_fp_t *a, const cr_fp_t *b)
{
	return a->known && b->known && cr_equal_ct(a->hash, b->hash, CR_FP_LEN);
}

/* ---- in a description ------------------------------------------------------- */

typedef struct walk
{
	cr_fp_t fp;      /* the first one, which all others have to be */
	int of_session;  /* there is one in front of the m-lines */
	int in_media;    /* behind an m-line */
	int unprotected; /* the last m-line is in use and has none so far */
	int used;        /* m-lines in use */
} walk_t;

static int starts(cr_span_t line, const char *with)
{
	cr_span_t w = cr_span_str(with);

	return cr_span_eq(cr_span_sub(line, 0, w.len), w);
}

/* The next line without its end; CR_EMALFORMED for one that is none. */
static int next_line(cr_span_t *line, cr_span_t *rest)
{
	const char *nl = memchr(rest->s, '\n', rest->len);
	size_t len = nl != NULL ? (size_t)(nl - rest->s) : rest->len;

	*line = cr_span_sub(*rest, 0, len);
	*rest = cr_span_sub(*rest, len + 1, rest->len);
	if(line->len > 0 && line->s[line->len - 1] == '\r')
		line->len--;
	if(line->len < 2 || line->s[0] < 'a' || line->s[0] > 'z'
			|| line->s[1] != '=')
		return CR_EMALFORMED;
	for(size_t i = 0; i < line->len; i++)
		if((unsigned char)line->s[i] < ' ' && line->s[i] != '\t')
			return CR_EMALFORMED;
	return CR_OK;
}

static int take_fingerprint(walk_t *w, cr_span_t text)
{
	cr_fp_t fp = {0};
	int err = cr_fp_parse(&fp, text);

	if(err != CR_OK)
		return err == CR_EMISSING ? CR_EMALFORMED : err;
	if(w->fp.known && !cr_fp_equal(&w->fp, &fp))
		return CR_EDUPLICATE;
	w->fp = fp;
	w->of_session |= !w->in_media;
	w->unprotected = 0;
	return CR_OK;
}

/* m=<media> <port> <proto> <fmt> (RFC 8866 section 5.14), one blank between two */
static int take_m_line(walk_t *w, cr_span_t line)
{
	cr_reader_t r = cr_reader(line.s, line.len);
	cr_span_t port, proto;

	(void)cr_get_until(&r, ' ');
	port = cr_get_until(&r, ' ');
	proto = cr_get_until(&r, ' ');
	if(r.bad || port.len == 0)
		return CR_EMALFORMED;
	if(w->unprotected)
		return CR_EMISSING;
	w->in_media = 1;
	if(cr_span_eq(port, CR_SPAN("0")))
		return CR_OK;
	w->used++;
	w->unprotected = !w->of_session;
	/* RFC 8829 section 5.1.2: RTP/SAVPF is taken for the first, and browsers answer
	 * with what they were offered. */
	return cr_span_eq(proto, CR_SPAN("UDP/TLS/RTP/SAVPF"))
					|| cr_span_eq(proto, CR_SPAN("UDP/TLS/RTP/SAVP"))
					|| cr_span_eq(proto, CR_SPAN("RTP/SAVPF"))
			? CR_OK
			: CR_EUNSUPPORTED;
}

static int take_line(walk_t *w, cr_span_t line)
{
	static const char name[] = "a=fingerprint:";

	if(starts(line, name))
		return take_fingerprint(
				w, cr_span_sub(line, sizeof(name) - 1, line.len));
	/* What one reader takes for a fingerprint and another one does not. */
	if(cr_span_eq_case(cr_span_sub(line, 0, sizeof(name) - 2),
			   CR_SPAN("a=fingerprint")))
		return CR_EMALFORMED;
	if(starts(line, "m="))
		return take_m_line(w, line);
	if(starts(line, "v="))
		return CR_EDUPLICATE;
	if(cr_span_eq_case(cr_span_sub(line, 0, 8), CR_SPAN("a=crypto"))
			|| cr_span_eq_case(cr_span_sub(line, 0, 10), CR_SPAN("a=key-mgmt"))
			|| starts(line, "k="))
		return CR_EUNSUPPORTED;
	return CR_OK;
}

int cr_fp_of_sdp(cr_fp_t *fp, cr_span_t sdp)
{
	walk_t w = {0};
	cr_span_t line;
	int err;

	if(sdp.len == 0)
		return CR_EMISSING;
	err = next_line(&line, &sdp);
	if(err == CR_OK && !starts(line, "v="))
		err = CR_EMALFORMED;
	while(err == CR_OK && sdp.len > 0) {
		err = next_line(&line, &sdp);
		if(err == CR_OK)
			err = take_line(&w, line);
	}
	if(err != CR_OK)
		return err;
	if(w.used == 0 || w.unprotected || !w.fp.known)
		return CR_EMISSING;
	*fp = w.fp;
	return CR_OK;
}
