/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A client whose first hop is a proxy: how that stays on the way.
 */
#include "helper_edge.h"

#include "path.h"

#define US "sip:10.0.0.1"
#define HEAD(via)                                                              \
	"Via: SIP/2.0/UDP p;branch=z9hG4bK1" via "\r\nVia: SIP/2.0/WS c\r\n"       \
	"From: <sip:alice@d>;tag=1\r\nTo: <sip:bob@d>\r\n"                         \
	"Call-ID: x\r\nCSeq: 1 %s\r\n"
#define PROXY                                                                  \
	"Record-Route: <sip:p;r2=on;lr>, <sip:p:8080;transport=ws;r2=on;lr>\r\n"
#define END "Content-Length: 0\r\n\r\n"
#define CLIENT "sip:alice@c.invalid;transport=ws"

static int is_own(cr_span_t uri)
{
	return cr_span_eq(cr_span_sub(uri, 0, strlen(US)), CR_SPAN(US));
}

static int in(cr_span_t text)
{
	int len = cr_path_in(buf[1], OUT_MAX - 1, &env, text, is_own);

	if(len > 0)
		parsed(buf[1], (size_t)len);
	return len;
}

static int out(cr_span_t text)
{
	int len = cr_path_out(buf[3], OUT_MAX - 1, &env, text, is_own);

	if(len > 0)
		parsed(buf[3], (size_t)len);
	return len;
}

/* The parameter that stands in the Contact of m; into 256 bytes. */
static const char *way(char *to)
{
	cr_addr_t a;
	cr_span_t whole;

	assert_int_equal(cr_addr_parse(&a, field(CR_CONTACT)), CR_OK);
	assert_true(cr_param_find(a.uri, CR_PATH_NAME, NULL, &whole));
	snprintf(to, 256, "%.*s", (int)whole.len, whole.s);
	return to;
}

static const char *taken_off(char *to)
{
	assert_true(in(text_of(0,
						"INVITE sip:bob@d SIP/2.0\r\n" HEAD("") PROXY
						"Contact: \"A\" <" CLIENT ">;ob\r\n" END,
						"INVITE"))
			> 0);
	assert_false(has(m.text, "Record-Route"));
	assert_true(has(m.text, "Contact: \"A\" <" CLIENT ";crp="));
	assert_true(has(m.text, ">;ob\r\n"));
	assert_true(has(m.text, "branch=z9hG4bK1;crp="));
	return way(to);
}

static void calls(void **state)
{
	char param[256], way_text[256];

	(void)state;
	taken_off(way_text);
	snprintf(param, sizeof(param), "%s", way_text);
	/* The answer, with our Route and that of a proxy behind us. */
	assert_true(out(text_of(2,
						"SIP/2.0 200 OK\r\n"
						"Via: SIP/2.0/UDP p;branch=z9hG4bK1%s;rport\r\n"
						"From: <sip:alice@d>;tag=1\r\n"
						"To: <sip:bob@d>;tag=2\r\n"
						"Call-ID: x\r\nCSeq: 1 INVITE\r\n"
						"Record-Route: <sip:far;lr>\r\n"
						"Record-Route: <" US ";lr>\r\n" END,
						param))
			> 0);
	assert_true(has(m.text, "z9hG4bK1;rport\r\n"));
	assert_true(has(m.text, "<sip:far;lr>\r\nRecord-Route: <" US ";lr;crp="));
	assert_true(has(m.text,
			">\r\nRecord-Route: "
			"<sip:p;r2=on;lr>,<sip:p:8080;transport=ws;r2=on;lr>\r\n"));
	/* A request of the far end. */
	assert_true(out(text_of(2, "INFO " CLIENT "%s SIP/2.0\r\n" HEAD("") END,
						way_text, "INFO"))
			> 0);
	assert_true(has(m.text, "INFO " CLIENT " SIP/2.0\r\n"));
	assert_true(has(m.text,
			"\r\nRoute: "
			"<sip:p;r2=on;lr>,<sip:p:8080;transport=ws;r2=on;lr>\r\n"));
	assert_true(has(m.text, "branch=z9hG4bK1;crp="));
}

/* The way in a Route of ours; into 512 bytes. */
static const char *marked(char *to)
{
	const char *at;

	assert_true(has(m.text, "<" US ";lr;crp="));
	at = strstr(m.text.s, "<" US ";lr;crp=") + strlen("<" US ";lr");
	snprintf(to, 512, "%.*s", (int)strcspn(at, ">"), at);
	return to;
}

/* The proxy has recorded its route when the dialog began, and does not again. */
static void recorded_once(void **state)
{
	char way_text[256], again[256], own[512];

	(void)state;
	taken_off(way_text);
	assert_true(out(text_of(2,
						"SIP/2.0 200 OK\r\n"
						"Via: SIP/2.0/UDP p;branch=z9hG4bK1%s;rport\r\n"
						"From: <sip:alice@d>;tag=1\r\n"
						"To: <sip:bob@d>;tag=2\r\n"
						"Call-ID: x\r\nCSeq: 1 INVITE\r\n"
						"Record-Route: <sip:far;lr>, <" US ";lr>\r\n" END,
						way_text))
			> 0);
	marked(own);
	assert_true(in(text_of(0,
						"INVITE sip:bob@d SIP/2.0\r\n" HEAD(
								"") "Route: <" US ";lr%s>, <sip:far;lr>\r\n"
									"Contact: <" CLIENT ">\r\n" END,
						"INVITE", own))
			> 0);
	assert_string_equal(way(again), way_text);
	assert_true(has(m.text, "Route: <" US ";lr>, <sip:far;lr>\r\n"));
	assert_true(has(m.text, "branch=z9hG4bK1\r\n"));
	/* What it records now counts. */
	assert_true(in(text_of(0,
						"INVITE sip:bob@d SIP/2.0\r\n" HEAD(
								"") "Record-Route: <sip:q;lr>\r\nRoute: <" US
									";lr%s>\r\nContact: <" CLIENT ">\r\n" END,
						"INVITE", own))
			> 0);
	assert_string_not_equal(way(again), way_text);
	assert_false(has(m.text, own));
	/* It is no way in another dialog, nor in a Contact. */
	assert_true(in(text_of(0,
						"INVITE sip:bob@d SIP/2.0\r\nVia: SIP/2.0/UDP p\r\n"
						"From: <sip:alice@d>;tag=1\r\nTo: <sip:bob@d>\r\n"
						"Call-ID: y\r\nCSeq: 1 INVITE\r\n"
						"Route: <" US ";lr%s>\r\n"
						"Contact: <" CLIENT ">\r\n" END,
						own))
			> 0);
	assert_false(has(m.text, "crp="));
	assert_true(out(text_of(2, "INFO " CLIENT "%s SIP/2.0\r\n" HEAD("") END,
						own, "INFO"))
			> 0);
	assert_false(has(m.text, "Route"));
}

/* Towards a client that is called, and not back from it. */
static void recorded_for_callee(void **state)
{
	char way_text[256], again[256], own[512];

	(void)state;
	taken_off(way_text);
	assert_true(out(text_of(2,
						"INVITE " CLIENT "%s SIP/2.0\r\n" HEAD(
								"") "Record-Route: <" US ";lr>\r\n"
									"Record-Route: <" US ":2;lr>\r\n" END,
						way_text, "INVITE"))
			> 0);
	marked(own);
	assert_true(has(m.text, "Record-Route: <" US ":2;lr>\r\n"));
	assert_true(in(text_of(0,
						"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP g%s\r\n"
						"From: <sip:bob@d>;tag=1\r\n"
						"To: <sip:alice@d>;tag=2\r\n"
						"Call-ID: x\r\nCSeq: 1 INVITE\r\n"
						"Record-Route: <sip:p;lr>, <" US ";lr%s>;x=\"y\"\r\n"
						"Contact: <" CLIENT ">\r\n" END,
						way_text, own))
			> 0);
	assert_string_equal(way(again), way_text);
	assert_true(has(m.text, "Record-Route: <" US ";lr>;x=\"y\"\r\n"));
	assert_false(has(m.text, "<sip:p;lr>"));
	/* Nor when it has lost our Via. */
	assert_true(in(text_of(0,
						"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP g\r\n"
						"From: <sip:bob@d>;tag=1\r\n"
						"To: <sip:alice@d>;tag=2\r\n"
						"Call-ID: x\r\nCSeq: 1 INVITE\r\n"
						"Record-Route: <sip:p;lr>, <" US ";lr%s>\r\n" END,
						own))
			> 0);
	assert_true(has(m.text,
			"Record-Route: <sip:p;lr>\r\nRecord-Route: <" US ";lr>\r\n"));
}

static void is_called(void **state)
{
	char way_text[256], again[256];

	(void)state;
	assert_true(in(text_of(0,
						"REGISTER sip:d SIP/2.0\r\n" HEAD(
								"") "Path: <sip:p;lr>\r\n"
									"Contact: <" CLIENT ">;expires=9\r\n" END,
						"REGISTER"))
			> 0);
	assert_true(has(m.text, "branch=z9hG4bK1\r\n"));
	way(way_text);
	/* What it answers leads there too, by our Via. */
	assert_true(in(text_of(0,
						"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP g%s\r\n"
						"From: <sip:bob@d>;tag=1\r\n"
						"To: <sip:alice@d>;tag=2\r\n"
						"Call-ID: x\r\nCSeq: 1 INVITE\r\n"
						"Record-Route: <sip:p;lr>, <" US ";lr>\r\n"
						"Contact: <" CLIENT ">\r\n" END,
						way_text))
			> 0);
	assert_string_equal(way(again), way_text);
	assert_false(has(m.text, "<sip:p;lr>"));
	assert_true(has(m.text, "Record-Route: <" US ";lr>\r\n"));
	/* It is told of its own Contact as it has written it. */
	assert_true(out(text_of(2,
						"SIP/2.0 200 OK\r\n" HEAD("") "Contact: <" CLIENT
													  "%s>;expires=9\r\n" END,
						"REGISTER", way_text))
			> 0);
	assert_true(has(m.text, "Contact: <" CLIENT ">;expires=9\r\n"));
}

static void made_up(void **state)
{
	char way_text[256];

	(void)state;
	/* Without a proxy that wants to stay on the way there is none. */
	assert_true(in(text_of(0,
						"INVITE sip:bob@d SIP/2.0\r\n" HEAD(
								"") "Contact: <" CLIENT ";crp=abc>\r\n" END,
						"INVITE"))
			> 0);
	assert_false(has(m.text, "crp="));
	/* However many it writes, into whatever. */
	assert_true(
			in(text_of(0,
					"INVITE sip:bob@d SIP/2.0\r\n" HEAD(
							"") "Contact: <" CLIENT
								";crp=abc;ob;crp=d>, <sip:\xed;crp=e>\r\n" END,
					"INVITE"))
			> 0);
	assert_false(has(m.text, "crp="));
	assert_true(has(m.text, "<" CLIENT ";ob>"));
	/* Nor does what it makes of our Via lead anywhere. */
	assert_true(in(text_of(0,
						"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP g;crp=abc\r\n"
						"From: <sip:bob@d>;tag=1\r\n"
						"To: <sip:alice@d>;tag=2\r\n"
						"Call-ID: x\r\nCSeq: 1 INVITE\r\n"
						"Contact: <" CLIENT ";crp=abc>\r\n%s" END,
						""))
			> 0);
	assert_true(has(m.text, "Contact: <" CLIENT ">\r\n"));
	assert_int_equal(
			in(text_of(0, "INFO sip:bob@d SIP/2.0\r\n" HEAD("") END, "INFO")),
			0);
	taken_off(way_text);
	way_text[30] = way_text[30] == 'a' ? 'b' : 'a';
	assert_true(out(text_of(2, "INFO " CLIENT "%s SIP/2.0\r\n" HEAD("") END,
						way_text, "INFO"))
			> 0);
	assert_false(has(m.text, "Route"));
	assert_false(has(m.text, "crp="));
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(calls),
			T(recorded_once),
			T(recorded_for_callee),
			T(is_called),
			T(made_up),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
