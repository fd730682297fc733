/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The resume INVITE, which becomes the re-INVITE of O.
 */
#include "helper_edge.h"

static void the_invite_becomes_a_reinvite(void **state)
{
	cr_value_iter_t it = {0};
	cr_span_t v, text = resumed();

	(void)state;
	assert_span(m.ruri, "sip:bob@10.0.0.9:5070");
	assert_span(m.call_id, "o-1@peer");
	assert_int_equal(m.cseq, 41 + CR_CSEQ_JUMP);
	assert_span(field(CR_FROM), "\"Alice\" <sip:alice@example.com>;tag=o-tag");
	assert_span(field(CR_TO), "<sip:bob@example.com>;tag=p-tag");
	assert_true(cr_sip_next(&m, CR_ROUTE, &it, &v));
	assert_span(v, "<sip:gw;lr>");
	assert_true(cr_sip_next(&m, CR_ROUTE, &it, &v));
	assert_span(v, "<sip:proxy;lr>");
	assert_false(cr_sip_next(&m, CR_ROUTE, &it, &v));
	assert_null(cr_sip_field(&m, CR_AUTHORIZATION));
	assert_null(cr_sip_field(&m, CR_CALL_STATE));
	assert_false(has(text, "n-1"));
	assert_true(has(text, ";transport=ws;crm1="));
	assert_true(has(text, "branch=z9hG4bKr1;crm1="));
}

static void cseq_grows_with_time(void **state)
{
	(void)state;
	env.now_ms += 64000;
	resumed();
	assert_int_equal(m.cseq, 41 + CR_CSEQ_JUMP + 1000);
	call.cseq = -1;
	resumed();
	assert_int_equal(m.cseq, CR_CSEQ_UNKNOWN + CR_CSEQ_JUMP + 1000);
	call.iat = env.now_ms + 5000; /* another node's clock */
	resumed();
	assert_int_equal(m.cseq, CR_CSEQ_UNKNOWN + CR_CSEQ_JUMP);
}

static int resume_with(const char *text, const char *own_tag)
{
	return cr_splice_resume(buf[0], OUT_MAX, &env, &call, cr_span_str(own_tag),
			cr_span_str(text));
}

static void an_invite_that_cannot_be_turned(void **state)
{
#define INVITE(to, contact)                                                    \
	"INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP c\r\nFrom: <sip:a>;tag=1\r\n"    \
	"To: " to "\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n" contact "\r\n"
	(void)state;
	assert_true(resume_with(INVITE("<sip:b>", "Contact: <sip:c>\r\n"), "") > 0);
	assert_int_equal(
			resume_with(INVITE("<sip:b>;tag=2", "Contact: <sip:c>\r\n"), ""),
			CR_EUNSUPPORTED);
	assert_int_equal(resume_with(INVITE("<sip:b>", ""), ""), CR_EMALFORMED);
	assert_int_equal(resume_with("BYE x SIP/2.0\r\n\r\n", ""), CR_EMALFORMED);
	call.local_tag.len = 0;
	assert_int_equal(resume_with(INVITE("<sip:b>", "Contact: <sip:c>\r\n"), ""),
			CR_EMISSING);
	assert_true(
			resume_with(INVITE("<sip:b>", "Contact: <sip:c>\r\n"), "own") > 0);
	parsed(buf[0], strlen(buf[0]));
	assert_span(cr_tag_of(field(CR_FROM)), "own");
}

/* What would not be accepted as a Request-URI later is not given out. */
static void a_contact_that_would_get_too_long(void **state)
{
	char text[2048], user[1024];

	(void)state;
	memset(user, 'u', sizeof(user));
	for(int i = 0; i < 2; i++) {
		user[i == 0 ? 700 : 860] = '\0';
		snprintf(text, sizeof(text),
				"INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP c\r\n"
				"From: <sip:alice@example.com>;tag=1\r\n"
				"To: <sip:bob@example.com>\r\n"
				"Call-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:%s@c>\r\n\r\n",
				user);
		if(i == 0)
			assert_true(resume_with(text, "") > 0);
		else
			assert_int_equal(resume_with(text, ""), CR_ETOOBIG);
		memset(user, 'u', sizeof(user));
	}
}

static void without_a_usable_key(void **state)
{
	(void)state;
	ring.n_keys = 0;
	assert_int_equal(resume_with(resume_invite, ""), CR_EKEY);
}

static void no_room_for_the_reinvite(void **state)
{
	(void)state;
	assert_int_equal(cr_splice_resume(buf[0], 64, &env, &call, CR_SPAN(""),
							 cr_span_str(resume_invite)),
			CR_ETOOBIG);
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(the_invite_becomes_a_reinvite),
			T(cseq_grows_with_time),
			T(an_invite_that_cannot_be_turned),
			T(a_contact_that_would_get_too_long),
			T(without_a_usable_key),
			T(no_room_for_the_reinvite),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
