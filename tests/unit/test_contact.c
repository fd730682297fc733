/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the far end of a call is told in a cluster, and what comes of it.
 */
#include "helper_edge.h"

#include "contact.h"

#define REST                                                                   \
	"Via: SIP/2.0/UDP c;branch=z9hG4bK1\r\n"                                   \
	"From: <sip:alice@d>;tag=1\r\nTo: <sip:bob@d>%s\r\n"                       \
	"Call-ID: x\r\nCSeq: 1 INVITE\r\n"
#define CONTACT                                                                \
	"Contact: \"A\" "                                                          \
	"<sip:alice@x.invalid;transport=ws;alias=1~2~5;crm1=map;crc=3>;ob\r\n"
#define END "Content-Length: 0\r\n\r\n"
#define OURS                                                                   \
	"Record-Route: <sip:10.0.0.1:5060;ftag=%s;hold;crs-%s=ref;lr=on>\r\n"

static const cr_contact_here_t here = {{"10.0.0.1", 8}, 5060, {"", 0}};
static const cr_contact_here_t other = {{"fd00::2", 7}, 5070, {"tcp", 3}};

/* @return the length of what is in buf[1], 0, or an error */
static int hide(cr_span_t text)
{
	int len = cr_contact_hide(buf[1], OUT_MAX - 1, &env, text, &here);

	if(len > 0)
		parsed(buf[1], (size_t)len);
	return len;
}

static int show(cr_span_t text)
{
	int len = cr_contact_show(buf[3], OUT_MAX - 1, &env, text, &other);

	if(len > 0)
		parsed(buf[3], (size_t)len);
	return len;
}

/* A request of the far end to the Contact that is in m. */
static cr_span_t to_contact(const char *tag)
{
	cr_addr_t a;

	assert_int_equal(cr_addr_parse(&a, field(CR_CONTACT)), CR_OK);
	return text_of(
			2, "INFO %.*s SIP/2.0\r\n" REST END, (int)a.uri.len, a.uri.s, tag);
}

static void comes_back(const char *tag)
{
	assert_true(has(m.text, "<sip:alice@10.0.0.1:5060;crf1="));
	assert_true(has(m.text, ";crs-"));
	assert_true(has(m.text, ";crm1=map>;ob\r\n"));
	assert_false(has(m.text, "x.invalid"));
	assert_false(has(m.text, "Record-Route: <sip:10.0.0.1"));
	assert_true(show(to_contact(tag)) > 0);
	assert_span(m.ruri,
			"sip:alice@x.invalid;transport=ws;alias=1~2~5;crc=3;crm1=map");
}

/* A client calls a far end. */
static void new_call(void **state)
{
	(void)state;
	assert_true(hide(text_of(0,
						"INVITE sip:bob@d SIP/2.0\r\n" OURS REST CONTACT END,
						"1", "a", ""))
			> 0);
	comes_back(";tag=2");
	assert_span(field(CR_ROUTE),
			"<sip:[fd00::2]:5070;transport=tcp;lr;ftag=1;hold;crs-a=ref>");
}

/* Outside of a dialog nobody has a Route of ours. */
static void not_in_a_dialog(void **state)
{
	(void)state;
	assert_true(hide(text_of(0,
						"INVITE sip:bob@d SIP/2.0\r\n" OURS REST CONTACT END,
						"1", "a", ""))
			> 0);
	comes_back("");
	assert_null(cr_sip_field(&m, CR_ROUTE));
}

/* A client answers a far end; between them a proxy. */
static void answer(void **state)
{
	(void)state;
	assert_true(
			hide(text_of(0,
					"SIP/2.0 200 OK\r\nRecord-Route: <sip:p;lr>\r\n" OURS REST
							CONTACT END,
					"1", "b", ";tag=2"))
			> 0);
	assert_span(field(CR_RECORD_ROUTE), "<sip:p;lr>");
	comes_back(";tag=2");
	/* In one field with that of the proxy. */
	assert_true(hide(text_of(0,
						"SIP/2.0 183 Ringing\r\nRecord-Route: <sip:p;lr>, "
						"<sip:10.0.0.1;crs-b=ref;lr>\r\n" REST CONTACT END,
						";tag=2"))
			> 0);
	assert_span(field(CR_RECORD_ROUTE), "<sip:p;lr>");
}

/* In a dialog, where the glue says so. */
static void in_a_dialog(void **state)
{
	char mem[256];
	cr_writer_t w = cr_writer(mem, sizeof(mem) - 1);

	(void)state;
	cr_contact_put_params(&w,
			CR_SPAN("sip:10.0.0.1;r2=on;transport=ws;ftag=1;lr=on;crs-b=ref;"
					"hold"));
	mem[w.len] = '\0';
	assert_string_equal(mem, ";ftag=1;crs-b=ref;hold");
	assert_true(
			hide(text_of(0,
					"INVITE sip:bob@d SIP/2.0\r\nCall-State-Far: %s\r\n" REST
							CONTACT END,
					mem, ";tag=2"))
			> 0);
	assert_false(has(m.text, "Call-State-Far"));
	comes_back(";tag=2");
}

static void who_is_no_far_end(void **state)
{
	static const char invite[]
			= "INVITE sip:bob@d SIP/2.0\r\n" OURS REST CONTACT END;
	static const char ok[] = "SIP/2.0 200 OK\r\n" OURS REST CONTACT END;

	(void)state;
	/* A far end calls a client; and a client is answered, or resumes. */
	assert_int_equal(hide(text_of(0, invite, "1", "b", "")), 0);
	assert_int_equal(hide(text_of(0, ok, "1", "a", ";tag=2")), 0);
	assert_int_equal(hide(text_of(0, ok, "9", "b", ";tag=2")), 0);
	/* Both are clients. */
	assert_int_equal(hide(text_of(0, invite, "1", "a=ref;crs-b", "")), 0);
	assert_int_equal(hide(CR_SPAN("OPTIONS sip:a SIP/2.0\r\n\r\n")), 0);
	/* It is no Contact of ours. */
	assert_int_equal(show(text_of(0, invite, "1", "a", "")), 0);
}

static void no_contact_of_somebody_else(void **state)
{
	(void)state;
	assert_true(hide(text_of(0, "SIP/2.0 302 Moved\r\n" OURS REST CONTACT END,
						"1", "b", ";tag=2"))
			> 0);
	assert_true(has(m.text, "x.invalid"));
}

static void forged(void **state)
{
	static char good[OUT_MAX];
	cr_span_t text;
	const char *box;
	size_t at;

	(void)state;
	assert_true(hide(text_of(0,
						"INVITE sip:bob@d SIP/2.0\r\n" OURS REST CONTACT END,
						"1", "a", ""))
			> 0);
	text = to_contact(";tag=2");
	memcpy(good, text.s, text.len + 1);
	box = strstr(good, ";crf1=");
	assert_non_null(box);
	at = (size_t)(box - good) + 6;
	for(size_t i = at; good[i] != ';'; i++) {
		char was = good[i];

		good[i] = was == 'a' ? 'b' : 'a';
		assert_true(show((cr_span_t){good, text.len}) < 0);
		good[i] = was;
	}
	/* Of another user. */
	good[strlen("INFO sip:")] = 'A';
	assert_int_equal(show((cr_span_t){good, text.len}), CR_EFORGED);
	env.ring = &stranger;
	good[strlen("INFO sip:")] = 'a';
	assert_int_equal(show((cr_span_t){good, text.len}), CR_EFORGED);
	env.ring = &ring;
	assert_true(show((cr_span_t){good, text.len}) > 0);
}

/* What cannot be hidden must not go out. */
static void too_big(void **state)
{
	static char user[1400];

	(void)state;
	memset(user, 'x', sizeof(user) - 1);
	assert_int_equal(hide(text_of(0,
							 "INVITE sip:bob@d SIP/2.0\r\n" OURS REST
							 "Contact: <sip:a@%s>\r\n" END,
							 "1", "a", "", user)),
			CR_ETOOBIG);
	assert_int_equal(hide(text_of(0,
							 "INVITE sip:bob@d SIP/2.0\r\n" OURS REST
							 "Contact: <nothing>\r\n" END,
							 "1", "a", "")),
			CR_EMALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(new_call),
			cmocka_unit_test(not_in_a_dialog),
			cmocka_unit_test(answer),
			cmocka_unit_test(in_a_dialog),
			cmocka_unit_test(who_is_no_far_end),
			cmocka_unit_test(no_contact_of_somebody_else),
			cmocka_unit_test(forged),
			cmocka_unit_test(too_big),
	};

	return cmocka_run_group_tests(tests, edge_setup, edge_teardown);
}
