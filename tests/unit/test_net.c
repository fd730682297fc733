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

static int names(const char *line)
{
	int n = snprintf(buf[0], OUT_MAX,
			"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=127.0.0.1\r\n%s\r\nt=0 0\r\n",
			line);

	return cr_sdp_names((cr_span_t){buf[0], (size_t)n}, nets, 2);
}

static void a_description_names_them(void **state)
{
	static const char *const bad[] = {"c=IN IP4 127.0.0.1",
			"c=IN IP4 127.0.0.1/127", "C=in ip4  127.9.9.9 ", "c=IN IP6 ::1",
			"c=IN IP6 ::ffff:127.0.0.1", "a=rtcp:9 IN IP4 127.0.0.1",
			"a=rtcp: 9 IN IP4 127.0.0.1",
			"a=candidate:a/b 1 udp 1 127.0.0.1 9 typ host",
			"a=candidate:1 1 udp 1 192.0.2.1 9 typ srflx raddr 127.0.0.1 rport "
			"9",
			"a=remote-candidates:1 127.0.0.1 9", "x=\nc=IN IP4 127.0.0.1",
			"--b\r\nContent-Type: application/sdp\r\n\r\nc=IN IP4 127.0.0.1"};
	static const char *const good[] = {"c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0",
			"c=IN IP6 ::", "a=rtcp:9", "a=rtpmap:0 127.0.0.1", "",
			"a=candidate:1 1 udp 1 0f3b.local 9 typ host",
			"a=candidate:127.0.0.1 1 udp 1 192.0.2.1 9 typ host"};

	(void)state;
	assert_int_equal(cr_net_parse(&nets[0], CR_SPAN("127.0.0.0/8")), CR_OK);
	assert_int_equal(cr_net_parse(&nets[1], CR_SPAN("::1")), CR_OK);
	for(size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(names(bad[i]));
	for(size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_false(names(good[i]));
	/* And not where everything is denied. */
	assert_int_equal(cr_net_parse(&nets[0], CR_SPAN("::/0")), CR_OK);
	assert_false(names("c=IN IP4 0.0.0.0"));
	assert_true(names("c=IN IP4 192.0.2.1"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(a_network_has_its_addresses),
			T(what_is_no_network),
			T(a_description_names_them),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
