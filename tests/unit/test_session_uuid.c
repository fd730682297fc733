/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper_edge.h"

#define T(fn) cmocka_unit_test_setup_teardown(fn, edge_setup, teardown)
#define NIL "00000000000000000000000000000000"

/* printf 'Session-ID\0o-1@peer\0o-tag' | sha256sum, its version and variant put in */
#define ALICE "d39f37ed787988a7bd0ec24ef5ccbe6e"
#define BOB "e4e3c1677718816bb34d0292c19afd0f"

static void out(int to, cr_span_t text)
{
	env.session_uuids = 1;
	pass(cr_edge_out, to, text);
}

static void the_same_to_both_sides(void **state)
{
	(void)state;
	learn();
	out(1, reply_of_peer(0, 200, "1041 INVITE"));
	assert_span(field(CR_CALL_ID), "n-1");
	assert_span(field(CR_SESSION_ID), BOB ";remote=" ALICE);
	out(1, request_of_peer(0, "BYE", ""));
	assert_span(field(CR_CALL_ID), "n-1");
	assert_span(field(CR_SESSION_ID), BOB ";remote=" ALICE);
	out(1,
			text_of(0,
					"BYE sip:bob@x SIP/2.0\r\nVia: SIP/2.0/UDP gw\r\n"
					"From: <sip:a@b>;tag=o-tag\r\n"
					"To: <sip:c@d>;tag=p-tag\r\nCall-ID: o-1@peer \r\n"
					"CSeq: 3 BYE\r\n\r\n"));
	assert_span(field(CR_SESSION_ID), ALICE ";remote=" BOB);
	assert_span(field(CR_CALL_ID), "o-1@peer");
}

static void nobody_is_nil(void **state)
{
	(void)state;
	out(1,
			text_of(0,
					"INVITE sip:bob@x SIP/2.0\r\nVia: SIP/2.0/UDP gw\r\n"
					"From: <sip:a@b>;tag=o-tag\r\nTo: <sip:c@d>\r\n"
					"Call-ID: o-1@peer\r\nCSeq: 3 INVITE\r\n\r\n"));
	assert_span(field(CR_SESSION_ID), ALICE ";remote=" NIL);
}

/* @param first  line of the message */
static cr_verdict_t verdict(
		const char *first, const char *cseq, const char *more)
{
	env.session_uuids = 1;
	return cr_edge_out(buf[1], OUT_MAX, &env,
			text_of(0,
					"%s\r\nVia: SIP/2.0/UDP gw\r\nFrom: <sip:a@b>;tag=1\r\n"
					"To: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 3 %s\r\n"
					"%s\r\n",
					first, cseq, more))
			.verdict;
}

static void left_alone(void **state)
{
	(void)state;
	assert_int_equal(verdict("SIP/2.0 200 OK", "BYE", ""), CR_CHANGED);
	assert_int_equal(verdict("SIP/2.0 200 OK", "REGISTER", ""), CR_KEEP);
	assert_int_equal(verdict("SIP/2.0 100 Trying", "INVITE", ""), CR_KEEP);
	assert_int_equal(verdict("OPTIONS sip:x SIP/2.0", "OPTIONS", ""), CR_KEEP);
	assert_int_equal(verdict("BYE sip:x SIP/2.0", "BYE",
							 "session-id: whatever it says\r\n"),
			CR_KEEP);
	env.session_uuids = 0;
	assert_int_equal(
			cr_edge_out(buf[1], OUT_MAX, &env,
					text_of(0,
							"BYE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP g\r\n"
							"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"
							"Call-ID: 1\r\nCSeq: 3 BYE\r\n\r\n"))
					.verdict,
			CR_KEEP);
}

/* A message is not lost for want of it. */
static void no_room(void **state)
{
	cr_edge_t r;

	(void)state;
	env.session_uuids = 1;
	r = cr_edge_out(buf[1], 64, &env,
			text_of(0,
					"BYE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP g\r\n"
					"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"
					"Call-ID: 1\r\nCSeq: 3 BYE\r\n\r\n"));
	assert_int_equal(r.verdict, CR_KEEP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(the_same_to_both_sides),
			T(nobody_is_nil),
			T(left_alone),
			T(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
