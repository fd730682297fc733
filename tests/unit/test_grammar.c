/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names and addresses that need no parser.
 */
#include "helper.h"

#include "grammar.h"

static int is_plain(const char *value)
{
	return cr_is_plain_party(cr_span_str(value));
}

static void what_is_plain(void **state)
{
	(void)state;
	assert_true(is_plain("<sip:alice@example.org>;tag=a1"));
	assert_true(is_plain("\"Alice\" <sip:alice@example.org>;tag=a1"));
	assert_true(is_plain(
			"\"Alic\xc3\xa9 <x>;tag=2\"<sips:a;b=c@[::1]:5061;d>;tag=~"));
}

static void what_is_not(void **state)
{
	static const char *const values[] = {"", "<", "\"", "\"A\"", "<>;tag=a",
			"<sip:a@b>", "<sip:a@b>;tag=", "<sip:a@b>;tag=\"a\"",
			"<sip:a@b>;tag=a;tag=b", "<sip:a@b>;tag=a;x", "<sip:a@b>;x;tag=a",
			"<sip:a@b>;tag=a ", "<sip:a@b> ;tag=a", "<sip:a@b>;TAG=a",
			"<sip:a@b>;tag=a,<sip:c@d>;tag=b", "sip:a@b;tag=a",
			"A <sip:a@b>;tag=a", "<sip:a@b<>;tag=a", "<sip:a b>;tag=a",
			"<sip:\"a\"@b>;tag=a", "<;sip:a@b>;tag=a", "<a@b>;tag=a",
			"\"A\\\"\" <sip:a@b>;tag=a", "\"A\r\n B\" <sip:a@b>;tag=a",
			"\"A\" B <sip:a@b>;tag=a", "\"A <sip:a@b>;tag=a"};

	(void)state;
	for(size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_false(is_plain(values[i]));
}

/* With every byte changed into each other one: what is plain all the same is what the grammar
 * takes, and has the tag that we find. */
static void all_readers_find_that_tag(void **state)
{
	static const char text[] = "\"Al\" <sip:al@h:1;x>;tag=a1.b";
	char changed[sizeof(text)];
	int n = 0;

	(void)state;
	for(size_t i = 0; i + 1 < sizeof(text); i++) {
		for(int c = 0; c < 256; c++) {
			cr_span_t value = {changed, sizeof(text) - 1};

			memcpy(changed, text, sizeof(text));
			changed[i] = (char)c;
			if(!cr_is_plain_party(value))
				continue;
			n++;
			assert_true(cr_is_name_addr(value));
			assert_int_equal(cr_tag_of(value).len, 4);
		}
	}
	assert_between(n, 1000, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(what_is_plain),
			cmocka_unit_test(what_is_not),
			cmocka_unit_test(all_readers_find_that_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
