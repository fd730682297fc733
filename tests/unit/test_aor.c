/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Addresses of record that are one, and those that are not (RFC 3261 section 19.1.4).
 */
#include "helper.h"

#include "aor.h"

static int is(const char *uri, const char *aor)
{
	cr_span_t a = cr_span_str(aor);

	assert_true(cr_aor_is(a, a));
	return cr_aor_is(cr_span_str(uri), a);
}

static void the_address_in_other_ways(void **state)
{
	static const char *const uris[] = {"sip:alice@example.org",
			"SIP:alice@EXAMPLE.org", "sip:%61lic%65@example.org",
			"sip:alice@example.org;transport=UDP", "sip:alice@example.org:5060",
			"sip:alice@example.org?subject=x", "sip:alice@example.org;lr?a=b"};

	(void)state;
	for(size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++)
		assert_true(is(uris[i], "sip:alice@example.org"));
	assert_true(is("sip:a%3Bb@[2001:db8::1]", "sip:a%3Bb@[2001:DB8::1]:5060"));
	assert_true(is("sips:a@b:5061", "sips:a@b"));
	assert_true(is("tel:+4930", "tel:+4930"));
	assert_true(is("sip:o%27neill@b", "sip:o'neill@b"));
	assert_true(is("sip:%61lice@b", "sip:%61lice@b"));
}

static void another_address(void **state)
{
	static const char *const uris[] = {"sip:Alice@example.org",
			"sips:alice@example.org", "sip:alice@example.org:5061",
			"sip:alice@example.org.evil", "sip:alice@example.or",
			"sip:alice:x@example.org", "sip:alicee@example.org",
			"sip:alic@example.org", "sip:%41lice@example.org",
			"sip:alice%00@example.org", "sip:alice%@example.org",
			"sip:alice%6@example.org", "sip:example.org", "sip:@example.org",
			"sip:alice@", "", "alice", "tel:alice",
			"sip:alice@evil;@example.org", "sip:alice@evil?@example.org",
			"sip:bob@x;sip:alice@example.org", "sip:alice@evil@example.org",
			"sip:alice%40example.org@evil"};

	(void)state;
	for(size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++)
		assert_false(is(uris[i], "sip:alice@example.org"));
	assert_false(is("sip:a%3Bb@c", "sip:a;b@c"));
	assert_false(is("sip:a%25b@c", "sip:a%b@c"));
	assert_false(is("sip:a%20b@c", "sip:a b@c"));
	assert_false(is("sip:a@[::1]1", "sip:a@[::1]"));
	assert_false(is("tel:+4931", "tel:+4930"));
	/* Names that somebody has given to two. */
	assert_false(is("sip:alice@b", "sip:%61lice@b"));
	assert_false(is("sip:%2561lice@b", "sip:%61lice@b"));
}

static void nobody(void **state)
{
	(void)state;
	assert_true(
			cr_aor_is_anonymous(CR_SPAN("sip:anonymous@anonymous.invalid")));
	assert_true(
			cr_aor_is_anonymous(CR_SPAN("sip:anonymous@Anonymous.Invalid")));
	assert_false(cr_aor_is_anonymous(CR_SPAN("sip:anonymous@example.org")));
	assert_false(cr_aor_is_anonymous(CR_SPAN("sip:alice@anonymous.invalid")));
	assert_false(
			cr_aor_is_anonymous(CR_SPAN("sip:anonymous@anonymous.invalid:1")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(the_address_in_other_ways),
			cmocka_unit_test(another_address),
			cmocka_unit_test(nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
