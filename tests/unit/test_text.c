/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "text.h"

typedef int (*is_fn)(cr_span_t s);

static void all(is_fn is, int want, const char *const *list)
{
	for(; *list; list++)
		if(is(cr_span_str(*list)) != want)
			fail_msg("\"%s\" is %s", *list, want ? "refused" : "accepted");
}

/* No function may let through what ends a header field, a line or a URI; but no Call-ID
 * stands in a URI unescaped, and RFC 3261 has angle brackets in it. */
static void injection(void **state)
{
	static const is_fn functions[] = {cr_text_is_token, cr_text_is_call_id,
			cr_text_is_uri, cr_text_is_sub};
	static const char bad[]
			= {'\0', '\r', '\n', '\t', '\x1b', '\x7f', '<', '>'};
	char text[] = "sip:a_b";

	(void)state;
	for(size_t f = 0; f < 4; f++)
		for(size_t i = 0; i < sizeof(bad); i++) {
			text[5] = bad[i];
			assert_int_equal(functions[f]((cr_span_t){text, 7}),
					functions[f] == cr_text_is_call_id
							&& (bad[i] == '<' || bad[i] == '>'));
		}
}

static void empty_is_never_good(void **state)
{
	const cr_span_t none = {NULL, 0};

	(void)state;
	assert_false(cr_text_is_id(none, 9));
	assert_false(cr_text_is_token(none));
	assert_false(cr_text_is_call_id(none));
	assert_false(cr_text_is_uri(none));
	assert_false(cr_text_is_sub(none));
	assert_false(cr_text_is_plain(none, 9));
}

static int is_named(int c, const char *more)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
			|| (c >= '0' && c <= '9') || (c != 0 && strchr(more, c) != NULL);
}

/* Every byte there is, by what the grammars say of it. */
static void single_bytes(void **state)
{
	(void)state;
	for(int c = 0; c < 256; c++) {
		const char text[] = {(char)c}, uri[] = {'x', ':', (char)c};
		const cr_span_t s = {text, 1};
		int visible = c > ' ' && c < 0x7f;

		assert_int_equal(cr_text_is_id(s, 1), is_named(c, "._-"));
		assert_int_equal(cr_text_is_token(s), is_named(c, "-.!%*_+`'~"));
		assert_int_equal(cr_text_is_visible(s), visible);
		assert_int_equal(cr_text_is_call_id(s), visible && !strchr(",;", c));
		assert_int_equal(cr_text_is_plain(s, 1), visible && !strchr("\"\\", c));
		assert_int_equal(cr_text_is_uri((cr_span_t){uri, 3}),
				visible && !strchr("\"<>\\", c));
		assert_int_equal(cr_text_is_sub(s),
				c == ' ' || (visible && !strchr("\"<>\\", c)));
	}
}

static void ids(void **state)
{
	(void)state;
	assert_true(cr_text_is_id(CR_SPAN("aZ0._-"), 6));
	assert_false(cr_text_is_id(CR_SPAN("aZ0._-"), 5));
	assert_false(cr_text_is_id(CR_SPAN("a b"), 9));
	assert_false(cr_text_is_id(CR_SPAN("a\"b"), 9));
	assert_false(cr_text_is_id(CR_SPAN("a\0b"), 9));
	assert_false(cr_text_is_id(CR_SPAN("\xc3\xa4"), 9));
	assert_true(cr_text_is_plain(CR_SPAN("a+/=:~"), 6));
	assert_false(cr_text_is_plain(CR_SPAN("a+/=:~"), 5));
	assert_false(cr_text_is_plain(CR_SPAN("a\"b"), 9));
	assert_false(cr_text_is_plain(CR_SPAN("a\\b"), 9));
}

static void tokens(void **state)
{
	static const char *const good[] = {"a-.!%*_+`'~9", "as7f", NULL};
	static const char *const bad[]
			= {"a b", "a;b", "a=b", "a,b", "a@b", "a\"b", "\xc3\xa4", NULL};

	(void)state;
	all(cr_text_is_token, 1, good);
	all(cr_text_is_token, 0, bad);
}

static void call_ids(void **state)
{
	static const char *const good[]
			= {"1-2@10.0.0.1", "a\"b\\c/[d]?{e}(f):g", "a=b", "a<b>c", NULL};
	static const char *const bad[] = {"a b", "a;b", "a,b", "\xc3\xa4", NULL};

	(void)state;
	all(cr_text_is_call_id, 1, good);
	all(cr_text_is_call_id, 0, bad);
}

static void uris(void **state)
{
	static const char *const good[]
			= {"sip:a", "sips:a@b.example:5061;lr?x=y", "tel:+49301234",
					"sip:%61@[::1]", "sip:m\xc3\xbcller@b.example", NULL};
	static const char *const bad[] = {"sip:", "sip", ":a", "1p:a", "s p:a",
			"sip:a b", "sip:\"a\"@b", "sip:a\\b", "\"A\" <sip:a>",
			"sip:\xc2\x85@b", "sip:\xff", NULL};

	(void)state;
	all(cr_text_is_uri, 1, good);
	all(cr_text_is_uri, 0, bad);
}

/* RFC 3629 section 4, both sides of each border. */
static void utf8(void **state)
{
	static const char *const good[] = {"\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80",
			"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
			"\xf4\x8f\xbf\xbf", "o'brien@b.example", NULL};
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\xaf", "\xc1\xbf",
			"\xc2", "\xc2\x80", "\xc2\x9f", "\xc2\x41", "\xe0\x9f\xbf",
			"\xe0\xa0", "\xed\xa0\x80", "\xef\xbf", "\xf0\x8f\xbf\xbf",
			"\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
			"\xe2\x28\xa1", NULL};

	(void)state;
	all(cr_text_is_sub, 1, good);
	all(cr_text_is_sub, 0, bad);
}

static void shows(const char *want, size_t max, cr_span_t s)
{
	char *out = malloc(max); /* to its last byte */

	assert_non_null(out);
	cr_text_show(out, max, s);
	assert_string_equal(out, want);
	free(out);
}

static void shown_to_people(void **state)
{
	(void)state;
	shows("", 1, CR_SPAN("a"));
	shows("", 9, (cr_span_t){NULL, 0});
	shows("abc", 4, CR_SPAN("abc"));
	shows("ab", 3, CR_SPAN("abc"));
	shows("sip:j\xc3\xbcrgen@b", 99, CR_SPAN("sip:j\xc3\xbcrgen@b"));
	shows("j\xc3\xbc", 4, CR_SPAN("j\xc3\xbcr"));
	shows("j", 3, CR_SPAN("j\xc3\xbcr"));
	shows("a?b?c??d", 99,
			CR_SPAN("a\nb\0c\x1b\x7f"
					"d"));
	shows("a??31m", 99,
			CR_SPAN("a\xc2\x9b"
					"31m"));
	shows("??", 99, CR_SPAN("\xff\xc3"));
	/* A line separator, right to left, an isolate; a dash is none. */
	shows("a???b???c???\xe2\x80\x94", 99,
			CR_SPAN("a\xe2\x80\xa8"
					"b\xe2\x80\xae"
					"c\xe2\x81\xa6\xe2\x80\x94"));
	shows("\"\\<>", 99, CR_SPAN("\"\\<>"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(injection),
			cmocka_unit_test(empty_is_never_good),
			cmocka_unit_test(single_bytes),
			cmocka_unit_test(ids),
			cmocka_unit_test(tokens),
			cmocka_unit_test(call_ids),
			cmocka_unit_test(uris),
			cmocka_unit_test(utf8),
			cmocka_unit_test(shown_to_people),
	};

	return RUN(tests);
}
