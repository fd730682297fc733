/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "steps.h"

/* A reader of sequence numbers alone: what is not up to 32768 ahead of the last one is late. */
static unsigned int read_next(unsigned int last, unsigned int next)
{
	return ((next - last) & 0xffff) <= 0x8000 ? next : last;
}

static unsigned int number_of(const uint8_t *packet)
{
	return (unsigned int)packet[2] << 8 | packet[3];
}

static void from_any_number_to_any_of_a_page(void **state)
{
	static const unsigned int first[]
			= {1, 2, 5461, 16384, 21845, 32766, 32767};
	uint8_t packet[CR_STEPS][CR_STEP_LEN];

	(void)state;
	for(int n = 0; n < CR_STEPS; n++)
		cr_step(packet[n], n, 0, 1);
	for(unsigned int old = 0; old < 0x10000; old++) {
		unsigned int last = old;

		for(int n = 0; n < CR_STEPS; n++)
			last = read_next(last, number_of(packet[n]));
		for(size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
			assert_int_equal(read_next(last, first[i]), first[i]);
	}
	/* Without them half of the pages are late. */
	assert_int_equal(read_next(30000, 20000), 30000);
}

static void packets_are_silence(void **state)
{
	uint8_t packet[CR_STEP_LEN];

	(void)state;
	cr_step(packet, 1, 8, 0x01020304);
	assert_hex(packet, 12, "8008aaaa000000a001020304");
	for(size_t i = 12; i < sizeof(packet); i++)
		assert_int_equal(packet[i], 0xd5);
	cr_step(packet, 0, 0, 0);
	assert_hex(packet, 12, "800055550000000000000000");
	assert_int_equal(packet[CR_STEP_LEN - 1], 0xff);
}

static void codecs(void **state)
{
	(void)state;
	assert_int_equal(cr_steps_type(CR_SPAN("PCMU/8000")), 0);
	assert_int_equal(cr_steps_type(CR_SPAN("PCMA/8000")), 8);
	for(size_t len = 0; len < 9; len++)
		assert_int_equal(cr_steps_type((cr_span_t){"PCMA/8000", len}), -1);
	assert_int_equal(cr_steps_type(CR_SPAN("opus/48000/2")), -1);
}

static void offer(void **state)
{
	char out[CR_STEPS_SDP_MAX], tall[CR_STEPS_SDP_MAX];
	size_t len = 7;

	(void)state;
	assert_int_equal(cr_steps_sdp(out, &len, CR_SPAN("2001:db8::1"), 1, 65535,
							 CR_SPAN("PCMA/8000")),
			CR_OK);
	assert_string_equal((out[len] = '\0', out),
			"v=0\r\no=- 1 1 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 "
			"2001:db8::1\r\nt=0 0\r\nm=audio 65535 RTP/AVP "
			"8\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n");
	memset(tall, '1', sizeof(tall));
	len = 7;
	assert_int_equal(cr_steps_sdp(out, &len, (cr_span_t){tall, sizeof(tall)}, 0,
							 1, CR_SPAN("PCMU/8000")),
			CR_ETOOBIG);
	assert_int_equal(len, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(from_any_number_to_any_of_a_page),
			cmocka_unit_test(packets_are_silence),
			cmocka_unit_test(codecs),
			cmocka_unit_test(offer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
