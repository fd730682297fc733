/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "early.h"

#include "far.h"
#include "fingerprint.h"
#include "sdp.h"

#define FINGERPRINT "a=fingerprint:"

static int begins(cr_span_t line, const char *with)
{
	cr_span_t w = cr_span_str(with);

	return cr_span_eq_case(cr_span_sub(line, 0, w.len), w);
}

static void put_lines(cr_writer_t *w, const cr_sip_t *m, cr_hdr_t id)
{
	for(int i = 0; i < m->n_fields; i++) {
		if(m->fields[i].id == id)
			cr_put_span(w, m->fields[i].line);
	}
}

/* Names of the dialog, and how long the description is. */
static void put_names(cr_writer_t *w, const cr_early_t *e, size_t len)
{
	put_lines(w, e->first, CR_FROM);
	cr_put_str(w, "To: ");
	cr_put_span(w, cr_sip_field(e->first, CR_TO)->value);
	cr_put_str(w, ";tag=");
	cr_put_span(w, e->tag);
	cr_put_str(w, "\r\n");
	put_lines(w, e->first, CR_CALL_ID);
	put_lines(w, e->first, CR_CSEQ);
	cr_put_str(w, "Content-Type: application/sdp\r\nContent-Length: ");
	cr_put_uint(w, len);
	cr_put_str(w, "\r\n\r\n");
}

cr_span_t cr_early_sdp(const cr_sip_t *m)
{
	cr_span_t type = cr_far_field(m->text, CR_SPAN("Content-Type"), 'c');

	return begins(type, "application/sdp") ? m->body
										   : cr_span_sub(m->body, 0, 0);
}

/* A description with another certificate: one that there is not. */
static void put_without_fingerprint(cr_writer_t *w, cr_span_t sdp)
{
	while(sdp.len > 0) {
		cr_span_t line = cr_sdp_line(&sdp);

		if(begins(line, FINGERPRINT)) {
			cr_put_str(w, FINGERPRINT "sha-256 00");
			for(int i = 1; i < 32; i++)
				cr_put_str(w, ":00");
			cr_put_str(w, "\r\n");
		} else {
			cr_put_span(w, line);
		}
	}
}

int cr_early_offer(char *out, size_t out_max, const cr_early_t *e, int fresh)
{
	cr_writer_t w = cr_writer(out, out_max);
	cr_span_t sdp = cr_early_sdp(e->again);
	char changed[CR_EARLY_SDP_MAX];
	cr_writer_t c = cr_writer(changed, sizeof(changed));

	if(sdp.len == 0)
		return CR_EMISSING;
	if(fresh) {
		put_without_fingerprint(&c, sdp);
		if(cr_writer_end(&c) != CR_OK)
			return CR_ETOOBIG;
		sdp = cr_written(&c);
	}
	cr_put_str(&w, "INVITE ");
	cr_put_span(&w, e->first->ruri);
	cr_put_str(&w, " SIP/2.0\r\n");
	put_lines(&w, e->again, CR_VIA);
	put_names(&w, e, sdp.len);
	cr_put_span(&w, sdp);
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}

/* What a browser offers (RFC 8827 section 6.5), whatever it has come over. */
static int is_page(const cr_sip_t *m)
{
	cr_span_t sdp = cr_early_sdp(m);

	while(sdp.len > 0) {
		cr_span_t line = cr_sdp_line(&sdp);

		if(begins(line, "m=") && memmem(line.s, line.len, "SAVPF", 5) != NULL)
			return 1;
	}
	return 0;
}

int cr_early_answer(
		char *out, size_t out_max, const cr_early_t *e, cr_span_t sdp)
{
	cr_writer_t w = cr_writer(out, out_max);

	/* The first Via would be ours, and the second the client's. */
	cr_put_str(&w,
			"SIP/2.0 183 Session Progress\r\n"
			"Via: SIP/2.0/UDP gateway.invalid;branch=z9hG4bK0\r\n"
			"Via: SIP/2.0/");
	cr_put_str(&w, is_page(e->again) ? "WSS" : "UDP");
	cr_put_str(&w, " client.invalid;branch=z9hG4bK1\r\n");
	put_names(&w, e, sdp.len);
	cr_put_span(&w, sdp);
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}

int cr_early_is_same_dtls(const cr_early_t *e)
{
	cr_fp_t was, is;

	return cr_fp_of_sdp(&was, cr_early_sdp(e->first)) == CR_OK
			&& cr_fp_of_sdp(&is, cr_early_sdp(e->again)) == CR_OK
			&& cr_fp_equal(&was, &is);
}
