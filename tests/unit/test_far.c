/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a state keeps of the far end.
 */
#include "helper.h"

#include "far.h"

#define HEAD "SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n"
#define BODY                                                                   \
	"Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 2 IN IP4 192.0.2.1\r\n" \
	"s=a name\r\nc=IN IP4 192.0.2.1\r\nb=AS:64\r\nt=0 0\r\n"                   \
	"m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n"                   \
	"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"   \
	"a=ssrc:1 cname:somebody\r\na=sendrecv\r\n"
#define PACKED                                                                 \
	"c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 8 101|a=rtpmap:8 PCMA/8000|"      \
	"a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15|a=ptime:20|a=sendrecv"

static char mem[CR_FAR_MAX];

static cr_far_t read_good(const char *text)
{
	cr_far_t far;

	assert_int_equal(cr_far_read(&far, mem, cr_span_str(text), 0, 0), CR_OK);
	assert_true(cr_far_is_good(&far));
	return far;
}

static void assert_refused(const char *text, int err)
{
	cr_far_t far = {.offer = 7};

	assert_int_equal(cr_far_read(&far, mem, cr_span_str(text), 0, 0), err);
	assert_int_equal(far.offer, 7);
}

static void what_an_answer_needs(void **state)
{
	cr_far_t far = read_good(HEAD BODY);

	(void)state;
	assert_text(far.sdp.s, (int)far.sdp.len, PACKED);
	assert_false(far.update);
	assert_int_equal(far.timer.len, 0);
}

static void update(void **state)
{
	cr_far_t far;

	(void)state;
	assert_true(read_good(HEAD "Allow: INVITE,UPDATE, BYE\r\n" BODY).update);
	assert_true(read_good(HEAD "Allow: ACK\r\nALLOW : update\r\n" BODY).update);
	assert_false(read_good(HEAD "Allow: UPDATED, INVITE\r\n" BODY).update);
	assert_false(read_good(HEAD "X-Allow: UPDATE\r\n" BODY).update);
	assert_int_equal(
			cr_far_read(&far, mem, CR_SPAN(HEAD BODY), 0, 1), CR_EUNSUPPORTED);
	assert_int_equal(cr_far_read(&far, mem,
							 CR_SPAN(HEAD "Allow: UPDATE\r\n" BODY), 0, 1),
			CR_OK);
}

static void assert_timer(const char *head, const char *field, const char *want)
{
	char text[2048];
	cr_far_t far;

	snprintf(text, sizeof(text), "%sSession-Expires: %s\r\n" BODY, head, field);
	far = read_good(text);
	assert_text(far.timer.s, (int)far.timer.len, want);
}

/* In a request of the far end's it is uac; towards the client it never is. */
static void who_refreshes(void **state)
{
	(void)state;
	assert_timer(HEAD, "1800;refresher=uac", "1800;refresher=uac");
	assert_timer(HEAD, "90 ;x=1;Refresher=UAS", "90;refresher=uas");
	assert_timer("INVITE sip:a@b SIP/2.0\r\n", "1800;refresher=uac",
			"1800;refresher=uas");
	assert_timer("INVITE sip:a@b SIP/2.0\r\n", "1800;refresher=uas",
			"1800;refresher=uac");
	read_good(HEAD "x: 1800;refresher=uac\r\n" BODY);
	assert_timer(HEAD, "1800", "1800");
	assert_timer(HEAD, "1800;refresher=nobody", "1800");
	assert_refused(HEAD "x: ;refresher=uac\r\n" BODY, CR_EUNSUPPORTED);
	assert_refused(
			HEAD "x: 1234567890;refresher=uac\r\n" BODY, CR_EUNSUPPORTED);
}

static void nothing_is_kept(void **state)
{
	static char big[4096];

	(void)state;
	assert_refused(HEAD "\r\n", CR_EMISSING);
	assert_refused(HEAD, CR_EMISSING);
	assert_refused("", CR_EMISSING);
	assert_refused(HEAD "\r\nv=0\r\nm=audio 9 RTP/AVP 8\r\n", CR_EUNSUPPORTED);
	assert_refused(HEAD "c: multipart/mixed\r\n\r\nm=audio 9 RTP/AVP 8\r\n",
			CR_EUNSUPPORTED);
	assert_refused(HEAD "c: application/sdp\r\n\r\nv=0\r\n", CR_EUNSUPPORTED);
	assert_refused(HEAD BODY "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:k\r\n",
			CR_EUNSUPPORTED);
	assert_refused(HEAD BODY "a=fmtp:8 a|b\r\n", CR_EUNSUPPORTED);
	assert_refused(HEAD BODY "a=fmtp:8 \"a\"\r\n", CR_EUNSUPPORTED);
	assert_refused(HEAD BODY "a=fmtp:8 \xc3\xa4\r\n", CR_EUNSUPPORTED);
	snprintf(big, sizeof(big), HEAD BODY "a=fmtp:8 %0*d\r\n",
			CR_FAR_SDP_MAX - (int)sizeof(PACKED) - 9, 0);
	assert_int_equal(read_good(big).sdp.len, CR_FAR_SDP_MAX);
	snprintf(big, sizeof(big), HEAD BODY "a=fmtp:8 %0*d\r\n",
			CR_FAR_SDP_MAX - (int)sizeof(PACKED) - 8, 0);
	assert_refused(big, CR_ETOOBIG);
}

static void what_may_stand_in_a_state(void **state)
{
	cr_far_t far = {.sdp = CR_SPAN(PACKED)};

	(void)state;
	assert_true(cr_far_is_good(&far));
	far.timer = CR_SPAN("1800;refresher=uac");
	assert_true(cr_far_is_good(&far));
	far.timer = CR_SPAN("1800");
	assert_true(cr_far_is_good(&far));
	far.timer = CR_SPAN("1800;refresher=uac\r\nX: y");
	assert_false(cr_far_is_good(&far));
	far = (cr_far_t){.sdp = CR_SPAN("m=audio 9 RTP/AVP 8\r\na=sendrecv")};
	assert_false(cr_far_is_good(&far));
	far.sdp = CR_SPAN("");
	assert_false(cr_far_is_good(&far));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(what_an_answer_needs),
			cmocka_unit_test(update),
			cmocka_unit_test(who_refreshes),
			cmocka_unit_test(nothing_is_kept),
			cmocka_unit_test(what_may_stand_in_a_state),
	};

	return RUN(tests);
}
