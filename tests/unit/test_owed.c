/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "owed.h"

static cr_sip_t m;
static char out[4096];

/* A reply to an INVITE, as its client gets it. */
#define REPLY(status, to, more)                                                \
	"SIP/2.0 " status "\r\n"                                                   \
	"Via: SIP/2.0/WS x.invalid;branch=z9hG4bKa;received=127.0.0.1\r\n"         \
	"Record-Route: <sip:proxy;lr>, <sip:gw;lr;crs-a=abc>\r\n"                  \
	"From: \"A, B\" <sip:alice@example.com>;tag=1\r\nTo: " to "\r\n"           \
	"Call-ID: c-1\r\nCSeq: 7 INVITE\r\n" more "\r\n"
#define TO "<sip:bob@example.com>;tag=2"
#define CONTACT "Contact: <sip:bob@10.0.0.1;alias=10.0.0.1~5070~1>\r\n"

static int write(const char *reply, cr_owed_t what)
{
	what.branch = CR_SPAN("r1");
	assert_int_equal(cr_sip_parse(&m, cr_span_str(reply)), CR_OK);
	return cr_owed_request(out, sizeof(out) - 1, &m, &what);
}

static void reads(int len, const char *wanted)
{
	assert_true(len > 0);
	out[len] = '\0';
	assert_string_equal(out, wanted);
}

static void an_ack(void **state)
{
	(void)state;
	reads(write(REPLY("200 OK", TO, CONTACT),
				  (cr_owed_t){.method = CR_SPAN("ACK"), .cseq = 7}),
			"ACK sip:bob@10.0.0.1;alias=10.0.0.1~5070~1 SIP/2.0\r\n"
			"Via: SIP/2.0/WS x.invalid;branch=z9hG4bKr1\r\n"
			"Max-Forwards: 70\r\n"
			"Route: <sip:gw;lr;crs-a=abc>\r\nRoute: <sip:proxy;lr>\r\n"
			"From: \"A, B\" <sip:alice@example.com>;tag=1\r\nTo: " TO "\r\n"
			"Call-ID: c-1\r\nCSeq: 7 ACK\r\nContent-Length: 0\r\n\r\n");
}

static void a_bye_with_another_cseq(void **state)
{
	(void)state;
	write(REPLY("200 OK", TO, CONTACT),
			(cr_owed_t){.method = CR_SPAN("BYE"), .cseq = 1006});
	assert_non_null(strstr(out, "\r\nCSeq: 1006 BYE\r\n"));
}

static void a_prack(void **state)
{
	(void)state;
	write(REPLY("183 Progress", TO, CONTACT),
			(cr_owed_t){.method = CR_SPAN("PRACK"), .cseq = 507, .rseq = 99});
	assert_non_null(
			strstr(out, "\r\nCSeq: 507 PRACK\r\nRAck: 99 7 INVITE\r\n"));
}

static void with_an_answer(void **state)
{
	(void)state;
	write(REPLY("200 OK", TO, CONTACT),
			(cr_owed_t){.method = CR_SPAN("ACK"),
					.cseq = 7,
					.sdp = CR_SPAN("v=0\r\n")});
	assert_non_null(strstr(out,
			"\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\n"
			"v=0\r\n"));
}

static void what_begins_no_dialog(void **state)
{
	const cr_owed_t ack = {.method = CR_SPAN("ACK"), .cseq = 7};

	(void)state;
	assert_int_equal(
			write(REPLY("200 OK", "<sip:b>", CONTACT), ack), CR_EMALFORMED);
	assert_int_equal(
			write(REPLY("100 Trying", TO, CONTACT), ack), CR_EMALFORMED);
	assert_int_equal(
			write(REPLY("486 Busy Here", TO, CONTACT), ack), CR_EMALFORMED);
	assert_int_equal(
			write(REPLY("200 OK", TO, "Contact: <sip:b INVITE>\r\n"), ack),
			CR_EMALFORMED);
	/* Without a Contact it goes to whom the client called. */
	assert_true(write(REPLY("200 OK", TO, ""), ack) > 0);
	assert_memory_equal(out, "ACK sip:bob@example.com SIP", 27);
}

static void what_does_not_fit(void **state)
{
	const cr_owed_t what = {.method = CR_SPAN("ACK"), .branch = CR_SPAN("1")};
	int len;

	(void)state;
	assert_int_equal(
			cr_sip_parse(&m, cr_span_str(REPLY("200 OK", TO, CONTACT))), CR_OK);
	len = cr_owed_request(out, sizeof(out), &m, &what);
	for(int max = 0; max < len; max++)
		assert_int_equal(
				cr_owed_request(out, (size_t)max, &m, &what), CR_ETOOBIG);
	assert_int_equal(cr_owed_request(out, (size_t)len, &m, &what), len);
}

static void no_stream_is_taken(void **state)
{
	cr_span_t offer = CR_SPAN("v=0\r\no=b 1 1 IN IP4 10.0.0.1\r\ns=-\r\n"
							  "t=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n"
							  "a=sendrecv\r\nm=video 4002 RTP/AVP 96\r\n");

	(void)state;
	reads(cr_owed_answer(out, sizeof(out) - 1, offer),
			"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\n"
			"t=0 0\r\nm=audio 0 RTP/AVP 0 8\r\nm=video 0 RTP/AVP 96\r\n");
	assert_int_equal(
			cr_owed_answer(out, sizeof(out), CR_SPAN("")), CR_EMALFORMED);
	assert_int_equal(cr_owed_answer(out, sizeof(out), CR_SPAN("m=audio 4000")),
			CR_EMALFORMED);
	assert_int_equal(cr_owed_answer(out, 80, offer), CR_ETOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(an_ack),
			cmocka_unit_test(a_bye_with_another_cseq),
			cmocka_unit_test(a_prack),
			cmocka_unit_test(with_an_answer),
			cmocka_unit_test(what_begins_no_dialog),
			cmocka_unit_test(what_does_not_fit),
			cmocka_unit_test(no_stream_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
