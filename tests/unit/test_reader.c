/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What Kamailio's reader of a stream may be given at a time.
 */
#include "helper.h"

#include "reader.h"

#define MSRP "MSRP \r\n-------a$\r\n"

/* How much of fresh there may be behind what is there already. */
static size_t allowed(const char *before, const char *fresh, size_t to_go)
{
	char text[512];
	size_t at = strlen(before);

	snprintf(text, sizeof(text), "%s%s", before, fresh);
	return cr_reader_end_of((cr_span_t){text, strlen(text)}, at, to_go) - at;
}

static void all_of_what_is_not_odd(void **state)
{
	static const char text[] = "A b SIP/2.0\r\n\r\n\n\nmsrp chunk ed MSRP\r\n";

	(void)state;
	for(size_t i = 0; i + 1 < sizeof(text) - 1; i++)
		assert_int_equal(
				cr_reader_end_of((cr_span_t){text, sizeof(text) - 1}, i, 0),
				sizeof(text) - 1);
	assert_int_equal(allowed("", text, 3), sizeof(text) - 1);
}

static void no_more_than_a_head(void **state)
{
	(void)state;
	assert_int_equal(allowed("", MSRP, 0), sizeof(MSRP) - 1);
	assert_int_equal(allowed("", "A\r\n\r\n" MSRP, 0), 5);
	assert_int_equal(allowed("", "A\n\n" MSRP, 0), 3);
	assert_int_equal(allowed("", "A\n\r\n" MSRP, 0), 4);
	assert_int_equal(allowed("", "A\r\r\n" MSRP "\n\n", 0), 23);
	assert_int_equal(allowed("", "\r\n\r\n" MSRP, 0), 4);
}

/* The empty line has begun before. */
static void a_head_in_parts(void **state)
{
	static const char text[] = "A\r\n\r\n" MSRP;

	(void)state;
	for(size_t i = 0; i < 5; i++)
		assert_int_equal(
				cr_reader_end_of((cr_span_t){text, sizeof(text) - 1}, i, 0), 5);
	assert_int_equal(allowed("\n", "\n" MSRP, 0), 1);
}

static void chunks_in_any_case(void **state)
{
	static const char *const heads[] = {"A: chunked\r\n\r\n",
			"A: CHUNKED\r\n\r\n", "A: chunKed\r\n\r\n", "chunked\r\n\r\n"};

	(void)state;
	for(size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s1\nA", heads[i]);
		assert_int_equal(allowed("", text, 0), strlen(heads[i]));
	}
	/* Also where the word has come before. */
	assert_int_equal(allowed("A: chunked\r\n", "\r\n1\nA", 0), 2);
	assert_int_equal(allowed("A: chun", "ked\r\n\r\n1\nA", 0), 7);
}

static void no_more_than_a_body(void **state)
{
	(void)state;
	for(size_t n = 1; n < 40; n++)
		assert_int_equal(allowed("", "12345" MSRP, n),
				n < sizeof("12345" MSRP) ? n : sizeof("12345" MSRP) - 1);
}

/* A head may be of two bytes, and each makes all that is behind it be looked through again. */
static void what_is_in_front_goes_on(void **state)
{
	char text[8192 + sizeof("chunked") - 1];
	cr_span_t rest = {text, sizeof(text)};
	int n = 0;

	(void)state;
	memset(text, '\n', 8192);
	memcpy(text + 8192, "chunked", sizeof("chunked") - 1);
	for(; rest.len > 0; n++)
		rest = cr_span_sub(rest, cr_reader_end_of(rest, 0, 0), rest.len);
	assert_in_range(n, 1, 300);
	assert_int_equal(allowed("MSRP a\r\n", "b\r\n\r\nc", 0), 5);
}

/* Wherever it begins what goes on in front of it has nothing of it. */
static void where_it_begins(void **state)
{
	static const char *const words[] = {"MSRP ", "chunked"};
	char text[2048];

	(void)state;
	for(size_t w = 0; w < 2; w++) {
		for(size_t i = 1; i < sizeof(text) - 7; i++) {
			memset(text, '.', sizeof(text));
			memcpy(text + i, words[w], strlen(words[w]));
			assert_true(cr_reader_end_of((cr_span_t){text, sizeof(text)}, 0, 1)
					<= i);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(all_of_what_is_not_odd),
			cmocka_unit_test(no_more_than_a_head),
			cmocka_unit_test(a_head_in_parts),
			cmocka_unit_test(chunks_in_any_case),
			cmocka_unit_test(no_more_than_a_body),
			cmocka_unit_test(what_is_in_front_goes_on),
			cmocka_unit_test(where_it_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
