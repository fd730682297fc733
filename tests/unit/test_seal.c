/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Orders to seal, carried out by the edge on the messages of a call.
 */
#include "helper_edge.h"

#include "answered.h"
#include "seal.h"
#include "sealed.h"

static cr_span_t session_ref(int to, cr_purpose_t purpose, const char *call_id)
{
	cr_ref_t ref = {.start = 1234,
			.sub = CR_SPAN("sip:alice@example.com"),
			.sid = CR_SPAN("s1")};
	int len;

	memcpy(ref.hint, ring.keys[0].hint, sizeof(ref.hint));
	len = cr_ref_seal(buf[to], OUT_MAX - 1, crypto, &ring.keys[0], purpose,
			cr_span_str(call_id), &ref);
	assert_true(len > 0);
	buf[to][len] = '\0';
	return (cr_span_t){buf[to], (size_t)len};
}

static char opened_mem[CR_STATE_JSON_MAX];

static void open_sealed(cr_state_t *st)
{
	cr_span_t v = field(CR_CALL_STATE);
	const char *semi = memchr(v.s, ';', v.len);

	if(semi != NULL)
		v.len = (size_t)(semi - v.s);
	assert_int_equal(
			cr_sealed_open(st, opened_mem, &env,
					CR_SPAN("sip:alice@example.com"), CR_SPAN("s1"), v),
			CR_OK);
}

static void the_first_200_is_sealed(void **state)
{
	cr_state_t st;
	cr_span_t ref = session_ref(2, CR_PURPOSE_CALLER, "o-1@peer");

	(void)state;
	pass(cr_edge_out, 1,
			text_of(0,
					"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP c\r\n"
					"Record-Route: <sip:proxy;lr>\r\nRecord-Route: "
					"<sip:gw;lr>\r\n"
					"From: <sip:alice@example.com>;tag=o-tag\r\n"
					"To: <sip:bob@example.com>;tag=p-tag\r\n"
					"Call-ID: o-1@peer\r\nCSeq: 41 INVITE\r\n"
					"Contact: <sip:bob@10.0.0.9:5070>\r\n"
					"Call-State: crm1 mark a 1750000000000 0 %.*s\r\n\r\n"
					"v=0\r\nm=audio 9 RTP/AVP 0\r\na=sendonly\r\n",
					(int)ref.len, ref.s));
	open_sealed(&st);
	assert_int_equal(st.update, 0);
	assert_int_equal(st.role, CR_CALLER);
	assert_span(st.call_id, "o-1@peer");
	assert_span(st.local_tag, "o-tag");
	assert_span(st.remote_tag, "p-tag");
	assert_span(st.target, "sip:bob@10.0.0.9:5070");
	assert_int_equal(st.n_routes, 2);
	assert_span(st.routes[0], "sip:gw;lr");
	assert_span(st.routes[1], "sip:proxy;lr");
	assert_int_equal(st.cseq, 41);
	assert_int_equal(st.start, 1234);
	assert_int_equal(st.exp, NOW + 3600);
	assert_true(st.ringing == 0);
	assert_int_equal(st.n_media, 1);
	assert_span(st.media[0].direction, "recvonly");
}

/* A new call: our Route has when it was answered, in the message and in the state. */
static void an_answer_says_when(void **state)
{
	cr_state_t st;
	cr_span_t ref = session_ref(2, CR_PURPOSE_CALLER, "o-1@peer"), value;
	cr_value_iter_t it = {0};
	cr_addr_t a;

	(void)state;
	pass(cr_edge_out, 1,
			text_of(0,
					"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP c\r\n"
					"Record-Route: <sip:proxy;lr>, <sip:gw;lr;crs-a=%.*s>\r\n"
					"From: <sip:alice@example.com>;tag=o-tag\r\n"
					"To: <sip:bob@example.com>;tag=p-tag\r\n"
					"Call-ID: o-1@peer\r\nCSeq: 41 INVITE\r\n"
					"Contact: <sip:bob@10.0.0.9:5070>\r\n"
					"Call-State: crm1 mark A 1750000000999 0 %.*s\r\n\r\n",
					(int)ref.len, ref.s, (int)ref.len, ref.s));
	open_sealed(&st);
	assert_int_equal(st.role, CR_CALLER);
	assert_int_equal(st.n_routes, 2);
	assert_int_equal(
			cr_answered_of(&env, st.call_id, st.routes[0]), 1750000000);
	assert_span(st.routes[1], "sip:proxy;lr");
	assert_true(cr_sip_next(&m, CR_RECORD_ROUTE, &it, &value));
	assert_span(value, "<sip:proxy;lr>");
	assert_true(cr_sip_next(&m, CR_RECORD_ROUTE, &it, &value));
	assert_int_equal(cr_addr_parse(&a, value), CR_OK);
	assert_true(cr_span_eq(a.uri, st.routes[0]));
}

/* After a resume the state is O's, though the client gets the reply in N. */
static void a_spliced_reply_seals_o(void **state)
{
	cr_state_t st;
	cr_span_t ref;

	(void)state;
	learn();
	ref = session_ref(2, CR_PURPOSE_CALLER, "o-1@peer");
	pass(cr_edge_out, 1,
			text_of(0,
					"SIP/2.0 200 OK\r\nVia: %s\r\n"
					"From: <sip:alice@example.com>;tag=o-tag\r\n"
					"To: <sip:bob@example.com>;tag=p-tag\r\n"
					"Call-ID: o-1@peer\r\nCSeq: 1042 INFO\r\n"
					"Call-State: crm1 mark a 1750000000000 0 %.*s sip:bob@9 "
					"sip:gw;lr "
					"sip:p2;lr\r\n\r\n",
					client_via, (int)ref.len, ref.s));
	assert_span(m.call_id, "n-1");
	open_sealed(&st);
	assert_span(st.call_id, "o-1@peer");
	assert_span(st.local_tag, "o-tag");
	assert_int_equal(st.cseq, 1042);
	assert_span(st.target, "sip:bob@9");
	assert_int_equal(st.n_routes, 2);
	assert_span(st.routes[1], "sip:p2;lr");
	assert_int_equal(st.n_media, 0);
}

static void the_callee_gets_it_in_the_invite(void **state)
{
	cr_state_t st;
	cr_span_t ref = session_ref(2, CR_PURPOSE_CALLEE, "o-2");

	(void)state;
	pass(cr_edge_out, 1,
			text_of(0,
					"INVITE sip:alice@c SIP/2.0\r\nVia: SIP/2.0/UDP gw\r\n"
					"Record-Route: <sip:gw;lr>, <sip:proxy;lr>\r\n"
					"From: <sip:bob@example.com>;tag=p-tag\r\n"
					"To: <sip:alice@example.com>\r\n"
					"Call-ID: o-2\r\nCSeq: 1 INVITE\r\n"
					"Contact: <sip:bob@10.0.0.9:5070>\r\n"
					"Call-State: crm1 mark b 1750000000000 0 %.*s\r\n\r\n",
					(int)ref.len, ref.s));
	open_sealed(&st);
	assert_int_equal(st.update, 0);
	assert_int_equal(st.role, CR_CALLEE);
	assert_int_equal(st.local_tag.len, 0);
	assert_span(st.local_uri, "sip:alice@example.com");
	assert_span(st.remote_tag, "p-tag");
	assert_int_equal(st.cseq, -1);
	assert_span(st.routes[0], "sip:gw;lr");
	assert_span(st.routes[1], "sip:proxy;lr");
}

static void a_target_refresh_of_the_peer_is_an_update(void **state)
{
	cr_state_t st;
	cr_span_t ref;
	char more[1024];

	(void)state;
	learn();
	ref = session_ref(2, CR_PURPOSE_CALLER, "o-1@peer");
	snprintf(more, sizeof(more),
			"Contact: <sip:bob@10.0.0.10>\r\nCall-State: crm1 mark a "
			"1750000000000 0 %.*s\r\n",
			(int)ref.len, ref.s);
	pass(cr_edge_out, 1, request_of_peer(0, "INVITE", more));
	assert_true(has(field(CR_CALL_STATE), ";update"));
	open_sealed(&st);
	assert_int_equal(st.update, 1);
	assert_span(st.target, "sip:bob@10.0.0.10");
	assert_span(st.call_id, "o-1@peer");
}

/* A phone that rings need not say where it is. */
static void a_180_is_sealed_with_its_transaction(void **state)
{
	cr_state_t st;
	cr_span_t ref = session_ref(2, CR_PURPOSE_CALLER, "o-1@peer");

	(void)state;
	pass(cr_edge_out, 1,
			text_of(0,
					"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP c\r\n"
					"Record-Route: <sip:gw;lr>\r\n"
					"From: <sip:alice@example.com>;tag=o-tag\r\n"
					"To: <sip:bob@example.com>;tag=p-tag\r\n"
					"Call-ID: o-1@peer\r\nCSeq: 41 INVITE\r\n"
					"Call-State: crm1 mark a 1750000000000 140737488355328 "
					"%.*s\r\n\r\n",
					(int)ref.len, ref.s));
	open_sealed(&st);
	assert_true(st.ringing == INT64_C(140737488355328));
	assert_span(st.remote_tag, "p-tag");
	assert_span(st.target, "sip:bob@example.com");
}

static void an_order_that_fails_does_not_get_out(void **state)
{
	cr_edge_t r;
	cr_span_t ref = session_ref(2, CR_PURPOSE_CALLEE, "of another call");

	(void)state;
	r = cr_edge_out(buf[1], OUT_MAX, &env,
			text_of(0,
					"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP c\r\n"
					"From: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n"
					"Call-ID: o-1\r\nCSeq: 41 INVITE\r\n"
					"Contact: <sip:b>\r\nCall-State: crm1 mark a 1750000000000 "
					"0 "
					"%.*s\r\n\r\n",
					(int)ref.len, ref.s));
	assert_int_equal(r.verdict, CR_CHANGED);
	assert_int_equal(r.sealed, 0);
	assert_int_equal(r.refused, CR_OK);
	assert_int_equal(r.unsealed, CR_EFORGED);
	parsed(buf[1], r.len);
	assert_null(cr_sip_field(&m, CR_CALL_STATE));
}

/* Half a route set would lead the client's requests somewhere else. */
static void an_order_with_too_many_routes_is_no_state(void **state)
{
	char routes[512] = "";
	cr_edge_t r;
	cr_span_t ref = session_ref(2, CR_PURPOSE_CALLER, "o-1");

	(void)state;
	for(int i = 0; i <= CR_STATE_ROUTES_MAX; i++)
		snprintf(routes + strlen(routes), sizeof(routes) - strlen(routes),
				" sip:p%d;lr", i);
	r = cr_edge_out(buf[1], OUT_MAX, &env,
			text_of(0,
					"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP c\r\n"
					"From: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n"
					"Call-ID: o-1\r\nCSeq: 41 INVITE\r\nContact: <sip:b>\r\n"
					"Call-State: crm1 mark a 1750000000000 0 %.*s "
					"sip:b%s\r\n\r\n",
					(int)ref.len, ref.s, routes));
	assert_int_equal(r.verdict, CR_CHANGED);
	assert_int_equal(r.sealed, 0);
	assert_int_equal(r.unsealed, CR_ETOOBIG);
	parsed(buf[1], r.len);
	assert_null(cr_sip_field(&m, CR_CALL_STATE));
}

/* A far end that leaves out the client's Via would show the mark to the client. */
static void an_order_that_is_not_carried_out_does_not_get_out(void **state)
{
	static const char *const strange[]
			= {"", "Via: SIP/2.0/UDP c\r\nCSeq: x\r\n"};
	cr_edge_t r;
	cr_span_t ref = session_ref(2, CR_PURPOSE_CALLER, "o-1");

	(void)state;
	for(size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		r = cr_edge_out(buf[1], OUT_MAX, &env,
				text_of(0,
						"SIP/2.0 200 OK\r\n%sFrom: <sip:a>;tag=1\r\n"
						"To: <sip:b>;tag=2\r\nCall-ID: o-1\r\n"
						"CSeq: 41 INVITE\r\nContact: <sip:b>\r\n"
						"Call-State: crm1 mark a 1750000000000 0 %.*s\r\n\r\n",
						strange[i], (int)ref.len, ref.s));
		assert_int_equal(r.verdict, CR_DROP);
		assert_int_equal(r.sealed, 0);
		assert_int_not_equal(r.unsealed, CR_OK);
	}
}

/* Nobody outside knows the mark: it is a field that somebody has planted. */
static void an_order_from_outside_is_not_obeyed(void **state)
{
	cr_span_t ref = session_ref(2, CR_PURPOSE_CALLER, "o-1");
	cr_edge_t r = cr_edge_out(buf[1], OUT_MAX, &env,
			text_of(0,
					"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP c\r\n"
					"From: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n"
					"Call-ID: o-1\r\nCSeq: 41 INVITE\r\nContact: <sip:b>\r\n"
					"Call-State: crm1 guess a 1750000000000 0 %.*s\r\n\r\n",
					(int)ref.len, ref.s));

	(void)state;
	assert_int_equal(r.verdict, CR_CHANGED);
	assert_int_equal(r.sealed, 0);
	parsed(buf[1], r.len);
	assert_null(cr_sip_field(&m, CR_CALL_STATE));
}

/* resume_seal() may have been called twice. */
static void of_two_orders_the_first_counts(void **state)
{
	cr_state_t st;
	cr_span_t out, ref = session_ref(2, CR_PURPOSE_CALLER, "o-1");

	(void)state;
	out = pass(cr_edge_out, 1,
			text_of(0,
					"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP c\r\n"
					"From: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n"
					"Call-ID: o-1\r\nCSeq: 41 INVITE\r\nContact: <sip:b>\r\n"
					"Call-State: crm1 mark a 1750000000000 0 %.*s\r\n"
					"Call-State: crm1 mark a 1750000000000 0 %.*s\r\n\r\n",
					(int)ref.len, ref.s, (int)ref.len, ref.s));
	assert_false(has(out, "crm1"));
	open_sealed(&st);
	assert_span(st.call_id, "o-1");
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(the_first_200_is_sealed),
			T(an_answer_says_when),
			T(a_spliced_reply_seals_o),
			T(the_callee_gets_it_in_the_invite),
			T(a_target_refresh_of_the_peer_is_an_update),
			T(a_180_is_sealed_with_its_transaction),
			T(an_order_that_fails_does_not_get_out),
			T(an_order_with_too_many_routes_is_no_state),
			T(an_order_that_is_not_carried_out_does_not_get_out),
			T(an_order_from_outside_is_not_obeyed),
			T(of_two_orders_the_first_counts),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
