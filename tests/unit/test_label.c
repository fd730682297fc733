/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The label of a call at the media server: what it is made of, what it opens to, and the BYE
 * that comes of it.
 */
#include "helper_edge.h"

#include "label.h"

#define CALL_ID "o-1@peer"
#define GW "sip:gw;lr;ftag=a-tag"
#define PROXY "sip:proxy.example.com;lr"

static char refs[CR_SIDES][CR_BOX_TEXT_MAX + 1];
static cr_sip_t reply, sent, received;
static cr_label_t label;
static char sealed[CR_BOX_TEXT_MAX + 1];
static uint8_t mem[CR_BOX_PLAIN_MAX], ref_mem[CR_BOX_PLAIN_MAX];

static const char *ref_of(cr_side_t side, uint32_t cseq)
{
	cr_ref_t ref = {.start = NOW - 100,
			.cseq = cseq,
			.sub = CR_SPAN("sip:alice@example.com"),
			.sid = CR_SPAN("s1")};
	int len;

	memcpy(ref.hint, ring.keys[0].hint, sizeof(ref.hint));
	len = cr_ref_seal(refs[side], CR_BOX_TEXT_MAX, crypto, &ring.keys[0],
			side == CR_SIDE_CALLER ? CR_PURPOSE_CALLER : CR_PURPOSE_CALLEE,
			CR_SPAN(CALL_ID), &ref);
	assert_true(len > 0);
	refs[side][len] = '\0';
	return refs[side];
}

static void take(cr_sip_t *into, cr_span_t text)
{
	assert_int_equal(cr_sip_parse(into, text), CR_OK);
}

#define NAMES                                                                  \
	"From: <sip:%s@example.com>;tag=%s\r\nTo: "                                \
	"<sip:%s@example.com>%s\r\nCall-ID: " CALL_ID "\r\nCSeq: %s\r\n"

/* alice calls bob through a proxy behind us. */
static int first_answer_with(const char *reply_param, const char *sent_param)
{
	take(&received,
			text_of(0,
					"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP "
					"c\r\n" NAMES "Contact: <sip:alice@c>\r\n\r\n",
					"alice", "a-tag", "bob", "", "7 INVITE"));
	take(&sent,
			text_of(1,
					"INVITE sip:bob@peer SIP/2.0\r\nVia: SIP/2.0/UDP "
					"gw\r\nRecord-Route: <" GW "%s>\r\n" NAMES
					"Contact: <sip:alice@c;alias=1~2~5>\r\n\r\n",
					sent_param, "alice", "a-tag", "bob", "", "7 INVITE"));
	take(&reply,
			text_of(2,
					"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP gw\r\n" NAMES
					"Contact: <sip:bob@10.0.0.9:5070>\r\n"
					"Record-Route: <" PROXY ">%s%s%s\r\n\r\n",
					"alice", "a-tag", "bob", ";tag=b-tag", "7 INVITE",
					reply_param != NULL ? ", <" GW : "",
					reply_param != NULL ? reply_param : "",
					reply_param != NULL ? ">" : ""));
	return cr_label_read(&label, &reply, &sent, &received);
}

static int first_answer(const char *gw_param)
{
	return first_answer_with(gw_param, gw_param);
}

static int open_text(cr_span_t text)
{
	return cr_label_open(&label, mem, &env, CR_SPAN(CALL_ID), text);
}

static void seal(void)
{
	int len = cr_label_seal(
			sealed, CR_BOX_TEXT_MAX, &env, CR_SPAN(CALL_ID), &label);

	assert_true(len > 0);
	sealed[len] = '\0';
}

static void sealed_answer(cr_side_t side, uint32_t cseq)
{
	char param[CR_BOX_TEXT_MAX + 16];

	snprintf(param, sizeof(param), ";%s=%s",
			side == CR_SIDE_CALLER ? "crs-a" : "crs-b", ref_of(side, cseq));
	assert_int_equal(first_answer(param), CR_OK);
	seal();
	assert_int_equal(open_text(cr_span_str(sealed)), CR_OK);
}

/* The BYE of a side, in m. */
static void bye_of(cr_side_t side)
{
	const cr_sender_t from = {CR_SPAN("127.0.0.9"), 999, CR_SPAN("branch")};
	cr_span_t gateway;
	cr_ref_t ref;
	int len;

	assert_int_equal(cr_label_client(&ref, ref_mem, &gateway, &env, &label,
							 CR_SPAN(CALL_ID), side),
			CR_OK);
	len = cr_label_bye(
			buf[3], OUT_MAX, &env, &label, CR_SPAN(CALL_ID), side, &ref, &from);
	assert_true(len > 0);
	parsed(buf[3], (size_t)len);
}

static void routes_of_bye(const char *one, const char *two)
{
	cr_value_iter_t it = {0};
	cr_span_t value;

	assert_true(cr_sip_next(&m, CR_ROUTE, &it, &value));
	assert_true(has(value, one));
	assert_true(cr_sip_next(&m, CR_ROUTE, &it, &value));
	assert_true(has(value, two));
	assert_false(cr_sip_next(&m, CR_ROUTE, &it, &value));
}

static void caller_is_gone(void **state)
{
	(void)state;
	sealed_answer(CR_SIDE_CALLER, 0);
	bye_of(CR_SIDE_CALLER);
	assert_span(m.method, "BYE");
	assert_span(m.ruri, "sip:bob@10.0.0.9:5070");
	assert_span(field(CR_FROM), "<sip:alice@example.com>;tag=a-tag");
	assert_span(field(CR_TO), "<sip:bob@example.com>;tag=b-tag");
	assert_span(m.call_id, CALL_ID);
	assert_int_equal(m.cseq, 7 + CR_CSEQ_JUMP);
	routes_of_bye(GW, PROXY);
	assert_true(
			has(m.text, "\r\nReason: SIP;cause=480;text=\"Client Gone\"\r\n"));
	assert_true(has(m.text,
			"Via: SIP/2.0/UDP 127.0.0.9:999;rport;branch=z9hG4bKbranch\r\n"));
}

/* A node of a cluster has told bob no Route of its own. */
static void caller_of_a_cluster_is_gone(void **state)
{
	char param[CR_BOX_TEXT_MAX + 16];

	(void)state;
	snprintf(param, sizeof(param), ";crs-a=%s", ref_of(CR_SIDE_CALLER, 6));
	assert_int_equal(first_answer_with(NULL, param), CR_OK);
	assert_int_equal(label.n_routes, 2);
	seal();
	assert_int_equal(open_text(cr_span_str(sealed)), CR_OK);
	bye_of(CR_SIDE_CALLER);
}

/* Its CSeq is nobody's business until it has sent something. */
static void callee_is_gone(void **state)
{
	(void)state;
	sealed_answer(CR_SIDE_CALLEE, 0);
	bye_of(CR_SIDE_CALLEE);
	assert_span(m.ruri, "sip:alice@c;alias=1~2~5");
	assert_span(field(CR_FROM), "<sip:bob@example.com>;tag=b-tag");
	assert_span(field(CR_TO), "<sip:alice@example.com>;tag=a-tag");
	assert_int_equal(
			m.cseq, CR_CSEQ_UNKNOWN + CR_CSEQ_JUMP + 100 * 1000 / CR_CSEQ_MS);
	routes_of_bye(PROXY, GW);
	sealed_answer(CR_SIDE_CALLEE, INT32_MAX - 5);
	bye_of(CR_SIDE_CALLEE);
	assert_int_equal(m.cseq, INT32_MAX);
}

/* A BYE later than the label has a higher CSeq, as a resume would. */
static void time_goes_on(void **state)
{
	(void)state;
	sealed_answer(CR_SIDE_CALLER, 0);
	env.now_ms += 64000;
	bye_of(CR_SIDE_CALLER);
	assert_int_equal(m.cseq, 7 + CR_CSEQ_JUMP + 1000);
	env.now_ms -= 128000;
	bye_of(CR_SIDE_CALLER);
	assert_int_equal(m.cseq, 7 + CR_CSEQ_JUMP);
	env.now_ms += 64000;
}

/* A re-INVITE: of bob, with a Route of his own. */
static int within(const char *from, const char *from_tag, const char *to,
		const char *to_tag, const char *param, const char *contact)
{
	take(&received,
			text_of(0,
					"INVITE sip:other@there SIP/2.0\r\nVia: SIP/2.0/UDP "
					"c\r\n" NAMES "Route: <" GW "%s>, <" PROXY
					">\r\nContact: <sip:new@c>\r\n\r\n",
					from, from_tag, to, to_tag, "9 INVITE", param));
	take(&sent,
			text_of(1,
					"INVITE sip:other@there SIP/2.0\r\nVia: SIP/2.0/UDP "
					"gw\r\n" NAMES "Contact: <sip:new@c;alias=1>\r\n\r\n",
					from, from_tag, to, to_tag, "9 INVITE"));
	take(&reply,
			text_of(2,
					"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP gw\r\n" NAMES "%s\r\n",
					from, from_tag, to, to_tag, "9 INVITE", contact));
	return cr_label_read(&label, &reply, &sent, &received);
}

static void within_the_dialog(void **state)
{
	char param[CR_BOX_TEXT_MAX + 16];

	(void)state;
	snprintf(param, sizeof(param), ";crs-a=%s", ref_of(CR_SIDE_CALLER, 0));
	/* Of the client, the far end with no Contact. */
	assert_int_equal(
			within("alice", "a-tag", "bob", ";tag=b-tag", param, ""), CR_OK);
	seal();
	assert_int_equal(open_text(cr_span_str(sealed)), CR_OK);
	bye_of(CR_SIDE_CALLER);
	assert_span(m.ruri, "sip:other@there");
	assert_int_equal(m.cseq, 9 + CR_CSEQ_JUMP);
	routes_of_bye(GW, PROXY);
	assert_span(label.party[CR_SIDE_CALLER].target, "sip:new@c;alias=1");
	/* Of the far end: what its route set is nobody has said. */
	assert_int_equal(within("bob", "b-tag", "alice", ";tag=a-tag", param,
							 "Contact: <sip:x@y>\r\n"),
			CR_EMISSING);
	/* Of a called client. */
	snprintf(param, sizeof(param), ";crs-b=%s", ref_of(CR_SIDE_CALLEE, 0));
	assert_int_equal(within("bob", "b-tag", "alice", ";tag=a-tag", param,
							 "Contact: <sip:x@y>\r\n"),
			CR_OK);
	seal();
	assert_int_equal(open_text(cr_span_str(sealed)), CR_OK);
	bye_of(CR_SIDE_CALLEE);
	assert_span(field(CR_FROM), "<sip:bob@example.com>;tag=b-tag");
	assert_int_equal(m.cseq, 9 + CR_CSEQ_JUMP);
	routes_of_bye(GW, PROXY);
}

static void only_as_it_was_sealed(void **state)
{
	(void)state;
	sealed_answer(CR_SIDE_CALLER, 0);
	assert_int_equal(cr_label_open(&label, mem, &env, CR_SPAN("other@peer"),
							 cr_span_str(sealed)),
			CR_EFORGED);
	/* A session reference is none, though of this call. */
	assert_int_equal(open_text(cr_span_str(refs[CR_SIDE_CALLER])), CR_EFORGED);
	refuse_truncations(open_text, sealed);
	refuse_text_flips(open_text, sealed);
	env.ring = &stranger;
	assert_int_equal(open_text(cr_span_str(sealed)), CR_EFORGED);
	env.ring = &ring;
}

/* No address, no tag and no route that would end a line. */
static void what_is_refused(void **state)
{
	cr_span_t gateway;
	cr_ref_t ref;

	(void)state;
	assert_int_equal(first_answer(";crs-a=x"), CR_OK);
	assert_true(cr_label_client(&ref, ref_mem, &gateway, &env, &label,
						CR_SPAN(CALL_ID), CR_SIDE_CALLER)
			< 0);
	assert_int_equal(cr_label_client(&ref, ref_mem, &gateway, &env, &label,
							 CR_SPAN(CALL_ID), CR_SIDE_CALLEE),
			CR_EMISSING);
	label.party[0].target = CR_SPAN("sip:a\r\nX: y");
	seal();
	assert_int_equal(open_text(cr_span_str(sealed)), CR_EMALFORMED);
	assert_int_equal(first_answer(";crs-a=x"), CR_OK);
	label.routes[1] = CR_SPAN("sip:a b");
	seal();
	assert_int_equal(open_text(cr_span_str(sealed)), CR_EMALFORMED);
}

/* From the first version on. */
static void frozen(void **state)
{
	static const char text[]
			= "nk4qzfzza2xjz3vefdior2sooenmibgcmrantity47wprmmiwjcxr4vejn3u5njx"
			  "x7smc6g7eciqgeogq5hajnfokfzjrcnkv7gsac7vqzmj25luq2s46fkjjyvx4kcz"
			  "u2ucufpy64z6rh4v6cglphx2lwu5v6gmfu7hthvogid2vipl3jbveqqzbdqrkmtl"
			  "dom5ni2f2ck6l6m5z6r3qyvofz3i3onsa6c66rrqglwizyw543fcjrxkuwhoircv"
			  "lw2czpz7lnfpnhyr3luq3c3jhsszoxsapz2a4v3nhddjeczauajf54jw3nwfk";

	(void)state;
	assert_int_equal(first_answer(";x=y"), CR_OK);
	seal();
	assert_string_equal(sealed, text);
	assert_int_equal(open_text(cr_span_str(text)), CR_OK);
	assert_int_equal(label.made_s, NOW);
	assert_int_equal(label.n_routes, 2);
	assert_span(label.party[CR_SIDE_CALLEE].tag, "b-tag");
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(caller_is_gone),
			T(caller_of_a_cluster_is_gone),
			T(callee_is_gone),
			T(time_goes_on),
			T(within_the_dialog),
			T(only_as_it_was_sealed),
			T(what_is_refused),
			T(frozen),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
