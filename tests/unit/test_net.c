/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IP networks, and which of them a session description names.
 */
#include "helper_edge.h"

#include "net.h"
#include "sdp.h"

static cr_net_t nets[4];

static int net_of(const char *text)
{
	return cr_net_parse(&nets[0], cr_span_str(text));
}

static int in_net(const char *net, const char *address)
{
	uint8_t a[CR_ADDRESS_LEN];

	assert_int_equal(net_of(net), CR_OK);
	assert_int_equal(cr_address_parse(a, cr_span_str(address)), CR_OK);
	return cr_nets_have(nets, 1, a);
}

static void a_network_has_its_addresses(void **state)
{
	(void)state;
	assert_true(in_net("127.0.0.0/8", "127.255.0.1"));
	assert_false(in_net("127.0.0.0/8", "126.255.255.255"));
	assert_false(in_net("127.0.0.0/8", "128.0.0.0"));
	assert_true(in_net("10.0.0.5", "10.0.0.5"));
	assert_false(in_net("10.0.0.5", "10.0.0.4"));
	assert_true(in_net("172.16.0.0/12", "172.31.0.1"));
	assert_false(in_net("172.16.0.0/12", "172.32.0.1"));
	assert_true(in_net("0.0.0.0/0", "8.8.8.8"));
	assert_false(in_net("0.0.0.0/0", "2001:db8::1"));
	assert_true(in_net("::1", "0:0:0:0:0:0:0:1"));
	assert_true(in_net("fe80::/10", "febf::1"));
	assert_false(in_net("fe80::/10", "fec0::1"));
	/* IPv4 as IPv6 is the same address. */
	assert_true(in_net("127.0.0.0/8", "::ffff:127.0.0.1"));
	assert_true(in_net("127.0.0.0/8", "::ffff:7f00:1"));
	assert_true(in_net("::/0", "127.0.0.1"));
}

static void an_address_of_ipv6_that_leads_to_one_of_ipv4(void **state)
{
	(void)state;
	assert_true(in_net("127.0.0.0/8", "::127.0.0.1"));
	assert_true(in_net("127.0.0.0/8", "::7f00:1"));
	assert_true(in_net("10.0.0.0/8", "64:ff9b::10.1.2.3"));
	assert_true(in_net("10.0.0.0/8", "64:ff9b::a01:203"));
	assert_false(in_net("10.0.0.0/8", "64:ff9b::11.1.2.3"));
	assert_false(in_net("10.0.0.0/8", "64:ff9b:1::10.1.2.3"));
	assert_false(in_net("10.0.0.0/8", "::1:0:10.1.2.3"));
	assert_true(in_net("::/96", "::10.1.2.3"));
}

static void what_is_no_network(void **state)
{
	static const char *const bad[] = {"", "/8", "127.0.0.0/", "127.0.0.0/33",
			"127.1/8", "0127.0.0.1", "::1/129", "::1/-1", "[::1]", "localhost",
			"127.0.0.1x", "1.2.3.4/8/8", "10.0.0.0/1234",
			"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa"};

	(void)state;
	for(size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(net_of(bad[i]), CR_EMALFORMED);
}

/* ---- descriptions ----------------------------------------------------------------- */

static cr_sdp_edits_t edits;
static cr_net_t silent;
static const cr_sdp_denied_t of_nets = {.net = nets, .n = 2};

static int checked_from(const uint8_t *own, const char *lines)
{
	int n = snprintf(buf[0], OUT_MAX,
			"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=127.0.0.1\r\n%s\r\n", lines);

	assert_int_equal(cr_net_parse(&nets[0], CR_SPAN("127.0.0.0/8")), CR_OK);
	assert_int_equal(cr_net_parse(&nets[1], CR_SPAN("::1")), CR_OK);
	assert_int_equal(cr_net_parse(&silent, CR_SPAN("192.0.2.99")), CR_OK);
	return cr_sdp_check(&edits, (cr_span_t){buf[0], (size_t)n},
			&(cr_sdp_denied_t){nets, 2, &silent, 1, own});
}

static int checked(const char *lines)
{
	return checked_from(NULL, lines);
}

#define M "m=audio 9 RTP/AVP 0\r\n"
#define ICE                                                                    \
	"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:aB+/\r\n"                  \
	"a=ice-pwd:0123456789abcdefABCDEF\r\n"

static void what_a_media_server_may_be_given(void **state)
{
	static const char *const good[] = {M "c=IN IP4 192.0.2.1",
			"c=IN IP4 0.0.0.0\r\n" M, M "c=IN IP6 ::", M "a=rtcp:9",
			M "a=rtcp:9 IN IP4 192.0.2.1", M "a=rtpmap:0 127.0.0.1", "",
			M "c=IN IP4 192.0.2.1/127/2",
			ICE "a=candidate:1 1 udp 1 0f3b-1.local 9 typ host",
			ICE "a=candidate:127.0.0.1 1 udp 1 192.0.2.1 9 typ srflx raddr "
				"127.0.0.1 rport 9",
			"m=audio 0 RTP/AVP 0\r\n" ICE, M M M M M M M M};

	(void)state;
	for(size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(checked(good[i]), CR_OK);
		assert_int_equal(edits.n, 0);
	}
	assert_int_equal(cr_sdp_check(&edits, CR_SPAN(""), &of_nets), CR_OK);
}

static void what_names_a_denied_address(void **state)
{
	static const char *const bad[] = {M "c=IN IP4 127.0.0.1",
			"c=IN IP4 127.0.0.1/127", M "C=in ip4  127.9.9.9 ",
			"c=IN IP6 ::1\r\n" M, M "c=IN IP6 ::ffff:127.0.0.1",
			M "a=rtcp:9 IN IP4 127.0.0.1",
			M "a=candidate:a/b 1 udp 1 127.0.0.1 9 typ host",
			M "x=\nc=IN IP4 127.0.0.1",
			M "--b\r\nContent-Type: application/sdp\r\n\r\nc=IN IP4 127.0.0.1",
			/* The words of ICE and SRTP alone do not make it. */
			M "a=ice-ufrag:abcd\r\na=x:RTP/SAVP\r\nc=IN IP4 127.0.0.1",
			ICE M "c=IN IP4 127.0.0.1",
			"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 127.0.0.1"};

	(void)state;
	for(size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(checked(bad[i]), CR_EUNSUPPORTED);
}

#define TRUNK "c=IN IP4 192.0.2.99\r\n"
#define DATA "m=application 5060 UDP/DTLS/SCTP webrtc-datachannel\r\n"
#define UFRAG "a=ice-ufrag:x\r\n"

/* Of a stream that is SRTP with ICE, its own or that of all, c= is a browser's default candidate; of any other
 * one it is where a media server sends whatever comes. */
static void who_may_have_candidates_only(void **state)
{
	static const struct
	{
		const char *lines;
		int n;
	} streams[] = {{ICE TRUNK, 0}, {TRUNK ICE, 0}, {TRUNK ICE M, 1},
			{"a=ice-ufrag:x\r\n" TRUNK "m=audio 9 RTP/SAVPF 8\r\n", 0},
			{TRUNK ICE "m=video 0 RTP/AVP 8\r\n", 0}, {ICE TRUNK TRUNK, 1},
			{ICE DATA TRUNK, 1}, {ICE DATA TRUNK UFRAG, 1},
			{TRUNK UFRAG DATA, 1}, {ICE TRUNK DATA TRUNK, 1},
			{ICE "m=audio 9 RTP/SAVPF 8\r\n" TRUNK, 1},
			{"m=audio 0 RTP/SAVPF 8\r\n" UFRAG DATA TRUNK, 1},
			{TRUNK "m=audio 0 RTP/SAVPF 8\r\n" UFRAG DATA, 1},
			{ICE "a=rtcp:9 IN IP4 192.0.2.99\r\n", 1},
			{ICE "a=candidate:1 1 udp 1 192.0.2.99 9 typ host\r\n", 0}};

	(void)state;
	for(size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		int err = checked(streams[i].lines);

		if(strstr(streams[i].lines, M) != NULL) {
			assert_int_equal(err, CR_EUNSUPPORTED);
			continue;
		}
		assert_int_equal(err, CR_OK);
		assert_int_equal(edits.n, streams[i].n);
		for(int k = 0; k < edits.n; k++) {
			cr_span_t line = edits.line[k];

			assert_memory_equal(line.s + line.len - 12, "192.0.2.99\r\n", 12);
		}
	}
	assert_int_equal(checked(M "c=IN IP4 192.0.2.99"), CR_EUNSUPPORTED);
}

static void an_address_of_ones_own(void **state)
{
	static const uint8_t v4[] = {127, 0, 0, 2}, v6[16] = {[15] = 1};
	uint8_t own[CR_ADDRESS_LEN];

	(void)state;
	cr_address_of(own, v4, sizeof(v4));
	assert_int_equal(checked_from(own, M "c=IN IP4 127.0.0.2"), CR_OK);
	assert_int_equal(edits.n, 0);
	assert_int_equal(checked_from(own, M "c=IN IP6 ::ffff:127.0.0.2"), CR_OK);
	assert_int_equal(
			checked_from(own, M "c=IN IP4 127.0.0.1"), CR_EUNSUPPORTED);
	assert_int_equal(
			checked_from(own,
					M "c=IN IP4 127.0.0.2\r\n" M "a=rtcp:9 IN IP4 127.0.0.1"),
			CR_EUNSUPPORTED);
	cr_address_of(own, v6, sizeof(v6));
	assert_int_equal(checked_from(own, M "c=IN IP6 ::1"), CR_OK);
	assert_int_equal(
			checked_from(own, M "c=IN IP4 127.0.0.1"), CR_EUNSUPPORTED);
}

static void what_is_none(void **state)
{
	static const char *const bad[] = {M "c=IN IP4 localhost", M "c=IN IP4",
			M "c=IN IP4 127.1", M "c=IN IP4 127.0.0.1:", M "a=rtcp:9 IN IP4 x",
			ICE "a=candidate:1 1 udp 1 x.org 9 typ host",
			ICE "a=candidate:1 1 udp 1", ICE "a=candidate:1 1 udp 1 .local 9",
			ICE "a=ice-ufrag:ab d7:command4:liste", ICE "a=ice-pwd:a\tb",
			M "a=ice-ufrag:", "m=audio 9/10 RTP/AVP 0", "m=audio",
			M M M M M M M M M};
	char text[64];
	int n;

	(void)state;
	for(size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(checked(bad[i]) == CR_EMALFORMED
				|| checked(bad[i]) == CR_ETOOBIG);
	n = sprintf(text, "v=0\r\nc=IN IP4 192.0.2.1%cx\r\n", 0);
	assert_int_equal(
			cr_sdp_check(&edits, (cr_span_t){text, (size_t)n}, &of_nets),
			CR_EMALFORMED);
}

/* rtpengine says what it knows of a format each time that this is named. */
static void formats_that_are_repeated(void **state)
{
	static char text[CR_SDP_MAX + 64];
	static const char *const bad[] = {"m=audio 9 RTP/AVP 8x",
			"m=audio 9 rtp/avp +8", "m=audio 9 RTP/AVP 128",
			"m=audio 9\tX RTP/AVP x", "m=audio 0 UDP/TLS/RTP/SAVPF 96 opus"};
	static const char *const lines[] = {
			"m=audio 9 RTP/AVP 8 8 8 8 8 8 8 8 8 8 8 8\r\na=x:%s\r\n",
			"m=audio 0 rtp/avp 8 08 0008  8\t8 8 8 8 8 8 8 8\r\na=x:%s\r\n",
			"m=audio 9 X RTP/AVP 8 8 8 8 8 8 8 8 8 8 8 8\r\na=x:%s\r\n"};
	static char x[1000];

	(void)state;
	for(size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(checked(bad[i]), CR_EMALFORMED);
	assert_int_equal(checked("m=audio 9 RTP/AVP 8 101 101\r\n"), CR_OK);
	assert_int_equal(checked("m=image 9 udptl t38"), CR_OK);
	memset(x, 'x', sizeof(x) - 1);
	for(size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		sprintf(text, lines[i], x);
		assert_true(checked(text) != CR_OK);
	}
	for(size_t len = CR_SDP_MAX; len <= CR_SDP_MAX + 1; len++) {
		memset(text, 'x', sizeof(text));
		memcpy(text, "a=", 2);
		assert_int_equal(cr_sdp_check(&edits, (cr_span_t){text, len}, &of_nets),
				len > CR_SDP_MAX ? CR_ETOOBIG : CR_OK);
	}
}

static void zero_in_disguise_is_not_on_hold(void **state)
{
	static const char *const bad[] = {M "c=IN IP6 ::ffff:0.0.0.0",
			M "c=IN IP6 0:0:0:0:0:FFFF:0:0", M "a=rtcp:9 IN IP6 ::ffff:0.0.0.0",
			ICE "a=candidate:1 1 udp 1 ::ffff:0:0 9 typ host"};

	(void)state;
	for(size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(checked(bad[i]), CR_EMALFORMED);
	assert_int_equal(checked(M "c=IN IP6 0:0:0:0:0:0:0:0"), CR_OK);
}

static void with_ice_they_are_taken_out(void **state)
{
	(void)state;
	assert_int_equal(
			checked(ICE "c=IN IP4 127.0.0.1\r\n"
						"a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"
						"a=candidate:2 1 udp 1 192.0.2.1 9 typ host\r\n"
						"a=candidate:3 1 udp 1 0.0.0.0 9 typ host\r\n"
						"a=rtcp:9 IN IP6 ::1"),
			CR_OK);
	assert_true(edits.is_ice);
	assert_int_equal(edits.n, 4);
	assert_span(edits.line[0], "c=IN IP4 127.0.0.1\r\n");
	assert_span(edits.instead[0], "c=IN IP4 0.0.0.0\r\n");
	assert_span(
			edits.line[1], "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n");
	assert_int_equal(edits.instead[1].len, 0);
	assert_span(edits.line[2], "a=candidate:3 1 udp 1 0.0.0.0 9 typ host\r\n");
	assert_span(edits.line[3], "a=rtcp:9 IN IP6 ::1\r\n");
}

static void kinds_that_no_browser_has(void **state)
{
	(void)state;
	assert_int_equal(checked("m=image 9 udptl t38"), CR_OK);
	assert_true(edits.is_foreign);
	assert_int_equal(
			checked("m=audio 0 RTP/AVP 8\r\nm=image 9 udptl t38"), CR_OK);
	assert_true(edits.is_foreign);
	assert_int_equal(
			checked("m=audio 9 RTP/AVP 8\r\nm=image 9 udptl t38"), CR_OK);
	assert_false(edits.is_foreign);
	assert_int_equal(checked("m=audio 0 RTP/AVP 8"), CR_OK);
	assert_false(edits.is_foreign);
	assert_int_equal(checked("m=application 9 UDP/DTLS/SCTP x"), CR_OK);
	assert_false(edits.is_foreign);
}

static void audio_that_no_browser_has(void **state)
{
	static const char *const none[] = {
			"m=audio 9 RTP/AVP 18 101\r\na=rtpmap:18 G729/8000\r\n"
			"a=rtpmap:101 telephone-event/8000",
			"m=audio 9 RTP/AVP 18",
			"m=audio 9 RTP/AVP 96\r\na=rtpmap:96 AMR/8000",
			"m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
			"m=audio 9 RTP/AVP 3",
			"m=audio 9 RTP/AVP",
	};
	static const char *const some[] = {
			"m=audio 9 RTP/AVP 18 8",
			"m=audio 9  RTP/AVP\t18 0",
			"m=audio 9 RTP/AVP 9",
			"m=audio 9 RTP/AVP 96\r\na=rtpmap:96 Opus/48000/2",
			"m=audio 9 RTP/AVP 18 97\r\na=rtpmap:18 G729/8000\r\n"
			"a=rtpmap:97 pcma/8000",
			"m=audio 9 RTP/AVP 18\r\nm=video 9 RTP/AVP 96",
			"m=audio 0 RTP/AVP 18",
	};

	(void)state;
	for(size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_int_equal(checked(none[i]), CR_OK);
		assert_true(edits.is_foreign);
	}
	for(size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		assert_int_equal(checked(some[i]), CR_OK);
		assert_false(edits.is_foreign);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(a_network_has_its_addresses),
			T(an_address_of_ipv6_that_leads_to_one_of_ipv4),
			T(what_is_no_network),
			T(what_a_media_server_may_be_given),
			T(what_names_a_denied_address),
			T(who_may_have_candidates_only),
			T(an_address_of_ones_own),
			T(formats_that_are_repeated),
			T(what_is_none),
			T(zero_in_disguise_is_not_on_hold),
			T(with_ice_they_are_taken_out),
			T(kinds_that_no_browser_has),
			T(audio_that_no_browser_has),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
