/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state of a client that has answered an INVITE, from that INVITE and its 2xx.
 */
#include "helper_edge.h"

#include "map.h"
#include "push.h"
#include "ref.h"
#include "sealed.h"

#define SUB "sip:alice@example.com"

static cr_push_t p;
static char refs[2][CR_BOX_TEXT_MAX + 1]; /* a, b */
static uint32_t first_cseq;
static char opened_mem[CR_STATE_JSON_MAX];

static const char *session_ref(cr_purpose_t purpose, const char *call_id)
{
	char *out = refs[purpose == CR_PURPOSE_CALLEE];
	cr_ref_t ref = {.start = 1234,
			.cseq = first_cseq,
			.sub = CR_SPAN(SUB),
			.sid = CR_SPAN("s1")};
	int len;

	memcpy(ref.hint, ring.keys[0].hint, sizeof(ref.hint));
	len = cr_ref_seal(out, CR_BOX_TEXT_MAX, crypto, &ring.keys[0], purpose,
			cr_span_str(call_id), &ref);
	assert_true(len > 0);
	out[len] = '\0';
	return out;
}

static void open_pushed(cr_state_t *st, int len)
{
	assert_true(len > 0);
	assert_int_equal(
			cr_sealed_open(st, opened_mem, &env, CR_SPAN(SUB), CR_SPAN("s1"),
					(cr_span_t){env.work->jwe, (size_t)len}),
			CR_OK);
}

#define NAMES                                                                  \
	"From: <sip:bob@example.com>;tag=p-tag\r\n"                                \
	"To: <sip:alice@example.com>%s\r\nCall-ID: o-1@peer\r\nCSeq: 3 INVITE\r\n"
#define SDP(direction) "v=0\r\nm=audio 9 RTP/AVP 0\r\na=" direction "\r\n"

/* What alice says, at the Contact given, with more in it. */
static cr_span_t reply(const char *contact, const char *body)
{
	return text_of(0,
			"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP gw\r\n" NAMES
			"Contact: <%s>;ob\r\n\r\n%s",
			";tag=o-tag", contact, body);
}

static cr_span_t invite(int to, const char *to_tag, const char *more)
{
	return text_of(to,
			"INVITE sip:alice@c SIP/2.0\r\nVia: SIP/2.0/UDP peer\r\n" NAMES
			"Contact: <sip:bob@10.0.0.9:5070>\r\n%s\r\n" SDP("sendonly"),
			to_tag, more);
}

/* bob calls alice: what gets to alice has a Record-Route with a reference. */
static int first_invite(const char *param, cr_purpose_t purpose)
{
	char more[2048];

	snprintf(more, sizeof(more),
			"Record-Route: <sip:gw;lr;%s=%s>, <sip:proxy;lr>\r\n", param,
			session_ref(purpose, "o-1@peer"));
	assert_int_equal(cr_push_parse(&p, reply("sip:alice@c", SDP("recvonly")),
							 invite(1, "", more), invite(2, "", "")),
			CR_OK);
	return cr_push_seal(&env, &p);
}

/* bob's re-INVITE: what comes in has a Route with it, from alice's call or to her. */
static int reinvite(const char *param, cr_purpose_t purpose, const char *ftag,
		const char *contact, const char *more)
{
	char text[2048];

	snprintf(text, sizeof(text),
			"%sRoute: <sip:gw-far;lr;ftag=%s;%s=%s>,"
			" <sip:gw-near;lr;ftag=%s;%s=%s>\r\n",
			more, ftag, param, session_ref(purpose, "o-1@peer"), ftag, param,
			refs[purpose == CR_PURPOSE_CALLEE]);
	assert_int_equal(
			cr_push_parse(&p, reply(contact, SDP("recvonly")),
					invite(1, ";tag=o-tag", ""), invite(2, ";tag=o-tag", text)),
			CR_OK);
	return cr_push_seal(&env, &p);
}

static int caller_answers(const char *contact, const char *more)
{
	return reinvite("crs-a", CR_PURPOSE_CALLER, "o-tag", contact, more);
}

static void the_first_answer(void **state)
{
	cr_state_t st;

	(void)state;
	open_pushed(&st, first_invite("crs-b", CR_PURPOSE_CALLEE));
	assert_int_equal(st.update, 0);
	assert_int_equal(st.role, CR_CALLEE);
	assert_span(st.call_id, "o-1@peer");
	assert_span(st.local_uri, "sip:alice@example.com");
	assert_span(st.local_tag, "o-tag");
	assert_span(st.remote_uri, "sip:bob@example.com");
	assert_span(st.remote_tag, "p-tag");
	assert_span(st.target, "sip:bob@10.0.0.9:5070");
	assert_int_equal(st.n_routes, 2);
	assert_true(has(st.routes[0], "sip:gw;lr;crs-b="));
	assert_span(st.routes[1], "sip:proxy;lr");
	assert_int_equal(st.cseq, -1);
	assert_int_equal(st.n_media, 1);
	assert_span(st.media[0].direction, "recvonly");
	assert_int_equal(st.start, 1234);
	assert_int_equal(st.iat, NOW * 1000);
	assert_int_equal(st.exp, NOW + 3600);
}

static void an_answer_within_the_call(void **state)
{
	cr_state_t st;

	(void)state;
	open_pushed(&st, caller_answers("sip:alice@c", ""));
	assert_int_equal(st.update, 0);
	assert_int_equal(st.role, CR_CALLER);
	assert_span(st.local_tag, "o-tag");
	assert_span(st.target, "sip:bob@10.0.0.9:5070");
	assert_int_equal(st.n_routes, 2);
	assert_true(has(st.routes[0], "sip:gw-near;"));
	assert_true(has(st.routes[1], "sip:gw-far;"));
	assert_int_equal(st.cseq, CR_CSEQ_UNKNOWN);
	open_pushed(&st,
			reinvite("crs-b", CR_PURPOSE_CALLEE, "p-tag", "sip:alice@c", ""));
	assert_int_equal(st.role, CR_CALLEE);
	assert_int_equal(st.cseq, CR_CSEQ_UNKNOWN);
}

static void cseq(void **state)
{
	cr_state_t st;

	(void)state;
	first_cseq = 2000000000;
	open_pushed(&st, caller_answers("sip:alice@c", ""));
	assert_int_equal(st.cseq, 2000000000 + CR_CSEQ_UNKNOWN);
	first_cseq = 0x7fffffff;
	assert_int_equal(caller_answers("sip:alice@c", ""), CR_EUNSUPPORTED);
	first_cseq = 0;
}

/* A client in N: its Contact has a map, with the difference in it. */
static int resumed_answers(uint32_t offset)
{
	char contact[1024], text[CR_BOX_TEXT_MAX];
	cr_dialog_id_t o = {CR_SPAN("o-1@peer"), CR_SPAN("o-tag")};
	cr_map_t map = {.cseq_offset = offset,
			.exp = (uint32_t)NOW + 60,
			.other = {CR_SPAN("n-1"), CR_SPAN("n-tag")}};
	int len = cr_map_seal(text, sizeof(text), crypto, &ring.keys[0],
			CR_PURPOSE_CONTACT, &o, &map);

	assert_true(len > 0);
	snprintf(contact, sizeof(contact), "sip:alice@c;crm1=%.*s;ob", len, text);
	return caller_answers(contact, "");
}

static void a_resumed_client(void **state)
{
	char mem[256];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	cr_state_t st;

	(void)state;
	open_pushed(&st, resumed_answers(5000000));
	assert_int_equal(st.cseq, 5000000 + CR_CSEQ_LOW);
	assert_span(st.call_id, "o-1@peer");
	cr_push_target(&w, &p);
	assert_int_equal(cr_writer_end(&w), CR_OK);
	assert_span(cr_written(&w), "sip:alice@c;ob");
	assert_int_equal(resumed_answers(0x7fffffff), CR_EUNSUPPORTED);
	assert_int_equal(resumed_answers((uint32_t)-5), CR_EUNSUPPORTED);
	assert_int_equal(
			caller_answers("sip:alice@c;crm1=aaaa", ""), CR_EMALFORMED);
}

static void target_and_address(void **state)
{
	char mem[256];
	cr_writer_t w = cr_writer(mem, sizeof(mem));

	(void)state;
	assert_true(first_invite("crs-b", CR_PURPOSE_CALLEE) > 0);
	cr_push_target(&w, &p);
	assert_span(cr_written(&w), "sip:alice@c");
	assert_span(cr_push_address(&p), "sip:alice@example.com");
}

/* The Contact becomes the Request-URI of a request that is ours. */
static void a_contact_that_is_no_uri(void **state)
{
	(void)state;
	assert_int_equal(
			caller_answers("sip:alice@c\r\n SIP/2.0", ""), CR_EMALFORMED);
	assert_int_equal(caller_answers("sip:alice@c SIP/2.0", ""), CR_EMALFORMED);
	assert_int_equal(caller_answers("*", ""), CR_EMALFORMED);
	assert_true(caller_answers("sip:alice@c;ob", "") > 0);
}

/* Whoever answers is no client of ours, or a stranger's reference is planted. */
static void whose_answer(void **state)
{
	(void)state;
	assert_int_equal(first_invite("crs-a", CR_PURPOSE_CALLER), CR_EMISSING);
	assert_int_equal(first_invite("other", CR_PURPOSE_CALLEE), CR_EMISSING);
	/* a caller's reference where the called one answers, and the reverse */
	assert_int_equal(
			reinvite("crs-a", CR_PURPOSE_CALLER, "p-tag", "sip:alice@c", ""),
			CR_EMISSING);
	assert_int_equal(
			reinvite("crs-b", CR_PURPOSE_CALLEE, "o-tag", "sip:alice@c", ""),
			CR_EMISSING);
	assert_int_equal(first_invite("crs-b", CR_PURPOSE_CALLER), CR_EFORGED);
	assert_int_equal(
			caller_answers("sip:alice@c", "Via: SIP/2.0/UDP behind\r\n"),
			CR_EUNSUPPORTED);
}

static void offer_in_the_answer(void **state)
{
	char more[2048];
	cr_state_t st;
	cr_span_t sent;

	(void)state;
	snprintf(more, sizeof(more), "Record-Route: <sip:gw;lr;crs-b=%s>\r\n",
			session_ref(CR_PURPOSE_CALLEE, "o-1@peer"));
	sent = invite(1, "", more);
	sent.len -= sizeof(SDP("sendonly")) - 1;
	assert_int_equal(cr_push_parse(&p, reply("sip:alice@c", SDP("sendrecv")),
							 sent, invite(2, "", "")),
			CR_OK);
	open_pushed(&st, cr_push_seal(&env, &p));
	assert_int_equal(st.n_media, 0);
}

static void other_messages(void **state)
{
	static const char *const bad[]
			= {"SIP/2.0 180 R\r\nVia: x\r\n" NAMES "\r\n",
					"SIP/2.0 486 B\r\nVia: x\r\n" NAMES "\r\n",
					"BYE sip:a SIP/2.0\r\nVia: x\r\n" NAMES "\r\n", NULL};
	cr_span_t good = invite(1, "", "");

	(void)state;
	for(int i = 0; bad[i]; i++)
		assert_int_equal(
				cr_push_parse(&p, text_of(0, bad[i], ";tag=x"), good, good),
				CR_EMISSING);
	assert_int_equal(
			cr_push_parse(&p, reply("sip:a", ""), good, CR_SPAN("nonsense")),
			CR_EMALFORMED);
	assert_int_equal(cr_push_parse(&p, reply("sip:a", ""), good,
							 (cr_span_t){buf[0], strlen(buf[0])}),
			CR_EMALFORMED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(the_first_answer),
			T(an_answer_within_the_call),
			T(cseq),
			T(a_resumed_client),
			T(target_and_address),
			T(a_contact_that_is_no_uri),
			T(whose_answer),
			T(offer_in_the_answer),
			T(other_messages),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
