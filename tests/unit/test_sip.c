/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "sdp.h"
#include "sip.h"

#define GOOD                                                                   \
	"INVITE sip:bob@host SIP/2.0\r\n"                                          \
	"Via: SIP/2.0/UDP a:1;branch=z9hG4bK1, SIP/2.0/TCP b;branch=z9hG4bK2\r\n"  \
	"v: SIP/2.0/UDP c\r\n"                                                     \
	"f: \"Al, <ice>\" <sip:alice@host>;tag=ft\r\n"                             \
	"To:\tsip:bob@host\r\n"                                                    \
	"i: c-1\r\n"                                                               \
	"CSEQ: 7\r\n  INVITE\r\n"                                                  \
	"X-Other: a,b\r\n"                                                         \
	"m: <sip:alice@1.2.3.4;ob?X=y>;expires=3\r\n"                              \
	"\r\nbody"

static cr_sip_t m;

static int parse(const char *text)
{
	return cr_sip_parse(&m, cr_span_str(text));
}

static void assert_span(cr_span_t s, const char *want)
{
	assert_text(s.s, (int)s.len, want);
}

static void a_request(void **state)
{
	(void)state;
	assert_int_equal(parse(GOOD), CR_OK);
	assert_int_equal(m.status, 0);
	assert_span(m.method, "INVITE");
	assert_span(m.ruri, "sip:bob@host");
	assert_span(m.call_id, "c-1");
	assert_int_equal(m.cseq, 7);
	assert_span(m.cseq_digits, "7");
	assert_span(m.body, "body");
	assert_span(cr_tag_of(cr_sip_field(&m, CR_FROM)->value), "ft");
	assert_span(cr_tag_of(cr_sip_field(&m, CR_TO)->value), "");
	assert_null(cr_sip_field(&m, CR_ROUTE));
}

static void a_reply(void **state)
{
	(void)state;
	assert_int_equal(parse("SIP/2.0 200 OK\nVia: x\nFrom: <a:b>\nTo: "
						   "<a:b>;tag=1\nCall-ID: x\nCSeq: 1 BYE\n\n"),
			CR_OK);
	assert_int_equal(m.status, 200);
	assert_span(m.method, "BYE");
	assert_span(m.body, "");
}

/* A name for each; the others would be found nowhere. */
static void every_field_that_is_known(void **state)
{
	static const char *const names[CR_HDR_N] = {
			[CR_VIA] = "VIA",
			[CR_FROM] = "from",
			[CR_TO] = "To",
			[CR_CALL_ID] = "Call-Id",
			[CR_CSEQ] = "CSeq",
			[CR_CONTACT] = "contact",
			[CR_ROUTE] = "Route",
			[CR_RECORD_ROUTE] = "record-route",
			[CR_PATH] = "path",
			[CR_RACK] = "RAck",
			[CR_EVENT_HDR] = "Event",
			[CR_REPLACES] = "Replaces",
			[CR_JOIN] = "Join",
			[CR_REFER_TO] = "Refer-To",
			[CR_TARGET_DIALOG] = "Target-Dialog",
			[CR_AUTHORIZATION] = "AUTHORIZATION",
			[CR_SESSION_ID] = "Session-ID",
			[CR_CALL_STATE] = "Call-State",
			[CR_FINGERPRINT] = CR_HDR_FINGERPRINT,
			[CR_SESSION] = CR_HDR_SESSION,
			[CR_STATE_OTHER] = "call-state-whatever",
	};

	(void)state;
	for(int id = 0; id < CR_HDR_N; id++) {
		char text[512];

		assert_non_null(names[id]);
		snprintf(text, sizeof(text),
				"OPTIONS sip:a SIP/2.0\r\nVia: x\r\nFrom: <a:b>\r\nTo: "
				"<a:b>\r\n"
				"Call-ID: x\r\nCSeq: 1 OPTIONS\r\n%s: the last\r\n\r\n",
				names[id]);
		if(parse(text) == CR_OK) {
			assert_int_equal(m.fields[m.n_fields - 1].id, id);
			assert_int_equal(m.n_fields, 6);
		} else {
			assert_true(id == CR_FROM || id == CR_TO || id == CR_CALL_ID
					|| id == CR_CSEQ);
		}
	}
}

static void values_in_order(void **state)
{
	cr_value_iter_t it = {0};
	cr_span_t v;

	(void)state;
	assert_int_equal(parse(GOOD), CR_OK);
	assert_true(cr_sip_next(&m, CR_VIA, &it, &v));
	assert_span(v, "SIP/2.0/UDP a:1;branch=z9hG4bK1");
	assert_true(cr_sip_next(&m, CR_VIA, &it, &v));
	assert_span(v, "SIP/2.0/TCP b;branch=z9hG4bK2");
	assert_true(cr_sip_next(&m, CR_VIA, &it, &v));
	assert_span(v, "SIP/2.0/UDP c");
	assert_false(cr_sip_next(&m, CR_VIA, &it, &v));
}

static void addresses(void **state)
{
	static const struct
	{
		const char *value, *uri, *params;
	} good[] = {
			{"<sip:a@b;p>;q=1", "sip:a@b;p", ";q=1"},
			{"sip:a@b;q=1", "sip:a@b", ";q=1"},
			{"\"<x>\\\"\" <sip:a@b> ;q", "sip:a@b", " ;q"},
			{"Al <sip:a@b>", "sip:a@b", ""},
	};
	cr_addr_t a;

	(void)state;
	for(size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(cr_addr_parse(&a, cr_span_str(good[i].value)), CR_OK);
		assert_span(a.uri, good[i].uri);
		assert_span(a.params, good[i].params);
	}
	assert_int_equal(cr_addr_parse(&a, CR_SPAN("<sip:a@b")), CR_EMALFORMED);
	assert_int_equal(cr_addr_parse(&a, CR_SPAN("<>")), CR_EMALFORMED);
	assert_int_equal(cr_addr_parse(&a, CR_SPAN("")), CR_EMALFORMED);
}

static void parameters(void **state)
{
	cr_span_t v, w;

	(void)state;
	assert_true(
			cr_param_find(CR_SPAN("x;a=1;B;c=\";d=2\";d=3?h"), "d", &v, &w));
	assert_span(v, "3");
	assert_span(w, ";d=3");
	assert_true(cr_param_find(CR_SPAN(";a=1;B;c"), "b", &v, &w));
	assert_span(v, "");
	assert_span(w, ";B");
	assert_false(cr_param_find(CR_SPAN(";ab=1"), "a", &v, &w));
	assert_false(cr_param_find(CR_SPAN(";a b=1"), "b", &v, &w));
	assert_false(cr_param_find(CR_SPAN(";x=\"; a=1\""), "a", &v, &w));
	assert_false(cr_param_find(CR_SPAN(""), "a", &v, &w));
	assert_false(cr_param_find(CR_SPAN(";"), "a", &v, &w));
}

/* SEMI and EQUAL (RFC 3261 section 25.1). */
static void white_space_around_parameters(void **state)
{
	static const char *const texts[] = {"; a=1;b=2", " ;a =1;b=2",
			";\ta\t=\t1 ;b=2", ";\r\n a\r\n =\r\n 1;b=2", "; x ; a= 1",
			"; x = \"; a=2\" ; A = 1 ; b", NULL};
	cr_span_t v, w;

	(void)state;
	for(int i = 0; texts[i] != NULL; i++) {
		assert_true(cr_param_find(cr_span_str(texts[i]), "a", &v, &w));
		assert_span(v, "1");
		assert_int_equal(w.s[0], ';');
		assert_ptr_equal(w.s + w.len, v.s + v.len);
	}
	assert_true(cr_param_find(CR_SPAN("; a ; b=1"), "a", &v, &w));
	assert_span(v, "");
	assert_span(w, "; a");
	assert_span(cr_tag_of(CR_SPAN("<sip:a@b> ;\r\n tag = x")), "x");
	assert_span(cr_tag_of(CR_SPAN("sip:a@b ; tag=x")), "x");
}

/* What is no message is refused whatever its length; the sanitizers watch. */
static void truncations(void **state)
{
	size_t head = strlen(GOOD) - strlen("body");

	(void)state;
	for(size_t n = 0; n < head; n++) {
		char *copy = malloc(n + 1);

		memcpy(copy, GOOD, n);
		if(cr_sip_parse(&m, (cr_span_t){copy, n}) == CR_OK)
			fail_msg("%zu of %zu bytes are taken for a message", n, head);
		free(copy);
	}
}

static void refused(void **state)
{
#define HEAD "BYE sip:x SIP/2.0\r\nVia: v\r\nFrom: <s:a>\r\nTo: <s:b>\r\n"
	(void)state;
	assert_int_equal(parse(HEAD "Call-ID: 1\r\nCSeq: 1 BYE\r\n\r\n"), CR_OK);
	assert_int_equal(parse(HEAD "Call-ID: 1\r\nCSeq: 1 BYE\r\ni: 2\r\n\r\n"),
			CR_EDUPLICATE);
	assert_int_equal(parse(HEAD "CSeq: 1 BYE\r\n\r\n"), CR_EMALFORMED);
	assert_int_equal(
			parse(HEAD "Call-ID: 1\r\nCSeq: 1\r\n\r\n"), CR_EMALFORMED);
	assert_int_equal(parse(HEAD "Call-ID: 1\r\nCSeq: 2147483648 BYE\r\n\r\n"),
			CR_EMALFORMED);
	assert_int_equal(
			parse(HEAD "Call-ID: 1\r\nCSeq: 1 BYE\r\nno colon\r\n\r\n"),
			CR_EMALFORMED);
	assert_int_equal(parse("GET / HTTP/1.1\r\n\r\n"), CR_EMALFORMED);
	assert_int_equal(parse("SIP/2.0 2x0 OK\r\n\r\n"), CR_EMALFORMED);
}

static void too_many_fields(void **state)
{
	char text[8192] = HEAD "Call-ID: 1\r\nCSeq: 1 BYE\r\n";

	(void)state;
	for(int i = 0; i < CR_SIP_FIELDS_MAX; i++)
		strcat(text, "Route: <s:r>\r\n");
	strcat(text, "\r\n");
	assert_int_equal(parse(text), CR_ETOOBIG);
}

static void edits(void **state)
{
	static cr_edits_t e;
	char out[1024];
	int len;

	(void)state;
	assert_int_equal(parse(GOOD), CR_OK);
	cr_edits_init(&e, &m);
	CR_EDIT(&e, m.call_id, CR_SPAN("C"), CR_SPAN("-2"));
	CR_EDIT(&e, m.ruri, CR_SPAN("sip:x"));
	CR_EDIT(&e, cr_span_end(m.call_id), CR_SPAN("!"));
	CR_EDIT(&e, cr_span_end(m.call_id), CR_SPAN("?"));
	len = cr_edits_apply(out, sizeof(out), &e);
	assert_true(len > 0);
	assert_int_equal(cr_sip_parse(&m, (cr_span_t){out, (size_t)len}), CR_OK);
	assert_span(m.ruri, "sip:x");
	assert_span(m.call_id, "C-2!?");
	assert_span(m.body, "body");
}

static void edits_that_fail(void **state)
{
	static cr_edits_t e;
	char out[64];

	(void)state;
	assert_int_equal(parse(GOOD), CR_OK);
	cr_edits_init(&e, &m);
	CR_EDIT(&e, m.ruri, CR_SPAN("x"));
	assert_int_equal(cr_edits_apply(out, sizeof(out), &e), CR_ETOOBIG);
	CR_EDIT(&e, m.ruri, CR_SPAN("y"));
	assert_int_equal(cr_edits_apply(out, sizeof(out), &e), CR_EMALFORMED);
	cr_edits_init(&e, &m);
	for(int i = 0; i <= CR_EDITS_MAX; i++)
		CR_EDIT(&e, cr_span_end(m.ruri), CR_SPAN("x"));
	assert_int_equal(cr_edits_apply(out, sizeof(out), &e), CR_ETOOBIG);
}

static void media(void **state)
{
	cr_media_t md[CR_STATE_MEDIA_MAX];
	static const char sdp[] = "v=0\r\na=sendonly\r\nm=audio 1 RTP/AVP 0\r\n"
							  "m=video 2 RTP/AVP 96\r\na=inactive\r\n"
							  "m=text 0 RTP/AVP 98\r\na=sendrecv\r\n";

	(void)state;
	assert_int_equal(cr_sdp_media(md, CR_SPAN(sdp), 0), 3);
	assert_span(md[0].kind, "audio");
	assert_span(md[0].direction, "sendonly");
	assert_span(md[1].kind, "video");
	assert_span(md[1].direction, "inactive");
	assert_span(md[2].kind, "text");
	assert_span(md[2].direction, "inactive");
	assert_int_equal(cr_sdp_media(md, CR_SPAN(sdp), 1), 3);
	assert_int_equal(cr_sdp_media(md, CR_SPAN("<xml/>"), 1), 0);
	assert_int_equal(cr_sdp_media(md, CR_SPAN(""), 1), 0);
	assert_int_equal(cr_sdp_media(md,
							 CR_SPAN("v=0\nm=a\nm=a\nm=a\nm=a\nm=a\nm=a\nm=a"
									 "\nm=a\nm=a\n"),
							 0),
			0);
}

static void media_is_mirrored(void **state)
{
	cr_media_t md[CR_STATE_MEDIA_MAX];

	(void)state;
	assert_int_equal(
			cr_sdp_media(md, CR_SPAN("v=0\nm=audio 1 x 0\na=sendonly\n"), 1),
			1);
	assert_span(md[0].direction, "recvonly");
	assert_int_equal(
			cr_sdp_media(md, CR_SPAN("v=0\nm=audio 1 x 0\na=recvonly\n"), 1),
			1);
	assert_span(md[0].direction, "sendonly");
}

static void media_direction_of_the_session(void **state)
{
	cr_media_t md[CR_STATE_MEDIA_MAX];

	(void)state;
	assert_int_equal(cr_sdp_media(md,
							 CR_SPAN("v=0\na=inactive\nm=audio 1 x 0\n"
									 "a=sendrecv\nm=video 1 x 0\n"),
							 0),
			2);
	assert_span(md[0].direction, "sendrecv");
	assert_span(md[1].direction, "inactive");
}

static void uris_of_another_socket(void **state)
{
	static const struct
	{
		const char *uri, *transport, *want;
	} t[] = {
			{"sip:gw;transport=tcp;r2=on;lr;x=1", "",
					"sip:10.0.0.1:5061;r2=on;lr;x=1"},
			{"sip:gw:5060;lr;transport=ws", "tls",
					"sip:10.0.0.1:5061;transport=tls;lr"},
			{"sip:u@[::1]:5;lr", "tcp", "sip:u@10.0.0.1:5061;transport=tcp;lr"},
			{"sip:gw", "", "sip:10.0.0.1:5061"},
	};
	char out[128];

	(void)state;
	for(size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		cr_writer_t w = cr_writer(out, sizeof(out));

		cr_uri_rehome(&w, cr_span_str(t[i].uri), CR_SPAN("10.0.0.1"), 5061,
				cr_span_str(t[i].transport));
		assert_span(cr_written(&w), t[i].want);
	}
}

static void parameters_one_after_the_other(void **state)
{
	static const char *const want[][3] = {{"a", "1", ";a=1"}, {"B", "", "; B"},
			{"c", "", " ;c="}, {"d", "4", ";d = 4"}};
	cr_span_t text = CR_SPAN("<x;y>;a=1; B ;c=;d = 4");
	cr_param_t param;
	size_t next = 0;

	(void)state;
	for(size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_true(cr_param_next(text, &next, &param));
		assert_span(param.name, want[i][0]);
		assert_span(param.value, want[i][1]);
		assert_span(param.whole, want[i][2] + (want[i][2][0] == ' '));
	}
	assert_false(cr_param_next(text, &next, &param));
}

/* They are looked for by the word: behind so many bytes of each kind, and so many long. */
static void parameters_of_every_length(void **state)
{
	char text[64];

	(void)state;
	for(int c = 0; c < 256; c++) {
		for(size_t n = 0; n < 24; n++) {
			cr_span_t v, filler = {text, n};

			memset(text, c, n);
			memcpy(text + n, ";a=", 3);
			memset(text + n + 3, c, n);
			if(n > 0 && memchr("\"<;", c, 3) != NULL)
				continue;
			assert_true(
					cr_param_find((cr_span_t){text, 2 * n + 3}, "a", &v, NULL));
			if(memchr("?,> \t\r\n", c, 7) == NULL)
				assert_true(cr_span_eq(v, filler));
		}
	}
}

/* What begins as a field of ours, with nothing behind it or something. */
static void fields_of_the_state(void **state)
{
	static const struct
	{
		const char *name;
		cr_hdr_t id;
	} fields[] = {{"Call-State", CR_CALL_STATE},
			{"CALL-STATE-", CR_STATE_OTHER}, {"call-state-Id", CR_STATE_OTHER},
			{"Call-State-Key", CR_STATE_OTHER},
			{"Call-State-Session", CR_SESSION},
			{"call-state-fingerprint", CR_FINGERPRINT}, {"Call-Stat", CR_HDR_N},
			{"Sall-State-Id", CR_HDR_N}, {"C", CR_HDR_N}};
	char text[256];

	(void)state;
	for(size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		snprintf(text, sizeof(text),
				"SIP/2.0 200 OK\nVia: x\nFrom: <a:b>\nTo: <a:b>\nCall-ID: x\n"
				"CSeq: 1 BYE\n%s: y\n\n",
				fields[i].name);
		assert_int_equal(parse(text), CR_OK);
		assert_int_equal(m.n_fields, fields[i].id == CR_HDR_N ? 5 : 6);
		if(m.n_fields == 6)
			assert_int_equal(m.fields[5].id, fields[i].id);
	}
}

/* IPv6reference (RFC 3261 section 25.1). */
static void hosts_in_brackets(void **state)
{
	static const char *const hosts[][2]
			= {{"::1", "[::1]"}, {"[::1]", "[::1]"}, {"10.0.0.1", "10.0.0.1"},
					{"gw.example.org", "gw.example.org"}, {"", ""}};
	char out[64];

	(void)state;
	for(size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		cr_writer_t w = cr_writer(out, sizeof(out));

		cr_put_host(&w, cr_span_str(hosts[i][0]));
		assert_span(cr_written(&w), hosts[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(a_request),
			cmocka_unit_test(a_reply),
			cmocka_unit_test(every_field_that_is_known),
			cmocka_unit_test(values_in_order),
			cmocka_unit_test(addresses),
			cmocka_unit_test(parameters),
			cmocka_unit_test(white_space_around_parameters),
			cmocka_unit_test(parameters_one_after_the_other),
			cmocka_unit_test(parameters_of_every_length),
			cmocka_unit_test(fields_of_the_state),
			cmocka_unit_test(truncations),
			cmocka_unit_test(refused),
			cmocka_unit_test(too_many_fields),
			cmocka_unit_test(edits),
			cmocka_unit_test(edits_that_fail),
			cmocka_unit_test(media),
			cmocka_unit_test(media_is_mirrored),
			cmocka_unit_test(media_direction_of_the_session),
			cmocka_unit_test(uris_of_another_socket),
			cmocka_unit_test(hosts_in_brackets),
	};

	return RUN(tests);
}
