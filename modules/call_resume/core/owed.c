/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "owed.h"

#include "text.h"
#include "wire.h"

/* ---- requests -------------------------------------------------------------- */

/* What names the dialog of a reply. */
typedef struct dialog
{
	cr_span_t via; /* of the client, without parameters */
	cr_span_t target;
	cr_span_t routes[CR_STATE_ROUTES_MAX]; /* in the order of Record-Route */
	int n_routes;
} dialog_t;

static int read_routes(dialog_t *d, const cr_sip_t *m)
{
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	while(cr_sip_next(m, CR_RECORD_ROUTE, &it, &value)) {
		if(d->n_routes == CR_STATE_ROUTES_MAX)
			return CR_ETOOBIG;
		if(cr_addr_parse(&a, value) != CR_OK || !cr_text_is_uri(a.uri))
			return CR_EMALFORMED;
		d->routes[d->n_routes++] = a.uri;
	}
	return CR_OK;
}

static int read_dialog(dialog_t *d, const cr_sip_t *m)
{
	cr_value_iter_t via = {0}, contact = {0};
	cr_span_t value;
	const char *end;
	cr_addr_t a;

	*d = (dialog_t){.n_routes = 0};
	if(m->status <= 100 || m->status >= 300
			|| !cr_span_eq(m->method, CR_SPAN("INVITE"))
			|| cr_sip_tag(m, CR_TO).len == 0
			|| !cr_sip_next(m, CR_VIA, &via, &value))
		return CR_EMALFORMED;
	end = memchr(value.s, ';', value.len);
	d->via = cr_span_trim(
			cr_span_sub(value, 0, end ? (size_t)(end - value.s) : value.len));
	if(!cr_sip_next(m, CR_CONTACT, &contact, &value))
		value = cr_sip_field(m, CR_TO)->value;
	if(cr_addr_parse(&a, value) != CR_OK || !cr_text_is_uri(a.uri))
		return CR_EMALFORMED;
	d->target = a.uri;
	return read_routes(d, m);
}

static void put_field(cr_writer_t *w, const char *name, cr_span_t value)
{
	cr_put_str(w, name);
	cr_put_str(w, ": ");
	cr_put_span(w, value);
	cr_put_str(w, "\r\n");
}

static void put_cseq(
		cr_writer_t *w, const char *name, uint32_t cseq, cr_span_t method)
{
	cr_put_str(w, name);
	cr_put_uint(w, cseq);
	cr_put_str(w, " ");
	cr_put_span(w, method);
	cr_put_str(w, "\r\n");
}

static void put_body(cr_writer_t *w, cr_span_t sdp)
{
	if(sdp.len > 0)
		cr_put_str(w, "Content-Type: application/sdp\r\n");
	cr_put_str(w, "Content-Length: ");
	cr_put_uint(w, sdp.len);
	cr_put_str(w, "\r\n\r\n");
	cr_put_span(w, sdp);
}

int cr_owed_request(
		char *out, size_t out_max, const cr_sip_t *reply, const cr_owed_t *what)
{
	cr_writer_t w = cr_writer(out, out_max);
	dialog_t d;
	int err = read_dialog(&d, reply);

	if(err != CR_OK)
		return err;
	cr_put_span(&w, what->method);
	cr_put_str(&w, " ");
	cr_put_span(&w, d.target);
	cr_put_str(&w, " SIP/2.0\r\nVia: ");
	cr_put_span(&w, what->via.len > 0 ? what->via : d.via);
	cr_put_str(&w, ";branch=z9hG4bK");
	cr_put_span(&w, what->branch);
	cr_put_str(&w, "\r\nMax-Forwards: 70\r\n");
	while(d.n_routes-- > 0) {
		cr_put_str(&w, "Route: <");
		cr_put_span(&w, d.routes[d.n_routes]);
		cr_put_str(&w, ">\r\n");
	}
	put_field(&w, "From", cr_sip_field(reply, CR_FROM)->value);
	put_field(&w, "To", cr_sip_field(reply, CR_TO)->value);
	put_field(&w, "Call-ID", reply->call_id);
	put_cseq(&w, "CSeq: ", what->cseq, what->method);
	if(cr_span_eq(what->method, CR_SPAN("PRACK"))) {
		cr_put_str(&w, "RAck: ");
		cr_put_uint(&w, what->rseq);
		put_cseq(&w, " ", reply->cseq, CR_SPAN("INVITE"));
	}
	put_body(&w, what->sdp);
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}

/* ---- answers --------------------------------------------------------------- */

static cr_span_t next_line(cr_span_t *rest)
{
	const char *end = memchr(rest->s, '\n', rest->len);
	size_t len = end != NULL ? (size_t)(end - rest->s) : rest->len;
	cr_span_t line = cr_span_trim(cr_span_sub(*rest, 0, len));

	*rest = cr_span_sub(*rest, end != NULL ? len + 1 : len, rest->len);
	return line;
}

/* m=audio 4000 RTP/AVP 0: the same with port 0. */
static int put_rejected(cr_writer_t *w, cr_span_t line)
{
	const char *kind = memchr(line.s, ' ', line.len), *port;

	if(kind == NULL)
		return CR_EMALFORMED;
	kind++;
	port = memchr(kind, ' ', (size_t)(line.s + line.len - kind));
	if(port == NULL)
		return CR_EMALFORMED;
	cr_put_span(w, cr_span_sub(line, 0, (size_t)(kind - line.s)));
	cr_put_str(w, "0");
	cr_put_span(w, cr_span_sub(line, (size_t)(port - line.s), line.len));
	cr_put_str(w, "\r\n");
	return CR_OK;
}

int cr_owed_answer(char *out, size_t out_max, cr_span_t offer)
{
	static const cr_span_t m = CR_SPAN_INIT("m=");
	cr_writer_t w = cr_writer(out, out_max);
	cr_span_t line;
	int n = 0;

	cr_put_str(&w,
			"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n"
			"c=IN IP4 0.0.0.0\r\nt=0 0\r\n");
	while(offer.len > 0) {
		line = next_line(&offer);
		if(!cr_span_eq(cr_span_sub(line, 0, m.len), m))
			continue;
		if(put_rejected(&w, line) != CR_OK)
			return CR_EMALFORMED;
		n++;
	}
	if(n == 0)
		return CR_EMALFORMED;
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}
