/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "err.h"

static void every_error_has_its_phrase(void **state)
{
	const int last = CR_EMISPLACED;

	(void)state;
	for(int a = last; a <= CR_OK; a++) {
		assert_string_not_equal(cr_strerror(a), "unknown error");
		for(int b = last; b < a; b++)
			assert_string_not_equal(cr_strerror(a), cr_strerror(b));
	}
	assert_string_equal(cr_strerror(1), "unknown error");
	assert_string_equal(cr_strerror(last - 1), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(every_error_has_its_phrase),
	};

	return RUN(tests);
}
