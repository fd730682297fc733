/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "fingerprint.h"

#define HEX                                                                    \
	"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"                         \
	"0f:1e:2d:3c:4b:5a:69:78:87:96:a5:b4:c3:d2:e1:f0"
#define OTHER                                                                  \
	"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FE:"                         \
	"0f:1e:2d:3c:4b:5a:69:78:87:96:a5:b4:c3:d2:e1:f0"
#define FP "a=fingerprint:sha-256 " HEX "\r\n"
#define SESSION "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
#define AUDIO "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
#define VIDEO "m=video 9 UDP/TLS/RTP/SAVP 96\r\n"

static cr_fp_t got;

static int parse(const char *text)
{
	memset(&got, 0x77, sizeof(got));
	return cr_fp_parse(&got, cr_span_str(text));
}

static void texts(void **state)
{
	static const uint8_t want[CR_FP_LEN] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
			0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	static const struct
	{
		const char *text;
		int err;
	} bad[] = {
			{"", CR_EMISSING},
			{"sha-256", CR_EMALFORMED},
			{"sha-256 ", CR_EMALFORMED},
			{"sha-256  " HEX, CR_EMALFORMED},
			{" sha-256 " HEX, CR_EUNSUPPORTED},
			{"sha-256 " HEX " ", CR_EMALFORMED},
			{"sha-256 " HEX ":00", CR_EMALFORMED},
			{"sha-256 00" HEX, CR_EMALFORMED},
			{"sha-256 :" HEX, CR_EMALFORMED},
			{"sha-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:"
			 "22:33",
					CR_EUNSUPPORTED},
			{"md5 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF",
					CR_EUNSUPPORTED},
			{"sha-512 " HEX ":" HEX, CR_EUNSUPPORTED},
	};

	(void)state;
	assert_int_equal(parse("sha-256 " HEX), CR_OK);
	assert_true(got.known);
	assert_memory_equal(got.hash, want, sizeof(want));
	assert_int_equal(parse("SHA-256 " HEX), CR_OK);
	for(size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if(parse(bad[i].text) != bad[i].err)
			fail_msg("%s", bad[i].text);
		assert_int_equal(got.hash[0], 0x77);
	}
}

static int parse_span(cr_span_t text)
{
	return cr_fp_parse(&got, text);
}

static void truncations(void **state)
{
	(void)state;
	refuse_truncations(parse_span, "sha-256 " HEX);
}

/* Any other character in any place is refused, or another fingerprint, or one that is
 * the same but for letters' case or what is cut off. */
static void changes(void **state)
{
	char text[] = "sha-256 " HEX;
	cr_fp_t first;

	(void)state;
	assert_int_equal(parse(text), CR_OK);
	first = got;
	for(size_t at = 8; at < 8 + 3 * CR_FP_LEN - 1; at++) {
		char was = text[at];

		for(int c = 1; c < 256; c++) {
			int same = (c | 0x20) == (was | 0x20) && was >= '0';

			if(c == was || (was == ':' && c == ':'))
				continue;
			text[at] = (char)c;
			if(parse(text) == CR_OK)
				assert_int_equal(cr_fp_equal(&first, &got), same);
		}
		text[at] = was;
	}
}

static void equal(void **state)
{
	cr_fp_t a = {.known = 1, .hash = {1}}, b = a, none = {0};

	(void)state;
	assert_true(cr_fp_equal(&a, &b));
	for(int i = 0; i < CR_FP_LEN; i++) {
		b = a;
		b.hash[i] ^= 0x80;
		assert_false(cr_fp_equal(&a, &b));
	}
	assert_false(cr_fp_equal(&a, &none));
	assert_false(cr_fp_equal(&none, &a));
	assert_false(cr_fp_equal(&none, &none));
}

static void descriptions(void **state)
{
	static const struct
	{
		const char *sdp;
		int err;
	} tests[] = {
			{SESSION FP AUDIO, CR_OK},
			{SESSION AUDIO FP, CR_OK},
			{SESSION FP AUDIO VIDEO, CR_OK},
			{SESSION AUDIO FP VIDEO FP, CR_OK},
			{SESSION FP AUDIO FP FP, CR_OK},
			{"v=0\na=fingerprint:sha-256 " HEX
			 "\nm=audio 9 UDP/TLS/RTP/SAVPF 1",
					CR_OK},
			/* a rejected m-line needs none, but one that it has counts */
			{SESSION AUDIO FP "m=video 0 RTP/AVP 96\r\n", CR_OK},
			{SESSION "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n" AUDIO FP, CR_OK},
			{SESSION AUDIO FP "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n"
							  "a=fingerprint:sha-256 " OTHER "\r\n",
					CR_EDUPLICATE},
			{SESSION "m=audio 0 UDP/TLS/RTP/SAVPF 96\r\n" FP, CR_EMISSING},
			/* none, or not for all */
			{"", CR_EMISSING},
			{SESSION FP, CR_EMISSING},
			{SESSION AUDIO, CR_EMISSING},
			{SESSION AUDIO VIDEO FP, CR_EMISSING},
			{SESSION AUDIO FP VIDEO, CR_EMISSING},
			/* two of them */
			{SESSION FP AUDIO "a=fingerprint:sha-256 " OTHER "\r\n",
					CR_EDUPLICATE},
			{SESSION AUDIO FP VIDEO "a=fingerprint:sha-256 " OTHER "\r\n",
					CR_EDUPLICATE},
			{SESSION FP AUDIO "a=fingerprint:sha-1 00:11:22:33:44:55:66:77:88:"
							  "99:AA:BB:CC:DD:EE:FF:00:11:22:33\r\n",
					CR_EUNSUPPORTED},
			/* media that need no certificate */
			{SESSION FP "m=audio 4000 RTP/AVP 8\r\n", CR_EUNSUPPORTED},
			{SESSION FP "m=audio 4000 RTP/SAVP 8\r\n", CR_EUNSUPPORTED},
			{SESSION FP "m=audio 4000 RTP/SAVPF 8\r\n", CR_OK},
			{SESSION "m=audio 4000 RTP/SAVPF 8\r\n", CR_EMISSING},
			{SESSION FP AUDIO "m=video 4002 RTP/AVP 96\r\n", CR_EUNSUPPORTED},
			{SESSION FP "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
					CR_EUNSUPPORTED},
			{SESSION FP AUDIO "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n",
					CR_EUNSUPPORTED},
			{SESSION FP AUDIO "a=CRYPTO:1 x\r\n", CR_EUNSUPPORTED},
			{SESSION FP AUDIO "a=key-mgmt:mikey x\r\n", CR_EUNSUPPORTED},
			{SESSION FP AUDIO "k=clear:x\r\n", CR_EUNSUPPORTED},
			/* what could be read in two ways */
			{SESSION FP AUDIO SESSION AUDIO, CR_EDUPLICATE},
			{SESSION FP AUDIO "--x\r\nContent-Type: application/sdp\r\n\r\n",
					CR_EMALFORMED},
			{"\r\n" SESSION FP AUDIO, CR_EMALFORMED},
			{"s=-\r\n" SESSION FP AUDIO, CR_EMALFORMED},
			{SESSION " " FP AUDIO, CR_EMALFORMED},
			{SESSION "A=fingerprint:sha-256 " HEX "\r\n" AUDIO, CR_EMALFORMED},
			{SESSION "a=Fingerprint:sha-256 " HEX "\r\n" AUDIO, CR_EMALFORMED},
			{SESSION "a=fingerprint: sha-256 " HEX "\r\n" AUDIO,
					CR_EUNSUPPORTED},
			{SESSION "a=fingerprint:\r\n" AUDIO, CR_EMALFORMED},
			{SESSION FP AUDIO "a=x\ra=fingerprint:sha-256 " OTHER "\r\n",
					CR_EMALFORMED},
			{SESSION FP "m=audio 9\r\n", CR_EMALFORMED},
			{SESSION FP "m=audio  9 UDP/TLS/RTP/SAVPF 1\r\n", CR_EMALFORMED},
			{SESSION FP "m=audio\t9 UDP/TLS/RTP/SAVPF 1\r\n", CR_EMALFORMED},
			{"<xml/>", CR_EMALFORMED},
	};

	(void)state;
	for(size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		int err;

		memset(&got, 0x77, sizeof(got));
		err = cr_fp_of_sdp(&got, cr_span_str(tests[i].sdp));
		if(err != tests[i].err)
			fail_msg("%s: %d", tests[i].sdp, err);
		assert_int_equal(got.hash[1], err == CR_OK ? 0x11 : 0x77);
	}
	assert_int_equal(cr_fp_of_sdp(&got, CR_SPAN(SESSION FP AUDIO "a=x\0y\r\n")),
			CR_EMALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(texts),
			cmocka_unit_test(truncations),
			cmocka_unit_test(changes),
			cmocka_unit_test(equal),
			cmocka_unit_test(descriptions),
	};

	return RUN(tests);
}
