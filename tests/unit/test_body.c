/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which bodies have a session description in them, whoever reads them.
 */
#include "helper_edge.h"

#include "body.h"

#define V "v=0\r\nm=audio 9 RTP/AVP 0\r\n"
#define SDP_PART "Content-Type: application/sdp\r\n\r\n"
#define MIXED "multipart/mixed;boundary=b"
#define TEXT "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
#define END "--b--\r\n"

static cr_span_t sdp;

static cr_body_t read_body(const char *type, const char *body)
{
	sdp = (cr_span_t){NULL, 0};
	return cr_body_read(&sdp, cr_span_str(type), cr_span_str(body));
}

static void one_by_its_type(void **state)
{
	static const char *const types[] = {"application/sdp", "Application/SDP",
			" application/sdp ; charset=utf-8", "application/sdp;a=b", ""};

	(void)state;
	for(size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		assert_int_equal(read_body(types[i], V), CR_BODY_SDP);
		assert_span(sdp, V);
	}
}

static void none_whoever_reads_it(void **state)
{
	static const char *const bodies[] = {"", "hello", "am=1\r\n", "x m=1",
			"<m>=</m>", "application/sd", "m", "M"};

	(void)state;
	for(size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_int_equal(read_body("text/plain", bodies[i]), CR_BODY_NONE);
		assert_int_equal(
				read_body("application/isup", bodies[i]), CR_BODY_NONE);
	}
	assert_int_equal(read_body(MIXED, TEXT END), CR_BODY_NONE);
	assert_int_equal(read_body(MIXED, ""), CR_BODY_NONE);
}

static void one_under_another_name(void **state)
{
	static const char *const types[] = {"text/plain", "x", "application/sdpx",
			"application / sdp", "text/plain;application/sdp",
			"multipart/mixed", "multipart/mixed;boundary=\"\"",
			"multipart/mixed;boundary=\"b", "xmultipart/mixed;boundary=b"};
	static const char *const bodies[] = {V, "m=", "v=0\nM=audio 9", "x\r m=a",
			"\t m=a", "see application/SDP", "--b\r\n" SDP_PART V END};

	(void)state;
	for(size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
		for(size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
			assert_int_equal(read_body(types[t], bodies[i]), CR_BODY_HIDDEN);
	assert_int_equal(cr_body_read(&sdp, CR_SPAN("x"), CR_SPAN("x\0m=audio 9")),
			CR_BODY_HIDDEN);
}

static void one_of_several_parts(void **state)
{
	static const char *const bodies[] = {"--b\r\n" SDP_PART V "\r\n" END,
			"--b\r\n" SDP_PART V END, "--b\n" SDP_PART V "\n" END,
			"hello\r\n--b \r\n" SDP_PART V END "bye",
			TEXT "--b\r\n" SDP_PART V "\r\n" END,
			"--b\r\n" SDP_PART V "\r\n" TEXT END,
			"--b\r\ncontent-type : APPLICATION/sdp ; x=1\r\n"
			"Content-Transfer-Encoding: Binary\r\nContent-ID: <a@b>\r\n\r\n" V
					END,
			"--b\r\n" SDP_PART V "\r\n--b\r\n\r\n--bb\r\n" END};
	static const char *const types[]
			= {MIXED, "Multipart/Related; type=x; Boundary=\"b\"; start=y"};

	(void)state;
	for(size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
		for(size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
			assert_int_equal(read_body(types[t], bodies[i]), CR_BODY_PART);
			assert_span(sdp, V);
		}
}

static void parts_that_are_not_clear(void **state)
{
	static const char *const bodies[] = {/* two of them */
			"--b\r\n" SDP_PART V "--b\r\n" SDP_PART V END,
			/* another one in front, behind, or in what is not called so */
			V "--b\r\n" SDP_PART V END, "--b\r\n" SDP_PART V END V,
			"--b\r\n" SDP_PART V
			"--b\r\nContent-Type: text/plain\r\n\r\n" V END,
			"--b\r\nContent-Type: text/plain\r\n\r\n" V END,
			"--b\r\nm=audio 9\r\n\r\n" END,
			/* without an end, or never begun */
			"--b\r\n" SDP_PART V, V, "--c\r\n" SDP_PART V "--c--\r\n",
			/* in another encoding */
			"--b\r\nContent-Transfer-Encoding: base64\r\n" SDP_PART
			"dj0wDQo=" END,
			"--b\r\nContent-Encoding: gzip\r\n" SDP_PART V END,
			/* two types, none, one of two lines */
			"--b\r\nContent-Type: text/plain\r\n" SDP_PART V END,
			"--b\r\n\r\n" V END,
			"--b\r\nContent-Type:\r\n application/sdp\r\n\r\n" V END,
			/* nothing in it, or no empty line */
			"--b\r\n" SDP_PART END, "--b\r\n" SDP_PART "\r\n" END,
			"--b\r\nContent-Type: application/sdp\r\n" END,
			/* parts of a part */
			"--b\r\nContent-Type: "
			"multipart/mixed;boundary=c\r\n\r\n--c\r\n" SDP_PART V
			"--c--\r\n" END};

	(void)state;
	for(size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_int_equal(read_body(MIXED, bodies[i]), CR_BODY_HIDDEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(one_by_its_type),
			cmocka_unit_test(none_whoever_reads_it),
			cmocka_unit_test(one_under_another_name),
			cmocka_unit_test(one_of_several_parts),
			cmocka_unit_test(parts_that_are_not_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
