/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The offer and the answer for a client that is back while its call rings.
 */
#include "helper.h"

#include "early.h"

#define FP                                                                     \
	"sha-256 11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:"  \
	"11:11:11:11:11:11:11:11:11:11:11"
#define NO_FP                                                                  \
	"sha-256 00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:"  \
	"00:00:00:00:00:00:00:00:00:00:00"
#define SDP(proto, fp)                                                         \
	"v=0\r\no=- 9 9 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"                      \
	"m=audio 9 " proto " 8\r\nc=IN IP4 0.0.0.0\r\na=fingerprint:" fp           \
	"\r\na=mid:0\r\n"
#define PAGE "UDP/TLS/RTP/SAVPF"
#define INVITE(via, from, to, id, type, body)                                  \
	"INVITE sip:bob@example.org SIP/2.0\r\n"                                   \
	"Via: " via "\r\nFrom: <sip:alice@example.org>;tag=" from "\r\nTo: " to    \
	"\r\nCall-ID: " id "\r\nCSeq: 7 INVITE\r\nContent-Type: " type             \
	"\r\n\r\n" body
#define FIRST_VIA "SIP/2.0/WSS x.invalid;branch=z9hG4bKa"
#define AGAIN_VIA "SIP/2.0/TLS edge;branch=z9hG4bKb, SIP/2.0/WSS y.invalid"
#define NAMES                                                                  \
	"From: <sip:alice@example.org>;tag=a1\r\n"                                 \
	"To: \"B\" <sip:bob@example.org>;tag=b1\r\nCall-ID: n0\r\n"                \
	"CSeq: 7 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: "

static cr_sip_t first, again;
static char out[4096];

static cr_early_t calls(const char *one, const char *two)
{
	assert_int_equal(cr_sip_parse(&first, cr_span_str(one)), CR_OK);
	assert_int_equal(cr_sip_parse(&again, cr_span_str(two)), CR_OK);
	return (cr_early_t){.first = &first, .tag = CR_SPAN("b1"), .again = &again};
}

static cr_early_t page(const char *again_text)
{
	return calls(INVITE(FIRST_VIA, "a1", "\"B\" <sip:bob@example.org>", "n0",
						 "application/sdp", SDP(PAGE, FP)),
			again_text);
}

#define AGAIN(type, body)                                                      \
	INVITE(AGAIN_VIA, "a2", "<sip:bob@example.org>", "n1", type, body)

static void an_offer(void **state)
{
	cr_early_t e = page(AGAIN("application/sdp", SDP(PAGE, FP)));

	(void)state;
	assert_text(out, cr_early_offer(out, sizeof(out), &e, 0),
			"INVITE sip:bob@example.org SIP/2.0\r\nVia: " AGAIN_VIA "\r\n" NAMES
			"220\r\n\r\n" SDP(PAGE, FP));
	assert_text(out, cr_early_offer(out, sizeof(out), &e, 1),
			"INVITE sip:bob@example.org SIP/2.0\r\nVia: " AGAIN_VIA "\r\n" NAMES
			"220\r\n\r\n" SDP(PAGE, NO_FP));
	assert_int_equal(cr_early_offer(out, 400, &e, 0), CR_ETOOBIG);
}

/* Each line is one that was there, or names no certificate: what others read as one line stays one. */
static void lines_of_an_offer(void **state)
{
	static const char *const one[] = {"a=x|a=fingerprint:y|a=candidate:1",
			"a=x\ra=fingerprint:y", " a=fingerprint:y"};
	char body[512];

	(void)state;
	for(size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
		cr_early_t e;
		char text[1024];

		snprintf(body, sizeof(body), SDP(PAGE, FP) "%s\r\nA=Fingerprint:z",
				one[i]);
		snprintf(text, sizeof(text), AGAIN("application/sdp", "%s"), body);
		e = page(text);
		assert_true(cr_early_offer(out, sizeof(out), &e, 1) > 0);
		snprintf(body, sizeof(body),
				SDP(PAGE, NO_FP) "%s\r\na=fingerprint:" NO_FP "\r\n", one[i]);
		assert_non_null(strstr(out, body));
	}
}

static void no_offer(void **state)
{
	cr_early_t e = page(AGAIN("application/sdp", ""));

	(void)state;
	assert_int_equal(cr_early_offer(out, sizeof(out), &e, 0), CR_EMISSING);
	e = page(AGAIN("text/plain", "v=0\r\n"));
	assert_int_equal(cr_early_offer(out, sizeof(out), &e, 0), CR_EMISSING);
	assert_false(cr_early_is_same_dtls(&e));
}

static void an_answer(void **state)
{
	cr_early_t e = page(AGAIN("application/sdp", SDP(PAGE, FP)));

	(void)state;
	assert_text(out,
			cr_early_answer(out, sizeof(out), &e, CR_SPAN("v=0\r\nm=\r\n")),
			"SIP/2.0 183 Session Progress\r\n"
			"Via: SIP/2.0/UDP gateway.invalid;branch=z9hG4bK0\r\n"
			"Via: SIP/2.0/WSS client.invalid;branch=z9hG4bK1\r\n" NAMES
			"9\r\n\r\nv=0\r\nm=\r\n");
	assert_int_equal(cr_early_answer(out, 200, &e, CR_SPAN("v=0\r\nm=\r\n")),
			CR_ETOOBIG);
	e = page(AGAIN("application/sdp", SDP("RTP/AVP", FP)));
	assert_true(cr_early_answer(out, sizeof(out), &e, CR_SPAN("v=0\r\n")) > 0);
	assert_non_null(strstr(out, "\r\nVia: SIP/2.0/UDP client.invalid;"));
}

static void the_same_certificate(void **state)
{
	cr_early_t e = page(AGAIN("application/sdp", SDP(PAGE, FP)));

	(void)state;
	assert_true(cr_early_is_same_dtls(&e));
	e = page(AGAIN("application/sdp", SDP(PAGE, NO_FP)));
	assert_false(cr_early_is_same_dtls(&e));
	e = page(AGAIN("application/sdp", SDP("RTP/AVP", FP)));
	assert_false(cr_early_is_same_dtls(&e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(an_offer),
			cmocka_unit_test(lines_of_an_offer),
			cmocka_unit_test(no_offer),
			cmocka_unit_test(an_answer),
			cmocka_unit_test(the_same_certificate),
	};

	return RUN(tests);
}
