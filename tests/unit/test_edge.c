/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The splice as a conversation: a client that comes back as N, the gateway's
 * two edges, and a peer that knows O. The gateway between the edges is left
 * out, but for its own Via.
 */
#include "helper_edge.h"

/* What must not reach the client. @return why */
static cr_edge_t dropped(cr_span_t text)
{
	cr_edge_t r = cr_edge_out(buf[1], OUT_MAX, &env, text);

	assert_int_equal(r.verdict, CR_DROP);
	return r;
}

/* ---- replies to the client ----------------------------------------------- */

static void a_2xx_begins_the_new_dialog(void **state)
{
	cr_span_t out;

	(void)state;
	learn();
	out = pass(cr_edge_out, 1, reply_of_peer(0, 200, "1041 INVITE"));
	assert_span(m.call_id, "n-1");
	assert_int_equal(m.cseq, 5);
	assert_span(cr_tag_of(field(CR_FROM)), "n-tag");
	assert_true(has(cr_tag_of(field(CR_TO)), "p-tag" CR_MAP_TAG));
	assert_span(field(CR_VIA), "SIP/2.0/WS x.invalid;branch=z9hG4bKr1");
	assert_false(has(out, "o-1@peer"));
	assert_false(has(out, "o-tag"));
	assert_span(field(CR_CONTACT), "<sip:bob@10.0.0.9:5071>");
}

/* The client's ACK to these has to come in N, so its tag must have no map. */
static void failures_and_100_have_a_plain_tag(void **state)
{
	static const int codes[] = {100, 300, 408, 481, 486, 488, 491, 500, 603};

	(void)state;
	learn();
	for(size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		pass(cr_edge_out, 1, reply_of_peer(0, codes[i], "1041 INVITE"));
		assert_span(m.call_id, "n-1");
		assert_span(cr_tag_of(field(CR_TO)), "p-tag");
	}
	pass(cr_edge_out, 1, reply_of_peer(0, 183, "1041 INVITE"));
	assert_true(has(cr_tag_of(field(CR_TO)), CR_MAP_TAG));
}

static void a_reply_that_cannot_be_translated_is_dropped(void **state)
{
	cr_edge_t r;

	(void)state;
	learn();
	client_via[strlen(client_via) - 1] ^= 3;
	r = dropped(reply_of_peer(0, 200, "1041 INVITE"));
	assert_int_not_equal(r.refused, CR_OK);
	learn();
	env.now_ms += 3601000;
	r = dropped(reply_of_peer(0, 200, "1041 INVITE"));
	assert_int_equal(r.refused, CR_EEXPIRED);
}

/* A peer that answers with a map into a dialog that it does not belong to. */
static void a_map_opens_in_its_own_dialog_only(void **state)
{
	cr_edge_t r;
	cr_span_t text;

	(void)state;
	learn();
	text = text_of(0,
			"SIP/2.0 200 OK\r\nVia: %s\r\nFrom: <sip:a>;tag=o-tag\r\n"
			"To: <sip:b>;tag=p-tag\r\nCall-ID: another\r\nCSeq: 1041 "
			"INVITE\r\n\r\n",
			client_via);
	r = dropped(text);
	assert_int_equal(r.refused, CR_EMISPLACED);
}

/* With our key's name in front, and nothing else of ours. */
static void a_map_that_is_made_up_is_forged(void **state)
{
	char *map;
	cr_edge_t r;

	(void)state;
	learn();
	map = strstr(client_via, CR_MAP_PARAM) + strlen(CR_MAP_PARAM);
	memset(map + 5, 'a', strlen(map + 5));
	r = dropped(reply_of_peer(0, 200, "1041 INVITE"));
	assert_int_equal(r.refused, CR_EFORGED);
	assert_true(cr_span_eq(r.call_id, CR_SPAN("o-1@peer")));
}

static void a_map_of_another_purpose_is_refused(void **state)
{
	const char *map;
	cr_edge_t r;

	(void)state;
	learn();
	map = strstr(client_contact, CR_MAP_PARAM);
	r = dropped(text_of(0,
			"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP c%s\r\n"
			"From: <sip:a>;tag=o-tag\r\nTo: <sip:b>;tag=p-tag\r\n"
			"Call-ID: o-1@peer\r\nCSeq: 1041 INVITE\r\n\r\n",
			map));
	assert_int_equal(r.refused, CR_EMISPLACED);
}

/* Nobody but us writes one there, and in lower case. */
static void a_parameter_that_is_written_otherwise_is_no_map(void **state)
{
	cr_edge_t r;

	(void)state;
	r = cr_edge_out(buf[1], OUT_MAX, &env,
			cr_span_str("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP c;CRM1=aa\r\n"
						"From: <sip:a>;tag=1\r\nTo: <sip:a>;tag=2\r\n"
						"Call-ID: crm1\r\nCSeq: 1 REGISTER\r\n\r\n"));
	assert_int_not_equal(r.verdict, CR_DROP);
	assert_int_equal(r.refused, CR_OK);
}

/* ---- requests of the client ---------------------------------------------- */

/* No answer to it could be sent: the map of each would not open. */
static void a_map_in_the_first_via_is_dropped(void **state)
{
	static const char *const vias[]
			= {"SIP/2.0/UDP c;crm1=aa", "SIP/2.0/UDP c;crm1",
					"SIP/2.0/UDP c;branch=z9hG4bKr2 ; crm1 = aa;rport",
					"SIP/2.0/UDP c;CRM1=aa;crm1=aa",
					"SIP/2.0/UDP c;crm1=aa, SIP/2.0/UDP d"};
	static const char text[] = "%s sip:bob@gw SIP/2.0\r\nVia: %s\r\n"
							   "From: <sip:alice@example.com>;tag=o-tag\r\n"
							   "To: <sip:bob@example.com>\r\n"
							   "Call-ID: o-1@peer\r\nCSeq: 1 %s\r\n\r\n";
	static const char *const methods[] = {"OPTIONS", "INVITE", "ACK"};
	cr_edge_t r;

	(void)state;
	learn();
	for(size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		for(size_t k = 0; k < sizeof(vias) / sizeof(vias[0]); k++) {
			r = edge_in(buf[1], OUT_MAX, &env,
					text_of(0, text, methods[i], vias[k], methods[i]));
			assert_int_equal(r.verdict, CR_DROP);
			assert_int_equal(r.refused, CR_EMALFORMED);
		}
	}
	/* Nor is a real one of its sender's. */
	r = edge_in(buf[1], OUT_MAX, &env,
			text_of(0, text, "OPTIONS", client_via, "OPTIONS"));
	assert_int_equal(r.verdict, CR_DROP);
}

/* Who has resumed may call through us and another gateway, whose Via is then the first. */
static void what_is_no_map_in_the_first_via_comes_in(void **state)
{
	static const char *const vias[]
			= {"SIP/2.0/UDP gw;branch=z9hG4bKg, SIP/2.0/UDP c;crm1=aa",
					"SIP/2.0/UDP gw\r\nVia: SIP/2.0/UDP c;crm1=aa",
					"SIP/2.0/UDP c;CRM1=aa;branch=z9hG4bKcrm1",
					"SIP/2.0/UDP crm1;xcrm1=aa;crm10=aa",
					"SIP/2.0/UDP c;x=\";crm1=aa\""};
	cr_edge_t r;

	(void)state;
	for(size_t k = 0; k < sizeof(vias) / sizeof(vias[0]); k++) {
		r = edge_in(buf[1], OUT_MAX, &env,
				text_of(0,
						"OPTIONS sip:bob@gw SIP/2.0\r\nVia: %s\r\n"
						"From: <sip:a>;tag=1\r\nTo: <sip:b>\r\n"
						"Call-ID: crm1\r\nCSeq: 1 OPTIONS\r\n\r\n",
						vias[k]));
		assert_int_equal(r.verdict, CR_KEEP);
		assert_int_equal(r.refused, CR_OK);
	}
}

static void a_request_without_route_gets_ours(void **state)
{
	static const char bare[]
			= "BYE sip:bob@10.0.0.9:5071 SIP/2.0\r\n"
			  "Via: SIP/2.0/WS x.invalid;branch=z9hG4bKr2\r\nCall-ID: n-1\r\n"
			  "Call-State: gone\r\n"
			  "From: <sip:alice@example.com>;tag=n-tag\r\n"
			  "To: <sip:bob@example.com>;tag=%s\r\n%sCSeq: 6 BYE\r\n\r\n";
	const cr_span_t own = CR_SPAN("sip:192.0.2.1:8080;transport=ws");
	cr_edge_t r;
	char *tag;

	(void)state;
	learn();
	tag = n_remote_tag();
	r = cr_edge_in(buf[1], OUT_MAX, &env, text_of(0, bare, tag, ""), own);
	assert_int_equal(r.verdict, CR_CHANGED);
	assert_true(has((cr_span_t){buf[1], r.len},
			"Call-ID: o-1@peer\r\n"
			"Route: <sip:192.0.2.1:8080;transport=ws;lr>\r\nFrom:"));
	/* One that knows its route set keeps it. */
	r = cr_edge_in(buf[1], OUT_MAX, &env,
			text_of(0, bare, tag, "Route: <sip:gw;lr>\r\n"), own);
	assert_false(has((cr_span_t){buf[1], r.len}, "192.0.2.1"));
	/* Nor is one in no dialog of ours. */
	r = cr_edge_in(buf[1], OUT_MAX, &env, text_of(0, bare, "p-tag", ""), own);
	assert_false(r.verdict == CR_CHANGED
			&& has((cr_span_t){buf[1], r.len}, "192.0.2.1"));
	free(tag);
}

static void a_forged_tag_is_left_alone(void **state)
{
	cr_edge_t r;
	char *tag;

	(void)state;
	learn();
	tag = n_remote_tag();
	for(size_t i = strlen("p-tag" CR_MAP_TAG); tag[i] != '\0'; i++) {
		tag[i] = tag[i] == 'a' ? 'b' : 'a';
		r = edge_in(
				buf[1], OUT_MAX, &env, request_of_client(0, "BYE", tag, ""));
		assert_int_equal(r.verdict, CR_KEEP);
		assert_int_not_equal(r.refused, CR_OK);
		free(tag);
		tag = n_remote_tag();
	}
	r = edge_in(buf[1], OUT_MAX, &env,
			request_of_client(0, "BYE", "p-tag" CR_MAP_TAG, ""));
	assert_int_equal(r.verdict, CR_KEEP);
	free(tag);
}

/* ---- requests of the peer ------------------------------------------------ */

static void peer_requests_arrive_in_n(void **state)
{
	char *tag;
	cr_span_t out;

	(void)state;
	learn();
	tag = n_remote_tag();
	out = pass(cr_edge_out, 1, request_of_peer(0, "BYE", ""));
	assert_span(m.ruri, "sip:alice@x.invalid;transport=ws");
	assert_span(m.call_id, "n-1");
	assert_int_equal(m.cseq, 3);
	assert_span(cr_tag_of(field(CR_TO)), "n-tag");
	assert_span(cr_tag_of(field(CR_FROM)), tag); /* as the 2xx gave it */
	assert_false(has(out, "o-1@peer"));
	free(tag);
}

static void the_client_answers_in_n(void **state)
{
	char *tag;

	(void)state;
	learn();
	tag = n_remote_tag();
	pass(edge_in, 1,
			text_of(0,
					"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP gw\r\n"
					"From: <sip:bob@example.com>;tag=%s\r\n"
					"To: <sip:alice@example.com>;tag=n-tag\r\nCall-ID: n-1\r\n"
					"CSeq: 3 INVITE\r\nContact: <sip:alice@x.invalid>\r\n\r\n",
					tag));
	assert_span(m.call_id, "o-1@peer");
	assert_int_equal(m.cseq, 3);
	assert_span(cr_tag_of(field(CR_FROM)), "p-tag");
	assert_span(cr_tag_of(field(CR_TO)), "o-tag");
	assert_span(field(CR_VIA), "SIP/2.0/UDP gw");
	assert_true(has(field(CR_CONTACT), ";crm1="));
	free(tag);
}

static void with_a_route_left_another_gateway_translates(void **state)
{
	cr_edge_t r;

	(void)state;
	learn();
	r = cr_edge_out(buf[1], OUT_MAX, &env,
			request_of_peer(0, "BYE", "Route: <sip:gw2;lr>\r\n"));
	assert_int_equal(r.verdict, CR_KEEP);
	assert_int_equal(r.refused, CR_OK);
}

static void a_map_in_a_strange_dialog_is_dropped(void **state)
{
	cr_edge_t r;

	(void)state;
	learn();
	r = dropped(text_of(0,
			"BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP gw\r\n"
			"From: <sip:eve@x>;tag=e\r\nTo: <sip:a@b>;tag=z\r\n"
			"Call-ID: eve\r\nCSeq: 3 BYE\r\n\r\n",
			client_contact));
	assert_int_equal(r.refused, CR_EMISPLACED);
}

/* It is in a dialog for whoever reads it otherwise. */
static void a_to_that_cannot_be_read_is_dropped(void **state)
{
	static const char *const to[]
			= {"<sip:a@b>;tag=", "<sip:a@b>;tag", "<sip:a@b> tag=o-tag",
					"<sip:a@b>;x=\";tag=o-tag", "\"a <sip:a@b>;tag=o-tag"};
	cr_edge_t r;

	(void)state;
	learn();
	for(size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		r = dropped(text_of(0,
				"BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP gw\r\n"
				"From: <sip:bob@x>;tag=p-tag\r\nTo: %s\r\n"
				"Call-ID: o-1@peer\r\nCSeq: 3 BYE\r\n\r\n",
				client_contact, to[i]));
		assert_int_not_equal(r.refused, CR_OK);
	}
}

/* ---- dialogs named elsewhere --------------------------------------------- */

static void names_of_n_become_names_of_o(void **state)
{
	char *tag;
	char more[2048];

	(void)state;
	learn();
	tag = n_remote_tag();
	snprintf(more, sizeof(more),
			"Target-Dialog: n-1;local-tag=n-tag;remote-tag=%s\r\n"
			"Replaces: n-1;to-tag=%s;from-tag=n-tag;early-only\r\n"
			"Refer-To: <sip:bob@h?X=1&Replaces=n-1%%3Bto-tag%%3D%s%%3Bfrom-tag"
			"%%3Dn-tag>\r\n",
			tag, tag, tag);
	/* in another dialog, which is not spliced */
	pass(edge_in, 1,
			text_of(0,
					"REFER sip:carol@h SIP/2.0\r\nVia: SIP/2.0/UDP c\r\n"
					"From: <sip:a>;tag=f\r\nTo: <sip:c>;tag=t\r\n"
					"Call-ID: other\r\nCSeq: 1 REFER\r\n%s\r\n",
					more));
	assert_span(m.call_id, "other");
	assert_span(field(CR_TARGET_DIALOG),
			"o-1@peer;local-tag=o-tag;remote-tag=p-tag");
	assert_span(field(CR_REPLACES),
			"o-1@peer;to-tag=p-tag;from-tag=o-tag;early-only");
	assert_span(field(CR_REFER_TO),
			"<sip:bob@h?X=1&Replaces=o-1%40peer%3Bto-tag%3Dp-tag%3Bfrom-tag"
			"%3Do-tag>");
	free(tag);
}

static void replaces_of_o_becomes_replaces_of_n(void **state)
{
	char *tag, want[2048];

	(void)state;
	learn();
	tag = n_remote_tag();
	pass(cr_edge_out, 1,
			text_of(0,
					"INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP gw\r\n"
					"From: <sip:carol@x>;tag=c\r\nTo: <sip:a@b>\r\n"
					"Call-ID: carols\r\nCSeq: 3 INVITE\r\n"
					"Replaces: o-1@peer;to-tag=o-tag;from-tag=p-tag\r\n\r\n",
					client_contact));
	assert_span(m.call_id, "carols");
	assert_span(m.ruri, "sip:alice@x.invalid;transport=ws");
	snprintf(want, sizeof(want), "n-1;to-tag=n-tag;from-tag=%s", tag);
	assert_span(field(CR_REPLACES), want);
	free(tag);
}

/* ---- texts ---------------------------------------------------------------- */

static void line_ends_in_front_of_a_message(void **state)
{
	char *copy;

	(void)state;
	learn();
	copy = copy_of(reply_of_peer(0, 200, "1041 INVITE"));
	pass(cr_edge_out, 1, text_of(0, "\r\n\r\n%s", copy));
	assert_span(m.call_id, "n-1");
	free(copy);
}

/* Every cut of every message of a call: nothing breaks, and what comes out in
 * spite of it is not O in front of the client. */
static void truncated_messages(void **state)
{
	cr_span_t reply;
	char *copy;

	(void)state;
	learn();
	reply = reply_of_peer(0, 200, "1041 INVITE");
	copy = copy_of(reply);
	for(size_t n = 0; n < reply.len; n++) {
		char *cut = malloc(n + 1);

		memcpy(cut, copy, n);
		cr_edge_t r = cr_edge_out(buf[1], OUT_MAX, &env, (cr_span_t){cut, n});
		if(n > 20)
			assert_int_not_equal(r.verdict, CR_CHANGED);
		(void)edge_in(buf[1], OUT_MAX, &env, (cr_span_t){cut, n});
		free(cut);
	}
	free(copy);
}

static void no_room(void **state)
{
	cr_edge_t r;

	(void)state;
	learn();
	r = cr_edge_out(buf[1], 64, &env, reply_of_peer(0, 200, "1041 INVITE"));
	assert_int_equal(r.verdict, CR_DROP);
	/* Nothing is wrong with the map. */
	assert_int_equal(r.refused, CR_OK);
	assert_int_equal(r.failed, CR_ETOOBIG);
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(a_2xx_begins_the_new_dialog),
			T(failures_and_100_have_a_plain_tag),
			T(a_reply_that_cannot_be_translated_is_dropped),
			T(a_map_opens_in_its_own_dialog_only),
			T(a_map_that_is_made_up_is_forged),
			T(a_map_of_another_purpose_is_refused),
			T(a_parameter_that_is_written_otherwise_is_no_map),
			T(a_map_in_the_first_via_is_dropped),
			T(what_is_no_map_in_the_first_via_comes_in),
			T(a_request_without_route_gets_ours),
			T(a_forged_tag_is_left_alone),
			T(peer_requests_arrive_in_n),
			T(the_client_answers_in_n),
			T(with_a_route_left_another_gateway_translates),
			T(a_map_in_a_strange_dialog_is_dropped),
			T(a_to_that_cannot_be_read_is_dropped),
			T(names_of_n_become_names_of_o),
			T(replaces_of_o_becomes_replaces_of_n),
			T(line_ends_in_front_of_a_message),
			T(truncated_messages),
			T(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
