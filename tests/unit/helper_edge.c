/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "helper_edge.h"

static cr_work_t work;
cr_env_t env;
cr_state_t call;
char buf[4][OUT_MAX];
cr_sip_t m;

const char resume_invite[]
		= "INVITE sip:bob@gw SIP/2.0\r\n"
		  "Via: SIP/2.0/WS x.invalid;branch=z9hG4bKr1\r\n"
		  "From: \"Alice\" <sip:alice@example.com>;tag=n-tag\r\n"
		  "To: <sip:bob@example.com>\r\n"
		  "Call-ID: n-1\r\n"
		  "Route: <sip:gw;lr>\r\n"
		  "CSeq: 5 INVITE\r\n"
		  "Authorization: Bearer x.y.z\r\n"
		  "Contact: <sip:alice@x.invalid;transport=ws>;ob\r\n"
		  "Call-State: abc\r\n"
		  "Content-Length: 0\r\n\r\n";

int edge_setup(void **state)
{
	if(setup(state) != 0)
		return -1;
	env = (cr_env_t){.crypto = crypto,
			.ring = &ring,
			.work = &work,
			.now_ms = NOW * 1000,
			.state_ttl_s = 3600,
			.map_ttl_s = 3600,
			.order_mark = "mark"};
	call = (cr_state_t){
			.id = "0123456789abcdef0123456789abcdef",
			.call_id = CR_SPAN("o-1@peer"),
			.local_uri = CR_SPAN("sip:alice@example.com"),
			.local_tag = CR_SPAN("o-tag"),
			.remote_uri = CR_SPAN("sip:bob@example.com"),
			.remote_tag = CR_SPAN("p-tag"),
			.target = CR_SPAN("sip:bob@10.0.0.9:5070"),
			.routes = {CR_SPAN("sip:gw;lr"), CR_SPAN("sip:proxy;lr")},
			.n_routes = 2,
			.cseq = 41,
			.iat = NOW * 1000,
			.exp = NOW + 3600,
	};
	return 0;
}

void assert_span(cr_span_t s, const char *want)
{
	assert_text(s.s, (int)s.len, want);
}

cr_span_t field(cr_hdr_t id)
{
	const cr_field_t *f = cr_sip_field(&m, id);

	assert_non_null(f);
	return f->value;
}

cr_span_t parsed(const char *text, size_t len)
{
	assert_int_equal(cr_sip_parse(&m, (cr_span_t){text, len}), CR_OK);
	return (cr_span_t){text, len};
}

/* Through one of the edges; what comes out is in buf[to] and in m. */
cr_span_t pass(cr_edge_t (*edge)(char *, size_t, const cr_env_t *, cr_span_t),
		int to, cr_span_t text)
{
	cr_edge_t r = edge(buf[to], OUT_MAX, &env, text);

	assert_int_equal(r.refused, CR_OK);
	assert_int_equal(r.verdict, CR_CHANGED);
	return parsed(buf[to], r.len);
}

cr_edge_t edge_in(char *out, size_t out_max, const cr_env_t *e, cr_span_t text)
{
	return cr_edge_in(out, out_max, e, text, CR_SPAN(""));
}

cr_span_t text_of(int to, const char *format, ...)
{
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(buf[to], OUT_MAX, format, ap);
	va_end(ap);
	assert_true(len > 0 && len < OUT_MAX);
	return (cr_span_t){buf[to], (size_t)len};
}

int has(cr_span_t text, const char *needle)
{
	return memmem(text.s, text.len, needle, strlen(needle)) != NULL;
}

/* The re-INVITE that the resume INVITE is turned into, in buf[0] and m. */
cr_span_t resumed(void)
{
	int len = cr_splice_resume(buf[0], OUT_MAX, &env, &call, CR_SPAN(""),
			cr_span_str(resume_invite));

	assert_true(len > 0);
	return parsed(buf[0], (size_t)len);
}

char *copy_of(cr_span_t s)
{
	return strndup(s.s, s.len);
}

/* Via and Contact of the re-INVITE: what the peer holds of the client. */
char *client_via, *client_contact;

void learn(void)
{
	cr_addr_t a;

	resumed();
	free(client_via);
	free(client_contact);
	client_via = copy_of(field(CR_VIA));
	assert_int_equal(cr_addr_parse(&a, field(CR_CONTACT)), CR_OK);
	client_contact = copy_of(a.uri);
}

cr_span_t reply_of_peer(int to, int code, const char *cseq)
{
	return text_of(to,
			"SIP/2.0 %d Whatever\r\nVia: %s\r\n"
			"From: <sip:alice@example.com>;tag=o-tag\r\n"
			"To: <sip:bob@example.com>;tag=p-tag\r\nCall-ID: o-1@peer\r\n"
			"CSeq: %s\r\nContact: <sip:bob@10.0.0.9:5071>\r\n\r\n",
			code, client_via, cseq);
}

/* The tag by which the client knows the peer after its resume. */
char *n_remote_tag(void)
{
	pass(cr_edge_out, 1, reply_of_peer(0, 200, "1041 INVITE"));
	return copy_of(cr_tag_of(field(CR_TO)));
}

cr_span_t request_of_peer(int to, const char *method, const char *more)
{
	return text_of(to,
			"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP gw;branch=z9hG4bKg\r\n"
			"From: <sip:bob@example.com>;tag=p-tag\r\n"
			"To: <sip:alice@example.com>;tag=o-tag\r\nCall-ID: o-1@peer\r\n"
			"CSeq: 3 %s\r\n%s\r\n",
			method, client_contact, method, more);
}

cr_span_t request_of_client(
		int to, const char *method, const char *tag, const char *more)
{
	return text_of(to,
			"%s sip:bob@10.0.0.9:5071 SIP/2.0\r\n"
			"Via: SIP/2.0/WS x.invalid;branch=z9hG4bKr2\r\n"
			"Route: <sip:gw;lr>\r\n"
			"From: <sip:alice@example.com>;tag=n-tag\r\n"
			"To: <sip:bob@example.com>;tag=%s\r\nCall-ID: n-1\r\n"
			"CSeq: 6 %s\r\n%s\r\n",
			method, tag, method, more);
}

int edge_teardown(void **state)
{
	(void)state;
	free(client_via);
	free(client_contact);
	client_via = client_contact = NULL;
	return 0;
}
