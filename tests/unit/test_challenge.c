/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "challenge.h"

static char out[CR_CHALLENGE_MAX];

static int write_it(const char *realm, const char *server, const char *scope,
		const char *why, size_t max)
{
	const cr_challenge_t c = {cr_span_str(realm), cr_span_str(server),
			cr_span_str(scope), cr_span_str(why)};

	return cr_challenge_write(out, max, &c);
}

static void forms(void **state)
{
	(void)state;
	assert_text(out, write_it("example.org", "", "", "", sizeof(out)),
			"WWW-Authenticate: Bearer realm=\"example.org\"\r\n");
	assert_text(out,
			write_it("example.org", "https://as.example.org/x?y=1", "sip calls",
					"expired", sizeof(out)),
			"WWW-Authenticate: Bearer realm=\"example.org\", "
			"scope=\"sip calls\", "
			"authz_server=\"https://as.example.org/x?y=1\", "
			"error=\"invalid_token\", error_description=\"expired\"\r\n");
}

static void room(void **state)
{
	char longest[CR_CHALLENGE_TEXT_MAX + 2] = "";
	char server[CR_CHALLENGE_TEXT_MAX + 1] = "https://";
	int len = write_it("r", "https://a", "s", "w", sizeof(out));

	(void)state;
	assert_int_equal(write_it("r", "https://a", "s", "w", (size_t)len), len);
	assert_int_equal(
			write_it("r", "https://a", "s", "w", (size_t)len - 1), CR_ETOOBIG);
	memset(longest, 'x', CR_CHALLENGE_TEXT_MAX);
	memset(&server[8], 'x', CR_CHALLENGE_TEXT_MAX - 8);
	assert_true(
			write_it(longest, server, longest, "wrong-audience", sizeof(out))
			> 3 * CR_CHALLENGE_TEXT_MAX);
	longest[CR_CHALLENGE_TEXT_MAX] = 'x';
	assert_int_equal(write_it(longest, "", "", "", sizeof(out)), CR_EMALFORMED);
	assert_int_equal(
			write_it("r", "", longest, "", sizeof(out)), CR_EMALFORMED);
}

/* Nothing may end the string, the parameter or the line. */
static void refused(void **state)
{
	static const char *const realms[]
			= {"", "a b", "a\"b", "a\\b", "a\r\nb", "\xc3\xa9", NULL};
	static const char *const servers[] = {"http://a", "https://", "HTTPS",
			"https://a\"", "https://a b", "https://a\r\nVia: x", NULL};
	static const char *const scopes[]
			= {" ", "a ", " a", "a  b", "a\"b", "a\tb", "a\\b", "a\r\nb", NULL};

	(void)state;
	for(int i = 0; realms[i]; i++)
		assert_int_equal(
				write_it(realms[i], "", "", "", sizeof(out)), CR_EMALFORMED);
	for(int i = 0; servers[i]; i++)
		assert_int_equal(
				write_it("r", servers[i], "", "", sizeof(out)), CR_EMALFORMED);
	for(int i = 0; scopes[i]; i++)
		assert_int_equal(
				write_it("r", "", scopes[i], "", sizeof(out)), CR_EMALFORMED);
	assert_false(cr_challenge_is_scope(CR_SPAN("")));
	assert_false(cr_challenge_is_server((cr_span_t){NULL, 0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(forms),
			cmocka_unit_test(room),
			cmocka_unit_test(refused),
	};

	return RUN(tests);
}
