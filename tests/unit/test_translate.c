/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The names of a dialog, and all that goes with them, from N to O and back.
 */
#include "helper_edge.h"

static void other_uris_are_translated(void **state)
{
	cr_span_t text;
	char *tag;

	(void)state;
	call.local_uri = CR_SPAN("sip:+4930@trunk;user=phone");
	call.remote_uri = CR_SPAN("tel:+4940");
	learn();
	assert_span(
			field(CR_FROM), "\"Alice\" <sip:+4930@trunk;user=phone>;tag=o-tag");
	assert_span(field(CR_TO), "<tel:+4940>;tag=p-tag");
	pass(cr_edge_out, 1, reply_of_peer(0, 200, "1041 INVITE"));
	assert_span(field(CR_FROM), "<sip:alice@example.com>;tag=n-tag");
	tag = copy_of(cr_tag_of(field(CR_TO)));
	text = text_of(0,
			"BYE sip:bob@10.0.0.9 SIP/2.0\r\nVia: SIP/2.0/UDP c\r\n"
			"From: <sip:alice@example.com>;tag=n-tag\r\n"
			"To: <sip:bob@example.com>;tag=%s\r\nCall-ID: n-1\r\n"
			"CSeq: 6 BYE\r\n\r\n",
			tag);
	pass(edge_in, 1, text);
	assert_span(field(CR_FROM), "<sip:+4930@trunk;user=phone>;tag=o-tag");
	assert_span(field(CR_TO), "<tel:+4940>;tag=p-tag");
	free(tag);
}

/* Whoever calls himself something else meanwhile (RFC 4916) is left his name, and gets
 * it back in the answer (RFC 3261 section 8.2.6.2). */
static void a_new_uri_stays(void **state)
{
	char *tag;

	(void)state;
	call.remote_uri = CR_SPAN("sip:bobby@trunk");
	learn();
	tag = n_remote_tag();
	pass(cr_edge_out, 1,
			text_of(0,
					"INFO %s SIP/2.0\r\nVia: SIP/2.0/UDP p\r\n"
					"From: \"New\" <sip:new@trunk>;tag=p-tag\r\n"
					"To: <sip:alice@example.com>;tag=o-tag\r\n"
					"Call-ID: o-1@peer\r\nCSeq: 3 INFO\r\n\r\n",
					client_contact));
	assert_true(has(field(CR_FROM), "\"New\" <sip:new@trunk>;tag=p-tag.crm1."));
	pass(edge_in, 1,
			text_of(0,
					"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP gw\r\n"
					"From: <sip:new@trunk>;tag=%s\r\n"
					"To: <sip:alice@example.com>;tag=n-tag\r\nCall-ID: n-1\r\n"
					"CSeq: 3 INFO\r\n\r\n",
					tag));
	assert_span(field(CR_FROM), "<sip:new@trunk>;tag=p-tag");
	pass(edge_in, 1,
			text_of(0,
					"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP gw\r\n"
					"From: <sip:bob@example.com>;tag=%s\r\n"
					"To: <sip:alice@example.com>;tag=n-tag\r\nCall-ID: n-1\r\n"
					"CSeq: 4 INFO\r\n\r\n",
					tag));
	assert_span(field(CR_FROM), "<sip:bobby@trunk>;tag=p-tag");
	free(tag);
}

/* Of two URIs only the one that differs is carried. */
static void one_other_uri(void **state)
{
	size_t both, none, len;

	(void)state;
	learn();
	none = strlen(client_via);
	call.remote_uri = CR_SPAN("sip:bobby@example.com");
	learn();
	assert_span(field(CR_TO), "<sip:bobby@example.com>;tag=p-tag");
	len = strlen(client_via);
	call.local_uri = CR_SPAN("sip:alicia@example.com");
	learn();
	both = strlen(client_via);
	assert_true(none < len && len - none < both - none);
	pass(cr_edge_out, 1, reply_of_peer(0, 200, "1041 INVITE"));
	assert_span(field(CR_FROM), "<sip:alice@example.com>;tag=n-tag");
}

static void client_requests_go_out_in_o(void **state)
{
	static const char *const methods[] = {"ACK", "BYE", "INVITE", "UPDATE",
			"INFO", "OPTIONS", "REFER", "NOTIFY", "MESSAGE", "CANCEL", "PRACK"};
	char *tag;

	(void)state;
	learn();
	tag = n_remote_tag();
	for(size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		cr_span_t out = pass(edge_in, 1,
				request_of_client(
						0, methods[i], tag, "Contact: sip:alice@x;y=z\r\n"));
		assert_span(m.call_id, "o-1@peer");
		assert_int_equal(m.cseq, 6 + 41 + CR_CSEQ_JUMP - 5);
		assert_span(cr_tag_of(field(CR_FROM)), "o-tag");
		assert_span(cr_tag_of(field(CR_TO)), "p-tag");
		assert_true(has(field(CR_VIA), ";crm1="));
		assert_true(has(out, "Contact: <sip:alice@x;crm1="));
		assert_true(has(out, ">;y=z\r\n"));
		assert_false(has(out, "n-1"));
	}
	free(tag);
}

static void rack_is_shifted(void **state)
{
	char *tag;

	(void)state;
	learn();
	tag = n_remote_tag();
	pass(edge_in, 1,
			request_of_client(0, "PRACK", tag, "RAck: 776  5 INVITE\r\n"));
	assert_span(field(CR_RACK), "776  1041 INVITE");
	free(tag);
}

static void the_subscription_of_a_refer_is_shifted(void **state)
{
	/* REFER 5 of the client is 1041 for the far end. */
	static const char *const others[] = {"refer", "refer;id=", "refer;id=1041x",
			"refer;id=10411041104", "dialog;id=1041"};
	char more[64];
	char *tag;

	(void)state;
	learn();
	tag = n_remote_tag();
	pass(cr_edge_out, 1,
			request_of_peer(0, "NOTIFY", "Event: refer ; ID = 1041\r\n"));
	assert_span(field(CR_EVENT_HDR), "refer ; ID = 5");
	pass(cr_edge_out, 1,
			request_of_peer(0, "NOTIFY", "o: refer;id=1041;x\r\n"));
	assert_span(field(CR_EVENT_HDR), "refer;id=5;x");
	pass(edge_in, 1,
			request_of_client(0, "SUBSCRIBE", tag, "Event: refer;id=5\r\n"));
	assert_span(field(CR_EVENT_HDR), "refer;id=1041");
	/* The far end's own REFER has the number that the client knows. */
	pass(edge_in, 1,
			request_of_client(0, "NOTIFY", tag, "Event: refer;id=5\r\n"));
	assert_span(field(CR_EVENT_HDR), "refer;id=5");
	for(size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(more, sizeof(more), "Event: %s\r\n", others[i]);
		pass(cr_edge_out, 1, request_of_peer(0, "NOTIFY", more));
		assert_span(field(CR_EVENT_HDR), others[i]);
	}
	free(tag);
}

/* A redirection names somebody else. */
static void the_contact_of_a_302_is_left_alone(void **state)
{
	char *tag;

	(void)state;
	learn();
	tag = n_remote_tag();
	pass(edge_in, 1,
			text_of(0,
					"SIP/2.0 302 Moved\r\nVia: SIP/2.0/UDP gw\r\n"
					"From: <sip:bob@example.com>;tag=%s\r\n"
					"To: <sip:alice@example.com>;tag=n-tag\r\nCall-ID: n-1\r\n"
					"CSeq: 3 INVITE\r\nContact: <sip:carol@y>\r\n\r\n",
					tag));
	assert_span(m.call_id, "o-1@peer");
	assert_span(field(CR_CONTACT), "<sip:carol@y>");
	free(tag);
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(other_uris_are_translated),
			T(a_new_uri_stays),
			T(one_other_uri),
			T(client_requests_go_out_in_o),
			T(rack_is_shifted),
			T(the_subscription_of_a_refer_is_shifted),
			T(the_contact_of_a_302_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
