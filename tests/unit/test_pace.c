/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * So many a second and no more.
 */
#include "helper.h"

#include "pace.h"

#define SECOND 1000000

/* How many go on that come each_us apart, for as long as that. */
static int taken(cr_pace_t *p, uint64_t from_us, uint64_t each_us,
		uint64_t for_us, unsigned per_s)
{
	int n = 0;

	for(uint64_t t = 0; t < for_us; t += each_us)
		n += cr_pace_take(p, from_us + t, per_s, per_s / 10) == 0;
	return n;
}

static void who_is_alone_goes_on(void **state)
{
	cr_pace_t p = {0};

	(void)state;
	for(uint64_t s = 1; s < 10; s++)
		assert_int_equal(cr_pace_take(&p, s * SECOND, 1, 0), 0);
}

static void so_many_in_whatever_second(void **state)
{
	static const unsigned per_s[] = {1, 2, 9, 10, 11, 60, 100, 999, 100000};

	(void)state;
	for(size_t i = 0; i < sizeof(per_s) / sizeof(per_s[0]); i++) {
		cr_pace_t p = {0};

		/* After a pause, when a burst may come, and when it has been used up. */
		for(uint64_t s = 1; s < 4; s++)
			assert_between(taken(&p, s * SECOND, 5, SECOND, per_s[i]),
					per_s[i] - per_s[i] / 5, per_s[i]);
		/* A second that begins in the middle of one. */
		taken(&p, 9 * SECOND, 5, SECOND / 2, per_s[i]);
		assert_between(taken(&p, 9 * SECOND + SECOND / 2, 5, SECOND, per_s[i]),
				1, per_s[i]);
	}
}

static void a_crowd_is_told_how_long_it_takes(void **state)
{
	cr_pace_t p = {0};
	uint64_t wait = 0;
	int refused = 0;

	(void)state;
	for(int i = 0; i < 2000; i++) {
		uint64_t w = cr_pace_take(&p, SECOND, 500, 50);

		assert_true(w == 0 || w > wait);
		wait = w != 0 ? w : wait;
		refused += w != 0;
	}
	assert_int_equal(refused, 2000 - 51);
	/* At 450 a second. */
	assert_between(wait, 4 * SECOND, 5 * SECOND);
	/* Who comes when they are through is alone. */
	assert_int_equal(cr_pace_take(&p, 10 * SECOND, 500, 50), 0);
}

static void nobody_waits_for_ever(void **state)
{
	cr_pace_t p = {0};

	(void)state;
	for(int i = 0; i < 1000; i++)
		assert_true(cr_pace_take(&p, SECOND, 1, 0) <= CR_PACE_WAIT_MAX);
	assert_int_equal(cr_pace_take(&p, SECOND, 1, 0), CR_PACE_WAIT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(who_is_alone_goes_on),
			cmocka_unit_test(so_many_in_whatever_second),
			cmocka_unit_test(a_crowd_is_told_how_long_it_takes),
			cmocka_unit_test(nobody_waits_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
