/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the far end would answer, and an INVITE that becomes its answer.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "helper.h"
#include "helper_edge.h"

#include "edge.h"
#include "quiet.h"

#define FAR                                                                    \
	"c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 8 101|a=rtpmap:8 PCMA/8000|"      \
	"a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15|a=sendrecv"
#define ANSWER                                                                 \
	"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"  \
	"m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n"                   \
	"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
#define OFFER_OF(formats)                                                      \
	"v=0\r\no=- 9 9 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"                      \
	"m=audio 9 UDP/TLS/RTP/SAVPF " formats "\r\nc=IN IP4 0.0.0.0\r\n"          \
	"a=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n"

static char out[CR_QUIET_SDP_MAX];

static cr_state_t audio_state(const char *far)
{
	cr_state_t st = {.far.sdp = cr_span_str(far), .n_media = 1};

	st.media[0] = (cr_media_t){CR_SPAN("audio"), CR_SPAN("sendrecv")};
	return st;
}

static void assert_answer(
		const cr_state_t *st, const char *offer, const char *want)
{
	int n = cr_quiet_answer(out, st, cr_span_str(offer));

	if(want == NULL) {
		assert_int_equal(n, CR_EUNSUPPORTED);
		return;
	}
	assert_true(n > 0);
	assert_text(out, n, want);
}

static void the_same_media(void **state)
{
	cr_state_t st = audio_state(FAR);

	(void)state;
	assert_answer(&st, OFFER_OF("111 8 101"), ANSWER);
	assert_answer(&st, OFFER_OF("8 101") "a=sendrecv\r\n", ANSWER);
}

static void others(void **state)
{
	cr_state_t st = audio_state(FAR);

	(void)state;
	assert_answer(&st, OFFER_OF("8 101") "a=sendonly\r\n", NULL);
	assert_answer(&st, OFFER_OF("8 101") "m=video 9 RTP/SAVPF 96\r\n", NULL);
	assert_answer(&st, OFFER_OF("8"), NULL);
	assert_answer(&st, OFFER_OF("101"), NULL);
	assert_answer(&st, OFFER_OF("8 101") "a=rtpmap:8 L16/8000\r\n", NULL);
	assert_answer(&st, "", NULL);
	assert_answer(&st, "m=audio 9 RTP/AVP 8 101\r\n", NULL);
	st.n_media = 0;
	assert_answer(&st, OFFER_OF("8 101"), NULL);
	st = audio_state("");
	assert_answer(&st, OFFER_OF("8 101"), NULL);
	st = audio_state(FAR "|m=video 9 RTP/AVP 96");
	assert_answer(&st, OFFER_OF("8 101"), NULL);
}

/* Of what it has offered only what both have is in use. */
static void what_it_has_offered(void **state)
{
	cr_state_t st = audio_state(
			"c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0 8 101|a=rtpmap:0 "
			"PCMU/8000|a=rtpmap:8 pcma/8000|a=rtpmap:101 "
			"telephone-event/8000|a=fmtp:101 0-15|a=sendrecv");

	(void)state;
	assert_answer(&st, OFFER_OF("8 101"), NULL);
	st.far.offer = 1;
	assert_answer(&st, OFFER_OF("8 101"),
			"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 "
			"0\r\nm=audio 4000 RTP/AVP 8 101\r\na=rtpmap:8 pcma/8000\r\n"
			"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 "
			"0-15\r\na=sendrecv\r\n");
	assert_answer(&st, OFFER_OF("111 101"), NULL);
}

static void a_stream_that_it_refused(void **state)
{
	cr_state_t st = audio_state(
			"m=audio 4000 RTP/AVP 8|c=IN IP4 192.0.2.1|m=video 0 RTP/AVP 31");

	(void)state;
	st.media[st.n_media++]
			= (cr_media_t){CR_SPAN("video"), CR_SPAN("inactive")};
	assert_answer(&st, OFFER_OF("8") "m=video 0 RTP/SAVPF 96\r\n",
			"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 4000 "
			"RTP/AVP 8\r\nc=IN IP4 192.0.2.1\r\nm=video 0 RTP/AVP 31\r\n");
	assert_answer(&st, OFFER_OF("8") "m=video 9 RTP/SAVPF 96\r\n", NULL);
}

#define AS_IT_IS(formats, more)                                                \
	CR_SPAN("v=0\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 "              \
			"RTP/AVP " formats "\r\n" more)

/* As many media, of one kind and with the same formats. */
static int suits_itself(const char *medium, int n)
{
	char sdp[1024] = "v=0\r\n";

	while(n-- > 0)
		strncat(sdp, medium, sizeof(sdp) - strlen(sdp) - 1);
	return cr_quiet_suits(cr_span_str(sdp), cr_span_str(sdp));
}

static void an_answer_with_too_many_formats(void **state)
{
	char sdp[1024] = "m=audio 9 X";

	(void)state;
	for(int i = 0; i < 128; i++)
		strcat(sdp, " 8");
	assert_true(cr_quiet_suits(cr_span_str(sdp), cr_span_str(sdp)));
	strcat(sdp, " 8");
	assert_false(cr_quiet_suits(cr_span_str(sdp), cr_span_str(sdp)));
}

static void an_answer_that_suits(void **state)
{
	cr_span_t offer = CR_SPAN(OFFER_OF("111 8 101"));
	cr_span_t two = CR_SPAN(OFFER_OF("8") "m=video 9 RTP/SAVPF 96\r\n");

	(void)state;
	assert_true(cr_quiet_suits(AS_IT_IS("8", ""), offer));
	assert_true(cr_quiet_suits(
			AS_IT_IS("8 101",
					"a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 "
					"telephone-event/8000\r\na=crypto:1 X inline:Y\r\n"),
			offer));
	assert_false(cr_quiet_suits(AS_IT_IS("0", ""), offer));
	assert_false(
			cr_quiet_suits(AS_IT_IS("8", "a=rtpmap:8 L16/8000\r\n"), offer));
	assert_false(cr_quiet_suits(AS_IT_IS("101", ""), offer));
	assert_false(
			cr_quiet_suits(AS_IT_IS("8", "m=video 9 RTP/AVP 96\r\n"), offer));
	assert_false(cr_quiet_suits(AS_IT_IS("8", ""), two));
	assert_false(
			cr_quiet_suits(AS_IT_IS("8", "m=audio 0 RTP/AVP 96\r\n"), two));
	assert_true(cr_quiet_suits(AS_IT_IS("8", "m=video 0 RTP/AVP 96\r\n"), two));
	assert_false(cr_quiet_suits(CR_SPAN(""), offer));
	/* Who splits at a bar reads another description than everybody else. */
	assert_false(cr_quiet_suits(
			AS_IT_IS("8", ""), CR_SPAN(OFFER_OF("111 8 101") "a=x|y\r\n")));
	assert_false(cr_quiet_suits(AS_IT_IS("8", "a=x|y\r\n"), offer));
	assert_true(suits_itself("m=audio 9 X 8\r\n", CR_STATE_MEDIA_MAX));
	assert_false(suits_itself("m=audio 9 X 8\r\n", CR_STATE_MEDIA_MAX + 1));
	assert_false(cr_quiet_suits(AS_IT_IS("8", ""), CR_SPAN("")));
	assert_false(cr_quiet_suits(CR_SPAN(""), CR_SPAN("")));
	assert_false(cr_quiet_suits(
			AS_IT_IS("8", ""), CR_SPAN("m=audio 0 RTP/AVP 8\r\n")));
}

static void two_clients(void **state)
{
	cr_state_t st = {.role = CR_CALLER, .n_routes = 1};

	(void)state;
	st.routes[0] = CR_SPAN("sip:gw;lr;crs-a=abc");
	assert_false(cr_quiet_has_two_clients(&st));
	st.role = CR_CALLEE;
	assert_true(cr_quiet_has_two_clients(&st));
	st.routes[0] = CR_SPAN("sip:gw;lr;crs-b=abc");
	assert_false(cr_quiet_has_two_clients(&st));
}

/* ---- the INVITE --------------------------------------------------------------- */

#define MARK "0123456789abcdef"
#define NAMES                                                                  \
	"Via: SIP/2.0/UDP gw;branch=z9hG4bK1\r\nVia: SIP/2.0/WS "                  \
	"x;branch=z9hG4bK2\r\n"                                                    \
	"From: <sip:alice@example.org>;tag=a1\r\nTo: "                             \
	"<sip:bob@example.org>;tag=b1\r\n"                                         \
	"Call-ID: n0\r\nCSeq: 1010 INVITE\r\n"

static char invite[8192], answer[8192];

static const cr_env_t *quiet_env(const char *mark)
{
	static cr_work_t work;
	static cr_env_t env;

	env = (cr_env_t){.work = &work,
			.order_mark = mark,
			.crypto = crypto,
			.ring = &ring,
			.now_ms = NOW * 1000};
	return &env;
}

static int make_invite(int timer, cr_span_t session)
{
	const cr_far_t far = {.update = 1, .timer = session};
	const cr_quiet_t q = {.address = CR_SPAN("192.0.2.9"),
			.port = CR_SPAN("5070"),
			.proto = CR_SPAN("1"),
			.socket = CR_SPAN("udp:192.0.2.1:5060"),
			.timer = session};
	char order[CR_QUIET_ORDER_MAX];
	int n = cr_quiet_order(order, sizeof(order), quiet_env(MARK), &q, &far,
			timer, CR_SPAN(ANSWER));

	assert_true(n > 0);
	return snprintf(invite, sizeof(invite),
			"INVITE sip:bob@192.0.2.9:5070 SIP/2.0\r\n" NAMES
			"Contact: <sip:alice@x>\r\nCall-State: %.*s\r\n"
			"Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
			n, order);
}

static void becomes_its_answer(void **state)
{
	int len = make_invite(1, CR_SPAN("1800;refresher=uac"));
	cr_edge_t edge = cr_edge_out(answer, sizeof(answer), quiet_env(MARK),
			(cr_span_t){invite, (size_t)len});
	cr_quiet_t q;

	(void)state;
	assert_int_equal(edge.verdict, CR_CHANGED);
	assert_true(edge.quiet);
	assert_text(answer, (int)edge.len,
			"SIP/2.0 200 OK\r\n" NAMES "Contact: <sip:bob@192.0.2.9:5070>\r\n"
			"Call-State: crm1 " MARK
			" q 192.0.2.9 5070 1 udp:192.0.2.1:5060 1800;refresher=uac\r\n"
			"Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\nRequire: timer\r\n"
			"Session-Expires: 1800;refresher=uac\r\n"
			"Content-Type: application/sdp\r\nContent-Length: "
			"175\r\n\r\n" ANSWER);
	assert_true(
			cr_quiet_find(&q, quiet_env(MARK), (cr_span_t){answer, edge.len}));
	assert_text(q.port.s, (int)q.port.len, "5070");
	assert_int_equal(q.rest.len, 0);
}

static void without_a_timer(void **state)
{
	int len = make_invite(0, CR_SPAN("1800;refresher=uas"));
	cr_quiet_t q;
	int n = cr_quiet_reply(answer, sizeof(answer), quiet_env(MARK),
			(cr_span_t){invite, (size_t)len});

	(void)state;
	assert_true(n > 0);
	answer[n] = '\0';
	assert_null(strstr(answer, "Session-Expires"));
	len = make_invite(1, CR_SPAN(""));
	assert_true(cr_quiet_find(
			&q, quiet_env(MARK), (cr_span_t){invite, (size_t)len}));
	assert_int_equal(q.timer.len, 0);
}

/* Nobody else's mark is believed, and what has it goes nowhere without it. */
static void of_somebody_else(void **state)
{
	int len = make_invite(1, CR_SPAN(""));
	cr_span_t text = {invite, (size_t)len};
	cr_edge_t edge;
	cr_quiet_t q;

	(void)state;
	assert_false(cr_quiet_find(&q, quiet_env("0123456789abcdee"), text));
	assert_int_equal(cr_quiet_reply(answer, sizeof(answer),
							 quiet_env("0123456789abcdee"), text),
			CR_EMISSING);
	edge = cr_edge_out(
			answer, sizeof(answer), quiet_env("0123456789abcdee"), text);
	assert_int_equal(edge.verdict, CR_CHANGED);
	assert_false(edge.quiet);
	assert_null(memmem(answer, edge.len, "Call-State", 10));
	edge = cr_edge_in(
			answer, sizeof(answer), quiet_env(MARK), text, CR_SPAN(""));
	assert_int_equal(edge.verdict, CR_CHANGED);
	assert_null(memmem(answer, edge.len, "Call-State", 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(the_same_media),
			cmocka_unit_test(others),
			cmocka_unit_test(what_it_has_offered),
			cmocka_unit_test(a_stream_that_it_refused),
			cmocka_unit_test(an_answer_that_suits),
			cmocka_unit_test(an_answer_with_too_many_formats),
			cmocka_unit_test(two_clients),
			cmocka_unit_test(becomes_its_answer),
			cmocka_unit_test(without_a_timer),
			cmocka_unit_test(of_somebody_else),
	};

	return RUN(tests);
}
