/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "bytes.h"

static void reader_reads(void **state)
{
	static const uint8_t in[] = "\x01\x02\x03\x04\x05\x06\x07\x02xyrest.";
	cr_reader_t r = cr_reader(in, sizeof(in) - 1);
	cr_span_t s;

	(void)state;
	assert_int_equal(cr_get_u8(&r), 1);
	assert_int_equal(cr_get_be16(&r), 0x0203);
	assert_int_equal(cr_get_be32(&r), 0x04050607);
	s = cr_get_span8(&r);
	assert_text(s.s, (int)s.len, "xy");
	assert_int_equal(cr_reader_end(&r), CR_EMALFORMED);
	s = cr_get_until(&r, '.');
	assert_text(s.s, (int)s.len, "rest");
	assert_int_equal(cr_reader_end(&r), CR_OK);
}

static void reader_stays_bad(void **state)
{
	static const uint8_t in[] = {0xff, 0xff, 0xff};
	cr_reader_t r = cr_reader(in, sizeof(in));

	(void)state;
	assert_int_equal(cr_get_be32(&r), 0);
	assert_int_equal(cr_get_u8(&r), 0);
	assert_int_equal(cr_get_be16(&r), 0);
	assert_int_equal(cr_get_bytes(&r, 1).len, 0);
	assert_int_equal(cr_get_until(&r, 0).len, 0);
	assert_int_equal(cr_reader_end(&r), CR_EMALFORMED);
}

static void reader_of_nothing(void **state)
{
	cr_reader_t r = cr_reader(NULL, 0);

	(void)state;
	assert_int_equal(cr_reader_end(&r), CR_OK);
	assert_int_equal(cr_get_bytes(&r, 0).len, 0);
	assert_int_equal(cr_reader_end(&r), CR_OK);
	assert_int_equal(cr_get_until(&r, '.').len, 0);
	assert_int_equal(cr_reader_end(&r), CR_EMALFORMED);
}

static void reader_parts(void **state)
{
	cr_reader_t r = cr_reader("a;;b", 4);

	(void)state;
	assert_int_equal(cr_get_part(&r, ';').len, 1);
	assert_int_equal(cr_get_part(&r, ';').len, 0);
	assert_int_equal(r.left, 1);
	assert_text(cr_get_part(&r, ';').s, 1, "b");
	assert_int_equal(cr_get_part(&r, ';').len, 0);
	assert_int_equal(cr_reader_end(&r), CR_OK);
}

static void reader_span_too_long(void **state)
{
	static const uint8_t in[] = {3, 'a', 'b'};
	cr_reader_t r = cr_reader(in, sizeof(in));

	(void)state;
	assert_int_equal(cr_get_span8(&r).len, 0);
	assert_int_equal(cr_reader_end(&r), CR_EMALFORMED);
}

static void writer_writes(void **state)
{
	uint8_t out[64];
	cr_writer_t w = cr_writer(out, sizeof(out));
	cr_span_t s;

	(void)state;
	cr_put_u8(&w, 1);
	cr_put_be16(&w, 0x0203);
	cr_put_be32(&w, 0x04050607);
	cr_put_span8(&w, CR_SPAN("xy"));
	cr_put_str(&w, "z");
	cr_put_span(&w, (cr_span_t){NULL, 0});
	cr_put_uint(&w, 0);
	cr_put_uint(&w, UINT64_MAX);
	assert_int_equal(cr_writer_end(&w), CR_OK);
	s = cr_written(&w);
	assert_text(s.s, (int)s.len,
			"\x01\x02\x03\x04\x05\x06\x07\x02xyz018446744073709551615");
}

static void writer_stops_at_the_end(void **state)
{
	uint8_t *out = malloc(3);
	cr_writer_t w = cr_writer(out, 3);

	(void)state;
	cr_put_be16(&w, 1);
	cr_put_be16(&w, 2);
	cr_put_u8(&w, 3); /* would fit, but the text has a hole by now */
	assert_int_equal(w.len, 2);
	assert_int_equal(cr_writer_end(&w), CR_ETOOBIG);
	free(out);
}

static void writer_refuses_long_span(void **state)
{
	static const char data[256];
	uint8_t out[512];
	cr_writer_t w = cr_writer(out, sizeof(out));

	(void)state;
	cr_put_span8(&w, (cr_span_t){data, 255});
	assert_int_equal(cr_writer_end(&w), CR_OK);
	cr_put_span8(&w, (cr_span_t){data, 256});
	assert_int_equal(cr_writer_end(&w), CR_ETOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(reader_reads),
			cmocka_unit_test(reader_stays_bad),
			cmocka_unit_test(reader_of_nothing),
			cmocka_unit_test(reader_parts),
			cmocka_unit_test(reader_span_too_long),
			cmocka_unit_test(writer_writes),
			cmocka_unit_test(writer_stops_at_the_end),
			cmocka_unit_test(writer_refuses_long_span),
	};

	return RUN(tests);
}
