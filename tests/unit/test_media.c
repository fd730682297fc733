/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What rtpengine says of a call, and the description that it gives.
 */
#include "helper.h"

#include "media.h"

#define ENDPOINT(family, address, port)                                        \
	"\"endpoint\":{\"family\":\"" family "\",\"address\":\"" address           \
	"\",\"port\":" port "}"
#define MEDIA(type, protocol, endpoint, flags)                                 \
	"{\"index\":1,\"type\":\"" type "\",\"protocol\":\"" protocol              \
	"\",\"streams\":[{" endpoint "}],\"flags\":[" flags "]}"
#define SIDE(tag, medias) "\"" tag "\":{\"medias\":[" medias "]}"
#define CALL(a, b) "{\"tags\":{" a "," b "},\"result\":\"ok\"}"
#define V4 ENDPOINT("IPv4", "192.0.2.1", "4000")
#define BOTH "\"send\",\"recv\""
#define AUDIO MEDIA("audio", "RTP/AVP", V4, BOTH)
#define HEAD "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
#define LINES "m=audio 4000 RTP/AVP 0 3 4 8 9 18\r\nc=IN IP4 192.0.2.1\r\n"

static char out[CR_MEDIA_SDP_MAX];

static int described_in(size_t max, const char *json)
{
	json_t *call;
	int n = cr_json_object(&call, cr_span_str(json));

	assert_int_equal(n, CR_OK);
	n = cr_media_describe(out, max, call, CR_SPAN("a"), CR_SPAN("b'"));
	json_decref(call);
	return n;
}

static int described(const char *json)
{
	return described_in(sizeof(out), json);
}

static void assert_media(const char *media, const char *want)
{
	char json[4096], sdp[1024];
	int n;

	snprintf(json, sizeof(json), CALL(SIDE("a", "%s"), SIDE("b'", "")), media);
	snprintf(sdp, sizeof(sdp), HEAD "%s", want);
	n = described(json);
	assert_true(n > 0);
	assert_text(out, n, sdp);
}

static void a_side_as_it_is(void **state)
{
	(void)state;
	assert_media(AUDIO, LINES "a=sendrecv\r\n");
	assert_media(
			MEDIA("audio", "RTP/AVP", V4, "\"recv\""), LINES "a=sendonly\r\n");
	assert_media(
			MEDIA("audio", "RTP/AVP", V4, "\"send\""), LINES "a=recvonly\r\n");
	assert_media(MEDIA("audio", "RTP/AVP", V4, ""), LINES "a=inactive\r\n");
	assert_media(MEDIA("image", "udptl", ENDPOINT("IPv6", "::1", "9"), BOTH),
			"m=image 9 udptl t38\r\nc=IN IP6 ::1\r\na=sendrecv\r\n");
	assert_media(
			MEDIA("application", "UDP/BFCP", "\"endpoint\":{\"port\":0}", ""),
			"m=application 0 UDP/BFCP *\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n");
	assert_media("{\"type\":\"application\",\"streams\":[{" V4
				 "}],\"flags\":[]}",
			"m=application 0 RTP/AVP 0 3 4 8 9 18\r\nc=IN IP4 192.0.2.1\r\n"
			"a=inactive\r\n");
	assert_media(
			AUDIO "," AUDIO, LINES "a=sendrecv\r\n" LINES "a=sendrecv\r\n");
}

static void a_side_by_another_name(void **state)
{
	static const char call[]
			= "{\"tags\":{\"a\":{\"medias\":[" AUDIO
			  "]},\"c\":{\"tag-aliases\":[1,\"%s\"],\"medias\":[]}}}";
	char json[1024];

	(void)state;
	snprintf(json, sizeof(json), call, "b'");
	assert_true(described(json) > 0);
	snprintf(json, sizeof(json), call, "b");
	assert_int_equal(described(json), CR_EMISSING);
}

static void a_side_that_is_not_there(void **state)
{
	(void)state;
	assert_int_equal(
			described(CALL(SIDE("a", AUDIO), SIDE("c", AUDIO))), CR_EMISSING);
	assert_int_equal(
			described(CALL(SIDE("c", AUDIO), SIDE("b'", AUDIO))), CR_EMISSING);
	assert_int_equal(described("{}"), CR_EMISSING);
	assert_int_equal(described("{\"tags\":[\"a\",\"b'\"]}"), CR_EMISSING);
}

static void keys_and_ice_are_not_in_it(void **state)
{
	static const char *const flags[]
			= {"\"ICE\"", "\"DTLS-SRTP\"", BOTH ",\"SDES\""};
	char json[1024];

	(void)state;
	for(size_t i = 0; i < 3; i++) {
		snprintf(json, sizeof(json),
				CALL(SIDE("a", MEDIA("audio", "RTP/SAVPF", V4, "%s")),
						SIDE("b'", AUDIO)),
				flags[i]);
		assert_int_equal(described(json), CR_EUNSUPPORTED);
	}
	assert_int_equal(
			described(CALL(SIDE("a", ""), SIDE("b'", ""))), CR_EUNSUPPORTED);
}

static void what_is_none(void **state)
{
	static const char *const medias[] = {"{}", "1",
			MEDIA("au dio", "RTP/AVP", V4, ""),
			MEDIA("audio", "RTP AVP", V4, ""),
			MEDIA("audio", "RTP//AVP", V4, ""), MEDIA("", "RTP/AVP", V4, ""),
			MEDIA("audio", "RTP/AVP", ENDPOINT("IPv4", "192.0.2.1", "70000"),
					""),
			MEDIA("audio", "RTP/AVP", ENDPOINT("IPv4", "192.0.2.1", "-1"), ""),
			MEDIA("audio", "RTP/AVP", ENDPOINT("IPv4", "1\\r\\na=x", "9"), "")};
	char json[1024];

	(void)state;
	for(size_t i = 0; i < sizeof(medias) / sizeof(medias[0]); i++) {
		snprintf(json, sizeof(json), CALL(SIDE("a", "%s"), SIDE("b'", AUDIO)),
				medias[i]);
		assert_int_equal(described(json), CR_EUNSUPPORTED);
	}
}

static void no_room(void **state)
{
	static const char json[] = CALL(SIDE("a", AUDIO), SIDE("b'", AUDIO));
	int n = described(json);

	(void)state;
	for(int max = 0; max < n; max++)
		assert_int_equal(described_in((size_t)max, json), CR_ETOOBIG);
}

/* rtpengine 10.5: asked with both tags, it tells of the side in To, and of those beside it. */
static void dialogs_of_others(void **state)
{
	static const struct
	{
		const char *tags;
		int others;
	} calls[] = {{"", 1}, {"\"b\":{}", 0}, {"\"a\":{},\"b\":{}", 0},
			{"\"b\":{},\"c\":{}", 1}, {"\"a\":{},\"c\":{}", 1},
			{"\"a\":{},\"b\":{},\"c\":{}", 0},
			{"\"c\":{},\"<untagged 1>\":{}", 0}};
	char text[256];
	json_t *call;

	(void)state;
	for(size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		sprintf(text, "{\"tags\":{%s}}", calls[i].tags);
		assert_int_equal(cr_json_object(&call, cr_span_str(text)), CR_OK);
		assert_int_equal(
				cr_media_is_of_others(call, CR_SPAN("a"), CR_SPAN("b")),
				calls[i].others);
		json_decref(call);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(a_side_as_it_is),
			cmocka_unit_test(a_side_by_another_name),
			cmocka_unit_test(a_side_that_is_not_there),
			cmocka_unit_test(keys_and_ice_are_not_in_it),
			cmocka_unit_test(what_is_none),
			cmocka_unit_test(no_room),
			cmocka_unit_test(dialogs_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
