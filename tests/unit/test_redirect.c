/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls of this program that go elsewhere.
 */
#include "helper.h"

#include <fcntl.h>
#include <unistd.h>

#include "redirect.h"

static int calls;

static ssize_t counted(int fd, void *buf, size_t n)
{
	(void)buf;
	calls++;
	return fd < 0 ? -7 : (ssize_t)n;
}

static void calls_go_elsewhere(void **state)
{
	char c = 'x';
	int fd = open("/dev/null", O_RDONLY);

	(void)state;
	assert_int_equal(read(fd, &c, 1), 0);
	assert_int_equal(cr_redirect("read", (void (*)(void))counted), CR_OK);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(read(-1, &c, 1), -7);
	assert_int_equal(calls, 2);
	close(fd);
}

/* glibc writes beside it when a function is called for the first time. */
static void other_calls_do_not(void **state)
{
	(void)state;
	assert_int_equal(cr_redirect("read", (void (*)(void))counted), CR_OK);
	assert_true(getppid() > 0);
	assert_int_equal(isatty(-1), 0);
	assert_int_equal(access("/dev/null", F_OK), 0);
}

static void what_is_not_called(void **state)
{
	(void)state;
	assert_int_equal(cr_redirect("no such function", (void (*)(void))counted),
			CR_EUNSUPPORTED);
	assert_int_equal(cr_redirect("", (void (*)(void))counted), CR_EUNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(calls_go_elsewhere),
			cmocka_unit_test(other_calls_do_not),
			cmocka_unit_test(what_is_not_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
