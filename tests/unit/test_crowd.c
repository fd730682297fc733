/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which connections are too many.
 */
#include "helper.h"

#include "crowd.h"

#define N 40
static cr_member_t crowd[N];
static int n;

/* Those of 1, 2 and 3, in turns. */
static void come(int of_1, int of_2, int of_3)
{
	int has[] = {of_1, of_2, of_3};

	n = 0;
	for(int i = 0; i < N; i++) {
		for(int j = 0; j < 3; j++) {
			if(has[j]-- > 0)
				crowd[n] = (cr_member_t){.whose = (uint64_t)j + 1, .id = n},
				n++;
		}
	}
	cr_crowd_sort(crowd, n);
}

static int surplus_of(uint64_t whose)
{
	int sum = 0;

	for(int i = 0; i < n; i++)
		sum += crowd[i].whose == whose && crowd[i].is_surplus;
	return sum;
}

static void who_has_most_gives(void **state)
{
	(void)state;
	come(20, 8, 1);
	assert_int_equal(cr_crowd_share(crowd, n, 30, 100), 30);
	assert_int_equal(cr_crowd_share(crowd, n, 15, 100), 15);
	assert_int_equal(cr_crowd_share(crowd, n, 30, 19), 10);
	assert_int_equal(cr_crowd_share(crowd, n, 30, 18), 9);
	assert_int_equal(cr_crowd_share(crowd, n, 30, 3), 1);
	assert_int_equal(cr_crowd_share(crowd, n, 30, 0), 1);
	assert_int_equal(cr_crowd_share(crowd, n, 0, 3), 0);
	assert_int_equal(cr_crowd_mark(crowd, n, 10, 0), 10);
	assert_int_equal(surplus_of(1), 10);
	assert_int_equal(cr_crowd_mark(crowd, n, 5, 0), 18);
	assert_int_equal(surplus_of(2), 3);
	assert_int_equal(surplus_of(3), 0);
}

static void the_newest_go_or_the_oldest(void **state)
{
	(void)state;
	come(4, 0, 0);
	assert_int_equal(cr_crowd_mark(crowd, n, 3, 0), 1);
	assert_true(crowd[3].is_surplus);
	assert_int_equal(cr_crowd_mark(crowd, n, 3, 1), 1);
	assert_true(crowd[0].is_surplus);
	assert_false(crowd[3].is_surplus);
	assert_int_equal(cr_crowd_mark(crowd, 0, 3, 1), 0);
}

static void one_each_is_too_many(void **state)
{
	(void)state;
	come(2, 2, 2);
	assert_int_equal(cr_crowd_mark(crowd, n, 1, 0), 3);
	assert_int_equal(cr_crowd_mark_oldest(crowd, n, 2), 1);
	assert_true(crowd[0].is_surplus);
	assert_false(crowd[1].is_surplus);
	assert_int_equal(cr_crowd_mark_oldest(crowd, n, 2), 0);
}

static void ids_wrap(void **state)
{
	(void)state;
	crowd[0] = (cr_member_t){.whose = 1, .id = (int)0x80000001u};
	crowd[1] = (cr_member_t){.whose = 1, .id = 0x7fffffff};
	cr_crowd_sort(crowd, 2);
	assert_int_equal(crowd[0].id, 0x7fffffff);
}

static void a_user_is_one(void **state)
{
	(void)state;
	assert_true(cr_crowd_user(CR_SPAN("sip:alice@example.org"))
			== cr_crowd_user(CR_SPAN("sip:Alice@EXAMPLE.org")));
	assert_false(cr_crowd_user(CR_SPAN("sip:alice@example.org"))
			== cr_crowd_user(CR_SPAN("sip:alicf@example.org")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(who_has_most_gives),
			cmocka_unit_test(the_newest_go_or_the_oldest),
			cmocka_unit_test(one_each_is_too_many),
			cmocka_unit_test(ids_wrap),
			cmocka_unit_test(a_user_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
